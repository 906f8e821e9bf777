/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: one file per verb; what several verbs need stands here. In this release the launcher is the supervisor of its run.
 *  1. sandbox_options(), sandbox_make()   from the words of the command line to policy and plan
 *  2. explain.c                           print them
 *  3. supervise.c                         start, forward signals, time out, report
 */
#ifndef BAILEY_CLI_H
#define BAILEY_CLI_H

#include "init/init.h"
#include "jail/jail.h"
#include "policy/policy.h"
#include "util/util.h"

struct command {
	const char *name;
	int (*run)(char **argv); /* words after the verb; Return: exit status */
	const char *usage;
	const char *summary;
};

extern const struct command commands[];

/* What options say, unchecked. */
struct sandbox_options {
	struct opt_list files; /* --workspace, --allow-write …: in the order given */
	bool allow_git_config;
	struct opt_list env; /* --env, --pass-env */
	struct opt_list degraded;
	const char *timeout;
	const char *explain;
	bool dry_run;
};

/** sandbox_options() - the option table of verbs that describe a sandbox; targets are in @o. @size: places in @table. */
void sandbox_options(struct sandbox_options *o, struct opt *table, size_t size);

/** sandbox_options_done() - free the lists. */
void sandbox_options_done(struct sandbox_options *o);

#define SANDBOX_OPTIONS 64

struct removed_env {
	const char *name; /* owned by the arena */
	const char *why;
};

/* A sandbox that is described, not started. Lives in memory that PID 1 shares, with all it points to. */
struct sandbox {
	struct arena arena;
	struct policy policy;
	struct jail_protect protect;
	struct jail_host host;
	struct jail_host_ctx host_ctx;
	struct jail_plan plan;
	struct jail_identity id;
	const char *cwd;  /* inside */
	const char *home; /* normalised and resolved, or NULL */
	const char **workspaces;
	size_t n_workspaces;
	char **env; /* of the command */
	struct removed_env *removed;
	size_t n_removed;
	unsigned int allow_degraded;
	long timeout_ms; /* 0: none */
};

/**
 * sandbox_make() - check the options and make policy, environment and plan of them.
 * @s: zeroed, but for s->arena
 * @owner: as root, use the workspace owner's id instead of a block of ids
 * Return: 0 or negative errno with @e naming the option. sandbox_done() in both cases.
 */
int sandbox_make(struct sandbox *s, const struct sandbox_options *o, bool owner, struct err *e);

/** sandbox_done() - free everything, release the ids. */
void sandbox_done(struct sandbox *s);

/** sandbox_env() - fill s->env and s->removed from the environment and the options. Return: 0 or negative errno with @e. */
int sandbox_env(struct sandbox *s, const struct sandbox_options *o, struct err *e);

/** protect_say_before() - git directories that are not given, one line each, by @say. */
void protect_say_before(const struct sandbox *s, void (*say)(const char *line));

/**
 * protect_say_after() - protected names that the host gave to other files during the run, and how to allow `git config` when that may be
 * why the command failed (@status).
 */
void protect_say_after(const struct sandbox *s, int status, void (*say)(const char *line));

/** explain() - print policy, plan and layers to stdout; @json: as one JSON object. Return: 0 or negative errno with @e. */
int explain(const struct sandbox *s, char *const *argv, bool json, struct err *e);

/* Copies between the files of 0-2 and pipes, by a process each; for runs without Landlock. */
struct relay {
	pid_t pid[3]; /* 0: none */
	int file[3];  /* what was there before */
};

/* A run under supervision. */
struct run {
	struct jail jail;
	struct relay relay;
	int signals;
	long deadline; /* ms of CLOCK_MONOTONIC; 0: none */
	bool timed_out;
	pid_t late; /* searches a large workspace; 0: none */
	struct shared *shared;
};

/**
 * supervise_begin() - begin a run before it is described, so that the kernel works while we plan.
 * @relay: without Landlock regular files on 0-2 travel through pipes
 * Return: 0, then supervise() or supervise_abort() must follow; or negative errno with @e.
 */
int supervise_begin(struct run *run, bool relay, struct err *e);

/** supervise_sandbox() - where the description of the run must be made. */
struct sandbox *supervise_sandbox(struct run *run);

/**
 * supervise() - run @argv in the sandbox, to the end.
 * @ret_no_block: nothing has run, because root's block of ids can't be used for these mounts: try sandbox_make() with @owner
 * Return: exit status of bailey, or negative errno with @e, when nothing has run.
 */
int supervise(struct run *run, char *const *argv, bool dry_run, bool *ret_no_block, struct err *e);

/** supervise_abort() - end what supervise_begin() began; nothing has run. */
void supervise_abort(struct run *run);

/**
 * relay_start() - put a pipe in the place of each regular file on 0-2. PID 1 gets the pipes.
 * Should be called only when Landlock is missing: with it, nothing inside can open those files again.
 * Return: 0 or negative errno with @e.
 */
int relay_start(struct relay *relay, struct err *e);

/** relay_finish() - when the run is over: wait until its output is written. */
void relay_finish(struct relay *relay);

/** cli_fail() - print "bailey: message". Return: the exit status of @e. */
int cli_fail(const struct err *e);

/** cli_print() - write @b to stdout. Return: 0, or 125 with a message. */
int cli_print(const struct buf *b);

int run_main(char **argv);
int check_main(char **argv);
int help_main(char **argv);
int version_main(char **argv);

/** run_help(), check_help() - append the help of the verb. */
void run_help(struct buf *b);
void check_help(struct buf *b);

#endif
