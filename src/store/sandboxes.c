/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "db.h"
#include "fields.h"

#define TRIES 8
#define NEW_COLUMNS 4 /* id, created, changed, generation: before those of the table of fields */
#define READ "SELECT id, created, changed, generation"

static int out_of_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

static int new_id(char out[STORE_ID + 1], struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[STORE_ID];
	size_t i;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_sys(e, -errno, "random numbers");
	for (i = 0; i < STORE_ID; i++)
		out[i] = digits[bytes[i] & 15];
	out[STORE_ID] = '\0';
	return 0;
}

/* Names never look like ids, so one word means one sandbox. Return: 1 with its id; 0; negative errno. */
static int look_up(struct store *s, const char *word, char ret_id[STORE_ID + 1], struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(s, "SELECT id FROM sandboxes WHERE name = ?1 OR id = ?1", &stmt, e);

	if (r < 0)
		return r;
	db_text(stmt, 1, word);
	r = db_step(s, stmt, e);
	if (r == 1)
		(void)snprintf(ret_id, STORE_ID + 1, "%s", db_column(stmt, 0)); /* it fits */
	return r;
}

static int find(struct store *s, const char *word, char ret_id[STORE_ID + 1], struct err *e)
{
	int r = look_up(s, word, ret_id, e);

	if (r == 0)
		return db_not_found(s, "sandbox", "sandboxes", word, e);
	return r < 0 ? r : 0;
}

/* The same, and the beginning of an id when no other has it. */
static int find_any(struct store *s, const char *word, char ret_id[STORE_ID + 1], struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	size_t n = strnlen(word, STORE_ID);
	int r = look_up(s, word, ret_id, e);

	if (r < 0 || r == 1)
		return r < 0 ? r : 0;
	if (n < STORE_ID_LEAST || n >= STORE_ID || strspn(word, "0123456789abcdef") != n)
		return db_not_found(s, "sandbox", "sandboxes", word, e);
	r = db_prepare(s, "SELECT id FROM sandboxes WHERE substr(id, 1, length(?1)) = ?1", &stmt,
		       e);
	if (r < 0)
		return r;
	db_text(stmt, 1, word);
	r = db_step(s, stmt, e);
	if (r == 0)
		return db_not_found(s, "sandbox", "sandboxes", word, e);
	if (r == 1) {
		(void)snprintf(ret_id, STORE_ID + 1, "%s", db_column(stmt, 0)); /* it fits */
		r = db_step(s, stmt, e);
	}
	if (r == 1)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "'%s' begins the ids of more than one sandbox: say more of it",
			       word);
	return r;
}

static int check_free(struct store *s, const char *name, struct err *e)
{
	char id[STORE_ID + 1];
	int r = look_up(s, name, id, e);

	if (r == 1)
		return err_set(e, ERR_USAGE, -EEXIST, "there is a sandbox '%s' already", name);
	return r;
}

/* --- volumes of one ------------------------------------------------------------------------------------------------------------------- */

static int check_volume(struct store *s, const char *name, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(s, "SELECT 1 FROM volumes WHERE name = ?1", &stmt, e);

	if (r < 0)
		return r;
	db_text(stmt, 1, name);
	r = db_step(s, stmt, e);
	if (r == 0)
		return err_wrap(e, db_not_found(s, "volume", "volumes", name, e),
				"field 'volumes'");
	return r < 0 ? r : 0;
}

static int put_volume(struct store *s, const char *id, const json_t *v, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	const char *name = json_string_value(json_object_get(v, "volume"));
	int r = check_volume(s, name, e);

	if (r == 0)
		r = db_prepare(
			s,
			"INSERT INTO sandbox_volumes (sandbox, volume, path) VALUES (?1, ?2, ?3)",
			&stmt, e);
	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	db_text(stmt, 2, name);
	db_text(stmt, 3, json_string_value(json_object_get(v, "path")));
	return db_step(s, stmt, e);
}

/* @v instead of what it has. */
static int put_volumes(struct store *s, const char *id, const json_t *v, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	size_t i;
	int r = db_prepare(s, "DELETE FROM sandbox_volumes WHERE sandbox = ?1", &stmt, e);

	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	r = db_step(s, stmt, e);
	for (i = 0; r == 0 && i < json_array_size(v); i++)
		r = put_volume(s, id, json_array_get(v, i), e);
	return r;
}

static int get_volumes(struct store *s, const char *id, json_t *o, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	json_t *list = json_array();
	int r = db_prepare(
		s, "SELECT volume, path FROM sandbox_volumes WHERE sandbox = ?1 ORDER BY path",
		&stmt, e);

	if (json_object_set_new(o, "volumes", list) < 0)
		return out_of_memory(e);
	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	while ((r = db_step(s, stmt, e)) == 1) {
		if (json_array_append_new(list,
					  json_pack("{s:s, s:s}", "volume", db_column(stmt, 0),
						    "path", db_column(stmt, 1))) < 0)
			return out_of_memory(e);
	}
	return r;
}

/* --- reading -------------------------------------------------------------------------------------------------------------------------- */

/* The statement that reads sandboxes; @which: what follows FROM. */
static int prepare_read(struct store *s, const char *which, sqlite3_stmt **ret, struct err *e)
{
	struct buf sql = BUF_INIT(4096);
	size_t i;
	int r;

	buf_puts(&sql, READ);
	for (i = 0; i < fields_num; i++) {
		if (fields[i].flags & FIELD_COLUMN)
			buf_printf(&sql, ", %s", fields[i].key);
	}
	buf_printf(&sql, " FROM sandboxes %s", which);
	r = sql.failed ? out_of_memory(e) : db_prepare(s, sql.data, ret, e);
	buf_done(&sql);
	return r;
}

static int read_row(struct store *s, sqlite3_stmt *stmt, json_t **ret, struct err *e)
{
	const char *id = db_column(stmt, 0);
	_cleanup_json_ json_t *o = json_object();
	int r, at = NEW_COLUMNS;
	size_t i;

	r = json_object_set_new(o, "id", json_string(id));
	for (i = 0; i < fields_num && r == 0; i++) {
		const struct field *f = &fields[i];

		if (f->flags & FIELD_COLUMN) {
			r = json_object_set_new(o, f->key, fields_read(f, stmt, at++));
			if (r < 0)
				return err_set(e, ERR_SYSTEM, -EBADMSG,
					       "%s: sandbox '%s': its %s can't be read", s->path,
					       id, f->key);
		}
		if (i == 0) {
			r = json_object_set_new(o, "created",
						json_integer(sqlite3_column_int64(stmt, 1)));
			r |= json_object_set_new(o, "changed",
						 json_integer(sqlite3_column_int64(stmt, 2)));
		}
	}
	r |= json_object_set_new(o, "generation", json_integer(sqlite3_column_int64(stmt, 3)));
	if (r < 0)
		return out_of_memory(e);
	r = get_volumes(s, id, o, e);
	if (r == 0)
		*ret = TAKE_PTR(o);
	return r;
}

static int get(struct store *s, const char *word, json_t **ret, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	char id[STORE_ID + 1];
	int r = find_any(s, word, id, e);

	if (r == 0)
		r = prepare_read(s, "WHERE id = ?1", &stmt, e);
	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	r = db_step(s, stmt, e);
	return r < 0 ? r : read_row(s, stmt, ret, e);
}

int store_sandbox_get(struct store *s, const char *word, struct json_t **ret, struct err *e)
{
	json_t *o = NULL;
	int r = db_begin(s, false, e);

	if (r == 0)
		r = db_end(s, get(s, word, &o, e), e);
	if (r < 0)
		json_decref(o);
	else
		*ret = o;
	return r;
}

static int list(struct store *s, json_t *all, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	json_t *o = NULL;
	int r = prepare_read(s, "ORDER BY created, id", &stmt, e);

	while (r >= 0 && (r = db_step(s, stmt, e)) == 1) {
		r = read_row(s, stmt, &o, e);
		if (r == 0 && json_array_append_new(all, o) < 0)
			r = out_of_memory(e);
	}
	return r;
}

int store_sandbox_list(struct store *s, struct json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *all = json_array();
	int r = all ? db_begin(s, false, e) : out_of_memory(e);

	if (r == 0)
		r = db_end(s, list(s, all, e), e);
	if (r == 0)
		*ret = TAKE_PTR(all);
	return r;
}

/* --- writing -------------------------------------------------------------------------------------------------------------------------- */

static int bind_preset(const struct field *f, sqlite3_stmt *stmt, int at, struct err *e)
{
	json_t *v = f->preset ? json_loads(f->preset, JSON_DECODE_ANY, NULL) : NULL;
	int r = fields_bind(f, v, stmt, at, e);

	json_decref(v);
	return r;
}

static int bind_new(sqlite3_stmt *stmt, const json_t *o, int at, struct err *e)
{
	const json_t *v;
	size_t i;
	int r = 0;

	for (i = 0; i < fields_num && r == 0; i++) {
		if (!(fields[i].flags & FIELD_COLUMN))
			continue;
		v = json_object_get(o, fields[i].key);
		r = v ? fields_bind(&fields[i], v, stmt, at, e) :
			bind_preset(&fields[i], stmt, at, e);
		at++;
	}
	return r;
}

static int insert(struct store *s, const char *id, const json_t *o, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	struct buf sql = BUF_INIT(4096);
	size_t i;
	int r;

	buf_puts(&sql, "INSERT INTO sandboxes (id, created, changed, generation");
	for (i = 0; i < fields_num; i++) {
		if (fields[i].flags & FIELD_COLUMN)
			buf_printf(&sql, ", %s", fields[i].key);
	}
	buf_puts(&sql, ") VALUES (?1, ?2, ?2, 1");
	for (i = 0; i < fields_num; i++) {
		if (fields[i].flags & FIELD_COLUMN)
			buf_puts(&sql, ", ?");
	}
	buf_puts(&sql, ")");
	r = sql.failed ? out_of_memory(e) : db_prepare(s, sql.data, &stmt, e);
	buf_done(&sql);
	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	(void)sqlite3_bind_int64(stmt, 2, db_now()); /* can't fail: the place is there */
	r = bind_new(stmt, o, 3, e);
	return r < 0 ? r : db_step(s, stmt, e);
}

/* Whether the block @n of ids belongs to a sandbox. Return: 1, 0 or negative errno. */
static int is_taken(struct store *s, unsigned int n, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(s, "SELECT 1 FROM sandboxes WHERE ids = ?1", &stmt, e);

	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(stmt, 1, n); /* can't fail: the place is there */
	return db_step(s, stmt, e);
}

/* A free block, from a place that the id names: sandboxes of another state directory of this machine are seldom in its way. */
static int give_ids(struct store *s, const char *id, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	char digits[8] = "";
	unsigned int i, n = 0;
	int r = 1;

	memcpy(digits, id, sizeof(digits) - 1);
	for (i = 0; r == 1 && i < LIMIT_KEPT_BLOCKS; i++) {
		n = 1 + (unsigned int)((strtoul(digits, NULL, 16) + i) % LIMIT_KEPT_BLOCKS);
		r = is_taken(s, n, e);
	}
	if (r == 1)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "all %u blocks of ids belong to sandboxes: remove one first",
			       LIMIT_KEPT_BLOCKS);
	if (r == 0)
		r = db_prepare(s, "UPDATE sandboxes SET ids = ?2 WHERE id = ?1", &stmt, e);
	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	(void)sqlite3_bind_int64(stmt, 2, n); /* can't fail: the place is there */
	return db_step(s, stmt, e);
}

/* Bytes of the answer of one sandbox beside its longer texts, and of one volume's. */
#define ANSWER 2048
#define ANSWER_VOLUME 256
#define ESCAPED 6       /* "\u0001" */
#define ANSWER_VALUE 12 /* and for each of many short values, which has a node when it is read */

/* What is kept can be read again: the list of all is no longer than who reads it takes, nor has it more values than LIMIT_KEPT_ARENA holds. */
static int check_room(struct store *s, struct err *e)
{
	struct buf sql = BUF_INIT(4096);
	int64_t n = 0;
	size_t i;
	int r;

	buf_printf(&sql, "SELECT ifnull(sum(%d", ANSWER);
	for (i = 0; i < fields_num; i++) {
		const bool path = fields[i].kind == FIELD_PATH;

		if (path || fields[i].kind == FIELD_WORDS || fields[i].kind == FIELD_RULES)
			buf_printf(&sql, " + %d * ifnull(length(CAST(%s AS BLOB)), 0)",
				   path ? ESCAPED : 1, fields[i].key);
		if (!path && (fields[i].kind == FIELD_WORDS || fields[i].kind == FIELD_RULES))
			buf_printf(&sql,
				   " + %d * ifnull(length(%s) - length(replace(%s, ',', '')), 0)",
				   ANSWER_VALUE, fields[i].key, fields[i].key);
	}
	buf_printf(
		&sql,
		"), 0) + (SELECT ifnull(sum(%d + %d * length(CAST(path AS BLOB))), 0) FROM sandbox_volumes) FROM sandboxes",
		ANSWER_VOLUME, ESCAPED);
	r = sql.failed ? out_of_memory(e) : db_number(s, sql.data, &n, e);
	buf_done(&sql);
	if (r == 0 && n > LIMIT_KEPT)
		return err_set(e, ERR_USAGE, -E2BIG,
			       "all sandboxes together would have more than %u bytes of options",
			       LIMIT_KEPT);
	return r;
}

static int add(struct store *s, const json_t *o, char id[STORE_ID + 1], struct err *e)
{
	char other[STORE_ID + 1];
	int64_t n = 0;
	int tries, r = check_free(s, json_string_value(json_object_get(o, "name")), e);

	if (r == 0)
		r = db_number(s, "SELECT count(*) FROM sandboxes", &n, e);
	if (r == 0 && n >= LIMIT_SANDBOXES)
		r = err_set(e, ERR_USAGE, -EINVAL, "there are %d sandboxes already",
			    LIMIT_SANDBOXES);
	if (r == 0)
		r = new_id(id, e);
	for (tries = 0; r == 0 && (r = look_up(s, id, other, e)) == 1; tries++)
		r = tries < TRIES ? new_id(id, e) :
				    err_set(e, ERR_SYSTEM, -EEXIST, "every id is taken");
	if (r == 0)
		r = insert(s, id, o, e);
	if (r == 0 && geteuid() == 0)
		r = give_ids(s, id, e);
	if (r == 0)
		r = put_volumes(s, id, json_object_get(o, "volumes"), e);
	return r == 0 ? check_room(s, e) : r;
}

int store_sandbox_add(struct store *s, const struct json_t *o, char ret_id[STORE_ID + 1],
		      struct err *e)
{
	char id[STORE_ID + 1];
	int r = fields_check(o, FIELD_ADD, e);

	if (r == 0)
		r = db_begin(s, true, e);
	if (r == 0)
		r = db_end(s, add(s, o, id, e), e);
	if (r == 0)
		memcpy(ret_id, id, sizeof(id));
	return r;
}

/* Every change of one is a new generation. @sql: what is assigned, with @text as ?3 where it has that. */
static int update(struct store *s, const char *id, const char *what, const char *text,
		  struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	char sql[192];
	int r;

	(void)snprintf(
		sql, sizeof(sql),
		"UPDATE sandboxes SET changed = max(changed + 1, ?2), generation = generation + 1%s WHERE id = ?1",
		what); /* texts of this file: they fit */
	r = db_prepare(s, sql, &stmt, e);
	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	(void)sqlite3_bind_int64(stmt, 2, db_now()); /* can't fail: the place is there */
	if (text)
		db_text(stmt, 3, text);
	return db_step(s, stmt, e);
}

int store_sandbox_rename(struct store *s, const char *word, const char *name, struct err *e)
{
	char id[STORE_ID + 1];
	int r = store_name_check(name, e);

	if (r == 0)
		r = db_begin(s, true, e);
	if (r < 0)
		return r;
	r = find(s, word, id, e);
	if (r == 0)
		r = check_free(s, name, e);
	if (r == 0)
		r = update(s, id, ", name = ?3", name, e);
	return db_end(s, r, e);
}

static int take_away(struct store *s, const char *word, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	char id[STORE_ID + 1];
	int r = db_begin(s, true, e);

	if (r < 0)
		return r;
	r = find(s, word, id, e);
	if (r == 0)
		r = db_prepare(s, "DELETE FROM sandboxes WHERE id = ?1", &stmt, e);
	if (r == 0) {
		db_text(stmt, 1, id);
		r = db_step(s, stmt, e);
	}
	return db_end(s, r, e);
}

int store_sandbox_remove(struct store *s, const char *word, struct err *e)
{
	int r = take_away(s, word, e);

	return db_made_room(s, r, e) ? take_away(s, word, e) : r;
}

static int set_field(struct store *s, const char *id, const struct field *f, const json_t *v,
		     struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	char sql[96];
	int r;

	(void)snprintf(sql, sizeof(sql), "UPDATE sandboxes SET %s = ?2 WHERE id = ?1",
		       f->key); /* a text of the table of fields: it fits */
	r = db_prepare(s, sql, &stmt, e);
	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	r = fields_bind(f, v, stmt, 2, e);
	return r < 0 ? r : db_step(s, stmt, e);
}

static int get_generation(struct store *s, const char *id, int64_t *ret, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(s, "SELECT generation FROM sandboxes WHERE id = ?1", &stmt, e);

	if (r < 0)
		return r;
	db_text(stmt, 1, id);
	r = db_step(s, stmt, e);
	if (r == 1)
		*ret = sqlite3_column_int64(stmt, 0);
	return r < 0 ? r : 0;
}

static int set(struct store *s, const char *word, const json_t *o, int64_t *ret, struct err *e)
{
	const json_t *want = json_object_get(o, "generation");
	char id[STORE_ID + 1];
	int64_t now = 0;
	size_t i;
	int r = find(s, word, id, e);

	if (r == 0)
		r = get_generation(s, id, &now, e);
	if (r == 0 && want && json_integer_value(want) != now)
		r = err_set(e, ERR_USAGE, -ESTALE,
			    "sandbox '%s' has changed: its generation is %lld, not %lld", word,
			    (long long)now, (long long)json_integer_value(want));
	for (i = 0; r == 0 && i < fields_num; i++) {
		const json_t *v = json_object_get(o, fields[i].key);

		if (v && (fields[i].flags & FIELD_COLUMN))
			r = set_field(s, id, &fields[i], v, e);
		else if (v && fields[i].kind == FIELD_VOLUMES)
			r = put_volumes(s, id, v, e);
	}
	if (r == 0)
		r = update(s, id, "", NULL, e);
	if (r == 0)
		r = check_room(s, e);
	*ret = now + 1;
	return r;
}

int store_sandbox_set(struct store *s, const char *word, const struct json_t *o,
		      int64_t *ret_generation, struct err *e)
{
	int64_t generation = 0;
	int r = fields_check(o, FIELD_SET, e);

	if (r == 0 && json_object_size(o) == (json_object_get(o, "generation") != NULL))
		r = err_set(e, ERR_USAGE, -EINVAL, "the input changes nothing");
	if (r == 0)
		r = db_begin(s, true, e);
	if (r == 0)
		r = db_end(s, set(s, word, o, &generation, e), e);
	if (r == 0)
		*ret_generation = generation;
	return r;
}
