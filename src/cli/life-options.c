/* SPDX-License-Identifier: Apache-2.0 */
#include "life-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"
#include "stay.h"

#define ROWS 12

static void life_rows(struct life_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Life"),
		OPT_STRING(
			"idle-freeze", &o->freeze, NULL, "DURATION",
			"Pause it when it was idle for 30s, 10m, 1h, 2d",
			"Idle is a sandbox for whose commands nobody waits, that has no connection open at its gateway, and whose processes use less than a "
			"hundredth of a processor. What it holds in memory stays, and it goes on when it is needed (--wake). It is looked at four times in DURATION."),
		OPT_STRING(
			"idle-stop", &o->stop, NULL, "DURATION",
			"Stop it when it was idle for 30s, 10m, 1h, 2d",
			"Counted from the last use, also while it is paused. Idle is what --idle-freeze says."),
		OPT_STRING(
			"wake", &o->wake, NULL, "any|exec|never",
			"What wakes it when it is paused; default: any",
			"With \"any\": whoever needs it. \"exec\": 'bailey exec'. \"never\": 'bailey resume' alone; to everybody else it says that it is paused. To look at it "
			"(ls, inspect, stats, top) never wakes it."),
		OPT_STRING(
			"restart", &o->restart, NULL, "no|on-failure|always",
			"Whether 'bailey start --boot' starts it; default: no",
			"With \"on-failure\": when it has ended without being stopped by 'bailey stop' or by its own options: the machine went down, its supervisor was "
			"killed. \"always\": also when it was stopped. 'bailey service-unit' prints what runs that at each start of the machine."),
		OPT_GROUP("Its user"),
		OPT_STRING(
			"home", &o->home, NULL, "DIR",
			"Where the home of its user is: below /home, or /run/agent",
			"Default: /home/agent; or /run/agent where nothing can appear below /home, because another file system is mounted there, and no directory /home/agent is there. "
			"'bailey inspect' says it. What is in it is kept until 'bailey reset' or 'bailey rm'."),
		OPT_LIST(
			"host-env", &o->host_env, NULL, "NAME=VALUE",
			"A variable as it is on the host; 'bailey create' adds these itself",
			"What says where programs and settings of the host are (PATH, LANG, LC_*, TZ, EDITOR, NVM_DIR, JAVA_HOME …) is kept from the environment of 'bailey create', so that every start, also that "
			"of the machine, gives commands the same. Nothing else of the caller's environment comes in; --env sets more, and what is given twice is the last. HOME, XDG_CONFIG_HOME, XDG_RUNTIME_DIR, "
			"http_proxy, https_proxy, no_proxy and SSH_AUTH_SOCK are kept, too, and are for the sandbox's network, policy files and --ssh-key alone: commands do not get them. A user and a password in a proxy's "
			"URL are not kept."),
		OPT_GROUP("Volumes"),
		OPT_LIST(
			"volume", &o->volumes, NULL, "NAME:PATH[:ro]",
			"Show the volume NAME at PATH inside",
			"One is made by 'bailey volume create NAME'. What is in it stays when the sandbox is stopped or removed, and several sandboxes may have it at a time; with :ro this one can't write it. "
			"PATH is absolute, and no place of the system, of a workspace or of anything else that the sandbox has. Below the home and /tmp it is made when it is not there, elsewhere where bailey can (/srv, /opt)."),
		OPT_LIST("cache", &o->volumes, NULL, "NAME[,NAME...]",
			 "Share the package caches of npm, pip, cargo with other sandboxes",
			 "Each is a volume, cache-NAME, made when it is not there, where the tool of the sandbox's user keeps what it has downloaded. Whatever writes into it can change what the other sandboxes that have it "
			 "install: use it for sandboxes that trust each other."),
		OPT_END,
	};

	_Static_assert(ARRAY_SIZE(rows) == ROWS, "ROWS is how many there are");
	memcpy(table, rows, sizeof(rows));
}

void life_options(struct life_options *o, struct opt *table)
{
	size_t n = 0;

	*o = (struct life_options){ .wake = NULL };
	sandbox_options(&o->sandbox, table, SANDBOX_OPTIONS);
	for (; table[n].type != OPT_TYPE_END; n++) {
		if (strcmp(table[n].name, "network") == 0)
			table[n].help = "What the network is beyond its rules";
		if (strcmp(table[n].name, "preset") == 0)
			table[n].help = "Begin with a set of rules; default: " STAY_PRESET;
		if (strcmp(table[n].name, "timeout") != 0)
			continue;
		table[n].help = "Stop the sandbox after 500ms, 10s, 5m, 1h, 30d";
		table[n].man =
			"Counted from its start, also while it is paused, but not while the machine sleeps. 'bailey extend' moves it. First SIGTERM, ten seconds "
			"later SIGKILL. A number without a unit is seconds.";
	}
	_Static_assert(ROWS <= LIFE_OPTIONS - SANDBOX_OPTIONS, "raise LIFE_OPTIONS");
	life_rows(o, table + n);
}

void life_options_done(struct life_options *o)
{
	sandbox_options_done(&o->sandbox);
	opt_list_done(&o->volumes);
	opt_list_done(&o->host_env);
}

void life_enter(struct life_options *o, const char *cwd)
{
	if (chdir(cwd) == 0)
		return;
	o->sandbox.cwd = cwd;
	if (chdir("/") < 0)
		return; /* it is nowhere in particular, only not where whoever starts it happens to be */
}

/* One of @words, NULL behind the last. Return: which, 0 for none given; or -EINVAL with @e. */
static int choose(const char *option, const char *value, const char *const *words, struct err *e)
{
	int i;

	for (i = 0; value && words[i]; i++) {
		if (strcmp(words[i], value) == 0)
			return i;
	}
	return value ? err_set(e, ERR_USAGE, -EINVAL, "--%s '%.100s': expected %s, %s or %s",
			       option, value, words[0], words[1], words[2]) :
		       0;
}

static int duration(const char *option, const char *value, long *ret, struct err *e)
{
	int r = value ? sandbox_duration(value, ret, e) : 0;

	return r < 0 ? err_wrap(e, r, "--%s", option) : 0;
}

static const char *const restarts[] = { "no", "on-failure", "always", NULL };

const char *life_restart_word(enum life_restart restart)
{
	return restarts[restart];
}

/* The words of a sandbox as its options; strings are borrowed from them. Return: whether they can be read. Always life_options_done(). */
static bool read_words(const struct json_node *options, struct life_options *ret)
{
	struct opt table[LIFE_OPTIONS];
	const struct json_node *v;
	struct err e = ERR_INIT;
	size_t i = 0, rest;
	char **words = calloc(options->n + 1, sizeof(*words));
	bool dashes, read;

	for (v = options->first; words && v; v = v->next)
		words[i++] = (char *)(uintptr_t)v->text;
	life_options(ret, table);
	read = words && opt_parse(table, words, &rest, &dashes, &e) == 0;
	free(words);
	return read;
}

enum life_restart life_restart(const struct json_node *options)
{
	struct life_policy p = { .restart = LIFE_RESTART_NO };
	struct life_options o;
	struct err e = ERR_INIT;

	if (read_words(options, &o))
		(void)life_policy(&o, &p, &e); /* else it is as if they did not say it */
	life_options_done(&o);
	return p.restart;
}

const char *life_home(const struct json_node *options)
{
	struct life_options o;
	const char *home = read_words(options, &o) ? o.home : NULL;

	life_options_done(&o);
	return home;
}

int life_policy(const struct life_options *o, struct life_policy *ret, struct err *e)
{
	static const char *const wakes[] = { "any", "exec", "never", NULL };
	const int wake = choose("wake", o->wake, wakes, e);
	const int restart = wake < 0 ? wake : choose("restart", o->restart, restarts, e);
	struct life_policy p = { .freeze_ms = 0 };
	int r = restart < 0 ? restart : duration("idle-freeze", o->freeze, &p.freeze_ms, e);

	if (r == 0)
		r = duration("idle-stop", o->stop, &p.stop_ms, e);
	if (r == 0 && p.freeze_ms && p.stop_ms && p.stop_ms <= p.freeze_ms)
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "--idle-stop %s is not after --idle-freeze %s: leave one out", o->stop,
			    o->freeze);
	if (r < 0)
		return r;
	p.wake = (enum life_wake)wake;
	p.restart = (enum life_restart)restart;
	*ret = p;
	return 0;
}
