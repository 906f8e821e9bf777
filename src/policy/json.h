/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of JSON (RFC 8259) for policy files: what two readers could take for two things is refused (duplicate keys, NUL, lone
 * surrogates, invalid UTF-8, a byte order mark, anything behind the value), and every value knows its line and column.
 */
#ifndef BAILEY_POLICY_JSON_H
#define BAILEY_POLICY_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "util/util.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT };

struct json_node {
	enum json_type type;
	bool value;       /* of a bool */
	const char *key;  /* in an object, else NULL */
	const char *text; /* of a string; a number as it is written */
	struct json_node *parent, *first, *next;
	size_t n;                  /* members or items */
	unsigned int line, column; /* of the value, from 1; columns are characters */
	unsigned int key_line, key_column;
};

/**
 * json_read() - read one value and nothing else.
 * @name: of the file, for messages
 * @text: @len bytes, and a NUL behind them that does not count
 * @ret: owned by @a
 * Return: 0, or -EINVAL, -E2BIG, -ENOMEM with @e saying file, line, column, key and what was expected.
 */
int json_read(const char *name, const char *text, size_t len, struct arena *a,
	      const struct json_node **ret, struct err *e);

/** json_read_kept() - the same, of what bailey-store keeps, and lets be longer than what stands in files: LIMIT_KEPT. */
int json_read_kept(const char *name, const char *text, size_t len, struct arena *a,
		   const struct json_node **ret, struct err *e);

/** json_member() - the value of @key in @object. Return: it; NULL when there is none, or @object is none (NULL, too). */
const struct json_node *json_member(const struct json_node *object, const char *key);

/** json_member_as() - json_member(), of that type only. */
const struct json_node *json_member_as(const struct json_node *object, const char *key,
				       enum json_type type);

/** json_string() - the text of the string @key in @object. Return: it, or NULL as above. */
const char *json_string(const struct json_node *object, const char *key);

/** json_text() - json_string(), or a number as it is written. */
const char *json_text(const struct json_node *object, const char *key);

/** json_file_name() - the end of a long path: line and cause must fit into the message, too. */
const char *json_file_name(const char *path);

/** json_type_name() - "a string" … */
const char *json_type_name(enum json_type t);

/** json_write() - append what was read, in one line; numbers as they were written. */
void json_write(const struct json_node *v, struct buf *out);

/** json_key_path() - the way to @node as "group.key[2]"; @out: @size bytes, cut with "…" in front. */
void json_key_path(const struct json_node *node, char *out, size_t size);

#endif
