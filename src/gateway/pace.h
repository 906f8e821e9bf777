/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox makes us do for each of its own small acts: many at once, but not for ever as many as a processor can do. */
#ifndef BAILEY_GATEWAY_PACE_H
#define BAILEY_GATEWAY_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint32_t per_ms, burst;
	uint32_t left; /* of them, at @at */
	uint64_t at;   /* ms */
	uint64_t rest; /* nothing is taken before that (ms); 0: something may be */
};

/** pace_some() - whether one more may be taken at @now; else whoever asks should rest until @p->rest, which is set. */
static inline bool pace_some(struct pace *p, uint64_t now, uint64_t rest_ms)
{
	uint64_t left = p->left + (now - p->at) * p->per_ms;

	p->left = left < p->burst ? (uint32_t)left : p->burst;
	p->at = now;
	if (p->left == 0)
		p->rest = now + rest_ms;
	return p->left > 0;
}

#endif
