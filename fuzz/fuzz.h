/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. A target is one function that aborts when a promise is broken; fuzz/run builds and runs them. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_REQUIRE(e) \
	((e) ? (void)0 : (fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #e), abort()))

/* The next line of the input as a string of at most @max - 1 bytes (NUL bytes end it early); false when nothing is left. */
static inline bool fuzz_line(const uint8_t **data, size_t *size, char *out, size_t max)
{
	const uint8_t *nl;
	size_t n;

	if (*size == 0)
		return false;
	nl = memchr(*data, '\n', *size);
	n = nl ? (size_t)(nl - *data) : *size;
	snprintf(out, max, "%.*s", (int)n, (const char *)*data);
	n += nl != NULL;
	*data += n;
	*size -= n;
	return true;
}

#endif
