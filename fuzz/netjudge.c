/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules out of bytes, four bytes each, and every request of a small world. The judge agrees with the sentences of docs/adr/0019: another denial never
 * allows more, another grant never denies more, the order of rules is no matter, and what is not public is never reached by accident.
 */
#include <errno.h>

#include "fuzz.h"
#include "policy/policy.h"

#define RULES 12
#define HOSTS 5
#define ADDRS 8

static const char *const hosts[HOSTS] = { "a.org", "x.a.org", "y.x.a.org", "b.org", "org" };
static const char *const addrs[ADDRS] = { "8.8.8.8",         "10.0.0.1",     "127.0.0.1",
					  "169.254.169.254", "fd00::1",      "2606:4700::1",
					  "64:ff9b::a00:1",  "2002:7f00:1::" };
static const char *const words[] = { "a.org", "*.a.org", "x.a.org",  "*.x.a.org", "b.org",
				     "**",    "8.8.8.8", "10.0.0.1", "127.0.0.1", "[fd00::1]" };
static const char *const ranges[] = { "0.0.0.0/0",      "8.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8",
				      "169.254.0.0/16", "fc00::/7",  "::/0",       "64:ff9b::/96",
				      "10.0.0.0/7",     "fc00::/6",  "126.0.0.0/7" };

/* The rule that four bytes mean. Return: false when they mean none. */
static bool make_rule(const uint8_t *b, struct net_rule *r, struct arena *a)
{
	static const enum policy_layer layers[] = { POLICY_BUILTIN,   POLICY_MANAGED,
						    POLICY_USER,      POLICY_PROJECT,
						    POLICY_UNTRUSTED, POLICY_COMMAND,
						    POLICY_LIVE };
	bool allow = b[0] & 1, cidr = b[0] & 2;
	const char *word =
		cidr ? ranges[b[1] % ARRAY_SIZE(ranges)] : words[b[1] % ARRAY_SIZE(words)];
	const char *port = b[2] & 1 ? (b[2] & 2 ? ":22" : ":443") : "";
	char text[64];

	if (cidr && *port && strchr(word, ':'))
		snprintf(text, sizeof(text), "[%s]%s", word, port);
	else
		snprintf(text, sizeof(text), "%s%s%s", word, port, b[2] & 4 ? "/udp" : "");
	return net_rule_parse(r, text, allow, cidr, true, layers[b[3] % ARRAY_SIZE(layers)], "fuzz",
			      NULL, a, NULL) == 0;
}

/* Verdicts of all requests, in one order. */
struct world {
	struct net_verdict v[(HOSTS * (1 + ADDRS) + ADDRS) * 2 * 2];
	size_t n;
};

static void ask(const struct net_policy *p, struct world *w)
{
	struct net_request q;
	struct net_addr a[ADDRS];
	size_t h, i, k;

	w->n = 0;
	for (i = 0; i < ADDRS; i++)
		FUZZ_REQUIRE(net_addr_parse(&a[i], addrs[i], strlen(addrs[i])));
	for (k = 0; k < 4; k++) {
		q.port = k & 1 ? 22 : 443;
		q.proto = k & 2 ? NET_UDP : NET_TCP;
		for (h = 0; h < HOSTS; h++) {
			struct net_verdict v;

			q.host = hosts[h];
			q.addr = NULL;
			w->v[w->n++] = v = net_policy_judge(p, &q);
			for (i = 0; i < ADDRS; i++)
				w->v[w->n++] = net_policy_judge_answer(p, &q, &v, &a[i]);
		}
		q.host = NULL;
		for (i = 0; i < ADDRS; i++) {
			q.addr = &a[i];
			w->v[w->n++] = net_policy_judge(p, &q);
		}
	}
	FUZZ_REQUIRE(w->n == ARRAY_SIZE(w->v));
}

static void check_text(const struct net_policy *p, const struct net_verdict *v)
{
	struct net_request q = { .host = "a.org", .port = 1, .proto = NET_TCP };
	struct buf b = BUF_INIT(4096);

	net_verdict_text(p, &q, v, &b);
	FUZZ_REQUIRE(!b.failed && b.len > 8);
	buf_done(&b);
}

/* A range that holds nothing but addresses of a class: neither end of it is of another. */
static bool lies_in(const struct net_rule *r, enum net_class cls)
{
	struct net_addr end = r->addr;
	unsigned int i, bits;

	for (i = r->prefix; i < 128; i++)
		end.b[i / 8] |= (uint8_t)(128 >> i % 8);
	return net_addr_judge(&r->addr, &bits) == cls && net_addr_judge(&end, &bits) == cls;
}

static void check_verdict(const struct net_policy *p, const struct net_verdict *v)
{
	FUZZ_REQUIRE(v->allowed || !v->names_port);
	FUZZ_REQUIRE(!v->rule || v->rule->allow == v->allowed);
	FUZZ_REQUIRE(!v->rule || !v->rule->allow || v->rule->layer != POLICY_UNTRUSTED);
	FUZZ_REQUIRE(p->mode != NET_MODE_NONE || !v->allowed);
	FUZZ_REQUIRE(p->mode != NET_MODE_DENY || !v->allowed || v->rule);
	/* beyond the public internet something has named that address, or exactly that name */
	if (p->mode != NET_MODE_HOST && v->allowed && v->cls != NET_CLASS_PUBLIC) {
		FUZZ_REQUIRE(v->rule);
		FUZZ_REQUIRE(v->rule->what == NET_RULE_CIDR ||
			     (v->rule->what == NET_RULE_HOST && v->cls == NET_CLASS_PRIVATE));
		FUZZ_REQUIRE(v->rule->what != NET_RULE_CIDR || lies_in(v->rule, v->cls));
	}
}

/* The denial that is like a grant, in its layer, takes it away. */
static void check_twin(const struct net_policy *p, const struct net_rule *allow)
{
	struct net_policy twin = *p;
	struct net_rule deny = *allow;
	struct world w;
	size_t i;

	deny.allow = false;
	FUZZ_REQUIRE(net_policy_add(&twin, &deny, NULL) == 0);
	ask(&twin, &w);
	for (i = 0; i < w.n; i++)
		FUZZ_REQUIRE(!w.v[i].allowed || !w.v[i].rule ||
			     w.v[i].rule->layer != allow->layer ||
			     strcmp(w.v[i].rule->text, allow->text) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(1 << 20);
	struct net_policy p, more, turned;
	struct world before, after, other;
	struct net_rule rule[RULES];
	size_t i, n = 0;

	if (size < 1 || size > 1 + 4 * RULES)
		return 0;
	net_policy_init(&p, &a);
	p.mode = (enum net_mode)(data[0] % NET_MODE_NUM);
	p.most_specific = data[0] & 128 ? ~0u : 0;
	FUZZ_REQUIRE(net_mode_parse(net_mode_name(p.mode), NULL) == (int)p.mode);
	more = turned = p;
	for (i = 1; i + 4 <= size; i += 4) {
		if (!make_rule(data + i, &rule[n], &a))
			continue;
		if (rule[n].allow && rule[n].layer == POLICY_UNTRUSTED)
			FUZZ_REQUIRE(net_policy_add(&p, &rule[n], NULL) == -EPERM);
		else
			n++;
	}
	for (i = 0; i < n; i++) {
		FUZZ_REQUIRE(net_policy_add(&more, &rule[i], NULL) == 0);
		FUZZ_REQUIRE(net_policy_add(&turned, &rule[n - 1 - i], NULL) == 0);
		if (i + 1 < n)
			FUZZ_REQUIRE(net_policy_add(&p, &rule[i], NULL) == 0);
	}
	ask(&p, &before);
	ask(&more, &after);
	ask(&turned, &other);
	for (i = 0; i < after.n; i++) {
		check_verdict(&more, &after.v[i]);
		if (i % 16 == 0)
			check_text(&more, &after.v[i]);
		FUZZ_REQUIRE(after.v[i].allowed == other.v[i].allowed);
		FUZZ_REQUIRE(after.v[i].names_port == other.v[i].names_port);
		if (n && rule[n - 1].allow)
			FUZZ_REQUIRE(after.v[i].allowed || !before.v[i].allowed);
		else
			FUZZ_REQUIRE(!after.v[i].allowed || before.v[i].allowed);
	}
	if (n && rule[n - 1].allow)
		check_twin(&more, &rule[n - 1]);
	arena_done(&a);
	return 0;
}
