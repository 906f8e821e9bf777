/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes: directories of bailey's state, volumes/NAME, that outlive the sandboxes they are shown in (docs/adr/0036). Which there are, and who has them, is in the
 * store; volumes.c is the side of a sandbox, volume-store.c that of what is kept.
 */
#ifndef BAILEY_CLI_VOLUMES_H
#define BAILEY_CLI_VOLUMES_H

#include "named.h"
#include "stay.h"

#define VOLUMES "volumes" /* below the state directory */

/**
 * volumes_plan() - after everything else of the plan: s->stay->volumes of what its words say, shown at their places. Of one that starts the directories are made, and
 * given to its user. Return: 0 or negative errno with @e.
 */
int volumes_plan(struct sandbox *s, struct err *e);

/** volumes_need() - those of @stay are there: caches are made, for others that are not there @e has the command. Return: as named_get(). */
int volumes_need(struct named *n, const struct stay *stay, struct err *e);

/** volume_list() - all of them, by name. Return: as named_get(). @ret: a list of objects (src/store/README.md) */
int volume_list(struct named *n, const struct json_node **ret, struct err *e);

/**
 * volume_create(), volume_remove() - make or remove one, with its files. What another that was killed has left half done is put right first.
 * Return: as named_get().
 */
int volume_create(struct named *n, const char *name, struct err *e);
int volume_remove(struct named *n, const char *name, struct err *e);

/** volume_prune() - remove those that no sandbox has and that were made before @before; says which. @force: without a question. Return: 0; 1: the answer was no; negative errno with @e. */
int volume_prune(time_t before, bool force, struct err *e);

#endif
