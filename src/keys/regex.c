/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The text of an expression is read twice by the same recursive descent: each piece appends its steps to a program, and a repetition copies the
 * steps of what it repeats. A program is run with the set of all steps where it could be (Thompson): one pass over the text, each step at most once for a byte.
 *
 *	STEP_SET   one byte of a set, then the next step
 *	STEP_FORK  the next step, and the one at +to
 *	STEP_JUMP  the one at +to
 *	STEP_BEGIN STEP_END  only at the text's ends
 *	STEP_FOUND
 */
#include "regex.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 32
#define REPEAT_MAX 1000

enum { STEP_SET, STEP_FORK, STEP_JUMP, STEP_BEGIN, STEP_END, STEP_FOUND };

struct set {
	uint32_t bits[8];
};

struct step {
	unsigned char kind;
	int16_t to;
	uint16_t set;
};

struct regex {
	size_t n, n_sets;
	struct step *steps;
	struct set *sets;
};

struct reader {
	const char *p;
	struct regex *r;
	struct step steps[REGEX_STEPS];
	struct set sets[REGEX_STEPS + 1];
	unsigned int depth;
	struct err *e;
	int error;
};

static bool fail(struct reader *r, int error, const char *what)
{
	if (!r->error)
		r->error = err_set(r->e, ERR_USAGE, error, "regular expression: %s", what);
	return false;
}

static bool emit(struct reader *r, unsigned char kind, long to, size_t set)
{
	if (r->r->n == REGEX_STEPS)
		return fail(r, -E2BIG, "it is too long");
	r->steps[r->r->n++] =
		(struct step){ .kind = kind, .to = (int16_t)to, .set = (uint16_t)set };
	return true;
}

/* Make place for one step at @at: jumps over it become one longer. Nothing before @at jumps behind it. */
static bool insert(struct reader *r, size_t at, unsigned char kind, long to)
{
	if (!emit(r, kind, 0, 0))
		return false;
	memmove(&r->steps[at + 1], &r->steps[at], (r->r->n - 1 - at) * sizeof(*r->steps));
	r->steps[at] = (struct step){ .kind = kind, .to = (int16_t)to };
	return true;
}

static void set_add(struct set *s, unsigned int from, unsigned int to)
{
	for (; from <= to; from++)
		s->bits[from / 32] |= 1u << from % 32;
}

static bool set_has(const struct set *s, unsigned char c)
{
	return s->bits[c / 32] >> c % 32 & 1;
}

static void set_not(struct set *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->bits); i++)
		s->bits[i] = ~s->bits[i];
}

/* What stands behind a backslash, @c. Return: whether it is a class; else *ret_byte is the byte that is meant, or -1. */
static bool escape(char c, struct set *s, int *ret_byte)
{
	struct set cls = { .bits = { 0 } };
	size_t i;

	*ret_byte = -1;
	switch (c | 0x20) {
	case 'd':
		set_add(&cls, '0', '9');
		break;
	case 'w':
		set_add(&cls, '0', '9');
		set_add(&cls, 'a', 'z');
		set_add(&cls, 'A', 'Z');
		set_add(&cls, '_', '_');
		break;
	case 's':
		set_add(&cls, '\t', '\r');
		set_add(&cls, ' ', ' ');
		break;
	default:
		if (c == 'n' || c == 'r' || c == 't')
			*ret_byte = c == 'n' ? '\n' : c == 'r' ? '\r' : '\t';
		else if (c > ' ' && c < 0x7f && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
			 !(c >= '0' && c <= '9'))
			*ret_byte = (unsigned char)c;
		return false;
	}
	if (!(c & 0x20))
		set_not(&cls);
	for (i = 0; i < ARRAY_SIZE(s->bits); i++)
		s->bits[i] |= cls.bits[i];
	return true;
}

/* One byte or class inside brackets. Return: the byte; -2 for a class, which is in @s then; -1 when it is none. */
static int bracket_item(struct reader *r, struct set *s)
{
	int byte;

	if (!*r->p) {
		fail(r, -EINVAL, "'[' without ']'");
		return -1;
	}
	if (*r->p == '[' && (r->p[1] == ':' || r->p[1] == '.' || r->p[1] == '=')) {
		fail(r, -EINVAL, "names of classes ([:alpha:]) are not known here");
		return -1;
	}
	if (*r->p != '\\')
		return (unsigned char)*r->p++;
	r->p += 2;
	if (!r->p[-1]) {
		r->p--;
		fail(r, -EINVAL, "a backslash at the end");
		return -1;
	}
	if (escape(r->p[-1], s, &byte))
		return -2;
	if (byte < 0)
		fail(r, -EINVAL, "a backslash before a letter or digit that means nothing here");
	return byte;
}

static bool read_brackets(struct reader *r, struct set *s)
{
	bool inverted = *++r->p == '^';
	int from, to;

	r->p += inverted;
	if (*r->p == ']')
		return fail(r, -EINVAL, "empty brackets");
	while (*r->p != ']') {
		from = to = bracket_item(r, s);
		if (r->error)
			return false;
		if (from >= 0 && r->p[0] == '-' && r->p[1] && r->p[1] != ']') {
			r->p++;
			to = bracket_item(r, s);
			if (r->error)
				return false;
			if (to < from)
				return fail(r, -EINVAL, "a range from more to less");
		}
		if (from >= 0)
			set_add(s, (unsigned int)from, (unsigned int)to);
	}
	r->p++;
	if (inverted)
		set_not(s);
	return true;
}

static bool read_choice(struct reader *r);

/* One byte, set, group or anchor. */
static bool read_atom(struct reader *r)
{
	struct set s = { .bits = { 0 } };
	int byte = -1;

	switch (*r->p) {
	case '^':
		r->p++;
		return emit(r, STEP_BEGIN, 0, 0);
	case '$':
		r->p++;
		return emit(r, STEP_END, 0, 0);
	case '(':
		if (r->p[1] == '?' && r->p[2] != ':')
			return fail(r, -EINVAL, "(?…) other than (?:…) is not known here");
		r->p += r->p[1] == '?' ? 3 : 1;
		if (++r->depth > DEPTH)
			return fail(r, -E2BIG, "groups are too deep");
		if (!read_choice(r))
			return false;
		r->depth--;
		if (*r->p != ')')
			return fail(r, -EINVAL, "'(' without ')'");
		r->p++;
		return true;
	case '*':
	case '+':
	case '?':
	case '{':
		return fail(r, -EINVAL, "nothing to repeat");
	case '[':
		if (!read_brackets(r, &s))
			return false;
		break;
	case '.':
		r->p++;
		set_add(&s, 0, 255);
		break;
	case '\\':
		byte = bracket_item(r, &s);
		break;
	default:
		byte = (unsigned char)*r->p++;
		break;
	}
	if (r->error)
		return false;
	if (byte >= 0)
		set_add(&s, (unsigned int)byte, (unsigned int)byte);
	r->sets[r->r->n_sets] = s; /* as many as steps; emit() fails first */
	return emit(r, STEP_SET, 0, r->r->n_sets) && ++r->r->n_sets;
}

static int number(const char **p)
{
	int n = -1;

	while (**p >= '0' && **p <= '9' && n <= REPEAT_MAX)
		n = (n < 0 ? 0 : n) * 10 + (*(*p)++ - '0');
	return n;
}

/* "{m}", "{m,}", "{m,n}". @ret_most: -1 without end */
static bool read_braces(struct reader *r, int *ret_least, int *ret_most)
{
	r->p++;
	*ret_least = *ret_most = number(&r->p);
	if (*r->p == ',') {
		r->p++;
		*ret_most = number(&r->p);
	}
	if (*ret_least < 0 || *r->p != '}')
		return fail(r, -EINVAL, "braces without numbers: write \\{ for the byte itself");
	if (*ret_least > REPEAT_MAX || *ret_most > REPEAT_MAX)
		return fail(r, -E2BIG, "more than 1000 times");
	if (*ret_most >= 0 && *ret_most < *ret_least)
		return fail(r, -EINVAL, "braces with the larger number first");
	r->p++;
	return true;
}

/* The steps from @at to @end once more. */
static bool copy(struct reader *r, size_t at, size_t end)
{
	for (; at < end; at++) {
		if (!emit(r, r->steps[at].kind, r->steps[at].to, r->steps[at].set))
			return false;
	}
	return true;
}

/* What begins at @at is to be repeated. */
static bool repeat(struct reader *r, size_t at, int least, int most)
{
	size_t end = r->r->n, from;
	int i;

	for (i = 1; i < least; i++) {
		if (!copy(r, at, end))
			return false;
	}
	if (most < 0) {
		from = r->r->n;
		if (least > 0) { /* the last one again and again */
			from -= end - at;
			return emit(r, STEP_FORK, (long)from - (long)r->r->n, 0);
		}
		return insert(r, at, STEP_FORK, (long)(end - at) + 2) &&
		       emit(r, STEP_JUMP, (long)at - (long)r->r->n, 0);
	}
	if (least == 0 && most == 0) {
		r->r->n = at;
		return true;
	}
	if (least == 0) { /* the first is there: it may be passed over */
		if (!insert(r, at, STEP_FORK, (long)(end - at) + 1))
			return false;
		at++;
		end++;
		least = 1;
	}
	for (i = least; i < most; i++) {
		if (!emit(r, STEP_FORK, (long)(end - at) + 1, 0) || !copy(r, at, end))
			return false;
	}
	return true;
}

static bool read_piece(struct reader *r)
{
	size_t at = r->r->n;
	int least, most;

	if (!read_atom(r))
		return false;
	switch (*r->p) {
	case '*':
		least = 0;
		most = -1;
		r->p++;
		break;
	case '+':
		least = 1;
		most = -1;
		r->p++;
		break;
	case '?':
		least = 0;
		most = 1;
		r->p++;
		break;
	case '{':
		if (!read_braces(r, &least, &most))
			return false;
		break;
	default:
		return true;
	}
	if (*r->p == '?')
		r->p++; /* whether there is a match does not hang on greed */
	if (*r->p == '*' || *r->p == '+' || *r->p == '?' || *r->p == '{')
		return fail(r, -EINVAL, "a repetition of a repetition");
	return repeat(r, at, least, most);
}

static bool read_choice(struct reader *r)
{
	size_t at = r->r->n, jump = SIZE_MAX;

	for (;;) {
		while (*r->p && *r->p != '|' && *r->p != ')') {
			if (!read_piece(r))
				return false;
		}
		if (*r->p == '|' && !insert(r, at, STEP_FORK, (long)(r->r->n - at) + 2))
			return false;
		/* the branch before jumps to the end of this one, where another jump stands, or the end of all */
		if (jump != SIZE_MAX)
			r->steps[jump].to = (int16_t)((long)r->r->n - (long)jump);
		if (*r->p != '|')
			return true;
		r->p++;
		jump = r->r->n;
		if (!emit(r, STEP_JUMP, 0, 0))
			return false;
		at = r->r->n;
	}
}

int regex_parse(const struct regex **ret, const char *text, struct arena *a, struct err *e)
{
	struct regex *re = arena_alloc(a, sizeof(*re));
	struct reader *r = calloc(1, sizeof(*r));
	int error;

	if (!re || !r) {
		free(r);
		return err_set(e, ERR_SYSTEM, -ENOMEM, "regular expression: out of memory");
	}
	r->p = text;
	r->r = re;
	r->e = e;
	if (read_choice(r) && *r->p)
		fail(r, -EINVAL, "')' without '('");
	if (!r->error && emit(r, STEP_FOUND, 0, 0)) {
		re->steps = arena_alloc(a, re->n * sizeof(*re->steps));
		re->sets = arena_alloc(a, (re->n_sets + 1) * sizeof(*re->sets));
		if (!re->steps || !re->sets) {
			fail(r, -ENOMEM, "out of memory");
		} else {
			memcpy(re->steps, r->steps, re->n * sizeof(*re->steps));
			memcpy(re->sets, r->sets, re->n_sets * sizeof(*re->sets));
			*ret = re;
		}
	}
	error = r->error;
	free(r);
	return error;
}

/* Steps that a byte could be taken by; each is in it once. */
struct places {
	size_t n;
	uint16_t at[REGEX_STEPS];
	uint32_t seen[REGEX_STEPS / 32 + 1];
};

/* Add @at and all that is reached from it without a byte. Return: whether the end is. */
static bool reach(const struct regex *r, struct places *s, size_t at, bool begin, bool end)
{
	uint16_t todo[REGEX_STEPS + 2]; /* each fork adds one more than it takes, once */
	size_t n = 0;
	const struct step *t;

	todo[n++] = (uint16_t)at;
	while (n > 0) {
		at = todo[--n];
		if (s->seen[at / 32] >> at % 32 & 1)
			continue;
		s->seen[at / 32] |= 1u << at % 32;
		t = &r->steps[at];
		switch (t->kind) {
		case STEP_FOUND:
			return true;
		case STEP_SET:
			s->at[s->n++] = (uint16_t)at;
			continue;
		case STEP_FORK:
			todo[n++] = (uint16_t)(at + (size_t)(long)t->to);
			break;
		case STEP_JUMP:
			todo[n++] = (uint16_t)(at + (size_t)(long)t->to);
			continue;
		case STEP_BEGIN:
			if (!begin)
				continue;
			break;
		case STEP_END:
			if (!end)
				continue;
			break;
		default:
			continue;
		}
		todo[n++] = (uint16_t)(at + 1);
	}
	return false;
}

bool regex_match(const struct regex *r, const char *p, size_t n)
{
	struct places a = { .n = 0 }, b = { .n = 0 }, *now = &a, *next = &b, *other;
	size_t i, k;

	for (i = 0;; i++) {
		/* a match may begin at every byte */
		if (reach(r, now, 0, i == 0, i == n))
			return true;
		if (i == n)
			return false;
		next->n = 0;
		memset(next->seen, 0, sizeof(next->seen));
		for (k = 0; k < now->n; k++) {
			if (set_has(&r->sets[r->steps[now->at[k]].set], (unsigned char)p[i]) &&
			    reach(r, next, now->at[k] + 1u, false, i + 1 == n))
				return true;
		}
		other = now;
		now = next;
		next = other;
	}
}

bool regex_begins(const struct regex *r, char c)
{
	struct places first = { .n = 0 }, later = { .n = 0 };
	size_t k;

	/* where the first byte is no part of it, or may be one; behind that byte it may go on as it likes */
	if (reach(r, &later, 0, false, true) || later.n > 0 || reach(r, &first, 0, true, false))
		return true;
	for (k = 0; k < first.n; k++) {
		if (set_has(&r->sets[r->steps[first.at[k]].set], (unsigned char)c))
			return true;
	}
	return false;
}
