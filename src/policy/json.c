/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A cursor goes over the text once. There is no recursion: a list or object that begins becomes the place where values
 * go (`in`), one that ends gives that place back to its parent. What may come next follows from the place and from the last thing that was read.
 */
#include "json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct limits {
	size_t string, values, items; /* bytes of one; of the text; of one list */
};

struct reader {
	const char *name;
	const char *p, *end;
	unsigned int line, column;
	struct arena *arena;
	struct json_node *in;    /* the list or object that is open; NULL at the top */
	struct json_node **tail; /* where its next member goes */
	int depth;
	size_t values;
	const struct limits *max;
	struct err *e;
};

const char *json_type_name(enum json_type t)
{
	static const char *const names[] = { "null",     "true or false", "a number",
					     "a string", "a list",        "an object" };

	return names[t];
}

const struct json_node *json_member(const struct json_node *object, const char *key)
{
	const struct json_node *n;

	for (n = object && object->type == JSON_OBJECT ? object->first : NULL; n; n = n->next) {
		if (strcmp(n->key, key) == 0)
			break;
	}
	return n;
}

const struct json_node *json_member_as(const struct json_node *object, const char *key,
				       enum json_type type)
{
	const struct json_node *n = json_member(object, key);

	return n && n->type == type ? n : NULL;
}

const char *json_string(const struct json_node *object, const char *key)
{
	const struct json_node *n = json_member_as(object, key, JSON_STRING);

	return n ? n->text : NULL;
}

const char *json_text(const struct json_node *object, const char *key)
{
	const struct json_node *n = json_member(object, key);

	return n && (n->type == JSON_STRING || n->type == JSON_NUMBER) ? n->text : NULL;
}

const char *json_file_name(const char *path)
{
	size_t n = strlen(path);

	return n > 160 ? path + n - 160 : path;
}

void json_key_path(const struct json_node *node, char *out, size_t size)
{
	char part[80];
	size_t end = size - 1, n;

	/* from the end, since nodes know their parents */
	out[end] = '\0';
	for (; node && node->parent; node = node->parent) {
		const struct json_node *k;
		size_t i = 0;

		if (node->parent->type == JSON_LIST) {
			for (k = node->parent->first; k && k != node; k = k->next)
				i++;
			(void)snprintf(part, sizeof(part), "[%zu]", i);
		} else {
			(void)snprintf(part, sizeof(part), "%s%.60s",
				       node->parent->parent ? "." : "", node->key);
		}
		n = strlen(part);
		if (n > end)
			break;
		end -= n;
		memcpy(out + end, part, n);
	}
	memmove(out, out + end, size - end);
}

/* "FILE:LINE:COLUMN: key: what" */
__attribute__((format(printf, 5, 6))) static int fail_at(const struct reader *r, unsigned int line,
							 unsigned int column, int ret,
							 const char *fmt, ...)
{
	char key[128], what[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	json_key_path(r->in, key, sizeof(key));
	return err_set(r->e, ERR_POLICY, ret, "%s:%u:%u: %s%s%s", json_file_name(r->name), line,
		       column, key, *key ? ": " : "", what);
}

#define FAIL(r, ret, ...) fail_at((r), (r)->line, (r)->column, (ret), __VA_ARGS__)

static void advance(struct reader *r, size_t n)
{
	for (; n > 0; n--, r->p++) {
		if (*r->p == '\n') {
			r->line++;
			r->column = 1;
		} else if (((unsigned char)*r->p & 0xc0) != 0x80) {
			r->column++;
		}
	}
}

static void skip_space(struct reader *r)
{
	while (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p)
		advance(r, 1);
}

/* What stands at the cursor, for messages. */
static const char *found(const struct reader *r, char *out, size_t size)
{
	const unsigned char *u = (const unsigned char *)r->p;
	size_t n = buf_utf8_len(u);

	if (r->p == r->end)
		return "the end of the file";
	if (n == 0 || *u < 0x20 || *u == 0x7f)
		(void)snprintf(out, size, "the byte 0x%02x", *u);
	else
		(void)snprintf(out, size, "'%.*s'", (int)n, r->p);
	return out;
}

static int expected(const struct reader *r, const char *what)
{
	char buf[24];

	if (r->p < r->end && (*r->p == '/' || *r->p == '#'))
		return FAIL(r, -EINVAL, "expected %s, found %s (JSON has no comments)", what,
			    found(r, buf, sizeof(buf)));
	if (r->p < r->end && *r->p == '\'')
		return FAIL(r, -EINVAL, "expected %s, found a single quote (strings are in \"\")",
			    what);
	return FAIL(r, -EINVAL, "expected %s, found %s", what, found(r, buf, sizeof(buf)));
}

/* Four hex digits behind "\u". Return: their value, or -EINVAL. */
static int hex4(struct reader *r)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	int v = 0, i;

	for (i = 0; i < 4; i++) {
		const char *d = r->p < r->end && *r->p ? strchr(digits, *r->p) : NULL;
		long digit = d ? d - digits : 0;

		if (!d)
			return expected(r, "four hex digits behind \\u");
		v = v * 16 + (int)(digit > 15 ? digit - 6 : digit);
		advance(r, 1);
	}
	return v;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* What follows "\u": one code point, of one escape or of a pair. Return: bytes written to @out, or -EINVAL. */
static int unicode(struct reader *r, char *out)
{
	unsigned int line = r->line, column = r->column;
	int hi = hex4(r), lo;

	if (hi < 0)
		return hi;
	if (hi == 0)
		return fail_at(r, line, column, -EINVAL, "\\u0000 (NUL) is refused");
	if (hi >= 0xd800 && hi <= 0xdbff && r->end - r->p >= 2 && r->p[0] == '\\' &&
	    r->p[1] == 'u') {
		advance(r, 2);
		lo = hex4(r);
		if (lo < 0)
			return lo;
		if (lo >= 0xdc00 && lo <= 0xdfff)
			return (int)put_utf8(out, 0x10000u + ((uint32_t)(hi - 0xd800) << 10) +
							  (uint32_t)(lo - 0xdc00));
	}
	if (hi >= 0xd800 && hi <= 0xdfff)
		return fail_at(r, line, column, -EINVAL,
			       "\\u%04x is half of a surrogate pair and no character", hi);
	return (int)put_utf8(out, (uint32_t)hi);
}

/* The escape at the cursor. Return: bytes written to @out (4 fit), or -EINVAL. */
static int escape(struct reader *r, char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *k;

	advance(r, 1);
	if (r->p < r->end && *r->p == 'u') {
		advance(r, 1);
		return unicode(r, out);
	}
	k = r->p < r->end && *r->p ? strchr(from, *r->p) : NULL;
	if (!k)
		return expected(r, "one of \" \\ / b f n r t u behind \\");
	*out = to[k - from];
	advance(r, 1);
	return 1;
}

/* Bytes of the string at the cursor, as it is written: it is never longer when it was read. */
static size_t written_length(const struct reader *r)
{
	const char *p;

	for (p = r->p + 1; p < r->end && *p != '"' && *p != '\n'; p++)
		p += *p == '\\';
	return (size_t)(p - r->p);
}

/* The string at the cursor. It may not have NUL, so C's strings can hold it. */
static int read_string(struct reader *r, const char **ret)
{
	unsigned int line = r->line, column = r->column;
	size_t len = 0, room = written_length(r), n;
	char *text = arena_alloc(r->arena, (room < r->max->string ? room : r->max->string) + 1);
	int m;

	if (!text)
		return err_set(r->e, ERR_SYSTEM, -ENOMEM, "out of memory");

	for (advance(r, 1); r->p == r->end || *r->p != '"'; len += n) {
		const unsigned char *u = (const unsigned char *)r->p;

		if (r->p == r->end || *u == '\n')
			return fail_at(r, line, column, -EINVAL,
				       "the string that begins here has no end in its line");
		if (len + 4 > r->max->string)
			return fail_at(r, line, column, -E2BIG, "a string of more than %zu bytes",
				       r->max->string - 4);
		if (*u == '\\') {
			m = escape(r, text + len);
			if (m < 0)
				return m;
			n = (size_t)m;
			continue;
		}
		if (*u == 0)
			return FAIL(r, -EINVAL, "the byte 0x00 (NUL) is refused");
		if (*u < 0x20)
			return FAIL(
				r, -EINVAL,
				"the control character 0x%02x in a string must be written \\u%04x",
				*u, *u);
		n = buf_utf8_len(u);
		if (n == 0) /* the NUL behind the text is no part of a character */
			return FAIL(r, -EINVAL, "the byte 0x%02x is no UTF-8", *u);
		memcpy(text + len, r->p, n);
		advance(r, n);
	}
	advance(r, 1);
	*ret = text; /* the arena's memory is zeroed */
	return 0;
}

static size_t digits(const char *s)
{
	return strspn(s, "0123456789");
}

static int read_number(struct reader *r, struct json_node *v)
{
	const char *s = r->p + (*r->p == '-');
	size_t n = digits(s), m;
	char *copy;

	if (n == 0 || (*s == '0' && n > 1))
		return FAIL(r, -EINVAL,
			    "no JSON number: it begins with a digit, and with 0 only as 0 or 0.…");
	s += n;
	if (*s == '.') {
		m = digits(s + 1);
		if (m == 0)
			return FAIL(r, -EINVAL, "no JSON number: digits must follow the '.'");
		s += 1 + m;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '+' || *s == '-';
		m = digits(s);
		if (m == 0)
			return FAIL(r, -EINVAL, "no JSON number: digits must follow the 'e'");
		s += m;
	}
	n = (size_t)(s - r->p);
	if (n > 64)
		return FAIL(r, -E2BIG, "a number of more than 64 characters");
	copy = arena_alloc(r->arena, n + 1);
	if (!copy)
		return err_set(r->e, ERR_SYSTEM, -ENOMEM, "out of memory");
	memcpy(copy, r->p, n);
	v->text = copy;
	advance(r, n);
	return 0;
}

static int read_word(struct reader *r, struct json_node *v)
{
	static const struct {
		const char *word;
		enum json_type type;
	} words[] = { { "true", JSON_BOOL }, { "false", JSON_BOOL }, { "null", JSON_NULL } };
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		n = strlen(words[i].word);
		/* a longer word is an error at its fifth letter, where a comma or an end is expected */
		if ((size_t)(r->end - r->p) >= n && memcmp(r->p, words[i].word, n) == 0) {
			v->type = words[i].type;
			v->value = i == 0;
			advance(r, n);
			return 0;
		}
	}
	return expected(r, "a value");
}

/* The value at the cursor; of a list or object only its beginning. */
static int read_value(struct reader *r, struct json_node *v)
{
	v->line = r->line;
	v->column = r->column;
	v->parent = r->in;
	if (++r->values > r->max->values)
		return FAIL(r, -E2BIG, "more than %zu values in the file", r->max->values);
	if (r->p == r->end)
		return expected(r, "a value");
	if (*r->p == '"') {
		v->type = JSON_STRING;
		return read_string(r, &v->text);
	}
	if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) {
		v->type = JSON_NUMBER;
		return read_number(r, v);
	}
	if (*r->p != '{' && *r->p != '[')
		return read_word(r, v);
	v->type = *r->p == '{' ? JSON_OBJECT : JSON_LIST;
	if (r->depth == LIMIT_POLICY_DEPTH)
		return FAIL(r, -E2BIG, "lists and objects are nested more than %d deep",
			    LIMIT_POLICY_DEPTH);
	r->depth++;
	advance(r, 1);
	r->in = v;
	r->tail = &v->first;
	return 0;
}

/* "key" : at the cursor. */
static int read_key(struct reader *r, struct json_node *v)
{
	const struct json_node *k;
	int ret;

	v->key_line = r->line;
	v->key_column = r->column;
	if (r->p == r->end || *r->p != '"')
		return expected(r, "a key in \"\"");
	ret = read_string(r, &v->key);
	if (ret < 0)
		return ret;
	for (k = r->in->first; k; k = k->next) {
		if (strcmp(k->key, v->key) == 0)
			return fail_at(r, v->key_line, v->key_column, -EINVAL,
				       "the key '%.60s' is here twice, first in line %u", v->key,
				       k->key_line);
	}
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return expected(r, "':' behind the key");
	advance(r, 1);
	skip_space(r);
	return 0;
}

/* Lists and objects that end at the cursor, and the comma behind what is left open. Return: 1: a value must follow; 0: none is open. */
static int close_all(struct reader *r)
{
	for (;;) {
		char end;

		skip_space(r);
		if (!r->in)
			return 0;
		end = r->in->type == JSON_OBJECT ? '}' : ']';
		if (r->p < r->end && *r->p == end) {
			advance(r, 1);
			r->depth--;
			r->tail = &r->in->next;
			r->in = r->in->parent;
			continue;
		}
		if (!r->in->first) /* just begun */
			return 1;
		if (r->p == r->end || *r->p != ',')
			return expected(r, end == '}' ? "',' or '}'" : "',' or ']'");
		advance(r, 1);
		skip_space(r);
		if (r->p < r->end && *r->p == end)
			return expected(r, "another value behind the ','");
		return 1;
	}
}

/* The next member of what is open. */
static int read_member(struct reader *r, struct json_node *v)
{
	struct json_node *in = r->in;
	int ret;

	if (in->n == (in->type == JSON_OBJECT ? LIMIT_POLICY_MEMBERS : r->max->items))
		return FAIL(r, -E2BIG, "more than %zu members", in->n);
	if (in->type == JSON_OBJECT) {
		ret = read_key(r, v);
		if (ret < 0)
			return ret;
	}
	*r->tail = v;
	in->n++;
	r->tail = &v->next;
	return read_value(r, v);
}

static int read_within(const char *name, const char *text, size_t len, const struct limits *max,
		       struct arena *a, const struct json_node **ret, struct err *e)
{
	struct reader r = { .name = name,
			    .p = text,
			    .end = text + len,
			    .line = 1,
			    .column = 1,
			    .arena = a,
			    .max = max,
			    .e = e };
	struct json_node *root = NULL, *v;
	int n = 1;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return FAIL(&r, -EINVAL,
			    "the file begins with a byte order mark; save it as UTF-8 without one");
	skip_space(&r);
	while (n > 0) {
		v = arena_alloc(a, sizeof(*v));
		if (!v)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		n = r.in ? read_member(&r, v) : read_value(&r, v);
		root = root ? root : v;
		if (n == 0)
			n = close_all(&r);
		if (n < 0)
			return n;
	}
	if (r.p != r.end)
		return expected(&r, "the end of the file");
	*ret = root;
	return 0;
}

int json_read(const char *name, const char *text, size_t len, struct arena *a,
	      const struct json_node **ret, struct err *e)
{
	static const struct limits max = { LIMIT_POLICY_STRING, LIMIT_POLICY_VALUES, LIMIT_RULES };

	return read_within(name, text, len, &max, a, ret, e);
}

int json_read_kept(const char *name, const char *text, size_t len, struct arena *a,
		   const struct json_node **ret, struct err *e)
{
	static const struct limits max = { LIMIT_KEPT_TEXT + 4, LIMIT_KEPT, LIMIT_KEPT };

	return read_within(name, text, len, &max, a, ret, e);
}

static void write_value(struct json *j, const struct json_node *v)
{
	const struct json_node *k;

	switch (v->type) {
	case JSON_NULL:
		json_str(j, v->key, NULL);
		return;
	case JSON_BOOL:
		json_bool(j, v->key, v->value);
		return;
	case JSON_NUMBER:
		json_raw(j, v->key, v->text);
		return;
	case JSON_STRING:
		json_str(j, v->key, v->text);
		return;
	case JSON_LIST:
	case JSON_OBJECT:
		break;
	}
	/* as deep as the reader lets it be */
	json_open(j, v->key, v->type == JSON_LIST ? '[' : '{');
	for (k = v->first; k; k = k->next)
		write_value(j, k);
	json_close(j, v->type == JSON_LIST ? ']' : '}');
}

void json_write(const struct json_node *v, struct buf *out)
{
	struct json j = { .out = out };

	write_value(&j, v);
}
