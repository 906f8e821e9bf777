/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Ids begin at 1 and increase. Who waits for a verdict is a connection in one of three steps (px.h); a request that was answered without its verdict leaves
 * its id behind, so that a late one is taken for what it is. Anything else that is said is a violation: the link ends, and with it everything, since a decider that is not understood
 * could mean anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "px.h"

#define READ_PIECE 65536u
#define BASE64_PIECE (48u << 10) /* of three bytes' groups, so that texts can be put together */

/* Of one verdict; erased after each, since it may hold a credential. */
static _Alignas(16) unsigned char verdict_memory[8u << 20];

/* --- sending --- */

static void flush(struct keys *k)
{
	struct desk *d = k->desk;
	int fd = d->out.fd >= 0 ? d->out.fd : d->in.fd;

	while (d->queue.n > 0 && fd >= 0) {
		ssize_t n = write(fd, fifo_head(&d->queue), d->queue.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				px_link_end(k, "it takes nothing more");
			return;
		}
		fifo_take(&d->queue, (size_t)n);
	}
}

static void send_bytes(struct keys *k, const void *p, size_t n)
{
	if (!k->desk->dead[0] && !fifo_add(&k->desk->queue, p, n))
		px_link_end(k, "it does not read");
}

static struct decider_bytes bytes(struct http_slice s)
{
	return (struct decider_bytes){ s.p, s.len };
}

const char *px_ask(struct conn *c, const struct head *w, const struct http_head *r)
{
	static struct decider_field fields[HTTP_FIELDS];
	struct decider_request q = { .method = bytes(r->method),
				     .host = { c->host, strlen(c->host) },
				     .host_field = bytes(r->host),
				     .sni = { c->px->sni, strlen(c->px->sni) },
				     .target = bytes(w->target),
				     .port = c->port,
				     .fields = fields };
	struct buf b = BUF_INIT((size_t)2 * DECIDER_FRAME);
	struct desk *d = c->k->desk;
	const char *why;
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (!http_is(r->fields[i].name, "host"))
			fields[q.n++] = (struct decider_field){ bytes(r->fields[i].name),
								bytes(r->fields[i].value) };
	}
	why = decider_request_write(&b, d->last + 1, &q);
	if (!why && b.failed)
		why = "request too large for the decider";
	if (!why) {
		c->px->id = ++d->last;
		send_bytes(c->k, b.data, b.len);
		flush(c->k);
	}
	if (b.data)
		explicit_bzero(b.data, b.len);
	buf_done(&b);
	return why;
}

void px_show(struct conn *c, const char *p, size_t n, bool cut)
{
	static unsigned char text[BASE64_PIECE / 3 * 4 + 1];
	char end[DECIDER_BODY_HEAD];
	size_t at, piece;

	send_bytes(c->k, end, decider_body_head(end, c->px->id, n, cut));
	/* when the link ends the request is answered, and its body is gone */
	for (at = 0; at < n && !c->k->desk->dead[0]; at += piece) {
		piece = n - at < BASE64_PIECE ? n - at : BASE64_PIECE;
		send_bytes(c->k, text,
			   (size_t)EVP_EncodeBlock(text, (const unsigned char *)p + at,
						   (int)piece));
	}
	send_bytes(c->k, end, decider_body_tail(end, cut));
	flush(c->k);
}

/* --- what comes --- */

void px_forget(struct keys *k, uint64_t id, enum px_late late)
{
	size_t at = id % PX_LATE;

	/* of two the older one is forgotten, and what comes for it passed over */
	if (id < k->desk->late[at].id)
		return;
	k->desk->late[at].id = id;
	k->desk->late[at].late = late;
}

static struct conn *who_waits(struct keys *k, uint64_t id)
{
	struct conn *c;

	for (c = k->live; c; c = c->next) {
		if (c->px && c->px->id == id &&
		    (c->px->step == PX_ASKED || c->px->step == PX_READING ||
		     c->px->step == PX_SHOWN))
			return c;
	}
	return NULL;
}

/* Return: NULL, or how it breaks the protocol. */
static const char *take_late(struct desk *d, const struct decider_verdict *v)
{
	size_t at = v->id % PX_LATE;

	if (d->late[at].id == v->id && d->late[at].late != PX_LATE_NONE) {
		if (v->action != DECIDER_NEED_BODY)
			d->late[at].late = PX_LATE_NONE;
		else if (d->late[at].late == PX_LATE_SHOWN)
			return "a need_body where none may come";
		return NULL;
	}
	if (v->id < d->last && d->last - v->id >= PX_LATE)
		return NULL;
	return "a verdict for an id that nothing waits on";
}

static void take_hello(struct keys *k, const char *p, size_t n)
{
	struct desk *d = k->desk;
	struct err e = ERR_INIT;

	if (decider_hello_parse(&d->hello, p, n, &d->arena, &e) < 0) {
		px_link_end(k, e.msg);
		return;
	}
	d->greeted = true;
	px_greeted(k);
}

static void take_verdict(struct keys *k, const char *p, size_t n)
{
	struct arena a = { .max = sizeof(verdict_memory), .fixed = verdict_memory };
	struct decider_verdict v;
	struct err e = ERR_INIT;
	const char *why = NULL;
	struct conn *c;

	if (decider_verdict_parse(&v, p, n, &a, &e) < 0) {
		why = e.msg;
	} else {
		c = who_waits(k, v.id);
		why = c ? px_verdict(c, &v) : take_late(k->desk, &v);
	}
	explicit_bzero(verdict_memory, a.total);
	if (why)
		px_link_end(k, why);
}

static void take_frames(struct keys *k)
{
	struct fifo *f = &k->desk->frames;
	ssize_t n;

	while (f->n > 0 && !k->desk->dead[0]) {
		n = decider_frame(fifo_head(f), f->n);
		if (n < 0)
			px_link_end(k, "a frame that is too long");
		if (n <= 0)
			return;
		if (k->desk->greeted)
			take_verdict(k, fifo_head(f) + 4, (size_t)n - 4);
		else
			take_hello(k, fifo_head(f) + 4, (size_t)n - 4);
		fifo_take(f, (size_t)n);
	}
}

static void on_link(struct keys *k, struct watch *w, uint32_t events)
{
	struct desk *d = k->desk;
	ssize_t n = 1;
	char *p;

	(void)events;
	if (w == &d->out || d->out.fd < 0)
		flush(k);
	if (w == &d->out && (events & EPOLLERR))
		px_link_end(k, "it takes nothing more");
	while (w == &d->in && n != 0 && !d->dead[0]) {
		p = fifo_space(&d->frames, READ_PIECE);
		n = p ? read(w->fd, p, READ_PIECE) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			px_link_end(k, n == 0 ? "decider closed the stream" : strerror(errno));
			return;
		}
		fifo_added(&d->frames, (size_t)n);
		take_frames(k);
	}
}

int px_link_begin(struct keys *k)
{
	struct desk *d = k->desk;
	struct buf b = BUF_INIT(256);
	int fds[] = { d->in.fd, d->out.fd }, flags, r = 0;
	size_t i;

	d->frames = (struct fifo)FIFO_INIT(DECIDER_FRAME + 4 + READ_PIECE);
	d->queue = (struct fifo)FIFO_INIT(PX_QUEUED);
	d->in.on = d->out.on = on_link;
	for (i = 0; i < ARRAY_SIZE(fds) && r == 0; i++) {
		flags = fds[i] >= 0 ? fcntl(fds[i], F_GETFL) : 0;
		if (fds[i] >= 0 && (flags < 0 || fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0))
			r = -errno;
	}
	if (r == 0)
		r = keys_watch(k, &d->in);
	if (r == 0 && d->out.fd >= 0)
		r = keys_watch(k, &d->out);
	if (r < 0)
		return r;
	decider_hello_write(&b);
	send_bytes(k, b.data, b.len);
	buf_done(&b);
	flush(k);
	return 0;
}

void px_link_end(struct keys *k, const char *why)
{
	struct desk *d = k->desk;
	struct conn *c, *next;
	char text[KEYS_WHY_MAX + 32];

	if (d->dead[0])
		return;
	(void)snprintf(d->dead, sizeof(d->dead), "%.250s", why);
	for (c = k->live; c; c = next) {
		next = c->next;
		if (c->px)
			px_lost(c, d->dead);
	}
	(void)snprintf(text, sizeof(text), "%s%s",
		       d->greeted ? "decider: " : "decider unavailable: ", d->dead); /* fits */
	px_close(k, text);
}
