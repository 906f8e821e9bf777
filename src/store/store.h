/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: what named sandboxes and volumes are (docs/adr/0026). Whether a sandbox lives is not here: who holds its lock is alive.
 *  1. store_db_open()       state.db of a state directory
 *  2. store_sandbox_…(), store_volume_…()
 *  3. store_db_close()
 *
 * One writer. Each function below is one transaction of its own. One that writes begins with BEGIN IMMEDIATE, so that what it reads can't
 * change under it, and waits for its turn STORE_BUSY_MS at most; readers see the state as it was when they began, and wait for nobody.
 *
 * Crashes. A function that has returned 0 has its change on the disk. One that has failed, was killed, or whose machine went down has changed
 * everything or nothing, and the next one that opens the store finds it usable, without help. What it returned is no proof of the
 * second when writing itself failed (-EIO): the message says so.
 *
 * Errors are ERR_USAGE for what the caller can mend: -ENOENT (the message names what comes nearest), -EEXIST, -EBUSY (used) and -ESTALE (another
 * generation), else bad input, which names the field; all others are failures of the store. store_exit() makes exit codes of them.
 */
#ifndef BAILEY_STORE_H
#define BAILEY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/util.h"

#define STORE_PROGRAM "bailey-store"
#define STORE_FILE "state.db"

#define STORE_ID 10      /* hexadecimal digits, as runs have */
#define STORE_ID_LEAST 4 /* of them are enough, when no other sandbox begins with them */
#define STORE_NAME_MAX 63
#define STORE_NAME_RULE \
	"1 to 63 lower-case letters, digits, '-', '.' and '_', a letter or digit first, and not 10 hexadecimal digits, which are an id"
#define STORE_INPUT (1u << 20) /* bytes of one JSON text */
#define STORE_BUSY_MS 10000

/* What bailey-store ends with. */
enum store_exit {
	STORE_EXIT_GOOD = 0,
	STORE_EXIT_INPUT = 2,    /* wrong words, or a field that the message names */
	STORE_EXIT_ABSENT = 3,   /* no such sandbox or volume */
	STORE_EXIT_CONFLICT = 4, /* the name is taken, the volume used, the generation another */
	STORE_EXIT_FAILED = 125,
};

struct json_t; /* jansson's */
struct store;

/**
 * store_name_ok() - whether @s can be the name of a sandbox or a volume: 1 to STORE_NAME_MAX lower-case letters, digits, hyphens, dots and underscores,
 * a letter or digit first; not one that could be an id.
 */
bool store_name_ok(const char *s);

/** store_name_check() - the same, with words. Return: 0 or negative errno. */
int store_name_check(const char *s, struct err *e);

/** store_exit() - the exit code for @e. */
enum store_exit store_exit(const struct err *e);

/**
 * store_db_open() - open state.db below @state_dir, with what it needs of migrations.
 * @state_dir: absolute; must be the caller's, and nobody else's to write
 * @make: create directory and file when they are not there
 * @ret: owned by the caller
 * It becomes the working directory of the process: sqlite names its files relative to it, so that nothing above can be swapped meanwhile.
 * Return: 0; -ENOENT without @e when there is nothing and @make is false; negative errno.
 */
int store_db_open(const char *state_dir, bool make, struct store **ret, struct err *e);

/** store_db_close() - takes NULL. Return: NULL. */
struct store *store_db_close(struct store *s);

/** store_json_parse() - strict: one object, no key twice, at most STORE_INPUT bytes. Return: 0 with @ret, owned by the caller; negative errno. */
int store_json_parse(const char *text, size_t n, struct json_t **ret, struct err *e);

/**
 * store_sandbox_add() - a new sandbox of the members of @o: "name" and "cwd", and what else README.md lists.
 * Return: 0 with its id, or negative errno.
 */
int store_sandbox_add(struct store *s, const struct json_t *o, char ret_id[STORE_ID + 1],
		      struct err *e);

/** store_sandbox_get() - the one whose name, id or unique beginning of an id @word is. Return: 0 with @ret, owned by the caller; negative errno. */
int store_sandbox_get(struct store *s, const char *word, struct json_t **ret, struct err *e);

/** store_sandbox_list() - all, by name. Return: 0 with an array, owned by the caller; negative errno. */
int store_sandbox_list(struct store *s, struct json_t **ret, struct err *e);

/** store_sandbox_rename() - @word: name or id. Return: 0 or negative errno. */
int store_sandbox_rename(struct store *s, const char *word, const char *name, struct err *e);

/** store_sandbox_remove() - @word: name or id. Its volumes stay. Return: 0 or negative errno. */
int store_sandbox_remove(struct store *s, const char *word, struct err *e);

/**
 * store_sandbox_set() - change what @o names; nothing, when its "generation" is another.
 * @word: name or id
 * Return: 0 with the new generation, or negative errno.
 */
int store_sandbox_set(struct store *s, const char *word, const struct json_t *o,
		      int64_t *ret_generation, struct err *e);

/** store_volume_add() - @limit: bytes, or -1: none. Return: 0 or negative errno. */
int store_volume_add(struct store *s, const char *name, int64_t limit, struct err *e);

/** store_volume_list() - all, by name, each with who uses it. Return: 0 with an array, owned by the caller; negative errno. */
int store_volume_list(struct store *s, struct json_t **ret, struct err *e);

/** store_volume_remove() - refused while a sandbox uses it. Return: 0 or negative errno. */
int store_volume_remove(struct store *s, const char *name, struct err *e);

#endif
