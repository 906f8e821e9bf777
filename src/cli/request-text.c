/* SPDX-License-Identifier: Apache-2.0 */
#include "request-text.h"

#include <string.h>

#define PATH_SAID 100 /* characters */

const char *request_text_of(const char *method, const char *target, struct arena *a)
{
	const int n = target && *target == '/' ? (int)strcspn(target, "?#") : 0;

	return arena_printf(a, "%s%s%.*s%s", method ? method : "a request", n > 0 ? " " : "",
			    n > PATH_SAID ? PATH_SAID : n, target ? target : "",
			    n > PATH_SAID ? "..." : "");
}
