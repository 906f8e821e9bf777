/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_REVIEW_NAMES_H
#define BAILEY_REVIEW_NAMES_H

#include "walk.h"

/** names_classify() - fill row and git of the changes of tree @i, whose sides are open. */
void names_classify(const struct review *r, size_t i, const struct walk_tree *t,
		    const struct review_host *host, struct review_changes *c);

#endif
