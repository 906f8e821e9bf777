/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a gateway: JSON lines, for the user whose sandbox it is. One object a line, one answer a line.
 *
 *	{"op":"allow","rule":"example.org:443","reason":"…"}   and the other changes of policy/net-change.h
 *	{"op":"live","changes":[…],"new":N,"try":false}        nothing else was said live (docs/adr/0039); the last N must be possible; "try": only say whether
 *	{"op":"policy"}                                        {"ok":true,"mode":"deny","rules":[{"action":"allow","rule":"…","layer":"…","origin":"…"}…]}
 *	{"op":"status"}                                        {"ok":true,"connections":N,…}
 *	{"op":"ask"}                                           from now on {"event":"ask","id":N,"name":"…","port":N,"protocol":"tcp"} lines come
 *	{"op":"answer","id":N,"decision":"once"}               also "always", "never"
 *
 * An answer is {"ok":true} or {"ok":false,"error":"…"}. What changes applies to open connections before the answer is sent.
 */
#ifndef BAILEY_GATEWAY_CONTROL_H
#define BAILEY_GATEWAY_CONTROL_H

#include "gw.h"

struct conn;

/** control_accept() - take clients. */
void control_accept(struct gateway *g);

/** control_ask() - a human is to decide about @c, which no rule speaks of. Return: false when there is nobody to ask. */
bool control_ask(struct gateway *g, struct conn *c);

/** control_changed() - rules have changed: judge everything that is open again. */
void control_changed(struct gateway *g);

/** control_replay() - before the filter: what changed while another gateway lived. */
void control_replay(struct gateway *g);

#endif
