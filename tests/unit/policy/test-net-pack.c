/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as bytes, and back. */
#include "tap.h"

#include <errno.h>

#include "policy/policy.h"

static void add(struct net_policy *p, const char *text, bool allow, bool cidr, enum policy_layer l,
		const char *reason)
{
	struct err e = ERR_INIT;
	struct net_rule r;

	if (net_rule_parse(&r, text, allow, cidr, true, l, "file:1", reason, p->arena, &e) < 0 ||
	    net_policy_add(p, &r, &e) < 0)
		FAIL("%s: %s", text, e.msg);
}

static void fill(struct net_policy *p, struct arena *a)
{
	struct err e = ERR_INIT;

	net_policy_init(p, a);
	p->mode = NET_MODE_DENY;
	p->mode_origin = "a rule";
	p->most_specific = 1u << POLICY_USER;
	add(p, "one.test:443", true, false, POLICY_COMMAND, NULL);
	add(p, "*.two.test", true, false, POLICY_USER, NULL);
	add(p, "**:22/udp", false, false, POLICY_MANAGED, "because");
	add(p, "10.0.0.0/8", false, true, POLICY_COMMAND, "");
	add(p, "[2001:db8::1]:80", true, false, POLICY_LIVE, NULL);
	p->rules[0].local = true;
	p->handed = arena_alloc(a, 2 * sizeof(*p->handed));
	REQUIRE(p->handed);
	REQUIRE(net_rule_parse(&p->handed[0], "*.handed.test", false, false, true, POLICY_COMMAND,
			       "", NULL, a, &e) == 0);
	REQUIRE(net_rule_parse(&p->handed[1], "192.0.2.1", false, false, true, POLICY_COMMAND, "",
			       NULL, a, &e) == 0);
	p->n_handed = 2;
}

static bool same_text(const char *a, const char *b)
{
	return !a == !b && (!a || strcmp(a, b) == 0);
}

static bool same(const struct net_rule *a, const struct net_rule *b)
{
	return a->allow == b->allow && a->what == b->what && a->port == b->port &&
	       a->proto == b->proto && a->layer == b->layer && a->local == b->local &&
	       a->prefix == b->prefix && memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0 &&
	       same_text(a->host, b->host) && same_text(a->text, b->text) &&
	       same_text(a->origin, b->origin) && same_text(a->reason, b->reason);
}

TEST(what_is_packed_comes_back)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA), b = ARENA_INIT(LIMIT_ARENA);
	struct buf out = BUF_INIT(LIMIT_NET_PACK);
	struct net_policy p, q;
	struct err e = ERR_INIT;
	size_t i;

	fill(&p, &a);
	net_policy_pack(&p, &out);
	REQUIRE(!out.failed);
	net_policy_init(&q, &b);
	if (net_policy_unpack(&q, out.data, out.len, &e) < 0)
		FAIL("%s", e.msg);
	CHECK(q.mode == p.mode && q.most_specific == p.most_specific && q.arena == &b);
	CHECK_STR(q.mode_origin, p.mode_origin);
	REQUIRE(q.n == p.n && q.n_handed == p.n_handed);
	for (i = 0; i < p.n; i++)
		CHECK(same(&p.rules[i], &q.rules[i]));
	for (i = 0; i < p.n_handed; i++)
		CHECK(same(&p.handed[i], &q.handed[i]));
	arena_done(&a); /* nothing of it is pointed to */
	CHECK_STR(q.rules[0].host, "one.test");
	buf_done(&out);
	arena_done(&b);
}

TEST(what_is_cut_or_changed_is_refused_or_a_policy)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct buf out = BUF_INIT(LIMIT_NET_PACK);
	struct net_policy p, q;
	size_t i, k;
	unsigned int bit;

	fill(&p, &a);
	net_policy_pack(&p, &out);
	REQUIRE(!out.failed);
	for (i = 0; i < out.len; i++) {
		struct arena b = ARENA_INIT(LIMIT_ARENA);
		char *copy = malloc(i + 1); /* so that a sanitizer sees its end */

		REQUIRE(copy);
		memcpy(copy, out.data, i);
		net_policy_init(&q, &b);
		if (net_policy_unpack(&q, copy, i, NULL) == 0)
			FAIL("the first %zu bytes alone are taken", i);
		free(copy);
		arena_done(&b);
	}
	for (i = 0; i < out.len; i++) {
		for (bit = 0; bit < 8; bit++) {
			struct arena b = ARENA_INIT(LIMIT_ARENA);

			out.data[i] = (char)(out.data[i] ^ (1 << bit));
			net_policy_init(&q, &b);
			if (net_policy_unpack(&q, out.data, out.len, NULL) == 0) {
				for (k = 0; k < q.n; k++) {
					if (q.rules[k].what > NET_RULE_CIDR ||
					    q.rules[k].layer >= POLICY_LAYER_NUM ||
					    q.rules[k].prefix > 128 || !q.rules[k].text ||
					    (q.rules[k].what <= NET_RULE_SUBDOMAINS &&
					     !q.rules[k].host))
						FAIL("byte %zu, bit %u", i, bit);
				}
			} else if (q.n != 0) {
				FAIL("byte %zu, bit %u: a failure leaves something", i, bit);
			}
			out.data[i] = (char)(out.data[i] ^ (1 << bit));
			arena_done(&b);
		}
	}
	buf_done(&out);
	arena_done(&a);
}

TEST(live_rules_have_places_of_their_own)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy p;
	struct net_rule r;
	int i;

	net_policy_init(&p, &a);
	REQUIRE(net_rule_parse(&r, "one.test", true, false, true, POLICY_COMMAND, "", NULL, &a,
			       NULL) == 0);
	for (i = 0; i < LIMIT_NET_RULES; i++)
		REQUIRE(net_policy_add(&p, &r, NULL) == 0);
	CHECK(net_policy_add(&p, &r, NULL) == -E2BIG);
	r.layer = POLICY_LIVE;
	for (i = 0; i < LIMIT_NET_LIVE; i++)
		REQUIRE(net_policy_add(&p, &r, NULL) == 0);
	CHECK(net_policy_add(&p, &r, NULL) == -E2BIG);
	arena_done(&a);
}

TEST(what_is_handed_on)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_addr addr, other;
	struct net_policy p;
	struct net_request q = { .port = 443, .proto = NET_TCP };

	fill(&p, &a);
	REQUIRE(net_addr_parse(&addr, "192.0.2.1", 9) && net_addr_parse(&other, "192.0.2.2", 9));
	q.host = "a.handed.test";
	CHECK(net_policy_handed(&p, &q));
	q.host = "handed.test";
	CHECK(!net_policy_handed(&p, &q));
	q.host = "one.test";
	CHECK(!net_policy_handed(&p, &q));
	q.host = NULL;
	CHECK(!net_policy_handed(&p, &q));
	q.addr = &addr;
	CHECK(net_policy_handed(&p, &q));
	q.addr = &other;
	CHECK(!net_policy_handed(&p, &q));
	arena_done(&a);
}
