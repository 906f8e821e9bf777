/* SPDX-License-Identifier: Apache-2.0 */
/* What rules are made of: rules-read.c makes it, rules.c judges by it. */
#ifndef BAILEY_KEYS_RULES_OWN_H
#define BAILEY_KEYS_RULES_OWN_H

#include "regex.h"
#include "rules.h"

enum matcher_kind { MATCH_EXACT, MATCH_STARTS, MATCH_REGEX };

/* One of a list: any of them. */
struct matcher {
	struct matcher *next;
	enum matcher_kind kind;
	struct http_slice text;
	const struct regex *regex;
};

struct pair {
	struct pair *next;
	bool fold; /* names are compared in any case of letters */
	struct matcher *name, *value;
};

struct entry {
	struct entry *next;
	struct matcher *method, *path; /* NULL: any */
	struct pair *query, *headers;
	enum rules_action action;
	const char *reason;
	struct rules_field *fields;
	size_t n_fields;
	int status;
	struct http_slice body;
	const struct rules_forward *forward;
};

struct rule {
	struct rule *next;
	const char *host; /* canonical; of "*.NAME" the NAME; "" for every one */
	bool below;       /* subdomains only */
	const char *text; /* as it was written */
	const char *
		none; /* why a request is refused that none of them matches; NULL without entries */
	struct entry *entries;
	bool path, query, forward;
};

struct rules {
	struct rule *first;
	size_t n;
};

#endif
