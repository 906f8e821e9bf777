/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks: secrets of one run that are in no store (docs/adr/0020, 0022). The supervisor has their values and has made their sentinels; the sandbox has these already. A mask
 * is replaced wherever it stands in a request to its hosts, or, of AWS, signed with.
 */
#ifndef BAILEY_KEYS_MASK_H
#define BAILEY_KEYS_MASK_H

#include "bound.h"
#include "keys.h"
#include "login.h"
#include "policy/policy.h"

#define MASKS_MAX KEYS_MASKS
_Static_assert(MASKS_MAX + BOUND_SECRETS + LOGIN_TOKENS <= INJECT_SECRETS,
	       "there is no place for all secrets");

#define MASKS_NONE SIZE_MAX

/* Three masks that sign together, by their places in the list. */
struct masks_pair {
	size_t id, value, token; /* token: or MASKS_NONE */
};

struct masks {
	struct inject_secret *v; /* as they came; the arena's */
	size_t n;
	struct inject_secret *bound; /* what they are: each alone, or a part of a pair; the same */
	size_t n_bound;
	struct masks_pair pairs[MASKS_MAX];
	size_t n_pairs;
	bool was[MASKS_MAX]; /* a part of a pair once */
	struct arena arena;  /* erased */
};

/**
 * masks_take() - read the list @list; each {"name", "value", "sentinel", "hosts"}. What was read is erased in @list, whatever comes of it.
 * @list: NULL: there are none
 * @ret: masks_done() in any case
 * Return: 0, or -EINVAL, -E2BIG, -ENOMEM with @e, which quotes no value.
 */
int masks_take(struct masks *ret, const struct json_node *list, struct err *e);

/**
 * masks_pairs() - which of them sign for AWS: {"sign":[[ID,VALUE] or [ID,VALUE,TOKEN]…],"chunks":BOOL,"urls":BOOL}: places in the list of masks_take(). A pair is bound to the
 * hosts of its id. What was a part of a pair, and is none any more, is put in nowhere.
 * @list: NULL: none, at the start; without "sign" the pairs stay as they are
 * Return: 0, or -EINVAL with @e: nothing has changed.
 */
int masks_pairs(struct masks *m, const struct json_node *list, struct err *e);

/** masks_done() - erase and free. */
void masks_done(struct masks *m);

#endif
