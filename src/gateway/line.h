/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_GATEWAY_LINE_H
#define BAILEY_GATEWAY_LINE_H

#include "gw.h"

struct conn;

/** line_event() - of the line to the supervisor (g->alive). */
void line_event(struct gateway *g, struct watch *w, uint32_t events);

/** line_dial() - have the supervisor connect to the unix socket for @c, which is in CONN_DIAL then. Return: 0 or negative errno. */
int line_dial(struct gateway *g, struct conn *c);

/** line_unlogged() - tell the supervisor that the log can't be written. Return: whether it was told. */
bool line_unlogged(struct gateway *g);

/** line_wake() - somebody connects to a published port: tell the supervisor of a sandbox that is paused. */
void line_wake(struct gateway *g);

#endif
