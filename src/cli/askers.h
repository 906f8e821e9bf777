/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who answers questions of --open-urls in the place of the terminal: programs of the caller that have connected to the socket "open-urls", which lies beside the
 * gateway's "control" and speaks as that does, a JSON object a line:
 *	{"op":"ask"}                                            from here on it is asked
 *	{"event":"open","id":1,"url":"…","host":"…","port":0}   the question; port: where the log-in comes back to, or 0
 *	{"op":"answer","id":1,"decision":"once"}                or "no", or "never" for the rest of the run
 * It is the supervisor's own: an answer does not pass through the gateway, which reads what hostile servers send.
 */
#ifndef BAILEY_CLI_ASKERS_H
#define BAILEY_CLI_ASKERS_H

#include "cli.h"

enum askers_answer { ASKERS_ONCE, ASKERS_NO, ASKERS_NEVER, ASKERS_GONE };

struct askers;

/**
 * askers_begin() - listen, in the directory @dir.
 * @answered: gets the first answer to the question that stands; ASKERS_GONE: nobody is left who could give one
 * Return: it, owned by the caller; NULL: it can't be done, and nobody is asked.
 */
struct askers *askers_begin(struct loop *loop, int dir,
			    void (*answered)(void *arg, enum askers_answer answer), void *arg);

/** askers_ask() - put a question to all of them. Return: whether there is anybody. */
bool askers_ask(struct askers *a, const char *url, const struct url *u);

/** askers_forget() - the question that stands needs no answer any more; NULL is fine. */
void askers_forget(struct askers *a);

/** askers_end() - remove the socket and free; NULL is fine. */
void askers_end(struct askers *a);

#endif
