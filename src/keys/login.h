/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of log-ins that stay outside (docs/adr/0029): what an endpoint gives is kept here, and the sandbox has sentinels of the same form. Pure.
 *  1. logins_take()                            which log-ins: of the table, or of one's own
 *  2. login_of()                               whether a request is for an endpoint that gives tokens
 *  3. login_answer()                           its answer, with sentinels
 *  4. login_bind()                             tokens as secrets that inject.c puts into a request
 *     login_takes(), login_body()              … and into the body of one to an endpoint
 *  5. logins_print(), logins_load()            what is kept for the sandbox's next start
 */
#ifndef BAILEY_KEYS_LOGIN_H
#define BAILEY_KEYS_LOGIN_H

#include "inject.h"
#include "policy/policy.h"

#define LOGIN_NAME 40u
#define LOGINS_MAX 16u                /* in one sandbox */
#define LOGIN_ENDPOINTS 6u            /* of one */
#define LOGIN_HOSTS 16u               /* the same */
#define LOGIN_TOKENS 32u              /* of all; past that the oldest is forgotten */
#define LOGIN_BODY ((size_t)65536)    /* bytes of an answer, or of a request to an endpoint */
#define LOGIN_KEPT ((size_t)96 << 10) /* bytes of logins_print() */

/* Where tokens come from. */
struct login_endpoint {
	const char *host, *path; /* canonical; as it was written */
};

struct login {
	const char *name;
	struct login_endpoint from[LOGIN_ENDPOINTS];
	size_t n_from;
	const char *hosts
		[LOGIN_HOSTS]; /* rules of names: where they are put in; those of the endpoints are among them */
	size_t n_hosts;
	bool told; /* that something of it is kept */
};

/* One token. It is erased when nobody holds it. */
struct login_token {
	struct login_token *next; /* an older one */
	size_t refs;
	struct login *login;
	char *value, *sentinel;
};

struct logins {
	struct login v[LOGINS_MAX];
	size_t n;
	struct arena arena; /* of names */
	struct login_token *tokens;
	uint64_t serial; /* of the token that came last */
	bool changed;    /* since it was set to false */
};

/**
 * logins_take() - read a list of names of the table and of {"name", "token": [URL…], "hosts": [RULE…]}.
 * @list: NULL: none
 * Return: 0, or -EINVAL, -E2BIG, -ENOMEM with @e naming the part. logins_done() in any case.
 */
int logins_take(struct logins *l, const struct json_node *list, struct err *e);

/** logins_done() - erase and free. */
void logins_done(struct logins *l);

enum login_kind {
	LOGIN_NOT,
	LOGIN_MAYBE, /* at a host of a log-in, by a path that is like one: tokens in its answer are kept, too */
	LOGIN_ENDPOINT /* of the table */
};

/** login_of() - what a request to @host with @target (origin form) is. @ret: set unless LOGIN_NOT */
enum login_kind login_of(struct logins *l, const char *host, struct http_slice target,
			 struct login **ret);

/**
 * login_takes() - whether a request to @host with @target is for an endpoint of a log-in in the very form that its URL has: then tokens are put into its body. A token that comes
 * is caught however the path is written; one that goes out must go where it belongs, and what another spelling leads to only the server knows. A query may follow.
 */
bool login_takes(const struct logins *l, const char *host, struct http_slice target);

/**
 * login_answer() - the body of an answer, JSON, with each token replaced by its sentinel; new ones are kept.
 * @out: of 2 * LOGIN_BODY bytes that don't move
 * Return: how many tokens there were, or -EBADMSG (it can't be read, has more than LOGIN_TOKENS, or one that can't be stood in for), -ENOMEM with @e, which quotes none.
 */
int login_answer(struct logins *l, struct login *login, const char *p, size_t n, struct buf *out,
		 struct err *e);

/** login_bind() - tokens for requests to @host, held, into LOGIN_TOKENS places. Return: how many. */
size_t login_bind(struct logins *l, const char *host, struct login_token **ret_held,
		  struct inject_secret *ret);

/** login_release() - as many of them as login_bind() has given. */
void login_release(struct login_token **held, size_t n);

/**
 * login_body() - the body of a request to an endpoint, with the tokens in the place of their sentinels: values of a form, or of JSON.
 * @type: its Content-Type
 * @out: of 4 * LOGIN_BODY bytes that don't move; empty afterwards where nothing has changed
 * Return: 0 or -ENOMEM with @e.
 */
int login_body(struct login_token *const *held, size_t n_held, struct http_slice type,
	       const char *p, size_t n, struct buf *out, struct err *e);

/** logins_print() - append all tokens, as JSON. @b must not have to grow. */
void logins_print(const struct logins *l, struct buf *b);

/** logins_load() - take what that has said; tokens of log-ins that are not here are left out. Return: 0 or -EBADMSG, -ENOMEM with @e. */
int logins_load(struct logins *l, const char *p, size_t n, struct err *e);

#endif
