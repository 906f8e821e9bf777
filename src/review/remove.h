/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_REVIEW_REMOVE_H
#define BAILEY_REVIEW_REMOVE_H

/** remove_tree() - remove @name in @dir, whatever it is and however deep. Nobody else may write there. Return: 0, also when it is not there, or negative errno. */
int remove_tree(int dir, const char *name);

#endif
