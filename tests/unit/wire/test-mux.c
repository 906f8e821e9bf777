/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and the rules of channels. What is said with them is tested by test-bridge.c, hostile bytes by fuzz/mux.c. */
#include "tap.h"
#include "wire/mux.h"

#include <errno.h>

static struct mux host, guest; /* of the supervisor and of PID 1 */

static int heard(struct mux *m, enum mux_kind kind, uint32_t channel, size_t n)
{
	return mux_heard(m,
			 &(struct mux_frame){
				 .kind = kind, .channel = channel, .n = n, .credit = (uint32_t)n });
}

static int saying(struct mux *m, enum mux_kind kind, uint32_t channel, size_t n)
{
	return mux_saying(
		m, &(struct mux_frame){
			   .kind = kind, .channel = channel, .n = n, .credit = (uint32_t)n });
}

/* One end says it, and the other takes it. */
static int both(struct mux *from, struct mux *to, enum mux_kind kind, uint32_t channel, size_t n)
{
	int r = saying(from, kind, channel, n);

	return r < 0 ? r : heard(to, kind, channel, n);
}

static uint32_t open_both(enum mux_way way)
{
	uint32_t c = 0;

	host.us = WIRE_FROM_SUPERVISOR;
	guest.us = WIRE_FROM_INIT;
	REQUIRE(mux_open(&host, way, &c) == 0);
	REQUIRE(mux_opened(&guest, way, c) == 0);
	return c;
}

TEST(frames)
{
	const unsigned char bad[][MUX_HEADER + 4] = {
		{ 0, 0, 1, 0, 0, 0, 0, 0 },       { 7, 0, 0, 0, 0, 0, 0, 0 },
		{ 3, 1, 1, 0, 0, 0, 0, 0, 'x' },  { 3, 0, 0, 0, 0, 0, 0, 0 },
		{ 3, 0, 1, 0x40, 0, 0, 0, 0 },    { 1, 0, 0, 0, 0, 0, 0, 0 },
		{ 1, 0, 0xff, 0x0f, 0, 0, 0, 0 }, { 1, 0, 1, 0, 1, 0, 0, 0, 'x' },
		{ 2, 0, 1, 0, 1, 0, 0, 0, 'x' },  { 2, 0, 0, 0, 1, 0, 0, 0 },
		{ 4, 0, 1, 0, 0, 0, 0, 0, 'x' },  { 5, 0, 1, 0, 0, 0, 0, 0, 'x' },
		{ 6, 0, 0, 0, 0, 0, 0, 0 },       { 6, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0 },
	};
	const struct mux_frame frame = { .kind = MUX_CREDIT,
					 .channel = 0x01020304,
					 .credit = 70000 };
	unsigned char bytes[MUX_HEADER + 4];
	struct mux_frame f;
	size_t used, i;

	REQUIRE(mux_frame_put(&frame, bytes) == sizeof(bytes));
	for (i = 0; i < sizeof(bytes); i++)
		CHECK(mux_frame_get(bytes, i, &f, &used) == -EAGAIN);
	REQUIRE(mux_frame_get(bytes, sizeof(bytes), &f, &used) == 0);
	CHECK(used == sizeof(bytes) && f.kind == MUX_CREDIT && f.channel == 0x01020304 &&
	      f.credit == 70000);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (mux_frame_get(bad[i], sizeof(bad[i]), &f, &used) != -EBADMSG)
			FAIL("frame %zu was taken", i);
	}
}

TEST(messages)
{
	struct mux_said s = { .msg = { .type = WIRE_SPAWN, .session = 3 },
			      .n = 4,
			      .ways = { MUX_WHOLE, MUX_READ, MUX_WRITE, MUX_WRITE },
			      .channels = { 0, 1, 3, 3 } },
			got;
	unsigned char bytes[MUX_SAID];
	struct mux_frame f = { .kind = MUX_MESSAGE, .body = bytes };
	size_t n;

	f.n = mux_said_put(&s, bytes);
	REQUIRE(f.n > 0 && mux_said_get(&f, WIRE_FROM_SUPERVISOR, &got) == 0);
	CHECK(got.msg.type == WIRE_SPAWN && got.msg.session == 3 && got.n == 4);
	CHECK(got.ways[1] == MUX_READ && got.channels[3] == 3);
	CHECK(mux_said_get(&f, WIRE_FROM_INIT, &got) == -EBADMSG); /* PID 1 starts nothing */
	n = f.n;
	for (f.n = 0; f.n < n; f.n++)
		CHECK(mux_said_get(&f, WIRE_FROM_SUPERVISOR, &got) == -EBADMSG);
	s.n = 3; /* descriptors that such a message has not */
	CHECK(mux_said_put(&s, bytes) == 0);
	s.n = 4;
	s.ways[2] = MUX_WHOLE; /* only the first is a file */
	f.n = mux_said_put(&s, bytes);
	CHECK(f.n > 0 && mux_said_get(&f, WIRE_FROM_SUPERVISOR, &got) == -EBADMSG);
	s.ways[2] = MUX_WRITE;
	s.channels[0] = 1; /* which has no channel */
	f.n = mux_said_put(&s, bytes);
	CHECK(f.n > 0 && mux_said_get(&f, WIRE_FROM_SUPERVISOR, &got) == -EBADMSG);
	s.channels[0] = 0;
	f.n = mux_said_put(&s, bytes);
	bytes[4 + 32] = WIRE_VERSION + 1; /* of the message in it */
	CHECK(mux_said_get(&f, WIRE_FROM_SUPERVISOR, &got) == -EPROTONOSUPPORT);
}

TEST(a_window)
{
	const uint32_t c = open_both(MUX_READ);
	uint32_t i;

	for (i = 0; i < MUX_WINDOW / MUX_BODY; i++)
		CHECK(both(&host, &guest, MUX_BYTES, c, MUX_BODY) == 0);
	CHECK(saying(&host, MUX_BYTES, c, 1) == -EPROTO);
	CHECK(heard(&guest, MUX_BYTES, c, 1) == -EPROTO); /* whoever says it */
	CHECK(both(&guest, &host, MUX_CREDIT, c, 10) == 0);
	CHECK(both(&host, &guest, MUX_BYTES, c, 11) == -EPROTO);
	CHECK(both(&host, &guest, MUX_BYTES, c, 10) == 0);
	CHECK(heard(&host, MUX_CREDIT, c, MUX_WINDOW + 1) == -EPROTO); /* more than was ever sent */
	CHECK(heard(&host, MUX_CREDIT, c, 0) == -EPROTO);
	CHECK(heard(&host, MUX_BYTES, c, 1) == -EPROTO); /* not in that direction */
	CHECK(saying(&guest, MUX_BYTES, c, 1) == -EPROTO &&
	      saying(&guest, MUX_END, c, 0) == -EPROTO);
}

TEST(an_end)
{
	uint32_t c = open_both(MUX_READ), d;

	CHECK(both(&host, &guest, MUX_END, c, 0) == 0);
	CHECK(saying(&host, MUX_BYTES, c, 1) == -EPROTO &&
	      heard(&guest, MUX_BYTES, c, 1) == -EPROTO);
	CHECK(heard(&guest, MUX_END, c, 0) == -EPROTO);
	REQUIRE(mux_open(&host, MUX_READ, &d) ==
		0); /* what was said before may still be answered */
	CHECK(d != c);
	CHECK(both(&guest, &host, MUX_GONE, c, 0) == 0);
	CHECK(!mux_channel(&host, c) && !mux_channel(&guest, c));
	CHECK(heard(&host, MUX_CREDIT, c, 1) == -EPROTO && heard(&host, MUX_GONE, c, 0) == -EPROTO);
	CHECK(open_both(MUX_BOTH) == c);
	/* nobody reads: what is under way is still taken, and is the last */
	CHECK(both(&guest, &host, MUX_GONE, c, 0) == 0);
	CHECK(heard(&guest, MUX_BYTES, c, 5) == 0);
	CHECK(saying(&guest, MUX_CREDIT, c, 5) == -EPROTO);
	CHECK(both(&host, &guest, MUX_END, c, 0) == 0);
	CHECK(mux_channel(&host, c) &&
	      both(&guest, &host, MUX_BYTES, c, 5) == 0); /* the other direction */
	CHECK(both(&guest, &host, MUX_END, c, 0) == 0 && both(&host, &guest, MUX_GONE, c, 0) == 0);
	CHECK(!mux_channel(&host, c) && !mux_channel(&guest, c));
}

TEST(slots)
{
	uint32_t c, i;

	host.us = WIRE_FROM_SUPERVISOR;
	guest.us = WIRE_FROM_INIT;
	for (i = 0; i < MUX_SLOTS; i++)
		REQUIRE(mux_open(&host, MUX_WRITE, &c) == 0 && c == 2 * i + 1);
	CHECK(mux_open(&host, MUX_WRITE, &c) == -EMFILE);
	CHECK(mux_opened(&guest, MUX_WRITE, 2 * MUX_SLOTS + 1) == -EPROTO);
	CHECK(mux_opened(&guest, MUX_WRITE, UINT32_MAX) == -EPROTO);
	CHECK(mux_opened(&guest, MUX_WRITE, 2) == -EPROTO); /* its own */
	CHECK(mux_opened(&guest, MUX_WHOLE, 1) == -EPROTO);
	CHECK(mux_opened(&guest, MUX_WRITE, 1) == 0);
	CHECK(mux_opened(&guest, MUX_WRITE, 1) == -EPROTO);
	CHECK(heard(&guest, MUX_BYTES, 3, 1) == -EPROTO &&
	      heard(&guest, MUX_BYTES, UINT32_MAX, 1) == -EPROTO);
}
