/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Bytes are taken into one buffer. At each position whose byte could begin a form of a text, all forms are tried; a trial says
 * yes, no, or that the data ends before it is decided. What is undecided stays for the next piece, and nothing longer than the longest form
 * ever stays. The longest form counts where several are there.
 *
 * base64 has a text at one of three positions: its first whole group of 6 bits begins at bit 0, 4 or 2 of it. The groups that
 * are made of its bits alone are what is looked for; the digits at the two ends, which its neighbours share, stay. So that what follows
 * can still be read, the replacement has as many digits modulo four.
 */
#include "scrub.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TAKE 16384u /* bytes that are looked at in one go */

struct scrub {
	const struct scrub_pair *pairs; /* owned; their strings borrowed */
	size_t n;
	enum scrub_forms forms;
	bool first[256];            /* a byte that a form could begin with … */
	unsigned char second[8192]; /* … and the one behind it: a bit for each pair */
	unsigned char *
		data; /* owned, erased; between pieces only what is undecided, NULL when nothing is */
	size_t len, size, most;
	size_t count;
	const char *last; /* borrowed: .from of the pair that was replaced last */
};

/* How data goes on. */
enum found { FOUND_NO, FOUND_MORE, FOUND_YES };

enum form { FORM_TEXT, FORM_HEX, FORM_BASE64 };

struct match {
	size_t len;
	const struct scrub_pair *pair;
	enum form form;
	unsigned int bit;   /* of FORM_BASE64: where its first group begins */
	bool whole;         /* of FORM_BASE64: nothing follows */
	size_t pads;        /* of these, "=" */
	bool upper, is_url; /* the alphabet */
};

struct data {
	const unsigned char *p;
	size_t n;
	bool end; /* nothing comes behind */
};

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

static char base64_char(unsigned int v, bool is_url)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (is_url && v >= 62)
		return v == 62 ? '-' : '_';
	return digits[v & 63u];
}

/* The 6 bits of @s from bit @at; beyond its end they are 0. */
static unsigned int six_bits(const char *s, size_t len, size_t at)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t i = at / 8;
	unsigned int two = (i < len ? (unsigned int)p[i] << 8 : 0) | (i + 1 < len ? p[i + 1] : 0u);

	return two >> (10 - at % 8) & 63u;
}

/* Fixed @lead and two hexadecimal digits at @at that mean @c. */
static enum found escape(const struct data *d, size_t at, const char *lead, unsigned char c)
{
	size_t n = strlen(lead), i;

	for (i = 0; i < n + 2; i++) {
		if (at + i >= d->n)
			return FOUND_MORE;
		if (i < n ? d->p[at + i] != (unsigned char)lead[i] :
			    hex_digit(d->p[at + i]) != (i == n ? c >> 4 : c & 15))
			return FOUND_NO;
	}
	return FOUND_YES;
}

/* One byte of the text, in any way but as itself. *@used: bytes that it took. */
static enum found one_escaped(const struct data *d, size_t at, unsigned char c, size_t *used)
{
	if (d->p[at] == '%') {
		*used = 3;
		return escape(d, at, "%", c);
	}
	if (d->p[at] == '+' && c == ' ') {
		*used = 1;
		return FOUND_YES;
	}
	if (d->p[at] != '\\')
		return FOUND_NO;
	if (at + 1 >= d->n)
		return FOUND_MORE;
	if (d->p[at + 1] == 'u') {
		*used = 6;
		return escape(d, at, "\\u00", c);
	}
	*used = 2;
	return d->p[at + 1] == c && strchr("/\\\"", c) ? FOUND_YES : FOUND_NO;
}

#define CODED_PERCENT 1u   /* a "%" of the text is not itself: %25 */
#define CODED_BACKSLASH 2u /* the same of "\" */

static enum found match_text(const struct data *d, const char *from, bool raw, unsigned int coded,
			     size_t *len)
{
	const unsigned char *k;
	enum found f;
	size_t at = 0, used;

	for (k = (const unsigned char *)from; *k; k++, at += used) {
		used = 1;
		if (at >= d->n)
			return FOUND_MORE;
		if (d->p[at] == *k && !(*k == '%' && (coded & CODED_PERCENT)) &&
		    !(*k == '\\' && (coded & CODED_BACKSLASH)))
			continue;
		f = raw ? FOUND_NO : one_escaped(d, at, *k, &used);
		if (f != FOUND_YES)
			return f;
	}
	*len = at;
	return FOUND_YES;
}

static enum found match_hex(const struct data *d, const char *from, struct match *m)
{
	size_t n = strlen(from), i;

	m->upper = false;
	for (i = 0; i < 2 * n; i++) {
		unsigned char c = (unsigned char)from[i / 2];

		if (i >= d->n)
			return FOUND_MORE;
		if (hex_digit(d->p[i]) != (i % 2 ? c & 15 : c >> 4))
			return FOUND_NO;
		m->upper |= d->p[i] >= 'A' && d->p[i] <= 'F';
	}
	m->len = 2 * n;
	return FOUND_YES;
}

/* Behind all whole groups from bit 0: is this where the text ends, too? It is when the rest of its bits follow, and no other digit. */
static enum found match_base64_end(const struct data *d, const char *from, struct match *m)
{
	size_t n = strlen(from), at = m->len, rest = 8 * n % 6;

	if (rest) {
		if (at >= d->n)
			return d->end ? FOUND_NO : FOUND_MORE;
		if (base64_digit(d->p[at]) != (int)six_bits(from, n, 8 * n - rest))
			return FOUND_NO;
		at++;
	}
	for (m->pads = 0; rest && m->pads < (rest == 2 ? 2u : 1u); m->pads++) {
		if (at + m->pads >= d->n && !d->end)
			return FOUND_MORE;
		if (at + m->pads >= d->n || d->p[at + m->pads] != '=')
			break;
	}
	at += m->pads;
	if (at >= d->n && !d->end)
		return FOUND_MORE;
	if (at < d->n && base64_digit(d->p[at]) >= 0)
		return FOUND_NO;
	m->len = at;
	m->whole = true;
	return FOUND_YES;
}

static enum found match_base64(const struct data *d, const char *from, unsigned int bit,
			       struct match *m)
{
	size_t n = strlen(from), groups = (8 * n - bit) / 6, i;

	m->is_url = m->whole = false;
	m->pads = 0;
	for (i = 0; i < groups; i++) {
		if (i >= d->n)
			return FOUND_MORE;
		if (base64_digit(d->p[i]) != (int)six_bits(from, n, bit + 6 * i))
			return FOUND_NO;
		m->is_url |= d->p[i] == '-' || d->p[i] == '_';
	}
	m->len = groups;
	m->bit = bit;
	/* the groups alone are a match, too, but whether more is must be known */
	if (bit == 0 && match_base64_end(d, from, m) == FOUND_MORE)
		return FOUND_MORE;
	return FOUND_YES;
}

/* Try one form; keep the longest match in @best. */
static enum found try_form(const struct data *d, const struct scrub_pair *pair, enum form form,
			   unsigned int how, bool raw, struct match *best)
{
	struct match m = { .pair = pair, .form = form };
	enum found f = FOUND_NO;

	switch (form) {
	case FORM_TEXT:
		f = match_text(d, pair->from, raw, how, &m.len);
		break;
	case FORM_HEX:
		f = match_hex(d, pair->from, &m);
		break;
	case FORM_BASE64:
		f = match_base64(d, pair->from, how, &m);
		break;
	}
	if (f == FOUND_YES && m.len > best->len)
		*best = m;
	return f;
}

/* What begins at @d. FOUND_MORE: something could; at the end of the stream that is no. */
static enum found look(const struct scrub *s, const struct data *d, struct match *best)
{
	static const struct {
		enum form form;
		unsigned int how;
	} forms[] = { { FORM_TEXT, 0 }, { FORM_TEXT, 1 },   { FORM_TEXT, 2 },   { FORM_TEXT, 3 },
		      { FORM_HEX, 0 },  { FORM_BASE64, 0 }, { FORM_BASE64, 2 }, { FORM_BASE64, 4 } };
	size_t n = s->forms == SCRUB_RAW ? 1 : ARRAY_SIZE(forms), i, k;
	bool more = false;

	*best = (struct match){ .len = 0 };
	for (i = 0; i < s->n; i++) {
		for (k = 0; k < n; k++)
			more |= try_form(d, &s->pairs[i], forms[k].form, forms[k].how,
					 s->forms == SCRUB_RAW, best) == FOUND_MORE;
	}
	if (more && !d->end)
		return FOUND_MORE;
	return best->len ? FOUND_YES : FOUND_NO;
}

static void put_hex(struct buf *out, const char *s, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	for (; *s; s++) {
		buf_add(out, &digits[(unsigned char)*s >> 4], 1);
		buf_add(out, &digits[(unsigned char)*s & 15u], 1);
	}
}

static void put_base64(struct buf *out, const struct match *m)
{
	const char *to = m->pair->to;
	size_t n = strlen(to), groups, i;
	char c;

	if (m->whole) {
		groups = (8 * n + 5) / 6;
	} else {
		groups = (8 * n - m->bit) / 6;
		i = (groups + 4 - m->len % 4) % 4; /* too many, modulo four */
		groups = groups > i ? groups - i : m->len % 4;
	}
	for (i = 0; i < groups; i++) {
		c = base64_char(six_bits(to, n, m->bit + 6 * i), m->is_url);
		buf_add(out, &c, 1);
	}
	/* padded when what it stands for was, or may have been */
	if (m->whole && (m->pads || (strlen(m->pair->from) % 3 == 0 && !m->is_url)))
		buf_add(out, "==", (4 - groups % 4) % 4);
}

static void put(struct scrub *s, struct buf *out, const struct match *m)
{
	s->count++;
	s->last = m->pair->from;
	switch (m->form) {
	case FORM_TEXT:
		buf_puts(out, m->pair->to);
		break;
	case FORM_HEX:
		put_hex(out, m->pair->to, m->upper);
		break;
	case FORM_BASE64:
		put_base64(out, m);
		break;
	}
}

static void add_pair(struct scrub *s, int a, int b)
{
	s->first[a & 255] = true;
	s->second[(a & 255) << 5 | (b & 255) >> 3] |= (unsigned char)(1u << (b & 7));
}

static bool is_pair(const struct scrub *s, unsigned int a, unsigned int b)
{
	return s->second[a << 5 | b >> 3] >> (b & 7) & 1;
}

/* Decide as much of the buffer as can be, append it, keep the rest. */
static void decide(struct scrub *s, struct buf *out, bool end)
{
	size_t at = 0, plain = 0;
	struct match m;
	enum found f;

	while (at < s->len) {
		const struct data d = { s->data + at, s->len - at, end };

		if (!s->first[s->data[at]] ||
		    (at + 1 < s->len && !is_pair(s, s->data[at], s->data[at + 1]))) {
			at++;
			continue;
		}
		f = look(s, &d, &m);
		if (f == FOUND_MORE)
			break;
		if (f == FOUND_NO) {
			at++;
			continue;
		}
		buf_add(out, s->data + plain, at - plain);
		put(s, out, &m);
		at += m.len;
		plain = at;
	}
	if (at > plain)
		buf_add(out, s->data + plain, at - plain);
	if (at > 0) {
		memmove(s->data, s->data + at, s->len - at);
		explicit_bzero(s->data + s->len - at, at);
	}
	s->len -= at;
}

/* Move what is undecided into memory of @size bytes; none for 0. Return: whether there was some. */
static bool resize(struct scrub *s, size_t size)
{
	unsigned char *p = size > 0 ? malloc(size) : NULL;

	if (size > 0 && !p)
		return false;
	if (s->data && p)
		memcpy(p, s->data, s->len);
	if (s->data)
		explicit_bzero(s->data, s->len);
	free(s->data);
	s->data = p;
	s->size = size;
	return true;
}

int scrub_step(struct scrub *s, const char *p, size_t n, struct buf *out)
{
	size_t take;

	if (n > 0 && (!resize(s, s->most) || !s->data))
		return -EFBIG;
	while (n > 0) {
		take = s->size - s->len < n ? s->size - s->len : n;
		memcpy(s->data + s->len, p, take);
		s->len += take;
		p += take;
		n -= take;
		decide(s, out, false);
	}
	(void)resize(s, s->len); /* else it has more than it needs */
	return out->failed ? -EFBIG : 0;
}

int scrub_end(struct scrub *s, struct buf *out)
{
	decide(s, out, true);
	(void)resize(s, s->len);
	return out->failed ? -EFBIG : 0;
}

size_t scrub_size(const struct scrub *s)
{
	return s ? sizeof(*s) + s->n * sizeof(*s->pairs) + s->size : 0;
}

size_t scrub_count(const struct scrub *s)
{
	return s->count;
}

const char *scrub_last(const struct scrub *s)
{
	return s ? s->last : NULL;
}

/* Digits of one byte, or of two groups of base64, in either way to write them. */
static void add_digits(struct scrub *s, const char first[2], const char second[2])
{
	int i;

	for (i = 0; i < 4; i++)
		add_pair(s, first[i & 1], second[i >> 1]);
}

/* What a form of @from can begin with. */
static void add_first(struct scrub *s, const char *from)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	const unsigned char c = (unsigned char)from[0];
	const char high[] = { lower[c >> 4], upper[c >> 4] },
		   low[] = { lower[c & 15], upper[c & 15] };
	const char escapes[] = { from[1], '%', '\\', '+' };
	size_t n = strlen(from), i;
	unsigned int bit;
	int k;

	/* itself, and the next byte as itself or coded */
	for (k = 0; k < 256; k++) {
		if (n == 1 || memchr(escapes, k, sizeof(escapes)))
			add_pair(s, c, k);
	}
	if (s->forms == SCRUB_RAW)
		return;
	add_digits(s, (const char[]){ '%', '%' }, high);
	add_pair(s, '\\', 'u');
	add_pair(s, '\\', c);
	for (k = 0; k < 256 && c == ' '; k++)
		add_pair(s, '+', k);
	add_digits(s, high, low);
	for (bit = 0; bit <= 4; bit += 2) {
		char digit[2][2];

		for (i = 0; i < 2; i++) {
			digit[i][0] = base64_char(six_bits(from, n, bit + 6 * i), false);
			digit[i][1] = base64_char(six_bits(from, n, bit + 6 * i), true);
		}
		/* a text of one byte may have one group */
		for (k = 0; k < 256 && n < 3; k++)
			add_digits(s, digit[0], (const char[]){ (char)k, (char)k });
		add_digits(s, digit[0], digit[1]);
	}
}

int scrub_new(struct scrub **ret, const struct scrub_pair *pairs, size_t n, enum scrub_forms forms,
	      struct err *e)
{
	struct scrub *s = calloc(1, sizeof(*s));
	struct scrub_pair *copy = calloc(n ? n : 1, sizeof(*copy));
	size_t i, longest = 0;

	if (!s || !copy)
		goto fail;
	s->pairs = copy;
	s->n = n;
	s->forms = forms;
	for (i = 0; i < n; i++) {
		copy[i] = pairs[i];
		if (!*pairs[i].from) {
			(void)scrub_free(s);
			return err_set(e, ERR_SYSTEM, -EINVAL, "an empty text can't be replaced");
		}
		if (strlen(pairs[i].from) > longest)
			longest = strlen(pairs[i].from);
		add_first(s, pairs[i].from);
	}
	/* \u00XX is the longest form of a byte; three bytes more say where base64 ends */
	s->most = TAKE + 6 * longest + 4;
	*ret = s;
	return 0;
fail:
	free(copy);
	free(s);
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

int scrub_renew(struct scrub *s, const struct scrub_pair *pairs, size_t n, struct err *e)
{
	struct scrub *made = NULL, old = *s;
	int r = scrub_new(&made, pairs, n, s->forms, e);

	if (r < 0 || !made)
		return r;
	*s = *made;
	s->data = old.data;
	s->len = old.len;
	s->size = old.size;
	s->count = old.count;
	if (s->most < old.most)
		s->most = old.most; /* what was kept must fit */
	free((void *)(uintptr_t)old.pairs);
	free(made);
	return 0;
}

struct scrub *scrub_free(struct scrub *s)
{
	if (!s)
		return NULL;
	if (s->data)
		explicit_bzero(s->data, s->len);
	free(s->data);
	free((void *)(uintptr_t)s->pairs);
	free(s);
	return NULL;
}
