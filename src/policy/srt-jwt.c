/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens, as far as srt's `decode` needs to know them: what is one, and what looks like one. */
#include <stdio.h>
#include <string.h>

#include "srt.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(const char *text, struct buf *b)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = strlen(text), i;

	for (i = 0; i < n; i += 3) {
		unsigned int v = (unsigned int)p[i] << 16;
		size_t k, have = n - i < 3 ? n - i : 3;

		v |= have > 1 ? (unsigned int)p[i + 1] << 8 : 0;
		v |= have > 2 ? p[i + 2] : 0;
		for (k = 0; k < have + 1; k++)
			buf_add(b, &letters[v >> (18 - 6 * k) & 63u], 1);
	}
}

static bool decode(const char *p, size_t n, struct buf *b)
{
	unsigned int v = 0, bits = 0;
	const char *at;
	size_t i;
	char c;

	for (i = 0; i < n; i++) {
		at = memchr(letters, p[i], sizeof(letters) - 1);
		if (!at)
			return false;
		v = (v << 6 | (unsigned int)(at - letters)) & 0xffffffu;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			c = (char)(v >> bits & 0xffu);
			buf_add(b, &c, 1);
		}
	}
	return b->len > 0 && !b->failed;
}

/* The JSON that a segment is, or NULL. */
static const struct json_node *segment(const char *p, size_t n, struct arena *a)
{
	struct buf b = BUF_INIT(SRT_JWT_MAX);
	const struct json_node *root = NULL;

	if (!decode(p, n, &b) || json_read("JWT", b.data, b.len, a, &root, NULL) < 0)
		root = NULL;
	if (b.data)
		explicit_bzero(b.data, b.len);
	buf_done(&b);
	return root;
}

bool srt_is_jwt(const char *p, size_t n, struct arena *a)
{
	const char *one = memchr(p, '.', n),
		   *two = one ? memchr(one + 1, '.', n - (size_t)(one + 1 - p)) : NULL;
	const struct json_node *head;

	if (!two || memchr(two + 1, '.', n - (size_t)(two + 1 - p)))
		return false;
	head = segment(p, (size_t)(one - p), a);
	return head && head->type == JSON_OBJECT && srt_node(head, "alg") &&
	       segment(one + 1, (size_t)(two - one - 1), a);
}

const struct json_node *srt_jwt_payload(const char *p, size_t n, struct arena *a)
{
	const char *one = memchr(p, '.', n),
		   *two = one ? memchr(one + 1, '.', n - (size_t)(one + 1 - p)) : NULL;
	const struct json_node *root = two ? segment(one + 1, (size_t)(two - one - 1), a) : NULL;

	return root && root->type == JSON_OBJECT ? root : NULL;
}

bool srt_jwt_set(const struct json_node *payload, const char *name, const char *text)
{
	struct json_node *k = payload->first;

	for (; k && (strcmp(k->key, name) != 0 || k->type != JSON_STRING); k = k->next)
		;
	if (k)
		k->text = text;
	return k;
}

void srt_jwt_join(const char *p, size_t n, const struct json_node *payload, struct buf *b)
{
	const char *one = memchr(p, '.', n);
	struct buf text = BUF_INIT(4ul * SRT_JWT_MAX);

	json_write(payload, &text);
	buf_add(b, p, (size_t)(one - p) + 1);
	if (text.failed)
		b->failed = true;
	else
		encode(text.data, b);
	/* the real one would let values be guessed */
	buf_puts(b, ".");
	encode("bailey", b);
	buf_done(&text);
}

void srt_fake_jwt(const char *sentinel, struct buf *b)
{
	char payload[256];

	/* a form that checks nothing would be believed; this one fails where anybody checks */
	encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", b);
	buf_puts(b, ".");
	(void)snprintf(payload, sizeof(payload), "{\"sub\":\"%.100s\",\"exp\":9999999999}",
		       sentinel);
	encode(payload, b);
	buf_puts(b, ".");
	encode("bailey", b);
}
