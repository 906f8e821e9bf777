/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits on what a run may use: their names, and values from text. The name is the option (--memory) and the key in policy files
 * (limits.memory).
 */
#ifndef BAILEY_POLICY_LIMIT_H
#define BAILEY_POLICY_LIMIT_H

#include <stdint.h>

struct err;

enum policy_limit {
	POLICY_LIMIT_MEMORY, /* bytes */
	POLICY_LIMIT_CPUS,   /* thousandths of a CPU */
	POLICY_LIMIT_PIDS,   /* processes and threads */
	POLICY_LIMIT_FSIZE,  /* bytes */
	POLICY_LIMIT_NOFILE, /* descriptors of one process */
	POLICY_LIMIT_DISK,   /* bytes of the run's private directories */
	POLICY_LIMIT_NUM
};

#define POLICY_LIMIT_TEXT 32 /* bytes that policy_limit_format() needs */

/** policy_limit_name() - "memory" … */
const char *policy_limit_name(enum policy_limit l);

/**
 * policy_limit_parse() - "64M", "1.5G" (powers of 1024), "1.5" CPUs, "100".
 * @ret: in the units above; never 0, which means "none" everywhere
 * Return: 0 or -EINVAL with @e, which quotes @text and says what was expected.
 */
int policy_limit_parse(enum policy_limit l, const char *text, uint64_t *ret, struct err *e);

/** policy_limit_format() - the shortest text that policy_limit_parse() reads as @v. Return: @out. */
const char *policy_limit_format(enum policy_limit l, uint64_t v, char out[POLICY_LIMIT_TEXT]);

#endif
