/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret as it is kept (docs/adr/0022), and the services that bailey knows. Pure.
 *  1. secret_parse(), secret_print()      the JSON record; strict, bounded
 *  2. secret_set_value()                  a value as a person or a command gives it
 *  3. secret_service(), secret_bind()     what there is to know about how it is used
 */
#ifndef BAILEY_KEYS_RECORD_H
#define BAILEY_KEYS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/util.h"

#define SECRET_NAME_MAX 63u /* bytes; fits into struct keys_request */
#define SECRET_VALUE_MIN 8u /* a shorter one can't be told from other text in answers */
#define SECRET_VALUE_MAX 16384u
#define SECRET_LIST_MAX 32u      /* hosts, variables … of one */
#define SECRET_RECORD_MAX 65536u /* bytes of a record */
#define SECRET_MEMORY ((size_t)4 * SECRET_RECORD_MAX)

enum secret_carrier {
	SECRET_HEADER,
	SECRET_QUERY,
	SECRET_BASIC,
	SECRET_ANYWHERE,
	SECRET_AWS,
	SECRET_CARRIER_NUM
};

struct secret_list {
	const char *v[SECRET_LIST_MAX];
	size_t n;
};

/* One way in which a service takes a secret. */
struct secret_way {
	enum secret_carrier carrier;
	const char *field;  /* header (lower case), name of the query's field, user of Basic */
	const char *format; /* of a header: text with one "{}" */
	const char *host;   /* canonical, NULL: every bound one */
	bool absent;        /* clients may leave it out; then it is put in */
	bool any_user;      /* of Basic: the service doesn't look at the user */
};

#define SECRET_WAYS 6u

/* A service that is known. The first way is the usual one; in the others the sentinel is taken, too. */
struct secret_service {
	const char *name, *about;
	const char *hosts[5];     /* NULL-terminated */
	const char *variables[4]; /* NULL-terminated */
	const char *prefix;       /* that clients look for in a value; "" */
	struct secret_way ways[SECRET_WAYS];
	size_t n_ways;
	const char *headers
		[8]; /* of the same service, which authenticate as well, beyond the usual ones */
	const char *query[6];     /* fields of the query, the same */
	const char *protocols[4]; /* WebSocket subprotocols that carry a key: beginnings */
	const char
		*subprotocol; /* the beginning of the one in which the sentinel is taken; or NULL */
	bool forms;           /* multipart forms that are posted carry signatures */
	bool batches; /* multipart bodies for /batch are requests, with headers of their own */
	const char *upload; /* the field of the query that opens an upload which was begun; or NULL */
};

extern const struct secret_service secret_services[];

/** secret_service() - the service of that name. Return: it, or NULL. */
const struct secret_service *secret_service(const char *name);

struct secret {
	const char *name;
	const char *service; /* of secret_services, or NULL */
	/* without a service, how it is used */
	enum secret_carrier carrier;
	const char *field, *format;
	struct secret_list hosts,
		variables; /* with a service: instead of its own, when there are any */
	struct secret_list regions, aws; /* SigV4: what it is for; empty: any */
	/* what it is */
	const char *value;   /* NULL: the command has not been run yet */
	const char *id;      /* of AWS: the access key's */
	const char *token;   /* of AWS: the session's, or NULL */
	const char *command; /* that gives the value, or NULL */
	int64_t expires;     /* Unix seconds; 0: not known */
	int64_t created, changed;
};

/** secret_name_check() - 1-63 of a-z 0-9 "." "_" "-", the first a letter or digit. Return: 0 or -EINVAL with @e. */
int secret_name_check(const char *name, struct err *e);

/**
 * secret_parse() - read a record and check every part of it. Strings are @a's, which should be memory that is erased.
 * @name: what its record must say
 * Return: 0, or -EINVAL, -E2BIG, -ENOMEM with @e, which quotes no value.
 */
int secret_parse(struct secret *ret, const char *name, const char *text, size_t len,
		 struct arena *a, struct err *e);

/** secret_print() - append the record. @b must not have to grow: what it leaves behind is not erased. */
void secret_print(const struct secret *s, struct buf *b);

/** secret_check() - whether it can be used: carrier, field, format, hosts, value. Return: 0 or -EINVAL with @e naming the part. */
int secret_check(const struct secret *s, struct err *e);

/**
 * secret_set_value() - take a value: of stdin, a file, a variable or a command.
 * Plain text (one line break at its end is none of it); of AWS ID:SECRET[:TOKEN]. Or, of AWS and of a command (@json), an object: {"value", "expires" (RFC 3339 or Unix
 * seconds) | "expires_in"} or, of AWS, {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}.
 * @now: Unix seconds
 * Return: 0, or -EINVAL, -ENOMEM with @e, which quotes nothing of it.
 */
int secret_set_value(struct secret *s, const char *text, size_t len, bool json, int64_t now,
		     struct arena *a, struct err *e);

/** secret_time() - RFC 3339 text or Unix seconds. Return: -1: neither. */
int64_t secret_time(const char *text);

/** secret_carrier_name() - "header", "query", … */
const char *secret_carrier_name(enum secret_carrier c);

/** secret_expired() - whether its command must be run (again). */
bool secret_expired(const struct secret *s, int64_t now);

/** secret_due() - when its command should be run again. Return: Unix seconds; 0: it has none, or one that doesn't say how long its value holds. */
int64_t secret_due(const struct secret *s);

/** secret_hosts() - its hosts, of the record or its service. */
struct secret_list secret_hosts(const struct secret *s);

/** secret_variables() - the same, of its variables. */
struct secret_list secret_variables(const struct secret *s);

#define SECRET_SENTINEL_MAX 4096u /* of a mask: a whole token */

/* What the sandbox has in place of it. */
struct secret_sentinel {
	char value[SECRET_SENTINEL_MAX];
	char id[64]; /* of AWS */
};

/** sentinel_make() - a new one. Return: 0 or negative errno with @e. */
int sentinel_make(struct secret_sentinel *ret, const struct secret *s, struct err *e);

/**
 * sentinel_token() - one that a program takes for the token @value: of the same beginning and length, a JWT with the same claims and another signature.
 * @ret: SECRET_SENTINEL_MAX bytes
 */
int sentinel_token(char *ret, const char *value, struct err *e);

#endif
