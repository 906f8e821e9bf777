/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules out of bytes: two bytes are a rule, one its layer and kind, one its path of at most four components a-d. Paths are that few so
 * that rules meet; every byte means something, so that nothing of an input is lost.
 */
#ifndef FUZZ_RULES_H
#define FUZZ_RULES_H

#include <errno.h>

#include "fuzz.h"
#include "policy/policy.h"

#define FUZZ_PATHS 341 /* 1 + 4 + 16 + 64 + 256 */

/* The path number @n of all with up to four components; @out: 16 bytes. */
static inline void fuzz_path(unsigned int n, char *out)
{
	unsigned int depth = 0, width = 1;

	n %= FUZZ_PATHS;
	while (n >= width) {
		n -= width;
		width *= 4;
		depth++;
	}
	memcpy(out, "/", 2);
	for (; depth > 0; depth--) {
		*out++ = '/';
		*out++ = (char)('a' + n % 4);
		*out = '\0';
		n /= 4;
	}
}

/* What no layer has today is left out: nothing is written down about it. */
static inline bool fuzz_sensible(enum policy_layer layer, enum policy_kind kind)
{
	if (layer == POLICY_BUILTIN || layer == POLICY_UNTRUSTED)
		return !policy_grants(kind) && (kind != POLICY_PRIVATE || layer == POLICY_BUILTIN);
	return kind != POLICY_PRIVATE;
}

/* A kind and a layer: the first 36 are one of each, and so are what is left; between them kinds, and a layer, of which some would be too few. */
static inline int fuzz_rule(struct policy *p, uint8_t word, const char *path)
{
	static const enum policy_layer layers[] = { POLICY_BUILTIN, POLICY_MANAGED, POLICY_USER,
						    POLICY_PROJECT, POLICY_COMMAND, POLICY_LIVE };
	enum policy_layer layer = layers[word / 6 % 6];
	enum policy_kind kind = (enum policy_kind)(word % 6);

	switch (word / 36) {
	case 3:
		layer = POLICY_UNTRUSTED;
		break;
	case 4:
		kind = POLICY_SOCKET;
		break;
	case 5:
		kind = POLICY_UNPROTECT;
		break;
	case 6:
		kind = POLICY_ALLOW_WRITE;
		break;
	}
	if (layer == POLICY_UNTRUSTED && policy_grants(kind)) {
		FUZZ_REQUIRE(policy_add(p, kind, layer, path, "fuzz", NULL) == -EPERM);
		return 0;
	}
	if (!fuzz_sensible(layer, kind))
		return 0;
	return word / 36 == 6 ? policy_add_copy(p, layer, path, "fuzz", NULL) :
				policy_add(p, kind, layer, path, "fuzz", NULL);
}

static inline void fuzz_rules(struct policy *p, struct arena *a, const uint8_t *data, size_t size)
{
	char path[16];
	size_t i;

	policy_init(p, a);
	for (i = 0; i + 1 < size && i < 64; i += 2) {
		fuzz_path(data[i + 1] + (data[i] >= 180 ? 256u : 0), path);
		FUZZ_REQUIRE(fuzz_rule(p, data[i], path) == 0);
	}
	policy_seal(p);
}

#endif
