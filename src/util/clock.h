/* SPDX-License-Identifier: Apache-2.0 */
/* The time since some moment, which no one can set: CLOCK_MONOTONIC. */
#ifndef BAILEY_UTIL_CLOCK_H
#define BAILEY_UTIL_CLOCK_H

#include <time.h>

static inline long clock_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* can't fail for this clock */
	return ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline long clock_us(void)
{
	return clock_ns() / 1000;
}

static inline long clock_ms(void)
{
	return clock_ns() / 1000000;
}

#endif
