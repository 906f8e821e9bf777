/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: what a sandbox may reach, as a value. Pure: no I/O, no globals; paths come in normalised (util path_normalize()).
 *  1. policy_init(), policy_builtin(), policy_add() …   collect rules, each with its layer and origin
 *  2. policy_eval()                                     the state of one path, and the rule that made it
 *  3. policy_env_secret()                               whether a variable of the caller looks like a secret
 *  4. file.h, glob.h                                    policy files and path patterns
 *  5. policy_limit_parse() (limit.h)                    what a run may use
 *  6. net.h                                             network rules, host names, addresses
 *  7. protect.h, git.h                                  what the host executes later, and the files that say where that is
 *  8. ssh.h                                             which ssh key may log in where
 *  9. url.h                                             what a sandbox may ask a browser to open
 * 10. forward.h                                         where an inspection rule sends requests instead
 * Precedence and layers: docs/adr/0004-policy-layers.md.
 */
#ifndef BAILEY_POLICY_H
#define BAILEY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "claude.h"
#include "decider.h"
#include "file.h"
#include "forward.h"
#include "git.h"
#include "glob.h"
#include "layer.h"
#include "limit.h"
#include "net-change.h"
#include "net.h"
#include "protect.h"
#include "srt.h"
#include "ssh.h"
#include "url.h"
#include "util/util.h"

enum policy_kind {
	POLICY_ALLOW_READ,
	POLICY_DENY_READ,
	POLICY_ALLOW_WRITE,
	POLICY_DENY_WRITE,
	POLICY_HIDE,
	POLICY_PRIVATE,   /* an empty writable directory of the run's own */
	POLICY_SOCKET,    /* one unix socket of the host, to connect to */
	POLICY_UNPROTECT, /* lifts what the built-in layer protects (protect.h) */
	POLICY_KIND_NUM
};

struct policy_rule {
	enum policy_kind kind;
	enum policy_layer layer;
	const char *path;   /* absolute, normalised */
	size_t len;         /* of path */
	const char *origin; /* "built-in: SSH keys", "--hide", "file:line" */
	bool copy; /* POLICY_ALLOW_WRITE: what is written is a copy, and the host's tree stays as it is */
};

struct policy {
	struct arena *arena;       /* borrowed; owns rules and strings */
	struct policy_rule *rules; /* sorted by path after policy_seal() */
	size_t n, size;
};

/* What a path is in the sandbox. */
enum policy_state {
	POLICY_SHOW_RO,
	POLICY_SHOW_RW,
	POLICY_IS_DENIED,  /* there, unreadable (EACCES) */
	POLICY_IS_HIDDEN,  /* not there (ENOENT) */
	POLICY_IS_PRIVATE, /* replaced by an empty place that dies with the run */
	POLICY_STATE_NUM
};

struct policy_verdict {
	enum policy_state state;
	const struct policy_rule *read_rule;  /* NULL: the default (reads are allowed) */
	const struct policy_rule *write_rule; /* NULL: the default (writes are denied) */
};

/* Facts about the caller that the built-in rules depend on. */
struct policy_caller {
	const char *home;        /* normalised, or NULL */
	const char *runtime_dir; /* $XDG_RUNTIME_DIR normalised, or NULL */
	const char *state_dir;   /* bailey's own state, normalised, or NULL */
	const char *config_dir;  /* the caller's policy file is there, normalised, or NULL */
	bool own_only; /* hide only bailey's own files and the kernel's: a front has defaults of its own */
	bool host_root; /* the command runs with the host's uid 0 */
	bool own_proc; /* the command may mount a /proc of its own, which the kernel refuses while parts of ours are masked */
};

/** policy_init() - an empty policy whose memory is @arena's. */
void policy_init(struct policy *p, struct arena *arena);

/**
 * policy_add() - add a rule; strings are copied.
 * Return: 0, -EINVAL when @path is not normalised, -EPERM for a grant of an untrusted layer, -E2BIG past LIMIT_RULES, -ENOMEM.
 */
int policy_add(struct policy *p, enum policy_kind kind, enum policy_layer layer, const char *path,
	       const char *origin, struct err *e);

/** policy_add_copy() - add a POLICY_ALLOW_WRITE rule whose writes go to a copy. Return: as policy_add(). */
int policy_add_copy(struct policy *p, enum policy_layer layer, const char *path, const char *origin,
		    struct err *e);

/** policy_copy() - the rule that makes @path (normalised) a place in a copy; the deepest. Return: it, or NULL. Needs no seal. */
const struct policy_rule *policy_copy(const struct policy *p, const char *path);

/** policy_add_static() - like policy_add(), for a normalised @path and an @origin that outlive the policy: nothing is copied. */
int policy_add_static(struct policy *p, enum policy_kind kind, enum policy_layer layer,
		      const char *path, const char *origin, struct err *e);

/** policy_rule_covers() - whether @rule names @path (normalised, @len bytes) or a parent of it. */
static inline bool policy_rule_covers(const struct policy_rule *rule, const char *path, size_t len)
{
	if (rule->len == 1)
		return true;
	/* the cheap test first: most rules are no prefix up to a component's end */
	return rule->len <= len && (path[rule->len] == '/' || !path[rule->len]) &&
	       memcmp(rule->path, path, rule->len) == 0;
}

/** policy_builtin() - add the native built-in rules. Return: as policy_add(). */
int policy_builtin(struct policy *p, const struct policy_caller *caller, struct err *e);

/** policy_rule_is_own() - whether @rule is the built-in one that hides bailey's own files. */
bool policy_rule_is_own(const struct policy_rule *rule);

/** policy_seal() - sort the rules, parents first, after the last policy_add(). */
void policy_seal(struct policy *p);

/** policy_eval() - the state of @path (normalised) in a sealed policy. Never fails: what is in doubt is denied. */
struct policy_verdict policy_eval(const struct policy *p, const char *path);

/**
 * policy_eval_socket() - whether the socket that @rule (of kind POLICY_SOCKET) names may be given.
 * Return: NULL, or the denial that stands against it.
 */
const struct policy_rule *policy_eval_socket(const struct policy *p,
					     const struct policy_rule *rule);

/** policy_grants() - whether rules of @kind give something. */
bool policy_grants(enum policy_kind kind);

/** policy_kind_name() - as in options and policy files: "allow-read" … */
const char *policy_kind_name(enum policy_kind k);

/** policy_state_name() - "read-only", "writable" … */
const char *policy_state_name(enum policy_state s);

/**
 * policy_env_secret() - whether a variable looks like a secret, by its name or its value.
 * Return: what it looks like, for --explain; NULL when it may pass.
 */
const char *policy_env_secret(const char *name, const char *value);

#endif
