/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: one file per verb; what several verbs need stands here. In this release the launcher is the supervisor of its run.
 *  1. sandbox_options(), sandbox_make()   from the words of the command line to policy and plan
 *  2. explain.c                           print them
 *  3. supervise.c                         start, forward signals, time out, report
 */
#ifndef BAILEY_CLI_H
#define BAILEY_CLI_H

#include "gateway/gateway.h"
#include "guard/guard.h"
#include "init/init.h"
#include "jail/jail.h"
#include "policy/policy.h"
#include "review/review.h"
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
	struct meaning examples[8]; /* command lines, which tests run; the last one's what is NULL */
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

struct live;
struct run;
struct stay;

/* Rules of a front. All of it is borrowed while it is used. */
struct sandbox_network_rules {
	const struct net_rule *rules; /* of layer POLICY_COMMAND */
	size_t n;
	struct net_rule *handed; /* what they cover goes to the proxy at the unix socket */
	size_t n_handed;
	const char *socket; /* absolute, or NULL */
};

/* A secret of a front: it is in no store. Texts are borrowed, in memory that no child gets. */
struct sandbox_mask {
	const char *name; /* for the log */
	const char *value, *sentinel;
	const char *const *hosts; /* in their normal form */
	size_t n_hosts;
};

#define SANDBOX_NO_MASK SIZE_MAX

/* Masks that sign for AWS together, by their places in the list of them; for the hosts of the id. */
struct sandbox_pair {
	size_t id, value, token; /* token: or SANDBOX_NO_MASK */
};

struct sandbox_pairs {
	const struct sandbox_pair *v;
	size_t n;
	bool stay; /* v and n have no meaning: they stay as they are */
	bool chunks,
		urls; /* requests signed chunk by chunk, or in the URL, are signed anew; else refused */
};

/* What is shown in the place of a file. */
struct sandbox_text {
	const char *path; /* resolved */
	const char *text;
	size_t len;
};

/* A front: it starts from something else than the native built-in rules and environment (docs/adr/0020). */
struct sandbox_front {
	char **env;        /* of the command, whole */
	bool lawless;      /* nothing is protected in what is writable */
	bool live_sockets; /* every unix socket of the host that the caller could reach */
	int watch;         /* a descriptor that the supervisor's loop waits for, or -1 */
	int (*on_watch)(void *arg, short revents, struct err *e);
	void *arg;
	struct loop_source *source;           /* of watch, while the command runs */
	struct run *run;                      /* the same */
	struct sandbox_network_rules network; /* handed and socket; its rules are values of options */
	const struct upstream *upstream;      /* in the place of the caller's variables, or NULL */
	uint16_t external_http, external_socks; /* as in struct gateway_setup */
	const struct gateway_style *style;      /* the same */
	const char *settings;                   /* the same */
	/* inspection */
	bool inspect_all; /* as in struct net_policy */
	bool opaque;      /* as in struct gateway_setup */
	size_t tunnels;   /* the same */
	unsigned int
		handshake_ms; /* in which a handshake of TLS that is ended must be done, and its first message be there; 0: bailey's own times */
	const struct json_node *strip; /* names of fields that no answer shall have, or NULL */
	const char *ca_certificate, *ca_key; /* files of an authority, or NULL */
	const char *roots;                   /* PEM: what the sandbox trusts, too; or NULL */
	const struct sandbox_mask *masks;
	size_t n_masks;
	void *secrets; /* memory of theirs, erased once nothing is begun anew; or NULL */
	size_t n_secrets;
	struct sandbox_pairs pairs; /* of masks */
	const struct sandbox_text *texts;
	size_t n_texts;
};

/* What options say, unchecked. */
struct sandbox_options {
	const struct opt *table; /* whose targets are here */
	struct opt_list files;   /* --workspace, --allow-write …: in the order given */
	struct opt_list env;     /* --env, --pass-env, --env-file */
	struct opt_list net;     /* --allow-host … --bypass: in the order given */
	struct opt_list secrets; /* --secret, --allow-own-credentials, --login, --ssh-key */
	const char *network, *preset, *precedence;
	bool i_know, ask, open_urls, audit_required;
	const struct json_node *changes; /* of the network of a sandbox that stays, or NULL */
	bool learn; /* where nobody says a word about the network, it is there and refuses */
	bool allow_git_config;
	bool allow_userns, allow_nested_sandbox;
	struct opt_list degraded;
	struct opt_list policies; /* --policy */
	struct opt_list imports;  /* --import-claude-settings */
	const char *timeout;
	const char *limits[POLICY_LIMIT_NUM]; /* --memory … */
	const char *explain;
	const char *report, *audit;
	bool strict, json;
	bool dry_run;
	bool tty, no_tty;
	struct sandbox_front *front; /* NULL: native */
	const char *box;             /* ID of the sandbox that stays; NULL: a run */
	const char *
		cwd; /* where relative paths begin, and nobody can be: it is gone; NULL: the current directory */
};

/** sandbox_options() - the option table of verbs that describe a sandbox; targets are in @o. @size: places in @table. */
void sandbox_options(struct sandbox_options *o, struct opt *table, size_t size);

/** sandbox_options_given() - one of them that was given. Return: its row, or NULL. */
const struct opt *sandbox_options_given(const struct sandbox_options *o);

/** sandbox_options_done() - free the lists. */
void sandbox_options_done(struct sandbox_options *o);

#define SANDBOX_OPTIONS 81

struct removed_env {
	const char *name; /* owned by the arena */
	const char *why;
};

/* Where option values come from that are no words of the command line: a policy file. */
struct opt_source {
	const char *path;
	const char *base;        /* relative paths in it begin here */
	const char *state;       /* for --explain */
	enum policy_layer layer; /* of its denials; grants of POLICY_UNTRUSTED are left out */
	struct policy_file file;
	struct opt_source *next;
};

/* A setting of a file that has no effect. */
struct sandbox_ignored {
	const char *key, *origin, *why;
	struct sandbox_ignored *next;
};

/* A pattern, and what was looked at for it. */
struct sandbox_scan {
	const char *pattern, *origin, *base;
	size_t entries, matches;
	size_t unlisted,
		links; /* directories that can't be listed; symlinks that lead nowhere, or are no grant */
	struct sandbox_scan *next;
};

/* A socket that was judged; the open fd keeps its inode number from being used again. */
struct sandbox_socket {
	const char *path;
	dev_t dev;
	ino_t ino;
	int fd;
	struct sandbox_socket *next;
};

/* Whether the command gets a terminal of its own: where the caller has one, in any case, or never (then it sees pipes). */
enum sandbox_tty { SANDBOX_TTY_AUTO, SANDBOX_TTY, SANDBOX_NO_TTY };

/* A sandbox that is described, not started. Lives in memory that PID 1 shares, with all it points to. */
struct sandbox {
	struct arena arena;
	struct policy policy;
	struct net_policy net;
	struct jail_protect protect;
	struct jail_mountinfo *mounts; /* of a run that has begun, or NULL */
	uint32_t *gate;                /* the same */
	struct jail_host host;
	struct jail_host_ctx host_ctx;
	struct jail_plan plan;
	struct jail_identity id;
	const char *cwd;  /* inside */
	const char *base; /* of the host: where relative paths of the options begin */
	const char *home; /* normalised and resolved, or NULL */
	const char **workspaces;
	size_t n_workspaces;
	char **env; /* of the command */
	struct removed_env *removed;
	size_t n_removed;
	unsigned int allow_degraded;
	enum jail_nested nested;
	enum jail_report report;   /* what is heard of */
	enum jail_report reported; /* and said at the end */
	bool json;                 /* as JSON */
	bool audit_here;           /* the command line names the log */
	bool strict;               /* names that are protected can't be made */
	long timeout_ms;           /* 0: none */
	struct jail_limits limits;
	struct opt_source *sources; /* policy files, lowest layer first */
	struct sandbox_ignored *ignored;
	struct sandbox_scan *scans;
	struct guard_pattern *patterns; /* those that deny reading, for what comes later */
	struct sandbox_socket *sockets;
	struct sandbox_link *links; /* that names of grants lead through (grants.c) */
	const struct sandbox_options
		*options;  /* of the command line; merged with those of files, when there are any */
	struct stay *stay; /* of a sandbox that stays, or NULL */
	bool starts;       /* for a run, not only to say what it would be */
	bool merged;       /* options are our own */
	size_t scanned;    /* names that all patterns looked at */
	bool ask;          /* about connections that no rule speaks of */
	bool open_urls;    /* the command may ask for a browser */
	const char *
		open_dir; /* of the host, with the socket that it asks by; NULL: there is none yet */
	bool audit_required; /* no connection without its line in the log */
	const char **
		inspect; /* LIMIT_INSPECTS places: JSON, an object for each of net.inspects that allows */
	size_t n_inspect;
	size_t n_secrets;      /* of --secret */
	const char *own_store; /* where a sandbox that stays has secrets of its own; NULL: a run */
	const char **own_secrets; /* of these, those that no --secret names */
	size_t n_own_secrets;
	size_t n_ssh;        /* of --ssh-key */
	size_t n_logins;     /* of --login */
	const char *ssh_dir; /* where the sandbox finds the agent of these, once it is there */
	const char *
		ca; /* PEM: what the sandbox shall trust; NULL before keys_answer(), or when nothing is inspected */
	const char *java; /* a Java trust store with it, java_len bytes; or NULL */
	size_t java_len;
	const char **stand_ins; /* "NAME=VALUE": what stands in for secrets */
	size_t n_stand_ins;
	struct published { /* ports of the sandbox that the host may connect to */
		struct net_addr at;
		uint16_t host, inside;
		bool chosen; /* the system has chosen the host's port */
		int fd;      /* once it listens */
	} published[GATEWAY_PUBLISHED];
	size_t n_published;
	const char **notices; /* lines to print when the run starts */
	size_t n_notices;
	enum sandbox_tty tty;
};

/**
 * sandbox_identify() - check the options, collect the rules of files, and choose the ids of the command.
 * @s: zeroed, but for s->arena
 * @owner: as root, use the workspace owner's id instead of a block of ids
 * Return: 0 or negative errno with @e naming the option. sandbox_done() in both cases.
 */
int sandbox_identify(struct sandbox *s, const struct sandbox_options *o, bool owner, struct err *e);

/**
 * sandbox_frame(), sandbox_plan() - after that, in this order: built-in rules and what every mount plan has; what the rules change in it.
 * Return: 0 or negative errno with @e.
 */
int sandbox_frame(struct sandbox *s, struct err *e);
int sandbox_plan(struct sandbox *s, struct err *e);

/** sandbox_make() - that and sandbox_env(), for verbs that start nothing. Return: as those. */
int sandbox_make(struct sandbox *s, const struct sandbox_options *o, struct err *e);

/** sandbox_done() - free everything, release the ids. */
void sandbox_done(struct sandbox *s);

/** sandbox_env() - fill s->env and s->removed from the environment and s->options. Return: 0 or negative errno with @e. */
int sandbox_env(struct sandbox *s, struct err *e);

/** limits_explain(), limits_explain_text() - the limits and what holds the run to them. */
void limits_explain(const struct sandbox *s, struct json *j);
void limits_explain_text(const struct sandbox *s, struct buf *b);

/** nested_name(), nested_words() - a stable word; what it means. */
const char *nested_name(enum jail_nested nested);
const char *nested_words(enum jail_nested nested);

/** limits_notice() - a line that names the limits that are soft; "" when there are none. */
void limits_notice(const struct jail_limits *l, char *out, size_t size);

/** limits_exceeded() - a look of the memory watchdog. */
bool limits_exceeded(const struct jail_limits *l, const struct jail *jail);

/**
 * limits_verdict() - what the limits had to do with the end of a run.
 * @status: exit status, or negative errno when PID 1 ended without a report
 * @out: lines to be printed, or ""
 * Return: the exit status.
 */
int limits_verdict(const struct jail_limits *l, const struct jail_limit_events *ev, int status,
		   char *out, size_t size);

/** protect_say_before() - git directories that are not given, one line each, by @say. */
void protect_say_before(const struct sandbox *s, void (*say)(const char *line));

/**
 * protect_say_after() - protected names that the host gave to other files during the run, and how to allow `git config` when that may be
 * why the command failed (@status).
 */
void protect_say_after(const struct sandbox *s, int status, void (*say)(const char *line));

/** network_words() - what a mode means. */
const char *network_words(enum net_mode m);

/** network_explain(), network_explain_text() - mode and rules, and where each comes from. */
void network_explain(const struct sandbox *s, struct json *j);
void network_explain_text(const struct sandbox *s, struct buf *b);

/** explain() - print policy, plan and layers to stdout; @json: as one JSON object. Return: 0 or negative errno with @e. */
int explain(const struct sandbox *s, char *const *argv, bool json, struct err *e);

/* What a sandbox could do with one path. */
struct judgement {
	bool allowed;
	const char *state;              /* a stable word: "writable", "hidden", "mode" … */
	const char *why;                /* where no rule says it; or NULL */
	const struct policy_rule *rule; /* or NULL */
	const char *option; /* the option that, with the path, would allow it; or NULL */
	const char *other;  /* an option without a path that would, too; or NULL */
	const char *way;    /* where no option would: what else, or NULL */
};

/** judge() - whether the sandbox could read or @write @path (normalised; links on the way to it resolved), by policy, plan and file modes. */
struct judgement judge(const struct sandbox *s, bool write, const char *path);

/** judgement_text() - append a line that says it: "@access PATH: denied, hidden; …". @grant: the path that its option must name */
void judgement_text(const struct judgement *j, const char *access, const char *path,
		    const char *grant, struct buf *b);

#define RELAY_FILES \
	1u /* without Landlock nothing else keeps regular files on 0-2 from being opened again inside */
#define RELAY_INPUT 4u     /* of 0 alone */
#define RELAY_TERMINALS 2u /* a command that must see no terminal */

/* Copies between what stands on 0-2 and pipes, by a process each. */
struct relay {
	pid_t pid[3]; /* 0: none */
	int file[3];  /* what was there before */
};

struct report; /* report.h */

/* Who wants to know what was denied, in the place of stderr. */
struct run_reader {
	void (*report)(void *arg, const struct report *r, const struct sandbox *s); /* or NULL */
	/* at the end of a run that has used its network: where the log is (gateway/audit.h); or NULL */
	void (*network)(void *arg, int dir, int heads, const char *id);
	void *arg;
};

/* A run under supervision. */
struct run {
	struct jail jail;
	struct relay relay;
	struct loop loop;
	struct loop_source *reports; /* of PID 1 */
	struct terminal *terminal;   /* of the command, or NULL */
	int signals;
	long deadline; /* ms of CLOCK_MONOTONIC; 0: none */
	bool timed_out;
	bool dry_run;
	bool stopped;                 /* the command has no terminal, and we stopped it with us */
	bool ended;                   /* the command; only its output is left */
	int status;                   /* exit status then */
	pid_t late;                   /* searches a large workspace; 0: none */
	struct loop_source *late_end; /* its pidfd */
	long late_at; /* when it starts, ms of CLOCK_MONOTONIC; 0: it is not needed, or there */
	long watch;   /* when to look at the memory again, ms of CLOCK_MONOTONIC; 0: never */
	struct jail_limit_events events;
	struct guard guard;
	long watch_at; /* when to ask for the watcher, ms of CLOCK_MONOTONIC; 0: never */
	int watch_tries, watch_restarts;
	struct loop_source *watcher; /* its connection, or NULL */
	const struct jail_limits *limits;
	struct jail_frozen *frozen; /* once the watcher has asked for it */
	long thaw_at,
		thawed; /* at the latest, and when it was, ms of CLOCK_MONOTONIC; 0: it is not frozen, never */
	int unfrozen, unfrozen_why; /* how often it could not be, and the last errno */
	struct report *report;      /* what the observer collects, or NULL */
	struct run_reader reader;
	int counters;          /* of the network namespace of a run without a network; or -1 */
	unsigned long counted; /* what they said when it was complete (no-network.c) */
	int audit;             /* the log, or -1 */
	pid_t observer;        /* 0: none */
	int observer_end;      /* hangs up when the observer ends */
	bool guarded;          /* something that is kept is writable: guard_begin() was called */
	struct egress *egress; /* the gateway's side of it, where there is a network; or NULL */
	struct keys_run *keys; /* bailey-keys, or NULL */
	struct ssh_run *ssh;   /* the agent of --ssh-key, or NULL */
	struct live *live;     /* of a sandbox that stays, or NULL */
	struct open_urls *open_urls; /* or NULL */
	char *const *argv;
	struct review_store store; /* where records are, when there is an overlay workspace */
	struct review_run record;
	struct shared *shared;
};

/**
 * supervise_begin() - begin a run before it is described, so that the kernel works while we plan.
 * @given: as in jail_begin()
 * @relay: RELAY_*: what on 0-2 travels through pipes
 * Return: 0, then supervise() or supervise_abort() must follow; or negative errno with @e.
 */
int supervise_begin(struct run *run, bool given, unsigned int relay, struct err *e);

/**
 * supervise_identify() - let PID 1 prepare, as soon as the ids of the description are known.
 * Return: 0 or negative errno with @e; @ret_no_block as in supervise_build().
 */
int supervise_identify(struct run *run, bool *ret_no_block, struct err *e);

/** supervise_memory() - the memory that the description lies in. */
void supervise_memory(const struct run *run, void **ret, size_t *ret_size);

/** supervise_sandbox() - where the description of the run must be made. */
struct sandbox *supervise_sandbox(struct run *run);

/** supervise_early() - between sandbox_frame() and sandbox_plan(): let PID 1 mount what is certain already. Return: 0 or negative errno with @e. */
int supervise_early(struct run *run, struct err *e);

/**
 * supervise_build() - let PID 1 build what the plan says.
 * @ret_no_block: nothing has run, because root's block of ids can't be used for these mounts: try sandbox_identify() with @owner
 * Return: 0 or negative errno with @e.
 */
int supervise_build(struct run *run, bool dry_run, bool *ret_no_block, struct err *e);

/** guard_say_heal() - sweep up after runs whose bailey was killed; before the plan, which looks at the same files. */
void guard_say_heal(const struct sandbox *s, void (*say)(const char *line));

/** guard_begin_run() - begin to look after what the run may write. */
void guard_begin_run(struct run *run, const struct sandbox *s);

/** guard_say_end() - when nothing of the run is left: what was moved to the quarantine, and the way on, a line each. */
void guard_say_end(struct run *run, const struct sandbox *s, void (*say)(const char *line));

/**
 * supervise() - run @argv in the sandbox, to the end.
 * Return: exit status of bailey, or negative errno with @e, when nothing has run. The run is done with in both cases.
 */
int supervise(struct run *run, char *const *argv, struct err *e);

/** supervise_abort() - end what supervise_begin() began; nothing has run. */
void supervise_abort(struct run *run);

/**
 * overlay_begin() - when the plan has copies: make the record of the run, or take up that of a sandbox that stays, and say in the plan where they are kept.
 * Should come before supervise_build(). Return: 0 or negative errno with @e.
 */
int overlay_begin(struct run *run, char *const *argv, struct err *e);

/** overlay_check() - whether the changes of the copies of a plan could be kept. Return: 0 or negative errno with @e. */
int overlay_check(struct sandbox *s, struct err *e);

struct named_box;

/** overlay_keeps() - whether the changes that the sandbox @box has in its copies are of those of the plan, too. Return: 0; -EBUSY or another negative errno with @e. */
int overlay_keeps(struct sandbox *s, const struct named_box *box, struct err *e);

/** overlay_end() - PID 1 is gone: keep the record and say what is in it, or remove it. */
void overlay_end(struct run *run, void (*say)(const char *line));

/**
 * relay_start() - put a pipe in the place of each stream of a kind in @what (RELAY_*). PID 1 gets the pipes.
 * Return: 0 or negative errno with @e.
 */
int relay_start(struct relay *relay, unsigned int what, struct err *e);

/** relay_finish() - when the run is over: wait until its output is written; @abandon: do not wait. */
void relay_finish(struct relay *relay, bool abandon);

/** cli_close_inherited() - close every descriptor above 2 but @keep (-1: none). Return: 0 or negative errno with @e. */
int cli_close_inherited(int keep, struct err *e);

/** cli_fail() - print "bailey: message", or the help that @e asks for. Return: the exit status of @e. */
int cli_fail(const struct err *e);

/** cli_print() - write @b to stdout. Return: 0, or 125 with a message. */
int cli_print(const struct buf *b);

/**
 * run_to_end() - `bailey run` of @argv, once the words are options.
 * @reader: borrowed; NULL: it is printed
 * Return: exit status, or negative errno with @e, when nothing has run.
 */
int run_to_end(const struct sandbox_options *o, char *const *argv, const struct run_reader *reader,
	       struct err *e);

/** run_live() - run a sandbox that stays, until it is stopped. Return: 0, or negative errno with @e, when nothing has run. */
int run_live(const struct sandbox_options *o, struct live *live, struct err *e);

int run_main(char **argv);
int learn_main(char **argv);
int check_main(char **argv);
int doctor_main(char **argv);
int help_main(char **argv);
int version_main(char **argv);
int trust_main(char **argv);
int quarantine_main(char **argv);
int volume_main(char **argv);
int diff_main(char **argv);
int apply_main(char **argv);
int discard_main(char **argv);
int runs_main(char **argv);
int prune_main(char **argv);
int srt_main(char **argv);
int claude_main(char **argv);
int network_main(char **argv);
int secret_main(char **argv);
int cp_main(char **argv);
int fs_main(char **argv);
int create_main(char **argv);
int exec_main(char **argv);
int attach_main(char **argv);
int logs_main(char **argv);
int sessions_main(char **argv);
int kill_main(char **argv);
int service_main(char **argv);
int start_main(char **argv);
int stop_main(char **argv);
int ls_main(char **argv);
int inspect_main(char **argv);
int rename_main(char **argv);
int rm_main(char **argv);
int pause_main(char **argv);
int resume_main(char **argv);
int extend_main(char **argv);
int events_main(char **argv);
int stats_main(char **argv);
int top_main(char **argv);
int port_main(char **argv);
int reset_main(char **argv);
int service_unit_main(char **argv);

extern const struct command_words run_words, learn_words, check_words, doctor_words, trust_words,
	quarantine_words, volume_words, help_words, version_words, diff_words, apply_words,
	discard_words, runs_words, prune_words, srt_verb_words, claude_words, network_verb_words,
	secret_words_of, cp_words, fs_words, create_words, exec_words, start_words, stop_words,
	ls_words, inspect_words, rename_words, rm_words, pause_words, resume_words, extend_words,
	events_words, stats_words, top_words, port_words, reset_words, service_unit_words,
	attach_words, logs_words, sessions_words, kill_words, service_words;

/** help_verb() - print the help of @c to stdout. Return: exit status. */
int help_verb(const struct command *c);

/** words_json() - append every verb, option and value as one JSON object, of which pages and completions are made. */
void words_json(struct buf *b);

#endif
