/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "db.h"
#include "fields.h"

#define NAMED 3 /* users that a refusal names; more are counted */

/* Return: 1 or 0; negative errno. */
static int exists(struct store *s, const char *name, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(s, "SELECT 1 FROM volumes WHERE name = ?1", &stmt, e);

	if (r < 0)
		return r;
	db_text(stmt, 1, name);
	return db_step(s, stmt, e);
}

static int add(struct store *s, const char *name, int64_t limit, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int64_t n = 0;
	int r = exists(s, name, e);

	if (r == 1)
		r = err_set(e, ERR_USAGE, -EEXIST, "there is a volume '%s' already", name);
	if (r == 0)
		r = db_number(s, "SELECT count(*) FROM volumes", &n, e);
	if (r == 0 && n >= LIMIT_VOLUMES)
		r = err_set(e, ERR_USAGE, -EINVAL, "there are %d volumes already", LIMIT_VOLUMES);
	if (r == 0)
		r = db_prepare(
			s, "INSERT INTO volumes (name, created, size_limit) VALUES (?1, ?2, ?3)",
			&stmt, e);
	if (r < 0)
		return r;
	db_text(stmt, 1, name);
	(void)sqlite3_bind_int64(stmt, 2, db_now()); /* can't fail: the place is there */
	if (limit >= 0)
		(void)sqlite3_bind_int64(stmt, 3, limit); /* nor this; unbound is null */
	return db_step(s, stmt, e);
}

int store_volume_add(struct store *s, const char *name, int64_t limit, struct err *e)
{
	int r = store_name_check(name, e);

	if (r == 0)
		r = db_begin(s, true, e);
	return r == 0 ? db_end(s, add(s, name, limit, e), e) : r;
}

/* Who uses @name, into @all. */
static int users(struct store *s, const char *name, json_t *all, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(
		s,
		"SELECT DISTINCT sandboxes.name FROM sandbox_volumes JOIN sandboxes ON sandboxes.id = sandbox WHERE volume = ?1 ORDER BY 1",
		&stmt, e);

	if (r < 0)
		return r;
	db_text(stmt, 1, name);
	while ((r = db_step(s, stmt, e)) == 1) {
		if (json_array_append_new(all, json_string(db_column(stmt, 0))) < 0)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	return r;
}

static int list(struct store *s, json_t *all, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = db_prepare(s, "SELECT name, created, size_limit FROM volumes ORDER BY name", &stmt,
			   e);

	while (r >= 0 && (r = db_step(s, stmt, e)) == 1) {
		json_t *names = json_array();
		json_t *limit = sqlite3_column_type(stmt, 2) == SQLITE_NULL ?
					json_null() :
					json_integer(sqlite3_column_int64(stmt, 2));

		if (json_array_append_new(all, json_pack("{s:s, s:I, s:o, s:O}", "name",
							 db_column(stmt, 0), "created",
							 (json_int_t)sqlite3_column_int64(stmt, 1),
							 "limit", limit, "sandboxes", names)) < 0)
			r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		else
			r = users(s, db_column(stmt, 0), names, e);
		json_decref(names);
	}
	return r;
}

int store_volume_list(struct store *s, struct json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *all = json_array();
	int r = all ? db_begin(s, false, e) : err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");

	if (r == 0)
		r = db_end(s, list(s, all, e), e);
	if (r == 0)
		*ret = TAKE_PTR(all);
	return r;
}

static int refuse_used(const char *name, const json_t *by, struct err *e)
{
	const size_t n = json_array_size(by);
	struct buf text = BUF_INIT(1024);
	size_t i;
	int r;

	for (i = 0; i < n && i < NAMED; i++)
		buf_printf(&text, "%s'%s'", i > 0 ? ", " : "",
			   json_string_value(json_array_get(by, i)));
	if (n > NAMED)
		buf_printf(&text, " and %zu more", n - NAMED);
	r = err_set(e, ERR_USAGE, -EBUSY, "volume '%s' is used by sandbox%s %s", name,
		    n > 1 ? "es" : "", text.data ? text.data : "");
	buf_done(&text);
	return r;
}

static int take_away(struct store *s, const char *name, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	_cleanup_json_ json_t *by = json_array();
	int r = exists(s, name, e);

	if (r == 0)
		return db_not_found(s, "volume", "volumes", name, e);
	if (r == 1)
		r = users(s, name, by, e);
	if (r == 0 && json_array_size(by) > 0)
		r = refuse_used(name, by, e);
	if (r == 0)
		r = db_prepare(s, "DELETE FROM volumes WHERE name = ?1", &stmt, e);
	if (r == 0)
		db_text(stmt, 1, name);
	return r == 0 ? db_step(s, stmt, e) : r;
}

static int try_to_remove(struct store *s, const char *name, struct err *e)
{
	int r = db_begin(s, true, e);

	return r == 0 ? db_end(s, take_away(s, name, e), e) : r;
}

int store_volume_remove(struct store *s, const char *name, struct err *e)
{
	int r = try_to_remove(s, name, e);

	return db_made_room(s, r, e) ? try_to_remove(s, name, e) : r;
}
