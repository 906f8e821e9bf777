/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 on an open connection: a session with the client, one with the server, and streams that are judged one by one. */
#ifndef BAILEY_KEYS_H2_H
#define BAILEY_KEYS_H2_H

#include "engine.h"

#define H2_WINDOW \
	(512u << 10)     /* bytes of bodies that one peer may send before they were passed on */
#define H2_STREAMS 1024u /* at a time; fewer when the server takes fewer */
#define H2_BOUND_STREAMS 100u /* to a bound host: each has more to be kept */
#define H2_PENDING \
	(256u      \
	 << 10) /* bytes of heads that wait until the server takes more streams; then streams are refused */

/** h2_begin() - Return: 0 or -ENOMEM. */
int h2_begin(struct conn *c);

/** h2_step() - do what can be done now. Return: whether something moved. The connection may have ended. */
bool h2_step(struct conn *c);

/** h2_tick() - times. Return: whether answers are awaited. The connection may have ended. */
bool h2_tick(struct conn *c);

/** h2_free() - takes NULL. Return: NULL. */
struct h2 *h2_free(struct h2 *h);

#endif
