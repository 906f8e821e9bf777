/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init: PID 1 of a sandbox. It runs without privileges, inside all walls.
 *  1. init_run()     of a run: starts one command, does what the supervisor says, reaps, and returns when every process but itself is dead
 *  2. init_serve()   of a sandbox that stays: starts a command whenever it is asked to, until it is told to stop
 *  3. init_pack()    a command, on its way to that
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

/* The user of a sandbox that stays: whom commands run as, unless they say it. */
struct init_agent {
	uid_t uid;
	gid_t gid;
	bool rooted; /* PID 1 is root inside, and can start commands as others */
	const char *name, *home;
};

struct init_ids;

struct init_command {
	char *const *argv; /* NULL-terminated, at least one word */
	char *const *envp;
	const char *path; /* PATH for the search of argv[0]; NULL: the default */
	struct init_tty tty;
	const char *cwd;                /* NULL: where PID 1 is */
	const struct init_agent *agent; /* of PID 1 of a sandbox that stays */
	const char *user;               /* of a sandbox that stays: USER[:GROUP]; NULL: its user */
	const struct init_ids *ids;     /* as whom it runs; NULL: as PID 1 */
	const int *streams; /* what becomes 0-2, not close-on-exec there; NULL: those of PID 1 */
};

/* The words of WIRE_COPY, in the place of a command: which way, a path, flags as letters, and where the caller's ids stand for the user's: "UID:GID". */
#define INIT_COPY_OUT "out"
#define INIT_COPY_IN "in"
#define INIT_COPY_FOLLOW 'L'        /* out: the link that the path is */
#define INIT_COPY_OWNER 'a'         /* in: keep the ids */
#define INIT_COPY_INTO '.'          /* in: the path is a directory that gets all of it */
#define INIT_COPY_NOTICE "notice: " /* begins a line on 2 that is no failure */

/* Other words of WIRE_COPY: what is to be done with the names below (fs.h), and a path. What failed is its exit status as an errno, and a line on 2. */
#define INIT_FS_STAT "stat"
#define INIT_FS_LIST "list"     /* and how many levels */
#define INIT_FS_MAKE "make"     /* a directory, and those that lead there */
#define INIT_FS_MOVE "move"     /* and the new name */
#define INIT_FS_REMOVE "remove" /* and INIT_FS_ALL: what is in it, too */
#define INIT_FS_WATCH "watch"   /* the same; 0 is a pipe whose end ends it */
#define INIT_FS_ALL "all"

/**
 * init_run() - run the command to its end. All signals must be blocked, and we must lead a session without a terminal. The command gets
 * none blocked.
 * @sock: to the supervisor; borrowed
 * @ret_status: wait status
 * Return: 0; -ENOENT with ERR_NOTFOUND, other errno with ERR_NOEXEC when it can't be executed; negative errno with @e.
 */
int init_run(const struct init_command *cmd, int sock, int *ret_status, struct err *e);

/**
 * init_serve() - run commands until the supervisor says stop, or is gone. Signals and session as for init_run().
 * @envp: what a command's own variables are added to
 * @agent: whom commands run as; borrowed
 * @sock: to the supervisor; borrowed
 * Return: 0 when every other process is dead, with *@ret_status 0; negative errno with @e.
 */
int init_serve(char *const *envp, const struct init_agent *agent, int sock, int *ret_status,
	       struct err *e);

/**
 * init_pack() - what WIRE_SPAWN brings: @cmd (argv, envp: only what is added, tty, cwd, user), in a file of memory.
 * Return: fd or negative errno with @e.
 */
int init_pack(const struct init_command *cmd, struct err *e);

/**
 * init_unpack() - the other way. @fd: read, not mapped: who sent it may still write
 * @memory: free it; @ret points into it
 * Return: 0; -EBADMSG, -E2BIG, -ENOMEM or another negative errno.
 */
int init_unpack(int fd, struct init_command *ret, void **memory);

#endif
