/* SPDX-License-Identifier: Apache-2.0 */
/* The program that opens a URL on the host, as the caller: $BROWSER, where that is one program, else xdg-open. */
#ifndef BAILEY_CLI_BROWSER_H
#define BAILEY_CLI_BROWSER_H

#include "cli.h"

struct browser;

/**
 * browser_find() - look for it. Nothing is taken, and nothing is left in its PATH and the other variables that it gets, that the sandbox could have written.
 * Should be called before anything hostile runs: the policy lies in memory that PID 1 shares.
 * Return: it, owned by the caller; NULL: there is none, or no memory.
 */
struct browser *browser_find(const struct sandbox *s);

/** browser_name() - its path. */
const char *browser_name(const struct browser *b);

/** browser_open() - start it with @url (url_parse() has accepted it) as its only word; it is nobody's child. Return: 0 or negative errno with @e. */
int browser_open(const struct browser *b, const char *url, struct err *e);

/** browser_free() - NULL is fine. */
void browser_free(struct browser *b);

#endif
