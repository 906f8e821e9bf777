/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of a record while its changes are taken over: which names of our own may stand on the host, and which of its directories were changed by
 * us. Written before that happens.
 */
#ifndef BAILEY_REVIEW_JOURNAL_H
#define BAILEY_REVIEW_JOURNAL_H

#include "walk.h"

#define JOURNAL "journal"
#define TOUCHED "touches"

/* The name of what is not in its place yet begins with this, and the record's ID follows. */
#define JOURNAL_TEMP ".bailey-"

struct journal {
	int dir; /* of the record; borrowed */
	int fd, touched;
	const char *id;      /* borrowed */
	size_t tree;         /* of what was noted last */
	char at[LIMIT_PATH]; /* directory of what was noted last: one note for a directory is enough */
	bool any;
};

/** journal_begin() - Return: 0 or negative errno. journal_end() in any case. */
int journal_begin(struct journal *j, int dir, const char *id);

/** journal_temp() - the name that may be used in the directory @in of tree @tree. @out: 32 bytes. Return: 0 or negative errno. */
int journal_temp(struct journal *j, size_t tree, const char *in, char *out);

/** journal_touch() - names will come and go in the open directory of the host. Return: 0 or negative errno. */
int journal_touch(struct journal *j, int host_dir);

/** journal_touched() - they have: what changes there from now on is the host's. */
void journal_touched(struct journal *j, int host_dir);

/** journal_end() - @done: nothing of ours is left on the host. */
void journal_end(struct journal *j, bool done);

/** journal_heal() - remove from the host what an interrupted command left. The record is locked. Return: 0 or negative errno. */
int journal_heal(int dir);

/** journal_exempt() - the directories of journal_touch(); none, when they can't be read. Owned: free(). */
void journal_exempt(int dir, struct walk_exempt *ret);

#endif
