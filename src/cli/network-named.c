/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The list of changes stands in the store. Whoever changes the list of a sandbox that is stopped holds its lock meanwhile, so nobody starts it
 * with the old one. Where it lives (docs/adr/0039) the gateway is asked first whether it could be, then it is kept, and then the gateway is told the whole list, as one
 * message. Who is killed between leaves a list that the gateway has not heard of yet: the next one tells it. Whoever changes one that lives takes his turn, so that the
 * list that is told last is the one that is kept. Two who write at the same time notice it by the generation, and the second reads again.
 */
#include "network-named.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "network-runs.h"
#include "sandbox.h"
#include "start-env.h"

#define CHANGES_MAX 512 /* kept with one sandbox; LIMIT_NET_LIVE and GATEWAY_LIVE hold more */
#define TRIES 10

int network_named_open(struct network_named *x, const char *word)
{
	struct err e = ERR_INIT;

	*x = (struct network_named){ .named = { .state = -1, .runtime = -1 } };
	return named_open(&x->named, &e) == 0 && named_find(&x->named, word, &x->box);
}

void network_named_done(struct network_named *x)
{
	life_options_done(&x->options);
	named_done(&x->named);
}

int network_named_options(struct network_named *x, struct err *e)
{
	struct arena *a = &x->named.arena;
	struct opt *table = arena_alloc(a, LIFE_OPTIONS * sizeof(*table));
	char **words = arena_alloc(a, (x->box.options->n + 1) * sizeof(*words));
	const struct json_node *v;
	bool dashes;
	size_t n = 0;
	int r;

	if (!table || !words)
		return sandbox_oom(e);
	for (v = x->box.options->first; v; v = v->next) {
		words[n] = arena_strdup(a, v->text);
		if (!words[n++])
			return sandbox_oom(e);
	}
	life_options_done(&x->options);
	life_options(&x->options, table);
	life_enter(&x->options, x->box.cwd);
	x->options.sandbox.changes = x->box.changes;
	r = opt_parse(table, words, &n, &dashes, e);
	return r < 0 ? r : start_env_set(&x->options.host_env, e); /* its policy, not ours */
}

/* --- what is kept --- */

struct list {
	struct net_change v[CHANGES_MAX];
	size_t n;
};

static void list_read(struct list *l, const struct json_node *from)
{
	const struct json_node *o;

	l->n = 0;
	for (o = from ? from->first : NULL; o && l->n < CHANGES_MAX; o = o->next)
		l->n += net_change_read(o, &l->v[l->n], NULL) == 0;
}

/* Take out what @c takes the place of. @texts: of what is left of one. Return: whether there was something. */
static bool list_forget(struct list *l, const struct net_change *c, struct arena *texts)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	size_t i, k = 0;
	bool found = false, some;

	for (i = 0; i < l->n; i++) {
		struct net_change *v = &l->v[i];
		const char *before = v->rule;

		if (net_change_replaces(v, c, &a, &some)) {
			found = true;
			continue;
		}
		if (v->rule != before)
			v->rule = arena_strdup(texts, v->rule);
		v->rule = v->rule ? v->rule : before; /* as in net_change_replaces() */
		found |= some;
		l->v[k++] = *v;
	}
	l->n = k;
	arena_done(&a);
	return found;
}

/* @c: checked by this. @texts: as in list_forget(). Return: 0 or negative errno with @e. */
static int list_change(struct list *l, const struct net_change *c, struct arena *texts,
		       struct err *e)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct net_policy scratch;
	struct net_change as = *c;
	bool found;
	int r;

	net_policy_init(&scratch, &a);
	if (c->op == NET_CHANGE_REMOVE)
		as.op = NET_CHANGE_DENY; /* as a rule, it must be one */
	r = net_change_apply(&scratch, &as, NULL, e);
	arena_done(&a);
	if (r < 0)
		return r;
	found = list_forget(l, c, texts);
	if (c->op == NET_CHANGE_REMOVE)
		return found ? 0 :
			       err_set(e, ERR_USAGE, -ENOENT, "there is no live rule '%.200s'",
				       c->rule);
	if (l->n == CHANGES_MAX)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %d live rules of one sandbox",
			       CHANGES_MAX);
	l->v[l->n++] = *c;
	return 0;
}

static void list_write(const struct list *l, struct json *j, const char *key)
{
	size_t i;

	json_open(j, key, '[');
	for (i = 0; i < l->n; i++)
		net_change_write(&l->v[i], j);
	json_close(j, ']');
}

static int list_make(struct network_named *x, struct list *l, const struct net_change *c, size_t n,
		     struct err *e)
{
	size_t i;
	int r = 0;

	list_read(l, x->box.changes);
	for (i = 0; r == 0 && i < n; i++)
		r = list_change(l, &c[i], &x->named.arena, e);
	return r;
}

bool network_named_bypassed(struct network_named *x, const struct net_change *c)
{
	struct list *l = arena_alloc(&x->named.arena, sizeof(*l));

	if (!l)
		return false;
	list_read(l, x->box.changes);
	return list_forget(l, c, &x->named.arena);
}

/* Return: 0; -ESTALE: somebody else has changed it meanwhile; another negative errno with @e. */
static int list_keep(struct network_named *x, const struct list *l, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	struct json j = { .out = &b };
	const char *generation;
	int r;

	list_write(l, &j, NULL);
	r = b.failed ? err_set(e, ERR_USAGE, -E2BIG, "the rules are too long") :
		       named_keep(&x->named, &x->box, "network", b.data, &generation, e);
	buf_done(&b);
	return r;
}

/* As the store has it now. */
static int read_again(struct network_named *x, struct err *e)
{
	int r = named_get(&x->named, x->box.id, &x->box, e);

	return r > 0 ? err_set(e, ERR_ABSENT, -ENOENT, "the sandbox was removed meanwhile") : r;
}

/* Until it is written by us alone. */
static int keep(struct network_named *x, struct list *l, const struct net_change *c, size_t n,
		struct err *e)
{
	int i, r = list_keep(x, l, e);

	for (i = 0; r == -ESTALE && i < TRIES; i++) {
		r = read_again(x, e);
		if (r == 0)
			r = list_make(x, l, c, n, e);
		if (r == 0)
			r = list_keep(x, l, e);
	}
	return r == -ESTALE ?
		       err_set(e, ERR_SYSTEM, -EBUSY,
			       "sandbox '%s' is changed by others all the time", x->box.name) :
		       r;
}

/* --- where it lives --- */

static bool has_gateway(struct network_named *x)
{
	struct arena a = ARENA_INIT(1u << 20);
	const struct json_node *answer;
	struct err e = ERR_INIT;
	const bool yes = network_runs_ask(x->box.id, "{\"op\":\"status\"}", &a, &answer, &e) == 0;

	arena_done(&a);
	return yes;
}

/* @new: so many of the last must be possible. @only_try: whether they are */
static int tell(struct network_named *x, const struct list *l, size_t new, bool only_try,
		struct err *e)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	struct json j = { .out = &b };
	const struct json_node *answer;
	int r;

	json_open(&j, NULL, '{');
	json_str(&j, "op", "live");
	json_int(&j, "new", (long long)new);
	json_bool(&j, "try", only_try);
	list_write(l, &j, "changes");
	json_close(&j, '}');
	r = b.failed ? err_set(e, ERR_USAGE, -E2BIG, "the rules are too long") :
		       network_runs_ask(x->box.id, b.data, &a, &answer, e);
	buf_done(&b);
	arena_done(&a);
	return r;
}

/* The gateway was not told what is kept. Where the sandbox has ended that is no matter. */
static int not_told(struct network_named *x, struct err *e)
{
	struct err why = *e;
	int lock = -1, r;

	if (named_lives(&x->named, x->box.id))
		return err_set(
			e, why.code, -EIO,
			"what is new is kept, but sandbox '%s', which runs, has not heard of it (the next 'bailey network policy %s' tells it): %.300s",
			x->box.name, x->box.name, why.msg);
	r = named_settle(&x->named, &x->box, &lock, e);
	if (lock >= 0) {
		named_changed(&x->named, x->box.id);
		(void)close(lock);
	}
	return r < 0 ? r : 0;
}

static int change_live(struct network_named *x, struct list *l, const struct net_change *c,
		       size_t n, struct err *e)
{
	_cleanup_close_ int turn = -1;
	size_t i, new = 0;
	int r;

	for (i = 0; i < n; i++)
		new += c[i].op != NET_CHANGE_REMOVE; /* these stand at the end of the list */
	if (!has_gateway(x))
		return err_set(
			e, ERR_USAGE, -ENOTCONN,
			"sandbox '%s' was started without a network that can be changed, and gets none while it runs; first: bailey stop %s",
			x->box.name, x->box.name);
	turn = named_turn(&x->named, &x->box, e);
	r = turn < 0 ? turn : read_again(x, e);
	if (r == 0)
		r = list_make(x, l, c, n, e);
	if (r == 0)
		r = tell(x, l, new, true, e);
	if (r == 0)
		r = keep(x, l, c, n, e);
	if (r == 0 && tell(x, l, 0, false, e) < 0)
		r = not_told(x, e);
	return r;
}

/* What somebody has kept who was killed before he told it. */
static void tell_kept(struct network_named *x)
{
	struct list *l = arena_alloc(&x->named.arena, sizeof(*l));
	struct err e = ERR_INIT;
	_cleanup_close_ int turn = named_turn(&x->named, &x->box, &e);

	if (!l || turn < 0 || read_again(x, &e) < 0)
		return;
	list_read(l, x->box.changes);
	(void)tell(x, l, 0, false, &e); /* who asks what holds hears what does */
}

static void say_notice(const char *text)
{
	struct buf b = BUF_INIT(8192);

	buf_puts(&b, "bailey: notice: ");
	buf_quote(&b, text);
	buf_puts(&b, "\n");
	if (!b.failed)
		(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
}

/* What of it would have no effect at the next start. A sandbox that can't be started for another reason says so then. */
static void say_overruled(struct network_named *x, const struct list *l)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	struct json j = { .out = &b };
	struct err e = ERR_INIT;
	size_t i;

	list_write(l, &j, NULL);
	if (!b.failed &&
	    json_read("changes", b.data, b.len, &x->named.arena, &x->box.changes, &e) == 0 &&
	    network_named_options(x, &e) == 0 &&
	    sandbox_identify(&s, &x->options.sandbox, false, &e) == 0) {
		for (i = 0; i < s.n_notices; i++) {
			if (strncmp(s.notices[i], "live ", 5) == 0 ||
			    strstr(s.notices[i], "said live"))
				say_notice(s.notices[i]);
		}
	}
	buf_done(&b);
	sandbox_done(&s);
}

/* The word of its own options that it has no network is lifted by another mode, and by nothing else: no rule would ever hold. */
static int check_mode(struct network_named *x, const struct list *l, const struct net_change *c,
		      size_t n, struct err *e)
{
	const char *network = NULL;
	struct err own = ERR_INIT;
	bool allows = false, mode = false;
	size_t i;

	for (i = 0; i < n; i++)
		allows |= c[i].op == NET_CHANGE_ALLOW;
	for (i = 0; i < l->n; i++)
		mode |= l->v[i].op == NET_CHANGE_MODE;
	if (allows && !mode && network_named_options(x, &own) == 0)
		network = x->options.sandbox.network;
	return network && strcmp(network, "none") == 0 ?
		       err_set(e, ERR_USAGE, -EPERM,
			       "sandbox '%s' was made with --network none, so no rule gives it a network: bailey network proxy %s --policy deny does; or for other options: bailey create --replace %s",
			       x->box.name, x->box.name, x->box.name) :
		       0;
}

int network_named_change(struct network_named *x, const struct net_change *c, size_t n,
			 struct err *e)
{
	struct list *l = arena_alloc(&x->named.arena, sizeof(*l));
	int lock = -1, r;
	bool stopped;

	if (!l)
		return sandbox_oom(e);
	r = list_make(x, l, c, n, e);
	if (r == 0)
		r = check_mode(x, l, c, n, e);
	if (r < 0)
		return r;
	r = named_settle(&x->named, &x->box, &lock, e);
	stopped = r == 1;
	r = r == 0 ? change_live(x, l, c, n, e) : r > 0 ? keep(x, l, c, n, e) : r;
	if (lock >= 0) {
		named_changed(&x->named, x->box.id);
		(void)close(lock);
	}
	if (r == 0 && stopped)
		say_overruled(x, l);
	return r;
}

/* --- what holds --- */

int network_named_policy(struct network_named *x, const struct json_node **ret, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct json j = { .out = &b };
	int r;

	if (named_lives(&x->named, x->box.id) && has_gateway(x)) {
		tell_kept(x);
		return network_runs_ask(x->box.id, "{\"op\":\"policy\"}", &x->named.arena, ret, e);
	}
	r = network_named_options(x, e);
	if (r == 0)
		r = sandbox_identify(&s, &x->options.sandbox, false, e);
	if (r == 0) {
		json_open(&j, NULL, '{');
		net_policy_write(&s.net, &j);
		json_close(&j, '}');
	}
	if (r == 0)
		r = b.failed ? sandbox_oom(e) :
			       json_read("policy", b.data, b.len, &x->named.arena, ret, e);
	buf_done(&b);
	sandbox_done(&s);
	return r;
}
