/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to the caller's sandboxes that stay: lines of JSON in events.log below bailey's state, which are only ever appended. Whoever does something
 * writes its line. A file that has LIMIT_EVENTS bytes becomes events.log.1; what stood there is gone.
 */
#ifndef BAILEY_CLI_EVENTS_H
#define BAILEY_CLI_EVENTS_H

#include <stdint.h>

#define EVENTS_FILE "events.log"
#define EVENTS_OLD "events.log.1"

struct event {
	const char *what; /* "created" … */
	const char *id, *name;
	const char *why;     /* or NULL */
	const char *from;    /* the name before, or NULL */
	const char *service; /* whose session it is, or NULL */
	uint32_t session;    /* of a command; 0: none */
	int status;          /* exit status of that, or -1 */
};

/** events_add() - append a line. It is for people: what can't be written is left out. @state: of bailey's state */
void events_add(int state, const struct event *ev);

#endif
