/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that leave a session: as docker names them, "ctrl-p,ctrl-q". */
#ifndef BAILEY_CLI_DETACH_KEYS_H
#define BAILEY_CLI_DETACH_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define DETACH_KEYS_MAX 8u
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct err;

struct detach_keys {
	char keys[DETACH_KEYS_MAX];
	size_t n, seen; /* seen: how many of them were typed last, and are held back */
};

/** detach_keys_parse() - @text: keys, divided by commas: a character, or ctrl- and one of a-z @ [ \ ] ^ _; "": none. Return: 0 or -EINVAL with @e. */
int detach_keys_parse(const char *text, struct detach_keys *ret, struct err *e);

/**
 * detach_keys_filter() - what is typed on, of what was typed. Keys that may be the beginning of the sequence are held back until they are not.
 * @out: room for @n + DETACH_KEYS_MAX bytes
 * @ret_n: bytes in @out
 * Return: whether the sequence is complete; what follows it is not looked at.
 */
bool detach_keys_filter(struct detach_keys *k, const char *in, size_t n, char *out, size_t *ret_n);

#endif
