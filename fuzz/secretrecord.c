/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a secret, and values as commands give them. What is read is written and read again as the same; no message quotes the input's value. */
#include "fuzz.h"

#include "../src/keys/record.h"

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void record(const char *text, size_t n)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf once = BUF_INIT(1u << 20), twice = BUF_INIT(1u << 20);
	struct err e = ERR_INIT;
	struct secret s, again;

	if (secret_parse(&s, "mine", text, n, &a, &e) == 0) {
		FUZZ_REQUIRE(secret_check(&s, &e) == 0);
		FUZZ_REQUIRE(!s.value || (strlen(s.value) >= SECRET_VALUE_MIN &&
					  strlen(s.value) <= SECRET_VALUE_MAX));
		FUZZ_REQUIRE(secret_hosts(&s).n > 0);
		secret_print(&s, &once);
		if (once.len < SECRET_RECORD_MAX) {
			FUZZ_REQUIRE(secret_parse(&again, "mine", once.data, once.len, &a, &e) ==
				     0);
			secret_print(&again, &twice);
			FUZZ_REQUIRE(!once.failed && strcmp(once.data, twice.data) == 0);
			FUZZ_REQUIRE(same(s.value, again.value) && same(s.token, again.token) &&
				     same(s.id, again.id) && same(s.command, again.command) &&
				     same(s.field, again.field) && s.hosts.n == again.hosts.n);
		}
	} else {
		FUZZ_REQUIRE(e.msg[0]);
	}
	buf_done(&once);
	buf_done(&twice);
	arena_done(&a);
}

static void value(const char *text, size_t n, bool aws)
{
	struct secret s = { .name = "mine",
			    .service = aws ? "aws" : "groq",
			    .carrier = aws ? SECRET_AWS : SECRET_HEADER,
			    .value = "as it was" },
		      was = s;
	struct arena a = ARENA_INIT(1u << 20);
	struct err e = ERR_INIT;

	if (secret_set_value(&s, text, n, true, 1000, &a, &e) == 0) {
		FUZZ_REQUIRE(secret_check(&s, &e) == 0);
		FUZZ_REQUIRE(s.expires >= 0 && aws == (s.id != NULL));
		FUZZ_REQUIRE(!strpbrk(s.value, "\r\n"));
	} else {
		FUZZ_REQUIRE(e.msg[0] && s.value == was.value && !s.id && !s.token &&
			     s.expires == was.expires);
	}
	arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > SECRET_RECORD_MAX)
		return 0;
	text = malloc(size + 1);
	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	record(text, size);
	value(text, size, false);
	value(text, size, true);
	(void)secret_time(text);
	free(text);
	return 0;
}
