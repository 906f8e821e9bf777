/* SPDX-License-Identifier: Apache-2.0 */
/* The table of names: which can be one of a sandbox or a volume. And exit codes. */
#define TAP_NO_MAIN
#include <errno.h>
#include <fcntl.h>

#include "store/store.h"
#include "table.h"
#include "tap.h"

struct row {
	bool ok;
	struct buf name;
};

/* The bytes that the notation stands for. */
static void unescape(const struct table *t, struct row *row, const char *s)
{
	char *at, hex[3];
	long n;

	while (*s) {
		n = *s == '@' ? strtol(s + 1, &at, 10) : 0;
		if (n > 0 && *at == '*' && at[1] && at[2] == '@') {
			while (n-- > 0)
				buf_add(&row->name, at + 1, 1);
			s = at + 3;
		} else if (*s == '\\' && s[1] == 'x') {
			snprintf(hex, sizeof(hex), "%.2s", s + 2);
			buf_add(&row->name, &(char){ (char)strtol(hex, &at, 16) }, 1);
			if (at != hex + 2)
				table_die(t, "expected \\xNN");
			s += 4;
		} else {
			buf_add(&row->name, s++, 1);
		}
	}
}

static void check(const void *arg)
{
	const struct row *row = arg;
	const char *name = row->name.data ? row->name.data : "";
	struct err e = ERR_INIT;

	CHECK(store_name_ok(name) == row->ok);
	CHECK((store_name_check(name, &e) == 0) == row->ok);
	CHECK((e.msg[0] == '\0') == row->ok);
	CHECK(row->ok || store_exit(&e) == STORE_EXIT_INPUT);
}

static void exits(const void *arg)
{
	static const struct {
		struct err e;
		enum store_exit want;
	} rows[] = {
		{ { .code = ERR_USAGE, .sys = EINVAL }, STORE_EXIT_INPUT },
		{ { .code = ERR_USAGE, .sys = E2BIG }, STORE_EXIT_INPUT },
		{ { .code = ERR_USAGE, .sys = ENOENT }, STORE_EXIT_ABSENT },
		{ { .code = ERR_USAGE, .sys = EEXIST }, STORE_EXIT_CONFLICT },
		{ { .code = ERR_USAGE, .sys = EBUSY }, STORE_EXIT_CONFLICT },
		{ { .code = ERR_USAGE, .sys = ESTALE }, STORE_EXIT_CONFLICT },
		{ { .code = ERR_SYSTEM, .sys = ENOENT }, STORE_EXIT_FAILED },
		{ { .code = ERR_SYSTEM, .sys = EBUSY }, STORE_EXIT_FAILED },
		{ { .code = ERR_SYSTEM, .sys = ENOSPC }, STORE_EXIT_FAILED },
		{ { .code = ERR_POLICY, .sys = EPERM }, STORE_EXIT_FAILED },
		{ { .code = ERR_NONE }, STORE_EXIT_FAILED },
	};
	size_t i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (store_exit(&rows[i].e) != rows[i].want)
			FAIL("row %zu: %d", i, store_exit(&rows[i].e));
	}
}

int main(int argc, char **argv)
{
	struct table t;
	char *s, *bar;

	table_open(&t, argc > 1 ? argv[1] : NULL);
	while ((s = table_next(&t))) {
		struct row row = { .name = BUF_INIT(1 << 20) };

		bar = strchr(s, '|');
		if (!bar || (strncmp(s, "ok ", 3) != 0 && strncmp(s, "bad ", 4) != 0))
			table_die(&t, "expected ok | NAME or bad | NAME");
		row.ok = s[0] == 'o';
		bar++;
		unescape(&t, &row, bar + strspn(bar, " "));
		tap_run(check, &row, NULL, "%s:%d: %.60s", t.name, t.line, s);
		buf_done(&row.name);
	}
	tap_run(exits, NULL, NULL, "exit codes");
	return tap_done();
}
