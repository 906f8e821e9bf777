/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a request, an answer or trailers, whichever version of HTTP it came in. Slices are borrowed from what was read, or point to the head's own memory,
 * which is erased with it.
 */
#ifndef BAILEY_KEYS_HEAD_H
#define BAILEY_KEYS_HEAD_H

#include <stdbool.h>

#include "http/http.h"

#define HEAD_FIELDS (HTTP_FIELDS + 32u)
#define HEAD_BYTES (HTTP_HEAD_MAX + 32768u) /* of its own memory */

struct head {
	/* of a request */
	struct http_slice method, target; /* target in origin form, or "*" */
	struct http_slice authority;      /* as the client wrote it; p NULL without */
	struct http_slice scheme;         /* of HTTP/2 and of absolute targets; p NULL without */
	/* of an answer */
	int status;
	struct http_slice reason;
	/* of both; no Host, nothing that ends at a connection, no framing */
	size_t n;
	struct http_field fields[HEAD_FIELDS];
	/* private */
	bool failed;  /* it did not fit */
	size_t small; /* bytes of its memory, of a copy; 0: all */
	size_t bytes; /* of names and values, as HTTP/2 counts them */
	size_t used;
	char memory[HEAD_BYTES];
};

/** head_clear() - empty it; what it held is erased. */
void head_clear(struct head *h);

/** head_free() - erase and free; takes NULL. Return: NULL. */
struct head *head_free(struct head *h);

/** head_dup() - a request's head that lives on by itself, in no more memory than that takes: nothing can be copied into it. Return: it, owned; NULL without memory. */
struct head *head_dup(const struct head *h);

/* Fields that wait. */
struct head_fields {
	size_t n;
	size_t size; /* bytes of all of it */
	struct http_field v[];
};

/** head_fields() - a copy of the fields of @h. Return: it, owned; NULL without memory. */
struct head_fields *head_fields(const struct head *h);

/** head_fields_free() - erase and free; takes NULL. Return: NULL. */
struct head_fields *head_fields_free(struct head_fields *f);

/** head_copy() - @s in the head's own memory. Return: it; p NULL when it does not fit, and the head has failed. */
struct http_slice head_copy(struct head *h, struct http_slice s);

/** head_add() - append a field; borrowed. Sets h->failed when there are too many. */
void head_add(struct head *h, struct http_slice name, struct http_slice value);

/** head_remove() - take away every field @name (any case of letters). */
void head_remove(struct head *h, struct http_slice name);

/** head_find() - as http_field_find(). */
struct http_slice head_find(const struct head *h, const char *name);

/** head_folds_to() - the same as those take them who make variables of fields (CGI, WSGI): '-', '_' and '.' are one, in any case. */
bool head_folds_to(struct http_slice a, struct http_slice b);

/** head_same() - whether two names are the same in any case of letters. */
bool head_same(struct http_slice a, struct http_slice b);

#endif
