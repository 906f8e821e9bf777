/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions for rules, matched in time that is linear in the text, which is hostile: no backtracking, so no back references and no look-around, which are
 * refused. Syntax: . [a-z] [^…] \d \w \s \D \W \S \. ^ $ ( ) (?: ) | * + ? {m,n} and their lazy forms; letters are compared as bytes. A match may stand anywhere
 * in the text unless ^ or $ say otherwise, which mean the text's ends.
 */
#ifndef BAILEY_KEYS_REGEX_H
#define BAILEY_KEYS_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "util/util.h"

#define REGEX_STEPS 2000u /* of a program */

struct regex;

/** regex_parse() - @ret is owned by @a. Return: 0, -EINVAL with @e saying what is wrong, -E2BIG, -ENOMEM. */
int regex_parse(const struct regex **ret, const char *text, struct arena *a, struct err *e);

/** regex_match() - whether @r is found in the @n bytes at @p. */
bool regex_match(const struct regex *r, const char *p, size_t n);

/** regex_begins() - whether @r can be found in any text whose first byte is @c. */
bool regex_begins(const struct regex *r, char c);

#endif
