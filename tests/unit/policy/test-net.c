/* SPDX-License-Identifier: Apache-2.0 */
/* Runs net.table: each row is a test. What a table can't say follows after it. */
#define TAP_NO_MAIN
#include "tap.h"

#include <errno.h>

#include "policy/policy.h"
#include "table.h"

static struct arena arena = ARENA_INIT(LIMIT_ARENA);

/* One row: "HOST:PORT[/udp] [-> ADDRESS] | allowed or denied | opaque or named or - | RULE". */
struct row {
	const struct table *table;
	const struct net_policy *policy;
	char target[300], answer[64], verdict[16], bytes[16], rule[400];
};

static void name_rule(const struct net_rule *r, char *out, size_t size)
{
	if (!r)
		snprintf(out, size, "default");
	else
		snprintf(out, size, "%s %s %s", policy_layer_name(r->layer),
			 r->allow ? "allow" : "deny", r->text);
}

/* "example.org:443", "[::1]:53/udp". */
static void read_request(const struct row *r, struct net_request *q, char *host,
			 struct net_addr *addr)
{
	char text[300], *colon, *slash;

	snprintf(text, sizeof(text), "%s", r->target);
	slash = strchr(text, '/');
	q->proto = slash && strcmp(slash, "/udp") == 0 ? NET_UDP : NET_TCP;
	if (slash)
		*slash = '\0';
	colon = strrchr(text, ':');
	if (!colon)
		table_die(r->table, "expected HOST:PORT");
	*colon = '\0';
	q->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	colon = text;
	if (*colon == '[') {
		colon++;
		colon[strlen(colon) - 1] = '\0';
	}
	if (net_addr_parse(addr, colon, strlen(colon)))
		q->addr = addr;
	else if (net_host_canon(colon, strlen(colon), host, NULL) >= 0)
		q->host = host;
	else
		table_die(r->table, "no host");
}

static void check_row(const void *arg)
{
	const struct row *r = arg;
	struct net_request q = { .host = NULL };
	struct net_addr addr, answer;
	struct net_verdict v;
	char host[NET_HOST_MAX + 1], rule[500];
	struct buf b = BUF_INIT(4096);

	read_request(r, &q, host, &addr);
	v = net_policy_judge(r->policy, &q);
	if (r->answer[0]) {
		REQUIRE(net_addr_parse(&answer, r->answer, strlen(r->answer)));
		if (!v.allowed)
			tap_fail(r->table->name, r->table->line, "the name is denied already");
		v = net_policy_judge_answer(r->policy, &q, &v, &answer);
		q.addr = &answer;
	}
	name_rule(v.rule, rule, sizeof(rule));
	if (v.allowed != (strcmp(r->verdict, "allowed") == 0))
		tap_fail(r->table->name, r->table->line, "it is not %s", r->verdict);
	if (strcmp(rule, r->rule) != 0)
		tap_fail(r->table->name, r->table->line, "decided by '%s', not by '%s'", rule,
			 r->rule);
	if (v.names_port != (strcmp(r->bytes, "opaque") == 0))
		tap_fail(r->table->name, r->table->line, "names_port is %d", v.names_port);
	net_verdict_text(r->policy, &q, &v, &b);
	CHECK(!b.failed && strncmp(b.data, r->verdict, strlen(r->verdict)) == 0);
	buf_done(&b);
}

/* "LAYER allow|deny|allow-cidr|deny-cidr|allow-local TEXT", "mode MODE", "preset NAME", "most-specific" */
static void table_net_rule(const struct table *t, const char *s, struct net_policy *p)
{
	char layer[32], kind[32], text[320], origin[64];
	struct net_rule rule;
	struct err e = ERR_INIT;
	int m;

	if (strcmp(s, "most-specific") == 0) {
		p->most_specific = 1u << POLICY_COMMAND;
		return;
	}
	if (sscanf(s, "mode %31s", kind) == 1) {
		m = net_mode_parse(kind, &e);
		if (m < 0)
			table_die(t, e.msg);
		p->mode = (enum net_mode)m;
		return;
	}
	if (sscanf(s, "preset %31s", kind) == 1) {
		if (net_policy_preset(p, kind, &e) < 0)
			table_die(t, e.msg);
		return;
	}
	if (sscanf(s, "%31s %31s %319s", layer, kind, text) != 3)
		table_die(t, "expected LAYER KIND RULE");
	snprintf(origin, sizeof(origin), "%s:%d", t->name, t->line);
	if (net_rule_parse(&rule, text, strncmp(kind, "allow", 5) == 0, strstr(kind, "-cidr"),
			   /* risky= */ false,
			   (enum policy_layer)table_word(t, layer, table_layer, POLICY_LAYER_NUM),
			   origin, NULL, p->arena, &e) < 0)
		table_die(t, e.msg);
	rule.local = strcmp(kind, "allow-local") == 0;
	if (net_policy_add(p, &rule, &e) < 0)
		table_die(t, e.msg);
}

static void run_table(const char *path)
{
	char title[200] = "", *s;
	struct net_policy policy;
	struct table t;
	struct row r;

	table_open(&t, path);
	net_policy_init(&policy, &arena);
	while ((s = table_next(&t))) {
		if (strncmp(s, "==", 2) == 0) {
			snprintf(title, sizeof(title), "%.190s", s + 3);
			arena_done(&arena);
			net_policy_init(&policy, &arena);
			policy.mode = NET_MODE_DENY;
			continue;
		}
		if (!strchr(s, '|')) {
			table_net_rule(&t, s, &policy);
			continue;
		}
		r.answer[0] = '\0';
		if (sscanf(s, "%299s -> %63s | %15s | %15s | %399[^|]", r.target, r.answer,
			   r.verdict, r.bytes, r.rule) != 5 &&
		    sscanf(s, "%299s | %15s | %15s | %399[^|]", r.target, r.verdict, r.bytes,
			   r.rule) != 4)
			table_die(&t, "expected HOST:PORT [-> ADDRESS] | VERDICT | BYTES | RULE");
		if ((strcmp(r.verdict, "allowed") != 0 && strcmp(r.verdict, "denied") != 0) ||
		    (strcmp(r.bytes, "opaque") != 0 && strcmp(r.bytes, "named") != 0 &&
		     strcmp(r.bytes, "-") != 0))
			table_die(&t, "expected allowed or denied, opaque, named or -");
		r.table = &t;
		r.policy = &policy;
		tap_run(check_row, &r, NULL, "%s:%d %s: %s %s", t.name, t.line, title, r.target,
			r.answer);
	}
	arena_done(&arena);
}

static int parse(struct net_rule *r, const char *text, bool allow, bool cidr, struct err *e)
{
	return net_rule_parse(r, text, allow, cidr, /* risky= */ false, POLICY_USER, "file:3", NULL,
			      &arena, e);
}

/* Of a connection to 192.0.2.1:443 in which no name is said. */
static bool may_hide(const struct net_policy *p, const struct net_rule *by)
{
	struct net_addr a;
	const struct net_request q = { .addr = &a, .port = 443, .proto = NET_TCP };

	REQUIRE(net_addr_parse(&a, "192.0.2.1", 9));
	return net_policy_may_hide(p, &q, by);
}

static void test_may_hide(__attribute__((unused)) const void *arg)
{
	struct net_policy p;
	struct net_rule in[2], by;
	struct err e = ERR_INIT;

	net_policy_init(&p, &arena);
	CHECK(!may_hide(&p, NULL));
	p.inspects = in;
	p.n_inspects = 1;
	REQUIRE(parse(&in[0], "web.test", true, false, &e) == 0);
	CHECK(may_hide(&p, NULL));
	/* whoever names the address alone means it */
	REQUIRE(parse(&by, "192.0.2.0/24:443", true, true, &e) == 0);
	CHECK(may_hide(&p, &by));
	REQUIRE(parse(&by, "192.0.2.1/32", true, true, &e) == 0);
	CHECK(!may_hide(&p, &by));
	/* another port; an address, whose connections are looked into as they are */
	REQUIRE(parse(&in[0], "web.test:8443", true, false, &e) == 0);
	CHECK(!may_hide(&p, NULL));
	REQUIRE(parse(&in[0], "192.0.2.9", true, false, &e) == 0);
	CHECK(!may_hide(&p, NULL));
	/* nobody looks there, as far as that layer has a say */
	REQUIRE(parse(&in[0], "web.test", true, false, &e) == 0 &&
		parse(&in[1], "192.0.2.1", false, false, &e) == 0);
	p.n_inspects = 2;
	CHECK(!may_hide(&p, NULL));
	in[0].layer = POLICY_BUILTIN;
	CHECK(may_hide(&p, NULL));
}

static void test_caps(__attribute__((unused)) const void *arg)
{
	struct net_policy p;
	struct net_rule r;
	struct err e = ERR_INIT;
	int i;

	net_policy_init(&p, &arena);
	REQUIRE(parse(&r, "example.org", true, false, &e) == 0);
	for (i = 0; i < LIMIT_NET_RULES; i++)
		REQUIRE(net_policy_add(&p, &r, &e) == 0);
	CHECK(net_policy_add(&p, &r, &e) == -E2BIG && e.code == ERR_POLICY);
	net_policy_init(&p, &arena);
	r.layer = POLICY_UNTRUSTED;
	CHECK(net_policy_add(&p, &r, &e) == -EPERM && p.n == 0);
	r.allow = false;
	CHECK(net_policy_add(&p, &r, &e) == 0 && p.n == 1);
	CHECK(net_policy_preset(&p, "balance", &e) == -ENOENT && strstr(e.msg, "balanced"));
	arena_done(&arena);
}

/* What a preset allows is canonical, and none of it a wildcard over a public suffix. */
static void test_presets(__attribute__((unused)) const void *arg)
{
	struct net_policy p;
	struct net_rule again;
	struct err e = ERR_INIT;
	size_t i, k;

	net_policy_init(&p, &arena);
	CHECK(p.mode == NET_MODE_NONE);
	REQUIRE(net_policy_preset(&p, "closed", &e) == 0);
	CHECK(p.n == 0 && p.mode == NET_MODE_DENY);
	REQUIRE(net_policy_preset(&p, "open-minus-private", &e) == 0);
	CHECK(p.n == 0 && p.mode == NET_MODE_ALLOW);
	REQUIRE(net_policy_preset(&p, "balanced", &e) == 0);
	CHECK(p.n > 50 && p.mode == NET_MODE_DENY);
	CHECK_STR(p.mode_origin, "preset balanced");
	for (i = 0; i < p.n; i++) {
		const struct net_rule *r = &p.rules[i];

		if (parse(&again, r->text, true, false, &e) < 0) {
			FAIL("%s", e.msg);
			continue;
		}
		CHECK(again.what == r->what && again.port == r->port && again.proto == r->proto);
		CHECK_STR(again.host, r->host);
		CHECK(r->layer == POLICY_BUILTIN && r->allow);
		CHECK_STR(r->origin, "preset balanced");
		for (k = 0; k < i; k++) {
			if (strcmp(p.rules[k].text, r->text) == 0)
				FAIL("'%s' is there twice", r->text);
		}
	}
	arena_done(&arena);
}

struct wording {
	const char *rule, *host, *addr;
	uint16_t port;
	enum net_proto proto;
	const char *want;
};

static void test_words(__attribute__((unused)) const void *arg)
{
	static const struct wording words[] = {
		{ "allow a.org", "b.org", NULL, 443, NET_TCP,
		  "denied: no rule allows it; --allow-host b.org" },
		{ "allow a.org", "b.org", NULL, 22, NET_TCP,
		  "denied: no rule allows it; --allow-host b.org:22" },
		{ "allow a.org", "b.org", NULL, 53, NET_UDP,
		  "denied: no rule allows it; --allow-host b.org:53/udp" },
		{ "allow a.org", "a.org", NULL, 22, NET_TCP,
		  "allowed: 'allow a.org' (command, --allow-host); for TLS and HTTP, other protocols need a rule that names the port" },
		{ "allow a.org:22", "a.org", NULL, 22, NET_TCP,
		  "allowed: 'allow a.org:22' (command, --allow-host)" },
		{ "deny a.org", "a.org", NULL, 443, NET_TCP,
		  "denied: 'deny a.org' (command, --deny-host): a\\x09reason; leave that rule out" },
		{ "allow a.org", NULL, "10.0.0.1", 443, NET_TCP,
		  "denied: 10.0.0.1 is private, which needs a rule for that address; --allow-cidr 10.0.0.1" },
		{ "allow a.org", NULL, "fd00::1", 5432, NET_TCP,
		  "denied: fd00::1 is private, which needs a rule for that address; --allow-cidr [fd00::1]:5432" },
		{ "allow *.a.org", "x.a.org", "10.0.0.1", 443, NET_TCP,
		  "denied: 'x.a.org' leads to the private 10.0.0.1, which needs a rule for exactly that name; --allow-host x.a.org" },
		{ "allow a.org", NULL, "127.0.0.1", 8080, NET_TCP,
		  "denied: 127.0.0.1 is loopback, which needs a rule for that address; --allow-host-port 8080" },
		{ "allow a.org", "a.org", "127.0.0.1", 443, NET_TCP,
		  "denied: 'a.org' leads to the loopback 127.0.0.1, which needs a rule for that address; --allow-cidr 127.0.0.1" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		const struct wording *w = &words[i];
		bool allow = w->rule[0] == 'a';
		struct buf b = BUF_INIT(4096);
		struct net_policy p;
		struct net_rule r;
		struct net_addr a;
		struct net_request q = { .host = w->host, .port = w->port, .proto = w->proto };
		struct net_verdict v;

		net_policy_init(&p, &arena);
		p.mode = NET_MODE_DENY;
		REQUIRE(net_rule_parse(&r, strchr(w->rule, ' ') + 1, allow, false, false,
				       POLICY_COMMAND, allow ? "--allow-host" : "--deny-host", NULL,
				       &arena, NULL) == 0);
		r.reason =
			allow ? NULL :
				"a\treason"; /* nobody's parser let that in, but it must not reach a terminal */
		REQUIRE(net_policy_add(&p, &r, NULL) == 0);
		if (w->addr)
			REQUIRE(net_addr_parse(&a, w->addr, strlen(w->addr)));
		if (w->addr && !w->host)
			q.addr = &a;
		v = net_policy_judge(&p, &q);
		if (w->addr && w->host) {
			v = net_policy_judge_answer(&p, &q, &v, &a);
			q.addr = &a;
		}
		net_verdict_text(&p, &q, &v, &b);
		CHECK_STR(b.data, w->want);
		buf_done(&b);
	}
	arena_done(&arena);
}

static void test_modes(__attribute__((unused)) const void *arg)
{
	struct net_request q = { .host = "a.org", .port = 443, .proto = NET_TCP };
	struct buf b = BUF_INIT(4096);
	struct net_policy p;
	struct net_verdict v;
	struct err e = ERR_INIT;
	int m;

	for (m = 0; m < NET_MODE_NUM; m++)
		CHECK(net_mode_parse(net_mode_name((enum net_mode)m), &e) == m);
	CHECK(net_mode_parse("", &e) == -EINVAL && net_mode_parse("None", &e) == -EINVAL);
	net_policy_init(&p, &arena);
	v = net_policy_judge(&p, &q);
	net_verdict_text(&p, &q, &v, &b);
	CHECK_STR(b.data, "denied: this sandbox has no network; --allow-host a.org");
	b.len = 0;
	p.mode_origin = "policy.json:3";
	net_verdict_text(&p, &q, &v, &b);
	CHECK_STR(b.data, "denied: network none (policy.json:3); change that");
	q.host = NULL;
	p.mode = NET_MODE_ALLOW;
	v = net_policy_judge(&p, &q);
	CHECK(!v.allowed);
	buf_done(&b);
}

/* What a front with settings of its own says in the place of options. */
static void test_settings(__attribute__((unused)) const void *arg)
{
	const struct net_addr private = { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 } };
	const struct {
		struct net_request q;
		bool port;
		const char *text;
	} rows[] = {
		{ { .host = "a.org", .port = 443 },
		  false,
		  "add \"a.org\" to network.allowedDomains in s.json" },
		{ { .host = "a.org", .port = 443 },
		  true,
		  "add \"a.org:443\" to network.allowedDomains in s.json" },
		{ { .addr = &private, .port = 8080 },
		  false,
		  "add \"10.0.0.1:8080\" to network.allowedDomains in s.json" },
		{ { .host = "a.org", .port = 53, .proto = NET_UDP },
		  false,
		  "no settings allow UDP" },
		{ { .host = NET_HOST_LOCAL, .port = 80 }, false, "no settings give one" },
	};
	struct buf b = BUF_INIT(4096);
	struct net_policy p;
	size_t i;

	net_policy_init(&p, &arena);
	p.settings = "s.json";
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_request q = rows[i].q;

		q.proto = q.proto ? q.proto : NET_TCP;
		b.len = 0;
		net_request_way(&p, &q, rows[i].port, &b);
		CHECK_STR(b.data, rows[i].text);
	}
	/* the twin */
	p.settings = NULL;
	b.len = 0;
	net_request_way(&p, &rows[1].q, true, &b);
	CHECK_STR(b.data, "--allow-host a.org:443");
	buf_done(&b);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		printf("Bail out! usage: test-net TABLE\n");
		return 1;
	}
	run_table(argv[1]);
	tap_run(test_caps, NULL, NULL, "caps and layers");
	tap_run(test_may_hide, NULL, NULL, "connections that say no name");
	tap_run(test_presets, NULL, NULL, "presets");
	tap_run(test_words, NULL, NULL, "verdicts in words");
	tap_run(test_modes, NULL, NULL, "modes");
	tap_run(test_settings, NULL, NULL, "settings in the place of options");
	return tap_done();
}
