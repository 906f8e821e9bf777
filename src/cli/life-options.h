/* SPDX-License-Identifier: Apache-2.0 */
/* The words of `bailey create`: those of a run, and how long the sandbox lives. */
#ifndef BAILEY_CLI_LIFE_OPTIONS_H
#define BAILEY_CLI_LIFE_OPTIONS_H

#include "cli.h"

#define LIFE_OPTIONS (SANDBOX_OPTIONS + 12)

/* What wakes a sandbox that is paused, beside `bailey resume`. */
enum life_wake {
	LIFE_WAKE_ANY,  /* whoever needs it */
	LIFE_WAKE_EXEC, /* a command that is run in it */
	LIFE_WAKE_NEVER
};

/* What `bailey start --boot` does with it. */
enum life_restart {
	LIFE_RESTART_NO,
	LIFE_RESTART_ON_FAILURE, /* when nobody has stopped it */
	LIFE_RESTART_ALWAYS
};

struct life_policy {
	enum life_wake wake;
	enum life_restart restart;
	long freeze_ms, stop_ms; /* when it was idle for so long; 0: never */
};

struct life_options {
	struct sandbox_options sandbox;
	const char *wake, *restart, *freeze, *stop, *home;
	struct opt_list volumes; /* --volume, --cache */
	struct opt_list host_env;
};

/** life_options() - the option table of `bailey create`; targets are in @o. @table: LIFE_OPTIONS places. life_options_done() frees it. */
void life_options(struct life_options *o, struct opt *table);

/** life_options_done() - free the lists. */
void life_options_done(struct life_options *o);

/** life_enter() - go to where their relative paths begin: to @cwd, where they were said. Where that is gone nothing but these need it (sandbox_options.cwd; borrowed). */
void life_enter(struct life_options *o, const char *cwd);

/** life_policy() - what they say. Return: 0 or -EINVAL with @e, which names the option. */
int life_policy(const struct life_options *o, struct life_policy *ret, struct err *e);

/** life_restart() - what the words @options, a list of strings, say of it. Return: LIFE_RESTART_NO, too, when they can't be read. */
enum life_restart life_restart(const struct json_node *options);

/** life_home() - what they say of the home; borrowed from them. Return: NULL when they say nothing. */
const char *life_home(const struct json_node *options);

/** life_restart_word() - as it is written. */
const char *life_restart_word(enum life_restart restart);

#endif
