/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "util/util.h"

#define FRACTION 1000000000u /* of fixed-point numbers: nine digits */
#define HUGE (1ull << 53)

enum unit { UNIT_SIZE, UNIT_CPUS, UNIT_COUNT };

struct row {
	const char *name;
	enum unit unit;
	uint64_t min, max;
	const char *why; /* of the minimum */
};

/* The minimum for memory and disk: what the sandbox itself and one small program need, measured (docs/adr/0009). */
static const struct row rows[POLICY_LIMIT_NUM] = {
	[POLICY_LIMIT_MEMORY] = { "memory", UNIT_SIZE, 4u << 20, 1ull << 50,
				  "the sandbox itself and one small program need that" },
	[POLICY_LIMIT_CPUS] = { "cpus", UNIT_CPUS, 10, 8192000, "the kernel's smallest share" },
	[POLICY_LIMIT_PIDS] = { "pids", UNIT_COUNT, 1, 4194304, "the command is a process" },
	[POLICY_LIMIT_FSIZE] = { "fsize", UNIT_SIZE, 1, 1ull << 50, "nothing could be written" },
	[POLICY_LIMIT_NOFILE] = { "nofile", UNIT_COUNT, 16, 1u << 30,
				  "programs can't be loaded with fewer" },
	[POLICY_LIMIT_DISK] = { "disk", UNIT_SIZE, 64u << 10, 1ull << 50,
				"the sandbox keeps its own directories there" },
};

const char *policy_limit_name(enum policy_limit l)
{
	return rows[l].name;
}

/* Digits with at most one point in @*s, which moves behind them; past HUGE it stays at that, which no limit allows. */
static bool number(const char **s, uint64_t *whole, uint64_t *fraction)
{
	const char *p = *s;
	uint64_t digit = FRACTION / 10;

	*whole = *fraction = 0;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		*whole = *whole * 10 + (uint64_t)(*p - '0');
		if (*whole > HUGE)
			*whole = HUGE;
	}
	if (*p == '.') {
		p++;
		if (*p < '0' || *p > '9')
			return false;
		for (; *p >= '0' && *p <= '9'; p++) {
			*fraction += digit * (uint64_t)(*p - '0');
			digit /= 10; /* what is finer than the ninth digit does not count */
		}
	}
	*s = p;
	return true;
}

/* "", "K", "KB", "KiB" … Return: the power of two, or -1. */
static int suffix(const char *s)
{
	static const char letters[] = "KMGT";
	int shift = 0;
	int i;

	for (i = 0; letters[i] && !shift; i++) {
		if (*s == letters[i] || *s == letters[i] + ('a' - 'A'))
			shift = 10 * (i + 1);
	}
	if (shift) {
		s++;
		if (*s == 'i' && s[1] == 'B')
			s++;
	}
	if (*s == 'B')
		s++;
	return *s ? -1 : shift;
}

static bool value(enum unit unit, const char *s, uint64_t *ret)
{
	uint64_t whole, fraction;
	int shift;

	if (!number(&s, &whole, &fraction))
		return false;
	switch (unit) {
	case UNIT_COUNT:
		*ret = whole;
		return fraction == 0 && !*s;
	case UNIT_CPUS:
		*ret = whole * 1000 + fraction / (FRACTION / 1000);
		return !*s;
	case UNIT_SIZE:
		break;
	}
	shift = suffix(s);
	if (shift < 0)
		return false;
	if (whole >= HUGE >> shift)
		whole = HUGE >> shift;
	/* in two halves, so that neither overflows; bytes that are not whole do not count */
	*ret = (whole << shift) + (shift >= 20 ? ((fraction << 20) / FRACTION) << (shift - 20) :
						 (fraction << shift) / FRACTION);
	return shift > 0 || fraction == 0;
}

int policy_limit_parse(enum policy_limit l, const char *text, uint64_t *ret, struct err *e)
{
	static const char *const expected[] = {
		[UNIT_SIZE] = "a size such as 512K, 64M, 1.5G (K, M, G, T are powers of 1024)",
		[UNIT_CPUS] = "a number of CPUs such as 1, 0.5, 2.25",
		[UNIT_COUNT] = "a whole number",
	};
	const struct row *row = &rows[l];
	char bound[POLICY_LIMIT_TEXT];
	uint64_t v;

	if (!value(row->unit, text, &v))
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': expected %s", text,
			       expected[row->unit]);
	if (v < row->min)
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': at least %s: %s", text,
			       policy_limit_format(l, row->min, bound), row->why);
	if (v > row->max)
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': at most %s", text,
			       policy_limit_format(l, row->max, bound));
	*ret = v;
	return 0;
}

const char *policy_limit_format(enum policy_limit l, uint64_t v, char out[POLICY_LIMIT_TEXT])
{
	static const char letters[] = "\0KMGT";
	int i = 0;

	if (rows[l].unit == UNIT_CPUS) {
		int n = snprintf(out, POLICY_LIMIT_TEXT, "%" PRIu64 ".%03u", v / 1000,
				 (unsigned int)(v % 1000));

		while (n > 0 && out[n - 1] == '0')
			n--;
		if (n > 0 && out[n - 1] == '.')
			n--;
		out[n > 0 ? n : 0] = '\0';
		return out;
	}
	for (; rows[l].unit == UNIT_SIZE && i < 4 && v && v % 1024 == 0; i++)
		v /= 1024;
	(void)snprintf(out, POLICY_LIMIT_TEXT, "%" PRIu64 "%.1s", v, letters + i);
	return out;
}
