/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. First the entries of the decider's lists come from bailey-keys, then the word to listen. From then on clients are taken and handed on unread, and hosts
 * that it names are judged once more, looked up, judged by each address, and dialled one address after the other.
 *
 * Everything about one call is a struct call, of which there is a fixed number. Messages to bailey-keys are sent blocking: it always reads, and never waits for us.
 */
#include "dialer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialer-confine.h"
#include "gateway.h"
#include "keys/keys.h"
#include "own.h"
#include "resolve.h"

#define EVENTS 64
#define TICK_MS 1000
#define ADDRS 16u
#define LOOK_UP_MS 20000
#define DIAL_MS 30000 /* one address; less where there are more */
#define DIAL_NEXT_MS 1000
#define BACKLOG 511

struct dialer;

/* One host that is looked up or dialled. */
struct call {
	struct dialer *d; /* NULL: free */
	uint32_t id;
	char host[NET_HOST_MAX + 1];
	uint16_t port;
	uint64_t ticket;   /* of the resolver; 0: none */
	uint64_t deadline; /* ms */
	struct net_addr addrs[ADDRS];
	size_t n, next;
	int fd;    /* -1: none */
	int error; /* of the last address */
};

/* What an event is about: the kind above, a number below. */
enum about { ABOUT_KEYS, ABOUT_CLIENTS, ABOUT_RESOLVER, ABOUT_CALL };

struct dialer {
	const struct dialer_setup *setup;
	int epoll, own;
	int listener; /* -1: no more */
	uint64_t now;
	bool full; /* of descriptors: clients wait until one of ours is closed, or for a tick */
	struct arena arena;
	struct decider_list lists[2]; /* allowed, denied: while they come */
	size_t room[2];
	struct decider_hello hello;
	struct resolve_conf conf;
	struct resolver *resolver;
	struct call calls[LIMIT_CONNS];
	bool over;
};

static int watch(struct dialer *d, int op, int fd, uint32_t events, enum about about, size_t n)
{
	struct epoll_event ev = { .events = events, .data = { .u64 = (uint64_t)about << 32 | n } };

	return epoll_ctl(d->epoll, op, fd, &ev) < 0 ? -errno : 0;
}

static int watch_question(void *arg, int fd, uint32_t events)
{
	int r = watch(arg, EPOLL_CTL_ADD, fd, events, ABOUT_RESOLVER, (size_t)fd);

	return r == -EEXIST ? watch(arg, EPOLL_CTL_MOD, fd, events, ABOUT_RESOLVER, (size_t)fd) : r;
}

static void unwatch_question(void *arg, int fd)
{
	(void)watch(arg, EPOLL_CTL_DEL, fd, 0, ABOUT_RESOLVER, 0); /* its close would do as well */
}

/* --- answers --- */

static void say(struct dialer *d, const struct keys_call *m, int fd)
{
	if (fd_send(d->setup->keys, m, sizeof(*m), &fd, fd >= 0, 0) < 0)
		d->over = true;
}

/* The call is over. @why: NULL: it is connected */
static void answer(struct call *c, const char *why, bool denied)
{
	struct keys_call m = {
		.kind = CALL_DIALLED, .version = KEYS_VERSION, .id = c->id, .denied = denied
	};

	(void)snprintf(m.text, sizeof(m.text), "%s", why ? why : ""); /* cut where it is long */
	say(c->d, &m, why ? -1 : c->fd);
	if (c->ticket)
		resolver_cancel(c->d->resolver, c->ticket);
	if (c->fd >= 0)
		(void)close(c->fd); /* keys has its own by now */
	c->d = NULL;
}

/* --- connecting --- */

static void dial(struct call *c)
{
	struct sockaddr_storage to;
	unsigned int size;
	int r;

	while (c->next < c->n) {
		size = gateway_sockaddr(&c->addrs[c->next++], c->port, &to);
		c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd < 0) {
			c->error = errno;
			continue;
		}
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		(void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
		r = connect(c->fd, (struct sockaddr *)&to, size) < 0 ? -errno : 0;
		if ((r == 0 || r == -EINPROGRESS) &&
		    watch(c->d, EPOLL_CTL_ADD, c->fd, EPOLLOUT, ABOUT_CALL,
			  (size_t)(c - c->d->calls)) == 0) {
			c->deadline = c->d->now + (c->next < c->n ? DIAL_NEXT_MS : DIAL_MS);
			return;
		}
		c->error = r < 0 ? -r : ENOMEM;
		(void)close(TAKE_FD(c->fd));
	}
	answer(c, strerror(c->error), false);
}

static void on_dialled(struct call *c)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (c->fd < 0)
		return;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error == 0) {
		/* who gets it has it in a loop of its own */
		(void)watch(c->d, EPOLL_CTL_DEL, c->fd, 0, ABOUT_CALL, 0);
		answer(c, NULL, false);
		return;
	}
	c->error = error;
	(void)close(TAKE_FD(c->fd));
	dial(c);
}

/* Of the addresses those that the host may have are dialled. */
static void on_looked_up(void *arg, const struct resolve_result *res)
{
	struct call *c = arg;
	struct dialer *d = c->d;
	char text[CALL_TEXT_MAX];
	const char *why, *first = NULL;
	size_t i;

	c->ticket = 0;
	if (res->error || res->n == 0) {
		answer(c, res->error ? strerror(-res->error) : "the name has no address", false);
		return;
	}
	for (i = 0; i < res->n && c->n < ADDRS; i++) {
		why = decider_address(&d->hello, c->host, c->port, &res->addrs[i],
				      own_has(d->own, &res->addrs[i]));
		if (!why)
			c->addrs[c->n++] = res->addrs[i];
		else if (!first)
			first = why;
	}
	if (c->n > 0) {
		dial(c);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s has %s, where names may not lead", c->host, first);
	answer(c, text, true);
}

static void take_call(struct dialer *d, const struct keys_call *m)
{
	struct call refused = { .d = d, .id = m->id, .fd = -1 }, *c = d->calls;
	struct net_addr addr;

	while (c < d->calls + LIMIT_CONNS && c->d)
		c++;
	if (c == d->calls + LIMIT_CONNS) {
		answer(&refused, "too many hosts are dialled at a time", false);
		return;
	}
	*c = (struct call){ .d = d, .id = m->id, .port = m->port, .fd = -1 };
	if (!decider_host(m->text, strlen(m->text), c->host) ||
	    !decider_covers(&d->hello, c->host, c->port)) {
		answer(c, "the lists do not allow this host", true);
	} else if (net_addr_parse(&addr, c->host, strlen(c->host))) {
		c->addrs[c->n++] = addr;
		dial(c);
	} else {
		c->deadline = d->now + LOOK_UP_MS;
		if (resolver_ask(d->resolver, c->host, RESOLVE_V4 | RESOLVE_V6, d->now,
				 on_looked_up, c, &c->ticket) < 0)
			answer(c, "too many names are looked up at a time", false);
	}
}

/* --- clients --- */

/* One that goes before it is taken is no reason to stop. */
static void on_clients(struct dialer *d)
{
	const struct keys_call m = { .kind = CALL_CLIENT, .version = KEYS_VERSION };
	struct sockaddr_storage from; /* nobody asks */
	socklen_t size;
	int fd;

	while (!d->over && d->listener >= 0) {
		size = sizeof(from);
		fd = accept4(d->listener, (struct sockaddr *)&from, &size,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			d->full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				  errno == ENOMEM;
			return;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 },
				 sizeof(int)); /* a unix socket has none */
		say(d, &m, fd);
		(void)close(fd);
	}
}

static void tell(struct dialer *d, const char *text)
{
	(void)fd_write_all(d->setup->tell, text,
			   strlen(text)); /* whoever is not there need not know */
	(void)close(d->setup->tell);
}

static void begin_listening(struct dialer *d)
{
	int r = 0;

	d->hello = (struct decider_hello){ d->lists[0], d->lists[1] };
	if (listen(d->listener, BACKLOG) < 0) /* where it listens already: nothing changes */
		r = -errno;
	if (r == 0)
		r = watch(d, EPOLL_CTL_ADD, d->listener, EPOLLIN | EPOLLET, ABOUT_CLIENTS, 0);
	tell(d, r < 0 ? strerror(-r) : ".");
	if (r < 0)
		d->over = true;
	else
		on_clients(d); /* who came before this is no edge */
}

static void add_entry(struct dialer *d, const struct keys_call *m)
{
	struct decider_list *l = &d->lists[m->denied != 0];
	size_t *room = &d->room[m->denied != 0];
	struct decider_entry *v;
	struct err e = ERR_INIT;

	if (l->n == *room) {
		*room = *room ? 2 * *room : 64;
		v = realloc(l->v, *room * sizeof(*v));
		if (!v) {
			d->over = true;
			return;
		}
		l->v = v;
	}
	if (decider_entry_parse(&l->v[l->n], m->text, &d->arena, &e) < 0)
		d->over = true; /* a denial must not be lost */
	else
		l->n++;
}

static void on_keys(struct dialer *d)
{
	struct keys_call m;
	int fds[8];
	ssize_t n;
	size_t i;

	while (!d->over) {
		n = fd_recv(d->setup->keys, &m, sizeof(m), fds, MSG_DONTWAIT);
		if (n == -EAGAIN)
			return;
		for (i = 0; n > 0 && i < 8; i++)
			cleanup_close(&fds[i]);
		if (n != (ssize_t)sizeof(m) || m.version != KEYS_VERSION ||
		    !memchr(m.text, '\0', sizeof(m.text)))
			d->over = true; /* it is gone, or not what it was */
		else if (m.kind == CALL_HOST)
			add_entry(d, &m);
		else if (m.kind == CALL_LISTEN)
			begin_listening(d);
		else if (m.kind == CALL_DIAL)
			take_call(d, &m);
		else if (m.kind == CALL_STOP && d->listener >= 0)
			(void)close(TAKE_FD(d->listener));
	}
}

/* --- the loop --- */

static int until(const struct dialer *d)
{
	uint64_t at = resolver_next_deadline_ms(d->resolver), most = d->now + TICK_MS;

	at = at < most ? at : most;
	return at <= d->now ? 0 : (int)(at - d->now);
}

static void check_times(struct dialer *d)
{
	size_t i;

	for (i = 0; i < LIMIT_CONNS; i++) {
		struct call *c = &d->calls[i];

		if (!c->d || d->now < c->deadline)
			continue;
		if (c->fd < 0) {
			answer(c, "no name server has answered in time", false);
			continue;
		}
		c->error = ETIMEDOUT;
		(void)close(TAKE_FD(c->fd));
		dial(c);
	}
	if (d->full)
		on_clients(d);
}

static void handle(struct dialer *d, const struct epoll_event *ev)
{
	uint32_t n = (uint32_t)ev->data.u64;

	switch ((enum about)(ev->data.u64 >> 32)) {
	case ABOUT_KEYS:
		on_keys(d);
		break;
	case ABOUT_CLIENTS:
		on_clients(d);
		break;
	case ABOUT_RESOLVER:
		resolver_event(d->resolver, (int)n, d->now);
		break;
	case ABOUT_CALL:
		if (d->calls[n].d)
			on_dialled(&d->calls[n]);
		break;
	}
}

static void loop(struct dialer *d)
{
	struct epoll_event ev[EVENTS];
	int i, n;

	while (!d->over) {
		n = epoll_wait(d->epoll, ev, EVENTS, until(d));
		d->now = (uint64_t)clock_ms();
		for (i = 0; i < n && !d->over; i++)
			handle(d, &ev[i]);
		resolver_tick(d->resolver, d->now);
		check_times(d);
	}
}

/* --- the beginning --- */

static int begin(struct dialer *d, struct err *e)
{
	const int keep[] = { d->setup->listener, d->setup->keys, d->setup->tell };
	int r = fd_close_others(keep, ARRAY_SIZE(keep));

	if (r == 0)
		r = confine_streams();
	if (r < 0)
		return err_sys(e, r, "dialer: descriptors");
	(void)fd_raise_limit(); /* fewer connections, then */
	d->now = (uint64_t)clock_ms();
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	d->own = own_open();
	if (d->epoll < 0 || d->own < 0)
		return err_set(e, ERR_SYSTEM, -EIO, "dialer: no epoll or netlink");
	r = resolve_conf_read(&d->conf, "/etc/resolv.conf", "/etc/hosts", e);
	if (r < 0)
		return r;
	d->resolver = resolver_new(&d->conf,
				   &(struct resolve_io){ watch_question, unwatch_question, d }, e);
	if (!d->resolver)
		return -ENOMEM;
	r = watch(d, EPOLL_CTL_ADD, d->setup->keys, EPOLLIN | EPOLLRDHUP, ABOUT_KEYS, 0);
	if (r < 0)
		return err_sys(e, r, "dialer");
	return confine_dialer(e);
}

static void __attribute__((noreturn)) run(const struct dialer_setup *s)
{
	static struct dialer d = { .arena = ARENA_INIT(LIMIT_ARENA) };
	struct err e = ERR_INIT;

	(void)prctl(PR_SET_NAME, "bailey-dialer", 0, 0, 0); /* for people */
	(void)signal(SIGPIPE, SIG_IGN);                     /* can't fail with these arguments */
	(void)signal(SIGTERM, SIG_IGN);                     /* of the whole group: keys ends us */
	d.setup = s;
	d.listener = s->listener;
	if (begin(&d, &e) < 0) {
		tell(&d, e.msg);
		_exit(1);
	}
	loop(&d);
	_exit(0);
}

int dialer_start(const struct dialer_setup *s, pid_t *ret_pid, struct err *e)
{
	const pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, -errno, "dialer: fork");
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
			_exit(1);
		run(s);
	}
	*ret_pid = pid;
	return 0;
}
