/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's name server. A denied name is refused; an allowed one gets an address of its own (names.h). What a rule names exactly is
 * answered without asking anybody; names under a wildcard must exist, so that a search list works, and are slowed down, so that they carry
 * nothing away.
 */
#ifndef BAILEY_GATEWAY_ANSWER_H
#define BAILEY_GATEWAY_ANSWER_H

#include "gw.h"

struct conn;

/** answer_datagrams() - take what waits at the DNS socket. */
void answer_datagrams(struct gateway *g);

/**
 * answer_may_look_up() - whether @host may be looked up for a connection: slowly, when it is a new name under a wildcard.
 * @exact: a rule names it, or a human has said yes to it
 */
bool answer_may_look_up(struct gateway *g, const char *host, bool exact);

/** answer_step() - the same for a TCP connection to port 53. Return: whether it made progress. */
bool answer_step(struct gateway *g, struct conn *c);

/** answer_forget() - @c ends while its question waits. */
void answer_forget(struct gateway *g, struct conn *c);

#endif
