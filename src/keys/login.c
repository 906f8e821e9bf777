/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A JSON body is read as a tree; the values of members that are known to be tokens change places with sentinels, and the tree is written anew. So what the sandbox
 * gets is what was understood here, whatever another reader would have made of the bytes.
 */
#include "login.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "erase.h"
#include "inject-own.h"
#include "login-table.h"
#include "scrub.h"

/* Members that are tokens, wherever they stand. raw_key: what Claude Code makes of one. */
static const char *const members[] = { "access_token", "refresh_token", "id_token", "raw_key" };

/* How a token is sent. */
static const struct secret_way ways[] = {
	{ .carrier = SECRET_HEADER, .field = "authorization", .format = "Bearer {}" },
	{ .carrier = SECRET_HEADER, .field = "authorization", .format = "token {}" },
	{ .carrier = SECRET_HEADER, .field = "x-api-key", .format = "{}" },
	{ .carrier = SECRET_BASIC, .field = "x-access-token", .any_user = true },
};

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "log-ins: out of memory");
}

__attribute__((format(printf, 2, 3))) static int bad(struct err *e, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap); /* cut where it is long */
	va_end(ap);
	return err_set(e, ERR_POLICY, -EINVAL, "login: %s", what);
}

/* --- which there are ---------------------------------------------------------------------------------------------------------------- */

static int add_host(struct logins *l, struct login *to, const char *rule, struct err *e)
{
	char host[NET_HOST_MAX + 1];
	struct err why = ERR_INIT;
	size_t skip = strncmp(rule, "*.", 2) == 0 ? 2 : 0, i;
	const char *kept;

	if (net_host_canon(rule + skip, strlen(rule + skip), host, &why) < 0)
		return bad(e, "hosts: %s", why.msg);
	if (skip && net_public_suffix(host))
		return bad(e, "hosts: '%.100s': anybody can have a name there", rule);
	kept = arena_printf(&l->arena, "%s%s", skip ? "*." : "", host);
	if (!kept)
		return no_memory(e);
	for (i = 0; i < to->n_hosts; i++) {
		if (strcmp(to->hosts[i], kept) == 0)
			return 0;
	}
	if (to->n_hosts == LOGIN_HOSTS)
		return bad(e, "'%s' has more than %u hosts", to->name, LOGIN_HOSTS);
	to->hosts[to->n_hosts++] = kept;
	return 0;
}

static int add_endpoint(struct logins *l, struct login *to, const char *host, const char *path,
			struct err *e)
{
	if (to->n_from == LOGIN_ENDPOINTS)
		return bad(e, "'%s' has more than %u endpoints", to->name, LOGIN_ENDPOINTS);
	to->from[to->n_from++] = (struct login_endpoint){ host, path };
	return add_host(l, to, host, e);
}

static int take_known(struct logins *l, struct login *to, const char *name, struct err *e)
{
	struct nearest near = NEAREST_INIT(name, strlen(name));
	size_t i, k;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(login_table) && strcmp(login_table[i].name, name) != 0; i++)
		nearest_offer(&near, login_table[i].name);
	if (i == ARRAY_SIZE(login_table))
		return bad(e, "'%.60s' is none that is known%s%s%s", name,
			   near.best ? " (did you mean " : "", near.best ? near.best : "",
			   near.best ? "?)" : "");
	to->name = login_table[i].name;
	for (k = 0; r == 0 && k < LOGIN_ENDPOINTS && login_table[i].from[k].host; k++)
		r = add_endpoint(l, to, login_table[i].from[k].host, login_table[i].from[k].path,
				 e);
	for (k = 0; r == 0 && k < LOGIN_HOSTS && login_table[i].hosts[k]; k++)
		r = add_host(l, to, login_table[i].hosts[k], e);
	return r;
}

static int take_url(struct logins *l, struct login *to, const char *text, struct err *e)
{
	char path[CARRIER_PATH];
	struct err why = ERR_INIT;
	struct net_addr addr;
	struct forward_url f;
	const char *host, *kept;

	if (forward_parse(&f, text, &why) < 0)
		return bad(e, "token '%.100s': %s", text, why.msg);
	if (!f.tls || f.port != 443 || f.n_path == 0)
		return bad(e, "token '%.100s': expected https://HOST/PATH", text);
	if (net_addr_parse(&addr, f.host, strlen(f.host)) ||
	    !inject_decode((struct http_slice){ f.path, f.n_path }, path, sizeof(path)))
		return bad(e,
			   "token '%.100s': a host that has no name, or a path that can't be read",
			   text);
	host = arena_strdup(&l->arena, f.host);
	kept = arena_strdup(&l->arena, f.path); /* with the slashes that it ends with */
	return host && kept ? add_endpoint(l, to, host, kept, e) : no_memory(e);
}

static int take_list(struct logins *l, struct login *to, const struct json_node *list, bool urls,
		     struct err *e)
{
	const struct json_node *k;
	int r = 0;

	if (list->type != JSON_LIST || !list->first)
		return bad(e, "%s: expected a list of strings", list->key);
	for (k = list->first; r == 0 && k; k = k->next) {
		if (k->type != JSON_STRING)
			return bad(e, "%s: expected a list of strings", list->key);
		r = urls ? take_url(l, to, k->text, e) : add_host(l, to, k->text, e);
	}
	return r;
}

static int take_object(struct logins *l, struct login *to, const struct json_node *n, struct err *e)
{
	const struct json_node *k;
	int r = 0;

	for (k = n->first; r == 0 && k; k = k->next) {
		if (strcmp(k->key, "name") != 0)
			continue;
		r = k->type == JSON_STRING ? secret_name_check(k->text, e) :
					     bad(e, "name: expected a string");
		if (r == 0 && strlen(k->text) > LOGIN_NAME)
			r = bad(e, "name: longer than %u bytes", LOGIN_NAME);
		to->name = r == 0 ? arena_strdup(&l->arena, k->text) : NULL;
		if (r == 0 && !to->name)
			r = no_memory(e);
	}
	if (r == 0 && !to->name)
		return bad(e, "name is missing");
	for (k = n->first; r == 0 && k; k = k->next) {
		if (strcmp(k->key, "token") == 0)
			r = take_list(l, to, k, true, e);
		else if (strcmp(k->key, "hosts") == 0)
			r = take_list(l, to, k, false, e);
		else if (strcmp(k->key, "name") != 0)
			r = bad(e, "'%.40s' is unknown; expected name, token and hosts", k->key);
	}
	if (r == 0 && to->n_from == 0)
		r = bad(e, "'%s': token is missing: where its tokens come from", to->name);
	return r;
}

int logins_take(struct logins *l, const struct json_node *list, struct err *e)
{
	const struct json_node *n;
	size_t i;
	int r = 0;

	*l = (struct logins){ .arena = ARENA_INIT(1 << 18) };
	if (list && list->type != JSON_LIST)
		return bad(e, "expected a list");
	for (n = list ? list->first : NULL; r == 0 && n; n = n->next) {
		struct login *to = &l->v[l->n];

		if (l->n == LOGINS_MAX)
			return bad(e, "more than %u", LOGINS_MAX);
		if (n->type == JSON_STRING)
			r = take_known(l, to, n->text, e);
		else if (n->type == JSON_OBJECT)
			r = take_object(l, to, n, e);
		else
			r = bad(e, "expected a name, or an object");
		for (i = 0; r == 0 && i < l->n; i++) {
			if (strcmp(l->v[i].name, to->name) == 0)
				r = bad(e, "'%s' is there twice", to->name);
		}
		l->n++;
	}
	return r;
}

static void release(struct login_token *t)
{
	if (--t->refs > 0)
		return;
	erase_free(t->value);
	erase_free(t->sentinel);
	free(t);
}

void logins_done(struct logins *l)
{
	struct login_token *t;

	while ((t = l->tokens)) {
		l->tokens = t->next;
		release(t);
	}
	arena_done(&l->arena);
	*l = (struct logins){ .n = 0 };
}

/* --- requests ------------------------------------------------------------------------------------------------------------------------ */

static bool covers(const struct login *login, const char *host)
{
	const struct inject_secret s = { .more = login->hosts, .n_more = login->n_hosts };

	return inject_applies(&s, host);
}

static struct http_slice path_of(struct http_slice target)
{
	const char *mark = memchr(target.p, '?', target.len);

	target.len = mark ? (size_t)(mark - target.p) : target.len;
	return target;
}

/* Whether a server may take @path (decoded, lower case) for that of the endpoint. */
static bool is_endpoint(const struct login_endpoint *f, const char *path)
{
	static char want[CARRIER_PATH];

	return inject_decode(http_slice(f->path), want, sizeof(want)) &&
	       carrier_path_is(path, want);
}

bool login_takes(const struct logins *l, const char *host, struct http_slice target)
{
	const struct http_slice path = path_of(target);
	size_t i, k;

	for (i = 0; i < l->n; i++) {
		for (k = 0; k < l->v[i].n_from; k++) {
			if (strcmp(l->v[i].from[k].host, host) == 0 &&
			    slice_is(path, l->v[i].from[k].path))
				return true;
		}
	}
	return false;
}

enum login_kind login_of(struct logins *l, const char *host, struct http_slice target,
			 struct login **ret)
{
	static char path[CARRIER_PATH]; /* one process, one loop */
	enum login_kind kind = LOGIN_NOT;
	size_t i, k;
	bool reads;

	reads = inject_decode(path_of(target), path, sizeof(path));
	for (i = 0; i < l->n; i++) {
		struct login *login = &l->v[i];

		for (k = 0; k < login->n_from; k++) {
			if (!reads || strcmp(login->from[k].host, host) != 0 ||
			    !is_endpoint(&login->from[k], path))
				continue;
			*ret = login;
			return LOGIN_ENDPOINT;
		}
		/* what can't be read as a path may be any */
		if (kind == LOGIN_NOT && covers(login, host) &&
		    (!reads || carrier_token_path(path))) {
			*ret = login;
			kind = LOGIN_MAYBE;
		}
	}
	return kind;
}

size_t login_bind(struct logins *l, const char *host, struct login_token **ret_held,
		  struct inject_secret *ret)
{
	struct login_token *t;
	size_t n = 0;

	for (t = l->tokens; t && n < LOGIN_TOKENS; t = t->next) {
		if (!covers(t->login, host))
			continue;
		t->refs++;
		ret_held[n] = t;
		ret[n] = (struct inject_secret){ .mask = true,
						 .meek = true,
						 .secret = { .name = t->login->name,
							     .value = t->value,
							     .carrier = SECRET_HEADER },
						 .ways = ways,
						 .n_ways = ARRAY_SIZE(ways),
						 .more = t->login->hosts,
						 .n_more = t->login->n_hosts };
		(void)snprintf(ret[n].sentinel.value, sizeof(ret[n].sentinel.value), "%s",
			       t->sentinel); /* fits */
		n++;
	}
	return n;
}

void login_release(struct login_token **held, size_t n)
{
	while (n > 0)
		release(held[--n]);
}

static const struct login_token *by_sentinel(struct login_token *const *held, size_t n,
					     const char *text)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (strcmp(held[i]->sentinel, text) == 0)
			return held[i];
	}
	return NULL;
}

static bool unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("-._~", c));
}

static void put_coded(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (unreserved(*s))
			buf_add(b, s, 1);
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
	}
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of a field. Return: whether it is a text that fits. */
static bool decode(const char *p, size_t n, char *out, size_t size)
{
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		char c = p[i];

		if (c == '+')
			c = ' ';
		if (c == '%') {
			if (n - i < 3 || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0)
				return false;
			c = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
			i += 2;
		}
		if (!c || k + 1 >= size)
			return false;
		out[k++] = c;
	}
	out[k] = '\0';
	return true;
}

static void form_body(struct login_token *const *held, size_t n_held, const char *p, size_t n,
		      struct buf *out)
{
	const char *end = p + n, *stop, *equals;
	char value[SECRET_SENTINEL_MAX];
	const struct login_token *t;
	bool changed = false;

	for (; p < end; p = stop) {
		stop = memchr(p, '&', (size_t)(end - p));
		stop = stop ? stop + 1 : end;
		equals = memchr(p, '=', (size_t)(stop - p));
		n = equals ? (size_t)(stop - equals - 1) - (stop[-1] == '&') : 0;
		t = equals && decode(equals + 1, n, value, sizeof(value)) ?
			    by_sentinel(held, n_held, value) :
			    NULL;
		if (!t) {
			buf_add(out, p, (size_t)(stop - p));
			continue;
		}
		buf_add(out, p, (size_t)(equals + 1 - p));
		put_coded(out, t->value);
		buf_add(out, "&", stop[-1] == '&');
		changed = true;
	}
	if (!changed)
		out->len = 0;
}

/* Each value of the tree, in the order of the text. */
static struct json_node *next_node(struct json_node *n)
{
	if (n->first)
		return n->first;
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

/* A tree in memory that is erased. Return: 0, -EBADMSG, -ENOMEM. */
static int read_tree(const char *p, size_t n, struct arena *a, struct json_node **ret)
{
	struct buf text = BUF_INIT(0);
	const struct json_node *root = NULL;
	struct err ignored = ERR_INIT;
	int r = -ENOMEM;

	if (!erase_arena_init(a, 24 * LOGIN_BODY))
		return r;
	if (erase_buf_init(&text, n + 1)) {
		buf_add(&text, p, n);
		r = json_read("body", text.data, n, a, &root, &ignored) < 0 ? -EBADMSG : 0;
	}
	erase_buf_done(&text);
	*ret = (struct json_node *)(uintptr_t)root; /* the arena's, which is ours */
	return r;
}

static int json_body(struct login_token *const *held, size_t n_held, const char *p, size_t n,
		     struct buf *out, struct err *e)
{
	struct arena a = ARENA_INIT(0);
	struct json_node *root = NULL, *k;
	const struct login_token *t;
	bool changed = false;
	int r = read_tree(p, n, &a, &root);

	for (k = r == 0 ? root : NULL; k; k = next_node(k)) {
		t = k->type == JSON_STRING ? by_sentinel(held, n_held, k->text) : NULL;
		if (t)
			k->text = t->value;
		changed |= t != NULL;
	}
	if (changed)
		json_write(root, out);
	erase_arena_done(&a);
	return r == -ENOMEM ? no_memory(e) :
			      0; /* what can't be read has no sentinel that would be understood */
}

/* Without parameters. */
static bool type_is(struct http_slice type, const char *lower)
{
	size_t n = strlen(lower);

	return slice_begins(type, lower) &&
	       (type.len == n || type.p[n] == ';' || type.p[n] == ' ' || type.p[n] == '\t');
}

int login_body(struct login_token *const *held, size_t n_held, struct http_slice type,
	       const char *p, size_t n, struct buf *out, struct err *e)
{
	int r = 0;

	if (n == 0 || n > LOGIN_BODY || !type.p)
		return 0;
	if (type_is(type, "application/x-www-form-urlencoded"))
		form_body(held, n_held, p, n, out);
	else if (type_is(type, "application/json"))
		r = json_body(held, n_held, p, n, out, e);
	return r == 0 && out->failed ? no_memory(e) : r;
}

/* --- answers ------------------------------------------------------------------------------------------------------------------------- */

/* One that is given again is the newest: the others of its answer must not push it out. */
static struct login_token *by_value(struct logins *l, const struct login *login, const char *value)
{
	struct login_token **at = &l->tokens, *t;

	while ((t = *at) && (t->login != login || strcmp(t->value, value) != 0))
		at = &t->next;
	if (t) {
		*at = t->next;
		t->next = l->tokens;
		l->tokens = t;
	}
	return t;
}

/* Past LOGIN_TOKENS the oldest goes. Should come when nothing borrows their texts any more: an answer's tree does until it is written. */
static void forget_oldest(struct logins *l)
{
	struct login_token **at, *t;
	size_t n = 0;

	for (at = &l->tokens; *at && n < LOGIN_TOKENS; at = &(*at)->next)
		n++;
	while ((t = *at)) {
		*at = t->next;
		release(t);
	}
}

static struct login_token *add_token(struct logins *l, struct login *login, const char *value,
				     const char *sentinel)
{
	struct login_token *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct login_token){ .next = l->tokens,
				   .refs = 1,
				   .login = login,
				   .value = strdup(value),
				   .sentinel = strdup(sentinel) };
	if (!t->value || !t->sentinel) {
		release(t);
		return NULL;
	}
	l->tokens = t;
	l->changed = true;
	l->serial++;
	return t;
}

static bool is_token(const char *s)
{
	size_t n = strlen(s), i;

	for (i = 0; i < n && s[i] > ' ' && s[i] <= '~' && s[i] != '"' && s[i] != '\\'; i++)
		;
	return i == n && n >= SECRET_VALUE_MIN && n <= SECRET_VALUE_MAX;
}

static bool is_member(const char *key)
{
	size_t i;

	for (i = 0; key && i < ARRAY_SIZE(members); i++) {
		if (strcmp(key, members[i]) == 0)
			return true;
	}
	return false;
}

static int keep(struct logins *l, struct login *login, struct json_node *k, struct err *e)
{
	char sentinel[SECRET_SENTINEL_MAX];
	struct login_token *t;

	if (k->type == JSON_NULL || (k->type == JSON_STRING && !*k->text))
		return 0;
	if (k->type != JSON_STRING || !is_token(k->text))
		return err_set(e, ERR_POLICY, -EBADMSG,
			       "login: %s of '%s' is no token that can be stood in for", k->key,
			       login->name);
	t = by_value(l, login, k->text);
	if (!t) {
		if (sentinel_token(sentinel, k->text, e) < 0)
			return -ENOMEM;
		t = add_token(l, login, k->text, sentinel);
	}
	if (!t)
		return no_memory(e);
	k->text = t->sentinel;
	return 1;
}

/* What else in the answer is one of the tokens, in whatever form, is its sentinel, too. */
static int scrub(const struct logins *l, const struct buf *made, struct buf *out, struct err *e)
{
	struct scrub_pair pairs[2 * LOGIN_TOKENS]; /* those of this answer, and the older ones */
	const struct login_token *t;
	struct scrub *s = NULL;
	size_t n = 0;
	int r;

	for (t = l->tokens; t && n < ARRAY_SIZE(pairs); t = t->next)
		pairs[n++] = (struct scrub_pair){ t->value, t->sentinel };
	if (n == 0) {
		buf_add(out, made->data, made->len);
		return out->failed ? no_memory(e) : 0;
	}
	r = scrub_new(&s, pairs, n, SCRUB_ALL, e);
	if (r == 0 && (scrub_step(s, made->data, made->len, out) < 0 || scrub_end(s, out) < 0))
		r = no_memory(e);
	scrub_free(s);
	return r;
}

int login_answer(struct logins *l, struct login *login, const char *p, size_t n, struct buf *out,
		 struct err *e)
{
	struct arena a = ARENA_INIT(0);
	struct buf made = BUF_INIT(0);
	struct json_node *root = NULL, *k;
	int r = n > LOGIN_BODY ? -EBADMSG : read_tree(p, n, &a, &root), found = 0, one;

	if (r == -EBADMSG)
		r = err_set(
			e, ERR_POLICY, r,
			"login: an answer of '%s' is too long, or no JSON that can be read in one way: a token could be in it",
			login->name);
	else if (r < 0)
		r = no_memory(e);
	for (k = r == 0 ? root : NULL; r == 0 && k; k = next_node(k)) {
		one = is_member(k->key) ? keep(l, login, k, e) : 0;
		if (one < 0)
			r = one;
		else if ((found += one) > (int)LOGIN_TOKENS)
			r = err_set(e, ERR_POLICY, -EBADMSG,
				    "login: an answer of '%s' has more than %u tokens", login->name,
				    LOGIN_TOKENS);
	}
	if (r == 0 && !erase_buf_init(&made, 2 * LOGIN_BODY))
		r = no_memory(e);
	if (r == 0) {
		json_write(root, &made);
		r = made.failed ? no_memory(e) : scrub(l, &made, out, e);
	}
	forget_oldest(l);
	erase_buf_done(&made);
	erase_arena_done(&a);
	erase_stack();
	return r < 0 ? r : found;
}

/* --- what stays ----------------------------------------------------------------------------------------------------------------------- */

/* The newest ones, as many as fit; they are printed newest first. */
void logins_print(const struct logins *l, struct buf *b)
{
	struct json j = { .out = b };
	const struct login_token *t;
	size_t size = 16;

	json_open(&j, NULL, '[');
	for (t = l->tokens; t; t = t->next) {
		size += strlen(t->login->name) + strlen(t->value) + strlen(t->sentinel) + 64;
		if (size > LOGIN_KEPT)
			break;
		json_open(&j, NULL, '{');
		json_str(&j, "login", t->login->name);
		json_str(&j, "value", t->value);
		json_str(&j, "sentinel", t->sentinel);
		json_close(&j, '}');
	}
	json_close(&j, ']');
}

static struct login *by_name(struct logins *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	}
	return NULL;
}

static const char *text_of(const struct json_node *n, const char *key)
{
	const char *text = json_string(n, key);

	return text ? text : "";
}

/* The oldest first, so that the order is as it was. */
static int load(struct logins *l, const struct json_node *n, struct err *e)
{
	const char *value, *sentinel;
	struct login *login;
	int r;

	if (!n)
		return 0;
	r = load(l, n->next, e);
	if (r < 0)
		return r;
	login = by_name(l, text_of(n, "login"));
	value = text_of(n, "value");
	sentinel = text_of(n, "sentinel");
	if (!is_token(value) || !is_token(sentinel) || strlen(sentinel) >= SECRET_SENTINEL_MAX)
		return err_set(e, ERR_POLICY, -EBADMSG, "log-ins: what was kept makes no sense");
	if (login && !add_token(l, login, value, sentinel))
		return no_memory(e);
	if (login)
		login->told = true;
	return 0;
}

int logins_load(struct logins *l, const char *p, size_t n, struct err *e)
{
	struct arena a = ARENA_INIT(0);
	struct json_node *root = NULL;
	int r = read_tree(p, n, &a, &root);

	if (r == 0 && (root->type != JSON_LIST || root->n > LOGIN_TOKENS))
		r = -EBADMSG;
	if (r == 0)
		r = load(l, root->first, e);
	else
		r = err_set(e, ERR_POLICY, r, "log-ins: what was kept can't be read");
	l->changed = false;
	erase_arena_done(&a);
	return r;
}
