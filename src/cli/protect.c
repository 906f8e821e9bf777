/* SPDX-License-Identifier: Apache-2.0 */
/* Protected paths: from options to rules, and what is said about them before and after a run. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

int sandbox_protect(struct sandbox *s, struct err *e)
{
	s->protect = (struct jail_protect){
		.workspaces = s->workspaces,
		.n_workspaces = s->n_workspaces,
		.home = s->home,
		.owner = s->id.mode == JAIL_IDS_OWNER ? s->id.host_uid : geteuid(),
		.allow_git_config = s->options->allow_git_config,
		/* a mount namespace that the command makes would not get what is found later */
		.later = s->starts && !s->nested,
		.git_only = s->options->front != NULL,
		.gate = s->gate,
	};
	if (s->options->front && s->options->front->lawless)
		return 0;
	return jail_protect_find(&s->protect, &s->policy, e);
}

/* "NAME: TEXT", with the name escaped: it may come from whoever could write the workspace. */
static void say_about(const char *path, const char *text, void (*say)(const char *line))
{
	struct buf b = BUF_INIT(2ul * LIMIT_PATH);

	buf_puts(&b, "'");
	buf_quote(&b, path);
	buf_puts(&b, "': ");
	buf_puts(&b, text);
	if (!b.failed)
		say(b.data);
	buf_done(&b);
}

void protect_say_before(const struct sandbox *s, void (*say)(const char *line))
{
	size_t i;

	for (i = 0; i < s->protect.n_notes; i++) {
		if (s->protect.notes[i].refused)
			say_about(s->protect.notes[i].path, s->protect.notes[i].why, say);
	}
}

static bool in_force(const struct sandbox *s, const char *path)
{
	struct policy_verdict v = policy_eval(&s->policy, path);

	return v.write_rule && v.write_rule->kind == POLICY_DENY_WRITE &&
	       v.write_rule->layer == POLICY_BUILTIN;
}

void protect_say_after(const struct sandbox *s, int status, void (*say)(const char *line))
{
	const struct jail_protect *pr = &s->protect;
	size_t i;

	for (i = 0; i < pr->n_found; i++) {
		if (jail_protected_replaced(&pr->found[i]) && in_force(s, pr->found[i].path))
			say_about(
				pr->found[i].path,
				"replaced or removed during the run, from outside: not protected since then; "
				"look at it before the host uses it",
				say);
	}
	for (i = 0; status != 0 && i < pr->n_configs; i++) {
		if (jail_git_dir_changed(&pr->configs[i]) && in_force(s, pr->configs[i].path)) {
			say_about(
				pr->configs[i].path,
				"read-only in the run, because git would execute what it says; if git could not write "
				"it, --allow-git-config lets it",
				say);
			return;
		}
	}
}
