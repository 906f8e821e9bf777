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

/* A word or a line, and what it means. */
struct meaning {
	const char *what;
	const char *means;
};

/* What there is to say about a verb. Help, manual page and completion are made of it and of its options (docs/adr/0011). */
struct command_words {
	const char *about; /* paragraphs, divided by an empty line */
	const struct opt *(*options)(
		void);              /* a table whose targets nobody reads; NULL: it has none */
	struct meaning examples[6]; /* command lines, which tests run; the last one's what is NULL */
	struct meaning statuses[10]; /* exit statuses; the same */
};

struct command {
	const char *name;
	int (*run)(char **argv); /* words after the verb; Return: exit status */
	const char *usage;       /* "bailey NAME [OPTIONS] OPERAND..." */
	const char *summary;     /* no sentence: "run a command in a sandbox of its own" */
	const struct command_words *words;
};

extern const struct command commands[];

/** command_find() - the verb of that name. Return: it, or NULL with @e, which names one that resembles it. */
const struct command *command_find(const char *name, struct err *e);

/* What options say, unchecked. */
struct sandbox_options {
	struct opt_list files; /* --workspace, --allow-write …: in the order given */
	struct opt_list env;   /* --env, --pass-env */
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

/** explain() - print policy, plan and layers to stdout; @json: as one JSON object. Return: 0 or negative errno with @e. */
int explain(const struct sandbox *s, char *const *argv, bool json, struct err *e);

/* What a sandbox could do with one path. */
struct judgement {
	bool allowed;
	const char *state;              /* a stable word: "writable", "hidden", "mode" … */
	const char *why;                /* where no rule says it; or NULL */
	const struct policy_rule *rule; /* or NULL */
	const char *option; /* the option that, with the path, would allow it; or NULL */
	const char *way;    /* where no option would: what else, or NULL */
};

/** judge() - whether the sandbox could read or @write @path (normalised; links on the way to it resolved), by policy, plan and file modes. */
struct judgement judge(const struct sandbox *s, bool write, const char *path);

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

/** cli_fail() - print "bailey: message", or the help that @e asks for. Return: the exit status of @e. */
int cli_fail(const struct err *e);

/** cli_print() - write @b to stdout. Return: 0, or 125 with a message. */
int cli_print(const struct buf *b);

int run_main(char **argv);
int check_main(char **argv);
int help_main(char **argv);
int version_main(char **argv);

extern const struct command_words run_words, check_words, help_words, version_words;

/** help_verb() - print the help of @c to stdout. Return: exit status. */
int help_verb(const struct command *c);

/** words_json() - append every verb, option and value as one JSON object, of which pages and completions are made. */
void words_json(struct buf *b);

#endif
