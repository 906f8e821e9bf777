/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/cli/detach-keys.h"
#include "tap.h"
#include "util/util.h"

#include <errno.h>

static struct detach_keys keys;

static void set(const char *text)
{
	struct err e = ERR_INIT;

	REQUIRE(detach_keys_parse(text, &keys, &e) == 0);
}

/* What goes on of @in, given @step bytes at a time; "!" at its end: it was left. */
static const char *typed(const char *in, size_t step)
{
	static char out[256];
	size_t n = strlen(in), len = 0, now;
	bool left = false;

	for (; n > 0 && !left; in += step, n -= step) {
		if (step > n)
			step = n;
		left = detach_keys_filter(&keys, in, step, out + len, &now);
		len += now;
	}
	if (left)
		out[len++] = '!';
	out[len] = '\0';
	return out;
}

TEST(words)
{
	static const char *const good[] = { "",  "a",   "a,b,c",         "ctrl-p,ctrl-q",  "CTRL-a",
					    ",", "a,,", "ctrl-[,ctrl-_", "1,2,3,4,5,6,7,8" };
	static const char *const bad[] = { "ctrl-",  "ctrl-pq", "ctrl-1",
					   "ab",     "a,",      "ctrl-@",
					   "a,ctrl", "é",       "1,2,3,4,5,6,7,8,9" };
	static const size_t n[] = { 0, 1, 3, 2, 1, 1, 2, 2, 8 };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK(detach_keys_parse(good[i], &keys, &e) == 0);
		CHECK(keys.n == n[i]);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(detach_keys_parse(bad[i], &keys, &e) == -EINVAL &&
		      strstr(e.msg, "--detach-keys"));
	set("ctrl-p,ctrl-\\,x");
	CHECK(keys.keys[0] == 16 && keys.keys[1] == 28 && keys.keys[2] == 'x');
}

TEST(what_is_typed)
{
	static const struct {
		const char *keys, *in, *out;
	} cases[] = {
		{ "ctrl-p,ctrl-q", "hello", "hello" },
		{ "ctrl-p,ctrl-q", "a\x10\x11z", "a!" },
		{ "ctrl-p,ctrl-q", "a\x10z", "a\x10z" },
		{ "ctrl-p,ctrl-q", "\x10\x10\x11", "\x10!" },
		{ "ctrl-p,ctrl-q", "\x11\x10", "\x11" }, /* held back */
		{ "a,a,b", "aaab", "a!" },
		{ "a,b,a,c", "ababac", "ab!" },
		{ "a,b,a,c", "abab", "ab" },
		{ "a,b,a,c", "abad", "abad" },
		{ "q", "xq", "x!" },
		{ "", "\x10\x11", "\x10\x11" },
	};
	size_t i, step;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (step = 1; step <= 6; step++) {
			set(cases[i].keys);
			CHECK_STR(typed(cases[i].in, step), cases[i].out);
		}
	}
}
