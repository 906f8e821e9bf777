/* SPDX-License-Identifier: Apache-2.0 */
/* The option table of verbs that describe a sandbox, and the values that need more than a copy. */
#include <errno.h>
#include <string.h>

#include "sandbox.h"

void sandbox_options(struct sandbox_options *o, struct opt *table, size_t size)
{
	const struct opt rows[] = {
		OPT_GROUP("Files"),
		OPT_LIST(
			"workspace", &o->files, NULL, "DIR[:ro]",
			"Give DIR, at the same path; default: the current directory",
			"The command may write DIR, with \":ro\" only read it. May be given several times; "
			"the command starts in the current directory when a workspace holds that, else in the first workspace."),
		OPT_LIST(
			"allow-write", &o->files, "filesystem.allowWrite", "PATH",
			"Let the command write PATH",
			"PATH must exist. It also lifts built-in denials of PATH and of what lies below."),
		OPT_LIST(
			"deny-write", &o->files, "filesystem.denyWrite", "PATH",
			"Keep PATH read-only in what is writable",
			"Wins over every --allow-write. PATH must exist; the directories on the way to it can't be renamed during the run."),
		OPT_LIST(
			"allow-read", &o->files, "filesystem.allowRead", "PATH",
			"Show PATH although something hides it",
			"Everything is readable by default but what a rule hides or denies; this shows PATH all the same. PATH must exist."),
		OPT_LIST("deny-read", &o->files, "filesystem.denyRead", "PATH",
			 "Make PATH unreadable",
			 "PATH stays visible; opening it is refused (EACCES)."),
		OPT_LIST(
			"hide", &o->files, "filesystem.hide", "PATH", "Make PATH absent",
			"Opening PATH answers ENOENT; where no overlay can be made it stays visible and unreadable."),
		OPT_GROUP("Environment"),
		OPT_LIST("env", &o->env, "environment.set", "VAR=VALUE", "Set a variable",
			 "Wins over the caller's variable of that name."),
		OPT_LIST(
			"pass-env", &o->env, "environment.pass", "VAR",
			"Pass a variable that looks like a secret",
			"Variables whose name or value looks like a secret stay outside; this one comes in."),
		OPT_GROUP("Run"),
		OPT_STRING(
			"timeout", &o->timeout, "limits.timeout", "DURATION",
			"End the run after 500ms, 10s, 5m, 1h; exit status 124",
			"First SIGTERM, two seconds later SIGKILL for everything inside. A number without a unit is seconds."),
		OPT_LIST(
			"allow-degraded", &o->degraded, NULL, "LAYER",
			"Run although LAYER is missing: overlay, proc, landlock, seccomp, sockets",
			"Without it a missing layer is a refusal, exit status 125. What is lost is printed at the start."),
		OPT_OPTIONAL("explain", &o->explain, NULL, "text|json",
			     "Print policy, mount plan and layers; run nothing",
			     "Each line says which rule of which layer it comes from."),
		OPT_FLAG("dry-run", &o->dry_run, NULL, "Build and verify the sandbox; run nothing",
			 "The whole sandbox is made, verified, and ended."),
		OPT_END,
	};

	_Static_assert(ARRAY_SIZE(rows) <= SANDBOX_OPTIONS, "raise SANDBOX_OPTIONS");
	*o = (struct sandbox_options){ .dry_run = false };
	memcpy(table, rows, (ARRAY_SIZE(rows) < size ? ARRAY_SIZE(rows) : size) * sizeof(rows[0]));
}

void sandbox_options_done(struct sandbox_options *o)
{
	opt_list_done(&o->files);
	opt_list_done(&o->env);
	opt_list_done(&o->degraded);
}

/* "10s" … in milliseconds. A number without a unit is seconds. */
int sandbox_duration(const char *s, long *ret_ms, struct err *e)
{
	static const struct {
		const char *unit;
		long ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	long v = 0;
	size_t i;
	const char *p;

	for (p = s; *p >= '0' && *p <= '9' && v < 100000000; p++)
		v = v * 10 + (*p - '0');
	for (i = 0; p > s && v > 0 && i < ARRAY_SIZE(units); i++) {
		if (strcmp(p, units[i].unit) == 0 && v <= 2000000000 / units[i].ms) {
			*ret_ms = v * units[i].ms;
			return 0;
		}
	}
	return err_set(
		e, ERR_USAGE, -EINVAL,
		"--timeout '%.100s': expected a duration such as 500ms, 10s, 5m, 1h (at most 555h)",
		s);
}

int sandbox_degraded(const struct opt_list *l, unsigned int *ret, struct err *e)
{
	size_t i;
	int layer;

	for (i = 0; i < l->n; i++) {
		layer = jail_layer_parse(l->v[i].value);
		if (layer < 0)
			return err_set(
				e, ERR_USAGE, layer,
				"--allow-degraded '%.100s': there is no such layer (bailey run --explain lists them)",
				l->v[i].value);
		if (!jail_layer_info((enum jail_layer)layer)->lost)
			return err_set(
				e, ERR_USAGE, -EPERM,
				"--allow-degraded '%s': no sandbox is left without this layer",
				l->v[i].value);
		*ret |= 1u << layer;
	}
	return 0;
}
