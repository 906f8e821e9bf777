/* SPDX-License-Identifier: Apache-2.0 */
#include "bound.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "erase.h"
#include "policy/policy.h"
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

/* Return: whether there is place, and memory. */
static bool add_left(struct bound_set *set, struct inject_secret *to, const char **v,
		     const char *rule)
{
	size_t i;

	for (i = 0; i < to->n_more; i++) {
		if (strcmp(v[i], rule) == 0)
			return true;
	}
	if (to->n_more == BOUND_LEFT)
		return false;
	v[to->n_more] = arena_strdup(&set->arena, rule);
	return v[to->n_more++] != NULL;
}

static bool has_rule(const struct inject_secret *s, const char *rule)
{
	size_t i;

	for (i = 0; i < s->hosts.n && strcmp(s->hosts.v[i], rule) != 0; i++)
		;
	return i < s->hosts.n;
}

/* Which hosts it has now is said by @set already. All rules that it has had so far are kept, those of now among them, which bound_removed() knows. */
static int take_left(const struct bound *b, struct bound_set *set, const char *name,
		     struct buf *notes, struct err *e)
{
	const struct inject_secret *old = was(b, name),
				   *left = b->now ? find(b->now->left, b->now->n_left, name) : NULL,
				   *now = find(set->v, set->n, name);
	struct inject_secret *to = &set->left[set->n_left];
	const char **v = arena_alloc(&set->arena, BOUND_LEFT * sizeof(*v));
	size_t i;
	bool ok = v != NULL;

	*to = (struct inject_secret){ .secret.name = arena_strdup(&set->arena, name), .more = v };
	for (i = 0; ok && left && i < left->n_more; i++)
		ok = add_left(set, to, v, left->more[i]);
	for (i = 0; ok && old && i < old->hosts.n; i++) {
		ok = add_left(set, to, v, old->hosts.v[i]);
		if (ok && notes && now && !has_rule(now, old->hosts.v[i]))
			buf_printf(
				notes,
				"%ssecret '%s' is not bound to %s any more: requests are refused",
				notes->len ? "; " : "", name, old->hosts.v[i]);
	}
	if (ok && to->secret.name) {
		set->n_left++;
		return 0;
	}
	if (to->n_more < BOUND_LEFT)
		return no_memory(e);
	return err_set(
		e, ERR_POLICY, -E2BIG,
		"secret '%s' was bound to more than %u hosts while the sandbox runs: start it anew for others",
		name, BOUND_LEFT);
}

/* Bytes that these may take. */
static size_t left_size(const struct bound_set *now, size_t n)
{
	size_t size = n * (sizeof(struct inject_secret) + SECRET_NAME_MAX +
			   BOUND_LEFT * sizeof(char *)),
	       i, k;

	for (i = 0; now && i < now->n_left; i++) {
		for (k = 0; k < now->left[i].n_more; k++)
			size += strlen(now->left[i].more[k]) + sizeof(max_align_t);
	}
	return size + n * SECRET_LIST_MAX * (NET_HOST_MAX + 2 + sizeof(max_align_t));
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
	set->left = arena_alloc(&set->arena, (n ? n : 1) * sizeof(*set->left));
	if (!set->v || !set->gone || !set->left)
		return no_memory(e);
	for (i = 0; r == 0 && i < n; i++, p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (!stop)
			return err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: the answer is too short");
		if (*p == '-')
			r = take_removed(b, set, names[i], notes, e);
		else
			r = take_one(b, set, names[i], p, (size_t)(stop - p), e);
		if (r == 0)
			r = take_left(b, set, names[i], notes, e);
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
	if (!set ||
	    !erase_arena_init(&set->arena, 4 * text->len + (n + 1) * 32768 +
						   b->n_masks * sizeof(*set->v) +
						   earlier_size(b->now) + left_size(b->now, n))) {
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
	b->serial++;
	return 0;
}

const char *bound_removed(const struct bound_set *set, const char *host, bool *ret_left)
{
	const struct inject_secret *now;
	size_t i;

	for (i = 0; set && i < set->n_gone; i++) {
		if (!inject_bound(&set->gone[i], 1, host))
			continue;
		*ret_left = false;
		return set->gone[i].secret.name;
	}
	for (i = 0; set && i < set->n_left; i++) {
		now = find(set->v, set->n, set->left[i].secret.name);
		if (!inject_bound(&set->left[i], 1, host) || (now && inject_bound(now, 1, host)))
			continue;
		*ret_left = true;
		return set->left[i].secret.name;
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
	const struct bound_list list = { set ? set->v : NULL, set ? set->n : 0 };

	*ret = NULL;
	return bound_scrub_of(&list, 1, host, ret, e);
}

/* What two lists have in common is looked for once. */
struct pairs {
	struct scrub_pair v[BOUND_LISTS * (2 * INJECT_SECRETS + BOUND_SECRETS * BOUND_EARLIER)];
	size_t n;
};

static void add_pair(struct pairs *p, const char *from, const char *to)
{
	size_t i;

	for (i = 0; i < p->n && strcmp(p->v[i].from, from) != 0; i++)
		;
	if (i == p->n)
		p->v[p->n++] = (struct scrub_pair){ from, to };
}

int bound_scrub_of(const struct bound_list *lists, size_t n, const char *host, struct scrub **s,
		   struct err *e)
{
	struct pairs pairs = { .n = 0 };
	size_t i, k;

	for (; n > 0; n--, lists++) {
		for (i = 0; i < lists->n; i++) {
			const struct inject_secret *one = &lists->v[i];
			const char *to = one->sentinel.value;

			if (!inject_bound(one, 1, host))
				continue;
			add_pair(&pairs, one->secret.value, to);
			if (one->secret.token)
				add_pair(&pairs, one->secret.token, one->token ? one->token : to);
			for (k = 0; k < one->n_earlier; k++)
				add_pair(&pairs, one->earlier[k], to);
		}
	}
	if (pairs.n == 0)
		return 0;
	return *s ? scrub_renew(*s, pairs.v, pairs.n, e) :
		    scrub_new(s, pairs.v, pairs.n, SCRUB_ALL, e);
}
