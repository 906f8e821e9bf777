/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs about records of runs share: diff, apply, discard, runs, prune. */
#ifndef BAILEY_CLI_RECORDS_H
#define BAILEY_CLI_RECORDS_H

#include "cli.h"
#include "named.h"

struct records {
	struct sandbox s; /* for the home directory and memory */
	struct review_store store;
	char cwd[LIMIT_PATH];
	struct named_ref box; /* when a sandbox that stays was meant; its record has its ID */
};

/** records_open() - find the caller's records. Return: 0 or negative errno with @e. records_done() in any case. */
int records_open(struct records *rs, struct err *e);
void records_done(struct records *rs);

/**
 * records_path() - the directory of all records. @out: LIMIT_PATH bytes. Return: 0 or negative errno with @e.
 */
int records_path(const char *home, char *out, struct err *e);

/** records_is() - whether @word can be a run, or is a sandbox that stays. */
bool records_is(const char *word);

/** records_id() - the run or the sandbox that @word names, or the last of this directory. @id: REVIEW_ID + 1 bytes. Return: 0 or negative errno with @e. */
int records_id(struct records *rs, const char *word, char *id, struct err *e);

/**
 * records_review() - review_open() of it, with words for a sandbox.
 * Return: 0; 1: it is a sandbox, whose commands have changed nothing; or negative errno with @e.
 */
int records_review(struct records *rs, struct review *r, const char *id, bool change,
		   struct err *e);

/** records_fail() - as cli_fail(); 4 when the run or the sandbox still lives, and that is why. @r: what has failed */
int records_fail(int r, const struct err *e);

/** records_nothing() - say that a sandbox has changed nothing; @json: as an array. Return: as cli_print(). */
int records_nothing(const struct records *rs, bool json);

/** records_of_sandbox() - whether the record @id is that of a sandbox that stays, whose files are in it; also when nobody can say. */
bool records_of_sandbox(const char *id);

/**
 * records_each_over() - call @each for each run that is over and began before @before, and for records that can't be read; never for those of sandboxes that stay.
 * Return: 0, or what @each returned; an exit status > 0, and the reason was said; negative errno with @e.
 */
int records_each_over(struct records *rs, time_t before,
		      int (*each)(void *arg, const char *id, struct err *e), void *arg,
		      struct err *e);

/** records_keep() - whether the sandbox @box, which is stopped, could go on with its changes if its overlay workspaces were those of @as. Return: 0, -EBUSY or another negative errno with @e. */
int records_keep(const struct named_box *box, const struct review_record *as, struct err *e);

/** records_may_go() - whether the record of the sandbox @box, which is stopped, may be removed: not when there are changes in it, unless @force. @verb: who asks, for what is said. Return: 0, -EBUSY or another negative errno with @e. */
int records_may_go(const struct named_box *box, const char *verb, bool force, struct err *e);

/** records_forget() - remove it, with the changes: the last step, after all that can fail. Return: 0 or negative errno with @e. */
int records_forget(const struct named_box *box, struct err *e);

/**
 * records_host() - what is protected on the host now, in the trees of @r: by the search that a run begins with.
 * Return: 0 or negative errno with @e. @ret: lives as long as @rs
 */
int records_host(struct records *rs, const struct review *r, struct review_host *ret,
		 struct err *e);

/** records_counts() - "3 modified, 1 added …" of files, for a line. */
void records_counts(const struct review_changes *c, char *out, size_t size);

#endif
