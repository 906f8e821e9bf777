/* SPDX-License-Identifier: Apache-2.0 */
/* What is inspected (docs/adr/0021): options and files together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keys/keys.h"
#include "sandbox.h"

/* The gateway lets bailey-keys go there, and nowhere else. */
static int add_forward(struct sandbox *s, const char *url, enum policy_layer layer,
		       const char *origin, struct err *e)
{
	struct forward_url f;
	char text[NET_HOST_MAX + 16];
	struct net_rule *rules = s->net.forwards;
	int r = forward_parse(&f, url, e);

	if (r < 0)
		return err_wrap(e, r, "forward");
	if (!rules)
		rules = s->net.forwards =
			arena_alloc(&s->arena, LIMIT_FORWARDS * sizeof(*s->net.forwards));
	if (!rules)
		return sandbox_oom(e);
	if (s->net.n_forwards == LIMIT_FORWARDS)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %d entries forward requests",
			       LIMIT_FORWARDS);
	(void)snprintf(text, sizeof(text), strchr(f.host, ':') ? "[%s]:%u" : "%s:%u", f.host,
		       f.port); /* fits */
	r = net_rule_parse(&rules[s->net.n_forwards], text, true, false, true, layer, origin, NULL,
			   &s->arena, e);
	if (r < 0)
		return r;
	rules[s->net.n_forwards++].proto = NET_TCP;
	return 0;
}

static int take_forwards(struct sandbox *s, const struct json_node *rule, enum policy_layer layer,
			 const char *origin, struct err *e)
{
	const struct json_node *requests = json_member_as(rule, "requests", JSON_LIST), *k;
	int r = 0;

	for (k = requests ? requests->first : NULL; k && r == 0; k = k->next) {
		const char *url = json_string(json_member(k, "action"), "forward");

		if (url)
			r = add_forward(s, url, layer, origin, e);
	}
	return r;
}

/* The host of a value of --inspect, and the JSON that bailey-keys gets. @ret_root: of an object; else NULL */
static int read_value(struct sandbox *s, const struct opt_value *v, const char **ret_host,
		      const char **ret_text, const struct json_node **ret_root, struct err *e)
{
	const struct json_node *root = v->node, *host;
	struct buf b = BUF_INIT(LIMIT_INSPECT);
	struct json j = { .out = &b };
	int r = 0;

	if (*v->value != '{') {
		json_open(&j, NULL, '{');
		json_str(&j, "host", v->value);
		json_close(&j, '}');
		*ret_host = v->value;
		*ret_root = NULL;
		*ret_text = b.failed ? NULL : sandbox_keep(s, b.data);
		buf_done(&b);
		return *ret_text ? 0 : sandbox_oom(e);
	}
	if (!root)
		r = json_read("JSON", v->value, strlen(v->value), &s->arena, &root, e);
	host = r == 0 ? json_member(root, "host") : NULL;
	if (r == 0 && (!host || host->type != JSON_STRING))
		r = err_set(e, ERR_USAGE, -EINVAL, "the key 'host' is missing, or no string");
	*ret_root = root;
	*ret_host = host ? host->text : NULL;
	*ret_text = v->value;
	return r;
}

static int places(struct sandbox *s, struct err *e)
{
	if (!s->net.inspects)
		s->net.inspects = arena_alloc(&s->arena, LIMIT_INSPECTS * sizeof(*s->net.inspects));
	if (!s->inspect)
		s->inspect = arena_alloc(&s->arena, LIMIT_INSPECTS * sizeof(*s->inspect));
	if (!s->net.inspects || !s->inspect)
		return sandbox_oom(e);
	if (s->net.n_inspects == LIMIT_INSPECTS)
		return err_set(e, ERR_USAGE, -E2BIG,
			       "more than %d hosts that are inspected or bypassed", LIMIT_INSPECTS);
	return 0;
}

int inspect_add_secret(struct sandbox *s, const char *host, struct err *e)
{
	struct net_rule *rule;
	int r = places(s, e);

	if (r < 0)
		return r;
	rule = &s->net.inspects[s->net.n_inspects];
	/* of the lowest layer: nobody lifts it */
	r = net_rule_parse(rule, host, true, false, true, POLICY_BUILTIN, "--secret", NULL,
			   &s->arena, e);
	if (r < 0)
		return r;
	rule->proto = NET_TCP;
	s->net.n_inspects++;
	return 0;
}

int inspect_add(struct sandbox *s, const struct opt_value *v, struct err *e)
{
	const bool yes = strcmp(v->opt->name, "inspect") == 0;
	const char *origin = sandbox_origin(s, v), *host = v->value, *text = NULL;
	const enum policy_layer layer = v->source ? v->source->layer : POLICY_COMMAND;
	const struct json_node *root = NULL;
	char where[LIMIT_WHERE];
	struct net_rule *rules;
	int r = places(s, e);

	if (r < 0)
		return r;
	if (!origin)
		return sandbox_oom(e);
	rules = s->net.inspects;
	if (yes)
		r = read_value(s, v, &host, &text, &root, e);
	if (r == 0)
		r = net_rule_parse(&rules[s->net.n_inspects], host, yes, false, true, layer, origin,
				   NULL, &s->arena, e);
	if (r == 0 && yes && rules[s->net.n_inspects].what == NET_RULE_CIDR)
		r = err_set(
			e, ERR_USAGE, -EINVAL,
			"'%.100s' is an address: TLS is ended for names, which certificates are about; name the host",
			host);
	/* else bailey-keys would say it, which is started by a run alone, and knows no file */
	if (r == 0 && v->node) {
		r = keys_rules_check(v->source ? v->source->path : NULL, v->node, e);
		if (r < 0)
			return r;
	} else if (r == 0 && root) {
		r = keys_rules_check(NULL, root, e);
	}
	if (r == 0 && root)
		r = take_forwards(s, root, layer, origin, e);
	if (r < 0)
		return err_wrap(e, r, "%s", sandbox_where(v, where));
	rules[s->net.n_inspects++].proto = NET_TCP;
	if (yes)
		s->inspect[s->n_inspect++] = text;
	return 0;
}

/* A name that @r covers; its address where it covers that. */
static struct net_request one_of(const struct net_rule *r, char below[NET_HOST_MAX + 3])
{
	struct net_request q = { .proto = NET_TCP };

	if (r->what == NET_RULE_CIDR)
		q.addr = &r->addr;
	else if (r->what == NET_RULE_HOST)
		q.host = r->host;
	else if (r->what == NET_RULE_SUBDOMAINS && strlen(r->host) + 2 <= NET_HOST_MAX) {
		(void)snprintf(below, NET_HOST_MAX + 3, "a.%s", r->host); /* fits */
		q.host = below;
	}
	return q;
}

/*
 * Whether one request is both: allowed by UDP, and inspected. A rule that was said live was taken then, and is kept: the gateway refuses what it would
 * let past, as it did when it came, and a sandbox that stays can start again.
 */
static bool is_both(const struct net_policy *p, struct net_request q, uint16_t port)
{
	struct net_verdict v;

	q.port = port;
	q.proto = NET_TCP;
	if ((!q.host && !q.addr) || !net_policy_inspects(p, &q))
		return false;
	q.proto = NET_UDP;
	v = net_policy_judge(p, &q);
	return v.allowed && !(v.rule && v.rule->layer == POLICY_LIVE);
}

int inspect_check_udp(const struct sandbox *s, struct err *e)
{
	const struct net_policy *p = &s->net;
	char below[2][NET_HOST_MAX + 3];
	size_t i, k;

	for (i = 0; i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];

		if (!r->allow || !r->port || !(r->proto & NET_UDP))
			continue;
		for (k = 0; k < p->n_inspects; k++) {
			if (!is_both(p, one_of(r, below[0]), r->port) &&
			    !is_both(p, one_of(&p->inspects[k], below[1]), r->port))
				continue;
			return err_set(
				e, ERR_POLICY, -EINVAL,
				"'%.100s' (%.80s) would lead past inspection, or a secret's rules: UDP can't be looked into; take it back, deny it for the inspected host, or, where no secret is bound to it, --bypass that",
				r->text, r->origin);
		}
	}
	return 0;
}

/* Whose rule asks for the inspection of @q, before @layer. */
static const struct net_rule *who_inspects(const struct net_policy *p, const struct net_request *q,
					   enum policy_layer layer)
{
	size_t i;

	for (i = 0; i < p->n_inspects; i++) {
		const struct net_policy one = { .inspects = &p->inspects[i], .n_inspects = 1 };

		if (p->inspects[i].layer < layer && net_policy_inspects(&one, q))
			return &p->inspects[i];
	}
	return NULL;
}

void inspect_say_bypasses(struct sandbox *s)
{
	const struct net_policy *p = &s->net;
	const struct net_rule *by;
	char below[NET_HOST_MAX + 3];
	size_t i;

	for (i = 0; i < p->n_inspects; i++) {
		const struct net_rule *r = &p->inspects[i];
		struct net_request q = one_of(r, below);

		q.port = r->port ? r->port : 443;
		if (r->allow || (!q.host && !q.addr) || !net_policy_inspects(p, &q))
			continue;
		by = who_inspects(p, &q, r->layer);
		if (by && by->layer == POLICY_BUILTIN)
			sandbox_notice(s, "%s '%s' has no effect: a secret is bound to it",
				       r->origin, r->text);
		else if (by)
			sandbox_notice(s, "%s '%s' has no effect: inspect '%s' of %s is final",
				       r->origin, r->text, by->text, by->origin);
	}
}

void inspect_names(const struct sandbox *s, struct json *j, const char *key, const char *option)
{
	const struct opt_list *l = &s->options->secrets;
	size_t i;

	json_open(j, key, '[');
	for (i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].opt->name, option) == 0)
			json_str(j, NULL, l->v[i].value);
	}
	json_close(j, ']');
}

void inspect_explain(const struct sandbox *s, struct json *j)
{
	size_t i;

	json_open(j, "inspect", '[');
	for (i = 0; i < s->net.n_inspects; i++) {
		const struct net_rule *r = &s->net.inspects[i];

		json_open(j, NULL, '{');
		json_str(j, "action", r->allow ? "inspect" : "bypass");
		json_str(j, "rule", r->text);
		json_str(j, "layer", policy_layer_name(r->layer));
		json_str(j, "origin", r->origin);
		json_close(j, '}');
	}
	for (i = 0; i < s->net.n_forwards; i++) {
		const struct net_rule *r = &s->net.forwards[i];

		json_open(j, NULL, '{');
		json_str(j, "action", "forward");
		json_str(j, "rule", r->text);
		json_str(j, "layer", policy_layer_name(r->layer));
		json_str(j, "origin", r->origin);
		json_close(j, '}');
	}
	json_close(j, ']');
	inspect_names(s, j, "secrets", "secret");
	inspect_names(s, j, "own_credentials", "allow-own-credentials");
	inspect_names(s, j, "logins", "login");
	inspect_names(s, j, "ssh_keys", "ssh-key");
}

void inspect_explain_text(const struct sandbox *s, struct buf *b)
{
	const struct opt_list *l = &s->options->secrets;
	size_t i;

	for (i = 0; i < s->net.n_inspects; i++) {
		const struct net_rule *r = &s->net.inspects[i];

		buf_printf(b, "  %-11s %s  [", r->allow ? "inspect" : "bypass", r->text);
		buf_quote(b, r->origin);
		buf_puts(b, "]\n");
	}
	for (i = 0; i < s->net.n_forwards; i++) {
		buf_printf(b, "  %-11s %s  [", "forward to", s->net.forwards[i].text);
		buf_quote(b, s->net.forwards[i].origin);
		buf_puts(b, "]\n");
	}
	for (i = 0; i < l->n; i++) {
		buf_printf(b, "  %-11s ",
			   strcmp(l->v[i].opt->name, "secret") == 0  ? "secret" :
			   strcmp(l->v[i].opt->name, "ssh-key") == 0 ? "ssh key" :
			   strcmp(l->v[i].opt->name, "login") == 0   ? "login" :
								       "own keys");
		buf_quote(b, l->v[i].value);
		buf_puts(b, "\n");
	}
}
