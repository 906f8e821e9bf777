/* SPDX-License-Identifier: Apache-2.0 */
/* The agent of --ssh-key beside a run: a process of bailey-keys, and the socket that the sandbox reaches it by (docs/adr/0024). */
#ifndef BAILEY_CLI_SSH_H
#define BAILEY_CLI_SSH_H

#include "cli.h"

/** ssh_check() - the values of --ssh-key. Return: 0 or negative errno with @e. */
int ssh_check(struct sandbox *s, struct err *e);

/**
 * ssh_begin() - make the socket and what stands beside it, start the process, tell it what to do; add the rules that show them. After the ids are
 * known, before sandbox_frame(). Return: 0 or negative errno with @e.
 */
int ssh_begin(struct run *run, struct err *e);

/** ssh_answer() - wait until it is ready, write what it says of known hosts. Before sandbox_plan(). Return: 0 or negative errno with @e. */
int ssh_answer(struct run *run, struct err *e);

/** ssh_answers() - whether an agent, or who may be one, listens at @path. */
bool ssh_answers(const char *path);

/** ssh_supervise() - the run's loop is there: of a sandbox that stays an agent that is missing is looked for when it is needed. */
void ssh_supervise(struct run *run);

/** ssh_missing() - why a sandbox that stays has no agent now. Return: NULL: it has one, or wants none. */
const char *ssh_missing(const struct run *run);

/** ssh_plan() - tell ssh in the sandbox of these known hosts. Return: 0 or negative errno with @e. */
int ssh_plan(struct sandbox *s, struct err *e);

/** ssh_variable() - "SSH_AUTH_SOCK=…" for the command; NULL: there is none. Text of the arena. */
const char *ssh_variable(struct sandbox *s);

/** ssh_ready() - the sandbox has its mounts: the names on the host go. */
void ssh_ready(struct run *run);

/** ssh_end() - end it. @say: gets what was signed and refused, a line each; NULL: nobody */
void ssh_end(struct run *run, void (*say)(const char *line));

#endif
