/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services of a sandbox that stays, as its supervisor knows them (docs/adr/0037). Each is a held session that may begin again; what there are
 * is said by service-def.h, when one begins and ends is decided here.
 *  1. services_begin(), services_set()  which there are
 *  2. services_step()                   after everything that has happened, and between two polls
 *  3. services_started() …              what PID 1 says of one
 */
#ifndef BAILEY_CLI_SERVICES_H
#define BAILEY_CLI_SERVICES_H

#include "sessions.h"

/* Why one is not what it shall be. */
#define SERVICES_PAUSED "the sandbox is paused"

struct service;

struct services {
	struct service *first; /* as they were added */
	struct sessions *sessions;
	long long generation; /* of the store, that they are of */
	bool stopping;        /* none begins any more */
	bool paused;          /* none can begin or end now: services_step() is not called */
	/* start the command in the session, whose pipe is made by that. Return: 0 or negative errno */
	int (*spawn)(void *arg, struct session *one, const struct init_command *cmd, struct err *e);
	/* send a signal to the process group */
	void (*send)(void *arg, const struct session *one, int sig);
	/* whether something listens on a port */
	bool (*listens)(void *arg, unsigned int port);
	void *arg;
};

/**
 * services_set() - what there is from now on: those that are new begin, those that are gone end. What a later generation has said stays.
 * @text: {"generation": N, "services": […]}
 * Return: 0 or negative errno with @e, and nothing has changed.
 */
int services_set(struct services *s, const char *text, size_t len, struct err *e);

/** services_order() - start, stop or start anew the one that is named, with those that it needs, or that need it. Return: 0; -ENOENT, -ESRCH with @e. */
int services_order(struct services *s, const struct wire_msg *m, struct err *e);

/** services_stop() - all, those first that others need last; none begins any more. */
void services_stop(struct services *s, unsigned int grace_ms);

/** services_step() - let begin and end what shall. @wait: until the next time, -1: nothing is to be waited for */
void services_step(struct services *s, long *wait);

/** services_settled() - whether none is on its way between having been asked for and running. */
bool services_settled(const struct services *s);

/** services_any() - whether one runs, or ends. */
bool services_any(const struct services *s);

/** services_started(), services_failed(), services_ended() - PID 1 says that of @one; nothing, if it is no service's. Return: whether it is. */
bool services_started(struct services *s, const struct session *one);
bool services_failed(struct services *s, const struct session *one, const struct err *why);
bool services_ended(struct services *s, const struct session *one, int status);

/** services_list() - append an array of objects. */
void services_list(const struct services *s, struct buf *b);

#endif
