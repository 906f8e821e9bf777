/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of network rules: read, written, applied. */
#include "tap.h"

#include <errno.h>

#include "policy/policy.h"

static const struct json_node *read_text(const char *text, struct arena *a)
{
	const struct json_node *o = NULL;

	REQUIRE(json_read("test", text, strlen(text), a, &o, NULL) == 0);
	return o;
}

/* Return: of net_change_apply(), or of net_change_read() when that fails. */
static int apply(struct net_policy *p, const char *text)
{
	struct net_change c;
	int r = net_change_read(read_text(text, p->arena), &c, NULL);

	return r < 0 ? r : net_change_apply(p, &c, NULL, NULL);
}

static bool allowed(const struct net_policy *p, const char *host, uint16_t port)
{
	const struct net_request q = { .host = host, .port = port, .proto = NET_TCP };

	return net_policy_judge(p, &q).allowed;
}

static bool may_dial(const struct net_policy *p, const char *host, const char *addr)
{
	const struct net_request q = { .host = host, .port = 443, .proto = NET_TCP };
	const struct net_verdict v = net_policy_judge(p, &q);
	struct net_addr a;

	REQUIRE(net_addr_parse(&a, addr, strlen(addr)));
	return net_policy_judge_answer(p, &q, &v, &a).allowed;
}

static void begin(struct net_policy *p, struct arena *a)
{
	net_policy_init(p, a);
	p->mode = NET_MODE_DENY;
}

TEST(what_is_said_again_replaces)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy p;

	begin(&p, &a);
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test\"}") == 0 &&
	      allowed(&p, "a.test", 443));
	CHECK(apply(&p, "{\"op\":\"deny\",\"rule\":\"A.test.\"}") == 0 &&
	      !allowed(&p, "a.test", 443));
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test\"}") == 0 &&
	      allowed(&p, "a.test", 443));
	CHECK(apply(&p, "{\"op\":\"remove\",\"rule\":\"a.test:443\"}") == -ENOENT);
	CHECK(apply(&p, "{\"op\":\"remove\",\"rule\":\"a.test\"}") == 0 &&
	      !allowed(&p, "a.test", 443));
	CHECK(apply(&p, "{\"op\":\"remove\",\"rule\":\"a.test\"}") == -ENOENT);
	arena_done(&a);
}

static bool is_allowed(const struct net_policy *p, const char *host, enum net_proto proto)
{
	const struct net_request q = { .host = host, .port = 443, .proto = proto };

	return net_policy_judge(p, &q).allowed;
}

/* The texts of live rules that cover something, with blanks between them. */
static const char *live_rules(const struct net_policy *p)
{
	static char text[400];
	size_t i, n = 0;

	text[0] = '\0';
	for (i = 0; i < p->n; i++) {
		if (p->rules[i].proto)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "",
					      p->rules[i].text);
	}
	return text;
}

TEST(a_protocol_replaces_itself_alone)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy p;

	begin(&p, &a);
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test:443/udp\"}") == 0 &&
	      apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test:443/tcp\"}") == 0);
	CHECK(is_allowed(&p, "a.test", NET_UDP) && is_allowed(&p, "a.test", NET_TCP));
	/* without one a denial is of both, and so is what takes them away */
	CHECK(apply(&p, "{\"op\":\"deny\",\"rule\":\"a.test:443\"}") == 0);
	CHECK_STR(live_rules(&p), "a.test:443");
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test:443\"}") == 0);
	CHECK(is_allowed(&p, "a.test", NET_TCP) && !is_allowed(&p, "a.test", NET_UDP));
	CHECK_STR(live_rules(&p), "a.test:443/udp a.test:443");
	CHECK(apply(&p, "{\"op\":\"remove\",\"rule\":\"a.test:443/tcp\"}") == 0);
	CHECK_STR(live_rules(&p), "a.test:443/udp");
	CHECK(apply(&p, "{\"op\":\"remove\",\"rule\":\"a.test:443/tcp\"}") == -ENOENT);
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test:443/tcp\"}") == 0 &&
	      apply(&p, "{\"op\":\"remove\",\"rule\":\"a.test:443\"}") == 0);
	CHECK_STR(live_rules(&p), "");
	arena_done(&a);
}

/* What is left of @rule, a denial, when @text comes; NULL: nothing. */
static const char *left_of(const char *rule, const char *text, bool *ret_some, struct arena *a)
{
	struct net_change had = { .op = NET_CHANGE_DENY, .rule = rule }, c;

	REQUIRE(net_change_read(read_text(text, a), &c, NULL) == 0);
	return net_change_replaces(&had, &c, a, ret_some) ? NULL : had.rule;
}

TEST(what_is_kept_is_replaced_by_protocol)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	bool some;

	CHECK_STR(left_of("a.test", "{\"op\":\"allow\",\"rule\":\"a.test\"}", &some, &a),
		  "a.test/udp");
	CHECK(some);
	CHECK_STR(left_of("a.test/udp", "{\"op\":\"allow\",\"rule\":\"a.test\"}", &some, &a),
		  "a.test/udp");
	CHECK(!some);
	CHECK_STR(left_of("a.test", "{\"op\":\"remove\",\"rule\":\"a.test/udp\"}", &some, &a),
		  "a.test/tcp");
	CHECK(some);
	CHECK(!left_of("a.test/udp", "{\"op\":\"remove\",\"rule\":\"a.test\"}", &some, &a) && some);
	CHECK_STR(left_of("a.test", "{\"op\":\"remove\",\"rule\":\"b.test\"}", &some, &a),
		  "a.test");
	CHECK(!some);
	arena_done(&a);
}

TEST(specific)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy p;

	begin(&p, &a);
	CHECK(apply(&p, "{\"op\":\"deny\",\"rule\":\"**\"}") == 0);
	CHECK(apply(&p, "{\"op\":\"deny\",\"rule\":\"192.0.2.0/24\",\"cidr\":true}") == 0);
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test\"}") == 0 &&
	      !allowed(&p, "a.test", 443));
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"b.test\",\"specific\":true}") == 0);
	CHECK(allowed(&p, "a.test", 443) && allowed(&p, "b.test", 443) &&
	      !allowed(&p, "c.test", 443));
	CHECK(may_dial(&p, "a.test", "192.0.2.1"));
	CHECK(!may_dial(&p, "c.test", "192.0.2.1"));
	/* by the mode alone it may not lead there */
	CHECK(apply(&p, "{\"op\":\"remove\",\"rule\":\"**\"}") == 0 &&
	      apply(&p, "{\"op\":\"mode\",\"mode\":\"allow\"}") == 0);
	CHECK(may_dial(&p, "c.test", "198.51.100.1") && !may_dial(&p, "c.test", "192.0.2.1"));
	arena_done(&a);
}

TEST(a_denial_of_another_layer_stays)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy p;
	struct net_rule r;

	begin(&p, &a);
	REQUIRE(net_rule_parse(&r, "192.0.2.0/24", false, true, false, POLICY_USER, "file:1", NULL,
			       &a, NULL) == 0 &&
		net_policy_add(&p, &r, NULL) == 0);
	CHECK(apply(&p, "{\"op\":\"allow\",\"rule\":\"a.test\",\"specific\":true}") == 0);
	CHECK(!may_dial(&p, "a.test", "192.0.2.1") && may_dial(&p, "a.test", "198.51.100.1"));
	arena_done(&a);
}

TEST(mode_has_a_most)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy p;

	begin(&p, &a);
	CHECK(apply(&p, "{\"op\":\"mode\",\"mode\":\"allow\"}") == 0 && p.mode == NET_MODE_ALLOW);
	p.most = NET_MODE_DENY;
	CHECK(apply(&p, "{\"op\":\"mode\",\"mode\":\"deny\"}") == 0 && p.mode == NET_MODE_DENY);
	CHECK(apply(&p, "{\"op\":\"mode\",\"mode\":\"allow\"}") == -EPERM &&
	      p.mode == NET_MODE_DENY);
	CHECK(apply(&p, "{\"op\":\"mode\",\"mode\":\"host\"}") == -EINVAL);
	arena_done(&a);
}

TEST(bypass)
{
	const struct net_request q = { .host = "a.test", .port = 443, .proto = NET_TCP };
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy p;
	struct net_rule r[1];

	begin(&p, &a);
	REQUIRE(net_rule_parse(&r[0], "a.test", true, false, true, POLICY_COMMAND, "--inspect",
			       NULL, &a, NULL) == 0);
	p.inspects = r;
	p.n_inspects = 1;
	CHECK(net_policy_inspects(&p, &q));
	CHECK(apply(&p, "{\"op\":\"bypass\",\"rule\":\"*.test\"}") == 0 &&
	      !net_policy_inspects(&p, &q));
	CHECK(!allowed(&p, "a.test", 443)); /* it allows nothing */
	CHECK(apply(&p, "{\"op\":\"remove\",\"rule\":\"*.test\"}") == 0 &&
	      net_policy_inspects(&p, &q));
	r[0].layer = POLICY_BUILTIN; /* of a secret */
	p.inspects = r;
	p.n_inspects = 1;
	CHECK(apply(&p, "{\"op\":\"bypass\",\"rule\":\"a.test\"}") == 0 &&
	      net_policy_inspects(&p, &q));
	arena_done(&a);
}

TEST(written_and_read_again)
{
	static const char *const texts[] = {
		"{\"op\":\"allow\",\"rule\":\"a.test\",\"reason\":\"b \\\"c\\\"\",\"cidr\":false,\"risky\":true,\"answered\":false,\"specific\":true}",
		"{\"op\":\"mode\",\"mode\":\"deny\",\"cidr\":false,\"risky\":false,\"answered\":false,\"specific\":false}"
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		struct arena a = ARENA_INIT(LIMIT_ARENA);
		struct buf b = BUF_INIT(4096);
		struct json j = { .out = &b };
		struct net_change c;

		REQUIRE(net_change_read(read_text(texts[i], &a), &c, NULL) == 0);
		net_change_write(&c, &j);
		CHECK_STR(b.data, texts[i]);
		buf_done(&b);
		arena_done(&a);
	}
}

TEST(what_is_none)
{
	static const char *const texts[] = { "{}",
					     "[]",
					     "\"allow\"",
					     "{\"op\":\"allow\"}",
					     "{\"op\":1,\"rule\":\"a.test\"}",
					     "{\"op\":\"allow\",\"rule\":1}",
					     "{\"op\":\"forbid\",\"rule\":\"a.test\"}",
					     "{\"op\":\"mode\"}" };
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_change c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK(net_change_read(read_text(texts[i], &a), &c, NULL) == -EINVAL);
	arena_done(&a);
}
