/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite, as the rest of this room uses it: errors in words, statements that end with their scope, transactions. */
#ifndef BAILEY_STORE_DB_H
#define BAILEY_STORE_DB_H

#include <sqlite3.h>

#include "store.h"

struct store {
	sqlite3 *db;
	int dir;
	char path[LIMIT_PATH + sizeof(STORE_FILE)]; /* for people */
};

static inline void cleanup_stmt(sqlite3_stmt **s)
{
	(void)sqlite3_finalize(*s); /* what it returns was said by the last step */
}

#define _cleanup_stmt_ _cleanup_(cleanup_stmt)

/** db_fail() - describe @rc of sqlite. Return: negative errno. */
int db_fail(struct store *s, int rc, struct err *e);

/** db_exec() - statements without results. Return: 0 or negative errno. */
int db_exec(struct store *s, const char *sql, struct err *e);

/** db_number() - the one number that @sql gives. Return: 0 with @ret, or negative errno. */
int db_number(struct store *s, const char *sql, int64_t *ret, struct err *e);

/** db_prepare() - Return: 0 with @ret, owned by the caller, or negative errno. */
int db_prepare(struct store *s, const char *sql, sqlite3_stmt **ret, struct err *e);

/** db_step() - Return: 1: there is a row; 0: there is none; negative errno. */
int db_step(struct store *s, sqlite3_stmt *stmt, struct err *e);

/** db_text() - bind a text that outlives @stmt, or null. A failure shows in the next step, as a value that must not be null. */
void db_text(sqlite3_stmt *stmt, int at, const char *text);

/** db_column() - a text of the row, until the next step; "" for null. */
const char *db_column(sqlite3_stmt *stmt, int at);

/** db_begin() - @write: this is the one writer now; else what is read is of one moment. Return: 0 or negative errno. */
int db_begin(struct store *s, bool write, struct err *e);

/** db_end() - keep what was done since db_begin() when @r is not negative; else undo it. Return: @r, or negative errno. */
int db_end(struct store *s, int r, struct err *e);

/**
 * db_made_room() - what takes something away has failed with @r: where there was no space, that of the WAL is given back, whose contents fit into state.db in
 * most cases. Not within a transaction. Return: whether it is worth another try, with @e as new.
 */
bool db_made_room(struct store *s, int r, struct err *e);

/** db_not_found() - say so, and which of the names in @table is the nearest. Return: negative errno. */
int db_not_found(struct store *s, const char *what, const char *table, const char *word,
		 struct err *e);

/** db_now() - ns since 1970. */
int64_t db_now(void);

#endif
