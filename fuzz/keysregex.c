/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a regular expression (the first line) and a text: no expression makes the matcher run away, and where the syntax is that of POSIX, too, libc agrees.
 */
#include <errno.h>
#include <regex.h>

#include "fuzz.h"
#include "keys/regex.h"

/* What means the same to both, and does not make libc's slow. */
static bool is_common(const char *s)
{
	unsigned int repeats = 0;

	if (strlen(s) > 24)
		return false;
	for (; *s; s++) {
		if (!strchr("abcd-/.^$()|*+?[]{", *s))
			return false;
		repeats += strchr("*+?{", *s) != NULL;
		/* "{m}" and "{m,n}" of one digit */
		if (*s == '{' && s[1] >= '0' && s[1] <= '3' && s[2] == '}')
			s += 2;
		else if (*s == '{' && s[1] >= '0' && s[1] <= '3' && s[2] == ',' && s[3] >= s[1] &&
			 s[3] <= '4' && s[4] == '}')
			s += 4;
		else if (*s == '{')
			return false;
		/* in brackets POSIX takes other bytes for ordinary */
		if (*s == '[') {
			s += s[1] == '^' ? 2 : 1;
			for (; *s && strchr("abcd", *s); s++)
				;
			if (*s != ']' || s[-1] == '[' || s[-1] == '^')
				return false;
		} else if (*s == ']') {
			return false;
		}
		/* lazy forms are other repetitions there */
		if (strchr("*+?}", *s) && s[1] == '?')
			return false;
	}
	return repeats <= 4;
}

/* What libc takes for an ordinary byte, or leaves open: "|" and ")" beside nothing. */
static bool has_nothing(const char *s)
{
	char before = '(';

	for (; *s; before = *s++) {
		if (strchr("|)*+?{", *s) && strchr("(|^", before))
			return true;
		if (before == '$' && strchr("*+?{", *s))
			return true;
	}
	return before == '|' || before == '(';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(4 << 20);
	const struct regex *re = NULL;
	struct err e = ERR_INIT;
	char expression[512];
	char *text;
	regex_t posix;
	int r;

	if (size > 4096 || !fuzz_line(&data, &size, expression, sizeof(expression)))
		return 0;
	r = regex_parse(&re, expression, &a, &e);
	FUZZ_REQUIRE((r == 0) == (re != NULL));
	FUZZ_REQUIRE(r == 0 || r == -EINVAL || r == -E2BIG || r == -ENOMEM);
	FUZZ_REQUIRE((r == 0) == (e.code == ERR_NONE));
	text = malloc(size + 1);
	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (r == 0) {
		bool found = regex_match(re, text, size);

		FUZZ_REQUIRE(found == regex_match(re, text, size));
		FUZZ_REQUIRE(!found || size == 0 || regex_begins(re, text[0]));
		/* libc finds a "$" before a line break */
		if (is_common(expression) && !has_nothing(expression) && strlen(text) == size &&
		    !strchr(text, '\n') && size < 64 &&
		    regcomp(&posix, expression, REG_EXTENDED | REG_NOSUB) == 0) {
			if (found != (regexec(&posix, text, 0, NULL, 0) == 0)) {
				fprintf(stderr, "'%s' in '%s': %d here, not in libc\n", expression,
					text, found);
				abort();
			}
			regfree(&posix);
		}
	}
	free(text);
	arena_done(&a);
	return 0;
}
