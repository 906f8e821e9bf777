/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line as a rule, read in every way: what is taken is enforceable and covers what it says; what is refused says why. Lines that follow are requests:
 * adding this rule to a policy only allows, or only denies.
 */
#include <errno.h>

#include "fuzz.h"
#include "policy/policy.h"

static void covers(const struct net_rule *rule, struct arena *a)
{
	char below[NET_HOST_MAX + 3];
	struct net_request q = { .port = rule->port ? rule->port : 443,
				 .proto = rule->proto & NET_TCP ? NET_TCP : NET_UDP };
	struct net_policy p;
	struct net_verdict v;

	net_policy_init(&p, a);
	p.mode = rule->allow ? NET_MODE_DENY : NET_MODE_ALLOW;
	FUZZ_REQUIRE(net_policy_add(&p, rule, NULL) == 0);
	q.host = rule->what == NET_RULE_ANY ? "any.example" : rule->host;
	if (rule->what == NET_RULE_CIDR)
		q.addr = &rule->addr;
	if (rule->what == NET_RULE_SUBDOMAINS) {
		v = net_policy_judge(&p, &q);
		FUZZ_REQUIRE(v.rule == NULL);
		snprintf(below, sizeof(below), "x.%s", rule->host);
		q.host = below;
	}
	v = net_policy_judge(&p, &q);
	if (rule->what == NET_RULE_CIDR && rule->allow && rule->prefix < 128 && !v.allowed)
		FUZZ_REQUIRE(v.cls != NET_CLASS_PUBLIC);
	else
		FUZZ_REQUIRE(v.allowed == rule->allow && v.rule == p.rules);
	q.port = (uint16_t)(q.port ^ 1);
	v = net_policy_judge(&p, &q);
	FUZZ_REQUIRE(!rule->port || v.rule == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(1 << 20);
	char text[1024];
	struct net_rule rule;
	int way;

	if (size > sizeof(text) - 1)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (way = 0; way < 8; way++) {
		bool allow = way & 1, cidr = way & 2, risky = way & 4;
		struct err e = ERR_INIT;
		int r = net_rule_parse(&rule, text, allow, cidr, risky, POLICY_USER, "x", NULL, &a,
				       &e);

		if (r < 0) {
			FUZZ_REQUIRE(r == -EINVAL && e.code == ERR_USAGE && e.msg[0]);
			continue;
		}
		FUZZ_REQUIRE(strcmp(rule.text, text) == 0 && rule.allow == allow && rule.proto);
		FUZZ_REQUIRE(!cidr || rule.what == NET_RULE_CIDR);
		FUZZ_REQUIRE((rule.what == NET_RULE_HOST || rule.what == NET_RULE_SUBDOMAINS) ==
			     (rule.host != NULL));
		FUZZ_REQUIRE(!allow || !(rule.proto & NET_UDP) || rule.port);
		FUZZ_REQUIRE(risky || !allow || rule.what != NET_RULE_SUBDOMAINS ||
			     !net_public_suffix(rule.host));
		covers(&rule, &a);
	}
	arena_done(&a);
	return 0;
}
