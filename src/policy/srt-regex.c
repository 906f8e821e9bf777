/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a text is a JavaScript regular expression (ECMAScript without the u and v flags, with Annex B: what browsers and Node take), and
 * has a capturing group. Nothing is matched here. Groups nest GROUPS_MAX deep at most.
 */
#include <stdint.h>
#include <string.h>

#include "srt.h"

#define GROUPS_MAX 64
#define NAMES_MAX 64

struct regex {
	const char *p;
	unsigned int captures;
	bool named; /* has (?<name>…), so that \k must name one */
	struct {
		const char *at;
		size_t n;
	} name[NAMES_MAX];
	size_t n_names;
};

static const char invalid[] = "no valid regular expression";

/* "{2}", "{2,}", "{2,3}" at @p. Return: its length, or 0. @ret_order: false when the second number is smaller. */
static size_t braces(const char *p, bool *ret_order)
{
	const char *a = p + 1, *b;
	size_t na, nb = 0;

	*ret_order = true;
	if (*p != '{') /* the end of the text, too */
		return 0;
	na = strspn(a, "0123456789");
	if (!na)
		return 0;
	b = a + na;
	if (*b == ',') {
		b++;
		nb = strspn(b, "0123456789");
		if (nb) {
			const char *x = a, *y = b;
			size_t nx = na, ny = nb;

			for (; nx > 1 && *x == '0'; nx--)
				x++;
			for (; ny > 1 && *y == '0'; ny--)
				y++;
			*ret_order = nx < ny || (nx == ny && strncmp(x, y, nx) <= 0);
		}
		b += nb;
	}
	return *b == '}' ? (size_t)(b + 1 - p) : 0;
}

/* "name>" at @p. Return: length with the ">", or 0. */
static size_t group_name(const char *p)
{
	size_t n = 0;

	while ((p[n] >= 'a' && p[n] <= 'z') || (p[n] >= 'A' && p[n] <= 'Z') || p[n] == '_' ||
	       p[n] == '$' || (unsigned char)p[n] >= 0x80 || (n && p[n] >= '0' && p[n] <= '9'))
		n++;
	return n && p[n] == '>' ? n + 1 : 0;
}

/* A character of a class; classes such as \d give -1 in @ret. Return: its length, 0: none is left. */
static size_t class_char(const char *p, int32_t *ret)
{
	static const char from[] = "bfnrtv0", to[] = "\b\f\n\r\t\v";
	const char *k;
	size_t n;

	if (!*p)
		return 0;
	if (*p != '\\') {
		const unsigned char *u = (const unsigned char *)p;
		size_t i;

		n = buf_utf8_len(u);
		n = n ? n : 1;
		*ret = n == 1 ? *u : *u & (0x7f >> n);
		for (i = 1; i < n; i++)
			*ret = *ret << 6 | (u[i] & 0x3f);
		return n;
	}
	if (!p[1])
		return 0;
	if (strchr("dDsSwW", p[1])) {
		*ret = -1;
		return 2;
	}
	k = strchr(from, p[1]);
	if (k && *k != '0') {
		*ret = (unsigned char)to[k - from];
		return 2;
	}
	if ((p[1] == 'x' || p[1] == 'u')) {
		size_t want = p[1] == 'x' ? 2 : 4;
		int32_t v = 0;

		for (n = 0; n < want; n++) {
			char c = p[2 + n];
			int d = c >= '0' && c <= '9'               ? c - '0' :
				(c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 :
								     -1;

			if (d < 0)
				break;
			v = v * 16 + d;
		}
		if (n == want) {
			*ret = v;
			return 2 + want;
		}
	}
	if (p[1] >= '0' && p[1] <= '7') { /* octal, at most \377 */
		int32_t v = 0;

		for (n = 1; n < 4 && p[n] >= '0' && p[n] <= '7' && v * 8 + (p[n] - '0') <= 255; n++)
			v = v * 8 + (p[n] - '0');
		*ret = v;
		return n;
	}
	if (p[1] == 'c' && ((p[2] >= '0' && p[2] <= '9') || p[2] == '_' ||
			    ((p[2] | 32) >= 'a' && (p[2] | 32) <= 'z'))) {
		*ret = p[2] & 31;
		return 3;
	}
	if (p[1] == 'c') { /* the backslash itself */
		*ret = '\\';
		return 1;
	}
	if (p[1] == '\\') {
		*ret = '\\';
		return 2;
	}
	n = class_char(p + 1, ret); /* any other stands for itself */
	return n + 1;
}

/* "[…]" at r->p. */
static bool class(struct regex *r)
{
	int32_t lo = 0, hi = 0;
	size_t n;

	for (r->p += 1 + (r->p[1] == '^'); *r->p != ']';) {
		n = class_char(r->p, &lo);
		if (!n)
			return false;
		r->p += n;
		if (*r->p != '-' || r->p[1] == ']')
			continue;
		n = class_char(r->p + 1, &hi);
		if (!n)
			return false;
		if (lo >= 0 && hi >= 0 && hi < lo)
			return false;
		r->p += n + 1;
	}
	r->p++;
	return true;
}

/* "(" at r->p, with what follows it. @ret_fixed: a look-behind, behind which no quantifier may stand. */
static bool group(struct regex *r, bool *ret_fixed)
{
	size_t n, i;

	*ret_fixed = false;
	if (r->p[1] != '?') {
		r->captures++;
		r->p++;
		return true;
	}
	if (r->p[2] && strchr(":=!", r->p[2])) {
		r->p += 3;
		return true;
	}
	if (r->p[2] != '<')
		return false;
	if (r->p[3] == '=' || r->p[3] == '!') {
		*ret_fixed = true;
		r->p += 4;
		return true;
	}
	n = group_name(r->p + 3);
	if (!n || r->n_names == NAMES_MAX)
		return false;
	for (i = 0; i < r->n_names; i++) {
		if (r->name[i].n == n && memcmp(r->name[i].at, r->p + 3, n) == 0)
			return false;
	}
	r->name[r->n_names].at = r->p + 3;
	r->name[r->n_names++].n = n;
	r->captures++;
	r->p += 3 + n;
	return true;
}

/* "\…" at r->p. @ret_atom: false for \b and \B. */
static bool escape(struct regex *r, bool *ret_atom)
{
	size_t n = buf_utf8_len((const unsigned char *)r->p + 1);

	*ret_atom = r->p[1] != 'b' && r->p[1] != 'B';
	if (!r->p[1])
		return false;
	if (r->p[1] == 'k' && r->named) {
		n = r->p[2] == '<' ? group_name(r->p + 3) : 0;
		r->p += 3 + n;
		return n > 0;
	}
	r->p += 1 + (n ? n : 1);
	return true;
}

static bool known_names(const struct regex *r, const char *text)
{
	const char *p;
	size_t i, n;

	for (p = text; r->named && *p; p++) {
		if (*p != '\\')
			continue;
		if (*++p != 'k') {
			p -= !*p;
			continue;
		}
		n = group_name(p + 2);
		for (i = 0; i < r->n_names; i++) {
			if (r->name[i].n == n && memcmp(r->name[i].at, p + 2, n) == 0)
				break;
		}
		if (i == r->n_names)
			return false;
	}
	return true;
}

/* One term but its quantifier. @depth, @fixed: of open groups. Return: 1: an atom, 0: none, -1: invalid. */
static int term(struct regex *r, unsigned int *depth, bool fixed[GROUPS_MAX])
{
	bool atom = true, order;
	size_t n;

	switch (*r->p) {
	case '(':
		if (*depth == GROUPS_MAX || !group(r, &fixed[*depth]))
			return -1;
		(*depth)++;
		return 0;
	case ')':
		if (*depth == 0)
			return -1;
		r->p++;
		return !fixed[--*depth];
	case '[':
		return class(r) ? 1 : -1;
	case '\\':
		return escape(r, &atom) ? atom : -1;
	case '*':
	case '+':
	case '?':
		return -1; /* nothing to repeat */
	case '{':
		if (braces(r->p, &order))
			return -1;
		break;
	case '|':
	case '^':
	case '$':
		r->p++;
		return 0;
	default:
		break;
	}
	n = buf_utf8_len((const unsigned char *)r->p);
	r->p += n ? n : 1;
	return 1;
}

const char *srt_check_regex(const char *text)
{
	struct regex r = { .p = text, .named = strstr(text, "(?<") != NULL };
	bool fixed[GROUPS_MAX] = { false }, order = true;
	unsigned int depth = 0;
	const char *p;
	size_t n;
	int t;

	/* "(?<=" names nothing */
	for (r.named = false, p = text; (p = strstr(p, "(?<")); p++)
		r.named = r.named || (p[3] && !strchr("=!", p[3]));
	while (*r.p) {
		t = term(&r, &depth, fixed);
		if (t < 0)
			return invalid;
		if (t == 0)
			continue;
		n = *r.p && strchr("*+?", *r.p) ? 1 : braces(r.p, &order);
		if (!order)
			return invalid;
		r.p += n;
		if (n && *r.p == '?')
			r.p++;
	}
	if (depth || !known_names(&r, text))
		return invalid;
	return r.captures ? NULL : "no capturing group: group 1 is the credential to mask";
}
