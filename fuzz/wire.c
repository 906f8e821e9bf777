/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says whose words these are; the rest is a stream of them. What decodes encodes to the same bytes, no part of a message
 * is a message, and what PID 1 says is followed by the rules of its order, which end.
 */
#include "wire/wire.h"
#include "fuzz.h"

#include <errno.h>

static void check_one(const uint8_t *data, size_t size, size_t used, const struct wire_msg *m,
		      enum wire_side from)
{
	unsigned char again[WIRE_MAX];
	struct wire_msg part;
	size_t n, cut;

	FUZZ_REQUIRE(used >= WIRE_HEADER && used <= size && used <= WIRE_MAX);
	FUZZ_REQUIRE(wire_encode(m, again) == used && memcmp(again, data, used) == 0);
	for (n = 0; n < used; n++)
		FUZZ_REQUIRE(wire_decode(data, n, from, &part, &cut) == -EAGAIN);
	FUZZ_REQUIRE(!wire_fds_ok(m->type, WIRE_FDS + 1));
	if (m->type == WIRE_FAILED) {
		FUZZ_REQUIRE(memchr(m->failed.msg, '\0', sizeof(m->failed.msg)));
		FUZZ_REQUIRE(memchr(m->failed.where, '\0', sizeof(m->failed.where)));
		FUZZ_REQUIRE(err_exit_code(&m->failed) >= 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum wire_order order = WIRE_BUILDING, before;
	enum wire_side from;
	struct wire_msg m;
	bool over = false;
	size_t used;
	int r;

	if (size == 0)
		return 0;
	from = data[0] & 1 ? WIRE_FROM_SUPERVISOR : WIRE_FROM_INIT;
	for (data++, size--; size > 0; data += used, size -= used) {
		m = (struct wire_msg){ .session = 0 };
		r = wire_decode(data, size, from, &m, &used);
		FUZZ_REQUIRE(r == 0 || r == -EAGAIN || r == -EBADMSG || r == -EPROTONOSUPPORT);
		FUZZ_REQUIRE(r != -EAGAIN || size < WIRE_MAX); /* nobody waits for ever */
		if (r < 0)
			break;
		check_one(data, size, used, &m, from);
		before = order;
		r = wire_order_step(&order, m.type);
		FUZZ_REQUIRE(r == 0 || order == before);
		FUZZ_REQUIRE(from == WIRE_FROM_INIT || r < 0);
		FUZZ_REQUIRE(!over || r < 0);
		over = over || order == WIRE_OVER;
	}
	return 0;
}
