/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy file: JSON whose keys are those of the option table, so that a file says what a command line could say. What comes out is a list of
 * option values, each with its place in the file; whoever reads the file puts them before those of the command line.
 */
#ifndef BAILEY_POLICY_FILE_H
#define BAILEY_POLICY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/util.h"

struct policy_file {
	struct opt_value *values; /* owned by the arena, as all text */
	size_t n;
};

/**
 * policy_file_parse() - read and check a whole file.
 * @name: of the file, for messages
 * @text: @len bytes, and a NUL behind them that does not count
 * @opts: the option table; rows without a key are no matter of files. Values point to its rows.
 * @ret: the sources of its values are NULL: the caller sets them
 * Lists give a value each, an object of environment variables "NAME=VALUE" each (of reasons "RULE=TEXT"), false of a flag the value "false".
 * Return: 0, or negative errno with @e saying file, line, column, key and what was expected.
 */
int policy_file_parse(struct policy_file *ret, const char *name, const char *text, size_t len,
		      const struct opt *opts, struct arena *a, struct err *e);

/**
 * policy_file_loosens() - whether a value could give something, so that a project which is not trusted can't set it.
 */
bool policy_file_loosens(const struct opt_value *v);

#endif
