/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes that have a name: what the verbs about them share. */
#ifndef BAILEY_CLI_NAMED_H
#define BAILEY_CLI_NAMED_H

#include "cli.h"
#include "policy/policy.h"

/* Where they are kept. */
struct named {
	char path[LIMIT_PATH]; /* of bailey's state */
	int state, runtime;    /* directories */
	struct arena arena;    /* what is read */
};

/* One, as it is kept; all of it belongs to the arena. */
struct named_box {
	const char *id, *name, *cwd;
	const char *ids; /* a number, as root: which block of ids is its own; or NULL */
	const struct json_node *options; /* a list of strings: words of the command line */
};

/** named_open() - find the caller's sandboxes; the directories are made. Return: 0 or negative errno with @e. named_done() in any case. */
int named_open(struct named *n, struct err *e);
void named_done(struct named *n);

/**
 * named_store() - have bailey-store do something.
 * @argv: its words behind the directory, NULL-terminated
 * @input: for its stdin, or NULL
 * @out: what it prints, or NULL: on our stdout
 * Return: its exit status: it has said on stderr why it is not 0; or negative errno with @e.
 */
int named_store(const struct named *n, char *const *argv, const struct buf *input, struct buf *out,
		struct err *e);

/** named_get() - the sandbox @word, a name or an ID. Return: 0; an exit status > 0, and the reason was said; negative errno with @e. */
int named_get(struct named *n, const char *word, struct named_box *ret, struct err *e);

/** named_object() - the same, as it was printed. */
int named_object(struct named *n, const char *word, const struct json_node **ret, struct err *e);

/** named_json() - append the object @v of the store, with its state. */
void named_json(const struct named *n, const struct json_node *v, struct buf *b);

/** named_list() - all of them, the oldest first. Return: as named_get(). @ret: a list of objects */
int named_list(struct named *n, const struct json_node **ret, struct err *e);

/** named_text() - the string @key of the object @node. Return: it, or NULL. */
const char *named_text(const struct json_node *node, const char *key);

/**
 * named_lock() - the lock of the sandbox @id, which its supervisor holds as long as it lives.
 * Return: fd, locked; -EWOULDBLOCK: it lives; -ENOENT: it was removed meanwhile; other negative errno.
 */
int named_lock(const struct named *n, const char *id);

/** named_lock_stopped() - the same, for changes that a sandbox that runs does not take. Return: fd, or negative errno with @e; -EBUSY: it runs. */
int named_lock_stopped(const struct named *n, const struct named_box *box, struct err *e);

/** named_forget() - remove the directory of the sandbox @box, whose lock we hold. */
void named_forget(const struct named *n, const struct named_box *box);

/** named_lives() - whether the sandbox @id lives. */
bool named_lives(const struct named *n, const char *id);

/** named_connect() - to the supervisor of the sandbox @name. Return: fd or negative errno: -ENOENT, -ECONNREFUSED: it is not there. */
int named_connect(const struct named *n, const char *name);

/** named_start() - start it, if it does not live, and wait until it is ready. @ret: which one it is. Return: as named_get(). */
int named_start(struct named *n, const char *word, struct named_box *ret, struct err *e);

/** named_stop() - end it, and wait. Return: 0, also when it does not live; negative errno with @e. */
int named_stop(const struct named *n, const struct named_box *box, unsigned int grace_ms,
	       struct err *e);

#endif
