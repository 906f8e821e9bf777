/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says whose words these are; the rest is a stream of them. What is a message is said a second time here, byte by byte;
 * what decodes encodes to the same bytes, no part of a message is a message, and what PID 1 says is followed by the rules of its order,
 * which end.
 */
#include "wire/wire.h"
#include "fuzz.h"

#include <errno.h>
#include <signal.h>

#define TEXT sizeof(((struct err *)0)->msg)

static const struct form {
	unsigned int type;
	bool init; /* says it */
	size_t payload;
	const char *fds; /* how many may come with it */
} forms[] = {
	{ 1, true, 4, "036" },  { 2, true, 32 + TEXT, "0" }, { 3, true, 4, "01" },
	{ 4, true, 4, "0" },    { 5, true, 12, "0" },        { 6, true, 0, "12" },
	{ 7, true, 0, "4" },    { 33, false, 8, "0" },       { 34, false, 4, "0" },
	{ 35, false, 0, "14" }, { 36, false, 4, "0" },       { 16, true, 40, "0" },
	{ 45, false, 0, "0" },  { 46, false, 0, "0" },       { 47, false, 0, "0" },
	{ 48, false, 4, "0" },  { 17, true, 28, "0" },       { 49, false, 4, "0" },
	{ 35, false, 0, "14" }, { 36, false, 4, "0" },       { 8, true, 16, "0" },
	{ 9, true, 0, "1" },    { 37, false, 72, "12456" },  { 38, false, 76, "12" },
	{ 39, false, 8, "0" },  { 40, false, 0, "0" },       { 41, false, 68, "0" },
	{ 42, false, 4, "0" },  { 57, false, 0, "4" },       { 18, true, 0, "1" },
	{ 59, false, 0, "4" },  { 60, false, 0, "0" },       { 61, false, 0, "1" },
	{ 62, false, 72, "0" }, { 19, true, 4, "0" },        { 20, true, 24, "0" },
	{ 21, true, 0, "0" },   { 22, true, 8, "0" },        { 50, false, 24, "0" },
};

/* Little-endian, of four bytes. */
static uint32_t number(const uint8_t *p)
{
	return p[0] + 256u * p[1] + 65536u * p[2] + 16777216u * p[3];
}

static bool is_text(const uint8_t *p, size_t size)
{
	const uint8_t *nul = memchr(p, 0, size);

	for (; nul && nul < p + size; nul++) {
		if (*nul)
			return false;
	}
	return nul;
}

static bool is_signal(uint32_t v)
{
	return v >= 1 && v <= 64;
}

static bool usable(unsigned int type, uint32_t session, const uint8_t *p)
{
	/* the sandbox as a whole */
	static const char whole[] = { 1,  6,  7,  9,  16, 17, 36, 40, 45, 46,
				      47, 48, 49, 50, 18, 19, 60, 61, 62 };

	if ((session == 0) != (memchr(whole, (int)type, sizeof(whole)) != NULL) && type != 2)
		return false;
	switch (type) {
	case 2:
		return p[3] < 128 && number(p + 4) >= 1 && number(p + 4) <= ERR_ABSENT &&
		       is_text(p + 8, 24) && is_text(p + 32, TEXT);
	case 3:
		return number(p) >= 1 && p[3] < 128;
	case 4:
		return is_signal(number(p));
	case 5: /* an exit status, or a signal and whether there is a core; an offset, or -1 */
		return p[2] == 0 && p[3] == 0 &&
		       (p[0] == 0 || (p[1] == 0 && is_signal(p[0] % 128))) &&
		       (p[11] < 128 || memcmp(p + 4, "\xff\xff\xff\xff\xff\xff\xff\xff", 8) == 0);
	case 33:
		return is_signal(number(p)) && number(p + 4) <= 1;
	case 34:
		return number(p) <= 1;
	case 19:
		return number(p) >= 1 && number(p) <= 5;
	case 20: /* of the log's name, some digits */
		return p[8] && is_text(p + 8, 16) &&
		       !p[8 + strspn((const char *)p + 8, "0123456789abcdef")];
	case 36:
		return number(p) <= 600000;
	case 48:
		return number(p) >= 1 && number(p) <= 2000000000;
	case 17: /* a port that was chosen is one */
		return number(p + 24) == 0 || (number(p + 24) == 1 && (p[4] || p[5]));
	case 50: /* what is taken away has a port of the host */
		return (p[6] || p[7]) && (number(p) == 0 || (number(p) == 1 && (p[4] || p[5])));
	case 16:
		return number(p) >= 1 && number(p) <= 2 && number(p + 4) >= 1 && p[7] < 128 &&
		       (p[39] < 128 || memcmp(p + 32, "\xff\xff\xff\xff\xff\xff\xff\xff", 8) == 0);
	case 8:
		return number(p) >= 1 && number(p + 4) <= 7 && p[15] < 128;
	case 37:
		return (number(p) == 0 || (number(p) <= 7 && (p[0] & 1))) && p[7] < 128 &&
		       is_text(p + 8, 64);
	case 38:
		return number(p) <= 7 && number(p + 4) <= 65535 && number(p + 8) <= 65535 &&
		       is_text(p + 12, 64);
	case 39:
		return number(p) <= 65535 && number(p + 4) <= 65535;
	case 42:
		return number(p) <= 1;
	case 62:
		return number(p) >= 1 && number(p) <= 3 && number(p + 4) <= 600000 &&
		       is_text(p + 8, 64);
	case 41:
		return is_signal(number(p)) && is_text(p + 4, 64);
	}
	return true;
}

static const struct form *form_of(unsigned int type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		if (forms[i].type == type)
			return &forms[i];
	}
	return NULL;
}

static int verdict(const uint8_t *p, size_t size, bool init)
{
	const struct form *f;

	if (size > 1 && (p[0] != 1 || p[1] != 0))
		return -EPROTONOSUPPORT;
	if (size < 16)
		return -EAGAIN;
	f = form_of(p[2] + 256u * p[3]);
	if (!f || f->init != init || number(p + 4) != f->payload || number(p + 12) != 0)
		return -EBADMSG;
	if (size < 16 + f->payload)
		return -EAGAIN;
	return usable(f->type, number(p + 8), p + 16) ? 0 : -EBADMSG;
}

static void check_one(const uint8_t *data, size_t size, size_t used, const struct wire_msg *m,
		      enum wire_side from)
{
	const struct form *f = form_of(m->type);
	unsigned char again[WIRE_MAX];
	struct wire_msg part;
	size_t n, cut;

	FUZZ_REQUIRE(f && used == 16 + f->payload && used <= size && used <= WIRE_MAX);
	FUZZ_REQUIRE(wire_encode(m, again) == used && memcmp(again, data, used) == 0);
	for (n = 0; n < used; n++)
		FUZZ_REQUIRE(wire_decode(data, n, from, &part, &cut) == -EAGAIN);
	for (n = 0; n < 10; n++)
		FUZZ_REQUIRE(wire_fds_ok(m->type, n) == (strchr(f->fds, (char)('0' + n)) != NULL));
	FUZZ_REQUIRE(m->session == number(data + 8));
	if (m->type == WIRE_FAILED) {
		FUZZ_REQUIRE(memchr(m->failed.msg, '\0', sizeof(m->failed.msg)));
		FUZZ_REQUIRE(memchr(m->failed.where, '\0', sizeof(m->failed.where)));
		FUZZ_REQUIRE(err_exit_code(&m->failed) >= 1);
	}
}

/* The table of wire.h: what stands before the arrow, what is said, what stands behind it. */
static int order_verdict(enum wire_order *order, unsigned int type)
{
	static const struct {
		enum wire_order before;
		unsigned int type;
		enum wire_order then;
	} steps[] = {
		{ WIRE_BUILDING, 7, WIRE_WIRED },    { WIRE_BUILDING, 6, WIRE_HEARD },
		{ WIRE_BUILDING, 1, WIRE_IS_READY }, { WIRE_BUILDING, 2, WIRE_OVER },
		{ WIRE_WIRED, 6, WIRE_HEARD },       { WIRE_WIRED, 1, WIRE_IS_READY },
		{ WIRE_WIRED, 2, WIRE_OVER },        { WIRE_HEARD, 1, WIRE_IS_READY },
		{ WIRE_HEARD, 2, WIRE_OVER },        { WIRE_IS_READY, 3, WIRE_RUNNING },
		{ WIRE_IS_READY, 2, WIRE_OVER },     { WIRE_IS_READY, 5, WIRE_OVER },
		{ WIRE_RUNNING, 4, WIRE_RUNNING },   { WIRE_RUNNING, 5, WIRE_OVER },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i].before == *order && steps[i].type == type) {
			*order = steps[i].then;
			return 0;
		}
	}
	return -EPROTO;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum wire_order order = WIRE_BUILDING, want = WIRE_BUILDING;
	enum wire_side from;
	struct wire_msg m;
	size_t used;
	int r;

	if (size == 0)
		return 0;
	from = data[0] & 1 ? WIRE_FROM_SUPERVISOR : WIRE_FROM_INIT;
	for (data++, size--; size > 0; data += used, size -= used) {
		m = (struct wire_msg){ .session = 0 };
		r = wire_decode(data, size, from, &m, &used);
		FUZZ_REQUIRE(r == verdict(data, size, from == WIRE_FROM_INIT));
		FUZZ_REQUIRE(r != -EAGAIN || size < WIRE_MAX); /* nobody waits for ever */
		if (r < 0)
			break;
		check_one(data, size, used, &m, from);
		FUZZ_REQUIRE(wire_order_step(&order, m.type) == order_verdict(&want, m.type));
		FUZZ_REQUIRE(order == want);
	}
	return 0;
}
