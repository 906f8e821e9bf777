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

struct masks {
	struct inject_secret *v; /* the arena's */
	size_t n;
	struct arena arena; /* erased */
};

/**
 * masks_take() - read the list @list; each {"name", "value", "sentinel", "hosts"}, of AWS also {"id", "id_sentinel", "chunks", "urls"} and {"token", "token_sentinel"}.
 * What was read is erased in @list, whatever comes of it.
 * @list: NULL: there are none
 * @ret: masks_done() in any case
 * Return: 0, or -EINVAL, -E2BIG, -ENOMEM with @e, which quotes no value.
 */
int masks_take(struct masks *ret, const struct json_node *list, struct err *e);

/** masks_done() - erase and free. */
void masks_done(struct masks *m);

#endif
