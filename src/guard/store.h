/* SPDX-License-Identifier: Apache-2.0 */
/* What sweep, journal and quarantine share: directories below the state directory, fields of a record. */
#ifndef BAILEY_GUARD_STORE_H
#define BAILEY_GUARD_STORE_H

#include <stddef.h>

#include "guard.h"

/** store_open() - the state directory, or @name in it (one level); @make: create both. Return: fd; -ENOENT; negative errno. */
int store_open(const char *state_dir, const char *name, bool make);

/** store_id() - a new id in @out. Return: 0 or negative errno. */
int store_id(char out[GUARD_ID + 1]);

/** store_id_ok() - whether @s is an id. */
bool store_id_ok(const char *s);

/* Records are fields, each ended by a NUL: paths hold every other byte. */
struct fields {
	const char *at, *end;
};

/** fields_next() - the next field. Return: it, or NULL when there is none. */
const char *fields_next(struct fields *f);

/** fields_int() - the same as a number >= 0. Return: it, or -1. */
int64_t fields_int(struct fields *f);

/**
 * quarantine_put() - move @path, which no run can change any more, out of its directory.
 * @state: fd of the state directory
 * @ret_id: in the quarantine
 * Return: 0; 1 when a part of it, which is in the quarantine, too, can't be removed; -ENOENT when there is nothing of that name; or negative errno, and
 * it is where it was.
 */
int quarantine_put(int state, const char *run, const char *path, const char *what, bool lives,
		   char ret_id[GUARD_ID + 1]);

/** guard_unwatch() - the watcher has let go of the run when this returns. */
void guard_unwatch(struct guard *g);

/** quarantine_add_to() - what else @run's watcher has moved. A list that can't be read is no failure: quarantine ls shows it. */
void quarantine_add_to(int state, const char *run, int64_t start, struct guard_report *rep);

/**
 * journal_read() - what the journal @fd says.
 * @policy: empty; sealed afterwards
 * @plan: only its absent names; @patterns: the policy's memory, or NULL: they are not wanted
 * Return: 0; -ENODATA when nothing was written yet; -EBADMSG; negative errno.
 */
int journal_read(int fd, struct jail_plan *plan, struct policy *policy, struct jail_protect *pr,
		 int64_t *ret_start, pid_t *ret_pid1, const struct guard_pattern **patterns);

/* What is swept. */
struct sweep_of {
	int state;
	const char *run;
	int64_t start;                /* of the run */
	const struct jail_plan *plan; /* for its absent names */
	const struct policy *policy;
	const struct jail_protect *protect;
	bool lives; /* the run: what is judged by its contents is left to the end */
};

/** sweep() - move what is new. Return: 0 or negative errno with @e. */
int sweep(const struct sweep_of *of, struct guard_report *ret, struct err *e);

/**
 * judge_config() - whether the git configuration @path makes git run something.
 * @out: the variable, or why it can't be said. Return: true when it must not stay.
 */
bool judge_config(const char *path, char out[512]);

/** judge_worktree() - whether the file @name (commondir or gitdir) in @in, a new worktrees/NAME, is what git makes. */
bool judge_worktree(const char *in, const char *name);

/** judge_pointer() - whether the .git file or link @path leads to a git directory that lies in what is writable. */
bool judge_pointer(const struct policy *policy, const char *path);

#endif
