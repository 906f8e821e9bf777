/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log as `docker sandbox network log` prints it: requests of all sandboxes that stay, or of one, in the order of time. What was not looked into is a
 * CONNECT, as its proxy sees it. Their JSON is one object, so nothing is followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gateway.h"
#include "named.h"
#include "network-runs.h"

struct request {
	const char *time, *sandbox, *method, *url, *rule, *reason; /* the arena's */
	bool allowed;
};

struct requests {
	const struct network_log_options *o;
	const char *sandbox; /* whose log is read now */
	struct arena arena;
	struct request *v; /* owned */
	size_t n, room;
};

static int oom(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

/* Return: of the arena; NULL where there is none, or no memory */
static const char *keep(struct requests *l, const char *text)
{
	return text ? arena_strdup(&l->arena, text) : NULL;
}

static const char *url_of(struct requests *l, const struct json_node *root)
{
	const char *name = json_text(root, "name"), *port = json_text(root, "port"),
		   *target = json_text(root, "target"), *spoken = json_text(root, "spoken");
	const bool tls = !spoken || strcmp(spoken, "http") != 0;

	if (!name)
		name = json_text(root, "address");
	if (!name)
		return "";
	if (!target)
		return arena_printf(&l->arena, "%s%s%s", name, port ? ":" : "", port ? port : "");
	if (!port || strcmp(port, tls ? "443" : "80") == 0)
		port = NULL;
	return arena_printf(&l->arena, "http%s://%s%s%s%s", tls ? "s" : "", name, port ? ":" : "",
			    port ? port : "", target);
}

/* Return: whether there was memory. */
static bool take(struct requests *l, const struct json_node *root)
{
	const char *event = json_text(root, "event"), *decision = json_text(root, "decision"),
		   *method = json_text(root, "method"), *time = json_text(root, "time");
	const bool allowed = !decision || strcmp(decision, "deny") != 0;
	struct request *more;

	if (!event || (strcmp(event, "open") != 0 && strcmp(event, "request") != 0 &&
		       strcmp(event, "deny") != 0))
		return true;
	if (l->o->denied && allowed)
		return true;
	if (l->n == l->room) {
		more = reallocarray(l->v, l->room ? 2 * l->room : 256, sizeof(*l->v));
		if (!more)
			return false;
		l->v = more;
		l->room = l->room ? 2 * l->room : 256;
	}
	l->v[l->n] = (struct request){ .time = keep(l, time ? time : ""),
				       .sandbox = l->sandbox,
				       .method = keep(l, method ? method : "CONNECT"),
				       .url = url_of(l, root),
				       .rule = keep(l, json_text(root, "rule")),
				       .reason = keep(l, json_text(root, "reason")),
				       .allowed = allowed };
	return l->v[l->n].time && l->v[l->n].method && l->v[l->n++].url;
}

static int on_line(void *arg, const struct audit_line *line)
{
	struct arena a = ARENA_INIT(65536);
	const struct json_node *root;
	bool fine = true;

	if (json_read("log", line->text, line->len, &a, &root, NULL) == 0)
		fine = take(arg, root);
	arena_done(&a);
	return fine ? 0 : -ENOMEM;
}

/* Times are of one form, in UTC. */
static int by_time(const void *x, const void *y)
{
	return strcmp(((const struct request *)x)->time, ((const struct request *)y)->time);
}

static void print_text(const struct requests *l, size_t from, struct buf *b)
{
	size_t i;

	for (i = from; i < l->n; i++) {
		buf_printf(b, "%s sandbox=%s request ", l->v[i].time, l->v[i].sandbox);
		buf_quote(b, l->v[i].method);
		buf_puts(b, " ");
		buf_quote(b, l->v[i].url);
		buf_puts(b, l->v[i].allowed ? " allowed\n" : " denied\n");
	}
}

static void print_json(const struct requests *l, size_t from, struct buf *b)
{
	struct json j = { .out = b };
	size_t i;

	json_open(&j, NULL, '{');
	json_open(&j, "entries", '[');
	for (i = from; i < l->n; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "timestamp", l->v[i].time);
		json_str(&j, "sandbox", l->v[i].sandbox);
		json_str(&j, "method", l->v[i].method);
		json_str(&j, "url", l->v[i].url);
		json_bool(&j, "allowed", l->v[i].allowed);
		json_str(&j, "rule", l->v[i].rule);
		json_str(&j, "reason", l->v[i].reason);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	buf_puts(b, "\n");
}

/* What one has logged; none is no error. */
static int read_one(struct requests *l, const struct network_runs *n, const char *id, struct err *e)
{
	_cleanup_close_ int dir =
		openat(n->dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = dir < 0 ? 0 : audit_read(dir, n->heads, id, on_line, l, NULL, NULL, e);

	return r == -ENOMEM ? oom(e) : r;
}

static int read_all(struct requests *l, const struct network_runs *n, const char *word,
		    struct err *e)
{
	struct named named = { .state = -1, .runtime = -1 };
	const struct json_node *boxes = NULL, *v;
	struct named_box box;
	int r = named_open(&named, e);

	if (r == 0 && word) {
		r = named_get(&named, word, &box, e);
		if (r == 0 && !(l->sandbox = arena_strdup(&l->arena, box.name)))
			r = oom(e);
		if (r == 0)
			r = read_one(l, n, box.id, e);
	} else if (r == 0) {
		r = named_list(&named, &boxes, e);
		for (v = boxes ? boxes->first : NULL; r == 0 && v; v = v->next) {
			const char *id = json_text(v, "id");

			l->sandbox = keep(l, json_text(v, "name"));
			if (id && l->sandbox)
				r = read_one(l, n, id, e);
		}
	}
	named_done(&named);
	return r;
}

int network_docker_log(const char *word, const struct network_log_options *o, struct err *e)
{
	struct requests l = { .o = o, .arena = ARENA_INIT((size_t)4 * LIMIT_AUDIT) };
	struct buf b = BUF_INIT((size_t)4 * LIMIT_AUDIT);
	struct network_runs n;
	size_t from;
	int r = network_runs_open(&n, e);

	if (r == 0)
		r = read_all(&l, &n, word, e);
	if (r == 0) {
		if (l.n > 1)
			qsort(l.v, l.n, sizeof(*l.v), by_time);
		from = o->limit && l.n > o->limit ? l.n - o->limit : 0;
		(o->json ? print_json : print_text)(&l, from, &b);
		r = b.failed ? err_set(e, ERR_SYSTEM, -E2BIG, "the log is too long; use --limit") :
			       cli_print(&b);
	}
	network_runs_done(&n);
	buf_done(&b);
	arena_done(&l.arena);
	free(l.v);
	return r;
}
