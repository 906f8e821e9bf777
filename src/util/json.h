/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON writer into a struct buf; commas are its business. Reading JSON is not done here.
 *
 *	struct json j = { .out = &buf };
 *	json_open(&j, NULL, '{'); json_str(&j, "id", id); json_close(&j, '}');
 */
#ifndef BAILEY_UTIL_JSON_H
#define BAILEY_UTIL_JSON_H

#include <stdbool.h>

#include "buf.h"

struct json {
	struct buf *out; /* borrowed */
	bool comma;
};

/** json_open() - begin an object ('{') or array ('['); @key is NULL inside an array and at the top. */
void json_open(struct json *j, const char *key, char bracket);

/** json_close() - end it with '}' or ']'. */
void json_close(struct json *j, char bracket);

/** json_str() - a string, or null when @s is NULL. Bytes that are not UTF-8 become U+FFFD. */
void json_str(struct json *j, const char *key, const char *s);

/** json_int() - a number. */
void json_int(struct json *j, const char *key, long long v);

/** json_raw() - a value that is JSON already. */
void json_raw(struct json *j, const char *key, const char *text);

/** json_bool() - a boolean. */
void json_bool(struct json *j, const char *key, bool v);

#endif
