/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of bailey that are not this one: beside it in a build tree, in libexec where it is installed. */
#ifndef BAILEY_CLI_LIBEXEC_H
#define BAILEY_CLI_LIBEXEC_H

#include "util/util.h"

/**
 * libexec_open() - find the program @name, which must be a file of the caller's or root's that nobody else may write.
 * @what: what it does, for the message that it is not installed
 * @path: LIMIT_PATH bytes
 * Return: fd or negative errno with @e.
 */
int libexec_open(const char *name, const char *what, char *path, struct err *e);

/** libexec_exec() - become the program @fd. Return: negative errno with @e, and we are what we were. */
int libexec_exec(int fd, const char *name, char *const *argv, struct err *e);

#endif
