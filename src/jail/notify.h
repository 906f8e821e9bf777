/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eyes of a run that reports (docs/adr/0018). Report only, never enforcement: a call is answered "go on", whatever it is, and the kernel then
 * reads its arguments anew and judges them by the view and Landlock as in any run. So a process that changes a path between the look and the
 * call has lied to the report and gained nothing. In a strict run (docs/adr/0023) calls that make a name never go on: what was read is sent to the
 * maker (make.h), and what that did is the answer.
 */
#ifndef BAILEY_JAIL_NOTIFY_H
#define BAILEY_JAIL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/util.h"

#define JAIL_NOTIFY_WITH 256

struct jail_notify {
	int fd;          /* the listener */
	pid_t init;      /* PID 1, whose own calls are nobody's business */
	bool roots;      /* processes may have a root of their own: nested sandboxes, chroot */
	int root;        /* of the sandbox, once a process was seen; -1 */
	uint64_t unread; /* calls that could not be looked at */
	bool silent;     /* nothing is reported */
	bool strict; /* calls that make a name never go on by themselves, but are done by the maker */
	int maker;   /* its socket; -1: it has gone */
	uint64_t unmade; /* calls that came when it had */
	struct {
		uint64_t id; /* 0: free */
		bool cloexec;
	} with[JAIL_NOTIFY_WITH]; /* what it has, and not answered */
};

/* A call, as it was when it was looked at. */
struct jail_access {
	pid_t pid;
	const char *op; /* a stable word: "read", "write", "create", "mkdir" … */
	bool write;
	bool makes; /* fails where something of that name is there already */
	bool needs; /* fails where nothing of that name is there */
	bool names; /* changes the directory that the name is in, and needs the right to write that */
	size_t n;   /* paths; those that could not be found out are left out */
	struct {
		char path[LIMIT_PATH]; /* inside; links resolved as the call would, but not below /proc and /dev */
		bool there; /* the process can see something of that name */
	} at[2];
	bool refused; /* a name was not made, because of what: the others are not set then */
	char what[64], name[LIMIT_PATH];
};

/** jail_notify_init() - begin to listen; takes @fd and @maker (-1: none). @silent: only the maker's calls matter. */
void jail_notify_init(struct jail_notify *n, int fd, pid_t init, bool roots, int maker,
		      bool silent);

/**
 * jail_notify_next() - wait for a call, look at it, let it go on. The work for one is bounded.
 * Return: 1 with @ret; -EAGAIN: there is nothing to be said of it; 0: no process is left that could call; other negative errno.
 */
int jail_notify_next(struct jail_notify *n, struct jail_access *ret);

#endif
