/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor of a sandbox that stays (docs/adr/0027): a run without an end of its own. It listens on a socket below bailey's state. Who
 * connects speaks wire, as a supervisor to PID 1: SPAWN starts a command, SIGNAL is for that, STOP ends the sandbox. What PID 1 says of a
 * command goes back to who asked for it.
 */
#ifndef BAILEY_CLI_LIVE_H
#define BAILEY_CLI_LIVE_H

#include "cli.h"

struct live;

#define LIVE_WORD "supervise-sandbox" /* the word behind bailey that runs live_main() */

/* Its descriptors above 2. */
#define LIVE_FD_STATUS \
	3 /* a pipe: "ok" when it is ready, with what it misses all the same behind that; else why it is not */
#define LIVE_FD_WORDS 4 /* strings, each ended by a NUL (live-words.h) */
#define LIVE_FD_LOCK 5  /* locked: whoever holds that is the sandbox's supervisor */

/** live_socket() - the name of the socket of the sandbox @name. @out: LIVE_SOCKET bytes */
#define LIVE_SOCKET 80
void live_socket(const char *name, char out[LIVE_SOCKET]);

/** live_main() - be the supervisor. Return: exit status. */
int live_main(void);

/** live_id() - the ID of the sandbox, which its record and the log of its network have, too. Return: it, or NULL: a one-shot run has another for each. */
const char *live_id(const struct run *run);

/** live_add() - the run's loop hears of clients from now on. Return: 0 or negative errno with @e. */
int live_add(struct run *run, struct err *e);

/** live_stay() - what it is, for the description @s. Return: it, or NULL: there is no memory. */
struct stay *live_stay(struct live *live, struct sandbox *s);

/** live_ready() - the sandbox is complete: clients are let in. */
void live_ready(struct run *run);

/** live_report() - PID 1 says @m of a command. @fd: came with it, taken. */
void live_report(struct run *run, const struct wire_msg *m, int fd);

/** live_stop() - end everything in the sandbox, by SIGKILL after @grace_ms, and tell who waits for a command @why. */
void live_stop(struct run *run, unsigned int grace_ms, enum wire_why why);

/** live_exceeded() - everything in it is ended now, since it has used more memory than it may: who waits for a command hears why. */
void live_exceeded(struct run *run);

/** live_lost() - its PID 1 was killed: if the kernel did that because of its memory, the same. */
void live_lost(struct run *run);

/** live_signal() - we are to end by @sig: SIGTERM and SIGHUP ask everything in it first, unless one was there already. */
void live_signal(struct run *run, int sig);

/** live_over() - nothing runs in it any more: who comes from now on comes to the next one. */
void live_over(struct run *run);

/** live_wake() - somebody outside needs what runs in it, which may be paused. */
void live_wake(struct run *run);

/** live_paused() - whether nothing runs in it. */
bool live_paused(const struct run *run);

/** live_stopping() - whether it shall end. */
bool live_stopping(const struct run *run);

/** live_step() - between two polls. @wait: until the next poll must end, -1: never. Return: whether everything was killed. */
bool live_step(struct run *run, long *wait);

#endif
