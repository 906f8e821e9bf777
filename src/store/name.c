/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "store.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static bool is_id(const char *s)
{
	return strlen(s) == STORE_ID && strspn(s, DIGITS "abcdef") == STORE_ID;
}

bool store_name_ok(const char *s)
{
	size_t n = strnlen(s, STORE_NAME_MAX + 1);

	return n > 0 && n <= STORE_NAME_MAX && strspn(s, LETTERS DIGITS "-._") == n &&
	       strchr("-._", s[0]) == NULL && !is_id(s);
}

int store_name_check(const char *s, struct err *e)
{
	struct buf quoted = BUF_INIT(1024);
	int r;

	if (store_name_ok(s))
		return 0;
	buf_quote(&quoted, s);
	r = err_set(e, ERR_USAGE, -EINVAL, "'%.100s' can't be a name: it must be " STORE_NAME_RULE,
		    quoted.data ? quoted.data : "");
	buf_done(&quoted);
	return r;
}

enum store_exit store_exit(const struct err *e)
{
	if (e->code != ERR_USAGE)
		return STORE_EXIT_FAILED;
	switch (e->sys) {
	case ENOENT:
		return STORE_EXIT_ABSENT;
	case EEXIST:
	case EBUSY:
	case ESTALE:
		return STORE_EXIT_CONFLICT;
	default:
		return STORE_EXIT_INPUT;
	}
}
