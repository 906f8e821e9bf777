/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says of which method the target is, or that it is a Host. A reference of regular expressions agrees about what is accepted, and the parts,
 * put together again, are what was sent.
 */

#include "http-reference.h"

static const char *const methods[] = { NULL, "GET", "OPTIONS", "CONNECT" };

static bool accepted(const char *s, const char *method)
{
	char authority[HTTP_HEAD_MAX];

	if (!method)
		return ref_authority(s);
	if (strcmp(method, "CONNECT") == 0)
		return ref_authority(s) && REF_MATCHES(":[0-9]+$", s);
	if (!REF_MATCHES("^[\"!$-~]+$", s))
		return false;
	if (*s == '/' || (strcmp(s, "*") == 0 && strcmp(method, "OPTIONS") == 0))
		return true;
	if (!REF_MATCHES("^[hH][tT][tT][pP][sS]?://", s))
		return false;
	s = strchr(s, '/') + 2;
	snprintf(authority, sizeof(authority), "%.*s", (int)strcspn(s, "/"), s);
	return ref_authority(authority);
}

static void put_together(const struct http_target *t, struct buf *b)
{
	if (t->form == HTTP_ASTERISK)
		buf_puts(b, "*");
	if (t->form == HTTP_ABSOLUTE)
		buf_printf(b, "%s://", t->scheme);
	buf_puts(b, t->bracketed ? "[" : "");
	if (t->host.len > 0)
		buf_add(b, t->host.p, t->host.len);
	buf_puts(b, t->bracketed ? "]" : "");
	if (t->port > 0)
		buf_printf(b, ":%u", t->port);
	if (t->path.len > 0)
		buf_add(b, t->path.p, t->path.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = BUF_INIT(1 << 20);
	struct http_target t = { .port = 0 };
	struct http_slice text;
	struct err e = ERR_INIT;
	const char *method;
	char *s;
	int r;

	if (size < 1 || size > 4096)
		return 0;
	method = methods[data[0] & 3];
	text = (struct http_slice){ (const char *)data + 1, size - 1 };
	r = method ? http_target_parse(&t, http_slice(method), text, &e) :
		     http_authority_parse(&t, text, &e);
	s = strndup(text.p, text.len);
	FUZZ_REQUIRE(s && (r == 0 || r == -EBADMSG) && (r == 0) == (e.code == ERR_NONE));
	FUZZ_REQUIRE((r == 0) == (strlen(s) == text.len && accepted(s, method)));
	if (r == 0) {
		put_together(&t, &b);
		FUZZ_REQUIRE(b.len == text.len);
		FUZZ_REQUIRE(strncasecmp(b.data, s, 8) == 0 &&
			     (b.len < 8 || strcmp(b.data + 8, s + 8) == 0));
		FUZZ_REQUIRE(t.form == HTTP_ABSOLUTE || strcmp(b.data, s) == 0);
		FUZZ_REQUIRE((t.form == HTTP_ABSOLUTE) == (t.scheme != NULL));
		FUZZ_REQUIRE((t.form == HTTP_ABSOLUTE || t.form == HTTP_AUTHORITY) ==
			     (t.host.len > 0));
	}
	free(s);
	buf_done(&b);
	return 0;
}
