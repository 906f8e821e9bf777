/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A raw socket gets a copy of each datagram that is delivered inside, of those that are taken, too: a filter in the kernel leaves out loopback and DNS, and cuts
 * the rest to its headers. A flood must cost the gateway nothing: its queue is small, the kernel counts what finds no place in it, and after one look the socket rests until the next
 * tick.
 */
#include "udp-refused.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "door.h"
#include "udp.h"

#define QUEUE 32768     /* bytes */
#define UNFILTERED 4096 /* datagrams that may have come before the filter */
#define LOOK 64         /* datagrams in one look */
#define LINES 10u       /* in a second */
#define KEEP 96u        /* bytes of one */

/* From the IP header on: not to the sandbox's own address (names.h), not to 127/8, not to port 53. */
static const struct sock_filter filter4[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc6120001u, 6, 0),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff000000u),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x7f000000u, 4, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 53, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, KEEP),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

/* From the UDP header on: not to port 53. */
static const struct sock_filter filter6[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 53, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, KEEP),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

struct datagram {
	struct net_addr to;
	uint16_t port;
	uint32_t lost; /* so far, by the kernel */
};

static void add_more(struct gateway *g)
{
	char why[96];
	const struct audit_event ev = {
		.event = "deny", .via = "udp", .proto = "udp", .decision = "deny", .reason = why
	};

	if (g->refused.more == 0)
		return;
	(void)snprintf(why, sizeof(why), "%llu more datagrams that no rule allows",
		       (unsigned long long)g->refused.more);
	g->refused.more = 0;
	(void)audit_write(&g->audit, &ev); /* the next line counts it */
}

/* A rule that denies it no option lifts, and none opens the host itself. */
static const char *no_rule(const struct gateway *g, const struct net_request *q,
			   const struct net_verdict *v, struct buf *b)
{
	static const char plain[] = "no rule allows UDP to there";

	if (v->rule || (q->host && strcmp(q->host, NET_HOST_LOCAL) == 0))
		return plain;
	buf_printf(b, "%s; ", plain);
	net_request_way(&g->policy, q, false, b);
	return b->failed ? plain : b->data;
}

static void log_one(struct gateway *g, const struct datagram *d)
{
	struct net_request q = { .addr = &d->to, .port = d->port, .proto = NET_UDP };
	int name = names_by_addr(&g->names, &d->to);
	struct net_verdict v;
	struct audit_event ev;
	struct buf why = BUF_INIT(512);

	/* the sandbox itself; or who is in no rule's way */
	if (name == -ENOENT || net_addr_class(&d->to) == NET_CLASS_LOOPBACK ||
	    udp_taken(g, &d->to, d->port))
		return;
	if (g->now / 1000 != g->refused.second) {
		g->refused.second = g->now / 1000;
		g->refused.lines = 0;
		add_more(g);
	}
	if (g->refused.lines == LINES) {
		g->refused.more++;
		return;
	}
	g->refused.lines++;
	if (name >= 0)
		q.host = g->names.host[name];
	v = net_policy_judge(&g->policy, &q);
	ev = gw_event("deny", "udp", &q, &v);
	ev.decision = "deny";
	if (v.allowed && udp_inspected(g, &q))
		ev.reason = UDP_INSPECTED;
	else if (!ev.reason && v.allowed)
		ev.reason = "there is no socket for it";
	else if (!ev.reason)
		ev.reason = no_rule(g, &q, &v, &why);
	(void)audit_write(&g->audit, &ev); /* as above */
	buf_done(&why);
}

static uint16_t two(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Return: whether there was one; ret->port is 0 when it can't be read. */
static bool receive(int fd, bool v6, struct datagram *ret)
{
	_Alignas(struct cmsghdr) char control[256];
	unsigned char p[KEEP];
	struct iovec part = { p, sizeof(p) };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT), head = 0;
	struct cmsghdr *c;

	if (n < 0)
		return false;
	*ret = (struct datagram){ .port = 0 };
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&ret->lost, CMSG_DATA(c), sizeof(ret->lost));
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			memcpy(&ret->to, CMSG_DATA(c), sizeof(ret->to));
	}
	if (!v6) {
		head = n >= 20 ? (ssize_t)4 * (p[0] & 15) : n;
		if (n >= 20) {
			memset(ret->to.b + 10, 0xff, 2);
			memcpy(ret->to.b + 12, p + 16, 4);
		}
	}
	if (n - head >= 8)
		ret->port = two(p + head + 2);
	return true;
}

static void look(struct gateway *g, struct watch *w)
{
	const size_t i = (size_t)(w - g->refused.watch);
	struct datagram d;
	int k;

	for (k = 0; k < LOOK && w->fd >= 0 && receive(w->fd, i == 1, &d); k++) {
		/* where some are taken nobody knows what the kernel left out */
		if (i == 0 && !udp_takes(g))
			g->refused.more += (uint32_t)(d.lost - g->refused.lost);
		g->refused.lost = i == 0 ? d.lost : g->refused.lost;
		if (d.port)
			log_one(g, &d);
	}
}

static void on_datagram(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)events;
	look(g, w);
	g->refused.rests = true; /* EPOLLONESHOT */
}

/* What came before there was a filter: among that is the question for a name for whose sake we were started. */
static void forget_unfiltered(int fd)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int i;

	for (i = 0; i < UNFILTERED && recvmsg(fd, &m, MSG_DONTWAIT) >= 0; i++)
		; /* a flood could go on for ever */
}

static void open_one(struct gateway *g, bool v6)
{
	struct watch *w = &g->refused.watch[v6];
	const struct sock_fprog program = {
		.len = v6 ? ARRAY_SIZE(filter6) : ARRAY_SIZE(filter4),
		.filter = (struct sock_filter *)(uintptr_t)(v6 ? filter6 : filter4)
	};
	const int yes = 1, queue = QUEUE;

	*w = (struct watch){ .fd = door_socket(g->setup->door, SOCK_RAW, v6, NULL, 0),
			     .on = on_datagram };
	if (w->fd < 0)
		return;
	if (setsockopt(w->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue)) < 0 ||
	    setsockopt(w->fd, SOL_SOCKET, SO_RXQ_OVFL, &yes, sizeof(yes)) < 0 ||
	    (v6 && setsockopt(w->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes)) < 0) ||
	    gw_watch(g, w, EPOLLIN | EPOLLONESHOT) < 0)
		gw_close(w);
	else
		forget_unfiltered(w->fd);
}

void udp_refused_init(struct gateway *g)
{
	g->refused.watch[0].fd = g->refused.watch[1].fd = -1;
	open_one(g, false);
	if (g->setup->v6)
		open_one(g, true);
}

void udp_refused_tick(struct gateway *g)
{
	size_t i;

	if (!g->refused.rests)
		return;
	g->refused.rests = false;
	if (g->now / 1000 != g->refused.second)
		add_more(g);
	g->refused.rests = g->refused.more > 0;
	for (i = 0; i < 2; i++) {
		struct watch *w = &g->refused.watch[i];
		struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT, .data.ptr = w };

		if (w->fd >= 0)
			(void)epoll_ctl(g->epoll, EPOLL_CTL_MOD, w->fd, &ev); /* it is there */
	}
}

void udp_refused_end(struct gateway *g)
{
	look(g, &g->refused.watch[0]);
	look(g, &g->refused.watch[1]);
	add_more(g);
}
