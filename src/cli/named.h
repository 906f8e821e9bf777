/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes that have a name: what the verbs about them share. */
#ifndef BAILEY_CLI_NAMED_H
#define BAILEY_CLI_NAMED_H

#include "cli.h"
#include "policy/policy.h"
#include "wire/wire.h"

/* Before its id: the name of the directory of a sandbox that is being removed. */
#define NAMED_AWAY "~"

/* Where they are kept. */
struct named {
	char path[LIMIT_PATH]; /* of bailey's state */
	int state, runtime;    /* directories */
	struct arena arena;    /* what is read */
	int answer_ms;         /* how long a supervisor has for an answer; 0: some seconds */
	bool quiet;            /* what bailey-store says on stderr is nobody's business */
};

/* One, as it is kept; all of it belongs to the arena. */
struct named_box {
	const char *id, *name, *cwd;
	const char *ids; /* a number, as root: which block of ids is its own; or NULL */
	const struct json_node *options; /* a list of strings: words of the command line */
	const struct json_node *changes; /* of its network (policy/net-change.h): a list, or NULL */
	const struct json_node
		*services;      /* what runs in it by itself (service-def.h): a list, or NULL */
	const char *generation; /* a number */
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

/** named_find() - the same, and not a word when there is none, or nothing that could keep one. Return: whether there is. */
bool named_find(struct named *n, const char *word, struct named_box *ret);

/* Which one a word means. */
struct named_ref {
	char id[11], name[64]; /* name "": none */
	bool copies;           /* it has overlay workspaces */
};

/** named_ref() - named_find() for who needs no more of it. Return: whether there is one. */
bool named_ref(const char *word, struct named_ref *ret);

/** named_object() - the same, as it was printed. */
int named_object(struct named *n, const char *word, const struct json_node **ret, struct err *e);

/** named_json() - append the object @v of the store, with its state. */
void named_json(const struct named *n, const struct json_node *v, struct buf *b);

/** named_list() - all of them, the oldest first. Return: as named_get(). @ret: a list of objects */
int named_list(struct named *n, const struct json_node **ret, struct err *e);

/** named_list_quiet() - the same, and not a word when they can't be had. Return: whether they could. */
bool named_list_quiet(struct named *n, const struct json_node **ret);

/**
 * named_kept() - that what the store knows was not lost: whoever removes what nobody has asks that first.
 * Return: 0; -ENOENT with @e: there is no store, but something of sandboxes or volumes.
 */
int named_kept(const struct named *n, struct err *e);

/**
 * named_lock() - the lock of the sandbox @id, which its supervisor holds as long as it lives.
 * @ret_new: whether there was no directory: either it was never started, or it was removed, which the store knows
 * Return: fd, locked; -EWOULDBLOCK: it lives; -ENOENT: it was removed meanwhile; other negative errno.
 */
int named_lock(const struct named *n, const char *id, bool *ret_new);

/** named_changed() - the store has something new of the sandbox @id, whose lock we hold: who is about to start it reads it again. */
void named_changed(const struct named *n, const char *id);

/** named_settle() - the lock of @box, or that it is complete; what is between is waited for. Return: 1 with *@ret_lock; 0: it lives; negative errno with @e. */
int named_settle(const struct named *n, const struct named_box *box, int *ret_lock, struct err *e);

/** named_turn() - the turn of who changes what is kept of a sandbox that lives, and what it does, together. Return: fd, to be closed afterwards; negative errno with @e. */
int named_turn(const struct named *n, const struct named_box *box, struct err *e);

/**
 * named_keep() - have the store keep @json as the field @key of @box, as it was read.
 * @ret_generation: the new one
 * Return: 0; -ESTALE: somebody else has changed the sandbox since; another negative errno with @e.
 */
int named_keep(struct named *n, const struct named_box *box, const char *key, const char *json,
	       const char **ret_generation, struct err *e);

/** named_set() - the same of several fields: @what is an object of them, with the generation. */
int named_set(struct named *n, const struct named_box *box, const struct buf *what,
	      const char **ret_generation, struct err *e);

/** named_lock_stopped() - the same, for changes that a sandbox that runs does not take. Return: fd, or negative errno with @e; -EBUSY: it runs. */
int named_lock_stopped(const struct named *n, const struct named_box *box, struct err *e);

/**
 * named_mark() - the mark that the sandbox @id was not ended on purpose (life.c). @state: directory of bailey's state
 * @up: set it; else remove it
 * Return: whether it stood there before; @up: of a life whose end nobody has written down.
 */
bool named_mark(int state, const char *id, bool up);

/** named_mark_written() - where it stands: the end of the sandbox is written down. */
void named_mark_written(int state, const char *id);

/** named_sync() - have the mark on the disk. */
void named_sync(int state, const char *id);

/** named_marked() - whether it stands there. */
bool named_marked(const struct named *n, const char *id);

/** named_dir() - make the directory of the sandbox @id. */
void named_dir(const struct named *n, const char *id);

/** named_remove() - remove @box, which does not run, with all of its own. Return: as named_get(); -EBUSY with @e: it runs, or has changes that nobody has reviewed, unless @force. */
int named_remove(const struct named *n, const struct named_box *box, bool force, struct err *e);

/** named_forget_socket() - remove the socket of @box, whose lock we hold, while nobody else can have its name. */
void named_forget_socket(const struct named *n, const struct named_box *box);

/** named_log() - open what the supervisors of the sandbox @id have said. Return: fd, or -1: it was never started. */
int named_log(const struct named *n, const char *id);

/** named_lives() - whether the sandbox @id lives. */
bool named_lives(const struct named *n, const char *id);

/** named_gone() - what wire_recv() has returned, not 1: the sandbox has ended, or speaks another version. Return: negative errno with @e. */
int named_gone(int r, struct err *e);

/** named_connect() - to the supervisor of the sandbox @name. Return: fd or negative errno: -ENOENT, -ECONNREFUSED: it is not there, or not yet. */
int named_connect(const struct named *n, const char *name);

/** named_reach() - the same; one that is about to be complete is waited for. Return: fd; -ENOENT: it does not live; -ETIMEDOUT; other negative errno. */
int named_reach(const struct named *n, const struct named_box *box);

/**
 * named_ask() - send @m (WIRE_ASK, PAUSE, RESUME, EXTEND) to the supervisor of @box, and wait for what it says.
 * Return: 0 with @ret; -ENOENT without @e: it does not live; negative errno with @e, which may be the supervisor's.
 */
int named_ask(const struct named *n, const struct named_box *box, const struct wire_msg *m,
	      struct wire_msg *ret, struct err *e);

/** named_order() - the same, of a sandbox that must live: -EBUSY with @e when it does not. */
int named_order(const struct named *n, const struct named_box *box, const struct wire_msg *m,
		struct wire_msg *ret, struct err *e);

/* What is done with one operand, or with the sandbox that it names. Return: 0, negative errno with @e, or an exit status whose reason was said. */
typedef int named_word_fn(struct named *n, const char *word, const void *arg, struct err *e);
typedef int named_box_fn(struct named *n, const struct named_box *box, const void *arg,
			 struct err *e);

/* For the help of verbs that use these. */
#define NAMED_SEVERAL \
	"Of several names each is tried; the exit status is that of the first that failed."

/**
 * named_words(), named_boxes() - @fn for each of @words. What fails is said, and keeps no other from it.
 * Return: exit status of the first that failed, or 0; 4: -EBUSY of @fn.
 */
int named_words(struct named *n, char *const *words, named_word_fn *fn, const void *arg);
int named_boxes(struct named *n, char *const *words, named_box_fn *fn, const void *arg);

/**
 * named_each() - a verb whose operands are sandboxes: named_boxes().
 * @table: its options, whose targets @fn finds by @arg
 * @verb: its name
 * Return: exit status
 */
int named_each(char **argv, const struct opt *table, const char *verb, named_box_fn *fn,
	       const void *arg);

/** named_order_one() - for named_each(): named_order() with the struct wire_msg @m. */
int named_order_one(struct named *n, const struct named_box *box, const void *m, struct err *e);

/** named_box() - what the object @v of the store says. Return: whether all of it is there. */
bool named_box(const struct json_node *v, struct named_box *ret);

/** named_start() - start it, if it does not live, and wait until it is ready. @ret: which one it is. Return: as named_get(). */
int named_start(struct named *n, const char *word, struct named_box *ret, struct err *e);

/** named_stop() - end it, and wait. Return: 0, also when it does not live, or when somebody has started it again; negative errno with @e. */
int named_stop(const struct named *n, const struct named_box *box, unsigned int grace_ms,
	       struct err *e);

#endif
