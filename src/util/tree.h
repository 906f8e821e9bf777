/* SPDX-License-Identifier: Apache-2.0 */
/* Whole trees whose contents are somebody else's: nothing is followed, no name is resolved twice; depth and number of what is copied are bounded. */
#ifndef BAILEY_UTIL_TREE_H
#define BAILEY_UTIL_TREE_H

/**
 * tree_remove() - remove @name below @dfd, and all that is in it, at any depth; directories without permissions get them first.
 * Return: 0, also when it is not there; or negative errno, and some of it may be gone.
 */
int tree_remove(int dfd, const char *name);

/**
 * tree_copy() - copy @name below @from to the new @to_name below @to: files, directories, symlinks, FIFOs, with modes (never set-id bits), times
 * and, for root, owners.
 * Return: 0; -EFBIG past LIMIT_TREE_ENTRIES or LIMIT_TREE_BYTES, -ELOOP past LIMIT_TREE_DEPTH; -EEXIST; negative errno. What was copied by then stays.
 */
int tree_copy(int from, const char *name, int to, const char *to_name);

#endif
