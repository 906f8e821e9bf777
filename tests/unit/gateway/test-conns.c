/* SPDX-License-Identifier: Apache-2.0 */
/* Connections as they are judged again and end, without a network. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "../../../src/gateway/conn.h"
#include "../../../src/gateway/inspect.h"
#include "../../../src/gateway/rules.h"
#include "../../../src/gateway/udp.h"
#include "gateway/gateway.h"
#include "keys/keys.h"

/* --- rules that are replaced --- */

static void add_rule(struct net_policy *p, const char *text, bool allow, enum policy_layer layer)
{
	struct net_rule r;

	REQUIRE(net_rule_parse(&r, text, allow, false, true, layer, "test", NULL, p->arena, NULL) ==
		0);
	REQUIRE(net_policy_add(p, &r, NULL) == 0);
}

/* A connection to @host, as it is once it was judged. */
static struct conn *connected(struct gateway *g, enum conn_state state, const char *host)
{
	struct conn *c = &g->conns[g->n_used++];
	struct net_request q;

	*c = (struct conn){ .state = state,
			    .via = VIA_CAPTURED,
			    .client.watch.fd = -1,
			    .server.watch.fd = -1,
			    .forward.fd = -1,
			    .up.pipe = { -1, -1 },
			    .down.pipe = { -1, -1 },
			    .g = g,
			    .quota = -1,
			    .port = 443,
			    .logged = state == CONN_OPEN,
			    .next = g->live };
	(void)snprintf(c->host, sizeof(c->host), "%s", host);
	REQUIRE(net_addr_parse(&c->addr, "192.0.2.1", 9));
	if (g->live)
		g->live->prev = c;
	g->live = c;
	q = conn_request(c);
	c->verdict = net_policy_judge(&g->policy, &q);
	REQUIRE(c->verdict.rule);
	return c;
}

/* In a build with a sanitizer it sees whoever still looks at rules that have gone. */
TEST(nothing_points_to_rules_that_were_replaced)
{
	static struct conn conns[8];
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct gateway_setup setup = { .door = -1, .kept = gateway_kept_new() };
	struct gateway g = { .setup = &setup,
			     .arena = ARENA_INIT(RULES_ARENA),
			     .conns = conns,
			     .audit = { .log = { -1, -1 }, .head = -1 } };
	const struct conn *stays, *goes, *denied, *closing;
	struct buf b = BUF_INIT(LIMIT_NET_PACK);
	struct net_policy old, next;
	struct err e = ERR_INIT;
	int i;

	net_policy_init(&old, &a);
	old.mode = NET_MODE_DENY;
	add_rule(&old, "stays.test", true, POLICY_COMMAND);
	add_rule(&old, "goes.test", true, POLICY_COMMAND);
	add_rule(&old, "denied.test", true, POLICY_COMMAND);
	add_rule(&old, "closing.test", false, POLICY_COMMAND);
	setup.policy = &old;
	REQUIRE(rules_begin(&g, &e) == 0);
	REQUIRE(setup.kept && udp_init(&g, &e) == 0);
	add_rule(&g.policy, "live.test", false, POLICY_LIVE);
	stays = connected(&g, CONN_OPEN, "stays.test");
	goes = connected(&g, CONN_OPEN, "goes.test");
	denied = connected(&g, CONN_DIAL, "denied.test");
	closing = connected(&g, CONN_CLOSING, "closing.test");

	net_policy_init(&next, &a);
	next.mode = NET_MODE_DENY;
	add_rule(&next, "denied.test", false, POLICY_COMMAND);
	add_rule(&next, "stays.test:443", true, POLICY_COMMAND);
	net_policy_pack(&next, &b);
	REQUIRE(!b.failed);
	arena_done(&a);
	for (i = 0; i < 3; i++) { /* the third time nothing changes, but where it lies */
		CHECK(rules_replace(&g, b.data, b.len - (i == 0), &e) == (i == 0 ? -EBADMSG : 0));
		CHECK(stays->state == CONN_OPEN);
		CHECK(goes->state == (i == 0 ? CONN_OPEN : CONN_DEAD));
		CHECK(denied->state == (i == 0 ? CONN_DIAL : CONN_DEAD));
	}
	CHECK_STR(stays->verdict.rule->text, "stays.test:443");
	CHECK(closing->state == CONN_CLOSING && !closing->verdict.rule);
	CHECK(g.policy.n == 3 && g.policy.rules[2].layer == POLICY_LIVE);
	CHECK_STR(g.policy.rules[2].host, "live.test");
	while (g.live)
		conn_close(&g, g.live, true);
	buf_done(&b);
	(void)gateway_kept_free(setup.kept);
	arena_done(&g.arena);
}

/* Of the addresses that a name has, one is being dialled, and others would come after it. */
TEST(addresses_that_are_denied_meanwhile_are_not_dialled)
{
	static const char *const addrs[] = { "192.0.2.1", "192.0.2.2", "192.0.2.3" };
	static struct conn conns[2];
	struct gateway_setup setup = { .door = -1, .kept = gateway_kept_new() };
	struct gateway g = { .setup = &setup,
			     .arena = ARENA_INIT(RULES_ARENA),
			     .own = -1,
			     .conns = conns,
			     .audit = { .log = { -1, -1 }, .head = -1 } };
	struct net_rule denial;
	struct conn *c;

	REQUIRE(setup.kept);
	net_policy_init(&g.policy, &g.arena);
	g.policy.mode = NET_MODE_DENY;
	add_rule(&g.policy, "a.test", true, POLICY_COMMAND);
	c = connected(&g, CONN_DIAL, "a.test");
	for (c->n_addrs = 0; c->n_addrs < ARRAY_SIZE(addrs); c->n_addrs++)
		REQUIRE(net_addr_parse(&c->addrs[c->n_addrs], addrs[c->n_addrs], 9));
	c->next_addr = 1;
	conn_rejudge(&g);
	CHECK(c->state == CONN_DIAL && c->n_addrs == 3);
	REQUIRE(net_rule_parse(&denial, "192.0.2.2/32", false, true, false, POLICY_LIVE, "test",
			       NULL, &g.arena, NULL) == 0);
	REQUIRE(net_policy_add(&g.policy, &denial, NULL) == 0);
	conn_rejudge(&g);
	CHECK(c->state == CONN_DIAL && c->n_addrs == 2 && c->next_addr == 1);
	CHECK(memcmp(&c->addrs[1], &(struct net_addr){ { [10] = 0xff, 0xff, 192, 0, 2, 3 } },
		     sizeof(c->addrs[1])) == 0);
	conn_close(&g, c, true);
	(void)gateway_kept_free(setup.kept);
	arena_done(&g.arena);
}

/* --- what bailey-keys says --- */

static void say_request(int fd, const struct conn *c)
{
	static const struct keys_request none;
	struct keys_request m = none;

	m.kind = KEYS_REQUEST;
	m.version = KEYS_VERSION;
	m.id = c->offer;
	REQUIRE(send(fd, &m, sizeof(m), MSG_DONTWAIT) == (ssize_t)sizeof(m));
}

/* What is still in the socket is read by the end of a connection, and may be the end of others, and of itself. */
TEST(a_request_that_can_not_be_logged_ends_its_connection_once)
{
	static struct conn conns[2];
	struct gateway_setup setup = { .door = -1,
				       .audit_required = true,
				       .kept = gateway_kept_new() };
	struct gateway g = { .setup = &setup,
			     .epoll = epoll_create1(EPOLL_CLOEXEC),
			     .arena = ARENA_INIT(RULES_ARENA),
			     .conns = conns,
			     .audit = { .log = { -1, -1 }, .head = -1 } };
	struct conn *one, *other;
	int pair[2];

	REQUIRE(setup.kept && g.epoll >= 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	g.keys.fd = pair[0];
	net_policy_init(&g.policy, &g.arena);
	g.policy.mode = NET_MODE_DENY;
	add_rule(&g.policy, "a.test", true, POLICY_COMMAND);
	other = connected(&g, CONN_OPEN, "a.test");
	one = connected(&g, CONN_OPEN, "a.test");
	setup.kept->use.connections = 2;
	one->server.watch.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	other->server.watch.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	REQUIRE(inspect_begin(&g, one, true) && inspect_begin(&g, other, true));
	say_request(pair[1], one);
	say_request(pair[1], other);
	say_request(pair[1], one);
	conn_close(&g, one, true);
	CHECK(one->state == CONN_DEAD && setup.kept->use.connections == 1);
	CHECK(g.dead == one && !one->next && g.live == other && !other->next);
	CHECK(other->state == CONN_OPEN && other->queued);
	conn_step(&g, other);
	CHECK(other->state == CONN_DEAD && setup.kept->use.connections == 0 && !g.live);
	(void)close(pair[1]);
	(void)gateway_kept_free(setup.kept);
	arena_done(&g.arena);
}
