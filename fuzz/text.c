/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed: JSON of any bytes is JSON and UTF-8, read here by a reader that shares nothing with the writer; quoted text has no
 * control bytes. The first byte of a line says what is written with the rest of it.
 */
#include "fuzz.h"

/* By the table of RFC 3629, sequence by sequence. Return: length, or 0. */
static size_t utf8(const unsigned char *s)
{
	uint32_t c;

	if (s[0] < 0x80)
		return 1;
	if ((s[0] & 0xe0) == 0xc0 && (s[1] & 0xc0) == 0x80) {
		c = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
		return c >= 0x80 ? 2 : 0;
	}
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		c = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
		return c >= 0x800 && (c < 0xd800 || c > 0xdfff) ? 3 : 0;
	}
	if ((s[0] & 0xf8) == 0xf0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
	    (s[3] & 0xc0) == 0x80) {
		c = (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 |
		    (s[3] & 0x3fu);
		return c >= 0x10000 && c <= 0x10ffff ? 4 : 0;
	}
	return 0;
}

/* Return: what follows the string that begins at @s. */
static const char *read_string(const char *s)
{
	FUZZ_REQUIRE(*s == '"');
	for (s++; *s != '"';) {
		size_t n = utf8((const unsigned char *)s);

		FUZZ_REQUIRE(n > 0 && (unsigned char)*s >= 0x20);
		if (*s == '\\') {
			FUZZ_REQUIRE(s[1] && strchr("\"\\/bfnrtu", s[1]));
			n = 2;
			if (s[1] == 'u') {
				FUZZ_REQUIRE(strspn(s + 2, "0123456789abcdefABCDEF") >= 4);
				n = 6;
			}
		}
		s += n;
	}
	return s + 1;
}

static const char *read_value(const char *s, int depth)
{
	static const char *const words[] = { "true", "false", "null" };
	char end = *s == '{' ? '}' : ']';
	size_t i;

	FUZZ_REQUIRE(depth < 100);
	if (*s == '"')
		return read_string(s);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (strncmp(s, words[i], strlen(words[i])) == 0)
			return s + strlen(words[i]);
	}
	if (*s == '-' || (*s >= '0' && *s <= '9')) {
		s += *s == '-';
		i = strspn(s, "0123456789");
		FUZZ_REQUIRE(i > 0 && (*s != '0' || i == 1));
		return s + i;
	}
	FUZZ_REQUIRE(*s == '{' || *s == '[');
	if (*++s == end)
		return s + 1;
	for (;; s++) {
		if (end == '}') {
			s = read_string(s);
			FUZZ_REQUIRE(*s == ':');
			s++;
		}
		s = read_value(s, depth + 1);
		if (*s == end)
			return s + 1;
		FUZZ_REQUIRE(*s == ',');
	}
}

static void write_json(const uint8_t *data, size_t size, struct buf *b)
{
	struct json j = { .out = b };
	char line[1024], stack[64];
	size_t depth = 0;

	json_open(&j, NULL, '[');
	while (fuzz_line(&data, &size, line, sizeof(line))) {
		const char *key = depth && stack[depth - 1] == '}' ? "key\x80\"" : NULL;
		const char *rest = line[0] ? line + 1 : line;

		if ((line[0] == '{' || line[0] == '[') && depth < sizeof(stack)) {
			json_open(&j, key ? rest : NULL, line[0]);
			stack[depth++] = line[0] == '{' ? '}' : ']';
		} else if ((line[0] == '}' || line[0] == ']') && depth) {
			json_close(&j, stack[--depth]);
		} else if (line[0] == '#') {
			json_int(&j, key, (long long)(strlen(rest) * 0x9e3779b97f4a7c15ull));
		} else if (line[0] == '!') {
			json_bool(&j, key, rest[0] & 1);
		} else {
			json_str(&j, key ? rest : NULL, line[0] == '0' ? NULL : line);
		}
	}
	while (depth)
		json_close(&j, stack[--depth]);
	json_close(&j, ']');
}

static void check_quote(const char *s)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	size_t i;

	buf_puts(&b, "");
	buf_quote(&b, s);
	FUZZ_REQUIRE(!b.failed && strlen(b.data) == b.len);
	for (i = 0; i < b.len; i++)
		FUZZ_REQUIRE((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f);
	for (i = 0; i < b.len;) {
		size_t n = utf8((const unsigned char *)b.data + i);

		FUZZ_REQUIRE(n > 0 && !((unsigned char)b.data[i] == 0xc2 &&
					(unsigned char)b.data[i + 1] < 0xa0));
		i += n;
	}
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	char line[1024];

	if (size > 8192)
		return 0;
	write_json(data, size, &b);
	FUZZ_REQUIRE(!b.failed && strlen(b.data) == b.len);
	FUZZ_REQUIRE(*read_value(b.data, 0) == '\0');
	buf_done(&b);
	while (fuzz_line(&data, &size, line, sizeof(line)))
		check_quote(line);
	return 0;
}
