/* SPDX-License-Identifier: Apache-2.0 */
/* The network (docs/adr/0019): what options and files say together, and what is said about it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "egress.h"
#include "overruled.h"
#include "own-secrets.h"
#include "published.h"
#include "sandbox.h"
#include "stay.h"

const char *network_words(enum net_mode m)
{
	static const char *const words[NET_MODE_NUM] = {
		[NET_MODE_NONE] = "none: own loopback only",
		[NET_MODE_DENY] = "deny: what a rule allows",
		[NET_MODE_ALLOW] = "allow: every public host that no rule denies",
		[NET_MODE_HOST] = "host: the host's own, unfiltered",
	};

	return words[m];
}

static bool is(const struct opt_value *v, const char *name)
{
	return strcmp(v->opt->name, name) == 0;
}

/* The reason of a denial: its own, or that of --deny-reason in the same place. */
static const char *find_reason(const struct opt_list *l, const struct opt_value *rule)
{
	size_t i, n = strlen(rule->value);

	for (i = 0; !rule->reason && is(rule, "deny-host") && i < l->n; i++) {
		const struct opt_value *v = &l->v[i];

		if (v->source == rule->source && is(v, "deny-reason") &&
		    strncmp(v->value, rule->value, n) == 0 && v->value[n] == '=')
			return v->value + n + 1;
	}
	return rule->reason;
}

/* A reason belongs to a rule; one that has none was mistyped. */
static int check_reason(const struct opt_list *l, const struct opt_value *reason, struct err *e)
{
	size_t i, n = strcspn(reason->value, "=");
	char where[LIMIT_WHERE];

	for (i = 0; reason->value[n] && i < l->n; i++) {
		if (l->v[i].source == reason->source && is(&l->v[i], "deny-host") &&
		    strlen(l->v[i].value) == n && strncmp(l->v[i].value, reason->value, n) == 0)
			return 0;
	}
	return err_set(e, ERR_USAGE, -EINVAL, "%s '%.100s': %s", sandbox_where(reason, where),
		       reason->value,
		       reason->value[n] ? "no rule of --deny-host beside it is written like that" :
					  "expected RULE=TEXT");
}

/* "8080": a port of the host's loopback. */
static int add_host_port(struct sandbox *s, const struct opt_value *v, struct err *e)
{
	char text[NET_HOST_MAX + 16], where[LIMIT_WHERE];
	const char *origin = sandbox_origin(s, v);
	struct net_rule rule;
	uint16_t port;
	int r;

	if (!origin)
		return sandbox_oom(e);
	if (!published_port(v->value, strlen(v->value), &port))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "%s '%.100s': expected a port from 1 to 65535",
			       sandbox_where(v, where), v->value);
	(void)snprintf(text, sizeof(text), NET_HOST_LOCAL ":%u", port);
	r = net_rule_parse(&rule, text, true, false, false,
			   v->source ? v->source->layer : POLICY_COMMAND, origin, NULL, &s->arena,
			   e);
	rule.local = true;
	if (r == 0)
		r = net_policy_add(&s->net, &rule, e);
	if (r == 0 && (port == 22 || port == 2375 || port == 2376 || port == 6443 || port == 9222))
		sandbox_notice(
			s, "port %u of the host usually controls the machine, or a browser on it",
			port);
	return r;
}

/* A port of the sandbox, for the host. */
static int add_published(struct sandbox *s, const struct opt_value *v, struct err *e)
{
	char where[LIMIT_WHERE];

	if (s->n_published == GATEWAY_PUBLISHED)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %u published ports",
			       GATEWAY_PUBLISHED);
	if (published_parse(v->value, &s->published[s->n_published]) == PUBLISHED_WRONG)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "%s '%.100s': expected " PUBLISHED_FORM ", as 127.0.0.1:8080:80",
			       sandbox_where(v, where), v->value);
	s->n_published++;
	return 0;
}

/* "RULE=SIZE", "RULE=SIZE/s" */
static int add_quota(struct sandbox *s, const struct opt_value *v, struct err *e)
{
	const char *eq = strrchr(v->value, '='), *slash, *origin = sandbox_origin(s, v);
	bool rate = is(v, "limit-rate"), cidr;
	struct net_quota *q;
	char where[LIMIT_WHERE];
	char *rule;
	uint64_t bytes = 0;
	int r;

	if (!origin)
		return sandbox_oom(e);
	if (s->net.n_quotas == LIMIT_NET_QUOTAS)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %d budgets and rates",
			       LIMIT_NET_QUOTAS);
	if (!s->net.quotas)
		s->net.quotas = arena_alloc(&s->arena, LIMIT_NET_QUOTAS * sizeof(*s->net.quotas));
	rule = eq ? arena_printf(&s->arena, "%.*s", (int)(eq - v->value), v->value) : NULL;
	if (!s->net.quotas || (eq && !rule))
		return sandbox_oom(e);
	if (!eq || eq == v->value ||
	    policy_limit_parse(POLICY_LIMIT_FSIZE, eq + 1, &bytes, e) < 0 || bytes == 0)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "%s '%.100s': expected RULE=SIZE, as example.org=10M%s",
			       sandbox_where(v, where), v->value, rate ? " (bytes a second)" : "");
	q = &s->net.quotas[s->net.n_quotas];
	*q = (struct net_quota){ .bytes = rate ? 0 : bytes, .rate = rate ? bytes : 0 };
	slash = strrchr(rule, '/');
	if (slash && (strcmp(slash, "/tcp") == 0 || strcmp(slash, "/udp") == 0))
		cidr = memchr(rule, '/', (size_t)(slash - rule)) != NULL;
	else
		cidr = slash != NULL;
	r = net_rule_parse(&q->rule, rule, false, cidr, true, POLICY_COMMAND, origin, NULL,
			   &s->arena, e);
	if (r < 0)
		return err_wrap(e, r, "%s", sandbox_where(v, where));
	s->net.n_quotas++;
	return 0;
}

static int add_rule(struct sandbox *s, const struct opt_value *v, bool risky, struct err *e)
{
	const struct opt_list *l = &s->options->net;
	const char *origin = sandbox_origin(s, v);
	char where[LIMIT_WHERE];
	struct net_rule rule;
	int r;

	if (is(v, "deny-reason"))
		return check_reason(l, v, e);
	if (is(v, "allow-host-port"))
		return add_host_port(s, v, e);
	if (is(v, "publish"))
		return add_published(s, v, e);
	if (is(v, "inspect") || is(v, "bypass"))
		return inspect_add(s, v, e);
	if (is(v, "limit-bytes") || is(v, "limit-rate"))
		return add_quota(s, v, e);
	if (!origin)
		return sandbox_oom(e);
	r = net_rule_parse(&rule, v->value, is(v, "allow-host") || is(v, "allow-cidr"),
			   is(v, "allow-cidr") || is(v, "deny-cidr"), risky,
			   v->source ? v->source->layer : POLICY_COMMAND, origin, find_reason(l, v),
			   &s->arena, e);
	if (r == 0)
		r = net_policy_add(&s->net, &rule, e);
	return r < 0 ? err_wrap(e, r, "%s", sandbox_where(v, where)) : 0;
}

/* Each value that a file gave to the scalar row @name, lowest layer first; @each may stop. */
static int each_value(const struct sandbox *s, const char *name,
		      int (*each)(const struct opt_value *v, void *arg, struct err *e), void *arg,
		      struct err *e)
{
	const struct opt_source *src;
	size_t i;
	int r = 0;

	for (src = s->sources; r == 0 && src; src = src->next) {
		for (i = 0; r == 0 && i < src->file.n; i++) {
			if (is(&src->file.values[i], name))
				r = each(&src->file.values[i], arg, e);
		}
	}
	return r;
}

/* What is said about the mode. A word is a ceiling; that of an untrusted project is nothing else. */
struct modes {
	int said, untrusted; /* enum net_mode; NET_MODE_NUM: nothing */
	struct opt_value by, untrusted_by;
};

static int take_mode(const struct opt_value *v, void *arg, struct err *e)
{
	bool untrusted = v->source && v->source->layer == POLICY_UNTRUSTED;
	struct modes *m = arg;
	char where[LIMIT_WHERE];
	int mode = net_mode_parse(v->value, e);

	if (mode < 0)
		return err_wrap(e, mode, "%s", sandbox_where(v, where));
	if (mode < (untrusted ? m->untrusted : m->said)) {
		*(untrusted ? &m->untrusted : &m->said) = mode;
		*(untrusted ? &m->untrusted_by : &m->by) = *v;
	}
	return 0;
}

static bool allows(const struct net_policy *p)
{
	size_t i;

	for (i = 0; i < p->n && !(p->rules[i].allow && p->rules[i].layer != POLICY_BUILTIN); i++)
		;
	return i < p->n;
}

/* Beyond what files say, nothing that is said live can go. */
static void find_most(struct sandbox *s, const struct modes *of_files)
{
	const bool untrusted = of_files->untrusted < of_files->said;
	const int most = untrusted ? of_files->untrusted : of_files->said;

	if (most >= (int)s->net.most)
		return;
	s->net.most = (enum net_mode)most;
	s->net.most_origin = sandbox_origin(s, untrusted ? &of_files->untrusted_by : &of_files->by);
}

/* After preset and rules. */
static int find_mode(struct sandbox *s, const struct sandbox_options *words, struct err *e)
{
	struct opt_value command = { .opt = opt_find(words->table, "network"),
				     .value = words->network };
	struct modes m = { .said = NET_MODE_NUM, .untrusted = NET_MODE_NUM };
	struct net_policy *p = &s->net;
	char where[LIMIT_WHERE];
	int r = each_value(s, "network", take_mode, &m, e);

	find_most(s, &m);
	if (r == 0 && command.value)
		r = take_mode(&command, &m, e);
	if (r < 0)
		return r;
	if (s->stay && s->stay->created && m.said == NET_MODE_NUM && !s->options->preset &&
	    !allows(p)) {
		r = net_policy_preset(p, STAY_PRESET, e);
		if (r < 0)
			return r;
		s->stay->balanced = true;
	}
	if (m.said < NET_MODE_NUM) {
		p->mode = (enum net_mode)m.said;
		p->mode_origin = sandbox_origin(s, &m.by);
	} else if (p->mode == NET_MODE_NONE &&
		   (allows(p) || s->ask || s->n_published > 0 || words->learn)) {
		p->mode = NET_MODE_DENY;
		p->mode_origin = allows(p)          ? "a rule allows something" :
				 s->ask             ? "--ask" :
				 s->n_published > 0 ? "--publish" :
						      "bailey learn";
		/* where everything is refused, a network that only programs with a proxy see is no weaker */
		if (strcmp(p->mode_origin, "bailey learn") == 0)
			s->allow_degraded |= 1u << JAIL_LAYER_CAPTURE;
	}
	if (m.untrusted < (int)p->mode) {
		p->mode = (enum net_mode)m.untrusted;
		p->mode_origin = sandbox_origin(s, &m.untrusted_by);
		m.by = m.untrusted_by;
	}
	if (p->mode != NET_MODE_NONE && !p->mode_origin)
		return sandbox_oom(e);
	if (words->network && strcmp(words->network, net_mode_name(p->mode)) != 0)
		sandbox_notice(s, "--network %s: %s says %s, and the tighter one counts",
			       words->network, sandbox_where(&m.by, where), m.by.value);
	return 0;
}

struct precedence {
	unsigned int specific, wins; /* bits of layers */
};

static int take_precedence(const struct opt_value *v, void *arg, struct err *e)
{
	enum policy_layer layer = v->source ? v->source->layer : POLICY_COMMAND;
	struct precedence *p = arg;
	char where[LIMIT_WHERE];

	if (strcmp(v->value, "deny-wins") == 0)
		p->wins |= 1u << layer;
	else if (strcmp(v->value, "most-specific") == 0)
		p->specific |= 1u << layer;
	else
		return err_set(e, ERR_USAGE, -EINVAL,
			       "%s: '%.100s': expected deny-wins or most-specific",
			       sandbox_where(v, where), v->value);
	return 0;
}

/* Each for its own layer: nobody turns what another layer has written into something else. */
static int find_precedence(struct sandbox *s, const struct sandbox_options *words, struct err *e)
{
	struct opt_value command = { .opt = opt_find(words->table, "network-precedence"),
				     .value = words->precedence };
	struct precedence p = { .specific = 0 };
	int r = each_value(s, "network-precedence", take_precedence, &p, e);

	if (r == 0 && command.value)
		r = take_precedence(&command, &p, e);
	s->net.most_specific = p.specific & ~p.wins & ~(1u << POLICY_UNTRUSTED);
	return r;
}

static int find_value(const struct opt_value *v, void *arg, __attribute__((unused)) struct err *e)
{
	struct opt_value *at = arg;

	if (v->value == at->value)
		*at = *v;
	return 0;
}

static int find_preset(struct sandbox *s, struct err *e)
{
	struct opt_value at = { .opt = opt_find(s->options->table, "preset"),
				.value = s->options->preset };
	char where[LIMIT_WHERE];
	int r;

	if (!at.value)
		return 0;
	r = net_policy_preset(&s->net, at.value, e);
	if (r == 0)
		return 0;
	(void)each_value(s, "preset", find_value, &at, NULL); /* can't fail */
	return err_wrap(e, r, "%s", sandbox_where(&at, where));
}

static int find_true(const struct opt_value *v, void *arg, __attribute__((unused)) struct err *e)
{
	struct opt_value *at = arg;

	if (strcmp(v->value, "true") == 0 && !at->value)
		*at = *v;
	return 0;
}

/* Nothing filters the host's own network, looks into it, or logs it. */
static int check_host(const struct sandbox *s, struct err *e)
{
	const struct net_policy *p = &s->net;
	struct opt_value audit = { .value = NULL };
	char where[LIMIT_WHERE];
	size_t i;

	if (p->mode != NET_MODE_HOST)
		return 0;
	(void)each_value(s, "audit-required", find_true, &audit, NULL); /* can't fail */
	if (audit.value)
		return err_set(
			e, ERR_POLICY, -EINVAL,
			"network host (%s) has no log, but %s says true; --network allow has one",
			p->mode_origin, sandbox_where(&audit, where));
	for (i = 0; i < p->n_inspects; i++) {
		const struct net_rule *r = &p->inspects[i];

		/* who says both on the command line is told that one has no effect */
		if (r->allow && r->layer != POLICY_BUILTIN && r->layer < POLICY_COMMAND)
			return err_set(
				e, ERR_POLICY, -EINVAL,
				"network host (%s) can't be looked into, but '%s' is inspected (%s); --network allow can",
				p->mode_origin, r->text, r->origin);
	}
	for (i = 0; i < p->n; i++) {
		if (!p->rules[i].allow)
			return err_set(
				e, ERR_POLICY, -EINVAL,
				"network host (%s) can't be filtered, but '%s' is denied (%s); --network allow can",
				p->mode_origin, p->rules[i].text, p->rules[i].origin);
	}
	return 0;
}

/* bailey-keys says what is wrong with one; here it must be such that it can be told. */
static int take_login(struct sandbox *s, const struct opt_value *v, struct err *e)
{
	const struct json_node *root;
	char where[LIMIT_WHERE];
	int r = 0;

	if (strcmp(v->opt->name, "login") != 0)
		return 0;
	s->n_logins++;
	if (*v->value == '{')
		r = json_read("JSON", v->value, strlen(v->value), &s->arena, &root, e);
	return r < 0 ? err_wrap(e, r, "%s", sandbox_where(v, where)) : 0;
}

/* Hosts are compared as they are written here. */
static int check_own_host(const struct opt_value *v, struct err *e)
{
	char host[NET_HOST_MAX + 1], where[LIMIT_WHERE], quoted[NET_QUOTE];
	struct err why = ERR_INIT;
	const size_t n = strlen(v->value);

	if (strcmp(v->opt->name, "allow-own-credentials") != 0 || strcmp(v->value, "**") == 0)
		return 0;
	if (net_host_canon(v->value, n, host, &why) < 0)
		return err_set(e, ERR_USAGE, -EINVAL, "%s: %.150s; expected the name of one host",
			       sandbox_where(v, where), why.msg);
	if (strcmp(host, v->value) != 0)
		return err_set(e, ERR_USAGE, -EINVAL, "%s: '%s': write it as '%.150s'",
			       sandbox_where(v, where), net_quote(v->value, n, quoted), host);
	return 0;
}

/* What was changed while it lived, and is kept. @mode: what concerns the mode, which comes after all words about it; else the rules */
static int repeat_changes(struct sandbox *s, const struct json_node *changes, bool mode,
			  struct err *e)
{
	const struct json_node *v;
	struct net_change c;
	struct err own = ERR_INIT;
	int r = 0;

	for (v = changes ? changes->first : NULL; r == 0 && v; v = v->next) {
		r = net_change_read(v, &c, e);
		if (r < 0 || (c.op == NET_CHANGE_MODE) != mode)
			continue;
		r = net_change_apply(&s->net, &c, NULL, mode ? &own : e);
		if (mode && r == -EPERM) { /* a file has changed since */
			sandbox_notice(s, "network %s, said live: %s", net_mode_name(c.mode),
				       own.msg);
			r = 0;
		}
	}
	return r;
}

int sandbox_network(struct sandbox *s, const struct sandbox_options *words, struct err *e)
{
	const struct sandbox_options *o = s->options;
	size_t i;
	int r = find_preset(s, e);

	s->ask = words->ask;
	s->open_urls = words->open_urls;
	s->net.inspect_all = o->front && o->front->inspect_all;
	s->audit_required = o->audit_required;
	for (i = 0; i < o->secrets.n; i++)
		s->n_secrets += strcmp(o->secrets.v[i].opt->name, "secret") == 0;
	for (i = 0; r == 0 && i < o->secrets.n; i++) {
		r = take_login(s, &o->secrets.v[i], e);
		if (r == 0)
			r = check_own_host(&o->secrets.v[i], e);
	}
	if (r == 0)
		r = own_secrets_find(s, e);
	for (i = 0; r == 0 && i < o->net.n; i++)
		r = add_rule(s, &o->net.v[i], o->i_know, e);
	if (r == 0)
		r = find_precedence(s, words, e);
	if (r == 0)
		r = repeat_changes(s, words->changes, false, e);
	if (r == 0)
		r = find_mode(s, words, e);
	if (r == 0)
		r = repeat_changes(s, words->changes, true, e);
	if (r == 0)
		r = check_host(s, e);
	if (r == 0)
		r = inspect_check_udp(s, e);
	if (r == 0 && !o->front)
		overruled_say(s);
	if (r == 0 && s->n_inspect + s->n_secrets + s->n_logins > 0 && !egress_wanted(s))
		sandbox_notice(s, "--%s has no effect: network %s",
			       s->n_inspect > 0 ? "inspect" :
			       s->n_secrets > 0 ? "secret" :
						  "login",
			       net_mode_name(s->net.mode));
	return r;
}

static const char *action(const struct net_rule *r)
{
	return r->allow ? "allow" : "deny";
}

static void more_json(const struct sandbox *s, struct json *j)
{
	const struct net_policy *p = &s->net;
	char text[NET_ADDR_TEXT];
	size_t i;

	json_bool(j, "ask", s->ask);
	json_open(j, "publish", '[');
	for (i = 0; i < s->n_published; i++) {
		net_addr_text(&s->published[i].at, text);
		json_open(j, NULL, '{');
		json_str(j, "address", text);
		json_int(j, "host", s->published[i].host);
		json_int(j, "inside", s->published[i].inside);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "limits", '[');
	for (i = 0; i < p->n_quotas; i++) {
		const struct net_quota *q = &p->quotas[i];

		json_open(j, NULL, '{');
		json_str(j, "rule", q->rule.text);
		json_str(j, "origin", q->rule.origin);
		json_int(j, q->rate ? "bytes_a_second" : "bytes",
			 (long long)(q->rate ? q->rate : q->bytes));
		json_close(j, '}');
	}
	json_close(j, ']');
}

void network_explain(const struct sandbox *s, struct json *j)
{
	const struct net_policy *p = &s->net;
	size_t i;

	json_open(j, "network", '{');
	json_str(j, "mode", net_mode_name(p->mode));
	json_str(j, "origin", p->mode_origin);
	net_policy_write_specific(p, j);
	json_open(j, "rules", '[');
	for (i = 0; i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];

		json_open(j, NULL, '{');
		json_str(j, "action", action(r));
		json_str(j, "rule", r->text);
		json_str(j, "layer", policy_layer_name(r->layer));
		json_str(j, "origin", r->origin);
		json_str(j, "reason", r->reason);
		json_close(j, '}');
	}
	json_close(j, ']');
	more_json(s, j);
	inspect_explain(s, j);
	json_close(j, '}');
}

void network_explain_text(const struct sandbox *s, struct buf *b)
{
	const struct net_policy *p = &s->net;
	char text[NET_ADDR_TEXT];
	size_t i;

	if (p->mode == NET_MODE_NONE && !p->mode_origin && p->n == 0 && p->n_inspects == 0 &&
	    s->n_secrets + s->n_own_secrets + s->n_logins + s->n_ssh == 0)
		return;
	buf_puts(b, "\nnetwork rules");
	if (p->mode_origin) {
		buf_printf(b, " (network %s: ", net_mode_name(p->mode));
		buf_quote(b, p->mode_origin);
		buf_puts(b, ")");
	}
	buf_puts(b, "\n");
	for (i = 0; i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];

		buf_printf(b, "  %-11s %s  [", action(r), r->text);
		buf_quote(b, r->origin);
		buf_puts(b, "]");
		if (r->reason) {
			buf_puts(b, "  ");
			buf_quote(b, r->reason);
		}
		buf_puts(b, "\n");
	}
	for (i = 0; i < s->n_published; i++) {
		net_addr_text(&s->published[i].at, text);
		buf_printf(b, strchr(text, ':') ? "  publish     [%s]:%u" : "  publish     %s:%u",
			   text, s->published[i].host);
		buf_printf(b, " leads to %u inside\n", s->published[i].inside);
	}
	if (s->ask)
		buf_puts(b, "  ask         about hosts that no rule speaks of\n");
	inspect_explain_text(s, b);
}
