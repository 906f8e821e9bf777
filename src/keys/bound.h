/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secrets of one sandbox: read of the store by a helper, which may open files and run commands, and used by the process that may not.
 *
 *	helper, forked before the confinement:	bound_helper(fd, &places);
 *	the process:	write BOUND_ASK to fd; whenever it comes: read a uint32_t and as many bytes,
 *			which begin with 'O' or 'E' (that was asked for), 'P' (a command has given a new value), or 'N' (text for people: one has failed);
 *			with places.logins behind the first one: 'L' and what was kept of them, or 'E'; and write BOUND_KEEP, a uint32_t and as many bytes to keep others
 *			bound_take(&b, names, n, p, len, notes, e), but for 'N';
 *			set = bound_hold(&b); inject_request(&i, set->v, set->n, …); …; bound_release(set);
 * A request holds the set that it began with; one that was replaced is erased with its last request. Sentinels stay, and the last few values, for answers alone: one that
 * was replaced is often good for a while, and what was stored somewhere through the sentinel could be read back then. Of a secret that was removed from the store stay its name and
 * its hosts: requests to them are refused (bound_removed()). The same happens at a host that one is bound to no more, though it is there: what that host has stored of it would come
 * back, and anybody's credential could be used where the sandbox knows its way.
 */
#ifndef BAILEY_KEYS_BOUND_H
#define BAILEY_KEYS_BOUND_H

#include "inject.h"

#define BOUND_SECRETS 32u
#define BOUND_EARLIER 4u /* texts that a secret was before, which are taken out of answers, too */
#define BOUND_LEFT 64u   /* rules of hosts that a secret was bound to before */
#define BOUND_MAX ((size_t)BOUND_SECRETS * SECRET_RECORD_MAX) /* bytes of an answer of the helper */
#define BOUND_ASK 'r'
#define BOUND_KEEP 'k'
#define BOUND_LOGINS "logins" /* what they are called in the store */

struct scrub;

/* Which secrets, and where they are kept: of each name the sandbox's own is meant where there is one. */
struct bound_places {
	const char *state; /* of everybody's; NULL: none */
	const char *own;   /* of the sandbox's own; NULL: none */
	const char *const *names;
	size_t n;
	size_t shared; /* so many of them, the first, may be everybody's */
	bool logins;   /* tokens of log-ins are kept, too: in the sandbox's own store */
};

struct bound_set {
	struct inject_secret *v; /* the arena's */
	size_t n;
	struct inject_secret *gone; /* removed: without values */
	size_t n_gone;
	struct inject_secret *left; /* of each name: the hosts that it was bound to, its .more */
	size_t n_left;
	size_t refs;
	struct arena arena; /* erased */
};

struct bound {
	struct bound_set *now; /* NULL: none is bound */
	const struct inject_secret
		*masks; /* beside them (mask.h), borrowed; with INJECT_SECRETS together */
	size_t n_masks;
	uint64_t serial; /* of what bound_take() has taken last */
};

/* Some of those that count for a request. */
struct bound_list {
	const struct inject_secret *v;
	size_t n;
};
#define BOUND_LISTS 2u

/**
 * bound_read() - read the secrets of that name, whose commands are run when they have expired. Waits.
 * @out: of BOUND_MAX bytes that don't move: 'O' and a record a line, or 'E' and why not
 */
void bound_read(const struct bound_places *p, struct buf *out);

/**
 * bound_read_again() - read them as they are kept, without a command. One that fails is alone in that: its line is '-' where it was removed, '!' and the reason where
 * it could not be read.
 */
void bound_read_again(const struct bound_places *p, struct buf *out);

/** bound_helper() - answer each BOUND_ASK on @fd (the first by bound_read()), run commands before their values expire; until @fd closes. */
void bound_helper(int fd, const struct bound_places *p);

/**
 * bound_take() - what the helper has answered is bound from now on, with the sentinels that the sandbox knows.
 * @notes: what people should know of it is appended; may be NULL
 * Return: 0; -ENOKEY, -EINVAL, -ENOMEM with @e: nothing has changed.
 */
int bound_take(struct bound *b, const char *const *names, size_t n, const char *p, size_t len,
	       struct buf *notes, struct err *e);

/** bound_removed() - the secret that @host was bound to and that is no more, or (@ret_left) is bound to it no more. Return: its name, or NULL. */
const char *bound_removed(const struct bound_set *set, const char *host, bool *ret_left);

/** bound_hold() - the secrets as they are now, for one request. Return: NULL: none is bound. */
struct bound_set *bound_hold(struct bound *b);

/** bound_release() - the request is over; takes NULL. */
void bound_release(struct bound_set *set);

/** bound_scrub_of() - as bound_scrub(), of these, BOUND_LISTS at most. @s: NULL, or what goes on with them (scrub_renew()) */
int bound_scrub_of(const struct bound_list *lists, size_t n, const char *host, struct scrub **s,
		   struct err *e);

/** bound_scrub() - what takes the secrets of @host out of an answer. *@ret: NULL when none is bound to it. Return: 0 or -ENOMEM with @e. */
int bound_scrub(const struct bound_set *set, const char *host, struct scrub **ret, struct err *e);

/** bound_done() - erase and free. No request may hold a set. */
void bound_done(struct bound *b);

#endif
