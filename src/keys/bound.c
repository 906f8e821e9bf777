/* SPDX-License-Identifier: Apache-2.0 */
#include "bound.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "erase.h"
#include "scrub.h"

static void free_set(struct bound_set *set)
{
	erase_arena_done(&set->arena);
	free(set);
}

/* The secret of that name as it was, among those that are there or those that were removed. */
static const struct inject_secret *find(const struct inject_secret *v, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!v[i].mask && strcmp(v[i].secret.name, name) == 0)
			return &v[i];
	}
	return NULL;
}

static const struct inject_secret *was(const struct bound *b, const char *name)
{
	const struct inject_secret *s = b->now ? find(b->now->v, b->now->n, name) : NULL;

	return s || !b->now ? s : find(b->now->gone, b->now->n_gone, name);
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

/* Return: whether there was memory. */
static bool add_earlier(struct bound_set *set, struct inject_secret *to, const char **v,
			const char *value)
{
	size_t i;

	if (!value || to->n_earlier == BOUND_EARLIER || strcmp(value, to->secret.value) == 0 ||
	    (to->secret.token && strcmp(value, to->secret.token) == 0))
		return true;
	for (i = 0; i < to->n_earlier; i++) {
		if (strcmp(value, v[i]) == 0)
			return true;
	}
	v[to->n_earlier++] = arena_strdup(&set->arena, value);
	return v[i] != NULL;
}

/* What the secret was before, the newest first. Return: 0 or -ENOMEM. */
static int take_earlier(struct bound_set *set, struct inject_secret *to,
			const struct inject_secret *old, struct err *e)
{
	const char **v = arena_alloc(&set->arena, BOUND_EARLIER * sizeof(*v));
	bool ok = v && add_earlier(set, to, v, old->secret.value) &&
		  add_earlier(set, to, v, old->secret.token);
	size_t i;

	for (i = 0; ok && i < old->n_earlier; i++)
		ok = add_earlier(set, to, v, old->earlier[i]);
	to->earlier = v;
	return ok ? 0 : no_memory(e);
}

/* Bytes that these may take. */
static size_t earlier_size(const struct bound_set *now)
{
	size_t size = 0, i, k;

	for (i = 0; now && i < now->n; i++) {
		const struct inject_secret *s = &now->v[i];

		if (s->mask)
			continue;
		size += BOUND_EARLIER * (sizeof(char *) + 2 * sizeof(max_align_t));
		size += strlen(s->secret.value);
		size += s->secret.token ? strlen(s->secret.token) : 0;
		for (k = 0; k < s->n_earlier; k++)
			size += strlen(s->earlier[k]);
	}
	return size;
}

static int take_one(const struct bound *b, struct bound_set *set, const char *name,
		    const char *line, size_t len, struct err *e)
{
	struct inject_secret *to = &set->v[set->n];
	const struct inject_secret *old = was(b, name);
	char *text = arena_alloc(&set->arena, len + 1);
	struct secret secret;
	int r;

	if (!text)
		return no_memory(e);
	memcpy(text, line, len);
	r = secret_parse(&secret, name, text, len, &set->arena, e);
	if (r == 0)
		r = inject_bind(to, &secret, e);
	if (r < 0)
		return r;
	/* the one that the sandbox has; a pair must be of the same kind */
	if (old && !old->sentinel.id[0] == !to->sentinel.id[0])
		to->sentinel = old->sentinel;
	r = old ? take_earlier(set, to, old, e) : 0;
	set->n += r == 0;
	return r;
}

/* Masks are there for the whole life of the sandbox. */
static void add_masks(const struct bound *b, struct bound_set *set)
{
	size_t i;

	for (i = 0; i < b->n_masks; i++) {
		struct inject_secret *to = &set->v[set->n++];

		*to = b->masks[i];
		to->ways = &to->own;
	}
}

/* Of a removed one stay its name, its hosts and its sentinel, which would be taken again. */
static int take_removed(const struct bound *b, struct bound_set *set, const char *name,
			struct buf *notes, struct err *e)
{
	const struct inject_secret *old = was(b, name);
	struct inject_secret *to = &set->gone[set->n_gone];
	size_t i;

	if (!old)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: a removed one that never was");
	*to = (struct inject_secret){ .sentinel = old->sentinel,
				      .secret.name = arena_strdup(&set->arena, name),
				      .hosts.n = old->hosts.n };
	for (i = 0; i < old->hosts.n; i++) {
		to->hosts.v[i] = arena_strdup(&set->arena, old->hosts.v[i]);
		if (!to->hosts.v[i])
			return no_memory(e);
	}
	if (!to->secret.name)
		return no_memory(e);
	set->n_gone++;
	if (notes && !find(b->now->gone, b->now->n_gone, name))
		buf_printf(notes, "%ssecret '%s' was removed: requests to its hosts are refused",
			   notes->len ? "; " : "", name);
	return 0;
}

static int take_all(const struct bound *b, struct bound_set *set, const char *const *names,
		    size_t n, const struct buf *text, struct buf *notes, struct err *e)
{
	const char *p = text->data, *end = text->data + text->len, *stop;
	size_t i;
	int r = 0;

	set->v = arena_alloc(&set->arena, (n + b->n_masks + 1) * sizeof(*set->v));
	set->gone = arena_alloc(&set->arena, (n ? n : 1) * sizeof(*set->gone));
	if (!set->v || !set->gone)
		return no_memory(e);
	for (i = 0; r == 0 && i < n; i++, p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (!stop)
			return err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: the answer is too short");
		if (*p == '-')
			r = take_removed(b, set, names[i], notes, e);
		else
			r = take_one(b, set, names[i], p, (size_t)(stop - p), e);
	}
	if (r == 0 && p != end)
		r = err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: the answer is too long");
	if (r == 0)
		add_masks(b, set);
	return r;
}

/* The answer with the old records of those that could not be read. */
static int merge(const struct bound *b, const char *const *names, size_t n, const char *p,
		 size_t len, struct buf *out, struct buf *notes, struct err *e)
{
	const char *end = p + len, *stop;
	const struct inject_secret *old;
	size_t i;

	for (i = 0; i < n && p < end; i++, p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (!stop)
			break;
		if (*p != '!') {
			buf_add(out, p, (size_t)(stop + 1 - p));
			continue;
		}
		old = was(b, names[i]);
		if (!old)
			return err_set(e, ERR_POLICY, -ENOKEY, "%.*s", (int)(stop - p - 1), p + 1);
		if (old->secret.value)
			secret_print(&old->secret, out);
		buf_puts(out, old->secret.value ? "\n" : "-\n"); /* it was removed, and stays so */
		if (notes)
			buf_printf(notes, "%s%.*s; it stays as it was", notes->len ? "; " : "",
				   (int)(stop - p - 1), p + 1);
	}
	if (p < end)
		buf_add(out, p, (size_t)(end - p));
	return out->failed ? no_memory(e) : 0;
}

static int make_set(const struct bound *b, const char *const *names, size_t n,
		    const struct buf *text, struct bound_set **ret, struct buf *notes,
		    struct err *e)
{
	struct bound_set *set = calloc(1, sizeof(*set));
	int r;

	/* values of JSON are small, and there is one for each part of a record */
	if (!set || !erase_arena_init(&set->arena, 4 * text->len + (n + 1) * 32768 +
							   b->n_masks * sizeof(*set->v) +
							   earlier_size(b->now))) {
		free(set);
		return no_memory(e);
	}
	r = take_all(b, set, names, n, text, notes, e);
	erase_stack();
	if (r < 0)
		free_set(set);
	else
		*ret = set;
	return r;
}

int bound_take(struct bound *b, const char *const *names, size_t n, const char *p, size_t len,
	       struct buf *notes, struct err *e)
{
	struct bound_set *set = NULL;
	struct buf text = BUF_INIT(0);
	int r;

	if (len > 0 && p[0] == 'E')
		return err_set(e, ERR_POLICY, -ENOKEY, "%.*s", (int)(len - 1 < 400 ? len - 1 : 400),
			       p + 1);
	if (len < 1 || (p[0] != 'O' && p[0] != 'P') || n > BOUND_SECRETS || len > BOUND_MAX)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: no answer");
	if (!erase_buf_init(&text, len + n * SECRET_RECORD_MAX))
		return no_memory(e);
	r = merge(b, names, n, p + 1, len - 1, &text, notes, e);
	if (r == 0)
		r = make_set(b, names, n, &text, &set, notes, e);
	erase_buf_done(&text);
	if (r < 0 || !set)
		return r;
	set->refs = 1;
	bound_done(b);
	b->now = set;
	return 0;
}

const char *bound_removed(const struct bound_set *set, const char *host)
{
	size_t i;

	for (i = 0; set && i < set->n_gone; i++) {
		if (inject_bound(&set->gone[i], 1, host))
			return set->gone[i].secret.name;
	}
	return NULL;
}

struct bound_set *bound_hold(struct bound *b)
{
	if (b->now)
		b->now->refs++;
	return b->now;
}

void bound_release(struct bound_set *set)
{
	if (set && --set->refs == 0)
		free_set(set);
}

void bound_done(struct bound *b)
{
	bound_release(b->now);
	b->now = NULL;
}

int bound_scrub(const struct bound_set *set, const char *host, struct scrub **ret, struct err *e)
{
	return bound_scrub_of(set ? set->v : NULL, set ? set->n : 0, host, ret, e);
}

int bound_scrub_of(const struct inject_secret *v, size_t n_secrets, const char *host,
		   struct scrub **ret, struct err *e)
{
	struct scrub_pair pairs[2 * INJECT_SECRETS + BOUND_SECRETS * BOUND_EARLIER];
	size_t i, k, n = 0;

	*ret = NULL;
	for (i = 0; i < n_secrets; i++) {
		const struct inject_secret *s = &v[i];

		if (!inject_bound(s, 1, host))
			continue;
		pairs[n++] = (struct scrub_pair){ s->secret.value, s->sentinel.value };
		if (s->secret.token)
			pairs[n++] = (struct scrub_pair){ s->secret.token,
							  s->token ? s->token : s->sentinel.value };
		for (k = 0; k < s->n_earlier; k++)
			pairs[n++] = (struct scrub_pair){ s->earlier[k], s->sentinel.value };
	}
	return n ? scrub_new(ret, pairs, n, SCRUB_ALL, e) : 0;
}
