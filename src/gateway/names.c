/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS ((size_t)2 * NAMES_MAX) /* a power of two */
#define FIRST 2u                      /* 198.18.0.0 is no host, 198.18.0.1 is the sandbox itself */

static const unsigned char prefix4[14] = { [10] = 0xff, [11] = 0xff, [12] = 198, [13] = 18 };
static const unsigned char prefix6[8] = { 0xfd, 'b', 'a', 'i', 'l', 'e', 'y', 0 };

/* FNV-1a. Whoever chooses names can make them collide: then 8,192 names are compared, once for each question. */
static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

/* The slot that has @host, or the free one where it belongs. */
static uint16_t *slot(const struct names *names, const char *host)
{
	size_t i = hash(host) & (SLOTS - 1);

	while (names->slots[i] && strcmp(names->host[names->slots[i] - 1], host) != 0)
		i = (i + 1) & (SLOTS - 1);
	return &names->slots[i];
}

/* Whether number @i is a name, and no name before it. */
static bool is_name(const struct names *names, unsigned int i)
{
	const char *host = names->host[i];
	char canon[NET_HOST_MAX + 1];
	size_t len = strnlen(host, sizeof(names->host[i]));

	return len > 0 && len <= NET_HOST_MAX &&
	       net_host_canon(host, len, canon, NULL) == (int)len &&
	       memcmp(canon, host, len) == 0 && !*slot(names, host);
}

int names_init(struct names *names, struct names_kept *kept)
{
	unsigned int n = kept->n;

	*names =
		(struct names){ .host = kept->host,
				.kept = kept,
				.slots = mmap(NULL, SLOTS * sizeof(*names->slots),
					      PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) };
	if (names->slots == MAP_FAILED) {
		names->slots = NULL;
		return -ENOMEM;
	}
	if (n > NAMES_MAX)
		return -EBADMSG;
	for (; names->n < n; names->n++) {
		if (!is_name(names, names->n))
			return -EBADMSG;
		*slot(names, names->host[names->n]) = (uint16_t)(names->n + 1);
	}
	return 0;
}

void names_done(struct names *names)
{
	if (names->slots)
		(void)munmap(names->slots, SLOTS * sizeof(*names->slots));
	*names = (struct names){ .host = NULL };
}

int names_find(const struct names *names, const char *host)
{
	return *slot(names, host) - 1 < 0 ? -ENOENT : *slot(names, host) - 1;
}

int names_get(struct names *names, const char *host)
{
	uint16_t *s = slot(names, host);
	size_t len = strlen(host);

	if (*s)
		return *s - 1;
	if (names->n == NAMES_MAX || len > NET_HOST_MAX)
		return -ENOSPC;
	memcpy(names->host[names->n], host, len + 1);
	*s = (uint16_t)++names->n;
	/* the name is whole before it counts */
	__atomic_store_n(&names->kept->n, names->n, __ATOMIC_RELEASE);
	return *s - 1;
}

struct net_addr names_addr(unsigned int i, bool v6)
{
	struct net_addr a = { { 0 } };
	unsigned int v = i + FIRST;

	if (v6)
		memcpy(a.b, prefix6, sizeof(prefix6));
	else
		memcpy(a.b, prefix4, sizeof(prefix4));
	a.b[14] = (unsigned char)(v >> 8);
	a.b[15] = (unsigned char)v;
	return a;
}

int names_by_addr(const struct names *names, const struct net_addr *a)
{
	static const unsigned char zero[6];
	bool v4 = memcmp(a->b, prefix4, 13) == 0 && (a->b[13] & 0xfe) == prefix4[13];
	bool v6 = memcmp(a->b, prefix6, sizeof(prefix6)) == 0;
	unsigned int v = (unsigned int)a->b[14] << 8 | a->b[15];

	if (!v4 && !v6)
		return -ERANGE;
	if ((v4 && a->b[13] != prefix4[13]) || (v6 && memcmp(a->b + 8, zero, sizeof(zero)) != 0) ||
	    v < FIRST || v - FIRST >= names->n)
		return -ENOENT;
	return (int)(v - FIRST);
}
