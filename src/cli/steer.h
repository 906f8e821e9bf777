/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run's gateway is told while it lives, and what it asks the supervisor for (struct gateway_message).
 *  1. steer_begin()     the policy of the first gateway
 *  2. steer_change()    another one, for this gateway and the next
 *  3. steer_hear(), steer_answer()   what the gateway says
 */
#ifndef BAILEY_CLI_STEER_H
#define BAILEY_CLI_STEER_H

#include "cli.h"

struct steer {
	struct net_policy policy; /* that a gateway begins with */
	struct arena memory;      /* of what was changed in it */
	char socket[LIMIT_PATH];  /* of the proxy for what is handed on, resolved; "": none */
};

/** steer_begin() - as the description says. */
void steer_begin(struct steer *st, const struct sandbox *s);

/**
 * steer_change() - rules of the command's layer, and what is handed on, are those of @c from now on; of other layers nothing changes.
 * @line: to the gateway that lives, or -1
 * Return: 0; -EPIPE: the gateway could not be told, and must end; or another negative errno with @e: nothing has changed.
 */
int steer_change(struct steer *st, const struct sandbox *s, const struct sandbox_network_rules *c,
		 int line, struct err *e);

/** steer_hear() - read one message of the gateway, whose bytes are hostile. Return: 1; 0: there is none now; -1: it has gone, or it was none. */
int steer_hear(int line, struct gateway_message *ret);

/** steer_answer() - do what @m asks for. Return: false: it asks for nothing that it may, or it has gone. */
bool steer_answer(const struct steer *st, int line, const struct gateway_message *m);

/** steer_done() - free everything. */
void steer_done(struct steer *st);

#endif
