/* SPDX-License-Identifier: Apache-2.0 */
/* --open-urls: the command's xdg-open asks who sits at the terminal, then the host's browser is started (docs/adr/0025). */
#ifndef BAILEY_CLI_OPEN_URLS_H
#define BAILEY_CLI_OPEN_URLS_H

#include "cli.h"

/* Inside: what the command calls, and the socket that it asks by. */
#define OPEN_URLS_DIR "/run/bailey"
#define OPEN_URLS_PROGRAM OPEN_URLS_DIR "/xdg-open"
#define OPEN_URLS_SOCKET OPEN_URLS_DIR "/open"

/** open_urls_begin() - make the socket. Before sandbox_plan(). Return: 0 or negative errno with @e. */
int open_urls_begin(struct run *run, struct err *e);

/** open_urls_plan() - show the program, and the socket when there is one. Return: 0 or negative errno with @e. */
int open_urls_plan(struct sandbox *s, struct err *e);

/** open_urls_supervise() - find the browser, and hear the socket from now on. Before anything hostile runs. */
void open_urls_supervise(struct run *run);

/** open_urls_askers() - @dir: of the run's network; who connects to a socket there is asked. */
void open_urls_askers(struct run *run, int dir);

/** open_urls_ready() - the sandbox has its mounts: the names on the host go. */
void open_urls_ready(struct run *run);

/** open_urls_step() - between two polls. @wait: until the next poll must end, -1: never. */
void open_urls_step(struct run *run, long *wait);

/** open_urls_unask() - the directory of open_urls_askers() goes. */
void open_urls_unask(struct run *run);

/** open_urls_end() - end it; what a browser shows stays. */
void open_urls_end(struct run *run);

/** xdg_open_main() - inside, called as xdg-open. @argv: words behind the name. Return: exit status, as xdg-open's. */
int xdg_open_main(char **argv);

#endif
