/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern of srt in one line, a path in the next: what srt's own expression for a denial matches ("^…(/.*)?$"), one of the patterns that it
 * was translated into covers. The other way round, too: nothing else is denied.
 */
#include "fuzz.h"
#include "policy/policy.h"

/* srt's tokens, matched by trying: patterns are short here. @p, @s: what is left. */
static bool match(const char *p, const char *s);

static size_t character(const char *s)
{
	size_t n = buf_utf8_len((const unsigned char *)s);

	return n ? n : 1;
}

static int compare(const char *a, size_t na, const char *b, size_t nb)
{
	size_t n = na < nb ? na : nb;
	int r = memcmp(a, b, n);

	return r ? r : (int)na - (int)nb;
}

/* The set between @p and @close. Return: -1: it is none; else whether the character at @s is in it. */
static int in_set(const char *p, const char *close, const char *s)
{
	size_t ns = *s ? character(s) : 0;
	int in = 0;

	if (p == close)
		return -1;
	while (p < close) {
		const char *from = p, *to = p;

		p += character(p);
		if (p < close && *p == '-' && p + 1 < close) {
			to = p + 1;
			p = to + character(to);
		}
		if (compare(to, character(to), from, character(from)) < 0)
			return -1;
		in |= ns && compare(s, ns, from, character(from)) >= 0 &&
		      compare(s, ns, to, character(to)) <= 0;
	}
	return in;
}

/* ".*", or "[^/]*" when not @any, and the rest. */
static bool match_star(const char *p, const char *s, bool any)
{
	for (;; s += character(s)) {
		if (match(p, s))
			return true;
		if (!*s || (!any && *s == '/'))
			return false;
	}
}

static bool match(const char *p, const char *s)
{
	const char *close, *q;
	size_t n;
	int in;

	if (!*p)
		return !*s || *s == '/';
	if (*p == '*') {
		for (n = 0; p[n] == '*'; n++)
			;
		if (n == 1)
			return match_star(p + 1, s, false);
		if (p[n] != '/')
			return match_star(p + n, s, true);
		/* the "**" with a slash behind it: any number of directories */
		if (match(p + n + 1, s))
			return true;
		for (q = s; *q; q++) {
			if (*q == '/' && match(p + n + 1, q + 1))
				return true;
		}
		return false;
	}
	if (!*s)
		return false;
	if (*p == '?')
		return *s != '/' && match(p + 1, s + character(s));
	close = *p == '[' ? strchr(p + 1, ']') : NULL;
	in = close ? in_set(p + 1, close, s) : -1;
	if (in >= 0)
		return in && match(close + 1, s + character(s));
	n = character(p);
	return strncmp(p, s, n) == 0 && match(p + n, s + n);
}

/* Whether the native pattern, or a directory above @path that it matches. */
static bool covers(const char *pattern, const char *path, struct arena *a)
{
	struct policy_glob g;
	struct err e = ERR_INIT;
	const char *p, *end;
	char name[256];
	uint64_t at;

	if (policy_glob_parse(&g, pattern, "/", NULL, a, &e) < 0)
		return false;
	if (!path_covers(g.base, path))
		return false;
	if (g.n == 0)
		return true;
	at = policy_glob_start(&g);
	for (p = path + (g.base[1] ? strlen(g.base) : 0); at && *p; p = end) {
		p++;
		end = p + strcspn(p, "/");
		snprintf(name, sizeof(name), "%.*s", (int)(end - p), p);
		at = policy_glob_step(&g, at, name, false);
		if (at && policy_glob_accepts(&g, at))
			return true;
	}
	return false;
}

/* What a configuration can hold, and what the two grammars both have a meaning for. */
static bool fits(const char *pattern)
{
	const char *p;
	size_t n = strlen(pattern);

	if (pattern[0] != '/' || n < 2 || pattern[n - 1] == '/' || strstr(pattern, "//") ||
	    strstr(pattern, "/./") || strstr(pattern, "***") || strstr(pattern, ".."))
		return false;
	if (strcmp(pattern + n - 2, "/.") == 0)
		return false;
	for (p = pattern; *p; p++) {
		/* ranges of other than ASCII are by code point here, by halves of pairs there */
		if ((unsigned char)*p >= 0x80 || (unsigned char)*p < 0x20)
			return false;
	}
	return srt_glob_special(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	const char *globs[SRT_GLOBS] = { NULL };
	char pattern[48], word[48], path[LIMIT_PATH], stem[48];
	bool want, got = false;
	size_t n;
	int i, k;

	if (!fuzz_line(&data, &size, pattern, sizeof(pattern)) ||
	    !fuzz_line(&data, &size, word, sizeof(word)) || !fits(pattern) || word[0] != '/' ||
	    path_normalize(word, "/", NULL, path, NULL) < 0)
		return 0;
	/* a directory with everything below it is that directory, on both sides */
	memcpy(stem, pattern, sizeof(stem));
	n = strlen(stem);
	if (n > 3 && strcmp(stem + n - 3, "/**") == 0)
		stem[n - 3] = '\0';
	if (!srt_glob_special(stem))
		return 0;
	k = srt_glob(stem, &a, globs);
	if (k > 0) {
		want = match(stem, path);
		for (i = 0; i < k; i++)
			got = got || covers(globs[i], path, &a);
		/* "DIR/" and "**" is DIR, too, here; a denial may say more, never less */
		n = strlen(stem);
		if (n > 3 && strcmp(stem + n - 3, "/**") == 0)
			want = want || got;
		if (want != got) {
			fprintf(stderr, "%s on %s: srt %d, '%s' '%s' %d\n", stem, path, want,
				globs[0], k > 1 ? globs[1] : "", got);
			abort();
		}
	}
	arena_done(&a);
	return 0;
}
