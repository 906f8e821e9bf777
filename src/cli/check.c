/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

void check_help(struct buf *b)
{
	struct sandbox_options o;
	struct opt table[SANDBOX_OPTIONS];

	sandbox_options(&o, table, ARRAY_SIZE(table));
	buf_puts(
		b,
		"bailey check [OPTIONS] read|write PATH...\n\n"
		"Says whether a sandbox with these options could read or write PATH, which rule says so, and which option would\n"
		"change that. Runs nothing. Exit status: 0 all allowed, 1 something denied, 2 wrong options.\n");
	opt_help(table, b);
}

/* One line of answer. Return: whether it is allowed. */
static bool answer(const struct sandbox *s, bool write, const char *path, struct buf *b)
{
	struct policy_verdict v = policy_eval(&s->policy, path);
	const struct policy_rule *rule = write ? v.write_rule : v.read_rule;
	bool ok = v.state == POLICY_SHOW_RW || v.state == POLICY_IS_PRIVATE ||
		  (!write && v.state == POLICY_SHOW_RO);
	size_t i;

	buf_puts(b, write ? "write " : "read ");
	buf_quote(b, path);
	buf_printf(b, ": %s, %s", ok ? "allowed" : "denied", policy_state_name(v.state));
	if (rule) {
		buf_printf(b, "; %s ", policy_kind_name(rule->kind));
		buf_quote(b, rule->path);
		buf_printf(b, " (%s)", rule->origin);
	} else {
		buf_puts(b, write ? "; by default only the workspace is writable" :
				    "; by default everything is readable");
	}
	if (!ok && rule && rule->layer == POLICY_BUILTIN && rule->kind == POLICY_DENY_WRITE) {
		buf_puts(b, "; the host executes or obeys it later; to allow it: --unprotect ");
		buf_quote(b, rule->path);
		for (i = 0; i < s->protect.n_configs; i++) {
			if (strcmp(s->protect.configs[i].path, rule->path) == 0)
				buf_puts(b, " (or --allow-git-config)");
		}
	} else if (!ok && rule && rule->layer != POLICY_BUILTIN) {
		buf_puts(b, "; to allow it, leave that rule out");
	} else if (!ok) {
		buf_printf(b, "; to allow it: --allow-%s ", write ? "write" : "read");
		buf_quote(b, path);
	}
	buf_puts(b, "\n");
	return ok;
}

static int check(char *const *words, const struct sandbox_options *o, struct err *e)
{
	char cwd[LIMIT_PATH], path[LIMIT_PATH], real[LIMIT_PATH];
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	bool write, all = true;
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA) };
	int r;

	if (!words[0] || !words[1] ||
	    (strcmp(words[0], "read") != 0 && strcmp(words[0], "write") != 0))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "say what to check: bailey check [OPTIONS] read|write PATH...");
	write = strcmp(words[0], "write") == 0;
	r = sandbox_make(&s, o, e);
	if (r == 0 && !getcwd(cwd, sizeof(cwd)))
		r = err_sys(e, -errno, "current directory");
	for (words++; r == 0 && *words; words++) {
		r = path_normalize(*words, cwd, s.home, path, e);
		if (r == 0 && jail_host_resolve(path, true, real) < 0)
			memcpy(real, path,
			       sizeof(real)); /* unreadable parents: judge the name as it is */
		if (r == 0 && !answer(&s, write, real, &b))
			all = false;
	}
	if (r == 0)
		r = cli_print(&b) ? 125 : !all;
	buf_done(&b);
	sandbox_done(&s);
	return r;
}

int check_main(char **argv)
{
	struct sandbox_options o;
	struct opt table[SANDBOX_OPTIONS];
	struct err e = ERR_INIT;
	bool dashes;
	size_t rest;
	int r;

	if (argv[0] && strcmp(argv[0], "--help") == 0)
		return help_main((char *[]){ (char *)(uintptr_t) "check", NULL });
	sandbox_options(&o, table, ARRAY_SIZE(table));
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0)
		r = check(argv + rest, &o, &e);
	sandbox_options_done(&o);
	return r < 0 ? cli_fail(&e) : r;
}
