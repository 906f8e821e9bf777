/* SPDX-License-Identifier: Apache-2.0 */
/* Where the database lies: a directory that nobody else may write, and files that nobody else may read. */
#ifndef BAILEY_STORE_PLACE_H
#define BAILEY_STORE_PLACE_H

#include "store.h"

#define PLACE_HEAD \
	100 /* bytes at the start of a database, of which sqlite's documentation says what they are */

/**
 * place_open() - the state directory.
 * Return: fd; -ENOENT without @e when it is not there and @make is false; negative errno.
 */
int place_open(const char *state_dir, bool make, struct err *e);

/**
 * place_head() - check who may read and write the database and the files that sqlite keeps beside it, and read its head.
 * Return: 0; -ENOENT without @e when there is no database; -EBADMSG when it is shorter; negative errno.
 */
int place_head(int dir, const char *shown, unsigned char ret_head[PLACE_HEAD], struct err *e);

/** place_create() - make the database of @n bytes, whole or not at all; one that somebody else has made meanwhile stays. Return: 0 or negative errno. */
int place_create(int dir, const char *shown, const void *bytes, size_t n, struct err *e);

#endif
