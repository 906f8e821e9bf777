/* SPDX-License-Identifier: Apache-2.0 */
#include "mux.h"

#include <errno.h>
#include <string.h>

static void put32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
	p[2] = (unsigned char)(v >> 16);
	p[3] = (unsigned char)(v >> 24);
}

static uint32_t get32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Whether a frame of that kind can look like this. */
static bool is_frame(const struct mux_frame *f)
{
	switch (f->kind) {
	case MUX_MESSAGE:
		return f->channel == 0 && f->n > 0 && f->n <= MUX_SAID;
	case MUX_FILE: /* an empty one takes back what came before */
		return f->channel == 0 && f->n <= MUX_BODY;
	case MUX_BYTES:
		return f->n > 0 && f->n <= MUX_BODY;
	case MUX_END:
	case MUX_GONE:
		return f->n == 0;
	case MUX_CREDIT:
		return f->n == 4;
	}
	return false;
}

size_t mux_frame_put(const struct mux_frame *f, unsigned char out[MUX_HEADER + 4])
{
	const size_t n = f->kind == MUX_CREDIT ? 4 : f->n;

	out[0] = (unsigned char)f->kind;
	out[1] = 0;
	out[2] = (unsigned char)n;
	out[3] = (unsigned char)(n >> 8);
	put32(out + 4, f->channel);
	if (f->kind != MUX_CREDIT)
		return MUX_HEADER;
	put32(out + MUX_HEADER, f->credit);
	return MUX_HEADER + 4;
}

int mux_frame_get(const void *p, size_t n, struct mux_frame *ret, size_t *ret_used)
{
	const unsigned char *b = p;
	struct mux_frame f;

	if (n < MUX_HEADER)
		return -EAGAIN;
	f = (struct mux_frame){ .kind = b[0],
				.channel = get32(b + 4),
				.body = b + MUX_HEADER,
				.n = b[2] | (size_t)b[3] << 8 };
	if (b[1] != 0 || !is_frame(&f))
		return -EBADMSG;
	if (n < MUX_HEADER + f.n)
		return -EAGAIN;
	if (f.kind == MUX_CREDIT)
		f.credit = get32(f.body);
	*ret = f;
	*ret_used = MUX_HEADER + f.n;
	return 0;
}

static bool is_way(uint32_t way)
{
	return way >= MUX_READ && way <= MUX_WHOLE;
}

size_t mux_said_put(const struct mux_said *s, unsigned char out[MUX_SAID])
{
	unsigned char *p = out + 4;
	size_t i, n;

	if (!wire_fds_ok(s->msg.type, s->n))
		return 0;
	put32(out, (uint32_t)s->n);
	for (i = 0; i < s->n; i++, p += 8) {
		put32(p, s->ways[i]);
		put32(p + 4, s->channels[i]);
	}
	n = wire_encode(&s->msg, p);
	return n ? (size_t)(p - out) + n : 0;
}

int mux_said_get(const struct mux_frame *f, enum wire_side from, struct mux_said *ret)
{
	const unsigned char *p = f->body, *end = f->body + f->n;
	struct mux_said s = { .n = 0 };
	size_t i, used = 0;
	int r;

	if (f->n < 4 || get32(p) > WIRE_FDS || f->n < 4 + 8 * (size_t)get32(p))
		return -EBADMSG;
	s.n = get32(p);
	for (i = 0, p += 4; i < s.n; i++, p += 8) {
		s.channels[i] = get32(p + 4);
		/* a file has no channel, and only the words of a command, which come first, are one */
		if (!is_way(get32(p)) || (get32(p) == MUX_WHOLE && (s.channels[i] != 0 || i != 0)))
			return -EBADMSG;
		s.ways[i] = get32(p);
	}
	r = wire_decode(p, (size_t)(end - p), from, &s.msg, &used);
	if (r < 0)
		return r == -EAGAIN ? -EBADMSG : r; /* a frame is whole */
	if (used != (size_t)(end - p) || !wire_fds_ok(s.msg.type, s.n))
		return -EBADMSG;
	*ret = s;
	return 0;
}

static unsigned int parity(enum wire_side side)
{
	return side == WIRE_FROM_SUPERVISOR;
}

struct mux_channel *mux_channel(struct mux *m, uint32_t number)
{
	struct mux_channel *c = number < 2 * MUX_SLOTS ? &m->channels[number] : NULL;

	return c && (c->in.open || c->out.open) ? c : NULL;
}

/* @in, @out: which directions it has, seen from here */
static void begin(struct mux_channel *c, bool in, bool out)
{
	*c = (struct mux_channel){ .in = { .open = in, .room = MUX_WINDOW },
				   .out = { .open = out, .room = MUX_WINDOW } };
}

int mux_open(struct mux *m, enum mux_way way, uint32_t *ret_number)
{
	uint32_t i = parity(m->us);

	while (i < 2 * MUX_SLOTS && mux_channel(m, i))
		i += 2;
	if (i >= 2 * MUX_SLOTS)
		return -EMFILE;
	begin(&m->channels[i], way != MUX_READ, way != MUX_WRITE);
	*ret_number = i;
	return 0;
}

int mux_opened(struct mux *m, enum mux_way way, uint32_t number)
{
	if (number >= 2 * MUX_SLOTS || number % 2 == parity(m->us) || mux_channel(m, number) ||
	    way == MUX_WHOLE)
		return -EPROTO;
	begin(&m->channels[number], way != MUX_WRITE, way != MUX_READ);
	return 0;
}

/* What who sends in @d says. */
static int sent(struct mux_flow *d, const struct mux_frame *f)
{
	if (!d->open || d->ended)
		return -EPROTO;
	if (f->kind == MUX_END) {
		d->ended = true;
		d->open = !d->gone;
		return 0;
	}
	if (f->n > d->room)
		return -EPROTO;
	d->room -= (uint32_t)f->n;
	return 0;
}

/* What who takes in @d says. */
static int answered(struct mux_flow *d, const struct mux_frame *f)
{
	if (!d->open || d->gone)
		return -EPROTO;
	if (f->kind == MUX_GONE) {
		d->gone = true;
		d->open = !d->ended;
		return 0;
	}
	if (f->credit == 0 || f->credit > MUX_WINDOW - d->room)
		return -EPROTO;
	d->room += f->credit;
	return 0;
}

int mux_heard(struct mux *m, const struct mux_frame *f)
{
	struct mux_channel *c = mux_channel(m, f->channel);

	if (!c || f->kind < MUX_BYTES)
		return -EPROTO;
	return f->kind == MUX_BYTES || f->kind == MUX_END ? sent(&c->in, f) : answered(&c->out, f);
}

int mux_saying(struct mux *m, const struct mux_frame *f)
{
	struct mux_channel *c = mux_channel(m, f->channel);

	if (!c || f->kind < MUX_BYTES)
		return -EPROTO;
	return f->kind == MUX_BYTES || f->kind == MUX_END ? sent(&c->out, f) : answered(&c->in, f);
}
