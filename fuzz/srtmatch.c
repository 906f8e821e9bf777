/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an expression of srt's `extract` (the first line) and a text: what is found lies in the text, in order; no expression runs away; and where the syntax is that
 * of POSIX, too, libc agrees on whether there is a match at all.
 */
#include <errno.h>
#include <regex.h>

#include "fuzz.h"
#include "policy/policy.h"

#define SPANS 64

/* What means the same to both: letters, groups, repetitions of something, alternatives of something. */
static bool is_common(const char *s)
{
	unsigned int repeats = 0;
	char before = '(';

	if (strlen(s) > 24)
		return false;
	for (; *s; before = *s++) {
		if (!strchr("abcd.()|*+?", *s))
			return false;
		repeats += strchr("*+?", *s) != NULL;
		if (strchr("|)*+?", *s) && strchr("(|", before))
			return false;
		if (strchr("*+?", *s) && strchr("*+?", before))
			return false;
	}
	return before != '|' && before != '(' && repeats <= 4;
}

static bool is_plain(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && s[i] >= 'a' && s[i] <= 'd'; i++)
		;
	return i == n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct srt_span spans[SPANS];
	char pattern[128], text[257];
	size_t i, end = 0;
	regex_t re;
	bool libc;
	int n;

	if (!fuzz_line(&data, &size, pattern, sizeof(pattern)) || srt_check_regex(pattern))
		return 0;
	size = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	n = srt_extract(pattern, text, size, spans, SPANS);
	for (i = 0; n > 0 && i < (size_t)n; i++) {
		if (spans[i].start >= spans[i].end || spans[i].end > size || spans[i].start < end)
			abort();
		end = spans[i].end;
	}
	if (!is_common(pattern) || !is_plain(text, size) || n == -E2BIG ||
	    regcomp(&re, pattern, REG_EXTENDED) != 0)
		return 0;
	libc = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	/* a match can have an empty group, which is left out */
	if ((n > 0 || n == -ENODATA) && !libc) {
		fprintf(stderr, "%s on %s: libc finds nothing\n", pattern, text);
		abort();
	}
	if (n == 0 && libc && !strpbrk(pattern, "*?")) {
		fprintf(stderr, "%s on %s: libc finds something\n", pattern, text);
		abort();
	}
	return 0;
}
