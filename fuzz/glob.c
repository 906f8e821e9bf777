/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern in the first line, a path in each other: the matcher agrees with one that tries everything, by recursion, from the words of
 * src/policy/glob.h. What that would take too long for is matched all the same, so that a blow-up is found as a time-out.
 */
#include "fuzz.h"
#include "policy/policy.h"

#define PARTS 40

struct parts {
	char text[512];
	const char *part[PARTS];
	size_t n;
};

/* Return: false when it can't be judged here. */
static bool split(struct parts *ps, const char *path)
{
	char *s = ps->text, *next;

	snprintf(ps->text, sizeof(ps->text), "%s", path);
	ps->n = 0;
	for (; s; s = next) {
		next = strchr(s, '/');
		if (next)
			*next++ = '\0';
		if (strcmp(s, "..") == 0 || ps->n == PARTS)
			return false;
		if (*s && strcmp(s, ".") != 0)
			ps->part[ps->n++] = s;
	}
	return true;
}

/* The first character: a code point, or something beyond all of them. */
static uint32_t decode(const char **s)
{
	const unsigned char *u = (const unsigned char *)*s;
	int n = u[0] < 0x80 ? 1 : u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : u[0] >= 0xc0 ? 2 : 0, i;
	uint32_t c = n == 1 ? u[0] : n ? u[0] & (0x3fu >> (n - 1)) : 0;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	for (i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			n = 0;
		else
			c = c << 6 | (u[i] & 0x3fu);
	}
	if (n == 0 || u[0] >= 0xf8 || c < least[n] || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff)) {
		(*s)++;
		return 0x110000u + u[0];
	}
	*s += n;
	return c;
}

/* One character of a set, or behind a backslash. */
static uint32_t one(const char **p)
{
	if (**p == '\\')
		(*p)++;
	return decode(p);
}

static bool in_set(const char **p, uint32_t c)
{
	bool negated = **p == '!' || **p == '^', in = false;
	const char *first;

	*p += negated;
	first = *p;
	while (**p != ']' || *p == first) {
		uint32_t lo = one(p), hi = lo;

		if (**p == '-' && (*p)[1] != ']') {
			(*p)++;
			hi = one(p);
		}
		in |= lo <= c && c <= hi;
	}
	(*p)++;
	return in != negated;
}

static bool name(const char *p, const char *s)
{
	const char *q = s;
	uint32_t c;

	if (!*p)
		return !*s;
	if (*p == '*')
		return name(p + 1, s) || (*s && (decode(&q), name(p, q)));
	if (!*s)
		return false;
	c = decode(&q);
	if (*p == '?')
		return name(p + 1, q);
	if (*p == '[') {
		p++;
		return in_set(&p, c) && name(p, q);
	}
	return one(&p) == c && name(p, q);
}

static bool path(const char *const *p, size_t np, const char *const *s, size_t ns)
{
	if (np == 0)
		return ns == 0;
	if (strcmp(p[0], "**") == 0)
		return path(p + 1, np - 1, s, ns) || (ns > 0 && path(p, np, s + 1, ns - 1));
	return ns > 0 && name(p[0], s[0]) && path(p + 1, np - 1, s + 1, ns - 1);
}

static bool cheap(const struct parts *ps)
{
	size_t i, all = 0, k;

	for (i = 0; i < ps->n; i++) {
		size_t stars = 0;

		for (k = 0; ps->part[i][k]; k++)
			stars += ps->part[i][k] == '*';
		all += strcmp(ps->part[i], "**") == 0;
		if (stars > 4)
			return false;
	}
	return all <= 4;
}

/* The matcher, as a search walks: base first, then step by step. */
static bool walk(const struct policy_glob *g, const struct parts *s)
{
	struct parts base = { .n = 0 };
	uint64_t at = policy_glob_start(g), linked;
	size_t i;

	if (!split(&base, g->base) || base.n > s->n)
		return false;
	for (i = 0; i < base.n; i++) {
		if (strcmp(base.part[i], s->part[i]) != 0)
			return false;
	}
	for (; i < s->n; i++) {
		linked = policy_glob_step(g, at, s->part[i], true);
		at = policy_glob_step(g, at, s->part[i], false);
		/* a link never leads to more, and only "**" makes it lead to less */
		FUZZ_REQUIRE((linked & ~at) == 0);
	}
	return policy_glob_accepts(g, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	char pattern[256] = "/", line[256] = "/";
	struct parts want, s;
	struct policy_glob g;
	struct err e = ERR_INIT;
	bool known;

	if (size > 4096 || !fuzz_line(&data, &size, pattern + 1, sizeof(pattern) - 1))
		return 0;
	if (policy_glob_parse(&g, pattern, "/w", "/home/u", &a, &e) < 0) {
		FUZZ_REQUIRE(e.msg[0] && e.code == ERR_USAGE && policy_glob_special(pattern));
		arena_done(&a);
		return 0;
	}
	FUZZ_REQUIRE(g.base[0] == '/' && g.n <= LIMIT_GLOB_PARTS);
	FUZZ_REQUIRE(g.n == 0 || strcmp(g.part[g.n - 1], "**") != 0);
	known = split(&want, pattern);
	/* "DIR" and all below is DIR; of the root directory all names in it */
	while (known && want.n && strcmp(want.part[want.n - 1], "**") == 0)
		want.n--;
	if (known && want.n == 0 && policy_glob_special(pattern))
		want.part[want.n++] = "*";
	while (fuzz_line(&data, &size, line + 1, sizeof(line) - 1)) {
		bool got;

		if (!split(&s, line))
			continue;
		got = walk(&g, &s);
		if (known && cheap(&want) && s.n < 12 &&
		    got != path(want.part, want.n, s.part, s.n)) {
			fprintf(stderr, "'%s' %s '%s'\n", pattern,
				got ? "must not match" : "must match", line);
			abort();
		}
	}
	arena_done(&a);
	return 0;
}
