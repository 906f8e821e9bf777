/* SPDX-License-Identifier: Apache-2.0 */
/* What a log-in in the host's browser comes back by: one port of the loopback, for one burst of connections, in a process of its own. */
#ifndef BAILEY_CLI_CALLBACK_H
#define BAILEY_CLI_CALLBACK_H

#include "cli.h"

#define CALLBACK_LISTENERS 2u

struct callback {
	int listener[CALLBACK_LISTENERS]; /* -1: not needed */
	int door;      /* gateway/door.h; the process has the only copy after the start */
	uint16_t port; /* of both sides */
	uid_t uid;     /* whom to become, or -1 */
	gid_t gid;
	void *forget; /* memory that it must not have */
	size_t n_forget;
};

/**
 * callback_listen() - take the port that @back means; nobody else must have it.
 * Return: 0, then the listeners of @c are the caller's; or negative errno with @e.
 */
int callback_listen(struct callback *c, enum url_back back, uint16_t port, struct err *e);

/**
 * callback_start() - fork the process: it carries bytes between the port here and the one of the sandbox, and ends by itself after the burst, or some minutes.
 * Descriptors of @c stay the caller's. Return: 0 with its pid, to be reaped; or negative errno with @e.
 */
int callback_start(const struct callback *c, pid_t *ret_pid, struct err *e);

/** callback_close() - the descriptors of @c. */
void callback_close(struct callback *c);

#endif
