/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. All that needs files is read first: the authority from its descriptor, the host's roots. Then the process confines itself as bailey-keys does always: it makes no
 * connection, clients and servers come from the dialer. The decider's hello is passed on to that one, and clients are taken from then on.
 *
 * At the end (the launcher's end closes, or the link to the decider) requests that wait for a verdict are refused, answers on their way have PX_GRACE_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confine.h"
#include "px.h"

#define PEM_MAX (256u << 10)
#define ROOTS_MAX (4u << 20)

/* One line for the launcher: how it ends, and why. @how: 'f': it could not begin; 's': it stops */
static void say(struct keys *k, char how, const char *why)
{
	char line[KEYS_WHY_MAX + 64];
	int n = snprintf(line, sizeof(line), "%c%.*s\n", how, (int)sizeof(line) - 3, why);

	if (k->control.fd >= 0)
		(void)send(k->control.fd, line, (size_t)n,
			   MSG_DONTWAIT | MSG_NOSIGNAL); /* whoever is not there need not know */
}

/* --- the end --- */

void px_close(struct keys *k, const char *why)
{
	const struct keys_call stop = { .kind = CALL_STOP, .version = KEYS_VERSION };
	struct desk *d = k->desk;
	struct conn *c, *next;

	if (d->closing)
		return;
	d->closing = true;
	d->over_at = k->now + PX_GRACE_MS;
	say(k, d->greeted ? 's' : 'f', why);
	keys_tell(k, &stop);
	px_link_end(k, "closed");
	for (c = k->live; c; c = next) {
		next = c->next;
		if (c->state != CONN_OPEN || px_idle(c))
			conn_finish(c, "");
	}
}

void px_tick(struct keys *k)
{
	if (k->desk->closing && (!k->live || k->now >= k->desk->over_at))
		k->over = true;
}

/* --- the launcher, and the dialer --- */

/* It says nothing: its end is what is waited for. */
static void on_control(struct keys *k, struct watch *w, uint32_t events)
{
	char waste[64];
	ssize_t n;

	(void)events;
	do {
		n = recv(w->fd, waste, sizeof(waste), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n == 0)
		px_close(k, k->desk->greeted ? "closed" : "decider unavailable: closed");
}

static void take_client(struct keys *k, int fd)
{
	const struct keys_offer none = { .kind = KEYS_OFFER };

	if (k->desk->closing)
		(void)close(fd);
	else
		(void)conn_new(k, &none, fd, -1); /* one too many is closed */
}

static void take_server(struct keys *k, const struct keys_call *m, int fd)
{
	struct conn *c;

	for (c = k->live; c; c = c->next) {
		if (c->px && c->px->step == PX_DIALS && c->px->dial == m->id) {
			px_dialled(c, m, fd);
			return;
		}
	}
	cleanup_close(&fd); /* whoever wanted it has gone */
}

static void on_dialer(struct keys *k, struct watch *w, uint32_t events)
{
	struct keys_call m;
	int fds[8];
	ssize_t n;

	if (events & EPOLLOUT)
		keys_flush(k);
	for (;;) {
		n = fd_recv(w->fd, &m, sizeof(m), fds, MSG_DONTWAIT);
		if (n == -EAGAIN)
			return;
		if (n != (ssize_t)sizeof(m) || !memchr(m.text, '\0', sizeof(m.text)))
			break;
		if (m.kind == CALL_CLIENT && fds[0] >= 0)
			take_client(k, fds[0]);
		else if (m.kind == CALL_DIALLED)
			take_server(k, &m, fds[0]);
		else
			cleanup_close(&fds[0]);
	}
	keys_unwatch(k, w);
	say(k, 'f', "the dialer has ended");
	px_close(k, "the dialer has ended");
}

/* All entries; the dialer only reads meanwhile, so this is waited for. */
static bool tell_entries(struct keys *k, const struct decider_list *l, bool denied)
{
	struct keys_call m = { .kind = CALL_HOST, .version = KEYS_VERSION, .denied = denied };
	size_t i;

	for (i = 0; i < l->n; i++) {
		(void)snprintf(m.text, sizeof(m.text), "%s", l->v[i].text); /* fits */
		if (send(k->gateway.fd, &m, sizeof(m), MSG_NOSIGNAL) < 0)
			return false;
	}
	return true;
}

void px_greeted(struct keys *k)
{
	const struct keys_call go = { .kind = CALL_LISTEN, .version = KEYS_VERSION };
	const struct decider_hello *h = &k->desk->hello;

	if (tell_entries(k, &h->allowed, false) && tell_entries(k, &h->denied, true))
		keys_tell(k, &go);
	else
		px_close(k, "the dialer has ended");
}

/* --- the beginning --- */

/* What --ca-fd names, to its end. */
static int read_ca(struct keys *k, struct err *e)
{
	struct buf b = BUF_INIT(PEM_MAX);
	int r = fd_read_all(KEYS_FD_CA, &b);

	(void)close(KEYS_FD_CA);
	if (r < 0)
		r = err_sys(e, r, "--ca-fd");
	else if (!b.data || !strstr(b.data, "PRIVATE KEY-----") ||
		 !strstr(b.data, "BEGIN CERTIFICATE-----"))
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "proxy-only: the CA PEM needs a private key and a certificate");
	else
		r = ca_read(&k->ca, b.data, e);
	if (b.data)
		explicit_bzero(b.data, b.len);
	buf_done(&b);
	return r;
}

/* NODE_EXTRA_CA_CERTS names roots beside the host's. */
static int begin_tls(struct keys *k, struct err *e)
{
	const char *file = getenv("NODE_EXTRA_CA_CERTS"), *roots[2] = { NULL, NULL };
	_cleanup_close_ int fd = file && *file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	struct buf b = BUF_INIT(ROOTS_MAX);
	int r = 0;

	if (file && *file) {
		r = fd < 0 ? -errno : fd_read_all(fd, &b);
		if (r < 0)
			r = err_sys(e, r, "NODE_EXTRA_CA_CERTS: %s", file);
		roots[0] = b.data;
	}
	if (r == 0)
		r = tls_begin(k, roots[0] ? roots : NULL, e);
	if (r == 0)
		r = tls_roots(k, e);
	buf_done(&b);
	return r;
}

static int begin(struct keys *k, bool ca, struct err *e)
{
	int r = ca ? read_ca(k, e) : 0;

	if (r == 0)
		r = begin_tls(k, e);
	if (r < 0)
		return r;
	k->log = calloc(KEYS_LOG, sizeof(*k->log));
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!k->log || k->epoll < 0 || keys_watch(k, &k->control) < 0 ||
	    keys_watch(k, &k->gateway) < 0)
		return err_set(e, ERR_SYSTEM, -ENOMEM,
			       "keys: no memory, or its channels are missing");
	r = confine_keys((uid_t)-1, (gid_t)-1, e);
	confine_memory();
	if (r < 0)
		return r;
	r = px_link_begin(k);
	return r < 0 ? err_sys(e, r, "the decider's descriptor") : 0;
}

/* The words' own memory is erased when the process confines itself. Return: a copy, one block; NULL. */
static const char **copy_words(char **words)
{
	size_t n = 0, size = 0, i, len;
	const char **v;
	char *p;

	for (; words[n]; n++)
		size += strlen(words[n]) + 1;
	v = calloc(1, (n + 1) * sizeof(*v) + size);
	p = v ? (char *)(v + n + 1) : NULL;
	for (i = 0; p && i < n; i++) {
		len = strlen(words[i]) + 1;
		v[i] = memcpy(p, words[i], len);
		p += len;
	}
	return v;
}

int keys_srt_proxy(char **words)
{
	static struct desk d = { .in = { .fd = KEYS_FD_DECIDER_IN },
				 .out = { .fd = -1 },
				 .arena = ARENA_INIT(LIMIT_ARENA) };
	static struct keys k = { .epoll = -1,
				 .control = { .fd = KEYS_FD_CONTROL, .on = on_control },
				 .gateway = { .fd = KEYS_FD_GATEWAY, .on = on_dialer },
				 .helper = { .fd = -1 },
				 .desk = &d };
	const int keep[] = { KEYS_FD_CONTROL, KEYS_FD_GATEWAY, KEYS_FD_DECIDER_IN,
			     KEYS_FD_DECIDER_OUT, KEYS_FD_CA };
	bool ca = strchr(words[0], PX_WORD_CA), both = !strchr(words[0], PX_WORD_OUT);
	struct err e = ERR_INIT;
	size_t n = ARRAY_SIZE(keep);

	(void)signal(SIGTERM, SIG_IGN); /* of the whole group: the launcher has an orderly end */
	d.set_plain = strchr(words[0], PX_WORD_SET);
	d.out.fd = both ? -1 : KEYS_FD_DECIDER_OUT;
	k.strip = copy_words(words + 1);
	if (!k.strip || keys_give_up(keep, ca ? n : n - 1) < 0)
		return 1;
	if (both)
		(void)close(KEYS_FD_DECIDER_OUT);
	if (begin(&k, ca, &e) < 0) {
		say(&k, 'f', e.msg);
		return 1;
	}
	keys_loop(&k);
	return 0;
}
