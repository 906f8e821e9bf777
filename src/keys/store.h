/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where secrets are kept: DIR/secrets of bailey's state, a file for each (docs/adr/0022).
 *
 *	struct store s = STORE_INIT;
 *	store_open(&s, state_dir, false, e);		-ENOENT: there is none
 *	store_read(&s, "github", &arena, &secret, e);
 *	store_done(&s);
 */
#ifndef BAILEY_KEYS_STORE_H
#define BAILEY_KEYS_STORE_H

#include "record.h"

#define STORE_SECRETS 1024u /* in one store */
#define STORE_KEY 32u

enum store_key { STORE_KEY_ANY, STORE_KEY_FILE, STORE_KEY_RING };

struct store {
	char path[LIMIT_PATH]; /* of the directory, for messages */
	int fd;
	bool locked;
	enum store_key kind; /* where the key is that is known; STORE_KEY_ANY: none is */
	unsigned char key[STORE_KEY];
};

#define STORE_INIT       \
	{                \
		.fd = -1 \
	}

/**
 * store_open() - open the store below @state.
 * @make: create what is missing, and keep other writers away until store_done()
 * Return: 0; -ENOENT without @e: there is none; negative errno with @e (others could write or read it).
 */
int store_open(struct store *s, const char *state, bool make, struct err *e);

/** store_done() - close, and erase the key. */
void store_done(struct store *s);

/** store_has() - whether there is a file for @name. */
bool store_has(const struct store *s, const char *name);

/**
 * store_read() - read a secret. Its strings are @a's, of SECRET_MEMORY bytes that are erased.
 * Return: 0; -ENOENT, -EINVAL, -EBADMSG (changed, or of another key or name), -ENOKEY with @e.
 */
int store_read(struct store *s, const char *name, struct arena *a, struct secret *ret,
	       struct err *e);

/**
 * store_write() - keep a secret in place of what had its name. Whenever this ends, the old one is there or the new one.
 * @key: where a key is to be that isn't there yet; another place than where it is is an error
 */
int store_write(struct store *s, const struct secret *secret, enum store_key key, struct err *e);

/** store_remove() - Return: 0, -ENOENT or negative errno with @e. */
int store_remove(struct store *s, const char *name, struct err *e);

#define STORE_KEPT ((size_t)128 << 10) /* bytes of a text that is no secret's record */

/** store_keep() - keep a text of bailey's own, encrypted as secrets are, in place of the one before. Return: 0 or negative errno with @e. */
int store_keep(struct store *s, const char *name, const struct buf *text, struct err *e);

/** store_kept() - read it into @text, of STORE_KEPT bytes that don't move. Return: 0, -ENOENT without @e, or as store_read(). */
int store_kept(struct store *s, const char *name, struct buf *text, struct err *e);

/** store_list() - names, in order, into @a. Return: how many, or negative errno with @e. */
int store_list(struct store *s, struct arena *a, const char ***ret, struct err *e);

/**
 * store_refresh() - read a secret; when what its command gave has expired, run it again and keep what it gives now.
 * Waits for the command. Return: as store_read(), or the command's failure.
 */
int store_refresh(struct store *s, const char *name, struct arena *a, struct secret *ret,
		  struct err *e);

/** store_command() - run a secret's command and take what it gives. Return: 0 or negative errno with @e. */
int store_command(struct secret *secret, struct arena *a, struct err *e);

#endif
