/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of Claude Code become values and notes: a row of claude.table each. */
#define TAP_NO_MAIN
#include <errno.h>

#include "policy/claude.h"
#include "table.h"
#include "tap.h"

struct row {
	const char *text, *values, *notes;
};

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " ");
	for (end = s + strlen(s); end > s && end[-1] == ' ';)
		*--end = '\0';
	return s;
}

static void run(const void *arg)
{
	static const struct claude_places places = { .root = "/root", .cwd = "/cwd" };
	const struct row *row = arg;
	struct claude_settings s = { .values = NULL };
	struct arena a = ARENA_INIT(1u << 20);
	struct buf values = BUF_INIT(65536), notes = BUF_INIT(65536);
	const struct claude_value *v;
	const struct claude_note *n;
	struct err e = ERR_INIT;
	int r = claude_settings_read(&s, "s.json", row->text, strlen(row->text), &places, &a, &e);

	buf_puts(&values, "");
	for (v = s.values; v; v = v->next)
		buf_printf(&values, "%s%s=%s", values.len ? " " : "", v->key, v->value);
	for (n = s.notes; n; n = n->next) {
		buf_printf(&notes, "%s%s", notes.len ? " " : "", n->key);
		CHECK(n->why && *n->why && n->line == 1 && n->column > 1);
	}
	if (strcmp(row->values, "!") == 0) {
		CHECK(r == -EINVAL && strstr(e.msg, row->notes) && strstr(e.msg, "s.json:1:"));
		if (r < 0)
			printf("# %s\n", e.msg);
	} else {
		CHECK(r == 0);
		CHECK_STR(values.data ? values.data : "", row->values);
		CHECK_STR(notes.data ? notes.data : "", row->notes);
	}
	buf_done(&values);
	buf_done(&notes);
	arena_done(&a);
}

int main(int argc, char **argv)
{
	struct table t;
	struct row row;
	char *line, *bar;

	table_open(&t, argc > 1 ? argv[1] : NULL);
	while ((line = table_next(&t))) {
		bar = strrchr(line, '|');
		if (!bar)
			table_die(&t, "no notes");
		*bar = '\0';
		row.notes = trim(bar + 1);
		bar = strrchr(line, '|');
		if (!bar)
			table_die(&t, "no values");
		*bar = '\0';
		row.values = trim(bar + 1);
		row.text = trim(line);
		tap_run(run, &row, NULL, "line %d", t.line);
	}
	return tap_done();
}
