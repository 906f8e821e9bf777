/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#define BURST_MS 200 /* that a rate may run ahead of itself */

struct quota {
	uint64_t used;
	uint64_t room; /* bytes that may pass now */
	uint64_t debt; /* bytes of a datagram that was larger than any room: paid first */
	uint64_t at;   /* ms, when that was true */
};

struct quotas {
	struct quota v[LIMIT_NET_QUOTAS];
};

int quota_init(struct gateway *g)
{
	size_t i;

	if (g->policy.n_quotas == 0)
		return 0;
	g->quotas = mmap(NULL, sizeof(*g->quotas), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->quotas == MAP_FAILED)
		return -ENOMEM;
	for (i = 0; i < g->policy.n_quotas; i++)
		g->quotas->v[i] = (struct quota){ .at = g->now };
	return 0;
}

ssize_t quota_left(struct gateway *g, int i, size_t max)
{
	const struct net_quota *q;
	struct quota *s;
	uint64_t left = max;

	if (i < 0)
		return (ssize_t)max;
	q = &g->policy.quotas[i];
	s = &g->quotas->v[i];
	if (q->rate) {
		uint64_t most = q->rate / (1000 / BURST_MS) + 1,
			 more = (g->now - s->at) * q->rate / 1000;

		if (more > 0) {
			uint64_t paid = more < s->debt ? more : s->debt;

			s->debt -= paid;
			more -= paid;
			s->room = s->room + more < most ? s->room + more : most;
			s->at = g->now;
		}
		left = s->room < left ? s->room : left;
	}
	if (q->bytes) {
		if (s->used >= q->bytes)
			return -EDQUOT;
		left = q->bytes - s->used < left ? q->bytes - s->used : left;
	}
	return (ssize_t)left;
}

int quota_datagram(struct gateway *g, int i, size_t n)
{
	const struct net_quota *q;
	struct quota *s;
	ssize_t left;

	if (i < 0)
		return 1;
	q = &g->policy.quotas[i];
	s = &g->quotas->v[i];
	left = quota_left(g, i, n ? n : 1);
	if (left < 0 || (q->bytes && n > q->bytes - s->used))
		return -EDQUOT;
	if (q->rate && (size_t)left < n && s->room <= q->rate / (1000 / BURST_MS))
		return 0;
	if (q->rate && n > s->room)
		s->debt = n - s->room;
	quota_take(g, i, n);
	return 1;
}

const char *quota_why(const struct gateway *g, int i)
{
	static const char units[] = { 'k', 'M', 'G', 'T' };
	static char why[NET_HOST_MAX + 160]; /* one process, one loop */
	const struct net_quota *q = &g->policy.quotas[i];
	uint64_t n = q->bytes;
	size_t u;

	for (u = 0; u < sizeof(units) && n && n % 1024 == 0; u++)
		n /= 1024;
	(void)snprintf(why, sizeof(why),
		       "the budget of bytes is used up: --limit-bytes %.*s=%llu%.*s",
		       (int)NET_HOST_MAX + 64, q->rule.text, (unsigned long long)n, u > 0,
		       u > 0 ? &units[u - 1] : "");
	return why;
}

void quota_take(struct gateway *g, int i, size_t n)
{
	struct quota *s;

	if (i < 0)
		return;
	s = &g->quotas->v[i];
	s->used += n;
	s->room -= n < s->room ? n : s->room;
}
