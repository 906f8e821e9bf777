/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The list of services stands in the store, as changes of the network do (network-named.c): who changes that of a sandbox that is stopped holds
 * its lock meanwhile, so nobody starts it with the old one; where it lives its supervisor is told afterwards, with the generation, so that of two who come at the same time the
 * one counts that was kept last.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "live-words.h"
#include "sandbox.h"
#include "service.h"
#include "services.h"

#define TRIES 20

struct change {
	const struct service_def *add; /* or NULL */
	const char *remove;
	struct service_def all[LIMIT_SERVICES + 1]; /* as they are now */
	size_t n;
};

static int remove_one(struct change *c, const char *box, struct err *e)
{
	char *const *need;
	size_t i, k;

	for (i = 0; i < c->n && strcmp(c->all[i].name, c->remove) != 0; i++)
		;
	if (i == c->n)
		return err_set(
			e, ERR_SYSTEM, -ENOENT,
			"sandbox '%s' has no service '%.100s'; 'bailey service ls %s' lists them",
			box, c->remove, box);
	for (k = 0; k < c->n; k++) {
		for (need = c->all[k].needs; *need; need++) {
			if (strcmp(*need, c->remove) == 0)
				return err_set(
					e, ERR_SYSTEM, -EEXIST,
					"service '%s' needs '%s'; first: bailey service rm %s %s",
					c->all[k].name, c->remove, box, c->all[k].name);
		}
	}
	memmove(&c->all[i], &c->all[i + 1], (c->n - i - 1) * sizeof(c->all[0]));
	c->n--;
	return 0;
}

static int add_one(struct change *c, const char *box, struct err *e)
{
	int r;

	if (c->n == LIMIT_SERVICES)
		return err_set(e, ERR_SYSTEM, -EEXIST,
			       "sandbox '%s' has %d services, and no more can be", box,
			       LIMIT_SERVICES);
	c->all[c->n++] = *c->add;
	r = services_check(c->all, c->n, e);
	return r == -EEXIST && !strchr(e->msg, ':') ?
		       err_set(e, ERR_SYSTEM, r,
			       "sandbox '%s' has a service '%s' already; first: bailey service rm %s %s",
			       box, c->add->name, box, c->add->name) :
		       r;
}

/* What is kept, with the change. Return: 0, negative errno with @e. */
static int make(struct named *n, const struct named_box *box, struct change *c, struct buf *b,
		struct err *e)
{
	struct json j = { .out = b };
	size_t i;
	int r = services_read(box->services, &n->arena, c->all, &c->n, e);

	if (r == 0)
		r = c->add ? add_one(c, box->name, e) : remove_one(c, box->name, e);
	if (r < 0)
		return r;
	b->len = 0;
	json_open(&j, NULL, '[');
	for (i = 0; i < c->n; i++)
		service_write(&c->all[i], &j);
	json_close(&j, ']');
	return b->failed ? err_set(e, ERR_USAGE, -E2BIG, "the services are too long") : 0;
}

/* Return: as named_get(); @ret_generation: of what is in @b, and kept. */
static int keep(struct named *n, const char *word, struct named_box *box, struct change *c,
		struct buf *b, const char **ret_generation, struct err *e)
{
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < TRIES; i++) {
		if (i)
			r = named_get(n, word, box, e);
		if (i == 0 || r == 0)
			r = make(n, box, c, b, e);
		if (r == 0)
			r = named_keep(n, box, "services", b->data, ret_generation, e);
	}
	return r == -ESTALE ? err_set(e, ERR_SYSTEM, -EBUSY,
				      "sandbox '%s' is changed by others all the time", box->name) :
			      r;
}

/* Its supervisor, and what has become of the service. */
static int tell(struct named *n, const struct named_box *box, const char *name,
		const char *generation, const struct buf *list, struct err *e)
{
	const struct wire_msg m = { .type = WIRE_SERVICES_SET };
	_cleanup_close_ int sock = named_reach(n, box),
			    fd = memfd_create("bailey-services", MFD_CLOEXEC);
	struct buf b = BUF_INIT(LIMIT_SPAWN), out = BUF_INIT(LIMIT_OUTPUT), text = BUF_INIT(4096);
	const struct json_node *root;
	struct service_now now = { .failed = false };
	int r = 0;

	if (sock == -ENOENT) /* it has ended meanwhile, and starts with them */
		return 0;
	r = json_read_kept("services", list->data, list->len, &n->arena, &root, e);
	if (r == 0)
		live_words_services(root, generation, &b);
	if (r == 0 && (fd < 0 || b.failed || fd_write_all(fd, b.data, b.len) < 0))
		r = sandbox_oom(e);
	if (r == 0)
		r = client_list(sock, &m, fd, box->name, &out, e);
	if (r == 0)
		r = service_wait(sock, box->name, name, &now, e);
	if (r == 0 && *now.error) {
		buf_printf(&text, "bailey: notice: service '%s': ", name);
		buf_quote(&text, now.error);
		if (strcmp(now.error, SERVICES_PAUSED) == 0)
			buf_printf(&text, "; bailey resume %s lets it begin", box->name);
		buf_puts(&text, "\n");
		if (!text.failed)
			(void)fd_write_all(2, text.data, text.len); /* nobody is left to tell */
	}
	buf_done(&b);
	buf_done(&out);
	buf_done(&text);
	return r < 0 ? err_wrap(e, r, "this is kept, but the sandbox that runs has not taken it") :
		       0;
}

static int change(struct named *n, const char *word, struct change *c, struct err *e)
{
	struct buf list = BUF_INIT(LIMIT_SPAWN);
	const char *generation = NULL;
	struct named_box box;
	int lock = -1, lives = 0, r = named_get(n, word, &box, e);

	if (r != 0)
		return r;
	r = make(n, &box, c, &list, e); /* what can't be is said before anything is waited for */
	if (r == 0) {
		r = named_settle(n, &box, &lock, e);
		lives = r == 0;
	}
	if (r >= 0)
		r = keep(n, word, &box, c, &list, &generation, e);
	if (lock >= 0) {
		named_changed(n, box.id);
		(void)close(lock);
	}
	if (r == 0 && lives)
		r = tell(n, &box, c->add ? c->add->name : c->remove, generation, &list, e);
	buf_done(&list);
	return r;
}

int service_add(struct named *n, const char *word, const struct service_def *d, struct err *e)
{
	struct change *c = arena_alloc(&n->arena, sizeof(*c));
	int r = service_check(d, e);

	if (!c)
		return sandbox_oom(e);
	c->add = d;
	return r < 0 ? r : change(n, word, c, e);
}

int service_remove(struct named *n, const char *word, const char *name, struct err *e)
{
	struct change *c = arena_alloc(&n->arena, sizeof(*c));

	if (!c)
		return sandbox_oom(e);
	c->remove = name;
	return change(n, word, c, e);
}
