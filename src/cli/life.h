/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a sandbox that stays lives, and when nothing of it runs (docs/adr/0033). Its supervisor has one of these.
 *  1. life_open()    before the sandbox is built: what it is
 *  2. life_begin()   it is complete
 *  3. life_step()    between two polls; life_pause(), life_resume(), life_wake(), life_extend(), life_state() for clients
 *  4. life_end()     nothing of it is left
 */
#ifndef BAILEY_CLI_LIFE_H
#define BAILEY_CLI_LIFE_H

#include "life-options.h"

struct life {
	struct run *run; /* once it is complete */
	int state;       /* of bailey's state, or -1 */
	const char *id, *name;
	struct life_policy policy;
	struct jail_frozen *frozen; /* while it is paused */
	struct jail_freezer freezer;
	long retry_at; /* ms of CLOCK_MONOTONIC: after a pause that has failed, not before */
	int unpaused;  /* why the last pause was none, negative errno: said once for each reason */
	long timeout_at;      /* ms of CLOCK_MONOTONIC, as all below; 0: never */
	long active;          /* when it was used last, as far as is known */
	long look_at, looked; /* the next look, 0: the first one is still to come; the last one */
	long long ticks;      /* of processor time, at the last look */
	enum wire_why why;    /* it is ended, not by itself; or 0 */
};

/** life_open() - @o: options of the sandbox; @state: directory of bailey's state, taken; @id, @name: borrowed. Return: 0 or -EINVAL with @e. */
int life_open(struct life *l, const struct life_options *o, int state, const char *id,
	      const char *name, struct err *e);

/** life_begin() - it lives from now on. */
void life_begin(struct life *l, struct run *run);

/**
 * life_step() - look whether it is idle, or its time is over.
 * @attached: somebody waits for a command of it
 * @wait: until the next poll must end, -1: never
 * Return: whether it is to be stopped now.
 */
bool life_step(struct life *l, bool attached, long *wait);

/** life_pause() - let nothing run. Return: 0, also when it is paused already; negative errno with @e, and it runs. */
int life_pause(struct life *l, struct err *e);

/** life_resume() - let it run. */
void life_resume(struct life *l);

/** life_wake() - the same, for somebody who needs it. @by: LIFE_WAKE_EXEC: a command; LIFE_WAKE_ANY: else. Return: 0; -EBUSY with @e: it must not be woken. */
int life_wake(struct life *l, enum life_wake by, struct err *e);

/** life_extend() - it has @ms from now on, if it had less. Return: 0; -EINVAL with @e: it does not time out. */
int life_extend(struct life *l, long ms, struct err *e);

/** life_state() - what there is to say of it, as a message to who asks. @clients: who waits for a command */
struct wire_msg life_state(const struct life *l, unsigned int clients);

/** life_session() - the command @session has started (@status -1), or ended. @service: whose it is, or NULL */
void life_session(const struct life *l, uint32_t session, const char *service, int status);

/** life_failed() - the command of a service can't be executed. @status: as of `bailey exec` */
void life_failed(const struct life *l, uint32_t session, const char *service, int status);

/** life_ends() - it shall end. @why: what is written of it; the first one counts */
void life_ends(struct life *l, enum wire_why why);

/** life_end() - nothing is left. */
void life_end(struct life *l);

#endif
