/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before each frame a byte says whether it is heard or said; the very first says which end this is. Both ends of one stream are here: what one may say the other takes, and
 * nothing else, and both stand as the totals here do, which are kept by counting and not by windows. What is read is written again as the same bytes.
 */
#include "wire/mux.h"
#include "fuzz.h"

#include <errno.h>

#define PLACES (2 * MUX_SLOTS)

/* From this end to the other ([1]), and the other way. */
static struct flow {
	bool exists, end, gone;
	uint64_t bytes, credit;
} flows[PLACES][2];

static bool is_over(uint32_t c)
{
	int d;

	for (d = 0; d < 2; d++) {
		if (flows[c][d].exists && !(flows[c][d].end && flows[c][d].gone))
			return false;
	}
	return true;
}

/* @out: who says it is this end */
static int verdict(const struct mux_frame *f, bool out)
{
	const bool answers = f->kind == MUX_GONE || f->kind == MUX_CREDIT;
	struct flow *d;

	if (f->channel >= PLACES || is_over(f->channel))
		return -EPROTO;
	d = &flows[f->channel][out != answers];
	if (!d->exists || (answers ? d->gone : d->end))
		return -EPROTO;
	if (f->kind == MUX_BYTES && d->bytes + f->n > d->credit)
		return -EPROTO;
	if (f->kind == MUX_CREDIT &&
	    (f->credit == 0 || d->credit + f->credit - d->bytes > MUX_WINDOW))
		return -EPROTO;
	d->end = d->end || f->kind == MUX_END;
	d->gone = d->gone || f->kind == MUX_GONE;
	d->bytes += f->kind == MUX_BYTES ? f->n : 0;
	d->credit += f->kind == MUX_CREDIT ? f->credit : 0;
	return 0;
}

static void check_room(struct mux *us, struct mux *them, uint32_t c)
{
	const struct mux_channel *a = mux_channel(us, c), *b = mux_channel(them, c);

	FUZZ_REQUIRE((a != NULL) == (b != NULL) && (a == NULL) == is_over(c));
	if (!a)
		return;
	FUZZ_REQUIRE(a->in.room <= MUX_WINDOW && a->out.room <= MUX_WINDOW);
	FUZZ_REQUIRE(a->in.room == b->out.room && a->out.room == b->in.room);
	if (a->out.open)
		FUZZ_REQUIRE(a->out.room == flows[c][1].credit - flows[c][1].bytes);
	if (a->in.open)
		FUZZ_REQUIRE(a->in.room == flows[c][0].credit - flows[c][0].bytes);
}

static void open_channels(struct mux *from, struct mux *to, const struct mux_said *said, bool out)
{
	uint32_t c;
	size_t i;

	for (i = 0; i < said->n; i++) {
		const enum mux_way way = said->ways[i];
		const bool taken = said->channels[i] >= PLACES || !is_over(said->channels[i]),
			   own = said->channels[i] % 2 == (to->us == WIRE_FROM_SUPERVISOR);

		if (way == MUX_WHOLE)
			continue;
		/* any number may be said; only one that is free, and the speaker's, is taken */
		if (said->channels[i] != UINT32_MAX) {
			const uint32_t n = said->channels[i];
			const struct mux_channel before =
				n < PLACES ? to->channels[n] :
					     (struct mux_channel){ .in = { .open = false } };
			const int r = mux_opened(to, way, n);

			FUZZ_REQUIRE(r == (taken || own ? -EPROTO : 0));
			if (r == 0)
				to->channels[n] = before; /* only asked */
		}
		FUZZ_REQUIRE(mux_open(from, way, &c) == 0 && c < PLACES && is_over(c));
		FUZZ_REQUIRE(mux_opened(to, way, c) == 0);
		memset(flows[c], 0, sizeof(flows[c]));
		/* who gets it reads what this end sends */
		flows[c][out] = (struct flow){ .exists = way != MUX_WRITE, .credit = MUX_WINDOW };
		flows[c][!out] = (struct flow){ .exists = way != MUX_READ, .credit = MUX_WINDOW };
		check_room(out ? from : to, out ? to : from, c);
	}
}

static void check_bytes(const struct mux_frame *f, const uint8_t *data, size_t size, size_t used)
{
	unsigned char head[MUX_HEADER + 4];
	const size_t n = mux_frame_put(f, head);
	struct mux_frame part;
	size_t cut;

	FUZZ_REQUIRE(used == MUX_HEADER + f->n && used <= size && f->n <= MUX_BODY);
	FUZZ_REQUIRE(n <= used && memcmp(head, data, n) == 0);
	FUZZ_REQUIRE(f->kind == MUX_CREDIT ? n == used : n == MUX_HEADER && f->body == data + n);
	FUZZ_REQUIRE(mux_frame_get(data, used - 1, &part, &cut) == -EAGAIN);
}

/* What is no message: both ends say the same of it, and stand the same. */
static void check_said(struct mux *us, struct mux *them, const struct mux_frame *f, bool out)
{
	const int r = verdict(f, out);

	FUZZ_REQUIRE(mux_saying(out ? us : them, f) == r);
	FUZZ_REQUIRE(mux_heard(out ? them : us, f) == r);
	if (f->channel < PLACES)
		check_room(us, them, f->channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mux us, them;
	unsigned char again[MUX_SAID];
	struct mux_said said;
	struct mux_frame f;
	size_t used;
	bool out;

	if (size == 0)
		return 0;
	memset(&us, 0, sizeof(us));
	memset(&them, 0, sizeof(them));
	memset(flows, 0, sizeof(flows));
	us.us = data[0] & 1 ? WIRE_FROM_SUPERVISOR : WIRE_FROM_INIT;
	them.us = data[0] & 1 ? WIRE_FROM_INIT : WIRE_FROM_SUPERVISOR;
	for (data++, size--; size > 1; data += used, size -= used) {
		out = data[0] & 1;
		data++;
		size--;
		if (mux_frame_get(data, size, &f, &used) < 0)
			break;
		check_bytes(&f, data, size, used);
		if (f.kind == MUX_MESSAGE) {
			if (mux_said_get(&f, out ? us.us : them.us, &said) < 0)
				continue;
			FUZZ_REQUIRE(mux_said_put(&said, again) == f.n &&
				     memcmp(again, f.body, f.n) == 0);
			open_channels(out ? &us : &them, out ? &them : &us, &said, out);
			continue;
		}
		if (f.kind ==
		    MUX_FILE) { /* no channel has that; here it is many bytes in few: a channel, and how many */
			FUZZ_REQUIRE(mux_heard(&us, &f) == -EPROTO &&
				     mux_saying(&us, &f) == -EPROTO);
			if (f.n < 3)
				continue;
			f = (struct mux_frame){ .kind = MUX_BYTES,
						.channel = f.body[0],
						.n = 1 +
						     (f.body[1] + 256u * f.body[2]) % MUX_BODY };
		}
		check_said(&us, &them, &f, out);
	}
	return 0;
}
