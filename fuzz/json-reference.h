/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a text is JSON that a policy file may be: the grammar of RFC 8259 by recursion, and what the reader refuses beyond it. It shares
 * nothing with src/policy/json.c: bytes are decoded here, too.
 */
#ifndef FUZZ_JSON_REFERENCE_H
#define FUZZ_JSON_REFERENCE_H

#include "fuzz.h"

#define REF_DEPTH 12
#define REF_KEYS 64

struct ref {
	const unsigned char *p, *end;
};

static inline int ref_peek(const struct ref *r)
{
	return r->p < r->end ? *r->p : -1;
}

static inline void ref_space(struct ref *r)
{
	while (ref_peek(r) == ' ' || ref_peek(r) == '\t' || ref_peek(r) == '\n' ||
	       ref_peek(r) == '\r')
		r->p++;
}

static inline bool ref_take(struct ref *r, int c)
{
	if (ref_peek(r) != c)
		return false;
	r->p++;
	return true;
}

static inline long ref_hex(struct ref *r)
{
	long v = 0;
	int i;

	for (i = 0; i < 4; i++, r->p++) {
		int c = ref_peek(r);

		if (c >= '0' && c <= '9')
			v = v * 16 + c - '0';
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + c - 'A' + 10;
		else
			return -1;
	}
	return v;
}

/* A character that is more than one byte: its length by the ranges of the code points, not by the table of the first bytes. */
static inline bool ref_wide(struct ref *r)
{
	static const long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	long c = *r->p;
	int n = c >= 0xf8 ? 0 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0, i;

	if (n == 0 || r->end - r->p < n)
		return false;
	c &= 0xff >> (n + 1);
	for (i = 1; i < n; i++) {
		if ((r->p[i] & 0xc0) != 0x80)
			return false;
		c = c << 6 | (r->p[i] & 0x3f);
	}
	r->p += n;
	return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

static inline bool ref_string(struct ref *r)
{
	if (!ref_take(r, '"'))
		return false;
	while (!ref_take(r, '"')) {
		int c = ref_peek(r);
		long u;

		if (c < 0x20)
			return false;
		if (c >= 0x80) {
			if (!ref_wide(r))
				return false;
			continue;
		}
		r->p++;
		if (c != '\\')
			continue;
		c = ref_peek(r);
		if (c < 0 || !c || !strchr("\"\\/bfnrtu", c))
			return false;
		r->p++;
		if (c != 'u')
			continue;
		u = ref_hex(r);
		if (u <= 0 || (u >= 0xdc00 && u <= 0xdfff))
			return false;
		if (u >= 0xd800 && u <= 0xdbff) {
			if (!ref_take(r, '\\') || !ref_take(r, 'u'))
				return false;
			u = ref_hex(r);
			if (u < 0xdc00 || u > 0xdfff)
				return false;
		}
	}
	return true;
}

static inline bool ref_digits(struct ref *r)
{
	const unsigned char *from = r->p;

	while (ref_peek(r) >= '0' && ref_peek(r) <= '9')
		r->p++;
	return r->p > from;
}

static inline bool ref_number(struct ref *r)
{
	const unsigned char *from = r->p;

	(void)ref_take(r, '-');
	if (!ref_take(r, '0') && !ref_digits(r))
		return false;
	if (ref_take(r, '.') && !ref_digits(r))
		return false;
	if (ref_take(r, 'e') || ref_take(r, 'E')) {
		if (!ref_take(r, '+'))
			(void)ref_take(r, '-');
		if (!ref_digits(r))
			return false;
	}
	return r->p - from <= 64;
}

static inline bool ref_word(struct ref *r, const char *word)
{
	for (; *word; word++) {
		if (!ref_take(r, (unsigned char)*word))
			return false;
	}
	return true;
}

static inline bool ref_value(struct ref *r, int depth);

/* Keys are compared as they are written; so the fuzzer can't be told by this reader about keys that only look different. */
static inline bool ref_members(struct ref *r, int depth, bool object, bool *ret_doubt)
{
	const unsigned char *keys[REF_KEYS];
	size_t lens[REF_KEYS], n = 0, i;

	if (ref_take(r, object ? '}' : ']'))
		return true;
	for (;;) {
		ref_space(r);
		if (object) {
			const unsigned char *key = r->p;
			size_t len;

			if (!ref_string(r))
				return false;
			len = (size_t)(r->p - key);
			if (memchr(key, '\\', len) || n == REF_KEYS)
				*ret_doubt = true;
			for (i = 0; i < n; i++) {
				if (lens[i] == len && memcmp(keys[i], key, len) == 0)
					return false;
			}
			if (n < REF_KEYS) {
				lens[n] = len;
				keys[n++] = key;
			}
			ref_space(r);
			if (!ref_take(r, ':'))
				return false;
			ref_space(r);
		}
		if (!ref_value(r, depth))
			return false;
		ref_space(r);
		if (ref_take(r, object ? '}' : ']'))
			return true;
		if (!ref_take(r, ','))
			return false;
	}
}

static bool ref_doubt; /* a key is written in a way that can't be compared here */

static inline bool ref_value(struct ref *r, int depth)
{
	int c = ref_peek(r);

	if (c == '{' || c == '[') {
		if (depth == REF_DEPTH)
			return false;
		r->p++;
		ref_space(r);
		return ref_members(r, depth + 1, c == '{', &ref_doubt);
	}
	if (c == '"')
		return ref_string(r);
	if (c == 't')
		return ref_word(r, "true");
	if (c == 'f')
		return ref_word(r, "false");
	if (c == 'n')
		return ref_word(r, "null");
	return ref_number(r);
}

static inline bool ref_json(const void *text, size_t len)
{
	struct ref r = { .p = text, .end = (const unsigned char *)text + len };

	ref_doubt = false;
	ref_space(&r);
	if (!ref_value(&r, 0))
		return false;
	ref_space(&r);
	return r.p == r.end;
}

#endif
