/* SPDX-License-Identifier: Apache-2.0 */
/* Public suffixes: names below which anybody can have one. The table is made at build time (tools/gen-suffixes). */
#include <string.h>

#include "net.h"
#include "public-suffixes.h"

/* Marks of an entry, before its name. */
#define SUFFIX_RULE 1
#define SUFFIX_WILDCARD 2  /* every name one label below it */
#define SUFFIX_EXCEPTION 4 /* but this */

/* Binary search by place: from anywhere in the string the entry begins behind the NUL to the left. Return: the mark, or 0. */
static int find(const char *host)
{
	size_t low = 0, high = sizeof(suffixes) - 1, at; /* without the string's own NUL */

	while (low < high) {
		int r;

		at = low + (high - low) / 2;
		while (at > low && suffixes[at - 1])
			at--;
		r = strcmp(suffixes + at + 1, host);
		if (r == 0)
			return suffixes[at];
		if (r > 0)
			high = at;
		else
			low = at + strlen(suffixes + at) + 1;
	}
	return 0;
}

bool net_public_suffix(const char *host)
{
	const char *dot = strchr(host, '.');
	int mark = find(host);

	if (mark & SUFFIX_EXCEPTION)
		return false;
	/* so is what a wildcard stands below, and a top-level name that is not in the list */
	return (mark & (SUFFIX_RULE | SUFFIX_WILDCARD)) || !dot ||
	       (find(dot + 1) & SUFFIX_WILDCARD);
}
