/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules out of bytes: two bytes are a rule, one its layer and kind, one its path of at most four components a-d. Paths are that few so
 * that rules meet; every byte means something, so that nothing of an input is lost.
 */
#ifndef FUZZ_RULES_H
#define FUZZ_RULES_H

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
	bool allow =
		kind == POLICY_ALLOW_READ || kind == POLICY_ALLOW_WRITE || kind == POLICY_UNPROTECT;

	return layer == POLICY_BUILTIN ? !allow : kind != POLICY_PRIVATE;
}

static inline void fuzz_rules(struct policy *p, struct arena *a, const uint8_t *data, size_t size)
{
	char path[16];
	size_t i;

	policy_init(p, a);
	for (i = 0; i + 1 < size && i < 64; i += 2) {
		enum policy_kind kind = (enum policy_kind)(data[i] % POLICY_KIND_NUM);
		enum policy_layer layer =
			(enum policy_layer)(data[i] / POLICY_KIND_NUM % POLICY_LAYER_NUM);

		if (!fuzz_sensible(layer, kind))
			continue;
		fuzz_path(data[i + 1] + (data[i] >= 180 ? 256u : 0), path);
		FUZZ_REQUIRE(policy_add(p, kind, layer, path, "fuzz", NULL) == 0);
	}
	policy_seal(p);
}

#endif
