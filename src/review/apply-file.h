/* SPDX-License-Identifier: Apache-2.0 */
/* One change at a time, each in a way that leaves the old or the new, never a part. */
#ifndef BAILEY_REVIEW_APPLY_FILE_H
#define BAILEY_REVIEW_APPLY_FILE_H

#include "journal.h"
#include "walk.h"

struct applier {
	const struct walk_tree *t;
	struct journal journal;
	bool root; /* files keep the owner that the run's version has */
};

/**
 * apply_put() - the run's file, link or (empty, closed) directory in its place.
 * @force: whatever the host has there meanwhile
 * Return: 0, -ESTALE when the host's is another one by now, or negative errno.
 */
int apply_put(struct applier *a, const struct review_change *c, bool force);

/** apply_mode() - permission bits (and times, of a directory that was added). Return: as apply_put(). */
int apply_mode(struct applier *a, const struct review_change *c, bool force);

/** apply_delete() - remove a file, or a directory that is empty by now. Return: as apply_put(). */
int apply_delete(struct applier *a, const struct review_change *c, bool force);

#endif
