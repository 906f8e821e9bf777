/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any rules: policy_eval() and the reference agree, and the verdict names a rule that covers the path. The rules over a path are those over
 * the deepest path that a rule names, so those paths stand for all.
 */
#include "policy-reference.h"
#include "rules.h"

static void check(const struct policy *p, const char *path)
{
	struct policy_verdict v = policy_eval(p, path);
	const struct policy_rule *copy = policy_copy(p, path);
	enum policy_state want = ref_eval(p, path);

	if (v.state != want) {
		fprintf(stderr, "%s is %s, by the reference %s\n", path, policy_state_name(v.state),
			policy_state_name(want));
		abort();
	}
	FUZZ_REQUIRE(policy_state_name(v.state)[0] != '?');
	FUZZ_REQUIRE(!v.read_rule || ref_reach(v.read_rule->path, path) >= 0);
	FUZZ_REQUIRE(!v.write_rule || ref_reach(v.write_rule->path, path) >= 0);
	FUZZ_REQUIRE(v.read_rule || v.state == POLICY_SHOW_RO || v.state == POLICY_SHOW_RW);
	FUZZ_REQUIRE(v.write_rule || v.state == POLICY_SHOW_RO);
	FUZZ_REQUIRE((copy ? ref_reach(copy->path, path) : -1) == ref_copy(p, path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct policy p;
	char below[32];
	size_t i;

	if (size > 64)
		return 0;
	fuzz_rules(&p, &a, data, size);
	FUZZ_REQUIRE(policy_add(&p, POLICY_HIDE, POLICY_USER, "no/root", "fuzz", NULL) == -EINVAL);
	check(&p, "/");
	for (i = 0; i < p.n; i++) {
		check(&p, p.rules[i].path);
		FUZZ_REQUIRE(policy_kind_name(p.rules[i].kind)[0] != '?' &&
			     policy_layer_name(p.rules[i].layer)[0] != '?');
		snprintf(below, sizeof(below), "%s/x/y", p.rules[i].path[1] ? p.rules[i].path : "");
		check(&p, below);
		FUZZ_REQUIRE(p.rules[i].kind != POLICY_SOCKET ||
			     !policy_eval_socket(&p, &p.rules[i]) == ref_socket(&p, &p.rules[i]));
	}
	arena_done(&a);
	return 0;
}
