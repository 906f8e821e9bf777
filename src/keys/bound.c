/* SPDX-License-Identifier: Apache-2.0 */
#include "bound.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "erase.h"
#include "scrub.h"
#include "store.h"

static int read_one(struct store *s, const char *name, struct buf *out, struct err *e)
{
	struct arena a = ARENA_INIT(0);
	struct secret secret;
	int r;

	if (!erase_arena_init(&a, SECRET_MEMORY))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = store_refresh(s, name, &a, &secret, e);
	if (r == 0) {
		secret_print(&secret, out);
		buf_puts(out, "\n");
	}
	erase_arena_done(&a);
	return r;
}

void bound_read(const char *state, const char *const *names, size_t n, struct buf *out)
{
	struct store s = STORE_INIT;
	struct err e = ERR_INIT;
	size_t i, start = out->len;
	int r = store_open(&s, state, false, &e);

	if (r == -ENOENT && n > 0)
		r = err_set(
			&e, ERR_USAGE, -ENOENT,
			"there is no secret '%.80s' (bailey secret ls; bailey secret set %.80s)",
			names[0], names[0]);
	buf_puts(out, "O");
	for (i = 0; r == 0 && i < n; i++)
		r = read_one(&s, names[i], out, &e);
	store_done(&s);
	if (r == 0 && out->failed)
		r = err_set(&e, ERR_SYSTEM, -E2BIG, "the secrets are too long together");
	if (r < 0) {
		/* what was read before goes */
		if (out->data)
			explicit_bzero(out->data + start, out->len - start);
		out->len = start;
		out->failed = false;
		buf_printf(out, "E%s", e.msg);
	}
}

void bound_helper(int fd, const char *state, const char *const *names, size_t n)
{
	struct buf b = BUF_INIT(0);
	uint32_t len;
	char ask;
	int r = 0;

	while (r == 0 && read(fd, &ask, 1) == 1 && ask == BOUND_ASK) {
		if (!erase_buf_init(&b, BOUND_MAX))
			return;
		bound_read(state, names, n, &b);
		len = (uint32_t)b.len;
		r = fd_write_all(fd, &len, sizeof(len));
		if (r == 0)
			r = fd_write_all(fd, b.data, b.len);
		erase_buf_done(&b);
		erase_stack();
	}
}

static void free_set(struct bound_set *set)
{
	erase_arena_done(&set->arena);
	free(set);
}

/* The sentinel that a secret had before; its pair must be of the same kind. */
static void keep_sentinel(const struct bound *b, struct inject_secret *s)
{
	size_t i;

	for (i = 0; b->now && i < b->now->n; i++) {
		const struct inject_secret *was = &b->now->v[i];

		if (!was->mask && strcmp(was->secret.name, s->secret.name) == 0 &&
		    !was->sentinel.id[0] == !s->sentinel.id[0])
			s->sentinel = was->sentinel;
	}
}

static int take_one(struct bound *b, struct bound_set *set, const char *name, const char *line,
		    size_t len, struct err *e)
{
	struct inject_secret *to = &set->v[set->n];
	char *text = arena_alloc(&set->arena, len + 1);
	struct secret secret;
	int r;

	if (!text)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	memcpy(text, line, len);
	r = secret_parse(&secret, name, text, len, &set->arena, e);
	if (r == 0)
		r = inject_bind(to, &secret, e);
	if (r < 0)
		return r;
	keep_sentinel(b, to);
	set->n++;
	return 0;
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

static int take_all(struct bound *b, struct bound_set *set, const char *const *names, size_t n,
		    const char *p, size_t len, struct err *e)
{
	const char *end = p + len, *stop;
	size_t i;
	int r = 0;

	set->v = arena_alloc(&set->arena, (n + b->n_masks + 1) * sizeof(*set->v));
	if (!set->v)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (i = 0; r == 0 && i < n; i++, p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (!stop)
			return err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: the answer is too short");
		r = take_one(b, set, names[i], p, (size_t)(stop - p), e);
	}
	if (r == 0 && p != end)
		r = err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: the answer is too long");
	if (r == 0)
		add_masks(b, set);
	return r;
}

int bound_take(struct bound *b, const char *const *names, size_t n, const char *p, size_t len,
	       struct err *e)
{
	struct bound_set *set;
	int r;

	if (len > 0 && p[0] == 'E')
		return err_set(e, ERR_POLICY, -ENOKEY, "%.*s", (int)(len - 1 < 400 ? len - 1 : 400),
			       p + 1);
	if (len < 1 || p[0] != 'O' || n > BOUND_SECRETS)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "secrets: no answer");
	set = calloc(1, sizeof(*set));
	/* values of JSON are small, and there is one for each part of a record */
	if (!set || !erase_arena_init(&set->arena,
				      4 * len + (n + 1) * 32768 + b->n_masks * sizeof(*set->v))) {
		free(set);
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	r = take_all(b, set, names, n, p + 1, len - 1, e);
	erase_stack();
	if (r < 0) {
		free_set(set);
		return r;
	}
	set->refs = 1;
	bound_done(b);
	b->now = set;
	return 0;
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
	struct scrub_pair pairs[2 * INJECT_SECRETS];
	size_t i, n = 0;

	*ret = NULL;
	for (i = 0; set && i < set->n; i++) {
		const struct inject_secret *s = &set->v[i];

		if (!inject_bound(s, 1, host))
			continue;
		pairs[n++] = (struct scrub_pair){ s->secret.value, s->sentinel.value };
		if (s->secret.token)
			pairs[n++] = (struct scrub_pair){ s->secret.token,
							  s->token ? s->token : s->sentinel.value };
	}
	return n ? scrub_new(ret, pairs, n, SCRUB_ALL, e) : 0;
}
