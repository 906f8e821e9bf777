/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line to the supervisor: one datagram each (struct gateway_message). When it hangs up, the run is over. New rules come over it as a file of memory, published
 * ports as sockets; what can't be taken ends this gateway, and the next one begins with it. A unix socket of the host is connected to by the supervisor, because
 * nothing here can name a file; it sends what it has got.
 */
#include "line.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "conn.h"
#include "rules.h"

static void take_rules(struct gateway *g, int fd)
{
	struct buf b = BUF_INIT(LIMIT_NET_PACK);
	struct err e = ERR_INIT;
	int r = fd < 0 ? -EBADF : fd_read_all(fd, &b);

	if (r == 0)
		r = rules_replace(g, b.data ? b.data : "", b.len, &e);
	buf_done(&b);
	if (r < 0)
		g->over =
			true; /* what is denied now must not go on under what was allowed before */
}

static void dialled(struct gateway *g, const struct gateway_message *m, int *fd)
{
	struct conn *c;

	for (c = g->live; c; c = c->next) {
		if (c->state == CONN_DIAL && c->line == m->ticket)
			break;
	}
	if (!c || !m->ticket)
		return; /* it has gone meanwhile */
	c->line = 0;
	if (m->error || *fd < 0) {
		conn_fail(g, c, 502, strerror(m->error > 0 ? m->error : EIO));
		return;
	}
	conn_dialled_by(g, c, TAKE_FD(*fd));
}

static void publish(struct gateway *g, const struct gateway_message *m, int *fd)
{
	if (m->ticket >= GATEWAY_PUBLISHED || (*fd >= 0) != (m->port > 0) || m->port > UINT16_MAX ||
	    gw_publish(g, (size_t)m->ticket, *fd >= 0 ? TAKE_FD(*fd) : -1, (uint16_t)m->port) < 0)
		g->over = true; /* else who connects would wait for ever */
}

void line_event(struct gateway *g, struct watch *w, uint32_t events)
{
	struct gateway_message m;
	int fds[8];
	ssize_t n;
	size_t i;

	while (!g->over && (events & EPOLLIN)) {
		n = fd_recv(w->fd, &m, sizeof(m), fds, MSG_DONTWAIT);
		if (n < 0 && n != -EBADMSG)
			break;
		if (n <=
		    0) /* what comes with a message can't be had: the next gateway gets all of it */
			g->over = true;
		else if (n == (ssize_t)sizeof(m) && m.word == GATEWAY_RULES)
			take_rules(g, fds[0]);
		else if (n == (ssize_t)sizeof(m) && m.word == GATEWAY_DIALLED)
			dialled(g, &m, &fds[0]);
		else if (n == (ssize_t)sizeof(m) && m.word == GATEWAY_PUBLISH)
			publish(g, &m, &fds[0]);
		for (i = 0; i < ARRAY_SIZE(fds); i++)
			cleanup_close(&fds[i]);
	}
	if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		g->over = true;
}

static int tell(struct gateway *g, enum gateway_word word, uint64_t ticket)
{
	struct gateway_message m;

	memset(&m, 0, sizeof(m));
	m.word = word;
	m.ticket = ticket;
	/* its queue is full when the supervisor is busy: no reason to wait for it with all connections */
	return fd_send(g->alive.fd, &m, sizeof(m), NULL, 0, 0);
}

int line_dial(struct gateway *g, struct conn *c)
{
	c->line = ++g->lines;
	return tell(g, GATEWAY_DIAL, c->line);
}

bool line_unlogged(struct gateway *g)
{
	return tell(g, GATEWAY_UNLOGGED, 0) == 0;
}

void line_wake(struct gateway *g)
{
	if (g->setup->kept->use.paused)
		(void)tell(g, GATEWAY_WAKE, 0); /* else the next connection says it */
}
