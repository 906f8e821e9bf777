/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srt's network lists become values of --allow-host, --deny-host and --deny-cidr. What no request can name here (net_host_canon() refuses it) is allowed
 * by nothing and needs no denial: it is left out. A name that is not ASCII can be requested in its other form, so its denial is an error.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "srt.h"

static int add(struct srt *s, const char *option, const struct json_node *at, const char *value,
	       const char *reason, struct err *e)
{
	char line[LIMIT_NET_REASON + 1];
	struct opt_value v = { .opt = opt_find(s->options->table, option),
			       .source = &s->source,
			       .line = at->line,
			       .column = at->column };

	v.value = arena_strdup(s->arena, value);
	if (reason) {
		srt_net_reason(reason, line);
		v.reason = arena_strdup(s->arena, line);
	}
	if (!v.value || (reason && !v.reason) || opt_list_add(&s->options->net, &v) < 0)
		return sandbox_oom(e);
	srt_debug(s, "Network rule: --%s %s%s%s", option, value, reason ? ", because " : "",
		  reason ? line : "");
	return 0;
}

static bool is_ascii(const char *text)
{
	for (; *text && !((unsigned char)*text & 0x80); text++)
		;
	return !*text;
}

/* Whether the entry says something here. @out: SRT_NET_TEXT bytes. */
static bool translate(const struct srt *s, const char *key, const char *entry, bool allow,
		      char *out)
{
	struct net_rule rule;
	struct err e = ERR_INIT;

	if (srt_net_host(entry, out) == 0 &&
	    net_rule_parse(&rule, out, allow, /* cidr= */ false, /* risky= */ true, POLICY_COMMAND,
			   "", NULL, s->arena, &e) == 0)
		return true;
	srt_debug(s, "Skipping %s entry %s: no host can have that name", key, entry);
	return false;
}

static int hosts(struct srt *s, const struct json_node *list, bool allow, struct err *e)
{
	const char *key = allow ? "allowedDomains" : "deniedDomains";
	const struct json_node *k, *reason;
	char text[SRT_NET_TEXT];
	int r = 0;

	for (k = list->first; r == 0 && k; k = k->next) {
		if (!allow && !is_ascii(k->text))
			return err_set(
				e, ERR_POLICY, -EINVAL,
				"%s:%u:%u: network.%s: '%.100s': write its ASCII form (xn--...)",
				s->source.path, k->line, k->column, key, k->text);
		if (!translate(s, key, k->text, allow, text))
			continue;
		reason = allow ? NULL : srt_node(s->settings.network.denied_reasons, k->text);
		r = add(s, allow ? "allow-host" : "deny-host", k, text,
			reason ? reason->text : NULL, e);
	}
	return r;
}

int srt_network_deny(struct srt *s, const struct json_node *at, const char *reason, struct err *e)
{
	char text[SRT_NET_TEXT];

	if (!is_ascii(at->text) || !translate(s, "excludeDomains", at->text, false, text))
		return 0; /* it is inspected as all others are */
	return add(s, "deny-host", at, text, reason, e);
}

bool srt_has_network(const struct srt *s)
{
	const struct srt_network *n = &s->settings.network;

	return (n->allowed && n->allowed->first) || s->control || n->http_proxy_port ||
	       n->socks_proxy_port;
}

int srt_network(struct srt *s, struct err *e)
{
	const struct srt_network *n = &s->settings.network;
	const struct json_node *k;
	char text[SRT_NET_TEXT];
	int r = hosts(s, n->allowed, true, e);

	s->options->i_know = true; /* srt knows no public suffixes */
	/* a ceiling: whatever the machine's own policy opens, these lists are what there is */
	s->options->network = srt_has_network(s) ? "deny" : "none";
	if (r == 0)
		r = hosts(s, n->denied, false, e);
	/* nobody looks into those, and what nobody looks into is to be refused */
	k = n->refuse_opaque ? srt_node(n->tls_terminate, "excludeDomains") : NULL;
	for (k = k ? k->first : NULL; r == 0 && k; k = k->next)
		r = srt_network_deny(s, k, "in excludeDomains, beside refuseOpaqueTunnels", e);
	for (k = n->denied_addresses ? n->denied_addresses->first : NULL; r == 0 && k;
	     k = k->next) {
		if (srt_net_range(k->text, text) < 0)
			return err_set(
				e, ERR_POLICY, -EINVAL,
				"%s:%u:%u: network.deniedResolvedAddresses: '%.100s' can't be enforced here",
				s->source.path, k->line, k->column, k->text);
		r = add(s, "deny-cidr", k, text, NULL, e);
	}
	return r;
}

int srt_rules(struct srt *s, struct err *e)
{
	const struct opt_list *l = &s->options->net;
	struct net_rule *rules = arena_alloc(s->arena, (l->n + 1) * sizeof(*rules));
	char origin[LIMIT_WHERE];
	size_t i;
	int r = rules ? 0 : sandbox_oom(e);

	for (i = 0; r == 0 && i < l->n; i++) {
		const struct opt_value *v = &l->v[i];
		bool cidr = strcmp(v->opt->name, "deny-cidr") == 0;

		(void)snprintf(origin, sizeof(origin), "%s:%u:%u", s->source.path, v->line,
			       v->column);
		r = net_rule_parse(&rules[i], v->value, strcmp(v->opt->name, "allow-host") == 0,
				   cidr, /* risky= */ true, POLICY_COMMAND, origin, v->reason,
				   s->arena, e);
	}
	s->network.rules = rules;
	s->network.n = l->n;
	return r;
}
