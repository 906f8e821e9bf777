/* SPDX-License-Identifier: Apache-2.0 */
#include "udp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door.h"
#include "quota.h"
#include "udp-refused.h"

#define DATAGRAM 65535u
#define IDLE_MS 120000
#define TURN 64 /* datagrams of one socket in one turn of the loop */

/* A socket inside that has the address of elsewhere. */
struct place {
	struct watch watch;
	int name; /* number of the name; -1: only an address */
	struct net_addr addr;
	uint16_t port;
};

enum flow_state { FLOW_FREE, FLOW_RESOLVE, FLOW_OPEN };

struct udp_flow {
	enum flow_state state;
	struct watch watch; /* outside */
	unsigned int place;
	struct sockaddr_storage client;
	unsigned int client_size;
	struct net_addr addr; /* that is sent to */
	struct net_verdict verdict;
	uint64_t ticket;
	int quota; /* that counts, or -1 */
	struct gateway *g;
	uint64_t began, used, sent, received;
	size_t held; /* the first datagram, until there is a socket */
	unsigned char first[2048];
};

struct udp {
	struct place places[LIMIT_UDP_PLACES];
	size_t n;
	struct udp_flow flows[LIMIT_UDP_FLOWS];
};

static unsigned char scratch[DATAGRAM]; /* one process, one loop */

static struct net_request request_of(const struct gateway *g, const struct place *p)
{
	return (struct net_request){ .host = p->name >= 0 ? g->names.host[p->name] : NULL,
				     .addr = &p->addr,
				     .port = p->port,
				     .proto = NET_UDP };
}

bool udp_inspected(const struct gateway *g, const struct net_request *q)
{
	struct net_request tcp = *q;

	tcp.proto = NET_TCP;
	return g->policy.n_inspects > 0 && net_policy_inspects(&g->policy, &tcp);
}

static bool log_flow(struct gateway *g, const struct udp_flow *f, const char *event,
		     const char *decision, const char *why)
{
	struct net_request q = request_of(g, &g->udp->places[f->place]);
	struct audit_event ev;

	if (f->state == FLOW_OPEN)
		q.addr = &f->addr;
	ev = gw_event(event, "udp", &q, &f->verdict);
	ev.decision = decision;
	if (why)
		ev.reason = why;
	ev.counts = f->state == FLOW_OPEN;
	ev.sent = f->sent;
	ev.received = f->received;
	ev.ms = g->now - f->began;
	return audit_write(&g->audit, &ev);
}

static void flow_close(struct gateway *g, struct udp_flow *f)
{
	if (f->state == FLOW_OPEN)
		(void)log_flow(g, f, "close", NULL, NULL); /* the next line counts it */
	if (f->ticket)
		resolver_cancel(g->resolver, f->ticket);
	f->ticket = 0;
	if (f->state == FLOW_OPEN)
		gw_close(&f->watch);
	f->state = FLOW_FREE;
}

static void flow_refuse(struct gateway *g, struct udp_flow *f, const char *event, const char *why)
{
	(void)log_flow(g, f, event, strcmp(event, "deny") == 0 ? "deny" : NULL, why);
	flow_close(g, f);
}

/* By f->verdict, with its words. @addr: that was judged, or NULL: its name was */
static void flow_refuse_by_rule(struct gateway *g, struct udp_flow *f, const struct net_addr *addr)
{
	struct net_request q = request_of(g, &g->udp->places[f->place]);
	struct buf b = BUF_INIT(1024);

	q.addr = addr;
	net_verdict_text(&g->policy, &q, &f->verdict, &b);
	flow_refuse(g, f, "deny", b.failed || !b.data ? "denied" : b.data);
	buf_done(&b);
}

/* As over TCP: no name on the way to the addresses may be denied. Return: whether none is; else it was refused. */
static bool aliases_may(struct gateway *g, struct udp_flow *f, const struct resolve_result *a)
{
	struct net_request q = request_of(g, &g->udp->places[f->place]);
	struct net_verdict v;
	size_t i;

	q.addr = NULL;
	for (i = 0; i < a->n_aliases; i++) {
		q.host = a->aliases[i];
		v = net_policy_judge(&g->policy, &q);
		if (v.allowed || !v.rule)
			continue;
		f->verdict = v;
		flow_refuse_by_rule(g, f, NULL);
		return false;
	}
	return true;
}

/*
 * Whether @n bytes may pass; they count then. A rate loses datagrams, as a slow line does; one that is larger than the rate ever gathers passes when
 * all of that is there. At the end of a budget the flow ends.
 */
static bool flow_may(struct gateway *g, struct udp_flow *f, size_t n)
{
	int r = quota_datagram(g, f->quota, n);

	if (r < 0)
		flow_refuse(g, f, "deny", quota_why(g, f->quota));
	return r > 0;
}

/* From outside to the program. */
static void on_outside(struct gateway *g, struct watch *w, uint32_t events)
{
	struct udp_flow *f = CONTAINER_OF(w, struct udp_flow, watch);
	const struct place *p = &g->udp->places[f->place];
	ssize_t n;
	int i;

	(void)events;
	for (i = 0; i < TURN; i++) {
		n = recv(w->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			flow_close(g, f); /* nobody listens there */
			return;
		}
		f->used = g->now;
		if (!flow_may(g, f, (size_t)n)) {
			if (f->state == FLOW_OPEN)
				continue;
			return;
		}
		f->received += (uint64_t)n;
		(void)sendto(p->watch.fd, scratch, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
			     (struct sockaddr *)&f->client,
			     f->client_size); /* as lossy as any network */
	}
}

static void flow_send(struct gateway *g, struct udp_flow *f, const void *p, size_t n)
{
	if (!flow_may(g, f, n))
		return;
	if (send(f->watch.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n)
		f->sent += n;
}

static void flow_dial(struct gateway *g, struct udp_flow *f)
{
	const struct place *p = &g->udp->places[f->place];
	struct sockaddr_storage to;
	unsigned int size = gw_sockaddr(&f->addr, p->port, false, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	f->watch = (struct watch){ .fd = fd, .on = on_outside };
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, size) < 0 ||
	    gw_watch(g, &f->watch, EPOLLIN) < 0) {
		const char *why = strerror(errno);

		gw_close(&f->watch);
		flow_refuse(g, f, "fail", why);
		return;
	}
	f->state = FLOW_OPEN;
	if (!log_flow(g, f, "open", "allow", NULL) && g->setup->audit_required) {
		flow_refuse(g, f, "fail", GW_UNLOGGED);
		return;
	}
	flow_send(g, f, f->first, f->held);
}

static void on_resolved(void *arg, const struct resolve_result *a)
{
	struct udp_flow *f = arg;
	struct gateway *g = f->g;
	const struct place *p = &g->udp->places[f->place];
	const struct net_request q = request_of(g, p);
	struct net_verdict v, worst = { .allowed = false };
	const char *why = gw_no_answer(a);
	const struct net_addr *own = NULL, *denied = NULL;
	size_t i;

	f->ticket = 0;
	if (!why && !aliases_may(g, f, a))
		return;
	/* the family that the program chose, then the other */
	for (i = 0; a->n > 0 && i < 2 * a->n && !why; i++) {
		const struct net_addr *at = &a->addrs[i % a->n];

		if ((net_addr_is_v4(at) == net_addr_is_v4(&p->addr)) != (i < a->n))
			continue;
		v = net_policy_judge_answer(&g->policy, &q, &f->verdict, at);
		if (v.allowed && gw_own(g, at, p->port, NET_UDP)) {
			own = at;
			continue;
		}
		if (!v.allowed) {
			worst = v;
			denied = at;
			continue;
		}
		f->addr = *at;
		flow_dial(g, f);
		return;
	}
	if (why) {
		flow_refuse(g, f, "fail", why);
	} else if (own) {
		flow_refuse(g, f, "deny", gw_own_why(g, own, p->port, NET_UDP));
	} else {
		f->verdict = worst;
		flow_refuse_by_rule(g, f, denied);
	}
}

static struct udp_flow *flow_find(struct gateway *g, unsigned int place,
				  const struct sockaddr_storage *from, unsigned int size)
{
	struct udp_flow *free_one = NULL, *oldest = NULL;
	size_t i;

	for (i = 0; i < LIMIT_UDP_FLOWS; i++) {
		struct udp_flow *f = &g->udp->flows[i];

		if (f->state == FLOW_FREE)
			free_one = free_one ? free_one : f;
		else if (f->place == place && f->client_size == size &&
			 memcmp(&f->client, from, size) == 0)
			return f;
		else if (!oldest || f->used < oldest->used)
			oldest = f;
	}
	if (!free_one) {
		flow_close(g, oldest); /* as the table of any router */
		free_one = oldest;
	}
	*free_one = (struct udp_flow){ .watch.fd = -1,
				       .place = place,
				       .client = *from,
				       .client_size = size,
				       .quota = -1,
				       .g = g,
				       .began = g->now,
				       .used = g->now };
	return free_one;
}

static void begin(struct gateway *g, struct udp_flow *f, const void *p, size_t n)
{
	const struct place *place = &g->udp->places[f->place];
	const struct net_request q = request_of(g, place);

	f->state = FLOW_RESOLVE;
	f->verdict = net_policy_judge(&g->policy, &q);
	if (!f->verdict.allowed) {
		flow_refuse(g, f, "deny", "no rule allows it any more");
		return;
	}
	if (udp_inspected(g, &q)) {
		flow_refuse(g, f, "deny", UDP_INSPECTED);
		return;
	}
	f->quota = net_policy_quota(&g->policy, &q);
	if (quota_datagram(g, f->quota, 0) < 0) {
		flow_refuse(g, f, "deny", quota_why(g, f->quota));
		return;
	}
	f->held = n <= sizeof(f->first) ? n : 0;
	if (f->held)
		memcpy(f->first, p, n);
	if (!q.host && gw_own(g, &place->addr, place->port, NET_UDP)) {
		flow_refuse(g, f, "deny", gw_own_why(g, &place->addr, place->port, NET_UDP));
		return;
	}
	if (!q.host) {
		f->addr = place->addr;
		flow_dial(g, f);
		return;
	}
	f->ticket = gw_ask(g, q.host, on_resolved, f);
	if (!f->ticket)
		flow_refuse(g, f, "fail", "too many questions at once");
}

/* From a program to elsewhere. */
static void on_inside(struct gateway *g, struct watch *w, uint32_t events)
{
	struct place *p = CONTAINER_OF(w, struct place, watch);
	struct sockaddr_storage from = { .ss_family = 0 };
	socklen_t size;
	ssize_t n;
	int i;

	(void)events;
	for (i = 0; i < TURN; i++) {
		struct udp_flow *f;

		size = sizeof(from);
		n = recvfrom(w->fd, scratch, sizeof(scratch), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &size);
		if (n < 0)
			return;
		f = flow_find(g, (unsigned int)(p - g->udp->places), &from, size);
		f->used = g->now;
		if (f->state == FLOW_OPEN)
			flow_send(g, f, scratch, (size_t)n);
		else if (f->state == FLOW_FREE)
			begin(g, f, scratch, (size_t)n);
		/* else it is lost, as on any network that is slow */
	}
}

bool udp_taken(const struct gateway *g, const struct net_addr *a, uint16_t port)
{
	const struct udp *u = g->udp;
	size_t i;

	for (i = 0; i < u->n; i++) {
		if (u->places[i].port == port && memcmp(&u->places[i].addr, a, sizeof(*a)) == 0)
			return true;
	}
	return false;
}

bool udp_takes(const struct gateway *g)
{
	return g->udp->n > 0;
}

static void place_add(struct gateway *g, int name, const struct net_addr *a, uint16_t port)
{
	struct udp *u = g->udp;
	struct place *p;
	int fd;

	if (u->n == LIMIT_UDP_PLACES || udp_taken(g, a, port))
		return;
	fd = door_socket(g->setup->door, SOCK_DGRAM, !net_addr_is_v4(a), a, port);
	if (fd < 0)
		return; /* a program inside has the port: then that is whom it reaches */
	p = &u->places[u->n];
	*p = (struct place){
		.watch = { .fd = fd, .on = on_inside }, .name = name, .addr = *a, .port = port
	};
	if (gw_watch(g, &p->watch, EPOLLIN) < 0)
		gw_close(&p->watch);
	else
		u->n++;
}

/* Rules for UDP that name a port. */
static bool is_udp(const struct net_rule *r)
{
	return r->allow && r->port && (r->proto & NET_UDP);
}

int udp_init(struct gateway *g, struct err *e)
{
	size_t i;

	g->udp = mmap(NULL, sizeof(*g->udp), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g->udp == MAP_FAILED)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "gateway: out of memory");
	for (i = 0; i < g->policy.n; i++) {
		const struct net_rule *r = &g->policy.rules[i];

		if (is_udp(r) && r->what == NET_RULE_CIDR && r->prefix == 128)
			place_add(g, -1, &r->addr, r->port);
	}
	udp_refused_init(g);
	return 0;
}

void udp_name(struct gateway *g, unsigned int i)
{
	struct net_request q = { .host = g->names.host[i], .proto = NET_UDP };
	struct net_addr a;
	size_t k;

	for (k = 0; k < g->policy.n; k++) {
		const struct net_rule *r = &g->policy.rules[k];

		q.port = r->port;
		/* without a socket the kernel refuses at once */
		if (!is_udp(r) || r->what == NET_RULE_CIDR ||
		    !net_policy_judge(&g->policy, &q).allowed || udp_inspected(g, &q))
			continue;
		a = names_addr(i, false);
		place_add(g, (int)i, &a, r->port);
		a = names_addr(i, true);
		if (g->setup->v6)
			place_add(g, (int)i, &a, r->port);
	}
}

void udp_tick(struct gateway *g)
{
	size_t i;

	udp_refused_tick(g);
	for (i = 0; i < LIMIT_UDP_FLOWS; i++) {
		struct udp_flow *f = &g->udp->flows[i];

		if (f->state != FLOW_FREE && g->now - f->used > IDLE_MS)
			flow_close(g, f);
	}
}

void udp_rejudge(struct gateway *g)
{
	size_t i;

	for (i = 0; i < LIMIT_UDP_FLOWS; i++) {
		struct udp_flow *f = &g->udp->flows[i];
		struct net_request q;

		if (f->state == FLOW_FREE)
			continue;
		q = request_of(g, &g->udp->places[f->place]);
		f->verdict = net_policy_judge(&g->policy, &q);
		if (f->verdict.allowed && f->state == FLOW_OPEN && q.host) {
			struct net_verdict v =
				net_policy_judge_answer(&g->policy, &q, &f->verdict, &f->addr);

			f->verdict.allowed = v.allowed;
		}
		if (!f->verdict.allowed || udp_inspected(g, &q))
			flow_refuse(g, f, "deny", "the rules have changed");
	}
	for (i = 0; i < g->policy.n; i++) {
		const struct net_rule *r = &g->policy.rules[i];

		if (is_udp(r) && r->what == NET_RULE_CIDR && r->prefix == 128)
			place_add(g, -1, &r->addr, r->port);
	}
	for (i = 0; i < g->names.n; i++)
		udp_name(g, (unsigned int)i);
}

void udp_end(struct gateway *g)
{
	size_t i;

	udp_refused_end(g);
	for (i = 0; i < LIMIT_UDP_FLOWS; i++) {
		if (g->udp->flows[i].state != FLOW_FREE)
			flow_close(g, &g->udp->flows[i]);
	}
}
