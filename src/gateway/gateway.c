/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answer.h"
#include "confine.h"
#include "conn.h"
#include "control.h"
#include "gw.h"
#include "inspect.h"
#include "line.h"
#include "own.h"
#include "quota.h"
#include "rules.h"
#include "udp.h"

#define EVENTS 64
#define TICK_MS 500
#define SLOW_MS 10     /* between two looks at connections that wait for their rate */
#define REST_MS 10     /* of whoever goes faster than its pace */
#define FDS_PER_CONN 6 /* two sockets, two pipes */
#define FDS_OTHERS                                                               \
	(LIMIT_DNS_TRIES + LIMIT_UDP_PLACES + LIMIT_UDP_FLOWS + 2 * PIPES_IDLE + \
	 GATEWAY_PUBLISHED + 48)

int gw_watch(struct gateway *g, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(g->epoll, EPOLL_CTL_ADD, w->fd, &ev) < 0 ? -errno : 0;
}

void gw_close(struct watch *w)
{
	/* the last descriptor of a socket leaves the loop with it */
	if (w->fd >= 0)
		(void)close(w->fd);
	w->fd = -1;
}

static void listen_for(struct gateway *g, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (w->fd >= 0)
		(void)epoll_ctl(g->epoll, EPOLL_CTL_MOD, w->fd,
				&ev); /* of what is there it can't fail */
}

/* Whatever the sandbox's programs connect to. */
static void listen_inside(struct gateway *g, uint32_t events)
{
	listen_for(g, &g->tcp, events);
	listen_for(g, &g->http, events);
	listen_for(g, &g->socks, events);
}

static void listen_all(struct gateway *g, uint32_t events)
{
	size_t i;

	listen_inside(g, events);
	listen_for(g, &g->control, events);
	for (i = 0; i < ARRAY_SIZE(g->published); i++)
		listen_for(g, &g->published[i].watch, events);
}

void gw_pause(struct gateway *g)
{
	if (!g->paused)
		listen_all(g, 0);
	g->paused = true;
}

bool gw_may(struct gateway *g, enum gw_act act)
{
	if (pace_some(&g->pace[act], g->now, REST_MS))
		return true;
	if (act == GW_QUESTIONS)
		listen_for(g, &g->dns, 0);
	else
		listen_inside(g, 0);
	return false;
}

/* Rests are over. Return: ms until the end of another one; -1: there is none. */
static int go_on_listening(struct gateway *g)
{
	struct pace *conns = &g->pace[GW_CONNS], *questions = &g->pace[GW_QUESTIONS];

	if (conns->rest && g->now >= conns->rest) {
		conns->rest = 0;
		if (!g->paused)
			listen_inside(g, EPOLLIN);
	}
	if (questions->rest && g->now >= questions->rest) {
		questions->rest = 0;
		listen_for(g, &g->dns, EPOLLIN);
	}
	return conns->rest || questions->rest ? REST_MS : -1;
}

bool gw_addr_of(const struct sockaddr_storage *ss, struct net_addr *ret, uint16_t *ret_port)
{
	const struct sockaddr_in *in4 = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET) {
		*ret = (struct net_addr){ .b = { [10] = 0xff, [11] = 0xff } };
		memcpy(ret->b + 12, &in4->sin_addr, 4);
		*ret_port = ntohs(in4->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(ret->b, &in6->sin6_addr, 16);
		*ret_port = ntohs(in6->sin6_port);
	} else {
		return false;
	}
	return true;
}

unsigned int gw_sockaddr(const struct net_addr *a, uint16_t port, bool v6,
			 struct sockaddr_storage *ret)
{
	struct sockaddr_in *in4 = (void *)ret;
	struct sockaddr_in6 *in6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (net_addr_is_v4(a) && !v6) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		memcpy(&in4->sin_addr, a->b + 12, 4);
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

struct audit_event gw_event(const char *event, const char *via, const struct net_request *q,
			    const struct net_verdict *v)
{
	return (struct audit_event){ .event = event,
				     .via = via,
				     .host = q->host,
				     .addr = q->addr,
				     .port = q->port,
				     .proto = q->proto == NET_UDP ? "udp" : "tcp",
				     .rule = v->rule ? v->rule->text : NULL,
				     .origin = v->rule ? v->rule->origin : NULL,
				     .reason = v->rule ? v->rule->reason : NULL };
}

struct gateway_kept *gateway_kept_new(void)
{
	void *p = mmap(NULL, sizeof(struct gateway_kept), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct gateway_kept *gateway_kept_free(struct gateway_kept *k)
{
	if (k)
		(void)munmap(k, sizeof(*k));
	return NULL;
}

bool gateway_address(const struct sockaddr_storage *ss, struct net_addr *ret, uint16_t *ret_port)
{
	return gw_addr_of(ss, ret, ret_port);
}

unsigned int gateway_sockaddr(const struct net_addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	return gw_sockaddr(a, port, false, ret);
}

/* --- looking up names --- */

static void on_asking(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)events;
	resolver_event(g->resolver, w->fd, g->now);
}

static int watch_asking(void *arg, int fd, uint32_t events)
{
	struct gateway *g = arg;
	struct watch *free_one = NULL;
	struct epoll_event ev = { .events = events };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(g->asking); i++) {
		struct watch *w = &g->asking[i];

		if (w->fd == fd) {
			ev.data.ptr = w;
			return epoll_ctl(g->epoll, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
		}
		if (w->fd < 0)
			free_one = w;
	}
	if (!free_one)
		return -ENOSPC;
	*free_one = (struct watch){ .fd = fd, .on = on_asking };
	ev.data.ptr = free_one;
	if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	free_one->fd = -1;
	return -errno;
}

static void unwatch_asking(void *arg, int fd)
{
	struct gateway *g = arg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(g->asking); i++) {
		if (g->asking[i].fd == fd) {
			(void)epoll_ctl(g->epoll, EPOLL_CTL_DEL, fd,
					NULL); /* its close would do as well */
			g->asking[i].fd = -1;
		}
	}
}

static int resolver_wait(const struct gateway *g)
{
	uint64_t at = resolver_next_deadline_ms(g->resolver);

	if (at == UINT64_MAX)
		return -1;
	return at <= g->now ? 0 : at - g->now > TICK_MS ? TICK_MS : (int)(at - g->now);
}

uint64_t gw_ask(struct gateway *g, const char *host,
		void (*done)(void *arg, const struct resolve_result *res), void *arg)
{
	uint64_t ticket = 0;

	if (resolver_ask(g->resolver, host, RESOLVE_V4 | RESOLVE_V6, g->now, done, arg, &ticket) <
	    0)
		return 0;
	return ticket;
}

bool gw_own(const struct gateway *g, const struct net_addr *a, uint16_t port, enum net_proto proto)
{
	return own_has(g->own, a) && !own_allowed(&g->policy, a, port, proto);
}

const char *gw_own_why(const struct gateway *g, const struct net_addr *a, uint16_t port,
		       enum net_proto proto)
{
	static char why[512]; /* one process, one loop */
	const struct net_request q = { .addr = a, .port = port, .proto = proto };
	char addr[NET_ADDR_TEXT];
	struct buf b = BUF_INIT(sizeof(why) - 1);

	net_addr_text(a, addr);
	buf_printf(
		&b,
		"it leads to %s, an address of this host itself, which needs a rule for that address alone; ",
		addr);
	net_request_way(&g->policy, &q, false, &b);
	if (proto == NET_TCP && !g->policy.settings && !g->policy.box)
		buf_printf(&b, ", or --allow-host-port %u", port);
	(void)snprintf(why, sizeof(why), "%s",
		       b.failed ? "it leads to an address of this host itself" : b.data);
	buf_done(&b);
	return why;
}

const char *gw_no_answer(const struct resolve_result *res)
{
	if (res->error == -ETIMEDOUT)
		return "no name server of the host has answered in time";
	if (res->error)
		return "the host's name servers give no answer";
	if (res->n > 0)
		return NULL;
	return res->rcode == DNS_NXDOMAIN ? "there is no such name" :
	       res->rcode == DNS_NOERROR  ? "the name has no address" :
					    "the host's name servers refuse to answer";
}

/* --- what comes --- */

static void on_tcp(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)events;
	conn_accept(g, w->fd, VIA_CAPTURED);
}

static void on_http(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)events;
	conn_accept(g, w->fd, VIA_HTTP);
}

static void on_socks(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)events;
	conn_accept(g, w->fd, VIA_SOCKS);
}

static void on_dns(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	answer_datagrams(g);
}

static void on_published(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)events;
	conn_published(g, w->fd, CONTAINER_OF(w, struct published, watch)->port);
}

int gw_publish(struct gateway *g, size_t place, int fd, uint16_t port)
{
	struct published *p = &g->published[place];
	int r = 0;

	gw_close(&p->watch);
	*p = (struct published){ .watch = { .fd = fd, .on = on_published }, .port = port };
	if (fd >= 0)
		r = gw_watch(g, &p->watch, g->paused ? 0 : EPOLLIN);
	if (fd >= 0 && r == 0)
		return 0;
	gw_close(&p->watch);
	p->port = 0;
	return r;
}

static void on_control(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	control_accept(g);
}

static void on_keys(struct gateway *g, struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	inspect_read(g);
}

/* --- the loop --- */

/* Connections that had more to do than one turn allows. */
static void go_on(struct gateway *g)
{
	struct conn *c = g->again, *next;

	g->again = NULL;
	for (; c; c = next) {
		next = c->next_again;
		c->queued = false;
		if (c->state != CONN_DEAD)
			conn_step(g, c);
	}
}

/* Connections that wait for their rate. */
static void go_on_slowly(struct gateway *g)
{
	struct conn *c = g->slow, *next;

	g->slow = NULL;
	for (; c; c = next) {
		next = c->next_slow;
		c->slow = false;
		if (c->state != CONN_DEAD)
			conn_step(g, c);
	}
}

/* Nobody points to them any more. */
static void bury(struct gateway *g)
{
	struct conn *c, *next;

	for (c = g->dead; c; c = next) {
		next = c->next;
		if (c->queued || c->slow)
			continue; /* in another list; next time */
		if (c->prev)
			c->prev->next = next;
		else
			g->dead = next;
		if (next)
			next->prev = c->prev;
		c->state = CONN_FREE;
		c->prev = NULL;
		c->next = g->free;
		if (g->free)
			g->free->prev = c;
		g->free = c;
	}
}

static void log_counted(struct gateway *g)
{
	char why[200];
	const struct audit_event ev = { .event = "counted",
					.reason = why,
					.garbage = g->garbage,
					.turned_away = g->counted[1],
					.timed_out = g->timed_out };

	if (!ev.garbage && !ev.turned_away && !ev.timed_out)
		return;
	(void)snprintf(why, sizeof(why),
		       "%" PRIu64 " messages that were none, %" PRIu64
		       " connections too many, %" PRIu64 " clients that were too slow",
		       ev.garbage, ev.turned_away, ev.timed_out);
	(void)audit_write(&g->audit, &ev);
}

static void loop(struct gateway *g)
{
	struct epoll_event ev[EVENTS];
	uint64_t tick = 0;
	int i, n, wait, rest;

	while (!g->over) {
		wait = g->again || g->dead ? 0 : resolver_wait(g);
		if (wait < 0 || wait > TICK_MS)
			wait = g->live || g->paused || g->refused.rests ? TICK_MS : wait;
		if (g->slow && (wait < 0 || wait > SLOW_MS))
			wait = SLOW_MS;
		rest = go_on_listening(g);
		if (rest >= 0 && (wait < 0 || wait > rest))
			wait = rest;
		n = epoll_wait(g->epoll, ev, EVENTS, wait);
		g->now = (uint64_t)clock_ms();
		for (i = 0; i < n; i++) {
			struct watch *w = ev[i].data.ptr;

			if (w->fd >= 0) /* closed by one of those before it */
				w->on(g, w, ev[i].events);
		}
		resolver_tick(g->resolver, g->now);
		if (g->now >= tick) {
			conn_tick(g);
			udp_tick(g);
			if (g->paused)
				listen_all(g, EPOLLIN);
			g->paused = false;
			tick = g->now + TICK_MS;
		}
		go_on(g);
		go_on_slowly(g);
		bury(g);
		if (g->audit.failing && !g->unlogged)
			g->unlogged = line_unlogged(g);
	}
	while (g->live)
		conn_close(g, g->live, true);
	udp_end(g);
	log_counted(g);
	audit_end(&g->audit);
	if (g->audit.failing && !g->unlogged)
		(void)line_unlogged(g); /* its last words */
}

/* --- the beginning --- */

static int take_memory(struct gateway *g, struct err *e)
{
	const rlim_t files = fd_raise_limit();
	int r;
	size_t n = LIMIT_CONNS;

	if (files != RLIM_INFINITY && files < LIMIT_CONNS * FDS_PER_CONN + FDS_OTHERS)
		n = files > FDS_OTHERS + FDS_PER_CONN ? (files - FDS_OTHERS) / FDS_PER_CONN : 1;
	g->conns = mmap(NULL, LIMIT_CONNS * sizeof(*g->conns), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g->conns == MAP_FAILED)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "gateway: out of memory");
	r = names_init(&g->names, &g->setup->kept->names);
	if (r < 0)
		return err_set(e, ERR_SYSTEM, r,
			       "gateway: the names of the one before can't be believed");
	control_replay(g);
	g->n_conns = n;
	return 0;
}

static int listen_to(struct gateway *g, struct watch *w, int fd,
		     void (*on)(struct gateway *, struct watch *, uint32_t), struct err *e)
{
	int r;

	*w = (struct watch){ .fd = fd, .on = on };
	r = fd < 0 ? 0 : gw_watch(g, w, EPOLLIN);
	return r < 0 ? err_sys(e, r, "gateway: epoll") : 0;
}

static int publish_all(struct gateway *g, struct err *e)
{
	const struct gateway_published *p = g->setup->published;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < GATEWAY_PUBLISHED; i++) {
		if (p[i].port)
			r = gw_publish(g, i, p[i].listener, p[i].port);
	}
	return r < 0 ? err_sys(e, r, "gateway: epoll") : 0;
}

/* Whose name is too long for a message has none there. */
static void set_settings(struct gateway *g, const char *name)
{
	if (!name)
		return;
	(void)snprintf(g->settings, sizeof(g->settings), "%s",
		       strlen(name) < sizeof(g->settings) ? name : "the settings");
	g->policy.settings = g->settings;
}

static int close_others(struct gateway *g, int tell)
{
	const struct gateway_setup *s = g->setup;
	int keep[12 + GATEWAY_PUBLISHED] = { s->tcp,  s->dns,     s->http,   s->socks,
					     s->door, s->control, s->log[0], s->log[1],
					     s->head, s->alive,   s->keys,   tell };
	size_t i, n = 12;

	for (i = 0; i < GATEWAY_PUBLISHED; i++) {
		g->published[i].watch.fd = -1;
		if (s->published[i].port)
			keep[n++] = s->published[i].listener;
	}
	return fd_close_others(keep, n);
}

static int begin(struct gateway *g, int tell, struct err *e)
{
	const struct gateway_setup *s = g->setup;
	size_t i;
	int r;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_sys(e, -errno, "gateway: death signal");
	(void)prctl(PR_SET_NAME, "bailey-gateway", 0, 0, 0); /* for people */
	r = close_others(g, tell);
	if (r == 0)
		r = confine_streams();
	if (r < 0)
		return err_sys(e, r, "gateway: descriptors");
	confine_memory();
	r = rules_begin(g, e);
	if (r == 0)
		r = take_memory(g, e);
	if (r < 0)
		return r;
	if (s->upstream)
		g->upstream = *s->upstream;
	set_settings(g, s->settings);
	if (s->box) {
		(void)snprintf(g->box, sizeof(g->box), "%s", s->box);
		g->policy.box = g->box;
	}
	g->external = (struct upstream_proxy){
		.addr = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } },
		.port = s->external_http
	};
	if (s->forget)
		(void)munmap(s->forget, s->n_forget); /* of our own address space */
	r = audit_begin(&g->audit, s->log, s->head);
	if (r < 0)
		return err_sys(e, r, "gateway: audit log");
	g->now = (uint64_t)clock_ms();
	if (quota_init(g) < 0)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "gateway: out of memory");
	g->offers = (uint32_t)g->now; /* not those of a gateway before this one */
	g->new_names = 2000;
	g->new_names_at = g->now;
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (g->epoll < 0)
		return err_sys(e, -errno, "gateway: epoll");
	g->own = own_open();
	if (g->own < 0)
		return err_sys(e, g->own, "gateway: netlink");
	for (i = 0; i < ARRAY_SIZE(g->asking); i++)
		g->asking[i].fd = -1;
	r = resolve_conf_read(&g->conf, "/etc/resolv.conf", "/etc/hosts", e);
	if (r == 0) {
		g->resolver = resolver_new(
			&g->conf, &(struct resolve_io){ watch_asking, unwatch_asking, g }, e);
		r = g->resolver ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = udp_init(g, e);
	if (r == 0)
		r = listen_to(g, &g->tcp, s->tcp, on_tcp, e);
	if (r == 0)
		r = listen_to(g, &g->dns, s->dns, on_dns, e);
	if (r == 0)
		r = listen_to(g, &g->http, s->http, on_http, e);
	if (r == 0)
		r = listen_to(g, &g->socks, s->socks, on_socks, e);
	if (r == 0)
		r = publish_all(g, e);
	if (r == 0)
		r = listen_to(g, &g->control, s->control, on_control, e);
	if (r == 0)
		r = listen_to(g, &g->keys, s->keys, on_keys, e);
	if (r == 0)
		r = listen_to(g, &g->alive, s->alive, line_event, e);
	return r < 0 ? r : confine_gateway(s->uid, s->gid, e);
}

static void __attribute__((noreturn)) run(const struct gateway_setup *s, int tell)
{
	struct gateway g = { .arena = ARENA_INIT(RULES_ARENA),
			     .pace = { [GW_CONNS] = { .per_ms = LIMIT_CONNS_PER_MS,
						      .burst = LIMIT_CONNS_BURST },
				       [GW_QUESTIONS] = { .per_ms = LIMIT_QUESTIONS_PER_MS,
							  .burst = LIMIT_QUESTIONS_BURST } } };
	struct gateway_setup own = *s; /* it may lie in memory that goes */
	struct err e = ERR_INIT;
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL); /* can't fail with these arguments */
	g.setup = &own;
	if (begin(&g, tell, &e) < 0) {
		(void)send(tell, &e, sizeof(e),
			   MSG_NOSIGNAL); /* whoever is not there need not know */
		_exit(1);
	}
	(void)close(tell);
	loop(&g);
	_exit(0);
}

int gateway_start(const struct gateway_setup *s, pid_t *ret_pid, struct err *e)
{
	struct err theirs = ERR_INIT;
	int tell[2];
	ssize_t n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, tell) < 0)
		return err_sys(e, -errno, "gateway");
	pid = fork();
	if (pid == 0) {
		(void)close(tell[0]);
		run(s, tell[1]);
	}
	(void)close(tell[1]);
	if (pid < 0) {
		(void)close(tell[0]);
		return err_sys(e, -errno, "gateway: fork");
	}
	do {
		n = recv(tell[0], &theirs, sizeof(theirs), 0);
	} while (n < 0 && errno == EINTR);
	(void)close(tell[0]);
	if (n ==
	    0) { /* it is confined, and has closed its end; or it was killed, which its caller sees like any later death */
		*ret_pid = pid;
		return 0;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	theirs.msg[sizeof(theirs.msg) - 1] = '\0';
	return n == (ssize_t)sizeof(theirs) ?
		       err_set(e, theirs.code, theirs.sys ? -theirs.sys : -EIO, "%s", theirs.msg) :
		       err_set(e, ERR_SYSTEM, -EIO, "gateway: no word of it");
}
