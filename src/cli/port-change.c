/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What a sandbox publishes stands among the words that it was made with (--publish), which each start reads, so a change is one of these words. Of one
 * that lives its supervisor has the sockets: it is asked first for all that is new, because a port may be taken; then the words are kept; then it is told what goes. Who is
 * killed between leaves ports that are published until the next stop, which 'bailey port' shows, and the same command finishes. Whoever changes one that lives takes his turn.
 */
#include "port-change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kept-words.h"
#include "life-options.h"
#include "published.h"
#include "sandbox.h"
#include "start-env.h"

#define WORD "--publish="
#define TRIES 10

struct change {
	const char *text;
	enum published_words said;
	struct published port; /* of one that is new and lives: as it listens */
	bool remove, told;     /* the supervisor was told of it, and may listen */
};

struct changes {
	struct change v[2 * GATEWAY_PUBLISHED];
	size_t n;
	struct published old[GATEWAY_PUBLISHED]; /* what one that lives has published before */
	size_t n_old;
};

int port_list(const struct named *n, const struct named_box *box, struct published *ret,
	      size_t *ret_n, struct err *e)
{
	struct wire_msg ask = { .type = WIRE_PORT_ASK }, m;
	int r;

	for (; ask.port_ask.number < GATEWAY_PUBLISHED; ask.port_ask.number++) {
		r = named_order(n, box, &ask, &m, e);
		if (r < 0)
			return r;
		if (ask.port_ask.number >= m.port.total)
			break;
		ret[ask.port_ask.number] = (struct published){ .host = m.port.place.host,
							       .inside = m.port.place.inside,
							       .chosen = m.port.chosen,
							       .fd = -1 };
		memcpy(ret[ask.port_ask.number].at.b, m.port.place.at, sizeof(m.port.place.at));
	}
	*ret_n = ask.port_ask.number;
	return 0;
}

static int read_changes(struct changes *c, const struct opt_list *words, struct err *e)
{
	size_t i;

	for (i = 0; i < words->n; i++) {
		const struct opt_value *v = &words->v[i];
		struct change *one = &c->v[c->n++];

		if (c->n > ARRAY_SIZE(c->v))
			return err_set(e, ERR_USAGE, -E2BIG, "more than %zu ports at once",
				       ARRAY_SIZE(c->v));
		*one = (struct change){ .text = v->value,
					.remove = strcmp(v->opt->name, "unpublish") == 0 };
		one->said = published_parse(v->value, &one->port);
		if (one->said == PUBLISHED_WRONG)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "--%s '%.100s': expected " PUBLISHED_FORM
				       ", as 127.0.0.1:8080:80",
				       v->opt->name, v->value);
	}
	return 0;
}

static bool same_at(const struct published *a, const struct published *b)
{
	return memcmp(a->at.b, b->at.b, sizeof(a->at.b)) == 0;
}

/* Of a removal, whether it means @p: a port that is there, or a word. HOST 0 is each that the system has chosen, or will. */
static bool means(const struct change *c, const struct published *p)
{
	return c->port.inside == p->inside &&
	       (c->said != PUBLISHED_ADDRESS || same_at(&c->port, p)) &&
	       (c->said == PUBLISHED_INSIDE || c->port.host == p->host ||
		(c->port.host == 0 && p->chosen));
}

/* Whether @c has it removed, or somebody in @all if that is NULL. */
static bool goes(const struct changes *all, const struct change *c, const struct published *p)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		if ((!c || c == &all->v[i]) && all->v[i].remove && means(&all->v[i], p))
			return true;
	}
	return false;
}

static bool word_port(const char *word, struct published *ret)
{
	return strncmp(word, WORD, strlen(WORD)) == 0 &&
	       published_parse(word + strlen(WORD), ret) != PUBLISHED_WRONG;
}

static void take_out(struct kept_words *w, size_t i)
{
	memmove(w->v + i, w->v + i + 1, (w->n - i) * sizeof(*w->v)); /* with the NULL */
	w->n--;
}

/* The word that @p, which lives, was made of: there may be several of a port that is chosen, and one is as good as another. */
static void take_out_of(struct kept_words *w, const struct published *p)
{
	struct published of;
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (word_port(w->v[i], &of) && of.inside == p->inside && same_at(&of, p) &&
		    of.host == (p->chosen ? 0 : p->host)) {
			take_out(w, i);
			return;
		}
	}
}

/* Take the words out that @c means. Return: whether there is something that it means. */
static bool forget(const struct changes *all, const struct change *c, struct kept_words *w)
{
	struct published p;
	bool found = false;
	size_t i;

	for (i = 0; i < all->n_old; i++) {
		if (goes(all, c, &all->old[i])) {
			take_out_of(w, &all->old[i]);
			found = true;
		}
	}
	for (i = 0; i < w->n;) {
		if (word_port(w->v[i], &p) && means(c, &p)) {
			take_out(w, i);
			found = true;
		} else {
			i++;
		}
	}
	return found;
}

/* Whether both can't be bound: one of them is of all addresses, or they are the same. */
static bool collide(const struct published *a, const struct published *b)
{
	static const struct published any4 = { .at = { { [10] = 0xff, [11] = 0xff } } },
				      any6 = { .at = { { 0 } } };

	return a->host && a->host == b->host &&
	       (same_at(a, b) || same_at(a, &any4) || same_at(b, &any4) || same_at(a, &any6) ||
		same_at(b, &any6));
}

static int add(const struct changes *all, const struct change *c, struct kept_words *w,
	       struct err *e)
{
	static const struct opt row = { .name = "publish" };
	struct published p;
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (word_port(w->v[i], &p) && collide(&c->port, &p))
			return err_set(
				e, ERR_USAGE, -EEXIST,
				"--publish '%.100s': that port of the host is published already",
				c->text);
	}
	for (i = 0; i < all->n_old; i++) {
		if (collide(&c->port, &all->old[i]) && goes(all, NULL, &all->old[i]))
			return err_set(
				e, ERR_USAGE, -EADDRINUSE,
				"--publish '%.100s': that port of the host is free when --unpublish is done: say that alone first",
				c->text);
	}
	return kept_words_add(w, &row, c->text, e);
}

/* The words of @box with all changes. Return: 0 or negative errno with @e. */
static int make_words(const struct changes *all, const struct named_box *box, struct kept_words *w,
		      struct err *e)
{
	size_t i;
	int r = kept_words_of(w, box, e);

	for (i = 0; r == 0 && i < all->n; i++) {
		const struct change *c = &all->v[i];

		if (c->remove && !forget(all, c, w))
			r = err_set(e, ERR_USAGE, -ENOENT,
				    "--unpublish '%.100s': sandbox '%s' publishes no such port",
				    c->text, box->name);
	}
	for (i = 0; r == 0 && i < all->n; i++) {
		if (!all->v[i].remove)
			r = add(all, &all->v[i], w, e);
	}
	return r;
}

/* Of one that is stopped: would a start take them? What else keeps it from starting is no matter when nothing comes. */
static int check_start(const struct changes *all, const struct named_box *box, char *const *words,
		       struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	struct life_options o;
	struct opt table[LIFE_OPTIONS];
	size_t i, used;
	bool dashes;
	int r;

	for (i = 0; i < all->n && all->v[i].remove; i++)
		;
	if (i == all->n)
		return 0;
	life_options(&o, table);
	life_enter(&o, box->cwd);
	o.sandbox.changes = box->changes;
	r = opt_parse(table, words, &used, &dashes, e);
	if (r == 0)
		r = start_env_set(&o.host_env, e);
	if (r == 0)
		r = sandbox_identify(&s, &o.sandbox, false, e);
	for (i = 0; r == 0 && i < s.n_notices; i++) {
		if (strncmp(s.notices[i], "--publish", strlen("--publish")) == 0)
			(void)dprintf(2, "bailey: notice: %s\n", s.notices[i]);
	}
	sandbox_done(&s);
	life_options_done(&o);
	return r;
}

/* Return: as named_keep(). */
static int keep_words(struct named *n, const struct named_box *box, char *const *words,
		      struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	struct json j = { .out = &b };
	const char *generation;
	int r;

	json_open(&j, NULL, '[');
	for (; *words; words++)
		json_str(&j, NULL, *words);
	json_close(&j, ']');
	r = b.failed ? err_set(e, ERR_USAGE, -E2BIG, "the options are too long") :
		       named_keep(n, box, "options", b.data, &generation, e);
	buf_done(&b);
	return r;
}

/* Made anew from what the store has by then, until it is written by us alone. @stopped: its lock is ours */
static int keep(const struct changes *all, struct named *n, struct named_box *box, bool stopped,
		struct err *e)
{
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < TRIES; i++) {
		struct kept_words w = { .arena = &n->arena, .cwd = box->cwd };

		r = i > 0 ? named_get(n, box->id, box, e) : 0;
		if (r == 0)
			r = make_words(all, box, &w, e);
		if (r == 0 && stopped)
			r = check_start(all, box, w.v, e);
		if (r == 0)
			r = keep_words(n, box, w.v, e);
	}
	return r == -ESTALE ? err_set(e, ERR_SYSTEM, -EBUSY,
				      "sandbox '%s' is changed by others all the time", box->name) :
			      r;
}

/* Have the supervisor do it. @ret: as it is now */
static int tell(const struct named *n, const struct named_box *box, const struct published *p,
		bool remove, struct published *ret, struct err *e)
{
	struct wire_msg m = { .type = WIRE_PUBLISH,
			      .publish = { .remove = remove,
					   .place = { .host = p->host, .inside = p->inside } } };
	struct wire_msg answer;
	int r;

	memcpy(m.publish.place.at, p->at.b, sizeof(m.publish.place.at));
	r = named_order(n, box, &m, &answer, e);
	if (r < 0)
		return r == -EBUSY ? r : err_wrap(e, r, "sandbox '%s'", box->name);
	if (ret) {
		ret->host = answer.port.place.host;
		ret->chosen = answer.port.chosen;
	}
	return 0;
}

/* A command that was killed has left it so. */
static bool is_there(const struct changes *all, const struct published *p)
{
	size_t i;

	for (i = 0; i < all->n_old; i++) {
		if (all->old[i].inside == p->inside && all->old[i].host == p->host &&
		    same_at(&all->old[i], p))
			return true;
	}
	return false;
}

static int publish_live(struct changes *all, const struct named *n, const struct named_box *box,
			struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < all->n; i++) {
		struct change *c = &all->v[i];

		if (c->remove || is_there(all, &c->port))
			continue;
		c->told = true;
		r = tell(n, box, &c->port, false, &c->port, e);
	}
	return r;
}

/* What was published for nothing, or may be. */
static void take_back(const struct changes *all, const struct named *n, const struct named_box *box)
{
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < all->n; i++) {
		if (all->v[i].told && all->v[i].port.host)
			(void)tell(n, box, &all->v[i].port, true, NULL,
				   &e); /* where it has ended, or has not begun, nothing is left */
	}
}

static int unpublish_live(const struct changes *all, const struct named *n,
			  const struct named_box *box, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < all->n_old; i++) {
		if (goes(all, NULL, &all->old[i]))
			r = tell(n, box, &all->old[i], true, NULL, e);
		if (r == -ENOENT || r == -EBUSY)
			r = 0; /* it has gone, or the sandbox has ended, or does */
	}
	return r;
}

/* Somebody may have ended it meanwhile, and somebody may be about to start it with the words of before. */
static int settle(struct named *n, const struct named_box *box, struct err *e)
{
	int lock = -1, r = named_settle(n, box, &lock, e);

	if (lock >= 0) {
		named_changed(n, box->id);
		(void)close(lock);
	}
	return r < 0 ? r : 0;
}

static int change_live(struct changes *all, struct named *n, struct named_box *box, struct err *e)
{
	struct kept_words w = { .arena = &n->arena };
	_cleanup_close_ int turn = named_turn(n, box, e);
	int r = turn < 0 ? turn : named_get(n, box->id, box, e);

	w.cwd = box->cwd;
	if (r == 0)
		r = port_list(n, box, all->old, &all->n_old, e);
	if (r == 0)
		r = make_words(all, box, &w, e);
	if (r == 0)
		r = publish_live(all, n, box, e);
	if (r == 0)
		r = keep(all, n, box, false, e);
	if (r != 0) {
		take_back(all, n, box);
		return r;
	}
	r = unpublish_live(all, n, box, e);
	return r < 0 ? r : settle(n, box, e);
}

static void print(const struct changes *all, bool lives, bool as_json, struct buf *out)
{
	struct json j = { .out = out };
	size_t i;

	if (as_json)
		json_open(&j, NULL, '[');
	for (i = 0; i < all->n; i++) {
		if (all->v[i].remove || !lives)
			continue;
		if (as_json)
			published_json(&j, &all->v[i].port);
		else
			published_line(out, &all->v[i].port);
	}
	if (as_json) {
		json_close(&j, ']');
		buf_puts(out, "\n");
	}
}

int port_change(struct named *n, struct named_box *box, const struct opt_list *words, bool as_json,
		struct buf *out, struct err *e)
{
	struct changes all = { .n = 0 };
	int lock = -1, r = read_changes(&all, words, e);

	if (r == 0)
		r = named_settle(n, box, &lock, e);
	if (r < 0)
		return r;
	r = lock < 0 ? change_live(&all, n, box, e) : keep(&all, n, box, true, e);
	if (r == 0)
		print(&all, lock < 0, as_json, out);
	if (lock >= 0) {
		named_changed(n, box->id);
		(void)close(lock);
	}
	return r;
}
