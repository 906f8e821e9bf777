/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"

#include <errno.h>
#include <string.h>

#define WORD 255u   /* bytes of a short text */
#define WORDS 4096u /* elements of an array of texts */
#define VOLUMES 64u
#define SOME (FIELD_ADD | FIELD_SET)

const struct field fields[] = {
	{ "name", FIELD_NAME, FIELD_ADD | FIELD_MUST | FIELD_COLUMN, NULL },
	{ "isolation", FIELD_ISOLATION, FIELD_ADD | FIELD_COLUMN, "\"process\"" },
	{ "template", FIELD_WORD, SOME | FIELD_COLUMN, "\"host\"" },
	{ "agent", FIELD_WORD, SOME | FIELD_NULL | FIELD_COLUMN, NULL },
	{ "options", FIELD_WORDS, SOME | FIELD_COLUMN, "[]" },
	{ "cwd", FIELD_PATH, SOME | FIELD_MUST | FIELD_COLUMN, NULL },
	{ "workspaces", FIELD_WORDS, SOME | FIELD_COLUMN, "[]" },
	{ "restart", FIELD_FLAG, SOME | FIELD_COLUMN, "false" },
	{ "timeout", FIELD_INTERVAL, SOME | FIELD_NULL | FIELD_COLUMN, NULL },
	{ "freeze", FIELD_INTERVAL, SOME | FIELD_NULL | FIELD_COLUMN, NULL },
	{ "stop", FIELD_INTERVAL, SOME | FIELD_NULL | FIELD_COLUMN, NULL },
	{ "network", FIELD_RULES, SOME | FIELD_NULL | FIELD_COLUMN, NULL },
	{ "services", FIELD_RULES, SOME | FIELD_NULL | FIELD_COLUMN, NULL },
	{ "ids", FIELD_NUMBER, FIELD_NULL | FIELD_COLUMN, NULL }, /* given by the store */
	{ "generation", FIELD_NUMBER, FIELD_SET, NULL },
	{ "volumes", FIELD_VOLUMES, SOME, "[]" },
};
const size_t fields_num = ARRAY_SIZE(fields);

/* --- JSON ----------------------------------------------------------------------------------------------------------------------------- */

int store_json_parse(const char *text, size_t n, struct json_t **ret, struct err *e)
{
	json_error_t why;
	json_t *o;

	if (n > STORE_INPUT)
		return err_set(e, ERR_USAGE, -E2BIG, "the input has more than %u bytes",
			       STORE_INPUT);
	o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!o)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "the input is no JSON: line %d, column %d: %s", why.line, why.column,
			       why.text);
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(e, ERR_USAGE, -EINVAL, "the input must be one JSON object");
	}
	*ret = o;
	return 0;
}

/* Letters, not commands of a terminal: these are shown in lists. */
static bool plain(const json_t *v, size_t max)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v), i;

	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	}
	return n > 0 && n <= max;
}

static bool absolute(const json_t *v)
{
	return json_is_string(v) && json_string_value(v)[0] == '/' &&
	       json_string_length(v) < LIMIT_PATH;
}

static bool texts(const json_t *v)
{
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > WORDS)
		return false;
	for (i = 0; i < json_array_size(v); i++) {
		const json_t *text = json_array_get(v, i);

		if (!json_is_string(text) || json_string_length(text) >= LIMIT_KEPT_TEXT)
			return false;
	}
	return true;
}

static bool volumes(const json_t *v)
{
	size_t i, k;

	if (!json_is_array(v) || json_array_size(v) > VOLUMES)
		return false;
	for (i = 0; i < json_array_size(v); i++) {
		const json_t *o = json_array_get(v, i), *path = json_object_get(o, "path"), *name;

		name = json_object_get(o, "volume");
		if (json_object_size(o) != 2 || !json_is_string(name) || !absolute(path))
			return false;
		for (k = 0; k < i; k++) {
			if (json_equal(json_object_get(json_array_get(v, k), "path"), path))
				return false;
		}
	}
	return true;
}

/* Return: what @v must be, or NULL when it is. */
static const char *wrong(const struct field *f, const json_t *v)
{
	const char *s = json_string_value(v);
	const char *must = NULL;
	bool right = false;

	switch (f->kind) {
	case FIELD_NAME:
		right = s && store_name_ok(s);
		must = STORE_NAME_RULE;
		break;
	case FIELD_ISOLATION:
		right = s && (strcmp(s, "process") == 0 || strcmp(s, "vm") == 0);
		must = "\"process\" or \"vm\"";
		break;
	case FIELD_WORD:
		right = s && plain(v, WORD);
		must = "a text of 1 to 255 bytes without control characters";
		break;
	case FIELD_WORDS:
		right = texts(v);
		must = "an array of texts, at most 4096, each shorter than 128 KiB";
		break;
	case FIELD_PATH:
		right = absolute(v);
		must = "an absolute path";
		break;
	case FIELD_FLAG:
		right = json_is_boolean(v);
		must = "true or false";
		break;
	case FIELD_INTERVAL:
	case FIELD_NUMBER:
		right = json_is_integer(v) && json_integer_value(v) > 0;
		must = f->kind == FIELD_INTERVAL ? "a whole number of milliseconds above 0" :
						   "a whole number above 0";
		break;
	case FIELD_RULES:
		right = json_is_object(v) || json_is_array(v);
		must = "an object or an array";
		break;
	case FIELD_VOLUMES:
		right = volumes(v);
		must = "an array of at most 64 {\"volume\": NAME, \"path\": ABSOLUTE}, each with another path";
		break;
	}
	return right ? NULL : must;
}

static const struct field *find(const char *key)
{
	size_t i;

	for (i = 0; i < fields_num; i++) {
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	}
	return NULL;
}

static int refuse_key(const char *key, enum field_flag flag, struct err *e)
{
	struct nearest n = NEAREST_INIT(key, strlen(key));
	struct buf quoted = BUF_INIT(1024);
	bool known = find(key) || strcmp(key, "id") == 0 || strcmp(key, "created") == 0 ||
		     strcmp(key, "changed") == 0;
	size_t i;
	int r;

	for (i = 0; i < fields_num; i++) {
		if (fields[i].flags & flag)
			nearest_offer(&n, fields[i].key);
	}
	buf_quote(&quoted, key);
	if (known)
		r = err_set(e, ERR_USAGE, -EINVAL, "field '%s': it can't be %s", key,
			    flag == FIELD_ADD ? "said of a new sandbox" : "changed here");
	else
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "field '%.100s': there is none of this name%s%s%s",
			    quoted.data ? quoted.data : "", n.best ? ": did you mean '" : "",
			    n.best ? n.best : "", n.best ? "'?" : "");
	buf_done(&quoted);
	return r;
}

int fields_check(const json_t *o, enum field_flag flag, struct err *e)
{
	const struct field *f;
	const char *key, *must;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)o, key, v) /* NOLINT: it changes nothing */
	{
		f = find(key);
		if (!f || !(f->flags & flag))
			return refuse_key(key, flag, e);
		must = json_is_null(v) && (f->flags & FIELD_NULL) ? NULL : wrong(f, v);
		if (must)
			return err_set(e, ERR_USAGE, -EINVAL, "field '%s': it must be %s%s", key,
				       must, f->flags & FIELD_NULL ? ", or null" : "");
	}
	for (i = 0; i < fields_num; i++) {
		if (flag == FIELD_ADD && (fields[i].flags & FIELD_MUST) &&
		    !json_object_get(o, fields[i].key))
			return err_set(e, ERR_USAGE, -EINVAL, "field '%s': it is missing",
				       fields[i].key);
	}
	return 0;
}

/* --- columns -------------------------------------------------------------------------------------------------------------------------- */

static bool is_json(const struct field *f)
{
	return f->kind == FIELD_WORDS || f->kind == FIELD_RULES;
}

int fields_bind(const struct field *f, const json_t *value, sqlite3_stmt *stmt, int at,
		struct err *e)
{
	char *text;
	int rc;

	if (!value || json_is_null(value)) {
		rc = sqlite3_bind_null(stmt, at);
	} else if (is_json(f)) {
		text = json_dumps(value, JSON_COMPACT);
		rc = text ? sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT) : SQLITE_NOMEM;
		free(text);
	} else if (json_is_string(value)) {
		rc = sqlite3_bind_text(stmt, at, json_string_value(value), -1, SQLITE_TRANSIENT);
	} else {
		rc = sqlite3_bind_int64(stmt, at,
					json_is_integer(value) ? json_integer_value(value) :
								 json_is_true(value));
	}
	return rc == SQLITE_OK ? 0 : err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

json_t *fields_read(const struct field *f, sqlite3_stmt *stmt, int at)
{
	const char *text;

	if (sqlite3_column_type(stmt, at) == SQLITE_NULL)
		return json_null();
	if (f->kind == FIELD_FLAG)
		return json_boolean(sqlite3_column_int64(stmt, at));
	if (f->kind == FIELD_INTERVAL || f->kind == FIELD_NUMBER)
		return json_integer(sqlite3_column_int64(stmt, at));
	text = (const char *)sqlite3_column_text(stmt, at);
	if (!text)
		return NULL;
	return is_json(f) ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : json_string(text);
}
