/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init: PID 1 of a sandbox. init_run() starts one command, does what the supervisor says, reaps, and returns when every process but
 * itself is dead. It runs without privileges, inside all walls.
 */
#ifndef BAILEY_INIT_H
#define BAILEY_INIT_H

#include <sys/ioctl.h>
#include <termios.h>

#include "util/util.h"

/* The terminal that a command gets. */
struct init_tty {
	unsigned int fds; /* bits 1 << 0-2: what becomes the terminal; 0: there is none */
	bool foreground; /* the command may use it at once; else it must ask, by SIGTTIN and SIGTTOU */
	struct termios termios;
	struct winsize size;
};

struct init_command {
	char *const *argv; /* NULL-terminated, at least one word */
	char *const *envp;
	const char *path; /* PATH for the search of argv[0]; NULL: the default */
	struct init_tty tty;
};

/**
 * init_run() - run the command to its end. All signals must be blocked, and we must lead a session without a terminal. The command gets
 * none blocked.
 * @sock: to the supervisor; borrowed
 * @ret_status: wait status
 * Return: 0; -ENOENT with ERR_NOTFOUND, other errno with ERR_NOEXEC when it can't be executed; negative errno with @e.
 */
int init_run(const struct init_command *cmd, int sock, int *ret_status, struct err *e);

#endif
