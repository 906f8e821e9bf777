/* SPDX-License-Identifier: Apache-2.0 */
/* `bailey run SANDBOX [-- COMMAND]`: the first word behind the options names a sandbox that stays. */
#ifndef BAILEY_CLI_RUN_SANDBOX_H
#define BAILEY_CLI_RUN_SANDBOX_H

#include "cli.h"

/**
 * run_sandbox() - run a command in the sandbox argv[0], or its shell.
 * @o: of the command line: a sandbox has its own, but for the terminal; changed
 * @argv: the words behind the options, which "--" has not ended; at least one
 * Return: exit status; or negative errno with @e, also when there is no such sandbox: it names what else may be meant.
 */
int run_sandbox(struct sandbox_options *o, char *const *argv, struct err *e);

#endif
