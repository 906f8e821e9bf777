/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inspection rules (docs/adr/0021): what a request may be. Pure, as the regular expressions and the path's normal form below it.
 *  1. rules_parse()          read a list of rules
 *  2. rules_judge()          what becomes of a request
 *     rules_forward()        whether a host has requests that go elsewhere
 *     rules_path_normal()    the form in which paths are sent that were compared
 *     rules_path_plain()     the form in which they are compared
 */
#ifndef BAILEY_KEYS_RULES_H
#define BAILEY_KEYS_RULES_H

#include <stdbool.h>

#include "head.h"
#include "policy/policy.h"
#include "util/util.h"

#define RULES_MAX 1024u   /* rules, and entries of one */
#define RULES_BODY 32767u /* bytes of a fixed answer */
#define RULES_FIELDS 256u /* that all rules of a host set or remove in one request */
#define RULES_PATH HTTP_HEAD_MAX

struct rules;

enum rules_action {
	RULES_ALLOW,
	RULES_DENY,   /* 403 */
	RULES_BAD,    /* 400: it has no form that could be compared */
	RULES_ANSWER, /* a fixed answer */
};

struct rules_field {
	struct http_slice name;
	struct http_slice value; /* p NULL: the field is taken away */
};

/* Where a request is sent instead. */
struct rules_forward {
	struct forward_url to; /* its path in normal form */
	const char *url;       /* as it was written */
};

struct rules_verdict {
	enum rules_action action;
	/* the entry, for the log: "github.com requests[1]"; "github.com requests": none of them; "" */
	char rule[96];
	const char *reason; /* of a denial; borrowed from the rules, or constant; NULL */
	/* of RULES_ALLOW: request fields to set; of RULES_ANSWER: its own */
	const struct rules_field *fields;
	size_t n;
	int status; /* of RULES_ANSWER */
	struct http_slice body;
	bool path; /* a path was compared: @path of rules_judge() is to be sent */
	const struct rules_forward *forward; /* of RULES_ALLOW; borrowed from the rules; NULL: none */
};

/**
 * rules_parse() - read the list @list: texts (hosts that are inspected), and objects {"host", "requests"}.
 * @ret: owned by @a, as is @list
 * Return: 0, or -EINVAL, -E2BIG, -ENOMEM with @e naming the key.
 */
int rules_parse(const struct rules **ret, const struct json_node *list, struct arena *a,
		struct err *e);

/**
 * rules_judge() - of each rule for @host that has entries the first that matches decides, and what none matches is denied. What one rule denies or answers no other
 * lifts. Without entries everything is allowed. The verdict's fields hold until the next call.
 * @rules: NULL: none
 * @host: canonical
 * @path: RULES_PATH bytes; with ret->path the path's normal form, with a NUL
 */
void rules_judge(const struct rules *rules, const char *host, const struct head *h,
		 struct rules_verdict *ret, char *path);

/** rules_forward() - whether some request to @host goes elsewhere. @rules: NULL: none */
bool rules_forward(const struct rules *rules, const char *host);

/**
 * rules_path_normal() - the one form of a path (without query): what is unreserved is written plain, other percent codes in capitals, dot segments are gone.
 * Refused: what servers read in several ways: encoded slashes, question marks and number signs, backslashes, semicolons, NULs and other control characters, dots of dot
 * segments encoded, empty segments, percent signs without two digits, percent codes that are coded once more, bytes that are not UTF-8, plain or encoded.
 * @out: RULES_PATH bytes
 * Return: its length, or -EBADMSG with @e.
 */
ssize_t rules_path_normal(struct http_slice path, char *out, struct err *e);

/**
 * rules_path_plain() - the form in which paths are compared: without percent codes, but for that of the percent sign. Of a normal form; or of a rule's text.
 * @out: RULES_PATH bytes
 * Return: its length, or -EBADMSG with @e: the text can't be (part of) a path's normal form.
 */
ssize_t rules_path_plain(struct http_slice path, char *out, struct err *e);

#endif
