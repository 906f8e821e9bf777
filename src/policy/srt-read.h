/* SPDX-License-Identifier: Apache-2.0 */
/* What srt.c (the schema) and srt-refine.c (what keys say together) share. */
#ifndef BAILEY_POLICY_SRT_READ_H
#define BAILEY_POLICY_SRT_READ_H

#include "srt.h"

struct srt_reader {
	const char *name; /* of the file */
	struct err *e;
};

/** srt_bad() - "FILE:LINE:COLUMN: key: what". Return: -EINVAL. */
__attribute__((format(printf, 3, 4))) int srt_bad(const struct srt_reader *r,
						  const struct json_node *v, const char *fmt, ...);

/** srt_refine() - the rules that no key can break alone. @root: valid by the schema. Return: 0 or -EINVAL with r->e. */
int srt_refine(const struct srt_reader *r, const struct json_node *root);

#endif
