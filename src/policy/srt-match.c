/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `extract` of srt's settings finds: group 1 of each match of a JavaScript expression, leftmost first, as matchAll() has them.
 *
 * Theory of operation. The expression becomes a program of relative jumps, so that a repeated part can be copied. The program is run by trying: what was tried
 * in vain at a place of the text is noted and not tried again there, so the time is the program's length times the text's, whatever they are. That is why
 * there is nothing that looks back or ahead: such expressions are refused, as are those that name characters beyond ASCII in a class.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "srt.h"

#define STEPS_MAX 2048u
#define SETS_MAX 64u
#define BITS_MAX (32ul << 20) /* of what was tried */
#define STACK_MAX (1u << 20)
#define NEST_MAX 64u

enum op {
	OP_BYTE,
	OP_SET,
	OP_SPLIT,
	OP_JUMP,
	OP_SAVE,
	OP_START,
	OP_END,
	OP_WORD,
	OP_NO_WORD,
	OP_FOUND
};

struct step {
	enum op op;
	int a, b; /* jumps are relative to their own place; of a split @a is tried first */
};

struct set {
	uint32_t bits[8];
};

struct program {
	struct step v[STEPS_MAX];
	size_t n;
	struct set sets[SETS_MAX];
	size_t n_sets;
	unsigned int groups, depth;
	const char *p;
	int error;
};

static void fail(struct program *g, int error)
{
	if (!g->error)
		g->error = error;
}

static void emit(struct program *g, enum op op, int a, int b)
{
	if (g->n == STEPS_MAX)
		fail(g, -E2BIG);
	else
		g->v[g->n++] = (struct step){ op, a, b };
}

/* A step in front of those from @at on, which keep what they say: all their jumps are among them. */
static void insert(struct program *g, size_t at, enum op op, int a, int b)
{
	emit(g, op, a, b);
	if (g->error)
		return;
	memmove(&g->v[at + 1], &g->v[at], (g->n - 1 - at) * sizeof(*g->v));
	g->v[at] = (struct step){ op, a, b };
}

static bool is_word(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_';
}

static bool in_class(char name, int c)
{
	switch (name) {
	case 'd':
		return c >= '0' && c <= '9';
	case 'D':
		return c < '0' || c > '9';
	case 's':
		return c == ' ' || (c >= '\t' && c <= '\r');
	case 'S':
		return c != ' ' && (c < '\t' || c > '\r');
	case 'w':
		return is_word(c);
	case 'W':
		return !is_word(c);
	default:
		return c != '\n' && c != '\r'; /* . */
	}
}

static void put(struct set *s, int c)
{
	s->bits[c / 32] |= 1u << (c % 32);
}

static void put_class(struct set *s, char name)
{
	int c;

	for (c = 0; c < 256; c++) {
		if (in_class(name, c))
			put(s, c);
	}
}

static void emit_set(struct program *g, const struct set *s)
{
	if (g->n_sets == SETS_MAX) {
		fail(g, -E2BIG);
		return;
	}
	g->sets[g->n_sets] = *s;
	emit(g, OP_SET, (int)g->n_sets++, 0);
}

static int hex(const char *p, int n)
{
	int v = 0;

	for (; n > 0; n--, p++) {
		int d = *p >= '0' && *p <= '9'               ? *p - '0' :
			(*p | 32) >= 'a' && (*p | 32) <= 'f' ? (*p | 32) - 'a' + 10 :
							       -1;

		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* The character behind a backslash at g->p. Return: it, or -1: it is a class or refers to a group, or can't be had. */
static int escaped(struct program *g)
{
	static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
	const char *p = g->p + 1, *k = *p ? strchr(from, *p) : NULL;
	int v;

	if (k) {
		g->p += 2;
		return to[k - from];
	}
	if (*p == 'x' || *p == 'u') {
		int n = *p == 'x' ? 2 : 4;

		v = hex(p + 1, n);
		if (v > 0x7f)
			fail(g, -EOPNOTSUPP);
		if (v >= 0) {
			g->p += 2 + n;
			return v & 0x7f;
		}
	}
	if (*p == '0' && (p[1] < '0' || p[1] > '9')) {
		g->p += 2;
		return 0;
	}
	if ((*p >= '0' && *p <= '9') || *p == 'k' || *p == 'c' || *p == 'p' || *p == 'P' ||
	    (unsigned char)*p >= 0x80 || !*p) {
		fail(g, -EOPNOTSUPP);
		return -1;
	}
	g->p += 2;
	return *p;
}

/* One member of a class. @ret_class: \d and the like, whose members are put there. Return: a character, or -1. */
static int member(struct program *g, struct set *s, bool *ret_class)
{
	*ret_class = false;
	if ((unsigned char)*g->p >= 0x80) {
		fail(g, -EOPNOTSUPP);
		return -1;
	}
	if (*g->p != '\\')
		return *g->p++;
	if (g->p[1] && strchr("dDsSwW", g->p[1])) {
		put_class(s, g->p[1]);
		*ret_class = true;
		g->p += 2;
		return -1;
	}
	return escaped(g);
}

static void class(struct program *g)
{
	struct set s = { .bits = { 0 } };
	bool negated = g->p[1] == '^', group, other;
	int lo, hi;
	size_t i;

	for (g->p += 1 + negated; !g->error && *g->p && *g->p != ']';) {
		lo = member(g, &s, &group);
		if (!group && lo >= 0)
			put(&s, lo);
		if (*g->p != '-' || !g->p[1] || g->p[1] == ']')
			continue;
		g->p++;
		hi = member(g, &s, &other);
		if (!other && hi >= 0)
			put(&s, hi);
		if (group || other)
			put(&s, '-');
		else
			for (; lo >= 0 && lo < hi; lo++)
				put(&s, lo);
	}
	g->p += *g->p == ']';
	for (i = 0; negated && i < ARRAY_SIZE(s.bits); i++)
		s.bits[i] = ~s.bits[i];
	emit_set(g, &s);
}

static void alternatives(struct program *g);

static void group(struct program *g)
{
	bool first = false;

	if (g->p[1] == '?' && g->p[2] == ':') {
		g->p += 3;
	} else if (g->p[1] == '?' && g->p[2] == '<' && g->p[3] != '=' && g->p[3] != '!') {
		first = ++g->groups == 1;
		g->p += strcspn(g->p, ">"); /* a name was checked */
		g->p += *g->p == '>';
	} else if (g->p[1] == '?') {
		fail(g, -EOPNOTSUPP);
		return;
	} else {
		first = ++g->groups == 1;
		g->p++;
	}
	if (++g->depth > NEST_MAX) {
		fail(g, -E2BIG);
		return;
	}
	if (first)
		emit(g, OP_SAVE, 0, 0);
	alternatives(g);
	if (first)
		emit(g, OP_SAVE, 1, 0);
	g->depth--;
	g->p += *g->p == ')';
}

static void atom(struct program *g)
{
	size_t n = buf_utf8_len((const unsigned char *)g->p);
	struct set s = { .bits = { 0 } };
	int c;

	switch (*g->p) {
	case '(':
		group(g);
		return;
	case '[':
		class(g);
		return;
	case '.':
		put_class(&s, '.');
		emit_set(g, &s);
		g->p++;
		return;
	case '^':
	case '$':
		emit(g, *g->p == '^' ? OP_START : OP_END, 0, 0);
		g->p++;
		return;
	case '\\':
		if (g->p[1] == 'b' || g->p[1] == 'B') {
			emit(g, g->p[1] == 'b' ? OP_WORD : OP_NO_WORD, 0, 0);
			g->p += 2;
			return;
		}
		if (g->p[1] && strchr("dDsSwW", g->p[1])) {
			put_class(&s, g->p[1]);
			emit_set(g, &s);
			g->p += 2;
			return;
		}
		c = escaped(g);
		if (c >= 0)
			emit(g, OP_BYTE, c, 0);
		return;
	default:
		for (n = n ? n : 1; n > 0; n--)
			emit(g, OP_BYTE, (unsigned char)*g->p++, 0);
	}
}

/* "{2}", "{2,}", "{2,3}" at g->p, or another quantifier. Return: whether there was one. @max: -1: any number */
static bool quantifier(struct program *g, int *min, int *max)
{
	const char *p = g->p + 1;
	char *end;
	long a, b;

	*min = *g->p == '+';
	*max = *g->p == '?' ? 1 : -1;
	if (*g->p && strchr("*+?", *g->p)) {
		g->p++;
		return true;
	}
	if (*g->p != '{' || *p < '0' || *p > '9')
		return false;
	a = b = strtol(p, &end, 10);
	if (*end == ',') {
		p = end + 1;
		b = *p == '}' ? -1 : strtol(p, &end, 10);
		end = b < 0 ? (char *)(uintptr_t)p : end;
		if (*p != '}' && (*p < '0' || *p > '9'))
			return false;
	}
	if (*end != '}')
		return false;
	if (a > (long)STEPS_MAX || b > (long)STEPS_MAX)
		fail(g, -E2BIG);
	*min = (int)a;
	*max = (int)b;
	g->p = end + 1;
	return true;
}

static void split(struct program *g, int on, int past, bool lazy)
{
	emit(g, OP_SPLIT, lazy ? past : on, lazy ? on : past);
}

/* The steps from @start on, so many times. */
static void repeat(struct program *g, size_t start, int min, int max, bool lazy)
{
	static struct step part[STEPS_MAX];
	int len = (int)(g->n - start), i, k;

	memcpy(part, &g->v[start], (size_t)len * sizeof(*part));
	g->n = start;
	for (i = 0; !g->error && i < (max < 0 ? min + 1 : max); i++) {
		if (i >= min)
			split(g, 1, max < 0 ? len + 2 : (max - i) * (len + 1), lazy);
		for (k = 0; k < len; k++)
			emit(g, part[k].op, part[k].a, part[k].b);
		if (i >= min && max < 0)
			emit(g, OP_JUMP, -(len + 1), 0);
	}
}

static void sequence(struct program *g)
{
	int min, max;
	size_t start;
	bool lazy;

	while (!g->error && *g->p && *g->p != '|' && *g->p != ')') {
		start = g->n;
		atom(g);
		if (g->error || !quantifier(g, &min, &max) || g->error)
			continue;
		lazy = *g->p == '?';
		g->p += lazy;
		repeat(g, start, min, max, lazy);
	}
}

static void alternatives(struct program *g)
{
	size_t start = g->n, jump;

	sequence(g);
	if (g->error || *g->p != '|')
		return;
	g->p++;
	insert(g, start, OP_SPLIT, 1, (int)(g->n - start) + 2);
	jump = g->n;
	emit(g, OP_JUMP, 0, 0);
	if (++g->depth > NEST_MAX * 4)
		fail(g, -E2BIG);
	if (!g->error)
		alternatives(g);
	g->depth--;
	if (!g->error)
		g->v[jump].a = (int)(g->n - jump);
}

/* --- running it --- */

/* What is to be tried, or (@pc < 0) a place that is restored: of group -1 - pc. */
struct job {
	int pc;
	size_t at;
};

struct matcher {
	const struct program *g;
	const char *text;
	size_t len;
	uint32_t *tried;
	struct job *stack;
	size_t n, room;
	size_t saved[2]; /* of group 1; SIZE_MAX: it is not there */
	int error;
};

static void push(struct matcher *m, int pc, size_t at)
{
	struct job *more;

	if (m->n == m->room) {
		size_t room = m->room ? 2 * m->room : 256;

		more = room <= STACK_MAX ? realloc(m->stack, room * sizeof(*more)) : NULL;
		if (!more) {
			m->error = room <= STACK_MAX ? -ENOMEM : -E2BIG;
			return;
		}
		m->stack = more;
		m->room = room;
	}
	m->stack[m->n++] = (struct job){ pc, at };
}

static bool seen(struct matcher *m, int pc, size_t at)
{
	size_t bit = (size_t)pc * (m->len + 1) + at;
	uint32_t mask = 1u << (bit % 32);
	bool was = m->tried[bit / 32] & mask;

	m->tried[bit / 32] |= mask;
	return was;
}

static bool at_word(const struct matcher *m, size_t at)
{
	bool before = at > 0 && is_word((unsigned char)m->text[at - 1]),
	     behind = at < m->len && is_word((unsigned char)m->text[at]);

	return before != behind;
}

/* Whether the step lets pass at @at; what it takes is added to that. */
static bool passes(const struct matcher *m, const struct step *s, size_t *at)
{
	unsigned char c = *at < m->len ? (unsigned char)m->text[*at] : 0;
	bool ok;

	switch (s->op) {
	case OP_START:
		return *at == 0;
	case OP_END:
		return *at == m->len;
	case OP_WORD:
		return at_word(m, *at);
	case OP_NO_WORD:
		return !at_word(m, *at);
	case OP_BYTE:
		ok = *at < m->len && c == s->a;
		break;
	default:
		ok = *at < m->len && m->g->sets[s->a].bits[c / 32] >> (c % 32) & 1;
		break;
	}
	*at += ok;
	return ok;
}

/* From one job to where it ends. Return: whether that is the end of a match, at *@ret. */
static bool follow(struct matcher *m, int pc, size_t at, size_t *ret)
{
	while (!m->error && !seen(m, pc, at)) {
		const struct step *s = &m->g->v[pc];

		switch (s->op) {
		case OP_FOUND:
			*ret = at;
			return true;
		case OP_SPLIT:
			push(m, pc + s->b, at);
			pc += s->a;
			break;
		case OP_JUMP:
			pc += s->a;
			break;
		case OP_SAVE:
			push(m, -1 - s->a, m->saved[s->a]);
			m->saved[s->a] = at;
			pc++;
			break;
		default:
			if (!passes(m, s, &at))
				return false;
			pc++;
		}
	}
	return false;
}

/* Return: whether there is a match that begins at @at, and ends at *@ret. */
static bool match_at(struct matcher *m, size_t at, size_t *ret)
{
	struct job j;

	m->n = 0;
	m->saved[0] = m->saved[1] = SIZE_MAX;
	push(m, 0, at);
	while (!m->error && m->n > 0) {
		j = m->stack[--m->n];
		if (j.pc < 0)
			m->saved[-1 - j.pc] = j.at;
		else if (follow(m, j.pc, j.at, ret))
			return true;
	}
	return false;
}

static int search(struct matcher *m, struct srt_span *spans, size_t max)
{
	size_t words = (m->g->n * (m->len + 1) + 31) / 32, at, end = 0, n = 0;

	for (at = 0; !m->error && at <= m->len; at++) {
		if (!match_at(m, at, &end))
			continue;
		if (m->saved[0] == SIZE_MAX || m->saved[1] == SIZE_MAX || m->saved[1] < m->saved[0])
			return -ENODATA;
		if (n == max)
			return -E2BIG;
		if (m->saved[1] > m->saved[0])
			spans[n++] = (struct srt_span){ m->saved[0], m->saved[1] };
		/* what was tried in vain before may be no end of another match, but what led to this one is not in vain */
		memset(m->tried, 0, words * sizeof(*m->tried));
		if (end > at)
			at = end - 1;
	}
	return m->error ? m->error : (int)n;
}

int srt_extract(const char *pattern, const char *text, size_t len, struct srt_span *spans,
		size_t max)
{
	struct program *g = calloc(1, sizeof(*g));
	struct matcher m = { .g = g, .text = text, .len = len };
	size_t bits;
	int r;

	if (!g)
		return -ENOMEM;
	g->p = pattern;
	alternatives(g);
	emit(g, OP_FOUND, 0, 0);
	bits = g->n * (len + 1);
	r = g->error ? g->error : *g->p ? -EINVAL : bits > BITS_MAX ? -E2BIG : 0;
	if (r == 0) {
		m.tried = calloc(bits / 32 + 1, sizeof(*m.tried));
		r = m.tried ? search(&m, spans, max) : -ENOMEM;
	}
	free(m.tried);
	free(m.stack);
	free(g);
	return r;
}
