/* SPDX-License-Identifier: Apache-2.0 */
/* What sandbox_make() is made of. A step each; they fill struct sandbox in this order. */
#ifndef BAILEY_CLI_SANDBOX_H
#define BAILEY_CLI_SANDBOX_H

#include <errno.h>

#include "cli.h"

/** sandbox_keep() - a copy of @str that lives as long as the sandbox. Return: it, or NULL. */
char *sandbox_keep(struct sandbox *s, const char *str);

/**
 * sandbox_path() - path_normalize() for a word that a person wrote. A ".." that would mean two places is refused: a rule must not hit another
 * file than the one that the same word names to ls.
 */
int sandbox_path(const char *word, const char *cwd, const char *home, char *out, struct err *e);

/** sandbox_oom() - "out of memory" in @e. Return: -ENOMEM. */
static inline int sandbox_oom(struct err *e)
{
	(void)err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	return -ENOMEM;
}

/** sandbox_duration() - "10s" in milliseconds; a number without a unit is seconds; 0 is refused. Return: 0 or -EINVAL with @e. */
int sandbox_duration(const char *s, long *ret_ms, struct err *e);

/** sandbox_duration_or_zero() - the same, and 0 is one, too. */
int sandbox_duration_or_zero(const char *s, long *ret_ms, struct err *e);

/** sandbox_degraded() - the layers of --allow-degraded, as bits. Return: 0 or negative errno with @e. */
int sandbox_degraded(const struct opt_list *l, unsigned int *ret, struct err *e);

/** sandbox_tty() - s->tty. Return: 0 or -EINVAL with @e. */
int sandbox_tty(struct sandbox *s, const struct sandbox_options *o, struct err *e);

/** sandbox_report() - s->report. Return: 0 or -EINVAL with @e. */
int sandbox_report(struct sandbox *s, const struct sandbox_options *o, struct err *e);

/** sandbox_strict() - s->strict and what is heard of, of s->options. @words: of the command line. Return: 0 or -EINVAL with @e. */
int sandbox_strict(struct sandbox *s, const struct sandbox_options *words, struct err *e);

/**
 * sandbox_nested() - s->nested, of s->options, and what is to be said of it.
 * @words: of the command line: what they ask for and a file forbids is an error
 * Return: 0 or negative errno with @e.
 */
int sandbox_nested(struct sandbox *s, const struct sandbox_options *words, struct err *e);

/**
 * sandbox_network() - s->net, of s->options and s->sources, and what is to be said of it.
 * @words: of the command line
 * Return: 0 or negative errno with @e.
 */
int sandbox_network(struct sandbox *s, const struct sandbox_options *words, struct err *e);

/** inspect_add() - a value of --inspect or --bypass. Return: 0 or negative errno with @e. */
int inspect_add(struct sandbox *s, const struct opt_value *v, struct err *e);

/** inspect_explain(), inspect_explain_text() - the hosts, and the secrets by name. */
void inspect_explain(const struct sandbox *s, struct json *j);
void inspect_explain_text(const struct sandbox *s, struct buf *b);

/** inspect_names() - append a member @key: the values of the option @option about secrets. */
void inspect_names(const struct sandbox *s, struct json *j, const char *key, const char *option);

/** inspect_add_secret() - inspect @host, too, to which a secret is bound; --bypass of it does not count. */
int inspect_add_secret(struct sandbox *s, const char *host, struct err *e);

/** inspect_check_udp() - Return: 0, or -EINVAL with @e: a host that is inspected could be reached by UDP, which can't be. */
int inspect_check_udp(const struct sandbox *s, struct err *e);

/** inspect_say_bypasses() - a notice for each --bypass that does not count, when all hosts with secrets are known. */
void inspect_say_bypasses(struct sandbox *s);

/** limits_memory() … - a limit as a number, for the rows of the option table. Return: 0 or -EINVAL with @e. */
int limits_memory(const char *text, long *ret, struct err *e);
int limits_cpus(const char *text, long *ret, struct err *e);
int limits_pids(const char *text, long *ret, struct err *e);
int limits_fsize(const char *text, long *ret, struct err *e);
int limits_nofile(const char *text, long *ret, struct err *e);
int limits_disk(const char *text, long *ret, struct err *e);

/** sandbox_limits() - the values of --memory … Return: 0 or -EINVAL with @e. */
int sandbox_limits(struct sandbox *s, const struct sandbox_options *o, struct err *e);

/** sandbox_find_home() - s->home: HOME, else the password file's; resolved, because rules compare resolved paths. */
int sandbox_find_home(struct sandbox *s, struct err *e);

/** sandbox_workspace_path() - of a value of --workspace, how many bytes are the path; what follows, if anything, is its mode. */
size_t sandbox_workspace_path(const char *value);

/** sandbox_workspaces() - the workspaces, and their rules; @cwd is absolute. Return: 0 or negative errno with @e. */
int sandbox_workspaces(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		       struct err *e);

/** sandbox_paths() - the rules of the path options, after the workspaces. Return: 0 or negative errno with @e. */
int sandbox_paths(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		  struct err *e);

/* A path option or a path of a policy file, on its way to rules. */
struct sandbox_path {
	const struct opt_value *value;
	enum policy_kind kind;
	enum policy_layer layer;
	const char *base;   /* relative paths begin here */
	const char *origin; /* of its rules */
	bool required;      /* a grant of what is not there is an error */
};

/**
 * sandbox_place() - add the rules of one place. A rule names the place that the path leads to; a denial also the link that leads there.
 * @norm: normalised
 * Return: 0 or negative errno with @e.
 */
int sandbox_place(struct sandbox *s, const struct sandbox_path *p, const char *norm, struct err *e);

/**
 * sandbox_note_links() - keep the links that the name of a grant leads through, for sandbox_judge_links() (grants.c).
 * @norm, @real: normalised, and where that leads to
 * @unprotects: they must not lead to another place of their tree either
 * Return: 0 or negative errno with @e.
 */
int sandbox_note_links(struct sandbox *s, const char *norm, const char *real, const char *where,
		       bool unprotects, struct err *e);

/**
 * sandbox_judge_links() - a grant leads through no link that lies in the current directory, a workspace or another writable tree and leads out of
 * that: an earlier run may have left it there. When all rules are known. Return: 0, or -ELOOP with @e.
 */
int sandbox_judge_links(const struct sandbox *s, const char *cwd, struct err *e);

/** sandbox_pattern() - add the rules of a path with special characters (globs.c). Return: 0 or negative errno with @e. */
int sandbox_pattern(struct sandbox *s, const struct sandbox_path *p, struct err *e);

/** sandbox_socket() - add the rule of a socket that is given (socket.c). Return: 0 or negative errno with @e. */
int sandbox_socket(struct sandbox *s, const struct sandbox_path *p, struct err *e);

/** sandbox_socket_ops() - write into the plan which inodes were judged. */
void sandbox_socket_ops(struct sandbox *s);

/** sandbox_notice() - a line that the run prints at its start. */
__attribute__((format(printf, 2, 3))) void sandbox_notice(struct sandbox *s, const char *fmt, ...);

/** sandbox_say_notices() - print those lines on stderr, where nothing is started. */
void sandbox_say_notices(const struct sandbox *s);

/** sandbox_ignore() - note a setting that has no effect. Return: 0 or -ENOMEM with @e. */
int sandbox_ignore(struct sandbox *s, const struct opt_value *v, const char *why, struct err *e);

/** sandbox_where() - "--name", or "FILE:LINE:COLUMN: key", for messages about @v; @out: LIMIT_WHERE bytes. Return: @out. */
const char *sandbox_where(const struct opt_value *v, char *out);

/** sandbox_origin() - "--name", or "FILE:LINE", for rules. Return: a string of the arena; or NULL. */
const char *sandbox_origin(struct sandbox *s, const struct opt_value *v);

/** sandbox_grants_overruled() - a notice for each grant of the command line that a file's denial takes away. */
void sandbox_grants_overruled(struct sandbox *s);

/** sandbox_builtins() - the built-in rules, for every home that counts. Return: 0 or negative errno with @e. */
int sandbox_builtins(struct sandbox *s, struct err *e);

/** sandbox_protect() - rules for what the host executes later, after every other rule. Return: 0 or negative errno with @e. */
int sandbox_protect(struct sandbox *s, struct err *e);

#endif
