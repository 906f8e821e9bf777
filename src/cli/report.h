/* SPDX-License-Identifier: Apache-2.0 */
/* What a run with --report was denied: collected beside the run by a process of its own, said at the end. */
#ifndef BAILEY_CLI_REPORT_H
#define BAILEY_CLI_REPORT_H

#include "cli.h"

struct report_entry {
	const char *op;
	char path[LIMIT_PATH];
	char grant[LIMIT_PATH]; /* what the option of the judgement must name: a grant is of what exists */
	struct judgement judged;
	uint64_t count;
};

struct report {
	bool whole;      /* the observer saw the end of the last process */
	uint64_t more;   /* denials that found no place */
	uint64_t unread; /* calls that could not be looked at */
	uint64_t unmade; /* calls that would have made a name after the maker was ended */
	uint64_t looks, looks_denied, audit_bytes;
	bool audit_full;
	size_t n_refused, more_refused;
	struct {
		char path[LIMIT_PATH], what[64];
	} refused[LIMIT_REFUSED]; /* names that --strict-protect has not let come */
	size_t n;
	struct report_entry entries[LIMIT_REPORTED];
};

/** report_add() - judge what a process asked for; a denial is kept, everything is logged to @audit (-1: nowhere). */
void report_add(struct report *r, const struct sandbox *s, const struct jail_access *a, int audit);

/** audit_file_begin() - open the log of --audit, where that is asked for; after sandbox_frame(). Return: 0 or negative errno with @e. */
int audit_file_begin(struct run *run, struct err *e);

/** audit_file_add() - a line. @fails: it would without a sandbox, too */
void audit_file_add(struct report *r, int fd, const struct jail_access *a, const char *path,
		    const struct judgement *judged, bool fails);

/** audit_file_text() - append the line about the log @name that ends a run. */
void audit_file_text(const struct report *r, const char *name, struct buf *b);

/** report_json() - append the report, names that were not made, and the count of the log as one JSON object. */
void report_json(const struct report *r, const struct sandbox *s, struct buf *b);

/** report_strict_text() - append the lines about names that were not made. */
void report_strict_text(const struct report *r, struct buf *b);

/** report_text() - append the lines that end a run. */
void report_text(const struct report *r, struct buf *b);

/**
 * report_begin() - start the observer. Takes @listener; borrows @maker, which is of a strict run, or -1.
 * What it judges by is shared with the caller, and not changed while it runs.
 * Return: 0 or negative errno with @e.
 */
int report_begin(struct run *run, const struct sandbox *s, int listener, int maker, struct err *e);

/** report_wait() - when nothing of the run is left: wait for the observer, but not for ever. */
void report_wait(struct run *run);

/** report_say() - print the report, or give it to who wants it, if one was asked for; @quiet: only end it. */
void report_say(struct run *run, const struct sandbox *s, bool quiet);

#endif
