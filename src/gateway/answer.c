/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "conn.h"
#include "dns.h"
#include "udp.h"

#define TTL \
	1u /* the gateway judges anew at each connection, so nobody need ask it often; but rules change */
#define ANSWER_MAX 4096u
#define LABEL_MAX 40u          /* of a name under a wildcard */
#define NEW_NAMES_BURST 2000   /* allowance for names that were never asked for, in tenths of one */
#define NEW_NAMES_PER_MS 1 / 5 /* tenths: 20 names a second */
#define DATAGRAMS 64           /* in one turn of the loop */
#define SAME_MS 1000 /* a name that is refused again and again is logged once in that time */

/* A question that waits for the host's servers. */
struct question {
	struct gateway *g;
	struct conn *
		conn; /* over TCP; NULL: a datagram, and this is who sent it and to which address: */
	struct sockaddr_storage from;
	unsigned int from_size;
	union {
		struct in6_pktinfo v6;
		struct in_pktinfo v4;
	} at;
	struct dns_query q;
	uint64_t ticket;
	bool used;
};

static struct question questions[LIMIT_QUESTIONS]; /* one process, one loop */

/* --- how answers travel --- */

static void send_datagram(struct gateway *g, const struct question *to, const void *p, size_t n)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	bool v6 = to->from.ss_family == AF_INET6;
	struct msghdr m = { .msg_name = (void *)(uintptr_t)&to->from,
			    .msg_namelen = to->from_size,
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = v6 ? CMSG_SPACE(sizeof(to->at.v6)) :
						   CMSG_SPACE(sizeof(to->at.v4)) };

	/* from the address that was asked, else its asker would not believe it */
	control.h.cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	control.h.cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	control.h.cmsg_len = v6 ? CMSG_LEN(sizeof(to->at.v6)) : CMSG_LEN(sizeof(to->at.v4));
	memcpy(CMSG_DATA(&control.h), &to->at, v6 ? sizeof(to->at.v6) : sizeof(to->at.v4));
	(void)sendmsg(g->dns.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL); /* no room: it asks again */
}

static void send_answer(struct gateway *g, const struct question *to, const unsigned char *p,
			size_t n)
{
	unsigned char framed[2 + ANSWER_MAX];

	if (n == 0 || n > ANSWER_MAX)
		return;
	if (!to->conn) {
		send_datagram(g, to, p, n);
		return;
	}
	framed[0] = (unsigned char)(n >> 8);
	framed[1] = (unsigned char)n;
	memcpy(framed + 2, p, n);
	conn_say(g, to->conn, framed, n + 2, false);
}

static void answer_none(struct gateway *g, const struct question *to, enum dns_rcode rcode)
{
	unsigned char out[DNS_UDP_MAX];

	send_answer(g, to, out, dns_answer_none(&to->q, rcode, out, sizeof(out)));
}

/* --- what is allowed --- */

struct known {
	bool allowed;
	bool exact;  /* a rule names it in full */
	bool denied; /* rules do so, whatever the port */
	struct net_verdict verdict;
};

/* A port that no rule speaks of stands for all of these. */
static uint16_t unnamed_port(const struct net_policy *p)
{
	uint16_t port = UINT16_MAX;
	size_t i;

	for (i = 0; i < p->n && port > 1; i++) {
		if (p->rules[i].port == port) {
			port--;
			i = (size_t)-1; /* from the beginning */
		}
	}
	return port;
}

/* @k says what is so for @host where the port may be any; its verdict is that of 443 where none is allowed. Return: whether some port is. */
static bool judge_any_port(const struct gateway *g, const char *host, enum net_proto proto,
			   struct known *k)
{
	const uint16_t ports[] = { 443, 80, unnamed_port(&g->policy) };
	struct net_request q = { .host = host, .proto = proto };
	struct net_verdict v;
	size_t i;

	k->denied = true;
	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		q.port = ports[i];
		v = net_policy_judge(&g->policy, &q);
		k->denied &= !v.allowed && v.rule;
		if (i == 0 || v.allowed)
			k->verdict = v;
		if (v.allowed)
			return true;
	}
	return false;
}

/* Whether any port may be reached under that name: a question for an address does not say what it is for. */
static struct known judge_name(const struct gateway *g, const char *host)
{
	struct net_request q = { .host = host };
	struct known k = { .exact = false }, any;
	size_t i, len = strlen(host);

	k.allowed = judge_any_port(g, host, NET_TCP, &k);
	for (i = 0; i < g->policy.n; i++) {
		const struct net_rule *r = &g->policy.rules[i];
		size_t n = r->host ? strlen(r->host) : 0;
		bool exact = r->what == NET_RULE_HOST && strcmp(r->host, host) == 0;
		bool below = r->what == NET_RULE_SUBDOMAINS && len > n + 1 &&
			     host[len - n - 1] == '.' && strcmp(host + len - n, r->host) == 0;

		if (!r->allow || !r->proto || (!exact && !below && r->what != NET_RULE_ANY))
			continue;
		if (k.allowed && (k.exact || !exact))
			continue;
		q.port = r->port;
		q.proto = r->proto & NET_TCP ? NET_TCP : NET_UDP;
		if (r->port ? net_policy_judge(&g->policy, &q).allowed :
			      judge_any_port(g, host, q.proto, &any)) {
			k.allowed = true;
			k.exact |= exact;
		}
	}
	return k;
}

static void log_denied(struct gateway *g, const struct question *to, const struct net_verdict *v,
		       const char *why)
{
	static char last[NET_HOST_MAX + 1];
	static uint64_t last_at;
	struct net_request q = { .host = to->q.host, .port = 443, .proto = NET_TCP };
	struct audit_event ev = gw_event("deny", "dns", &q, v);
	struct buf b = BUF_INIT(1024);

	if (strcmp(last, to->q.host) == 0 && g->now - last_at < SAME_MS)
		return;
	memcpy(last, to->q.host, sizeof(last));
	last_at = g->now;
	if (strcmp(q.host, NET_HOST_LOCAL) == 0)
		q.port = 0; /* nobody knows which */
	else if (!why && !v->rule)
		ev.missing = q.host;
	if (!why)
		net_verdict_text(&g->policy, &q, v, &b);
	ev.port = 0;
	ev.proto = NULL;
	ev.decision = "deny";
	ev.reason = why ? why : b.failed ? NULL : b.data;
	(void)audit_write(&g->audit, &ev);
	buf_done(&b);
}

/* Names that nobody has asked for yet carry bytes out, when they are looked up: slowly, and not many. */
static bool may_be_new(struct gateway *g, const char *host)
{
	uint64_t more = (g->now - g->new_names_at) * NEW_NAMES_PER_MS;
	size_t label = 0;

	for (; *host; host++) {
		label = *host == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	if (more > 0) {
		g->new_names_at = g->now;
		g->new_names =
			(unsigned int)(g->new_names + more < NEW_NAMES_BURST ? g->new_names + more :
									       NEW_NAMES_BURST);
	}
	if (g->new_names < 10)
		return false;
	g->new_names -= 10;
	return true;
}

bool answer_may_look_up(struct gateway *g, const char *host, bool exact)
{
	return exact || names_find(&g->names, host) >= 0 ||
	       (may_be_new(g, host) &&
		names_get(&g->names, host) >= 0); /* next time it is no new one */
}

/* --- answers --- */

static void answer_address(struct gateway *g, const struct question *to)
{
	unsigned char out[DNS_UDP_MAX];
	bool v6 = to->q.type == DNS_AAAA;
	int i = names_get(&g->names, to->q.host);
	struct net_addr a;

	if (i < 0) {
		log_denied(g, to, &(struct net_verdict){ .allowed = false },
			   "too many names in one sandbox");
		answer_none(g, to, DNS_REFUSED);
		return;
	}
	if (v6 && !g->setup->v6) {
		answer_none(g, to, DNS_NOERROR);
		return;
	}
	udp_name(g, (unsigned int)i);
	a = names_addr((unsigned int)i, v6);
	send_answer(g, to, out, dns_answer_addr(&to->q, &a, TTL, out, sizeof(out)));
}

static void answer_ptr(struct gateway *g, const struct question *to)
{
	unsigned char out[DNS_UDP_MAX];
	struct net_addr a;
	int i = dns_ptr_addr(&to->q, &a) ? names_by_addr(&g->names, &a) : -ENOENT;

	if (i < 0)
		answer_none(g, to, DNS_NXDOMAIN);
	else
		send_answer(g, to, out,
			    dns_answer_ptr(&to->q, g->names.host[i], TTL, out, sizeof(out)));
}

static void release(struct question *q)
{
	if (q->conn)
		q->conn->question = NULL;
	q->used = false;
}

/* An answer that took time: nobody else is about to send it. */
static void answered(const struct question *q)
{
	if (q->conn && q->conn->state != CONN_DEAD)
		conn_step(q->g, q->conn);
}

static void on_looked_up(void *arg, const struct resolve_result *a)
{
	struct question *q = arg;
	struct question copy = *q;

	release(q);
	if (a->error)
		answer_none(copy.g, &copy, DNS_SERVFAIL);
	else if (a->n == 0)
		answer_none(copy.g, &copy, a->rcode == DNS_NXDOMAIN ? DNS_NXDOMAIN : DNS_NOERROR);
	else
		answer_address(copy.g, &copy);
	answered(&copy);
}

static void on_relayed(void *arg, const struct resolve_result *a)
{
	struct question *q = arg;
	struct question copy = *q;

	release(q);
	if (a->message)
		send_answer(copy.g, &copy, a->message, a->len);
	else
		answer_none(copy.g, &copy, DNS_SERVFAIL);
	answered(&copy);
}

/* Ask the host's servers first. */
static void look_up(struct gateway *g, const struct question *to, bool relay)
{
	struct question *q = NULL;
	size_t i;

	for (i = 0; i < LIMIT_QUESTIONS && !q; i++)
		q = questions[i].used ? NULL : &questions[i];
	if (!q) {
		answer_none(g, to, DNS_SERVFAIL);
		return;
	}
	*q = *to;
	q->used = true;
	if (!relay) {
		q->ticket = gw_ask(g, q->q.host, on_looked_up, q);
	} else if (resolver_ask_raw(g->resolver, &q->q, q->conn ? ANSWER_MAX : q->q.payload, g->now,
				    on_relayed, q, &q->ticket) < 0) {
		q->ticket = 0;
	}
	if (!q->ticket) {
		q->used = false;
		answer_none(g, to, DNS_SERVFAIL);
	} else if (q->conn) {
		q->conn->question = q;
	}
}

/* Questions that the host's servers see as they are. */
static bool is_relayed(uint16_t type)
{
	return type == DNS_SRV || type == DNS_MX || type == DNS_TXT;
}

static void answer(struct gateway *g, const struct question *to)
{
	const struct dns_query *q = &to->q;
	struct known k;

	if (q->type == DNS_PTR) {
		answer_ptr(g, to);
		return;
	}
	if (!*q->host) {
		g->garbage++; /* a name that no host can have */
		answer_none(g, to, DNS_REFUSED);
		return;
	}
	k = judge_name(g, q->host);
	/* whoever connects is asked about; nobody else need know the name before, and what is relayed tells it to others unasked */
	if (!k.allowed && !k.denied && g->setup->ask && !is_relayed(q->type))
		k.allowed = k.exact = true;
	if (strcmp(q->host, NET_HOST_LOCAL) == 0 &&
	    !k.exact) /* no mode opens it, and no name server knows it */
		k = (struct known){ .allowed = false };
	if (!k.allowed) {
		log_denied(g, to, &k.verdict, NULL);
		answer_none(g, to, DNS_REFUSED);
	} else if (!k.exact && names_find(&g->names, q->host) < 0 && !may_be_new(g, q->host)) {
		log_denied(g, to, &k.verdict,
			   "new names under a wildcard come too fast, or are too long");
		answer_none(g, to, DNS_REFUSED);
	} else if (q->type == DNS_A || q->type == DNS_AAAA) {
		if (k.exact || names_find(&g->names, q->host) >= 0)
			answer_address(g, to);
		else
			look_up(g, to, false);
	} else if (is_relayed(q->type)) {
		look_up(g, to, true);
	} else {
		answer_none(
			g, to,
			DNS_NOERROR); /* HTTPS and SVCB, too: a key for an encrypted ClientHello would hide the name */
	}
}

static void take(struct gateway *g, struct question *to, const unsigned char *p, size_t n)
{
	int r = dns_query_parse(&to->q, p, n);

	g->garbage += r != 0;
	if (r == 0)
		answer(g, to);
	else if (r > 0)
		answer_none(g, to, (enum dns_rcode)r);
}

void answer_datagrams(struct gateway *g)
{
	unsigned char p[DNS_UDP_MAX];
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
			  CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct cmsghdr *h;
	ssize_t n;
	int i;

	for (i = 0; i < DATAGRAMS && gw_may(g, GW_QUESTIONS); i++) {
		struct question to = { .g = g };
		struct iovec iov = { .iov_base = p, .iov_len = sizeof(p) };
		struct msghdr m = { .msg_name = &to.from,
				    .msg_namelen = sizeof(to.from),
				    .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control) };
		bool known = false;

		n = recvmsg(g->dns.fd, &m, MSG_DONTWAIT);
		if (n < 0)
			return;
		g->pace[GW_QUESTIONS].left--;
		to.from_size = m.msg_namelen;
		for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
			if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO &&
			    to.from.ss_family == AF_INET6) {
				memcpy(&to.at.v6, CMSG_DATA(h), sizeof(to.at.v6));
				to.at.v6.ipi6_ifindex = 0;
				known = true;
			} else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO &&
				   to.from.ss_family == AF_INET) {
				memcpy(&to.at.v4, CMSG_DATA(h), sizeof(to.at.v4));
				to.at.v4.ipi_spec_dst = to.at.v4.ipi_addr;
				to.at.v4.ipi_ifindex = 0;
				known = true;
			}
		}
		if (known && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
			take(g, &to, p, (size_t)n);
		else
			g->garbage++;
	}
}

bool answer_step(struct gateway *g, struct conn *c)
{
	unsigned char p[2 + DNS_UDP_MAX];
	struct question to = { .g = g, .conn = c };
	size_t len;
	ssize_t n;

	if (!c->client.readable || c->question || c->out)
		return false; /* one at a time */
	n = recv(c->client.watch.fd, p, sizeof(p), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->client.readable = errno == EINTR;
		return false;
	}
	len = n >= 2 ? (size_t)p[0] << 8 | p[1] : 0;
	if (n <= 0 || (n >= 2 && (len < 12 || len > DNS_UDP_MAX))) {
		g->garbage += n > 0;
		conn_close(g, c, n < 0);
		return false;
	}
	if (n < 2 || (size_t)n < len + 2) {
		c->client.readable = false;
		if (c->client.ended)
			conn_close(g, c, true);
		return false;
	}
	if (!gw_may(g, GW_QUESTIONS)) { /* who asks over TCP waits, and nothing is lost */
		conn_wait_a_little(g, c);
		return false;
	}
	g->pace[GW_QUESTIONS].left--;
	if (recv(c->client.watch.fd, p, len + 2, MSG_DONTWAIT) != (ssize_t)len + 2) {
		conn_close(g, c, true);
		return false;
	}
	c->deadline = g->now + 10000;
	take(g, &to, p + 2, len);
	return c->state != CONN_DEAD;
}

void answer_forget(struct gateway *g, struct conn *c)
{
	struct question *q = c->question;

	resolver_cancel(g->resolver, q->ticket);
	q->used = false;
	c->question = NULL;
}
