/* SPDX-License-Identifier: Apache-2.0 */
#include "overruled.h"

#include <stdio.h>
#include <string.h>

#include "own-secrets.h"

/* A request that the rule covers. @host: NET_HOST_MAX + 1 bytes. Return: false for what only a list of requests would be. */
static bool sample(const struct net_rule *r, char *host, struct net_request *q)
{
	*q = (struct net_request){ .host = r->host,
				   .addr = r->what == NET_RULE_CIDR ? &r->addr : NULL,
				   .port = r->port ? r->port : 443,
				   .proto = r->proto & NET_TCP ? NET_TCP : NET_UDP };
	if (r->what == NET_RULE_SUBDOMAINS) {
		q->host = host;
		return snprintf(host, NET_HOST_MAX + 1, "any.%s", r->host) <= (int)NET_HOST_MAX;
	}
	return r->what == NET_RULE_HOST || (r->what == NET_RULE_CIDR && r->prefix == 128);
}

static bool filtered(const struct net_policy *p)
{
	return p->mode == NET_MODE_DENY || p->mode == NET_MODE_ALLOW;
}

static bool is_covered(const struct net_rule *r, const struct net_request *q)
{
	struct net_quota one = { .rule = *r };
	const struct net_policy p = { .quotas = &one, .n_quotas = 1 };

	return net_policy_quota(&p, q) == 0;
}

/* Whether something that @a covers may be reached because of @b, or @b is in doubt. */
static bool meets(const struct net_policy *p, const struct net_rule *a, const struct net_rule *b)
{
	char host[NET_HOST_MAX + 1], other[NET_HOST_MAX + 1];
	struct net_request of_a, of_b;
	const bool one = sample(a, host, &of_a), both = sample(b, other, &of_b);

	if (!both)
		return !one || is_covered(b, &of_a);
	if (is_covered(a, &of_b) && (net_policy_judge(p, &of_b).allowed || !b->allow))
		return true;
	if (!one)
		return false;
	if (!a->port)
		of_a.port = of_b.port;
	return is_covered(b, &of_a) && (net_policy_judge(p, &of_a).allowed || !b->allow);
}

/* Whether something that @r covers may be reached. A request that is sent on goes where no rule has to allow it. */
static bool reaches(const struct net_policy *p, const struct net_rule *r)
{
	char host[NET_HOST_MAX + 1];
	struct net_request q;
	size_t i;

	if (!sample(r, host, &q) ? p->mode == NET_MODE_ALLOW : net_policy_judge(p, &q).allowed)
		return true;
	for (i = 0; i < p->n; i++) {
		if (p->rules[i].allow && p->rules[i].proto && meets(p, r, &p->rules[i]))
			return true;
	}
	for (i = 0; i < p->n_forwards; i++) {
		struct net_rule to = p->forwards[i];

		to.allow = false; /* not judged */
		if (meets(p, r, &to))
			return true;
	}
	return p->n_handed > 0;
}

/* The command line's own; a word of a file is for many sandboxes. */
static bool is_own(const struct opt_value *v)
{
	return !v->source || v->source->layer >= POLICY_COMMAND;
}

/* A word that has one value, and was not in a file. */
static bool said_here(const struct sandbox *s, const char *name)
{
	const struct opt_source *src;
	size_t i;

	for (src = s->sources; src; src = src->next) {
		for (i = 0; src->layer < POLICY_COMMAND && i < src->file.n; i++) {
			if (strcmp(src->file.values[i].opt->name, name) == 0)
				return false;
		}
	}
	return true;
}

static const char *mode_origin(const struct net_policy *p)
{
	return p->mode_origin ? p->mode_origin : "the default";
}

/* As Docker's sandboxes have it: there it leads to the machine. */
static void say_localhost(struct sandbox *s, const struct net_rule *r)
{
	char option[40] = "--allow-host-port PORT";

	if (r->port)
		(void)snprintf(option, sizeof(option), "--allow-host-port %u", r->port);
	sandbox_notice(
		s,
		"%s '%s' has no effect: inside, localhost is the sandbox itself; for a port of this machine: %s",
		r->origin, r->text, option);
}

static void say_rules(struct sandbox *s)
{
	const struct net_policy *p = &s->net;
	char host[NET_HOST_MAX + 1];
	struct net_request q;
	struct net_verdict v;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];

		if (r->layer < POLICY_COMMAND || !r->allow || !r->proto)
			continue;
		if (!filtered(p)) {
			sandbox_notice(s, "%s '%s' has no effect: network %s (%s)", r->origin,
				       r->text, net_mode_name(p->mode), mode_origin(p));
			continue;
		}
		if (!sample(r, host, &q))
			continue;
		if (r->what == NET_RULE_HOST && strcmp(r->host, "localhost") == 0) {
			say_localhost(s, r);
			continue;
		}
		v = net_policy_judge(p, &q);
		if (v.rule && !v.allowed && v.rule->layer != r->layer &&
		    v.rule->layer != POLICY_BUILTIN)
			sandbox_notice(s, "%s '%s' has no effect: deny '%s' of %s is final",
				       r->origin, r->text, v.rule->text, v.rule->origin);
	}
}

/* @name: of an option whose value is a rule; an address is none of --allow-host's where it is a range */
static const char *option_for(const struct net_rule *r)
{
	return r->what == NET_RULE_CIDR ? "--allow-cidr" : "--allow-host";
}

/* Budgets, rates and published ports. */
static void say_listed(struct sandbox *s)
{
	const struct opt_list *l = &s->options->net;
	const struct net_policy *p = &s->net;
	size_t i, k = 0; /* of the quotas: they stand in the order of the list */

	for (i = 0; i < l->n; i++) {
		const struct opt_value *v = &l->v[i];
		const bool quota = strncmp(v->opt->name, "limit-", 6) == 0;
		const struct net_rule *r = quota ? &p->quotas[k++].rule : NULL;

		if (!is_own(v) || (!quota && strcmp(v->opt->name, "publish") != 0))
			continue;
		if (!filtered(p))
			sandbox_notice(s, "--%s '%s' has no effect: network %s (%s)", v->opt->name,
				       v->value, net_mode_name(p->mode), mode_origin(p));
		else if (r && !s->ask && !reaches(p, r))
			sandbox_notice(s, "--%s '%s' has no effect: no rule allows %s: %s %s",
				       v->opt->name, v->value, r->text, option_for(r), r->text);
	}
}

/* Rules that deny, of a command line that gives no network to deny anything of. */
static void say_denials(struct sandbox *s)
{
	const struct net_policy *p = &s->net;
	size_t i;

	for (i = 0; p->mode == NET_MODE_NONE && i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];

		if (r->layer < POLICY_COMMAND || r->allow || !r->proto)
			continue;
		sandbox_notice(
			s,
			"%s '%s' has no effect: network none (%s); for all but what is denied: --network allow",
			r->origin, r->text, mode_origin(p));
	}
}

static void say_scalars(struct sandbox *s)
{
	const struct sandbox_options *o = s->options;
	const char *mode = net_mode_name(s->net.mode);

	if (filtered(&s->net) || !s->net.mode_origin)
		return;
	/* that of closed is what there is */
	if (o->preset && strcmp(o->preset, "closed") != 0 && said_here(s, "preset"))
		sandbox_notice(s, "--preset '%s' has no effect: network %s (%s)", o->preset, mode,
			       s->net.mode_origin);
	if (o->ask && said_here(s, "ask"))
		sandbox_notice(s, "--ask has no effect: network %s (%s)", mode, s->net.mode_origin);
	if (o->audit_required && said_here(s, "audit-required"))
		sandbox_notice(s, "--audit-required has no effect: network %s (%s)", mode,
			       s->net.mode_origin);
}

void overruled_say(struct sandbox *s)
{
	say_rules(s);
	say_denials(s);
	say_listed(s);
	say_scalars(s);
}

/* Of one: whether a host of its is allowed; @first: of those that are not, or NULL. */
static bool reaches_one(const struct sandbox *s, const struct json_node *hosts, const char **first)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	const struct json_node *k;
	struct net_rule r;
	bool yes = false;

	*first = NULL;
	for (k = hosts->first; k && !yes; k = k->next) {
		/* those are rules, or bailey-keys would have refused them */
		if (k->type != JSON_STRING ||
		    net_rule_parse(&r, k->text, true, false, true, POLICY_COMMAND, "", NULL, &a,
				   NULL) < 0)
			continue;
		r.proto = NET_TCP;
		yes = reaches(&s->net, &r);
		if (!*first)
			*first = k->text;
	}
	arena_done(&a);
	return yes;
}

void overruled_say_secrets(struct sandbox *s, const struct json_node *bound)
{
	const struct json_node *v, *hosts, *login;
	const char *name, *first;

	if (s->ask || s->options->front)
		return;
	for (v = bound->first; v; v = v->next) {
		name = json_string(v, "name");
		hosts = json_member_as(v, "hosts", JSON_LIST);
		login = json_member_as(v, "login", JSON_BOOL);
		if (!name || !hosts || reaches_one(s, hosts, &first) || !first)
			continue;
		sandbox_notice(s, "%s '%s' has no effect: no rule allows %s: --allow-host %s",
			       login && login->value      ? "--login" :
			       own_secrets_named(s, name) ? "--secret" :
							    "the sandbox's own secret",
			       name, first, first);
	}
}
