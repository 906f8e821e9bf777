/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of srt: the verdicts of srt.table, patterns, and the places that errors name. */
#include <fcntl.h>
#define TAP_NO_MAIN
#include "table.h"
#include "tap.h"

struct line {
	char text[4096];
	bool accept;
};

static void check_line(const void *arg)
{
	const struct line *l = arg;
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct srt_settings s = { .search_depth = -1 };
	struct err e = ERR_INIT;
	int r = srt_settings_read(&s, "s.json", l->text, strlen(l->text), &a, &e);

	if (l->accept != (r == 0))
		FAIL("%s: %s", r == 0 ? "accepted" : "refused", r == 0 ? l->text : e.msg);
	if (r == 0) {
		CHECK(s.deny_read && s.allow_write && s.deny_write && s.network.allowed);
		CHECK(s.search_depth >= 1 && s.search_depth <= 10);
	} else {
		CHECK(e.code == ERR_POLICY);
		CHECK(strncmp(e.msg, "s.json:1:", 9) == 0);
		CHECK(s.search_depth == -1);
	}
	arena_done(&a);
}

static void run_table(const char *path)
{
	static char forms[128][512];
	struct table t;
	char *s, *form, *at;

	table_open(&t, path);
	while ((s = table_next(&t))) {
		struct line l = { .accept = strncmp(s, "accept ", 7) == 0 };

		if (strncmp(s, "form ", 5) == 0 && s[6] == ' ' && strlen(s + 7) < sizeof(*forms)) {
			memcpy(forms[s[5] & 127], s + 7, strlen(s + 7) + 1);
			continue;
		}
		if (!l.accept && strncmp(s, "refuse ", 7) != 0)
			table_die(&t, "expected form, accept or refuse");
		form = forms[s[7] & 127];
		at = strchr(form, '@');
		if (!at || s[8] != ' ')
			table_die(&t, "unknown form");
		snprintf(l.text, sizeof(l.text), "%.*s%s%s", (int)(at - form), form, s + 9, at + 1);
		tap_run(check_line, &l, NULL, "srt.table:%d: %.7s%c", t.line, s, s[7]);
	}
}

static void check_globs(const void *arg)
{
	static const struct {
		const char *srt, *ours[SRT_GLOBS];
		int n;
	} rows[] = {
		{ "/a/*.txt", { "/a/*.txt" }, 1 },
		{ "**/.env", { "**/.env" }, 1 },
		{ "/a/**/b", { "/a/**/b" }, 1 },
		{ "/a/**.env", { "/a/**/*.env" }, 1 },
		{ "/a/x**", { "/a/x*", "/a/x*/**" }, 2 },
		{ "/a/x**y/z", { "/a/x*y/z", "/a/x*/**/*y/z" }, 2 },
		{ "/a/x**/b", { "/a/xb", "/a/x*/**/b" }, 2 },
		{ "/a/***", { "/a/**" }, 1 },
		{ "/a/[!b]", { "/a/[\\!b]" }, 1 },
		{ "/a/[^b-d]", { "/a/[\\^b-d]" }, 1 },
		{ "/a/[b", { "/a/\\[b" }, 1 },
		{ "/a/[]", { "/a/\\[]" }, 1 },
		{ "/a/[z-a]*", { "/a/\\[z-a]*" }, 1 },
		{ "/a/b\\*", { "/a/b\\\\*" }, 1 },
		{ "/a/?", { "/a/?" }, 1 },
		{ "~/x/*", { "~/x/*" }, 1 },
		{ "/a/x**y**z", { NULL }, -22 },
		{ "/a/[+-9]", { NULL }, -22 },
		{ "/a/[b/c]", { NULL }, -22 },
	};
	struct arena a = ARENA_INIT(1 << 20);
	size_t i;
	int k;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got[SRT_GLOBS] = { NULL };
		int n = srt_glob(rows[i].srt, &a, got);

		if (n != rows[i].n)
			FAIL("%s: %d patterns, not %d", rows[i].srt, n, rows[i].n);
		for (k = 0; k < n && n == rows[i].n; k++)
			CHECK_STR(got[k], rows[i].ours[k]);
	}
	arena_done(&a);
}

static void check_place(const void *arg)
{
	static const char text[] =
		"{\n  \"network\": {\"allowedDomains\": [\"a.b\",\n    \"*.com\"], \"deniedDomains\": []},\n"
		"  \"filesystem\": {\"denyRead\": [], \"allowWrite\": [], \"denyWrite\": []}\n}\n";
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct srt_settings s;
	struct err e = ERR_INIT;

	(void)arg;
	CHECK(srt_settings_read(&s, "/h/s.json", text, strlen(text), &a, &e) < 0);
	if (strncmp(e.msg, "/h/s.json:3:5: network.allowedDomains[1]: '*.com': ", 50) != 0)
		FAIL("%s", e.msg);
	arena_done(&a);
}

static void check_default(const void *arg)
{
	struct srt_settings s;

	(void)arg;
	srt_settings_default(&s);
	CHECK(s.deny_read->n == 0 && s.allow_write->n == 0 && s.deny_write->n == 0 &&
	      !s.allow_read);
	CHECK(s.network.allowed->n == 0 && s.search_depth == 3 && !s.fs_disabled);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 1;
	run_table(argv[1]);
	tap_run(check_globs, NULL, NULL, "patterns");
	tap_run(check_place, NULL, NULL, "an error names file, line, column and key");
	tap_run(check_default, NULL, NULL, "defaults");
	return tap_done();
}
