/* SPDX-License-Identifier: Apache-2.0 */
/*
 * review: what an overlay workspace changed, and what becomes of it (docs/adr/0015).
 *  1. review_store_open(), review_begin() … review_end()   a run keeps its changes in a record
 *  2. review_find(), review_open()                         a record is found again and locked
 *  3. review_walk()                                        what differs between the host now and the run's version
 *  4. review_diff(), review_apply(), review_remove()       print it, take it over, throw it away
 * A record is the directory runs/ID/ of bailey's state: "run" (record.c), "journal" while changes are applied, and per tree N "N/upper" and "N/work".
 */
#ifndef BAILEY_REVIEW_H
#define BAILEY_REVIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "policy/policy.h"
#include "util/util.h"

#define REVIEW_ID 10      /* lowercase hexadecimal digits of an ID */
#define REVIEW_ID_LEAST 4 /* of them, that are enough where they are unique */

/* A directory that was shown as a copy. */
struct review_tree {
	const char *path; /* absolute, normalised */
	bool git;         /* a shared git directory, which came with a workspace */
};

/* What the file "run" says. Strings are the arena's that it was read into. */
struct review_record {
	char id[REVIEW_ID + 1];
	struct timespec start; /* what the host changed later, the command may not have seen */
	const char *cwd;
	const char *const *argv; /* NULL-terminated */
	const struct review_tree *trees;
	size_t n_trees;
};

/** review_record_print() - append the text of @r. */
void review_record_print(struct buf *b, const struct review_record *r);

/** review_record_parse() - the same backwards; pure. Return: 0, -EBADMSG or -ENOMEM with @e. */
int review_record_parse(const char *text, size_t n, struct arena *arena, struct review_record *ret,
			struct err *e);

/* The directory of all records. */
struct review_store {
	int fd; /* -1: there is none */
	char path[LIMIT_PATH];
	/* by who opens it, or NULL: remove what holds files of ids that are not the caller's. Return: 0 or negative errno */
	int (*remove)(int dir, const char *name);
};

/**
 * review_store_open() - open the directory @path; there may be none.
 * What interrupted commands left is mended. Return: 0 or negative errno with @e.
 */
int review_store_open(struct review_store *s, const char *path, struct err *e);

void review_store_done(struct review_store *s);

/* A record that a run fills. */
struct review_run {
	struct review_record record; /* borrowed strings */
	int lock;                    /* held while the run lives; PID 1 has it, too */
	bool begun;
};

/**
 * review_begin() - make the directories of a record, under a name of its own, and write "run".
 * @run: record.cwd, argv and trees filled by the caller; id and start are filled here
 * @owner, @group: whose the layers must be; (uid_t)-1: the caller's
 * Return: 0 or negative errno with @e: then there is no record.
 */
int review_begin(const struct review_store *s, struct review_run *run, uid_t owner, gid_t group,
		 struct err *e);

/**
 * review_resume() - the same for a sandbox that stays: its record has the ID of the sandbox, and is taken up again where there is one.
 * @id: REVIEW_ID digits
 * Return: as review_begin(); -EBUSY: another command has it, or it is of other trees.
 */
int review_resume(const struct review_store *s, struct review_run *run, const char *id, uid_t owner,
		  gid_t group, struct err *e);

/** review_same_trees() - whether the changes of the one are of the same places as those of the other, in their order. */
bool review_same_trees(const struct review_record *a, const struct review_record *b);

/** review_layer() - the absolute path of the layers of tree @i. @out: LIMIT_PATH bytes. Return: 0 or -ENAMETOOLONG. */
int review_layer(const struct review_store *s, const struct review_run *run, size_t i, char *out);

/** review_keep() - the run is over and there is something to review: make that last. */
void review_keep(const struct review_store *s, struct review_run *run);

/** review_drop() - remove the record of a run that is over, or that never began. */
void review_drop(const struct review_store *s, struct review_run *run);

enum review_state { REVIEW_ENDED, REVIEW_LIVE, REVIEW_BROKEN };

/* A record that was opened. */
struct review {
	const struct review_store *store; /* borrowed */
	struct arena arena;
	struct review_record record;
	enum review_state
		state; /* REVIEW_LIVE: its run, or another command that changes it, holds it */
	char why[200]; /* REVIEW_BROKEN: what is wrong with it */
	int dir;       /* of the record */
	bool locked;   /* it is ours alone */
};

#define REVIEW_INIT                                                                 \
	{                                                                           \
		.arena = ARENA_INIT(LIMIT_REVIEW_ARENA), .dir = -1, .locked = false \
	}

/**
 * review_open() - read the record @id.
 * @change: lock it: fails with -EBUSY while its run lives
 * Return: 0, -ENOENT when there is none, or negative errno with @e. review_done() in all cases.
 */
int review_open(struct review *r, const struct review_store *s, const char *id, bool change,
		struct err *e);

void review_done(struct review *r);

/** review_list() - call @each for every record, the oldest start first. Return: 0, or what @each returned, or negative errno with @e. */
int review_list(const struct review_store *s,
		int (*each)(void *arg, struct review *r, struct err *e), void *arg, struct err *e);

/** review_is_id() - whether @word could be (the beginning of) an ID. */
bool review_is_id(const char *word);

/**
 * review_find() - the record whose ID begins with @word; NULL: the last whose trees hold @cwd.
 * @id: REVIEW_ID + 1 bytes
 * Return: 0, or -ENOENT, -EEXIST (several) with @e.
 */
int review_find(const struct review_store *s, const char *word, const char *cwd, char *id,
		struct err *e);

/** review_remove() - remove the record, which is locked. Return: 0 or negative errno with @e. */
int review_remove(struct review *r, struct err *e);

enum review_kind {
	REVIEW_ADDED,
	REVIEW_MODIFIED,
	REVIEW_DELETED,
	REVIEW_RENAMED, /* added, with the bytes of something that is deleted: from */
	REVIEW_MODE,    /* only the permission bits */
	REVIEW_TYPE,    /* another kind of file has the name */
	REVIEW_KIND_NUM
};

/* How a file of the host was when it was compared: it must still be that when it is changed. */
struct review_seen {
	dev_t dev;
	ino_t ino;
	struct timespec mtime, ctime;
};

/* One difference between the host now and the run's version. */
struct review_change {
	const char *path; /* relative to the tree; "." is the tree itself */
	size_t tree;
	enum review_kind kind;
	mode_t old_mode, new_mode; /* with the type; 0: not there */
	off_t old_size, new_size;
	struct review_seen seen; /* of the host, when old_mode is not 0 */
	const char *conflict; /* why the host's version is not the one the run began with; or NULL */
	const char *refused;  /* why it can't be taken over at all; or NULL */
	const struct policy_protected *row; /* the host executes or obeys it later; or NULL */
	size_t git; /* bytes of path that are a git directory; 0: not in one. The tree itself: 1 */
	struct review_change *from; /* REVIEW_RENAMED: what is deleted */
	bool moved;                 /* REVIEW_DELETED: it is the from of another */
};

struct review_changes {
	struct review_change *v; /* sorted by tree and path */
	size_t n, size;
	struct arena arena;
};

#define REVIEW_CHANGES_INIT                                                           \
	{                                                                             \
		.v = NULL, .n = 0, .size = 0, .arena = ARENA_INIT(LIMIT_REVIEW_ARENA) \
	}

/* What is protected on the host now, whatever its name: found by the search that a run begins with (jail/protect.h). */
struct review_named {
	const char *path; /* absolute */
	const struct policy_protected *row;
};

/* The host, as far as it says what is protected. */
struct review_host {
	const char *
		home; /* the caller's home directory, or NULL: start-up files in it are protected */
	const struct review_named *named;
	size_t n_named;
};

/** review_walk() - everything that differs. Return: 0 or negative errno with @e. */
int review_walk(const struct review *r, const struct review_host *host, struct review_changes *ret,
		struct err *e);

/** review_renames() - find what was only moved. Return: 0 or negative errno with @e. */
int review_renames(const struct review *r, struct review_changes *c, struct err *e);

void review_changes_done(struct review_changes *c);

/** review_kind_name() - "added" … */
const char *review_kind_name(enum review_kind k);

/** review_path() - the change's absolute path on the host. @out: LIMIT_PATH bytes. Return: 0 or -ENAMETOOLONG. */
int review_path(const struct review *r, const struct review_change *c, char *out);

enum review_form { REVIEW_PATCH, REVIEW_STAT, REVIEW_NAMES, REVIEW_JSON };

struct review_print {
	enum review_form form;
	bool all;      /* also what is in git directories, one by one */
	bool terminal; /* control characters are made visible */
	bool colour;
	int (*put)(
		struct buf
			*b); /* write and empty @b. Return: 0, or what review_diff() is to return */
};

/** review_diff() - print the changes. Return: 0 or negative errno with @e, or what put() returned. */
int review_diff(const struct review *r, struct review_changes *c, const struct review_print *p,
		struct err *e);

/** review_visible() - append @n bytes of text with control characters, loose bytes and marks of direction made visible. */
void review_visible(struct buf *b, const char *s, size_t n);

/* What becomes of a change. */
enum review_fate {
	REVIEW_LEFT, /* not asked for */
	REVIEW_DONE, /* or would be, in a dry run */
	REVIEW_CONFLICT,
	REVIEW_PROTECTED, /* needs a word of its own */
	REVIEW_REFUSED,
	REVIEW_FAILED,
	REVIEW_FATE_NUM
};

struct review_apply {
	/* by the caller: absolute, normalised paths; what lies below them counts, too */
	const char *const *paths; /* NULL-terminated; NULL: all */
	const char *const *yes;   /* protected ones that may be applied */
	const char *const *force; /* the run's version, whatever the host did */
	bool dry_run;
	/* the answer */
	enum review_fate *fate; /* per change; owned: free() */
	size_t count[REVIEW_FATE_NUM];
	char why[200]; /* of the first that failed */
};

/**
 * review_apply() - take changes over to the host; nothing is changed when one of them is in conflict.
 * @r: locked, unless it is a dry run
 * Return: 0, also when changes were left (see @a->count); negative errno with @e when it could not go on.
 */
int review_apply(struct review *r, const struct review_changes *c, struct review_apply *a,
		 struct err *e);

/** review_fate_name() - "applied" … */
const char *review_fate_name(enum review_fate f);

/*
 * The parts that read what the command wrote, and are pure (fuzz/record.c, fuzz/lines.c).
 */

/** review_journal_next() - the next entry of a journal. Return: bytes used, 0 at the end or at an entry that is not whole. */
size_t review_journal_next(const char *text, size_t n, size_t *ret_tree, const char **ret_dir,
			   const char **ret_name);

/* A piece of a comparison: @n lines of one side, or of both. */
struct review_edit {
	char op; /* ' ' both, '-' old, '+' new */
	size_t old, new, n;
};

struct review_text {
	const char *data;
	size_t size;
	const char **line; /* n + 1 places: the last is the end */
	size_t n;
};

/** review_text_split() - find the lines of @data, which is borrowed. Return: 0 or -ENOMEM. review_text_done(). */
int review_text_split(struct review_text *t, const char *data, size_t size);
void review_text_done(struct review_text *t);

/** review_lines() - what makes @b of @a. @ret: owned, free(). Return: how many pieces, or -ENOMEM. */
long review_lines(const struct review_text *a, const struct review_text *b,
		  struct review_edit **ret);

/** review_names_protected() - the row of the table for a name below a tree; pure. */
const struct policy_protected *review_names_protected(const char *path, bool git_tree, mode_t type,
						      size_t *ret_git);

#endif
