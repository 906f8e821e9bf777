/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes one text of another: E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), in its linear-space form. Lines are numbered
 * first, equal ones alike, so that comparing two is comparing numbers. Texts that have next to nothing in common would take quadratic time: after
 * MAX_COST steps a piece is given up and shown as replaced, which is a correct difference, only not the smallest.
 */
#include <errno.h>
#include <string.h>

#include "review.h"

#define MAX_COST 2000

int review_text_split(struct review_text *t, const char *data, size_t size)
{
	const char *end = data + size, *at, *nl;
	size_t n = 0;

	for (at = data; at < end; at = nl ? nl + 1 : end) {
		nl = memchr(at, '\n', (size_t)(end - at));
		n++;
	}
	*t = (struct review_text){ .data = data, .size = size };
	t->line = malloc((n + 1) * sizeof(*t->line));
	if (!t->line)
		return -ENOMEM;
	for (at = data; at < end; at = nl ? nl + 1 : end) {
		nl = memchr(at, '\n', (size_t)(end - at));
		t->line[t->n++] = at;
	}
	t->line[t->n] = end;
	return 0;
}

void review_text_done(struct review_text *t)
{
	free(t->line);
	*t = (struct review_text){ .line = NULL };
}

static size_t length(const struct review_text *t, size_t i)
{
	return (size_t)(t->line[i + 1] - t->line[i]);
}

/* Numbers of lines; 0 is a free place. */
struct numbers {
	struct {
		const char *line;
		size_t len;
		unsigned int number;
	} * v;
	size_t mask;
	unsigned int last;
};

static unsigned int number(struct numbers *t, const char *line, size_t len)
{
	uint64_t h = 14695981039346656037u;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)line[i]) * 1099511628211u;
	for (i = (size_t)(h ^ h >> 32) & t->mask; t->v[i].number; i = (i + 1) & t->mask) {
		if (t->v[i].len == len && memcmp(t->v[i].line, line, len) == 0)
			return t->v[i].number;
	}
	t->v[i].line = line;
	t->v[i].len = len;
	return t->v[i].number = ++t->last;
}

struct diff {
	unsigned int *a, *b; /* numbers of the lines */
	bool *gone, *come;   /* per line of either side */
	long *v[2];          /* furthest points, forwards and backwards */
};

static void all(bool *v, long n)
{
	memset(v, true, (size_t)n);
}

static long wrap(long k, long z)
{
	k %= z;
	return k < 0 ? k + z : k;
}

/* A piece where two furthest paths meet: from (x, y) to (u, v). */
struct snake {
	long x, y, u, v, cost;
};

/* One step outwards, forwards (@o 1) or backwards (0). Return: whether the paths have met. */
static bool step(struct diff *d, long a0, long n, long b0, long m, long h, int o, long z,
		 struct snake *s)
{
	long *c = d->v[1 - o], *other = d->v[o], total = n + m, w = n - m, k, a, b, from_a, from_b,
	     q;
	long low = -(h - 2 * (h > m ? h - m : 0)), high = h - 2 * (h > n ? h - n : 0);

	for (k = low; k <= high; k += 2) {
		if (k == -h || (k != h && c[wrap(k - 1, z)] < c[wrap(k + 1, z)]))
			a = c[wrap(k + 1, z)];
		else
			a = c[wrap(k - 1, z)] + 1;
		b = a - k;
		from_a = a;
		from_b = b;
		while (a < n && b < m &&
		       (o ? d->a[a0 + a] == d->b[b0 + b] :
			    d->a[a0 + n - 1 - a] == d->b[b0 + m - 1 - b])) {
			a++;
			b++;
		}
		c[wrap(k, z)] = a;
		q = w - k;
		if (total % 2 != o || q < -(h - o) || q > h - o || a + other[wrap(q, z)] < n)
			continue;
		*s = o ? (struct snake){ from_a, from_b, a, b, 2 * h - 1 } :
			 (struct snake){ n - a, m - b, n - from_a, m - from_b, 2 * h };
		return true;
	}
	return false;
}

static void compare(struct diff *d, long a0, long n, long b0, long m)
{
	long z, h;
	struct snake s = { .cost = -1 };

	/* what is equal at both ends needs no search */
	while (n > 0 && m > 0 && d->a[a0] == d->b[b0])
		a0++, b0++, n--, m--;
	while (n > 0 && m > 0 && d->a[a0 + n - 1] == d->b[b0 + m - 1])
		n--, m--;
	if (n == 0 || m == 0) {
		all(d->gone + a0, n);
		all(d->come + b0, m);
		return;
	}
	z = 2 * (n < m ? n : m) + 2;
	memset(d->v[0], 0, (size_t)z * sizeof(long));
	memset(d->v[1], 0, (size_t)z * sizeof(long));
	for (h = 0; h <= (n + m + 1) / 2 && h <= MAX_COST; h++) {
		if (step(d, a0, n, b0, m, h, 1, z, &s) || step(d, a0, n, b0, m, h, 0, z, &s))
			break;
	}
	if (s.cost < 2) { /* given up; or one line too many, which the ends would have shown */
		all(d->gone + a0, n);
		all(d->come + b0, m);
		return;
	}
	compare(d, a0, s.x, b0, s.y);
	compare(d, a0 + s.u, n - s.u, b0 + s.v, m - s.v);
}

/* From marks to pieces: what is gone stands before what has come. */
static long collect(const struct diff *d, size_t n, size_t m, struct review_edit *out)
{
	size_t i = 0, k = 0, start_i, start_k;
	long count = 0;

	while (i < n || k < m) {
		start_i = i;
		start_k = k;
		while (i < n && k < m && !d->gone[i] && !d->come[k])
			i++, k++;
		if (i > start_i)
			out[count++] = (struct review_edit){ ' ', start_i, start_k, i - start_i };
		start_i = i;
		while (i < n && d->gone[i])
			i++;
		if (i > start_i)
			out[count++] = (struct review_edit){ '-', start_i, k, i - start_i };
		start_k = k;
		while (k < m && d->come[k])
			k++;
		if (k > start_k)
			out[count++] = (struct review_edit){ '+', i, start_k, k - start_k };
	}
	return count;
}

long review_lines(const struct review_text *a, const struct review_text *b,
		  struct review_edit **ret)
{
	size_t n = a->n, m = b->n, i, places = 16, z = 2 * (n < m ? n : m) + 4;
	struct numbers t = { .v = NULL };
	struct diff d = { .a = malloc((n + 1) * sizeof(*d.a)),
			  .b = malloc((m + 1) * sizeof(*d.b)),
			  .gone = calloc(n + 1, sizeof(bool)),
			  .come = calloc(m + 1, sizeof(bool)),
			  .v = { malloc(z * sizeof(long)), malloc(z * sizeof(long)) } };
	struct review_edit *out = malloc((2 * (n + m) + 1) * sizeof(*out));
	long r = -ENOMEM;

	while (places < 2 * (n + m))
		places *= 2;
	t.mask = places - 1;
	t.v = calloc(places, sizeof(*t.v));
	if (d.a && d.b && d.gone && d.come && d.v[0] && d.v[1] && out && t.v) {
		for (i = 0; i < n; i++)
			d.a[i] = number(&t, a->line[i], length(a, i));
		for (i = 0; i < m; i++)
			d.b[i] = number(&t, b->line[i], length(b, i));
		compare(&d, 0, (long)n, 0, (long)m);
		r = collect(&d, n, m, out);
		*ret = TAKE_PTR(out);
	}
	free(out);
	free(t.v);
	free(d.a);
	free(d.b);
	free(d.gone);
	free(d.come);
	free(d.v[0]);
	free(d.v[1]);
	return r;
}
