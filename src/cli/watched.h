/* SPDX-License-Identifier: Apache-2.0 */
/* A run's side of the watcher: to ask for one, again when it dies, and to freeze when it asks for that (docs/adr/0017). */
#ifndef BAILEY_CLI_WATCHED_H
#define BAILEY_CLI_WATCHED_H

#include "cli.h"

/** watched_begin() - the run lives; a watcher is asked for when it has lasted some milliseconds. */
void watched_begin(struct run *run);

/** watched_step() - between two polls. @wait: until the next poll must end, -1: never. */
void watched_step(struct run *run, long *wait);

/** watched_stops() - whether a stop of the command may be our own doing, and is no job control. */
bool watched_stops(const struct run *run);

/** watched_end() - nothing of the run is left. */
void watched_end(struct run *run, void (*say)(const char *line));

#endif
