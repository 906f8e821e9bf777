/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The first line of the supervisor says all that is needed from files: they are read then, and the process confines itself before it answers. After that
 * it is one loop over the supervisor's lines, the gateway's offers and the connections. Edges are kept as flags (struct side); a connection that has more to do than one turn
 * allows waits in a list.
 *
 * No line of the log is lost: while the gateway takes none, no client is read.
 */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confine.h"
#include "engine.h"
#include "erase.h"
#include "px.h"
#include "trust.h"
#include "util/util.h"

#define EVENTS 256
#define TICK_MS 1000
#define QUICK_MS 100
#define HANDSHAKE_MOST 600000 /* ms */
#define ROOTS_MAX 64u

/* --- events --- */

int keys_watch(struct keys *k, struct watch *w)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				  .data = { .ptr = w } };

	return epoll_ctl(k->epoll, EPOLL_CTL_ADD, w->fd, &ev) < 0 ? -errno : 0;
}

void keys_unwatch(struct keys *k, struct watch *w)
{
	(void)epoll_ctl(k->epoll, EPOLL_CTL_DEL, w->fd, NULL); /* it may not have got so far */
	(void)close(w->fd);
	w->fd = -1;
}

/* --- the log --- */

/* Send what waits. The other end may be gone: then there is nobody whose log it would be in. */
void keys_flush(struct keys *k)
{
	while (k->log_n > 0 && k->gateway.fd >= 0) {
		const struct note *n = &k->log[k->log_at];

		if (send(k->gateway.fd, &n->request, n->n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				break;
		}
		k->log_at = (k->log_at + 1) % KEYS_LOG;
		k->log_n--;
	}
	if (k->gateway.fd < 0)
		k->log_n = 0;
	if (k->waiting && k->log_n < KEYS_LOG_HIGH) {
		struct conn *c;

		k->waiting = false;
		for (c = k->live; c; c = c->next)
			conn_again(c);
	}
}

bool keys_log_room(struct keys *k)
{
	if (k->log_n < KEYS_LOG_HIGH)
		return true;
	k->waiting = true;
	return false;
}

static struct note *new_note(struct keys *k)
{
	struct note *n;

	if (k->log_n == KEYS_LOG) { /* more than all connections together can make */
		k->over = true;
		return NULL;
	}
	n = &k->log[(k->log_at + k->log_n++) % KEYS_LOG];
	memset(n, 0, sizeof(*n));
	return n;
}

/* Return: whether all of it is there. */
static bool put(char *to, size_t size, struct http_slice s)
{
	size_t n = s.len < size ? s.len : size - 1;

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
	return n == s.len;
}

void keys_log(struct conn *c, const struct head *h, int status, bool denied, const char *why,
	      const char *secret)
{
	keys_log_rule(c, h, status, denied, why, secret, "");
}

void keys_log_rule(struct conn *c, const struct head *h, int status, bool denied, const char *why,
		   const char *secret, const char *rule)
{
	struct note *n = c->k->desk ? NULL : new_note(c->k);

	if (!n)
		return;
	n->n = sizeof(n->request);
	n->request = (struct keys_request){ .kind = KEYS_REQUEST,
					    .version = KEYS_VERSION,
					    .id = c->id,
					    .status = (uint16_t)status,
					    .flags = denied ? KEYS_DENIED : 0 };
	if (h && !put(n->request.method, sizeof(n->request.method), h->method))
		n->request.flags |= KEYS_CUT;
	if (h && !put(n->request.target, sizeof(n->request.target), h->target))
		n->request.flags |= KEYS_CUT;
	/* texts of ours fit, or lose nothing by it */
	(void)put(n->request.why, sizeof(n->request.why), http_slice(why ? why : ""));
	(void)put(n->request.secret, sizeof(n->request.secret), http_slice(secret ? secret : ""));
	(void)put(n->request.rule, sizeof(n->request.rule), http_slice(rule));
	keys_flush(c->k);
}

void keys_log_end(struct conn *c)
{
	struct note *n = c->k->desk ? NULL : new_note(c->k);

	if (!n)
		return;
	n->n = sizeof(n->end);
	n->end = (struct keys_end){ .kind = KEYS_END, .version = KEYS_VERSION, .id = c->id };
	(void)put(n->end.why, sizeof(n->end.why), http_slice(c->why));
	keys_flush(c->k);
}

void keys_tell(struct keys *k, const struct keys_call *m)
{
	struct note *n = new_note(k);

	if (!n)
		return;
	n->n = sizeof(n->call);
	n->call = *m;
	keys_flush(k);
}

void keys_dial(struct conn *c)
{
	struct note *n = new_note(c->k);

	if (!n)
		return;
	n->n = sizeof(n->dial);
	n->dial = (struct keys_dial){ .kind = KEYS_DIAL,
				      .version = KEYS_VERSION,
				      .id = c->id,
				      .serial = c->serial,
				      .port = c->to.port };
	(void)put(n->dial.host, sizeof(n->dial.host),
		  http_slice(c->to.host)); /* of the same size */
	keys_flush(c->k);
}

/* --- the gateway --- */

static bool is_host(const char *host)
{
	char canon[NET_HOST_MAX + 1];
	struct net_addr a;

	return net_addr_parse(&a, host, strlen(host)) ||
	       (net_host_canon(host, strlen(host), canon, NULL) >= 0 && strcmp(canon, host) == 0);
}

static void refuse_offer(struct keys *k, const struct keys_offer *o, const char *why)
{
	struct conn c = { .k = k, .id = o->id };

	(void)put(c.why, sizeof(c.why), http_slice(why));
	keys_log_end(&c);
}

static void take_offer(struct keys *k, const struct keys_offer *o, size_t n, const int fds[8])
{
	bool two = fds[0] >= 0 && fds[1] >= 0 && fds[2] < 0;
	size_t i;

	if (two && n == sizeof(*o) && o->kind == KEYS_OFFER && o->version == KEYS_VERSION &&
	    memchr(o->host, '\0', sizeof(o->host)) && is_host(o->host) && o->port) {
		if (conn_new(k, o, fds[0], fds[1]) < 0)
			refuse_offer(k, o,
				     "too many connections are inspected, or no memory is left");
		return;
	}
	for (i = 0; i < 8; i++)
		cleanup_close(&fds[i]);
	if (n == sizeof(*o))
		refuse_offer(k, o, "an offer that is none");
}

static void take_dialled(struct keys *k, const struct keys_dialled *m, int fds[8])
{
	const bool makes_sense =
		m->version == KEYS_VERSION && fds[1] < 0 && memchr(m->why, '\0', sizeof(m->why));
	struct conn *c;
	size_t i;

	for (c = k->live; c && c->id != m->id; c = c->next)
		;
	if (c && makes_sense) {
		conn_dialled(c, m->serial, fds[0],
			     *m->why ? m->why : "the gateway gives no reason");
		return;
	}
	for (i = 0; i < 8; i++)
		cleanup_close(&fds[i]);
}

static void on_gateway(struct keys *k, struct watch *w, uint32_t events)
{
	union {
		struct keys_offer offer;
		struct keys_dialled dialled;
	} m;
	int fds[8];
	ssize_t n;

	if (events & EPOLLOUT)
		keys_flush(k);
	for (;;) {
		n = fd_recv(w->fd, &m, sizeof(m), fds, MSG_DONTWAIT);
		if (n == -EAGAIN)
			return;
		if (n == -EBADMSG)
			continue; /* cut: too long, or too many descriptors */
		if (n <= 0)
			break;
		if (n == (ssize_t)sizeof(m.dialled) && m.dialled.kind == KEYS_DIALLED)
			take_dialled(k, &m.dialled, fds);
		else
			take_offer(k, &m.offer, (size_t)n, fds);
	}
	/* it is gone; its connections end by themselves */
	keys_unwatch(k, w);
	keys_flush(k);
}

/* --- the supervisor --- */

static void say(struct keys *k, const struct buf *b)
{
	if (b->failed || !fifo_add(&k->answers, b->data, b->len) || !fifo_add(&k->answers, "\n", 1))
		k->over = true;
}

void keys_say_result(struct keys *k, int r, const char *notes, const struct err *e)
{
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	struct json j = { .out = &b };

	json_open(&j, NULL, '{');
	if (r < 0)
		json_str(&j, "error", e->msg);
	else
		json_bool(&j, "ok", true);
	if (r == 0 && notes[0])
		json_str(&j, "notice", notes);
	json_close(&j, '}');
	say(k, &b);
	buf_done(&b);
}

void keys_say_notice(struct keys *k, const char *text)
{
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	struct json j = { .out = &b };

	json_open(&j, NULL, '{');
	json_str(&j, "notice", text);
	json_close(&j, '}');
	say(k, &b);
	buf_done(&b);
}

/* New rules take the place of the old ones, or nothing changes. */
static int set_rules(struct keys *k, const struct json_node *list, unsigned int arena,
		     struct err *e)
{
	const struct rules *rules;
	int r = rules_parse(&rules, list, &k->arena[arena], e);

	if (r < 0)
		return r;
	k->rules = rules;
	if (arena != k->arena_used)
		arena_done(&k->arena[k->arena_used]);
	k->arena_used = arena;
	return 0;
}

static void take_line(struct keys *k, const char *line, size_t n)
{
	unsigned int arena = 1 - k->arena_used;
	const struct json_node *root = NULL, *inspect = NULL;
	struct err e = ERR_INIT;
	int r = json_read("control", line, n, &k->arena[arena], &root, &e);

	if (r == 0 && root->type == JSON_OBJECT)
		inspect = json_member(root, "inspect");
	if (r == 0 && inspect && root->n == 1)
		r = set_rules(k, inspect, arena, &e);
	else if (r == 0 && root->type == JSON_OBJECT && root->n == 1 && json_member(root, "reload"))
		r = k->n_names > 0 ? keys_secrets_ask(k, &e) : 0;
	else if (r == 0 && root->type == JSON_OBJECT && root->n == 1 && json_member(root, "pairs"))
		r = keys_pairs(k, json_member(root, "pairs"), &e);
	else if (r == 0)
		r = err_set(&e, ERR_USAGE, -EINVAL, "control: expected inspect, reload or pairs");
	if (k->arena_used != arena)
		arena_done(&k->arena[arena]);
	if (r < 0 || !k->asked)
		keys_say_result(k, r, "", &e);
}

/* The first line that is complete, with a NUL instead of its end; NULL when there is none. */
static const char *whole_line(struct keys *k, size_t *ret_n)
{
	char *lf = k->line.n > 0 ? memchr(fifo_head(&k->line), '\n', k->line.n) : NULL;

	if (!lf)
		return NULL;
	*lf = '\0';
	*ret_n = (size_t)(lf - fifo_head(&k->line));
	return fifo_head(&k->line);
}

/* Lines that have come; one whose result is awaited holds back the others. */
static void take_lines(struct keys *k)
{
	const char *line;
	size_t length;

	while (!k->asked && (line = whole_line(k, &length))) {
		take_line(k, line, length);
		fifo_take(&k->line, length + 1);
	}
}

static void flush_answers(struct keys *k)
{
	while (k->answers.n > 0) {
		ssize_t n = send(k->control.fd, fifo_head(&k->answers), k->answers.n,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			k->over |= errno != EAGAIN;
			return;
		}
		fifo_take(&k->answers, (size_t)n);
	}
}

void keys_lines(struct keys *k)
{
	take_lines(k);
	flush_answers(k);
}

static void on_control(struct keys *k, struct watch *w, uint32_t events)
{
	ssize_t n;
	char *p;

	(void)events;
	while (!k->over) {
		p = fifo_space(&k->line, 4096);
		if (!p) {
			k->over = true; /* a line that is too long, or no memory */
			return;
		}
		n = recv(w->fd, p, 4096, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0 && errno != EINTR) {
			k->over = true;
			return;
		}
		if (n > 0)
			fifo_added(&k->line, (size_t)n);
		take_lines(k);
	}
	if (k->line.n == 0)
		fifo_done(&k->line);
	flush_answers(k);
}

/* --- the loop --- */

/* Connections that had more to do than one turn allows. */
static void go_on(struct keys *k)
{
	struct conn *c = k->again, *next;

	k->again = NULL;
	for (; c; c = next) {
		next = c->next_again;
		c->queued = false;
		if (c->state != CONN_DEAD)
			conn_step(c);
	}
}

void keys_loop(struct keys *k)
{
	/* short times are kept to a tenth of a second */
	const int every = k->desk || (k->handshake_ms && k->handshake_ms < 5ul * TICK_MS) ?
				  QUICK_MS :
				  TICK_MS;
	struct epoll_event ev[EVENTS];
	uint64_t tick = 0;
	int i, n;

	while (!k->over) {
		n = epoll_wait(k->epoll, ev, EVENTS,
			       k->again || k->dead ? 0 :
			       k->desk || k->live  ? every :
						     -1);
		k->now = (uint64_t)clock_ms();
		for (i = 0; i < n; i++) {
			struct watch *w = ev[i].data.ptr;

			if (w->fd >= 0) /* closed by one of those before it */
				w->on(k, w, ev[i].events);
		}
		if (k->now >= tick) {
			conn_tick(k);
			tick = k->now + (uint64_t)every;
		}
		if (k->desk)
			px_tick(k);
		go_on(k);
		flush_answers(k); /* a connection may have had something to say */
		conn_bury(k);
	}
	while (k->live)
		conn_end(k->live, "");
}

/* --- the beginning --- */

/* A list of texts, copied; NULL-terminated. */
static int take_texts(const struct json_node *n, struct arena *a, const char ***ret, struct err *e)
{
	const struct json_node *k;
	const char **v;
	size_t i = 0;

	if (n && n->type != JSON_LIST)
		return err_set(e, ERR_USAGE, -EINVAL, "control: %s: expected a list", n->key);
	v = arena_alloc(a, ((n ? n->n : 0) + 1) * sizeof(*v));
	for (k = n ? n->first : NULL; k && v; k = k->next) {
		if (k->type != JSON_STRING)
			return err_set(e, ERR_USAGE, -EINVAL, "control: %s: expected strings",
				       n->key);
		v[i] = arena_strdup(a, k->text);
		if (!v[i++])
			v = NULL;
	}
	if (!v)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "control: out of memory");
	*ret = v;
	return 0;
}

static int take_number(const struct json_node *root, const char *key, long *ret, struct err *e)
{
	const struct json_node *n = json_member(root, key);
	char *end = NULL;

	*ret = -1;
	if (!n)
		return 0;
	if (n->type == JSON_NUMBER)
		*ret = strtol(n->text, &end, 10);
	if (!end || *end || *ret < 0 || *ret > INT32_MAX)
		return err_set(e, ERR_USAGE, -EINVAL, "control: %s: expected a number", key);
	return 0;
}

static int check_keys(const struct json_node *root, struct err *e)
{
	static const char *const known[] = { "version", "id",        "store",       "secrets",
					     "inspect", "own",       "roots",       "uid",
					     "gid",     "java",      "masks",       "strip",
					     "ca",      "own_store", "own_secrets", "logins",
					     "pairs",   "handshake" };
	const struct json_node *n;
	char *end;
	size_t i;

	for (n = root->first; n; n = n->next) {
		for (i = 0; i < ARRAY_SIZE(known) && strcmp(n->key, known[i]) != 0; i++)
			;
		if (i == ARRAY_SIZE(known))
			return err_set(e, ERR_USAGE, -EINVAL, "control: %.60s is unknown", n->key);
	}
	n = json_member(root, "version");
	if (!n || n->type != JSON_NUMBER || strtoul(n->text, &end, 10) != KEYS_VERSION || *end)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"control: version: expected %d; bailey and bailey-keys are of different builds",
			KEYS_VERSION);
	n = json_member(root, "id");
	if (!n || n->type != JSON_STRING)
		return err_set(e, ERR_USAGE, -EINVAL, "control: id: expected a string");
	n = json_member(root, "store");
	if (n && n->type != JSON_STRING && n->type != JSON_NULL)
		return err_set(e, ERR_USAGE, -EINVAL, "control: store: expected a string or null");
	n = json_member(root, "own_store");
	if (n && n->type != JSON_STRING)
		return err_set(e, ERR_USAGE, -EINVAL, "control: own_store: expected a string");
	return 0;
}

/* {"certificate": FILE, "key": FILE}, or NULL: one of its own. */
static int begin_ca(struct keys *k, const struct json_node *root, struct err *e)
{
	const struct json_node *ca = json_member(root, "ca"), *cert, *key;

	if (!ca)
		return ca_new(&k->ca, json_member(root, "id")->text, e);
	cert = ca->type == JSON_OBJECT ? json_member(ca, "certificate") : NULL;
	key = ca->type == JSON_OBJECT ? json_member(ca, "key") : NULL;
	if (!cert || !key || cert->type != JSON_STRING || key->type != JSON_STRING)
		return err_set(e, ERR_USAGE, -EINVAL, "control: ca: expected two files");
	return ca_load(&k->ca, cert->text, key->text, e);
}

static size_t count_texts(const char *const *v)
{
	size_t n = 0;

	while (v[n])
		n++;
	return n;
}

/* Names that may be everybody's, and then those that are the sandbox's own alone. */
static int begin_secrets(struct keys *k, const struct json_node *root, struct err *e)
{
	const char *store = json_string(root, "store"), *own = json_string(root, "own_store");
	const char **shared, **alone;
	int r = take_texts(json_member(root, "secrets"), &k->own_arena, &shared, e);

	if (r == 0)
		r = take_texts(json_member(root, "own_secrets"), &k->own_arena, &alone, e);
	if (r < 0)
		return r;
	k->n_shared = count_texts(shared);
	k->n_names = k->n_shared + count_texts(alone);
	r = logins_take(&k->logins, json_member(root, "logins"), e);
	if (r < 0)
		return r;
	k->keeps_logins = k->logins.n > 0 && own;
	if (k->n_names == 0 && !k->keeps_logins)
		return 0;
	if (k->n_names > BOUND_SECRETS)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %u secrets in one sandbox",
			       BOUND_SECRETS);
	if ((k->n_shared > 0 && !store) || (k->n_names > k->n_shared && !own))
		return err_set(e, ERR_USAGE, -EINVAL, "control: secrets without a store");
	k->names = arena_alloc(&k->own_arena, (k->n_names + 1) * sizeof(*k->names));
	if (!k->names)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "control: out of memory");
	memcpy(k->names, shared, k->n_shared * sizeof(*shared));
	memcpy(k->names + k->n_shared, alone, (k->n_names - k->n_shared) * sizeof(*alone));
	return keys_secrets_begin(k, store, own, e);
}

static int take_handshake(struct keys *k, const struct json_node *root, struct err *e)
{
	long ms;
	int r = take_number(root, "handshake", &ms, e);

	if (r == 0 && (ms == 0 || ms > HANDSHAKE_MOST))
		r = err_set(e, ERR_USAGE, -EINVAL, "control: handshake: expected 1 to %d",
			    HANDSHAKE_MOST);
	if (r == 0 && ms > 0)
		k->handshake_ms = (uint64_t)ms;
	return r;
}

/* All that needs files. */
static int prepare(struct keys *k, const struct json_node *root, long ids[2], struct err *e)
{
	const char **roots = NULL;
	const struct json_node *inspect;
	int r = check_keys(root, e);

	if (r == 0)
		r = take_texts(json_member(root, "own"), &k->own_arena, &k->own, e);
	if (r == 0)
		r = take_texts(json_member(root, "roots"), &k->own_arena, &roots, e);
	if (r == 0)
		r = take_texts(json_member(root, "strip"), &k->own_arena, &k->strip, e);
	if (r == 0)
		r = take_number(root, "uid", &ids[0], e);
	if (r == 0)
		r = take_number(root, "gid", &ids[1], e);
	if (r == 0)
		r = take_handshake(k, root, e);
	if (r == 0)
		r = begin_secrets(k, root, e);
	if (r == 0)
		r = keys_masks_begin(k, json_member(root, "masks"), json_member(root, "pairs"), e);
	if (r == 0)
		r = tls_begin(k, roots, e);
	if (r == 0)
		r = begin_ca(k, root, e);
	inspect = json_member(root, "inspect");
	if (r == 0 && inspect)
		r = set_rules(k, inspect, k->arena_used, e);
	return r;
}

/* Read the first line; nothing else is to be done before. Return: it, or NULL. */
static const char *wait_for_line(struct keys *k, size_t *ret_n)
{
	const char *line;
	ssize_t n;
	char *p;

	while (!(line = whole_line(k, ret_n))) {
		p = fifo_space(&k->line, 4096);
		n = p ? recv(k->control.fd, p, 4096, 0) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		fifo_added(&k->line, (size_t)n);
	}
	return line;
}

static int hello(const struct keys *k, bool java, struct buf *b, struct err *e)
{
	struct buf pem = BUF_INIT(8192);
	struct json j = { .out = b };
	const struct bound_set *set = k->bound.now;
	struct inject_variable v[SECRET_LIST_MAX + 1];
	size_t i, m, n;
	int r = ca_pem(k->ca, &pem);

	json_open(&j, NULL, '{');
	json_str(&j, "ca", r == 0 ? pem.data : NULL);
	json_open(&j, "env", '{');
	for (i = 0; set && i < set->n; i++) {
		n = set->v[i].mask ? 0 : inject_variables(&set->v[i], v);
		for (m = 0; m < n; m++)
			json_str(&j, v[m].name, v[m].value);
	}
	json_close(&j, '}');
	json_open(&j, "hosts", '[');
	for (i = 0; set && i < set->n; i++) {
		for (m = 0; m < set->v[i].hosts.n; m++)
			json_str(&j, NULL, set->v[i].hosts.v[m]);
	}
	for (i = 0; i < k->logins.n; i++) {
		for (m = 0; m < k->logins.v[i].n_hosts; m++)
			json_str(&j, NULL, k->logins.v[i].hosts[m]);
	}
	json_close(&j, ']');
	keys_secrets_say(k, &j);
	if (r == 0 && java)
		r = trust_java(&j, "java", SSL_CTX_get_cert_store(k->to_server),
			       ca_certificate(k->ca));
	json_close(&j, '}');
	buf_done(&pem);
	return r < 0 ? err_set(e, ERR_SYSTEM, r, "certificates: out of memory, or too many roots") :
		       0;
}

static int begin(struct keys *k, const char *line, size_t n, struct err *e)
{
	const struct json_node *root = NULL, *java;
	struct buf b = BUF_INIT(KEYS_LINE_MAX);
	long ids[2] = { -1, -1 };
	int r = json_read("control", line, n, &k->arena[0], &root, e);

	if (r == 0 && root->type != JSON_OBJECT)
		r = err_set(e, ERR_USAGE, -EINVAL, "control: expected an object");
	if (r == 0)
		r = prepare(k, root, ids, e);
	if (r < 0)
		return r;
	k->log = calloc(KEYS_LOG, sizeof(*k->log));
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!k->log || k->epoll < 0 || keys_watch(k, &k->control) < 0 ||
	    keys_watch(k, &k->gateway) < 0 || (k->helper.fd >= 0 && keys_watch(k, &k->helper) < 0))
		return err_set(e, ERR_SYSTEM, -ENOMEM,
			       "keys: no memory, or its channels are missing");
	java = json_member(root, "java");
	/* a trust store for Java is made of them */
	r = java && java->value ? tls_roots(k, e) : 0;
	if (r == 0)
		r = hello(k, java && java->value, &b, e);
	if (r == 0)
		r = confine_keys((uid_t)ids[0], (gid_t)ids[1], e);
	if (r == 0)
		say(k, &b);
	buf_done(&b);
	return r;
}

int keys_give_up(const int *keep, size_t n)
{
	int r;

	(void)signal(SIGPIPE, SIG_IGN); /* can't fail with these arguments */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "bailey-keys", 0, 0, 0); /* for people */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);         /* before there is anything to see */
	(void)fd_raise_limit();                           /* fewer connections, then */
	r = fd_close_others(keep, n);
	return r == 0 ? confine_streams() : r;
}

int keys_serve(void)
{
	static struct keys k = { .epoll = -1,
				 .control = { .fd = KEYS_FD_CONTROL, .on = on_control },
				 .gateway = { .fd = KEYS_FD_GATEWAY, .on = on_gateway },
				 .helper = { .fd = -1 },
				 .to_helper = FIFO_INIT(KEYS_TO_HELPER),
				 .line = FIFO_INIT(KEYS_LINE_MAX + 4096),
				 .answers = FIFO_INIT((size_t)4 * KEYS_LINE_MAX),
				 .arena = { ARENA_INIT(LIMIT_ARENA), ARENA_INIT(LIMIT_ARENA) },
				 .own_arena = ARENA_INIT(LIMIT_ARENA) };
	const int keep[2] = { KEYS_FD_CONTROL, KEYS_FD_GATEWAY };
	struct err e = ERR_INIT;
	const char *line;
	size_t n = 0;
	int r;

	r = keys_give_up(keep, 2);
	line = r == 0 ? wait_for_line(&k, &n) : NULL;
	if (!line)
		return 1;
	k.now = (uint64_t)clock_ms();
	r = begin(&k, line, n, &e);
	fifo_take(&k.line, n + 1);
	confine_memory();
	if (r < 0) {
		keys_say_result(&k, r, "", &e);
		flush_answers(&k);
		return 1;
	}
	flush_answers(&k);
	if (tls_roots(&k, &e) < 0)
		return 1; /* the launcher says that we have ended, and what is inspected is closed */
	keys_loop(&k);
	return 0;
}
