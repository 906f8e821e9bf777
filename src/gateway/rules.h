/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_GATEWAY_RULES_H
#define BAILEY_GATEWAY_RULES_H

#include "gw.h"

#define RULES_ARENA (16u << 20) /* bytes of all rules, and of what changes later */

/** rules_begin() - g->policy is a copy of the policy of g->setup, whose memory goes. Return: 0 or negative errno with @e. */
int rules_begin(struct gateway *g, struct err *e);

/**
 * rules_replace() - all rules but live ones are those of @p from here on, for what is open, too.
 * @p: of net_policy_pack()
 * Return: 0 or negative errno with @e: then nothing has changed.
 */
int rules_replace(struct gateway *g, const void *p, size_t n, struct err *e);

/**
 * rules_live() - what was said live is what @changes makes of nothing, at once and for what is open, too; what somebody answered stays.
 * @changes: a list of objects as net_change_read() takes
 * @strict: so many, the last ones, must be possible; others that are not are passed over, as at a start
 * @only_try: change nothing
 * Return: 0 or negative errno with @e: then nothing has changed.
 */
int rules_live(struct gateway *g, const struct json_node *changes, size_t strict, bool only_try,
	       struct err *e);

#endif
