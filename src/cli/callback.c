/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A browser opens a connection or two ahead of need, sends its request on one of them, then asks for an icon: so the port is open until the
 * first bytes have come and BURST_MS more, not for one connection. Both sides are hostile to each other, and the sandbox to us: bytes are carried, never looked at,
 * and everything has an end: connections at a time, connections in all, bytes, time. The process is confined before it accepts.
 */
#include "callback.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gateway/gateway.h"

#define WAIT_MS 300000 /* for the first bytes: somebody types a password meanwhile */
#define BURST_MS 5000
#define CONN_MS 60000
#define LIVE 8u
#define CONNS_MAX 32u
#define PIECE 16384u
#define BYTES_MAX (1u << 20) /* of one connection, each way */

struct way {
	size_t at, n; /* in piece */
	size_t total;
	bool eof, shut;
	char piece[PIECE];
};

struct pair {
	int fd[2]; /* the browser's side, the sandbox's; -1: free */
	bool dialled;
	long end;
	struct way way[2]; /* way[i]: from fd[i] */
};

struct forward {
	const struct callback *c;
	int listener[CALLBACK_LISTENERS];
	struct pair pair[LIVE];
	unsigned int conns;
	long end;   /* of listening */
	bool begun; /* the burst */
};

static void pair_close(struct pair *p)
{
	cleanup_close(&p->fd[0]);
	cleanup_close(&p->fd[1]);
	p->fd[0] = p->fd[1] = -1;
}

static void stop_listening(struct forward *f)
{
	size_t i;

	for (i = 0; i < CALLBACK_LISTENERS; i++) {
		cleanup_close(&f->listener[i]);
		f->listener[i] = -1;
	}
}

/* To the port inside: programs listen at 127.0.0.1, at ::1, or at both. Return: a socket that is connected; or negative errno. */
static int dial(const struct callback *c)
{
	const struct net_addr at[] = { { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } },
				       { { [15] = 1 } } };
	struct sockaddr_storage to;
	socklen_t size;
	size_t i;
	int r = -ECONNREFUSED, error;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct pollfd p = { .events = POLLOUT };
		_cleanup_close_ int fd = door_socket(c->door, SOCK_STREAM, i == 1, NULL, 0);

		if (fd < 0)
			return fd;
		size = gateway_sockaddr(&at[i], c->port, &to);
		p.fd = fd;
		if (connect(fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)
			continue;
		size = sizeof(error);
		/* its own loopback answers at once, or something is wrong there */
		if (poll(&p, 1, 1000) == 1 &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
			return TAKE_FD(fd);
	}
	return r;
}

static void take(struct forward *f, int listener)
{
	struct sockaddr_storage from;
	socklen_t from_size = sizeof(from);
	int fd = accept4(listener, (struct sockaddr *)&from, &from_size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	size_t i;

	if (fd < 0)
		return;
	for (i = 0; i < LIVE && f->pair[i].fd[0] >= 0; i++)
		;
	if (i == LIVE || f->conns == CONNS_MAX) {
		(void)close(fd); /* more than any browser opens */
		return;
	}
	f->conns++;
	f->pair[i].fd[0] = fd;
	f->pair[i].dialled = false;
	f->pair[i].end = clock_ms() + CONN_MS;
	memset(f->pair[i].way, 0, sizeof(f->pair[i].way));
}

/* Return: whether the pair can go on. */
static bool carry(struct pair *p, int from)
{
	struct way *w = &p->way[from];
	ssize_t n;

	if (!w->eof && w->n == 0) {
		n = recv(p->fd[from], w->piece, sizeof(w->piece), 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		w->eof = n == 0;
		w->at = 0;
		w->n = n > 0 ? (size_t)n : 0;
		w->total += w->n;
		if (w->total > BYTES_MAX)
			return false;
	}
	if (w->n > 0 && p->fd[!from] >= 0) {
		n = send(p->fd[!from], w->piece + w->at, w->n, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		w->at += n > 0 ? (size_t)n : 0;
		w->n -= n > 0 ? (size_t)n : 0;
	}
	if (w->eof && w->n == 0 && !w->shut && p->fd[!from] >= 0) {
		(void)shutdown(p->fd[!from],
			       SHUT_WR); /* it may be gone, which the next read says */
		w->shut = true;
	}
	return !(p->way[0].shut && p->way[1].shut);
}

/* The first bytes of a connection are the burst's, and only then the sandbox hears of it. */
static bool first_bytes(struct forward *f, struct pair *p)
{
	if (!carry(p, 0) || (p->way[0].eof && p->way[0].n == 0))
		return false;
	if (p->way[0].n == 0)
		return true;
	p->dialled = true;
	p->fd[1] = dial(f->c);
	if (p->fd[1] < 0)
		return false;
	if (!f->begun)
		f->end = clock_ms() + BURST_MS;
	f->begun = true;
	return true;
}

static short wanted(const struct pair *p, int side)
{
	short events = 0;

	if (p->fd[side] < 0)
		return 0;
	if (!p->way[side].eof && p->way[side].n == 0)
		events |= POLLIN;
	if (p->way[!side].n > 0)
		events |= POLLOUT;
	return events;
}

/* Fill @p. Return: until the poll must end, or -1 when nothing is left. */
static long arrange(struct forward *f, struct pollfd *p)
{
	const long now = clock_ms();
	long end = -1;
	size_t i, k;

	if (now >= f->end || f->conns == CONNS_MAX)
		stop_listening(f);
	for (i = 0; i < CALLBACK_LISTENERS; i++) {
		p[i] = (struct pollfd){ .fd = f->listener[i], .events = POLLIN };
		if (f->listener[i] >= 0)
			end = f->end;
	}
	for (i = 0; i < LIVE; i++) {
		struct pair *q = &f->pair[i];

		if (q->fd[0] >= 0 && now >= q->end)
			pair_close(q);
		for (k = 0; k < 2; k++) {
			const short events = wanted(q, (int)k);

			/* a hang-up that nobody waits for must not spin */
			p[CALLBACK_LISTENERS + 2 * i + k] =
				(struct pollfd){ .fd = events ? q->fd[k] : -1, .events = events };
		}
		if (q->fd[0] >= 0 && (end < 0 || q->end < end))
			end = q->end;
	}
	return end < 0 ? -1 : end - now;
}

static void step(struct forward *f, const struct pollfd *p)
{
	size_t i;

	for (i = 0; i < LIVE; i++) {
		struct pair *q = &f->pair[i];
		const struct pollfd *s = &p[CALLBACK_LISTENERS + 2 * i];

		/* what was taken since the poll has no events */
		if (q->fd[0] < 0 || (!s[0].revents && !s[1].revents))
			continue;
		if (!(q->dialled ? carry(q, 0) && carry(q, 1) : first_bytes(f, q)))
			pair_close(q);
	}
	for (i = 0; i < CALLBACK_LISTENERS; i++) {
		if (p[i].revents && f->listener[i] >= 0)
			take(f, f->listener[i]);
	}
}

static void __attribute__((noreturn)) work(const struct callback *c)
{
	/* of poll to the ends of connections; door_socket() sends and receives a message */
	static const unsigned short calls[] = {
		SYS_poll,           SYS_ppoll,        SYS_accept4,
		SYS_connect,        SYS_recvfrom,     SYS_sendto,
		SYS_recvmsg,        SYS_sendmsg,      SYS_getsockopt,
		SYS_shutdown,       SYS_close,        SYS_clock_gettime,
		SYS_munmap,         SYS_brk,          SYS_exit_group,
		SYS_exit,           SYS_rt_sigreturn, SYS_rt_sigprocmask,
		SYS_restart_syscall
	};
	struct pollfd p[CALLBACK_LISTENERS + 2 * LIVE];
	static struct forward f; /* too large for a stack */
	struct err e = ERR_INIT;
	size_t i;
	long wait;

	f = (struct forward){ .c = c, .end = clock_ms() + WAIT_MS };
	memcpy(f.listener, c->listener, sizeof(f.listener));
	for (i = 0; i < LIVE; i++)
		f.pair[i].fd[0] = f.pair[i].fd[1] = -1;
	confine_memory();
	if (confine(&(struct confine_plan){ .who = "callback",
					    .uid = c->uid,
					    .gid = c->gid,
					    .calls = calls,
					    .n = ARRAY_SIZE(calls) },
		    &e) < 0)
		_exit(1);
	while ((wait = arrange(&f, p)) >= 0) {
		if (poll(p, ARRAY_SIZE(p), (int)wait) < 0 && errno != EINTR)
			_exit(1);
		step(&f, p);
	}
	_exit(0);
}

static int listen_at(const struct net_addr *at, uint16_t port)
{
	struct sockaddr_storage to;
	const socklen_t size = gateway_sockaddr(at, port, &to);
	_cleanup_close_ int fd =
		socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    (to.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int)) < 0) ||
	    bind(fd, (struct sockaddr *)&to, size) < 0 || listen(fd, LIVE) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int callback_listen(struct callback *c, enum url_back back, uint16_t port, struct err *e)
{
	const struct net_addr at[] = { { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } },
				       { { [15] = 1 } } };
	const bool wanted[] = { back != URL_BACK_V6, back != URL_BACK_V4 };
	size_t i;
	int r = 0;

	c->port = port;
	c->listener[0] = c->listener[1] = -1;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		if (!wanted[i])
			continue;
		r = listen_at(&at[i], port);
		/* a host without IPv6 has one localhost; where somebody else listens, he would get what comes back */
		if (i == 1 && back == URL_BACK_NAME && (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT))
			break;
		if (r < 0) {
			callback_close(c);
			return err_sys(e, r,
				       "port %u of this machine, where the log-in comes back to",
				       port);
		}
		c->listener[i] = r;
	}
	return 0;
}

int callback_start(const struct callback *c, pid_t *ret_pid, struct err *e)
{
	const pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, -errno, "fork");
	if (pid == 0) {
		const int keep[] = { c->listener[0], c->listener[1], c->door };
		sigset_t all;

		sigfillset(&all);
		(void)sigprocmask(SIG_SETMASK, &all, NULL); /* can't fail with these arguments */
		(void)prctl(PR_SET_NAME, "bailey-callback", 0, 0, 0); /* for people */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent ||
		    confine_streams() < 0 || fd_close_others(keep, ARRAY_SIZE(keep)) < 0 ||
		    munmap(c->forget, c->n_forget) < 0)
			_exit(1);
		work(c);
	}
	*ret_pid = pid;
	return 0;
}

void callback_close(struct callback *c)
{
	size_t i;

	for (i = 0; i < CALLBACK_LISTENERS; i++) {
		cleanup_close(&c->listener[i]);
		c->listener[i] = -1;
	}
	cleanup_close(&c->door);
	c->door = -1;
}
