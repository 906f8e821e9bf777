/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a sandbox: what may be in each, and the column that keeps it. */
#ifndef BAILEY_STORE_FIELDS_H
#define BAILEY_STORE_FIELDS_H

#include <jansson.h>
#include <sqlite3.h>

#include "store.h"

enum field_kind {
	FIELD_NAME,
	FIELD_ISOLATION,
	FIELD_WORD,  /* a short text */
	FIELD_WORDS, /* an array of texts */
	FIELD_PATH,  /* absolute */
	FIELD_FLAG,
	FIELD_INTERVAL, /* ms, above 0 */
	FIELD_RULES,    /* an object or an array, which nothing here looks into */
	FIELD_VOLUMES,  /* of a table of their own */
	FIELD_NUMBER
};

enum field_flag {
	FIELD_ADD = 1,    /* may be said of a new sandbox */
	FIELD_SET = 2,    /* may be changed */
	FIELD_MUST = 4,   /* must be said of a new one */
	FIELD_NULL = 8,   /* may be null */
	FIELD_COLUMN = 16 /* is kept in a column of its name */
};

struct field {
	const char *key;
	enum field_kind kind;
	unsigned int flags;
	const char *preset; /* JSON, of a new sandbox that says nothing; NULL: null */
};

/* In the order in which they are printed; without id, created and changed. */
extern const struct field fields[];
extern const size_t fields_num;

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

/** fields_check() - whether @o has only what @flag (FIELD_ADD or FIELD_SET) allows, each of its kind. Return: 0 or negative errno. */
int fields_check(const json_t *o, enum field_flag flag, struct err *e);

/** fields_bind() - @value, which was checked, or null, as a column. Return: 0 or -ENOMEM. */
int fields_bind(const struct field *f, const json_t *value, sqlite3_stmt *stmt, int at,
		struct err *e);

/** fields_read() - a column as JSON, owned by the caller. Return: it, or NULL: it is damaged, or there is no memory. */
json_t *fields_read(const struct field *f, sqlite3_stmt *stmt, int at);

#endif
