/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs about records of runs share: diff, apply, discard, runs, prune. */
#ifndef BAILEY_CLI_RECORDS_H
#define BAILEY_CLI_RECORDS_H

#include "cli.h"

struct records {
	struct sandbox s; /* for the home directory and memory */
	struct review_store store;
	char cwd[LIMIT_PATH];
};

/** records_open() - find the caller's records. Return: 0 or negative errno with @e. records_done() in any case. */
int records_open(struct records *rs, struct err *e);
void records_done(struct records *rs);

/**
 * records_path() - the directory of all records. @out: LIMIT_PATH bytes. Return: 0 or negative errno with @e.
 */
int records_path(const char *home, char *out, struct err *e);

/** records_id() - the run that @word names, or the last of this directory. @id: REVIEW_ID + 1 bytes. Return: 0 or negative errno with @e. */
int records_id(struct records *rs, const char *word, char *id, struct err *e);

/**
 * records_host() - what is protected on the host now, in the trees of @r: by the search that a run begins with.
 * Return: 0 or negative errno with @e. @ret: lives as long as @rs
 */
int records_host(struct records *rs, const struct review *r, struct review_host *ret,
		 struct err *e);

/** records_counts() - "3 modified, 1 added …" of files, for a line. */
void records_counts(const struct review_changes *c, char *out, size_t size);

#endif
