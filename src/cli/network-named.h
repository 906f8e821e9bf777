/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a sandbox that stays (docs/adr/0034): what is changed holds at once where it lives, for open connections, too, and is kept with it for its
 * next start. Its log is network/ID, with the sandbox's own ID.
 */
#ifndef BAILEY_CLI_NETWORK_NAMED_H
#define BAILEY_CLI_NETWORK_NAMED_H

#include "life-options.h"
#include "named.h"

struct network_named {
	struct named named;
	struct named_box box;
	struct life_options options; /* once they are read */
};

/** network_named_open() - find the sandbox @word. Return: 1; 0: there is none of that name. network_named_done() in both cases. */
int network_named_open(struct network_named *x, const char *word);
void network_named_done(struct network_named *x);

/**
 * network_named_change() - change its rules: all of @c or, when one of them is wrong, nothing.
 * @c: @n of them; texts are borrowed
 * Return: 0 or negative errno with @e.
 */
int network_named_change(struct network_named *x, const struct net_change *c, size_t n,
			 struct err *e);

/** network_named_bypassed() - whether the bypass @c is one of its changes. */
bool network_named_bypassed(struct network_named *x, const struct net_change *c);

/** network_named_policy() - mode and rules, as the gateway that lives has them, or the next start would. @ret: as network_runs_ask() */
int network_named_policy(struct network_named *x, const struct json_node **ret, struct err *e);

/** network_named_options() - the words that it was made with, read where it was made, with its changes. Return: 0 or negative errno with @e. */
int network_named_options(struct network_named *x, struct err *e);

#endif
