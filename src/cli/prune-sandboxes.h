/* SPDX-License-Identifier: Apache-2.0 */
/* `bailey prune --sandboxes`. */
#ifndef BAILEY_CLI_PRUNE_SANDBOXES_H
#define BAILEY_CLI_PRUNE_SANDBOXES_H

#include <stdbool.h>
#include <time.h>

struct err;

/**
 * prune_sandboxes() - remove what no sandbox owns, and the sandboxes that are stopped and were neither started nor stopped since @before.
 * @force: do not ask
 * Return: exit status, 1: the answer was no; or negative errno with @e.
 */
int prune_sandboxes(time_t before, bool force, struct err *e);

#endif
