/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. All rules that cover a request are collected, of each layer the most specific grant and the most specific denial.
 *  1. Inside a layer one of them goes: the grant, or, when the layer says "most specific", the less specific one; the grant when they are alike.
 *  2. A denial that is left is final, but a built-in one, which a grant of another layer lifts that is as specific.
 *  3. Then a grant that is left allows, then the mode.
 * Beside that an address has a class. What is not public must be meant: a range that a rule names must lie in the range of that class.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

/* What the rules say about one request. */
struct weighed {
	const struct net_rule *allow[POLICY_LAYER_NUM], *deny[POLICY_LAYER_NUM];
	bool port[POLICY_LAYER_NUM]; /* some grant names the port */
};

/* What is asked about. */
struct ask {
	const char *host; /* or NULL */
	size_t len;
	const struct net_addr *addr;
	struct net_addr inner[NET_EMBEDDED]; /* IPv4 addresses in @addr, for denials */
	size_t n_inner;
	enum net_class cls;
	unsigned int bits;            /* of @addr, on which the class hangs */
	bool answer;                  /* a name leads to @addr: rules that name addresses alone */
	const struct net_rule *named; /* what decided about that name, or NULL */
	uint16_t port;
	enum net_proto proto;
};

static const char *const mode_names[NET_MODE_NUM] = {
	[NET_MODE_NONE] = "none",
	[NET_MODE_DENY] = "deny",
	[NET_MODE_ALLOW] = "allow",
	[NET_MODE_HOST] = "host",
};

const char *net_mode_name(enum net_mode m)
{
	return mode_names[m];
}

int net_mode_parse(const char *text, struct err *e)
{
	int m;

	for (m = 0; m < NET_MODE_NUM; m++) {
		if (strcmp(text, mode_names[m]) == 0)
			return m;
	}
	return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': expected none, deny, allow or host", text);
}

void net_policy_init(struct net_policy *p, struct arena *arena)
{
	*p = (struct net_policy){ .arena = arena, .mode = NET_MODE_NONE, .most = NET_MODE_ALLOW };
}

int net_policy_add(struct net_policy *p, const struct net_rule *r, struct err *e)
{
	struct net_rule *rules;
	size_t size;

	/* here, too, whatever the caller has checked: no rule of an untrusted project can loosen anything */
	if (r->allow && r->layer == POLICY_UNTRUSTED)
		return err_set(e, ERR_POLICY, -EPERM,
			       "%s: a project that is not trusted can't allow '%s'", r->origin,
			       r->text);
	/* what was changed in a run must find a place beside whatever rules it is given later */
	if (p->n >= LIMIT_NET_RULES + (r->layer == POLICY_LIVE ? LIMIT_NET_LIVE : 0))
		return err_set(e, ERR_POLICY, -E2BIG, "more than %d network rules",
			       LIMIT_NET_RULES);
	if (p->n == p->size) {
		size = p->size ? p->size * 2 : 64;
		rules = arena_alloc(p->arena, size * sizeof(*rules));
		if (!rules)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
		if (p->n)
			memcpy(rules, p->rules, p->n * sizeof(*rules));
		p->rules = rules;
		p->size = size;
	}
	p->rules[p->n++] = *r;
	return 0;
}

/* Exact name, longer wildcard, shorter wildcard, "**"; longer prefix; with a port before without. Only what covers one request is compared. */
static unsigned int weight(const struct net_rule *r)
{
	unsigned int w = r->what == NET_RULE_HOST       ? NET_HOST_MAX + 1 :
			 r->what == NET_RULE_SUBDOMAINS ? (unsigned int)strlen(r->host) :
			 r->what == NET_RULE_CIDR       ? r->prefix + 1 :
							  0;

	return 2 * w + (r->port != 0);
}

/* An IPv4 address is none of "::/0", which people write for IPv6. */
static bool range_covers(const struct net_rule *r, const struct net_addr *a)
{
	return (r->prefix >= 96 || !net_addr_is_v4(a)) && net_addr_covers(&r->addr, r->prefix, a);
}

static bool covers_addr(const struct net_rule *r, const struct ask *q)
{
	size_t i;

	if (r->what == NET_RULE_ANY)
		return !q->answer && (!r->allow || q->cls == NET_CLASS_PUBLIC);
	if (r->what != NET_RULE_CIDR)
		return false;
	if (r->allow)
		return range_covers(r, q->addr) &&
		       (q->cls == NET_CLASS_PUBLIC || r->prefix >= q->bits);
	for (i = 0; i < q->n_inner; i++) {
		if (range_covers(r, &q->inner[i]))
			return true;
	}
	return range_covers(r, q->addr);
}

static bool covers(const struct net_rule *r, const struct ask *q)
{
	size_t n;

	if ((r->port && r->port != q->port) || !(r->proto & q->proto))
		return false;
	if (!q->host)
		return covers_addr(r, q);
	switch (r->what) {
	case NET_RULE_HOST:
		return strcmp(r->host, q->host) == 0;
	case NET_RULE_SUBDOMAINS:
		n = strlen(r->host);
		return q->len > n + 1 && q->host[q->len - n - 1] == '.' &&
		       memcmp(q->host + q->len - n, r->host, n) == 0;
	case NET_RULE_ANY:
		return true;
	case NET_RULE_CIDR:
		break;
	}
	return false;
}

/* Of one layer, one of the two stays. */
static void settle(const struct net_policy *p, struct weighed *w, unsigned int layer)
{
	const struct net_rule *allow = w->allow[layer], *deny = w->deny[layer];

	if (allow && (p->most_specific & 1u << layer)) {
		/* what a less specific rule says about the port does not count either */
		w->port[layer] = allow->port != 0;
		if (deny && weight(allow) > weight(deny))
			w->deny[layer] = deny = NULL;
	}
	if (deny) {
		w->allow[layer] = NULL;
		w->port[layer] = false;
	}
}

/* A name that was allowed by name is more specific than what stands about addresses. */
static bool outweighs(const struct net_policy *p, const struct net_rule *named,
		      const struct net_rule *deny)
{
	return named && named->allow && named->layer == deny->layer &&
	       named->what != NET_RULE_ANY && (p->most_specific & 1u << deny->layer);
}

static void weigh(const struct net_policy *p, const struct ask *q, struct weighed *w)
{
	const struct net_rule *r, **best;
	size_t i;
	unsigned int layer;

	*w = (struct weighed){ .allow = { NULL } };
	for (i = 0; i < p->n; i++) {
		r = &p->rules[i];
		if (!covers(r, q))
			continue;
		best = r->allow ? &w->allow[r->layer] : &w->deny[r->layer];
		if (!*best || weight(r) > weight(*best))
			*best = r;
		w->port[r->layer] |= r->allow && r->port;
	}
	for (layer = 0; layer < POLICY_LAYER_NUM; layer++) {
		settle(p, w, layer);
		/* after that: it says nothing against the name, but no grant that it has beaten counts again */
		if (w->deny[layer] && outweighs(p, q->named, w->deny[layer]))
			w->deny[layer] = NULL;
	}
}

/* The rules' answer; @ret->rule is NULL when they have none. */
static void decide(const struct net_policy *p, const struct ask *q, struct net_verdict *ret)
{
	const struct net_rule *best = NULL, *deny;
	struct weighed w;
	unsigned int layer;
	bool port;

	weigh(p, q, &w);
	*ret = (struct net_verdict){ .cls = q->cls };
	port = w.port[POLICY_BUILTIN];
	for (layer = POLICY_BUILTIN + 1; layer < POLICY_LAYER_NUM; layer++) {
		if (w.deny[layer]) {
			ret->rule = w.deny[layer];
			return;
		}
		if (w.allow[layer] && (!best || weight(w.allow[layer]) > weight(best)))
			best = w.allow[layer];
		port |= w.port[layer];
	}
	deny = w.deny[POLICY_BUILTIN];
	if (deny && (!best || weight(best) < weight(deny))) {
		ret->rule = deny;
		return;
	}
	if (w.allow[POLICY_BUILTIN] && (!best || weight(best) < weight(w.allow[POLICY_BUILTIN])))
		best = w.allow[POLICY_BUILTIN];
	ret->rule = best;
	ret->allowed = best != NULL;
	ret->names_port = best && port;
}

static struct ask ask_addr(const struct net_request *q, const struct net_addr *a, bool answer)
{
	struct ask ask = { .addr = a, .port = q->port, .proto = q->proto, .answer = answer };

	ask.cls = net_addr_judge(a, &ask.bits);
	ask.n_inner = net_addr_embedded(a, ask.inner);
	return ask;
}

static struct ask ask_name(const struct net_request *q)
{
	return (struct ask){
		.host = q->host, .len = strlen(q->host), .port = q->port, .proto = q->proto
	};
}

bool net_request_loopback(const struct net_request *q)
{
	if (q->proto != NET_TCP)
		return false;
	return q->host ? strcmp(q->host, "localhost") == 0 :
			 q->addr && net_addr_class(q->addr) == NET_CLASS_LOOPBACK;
}

/* No mode, and no other rule than one for that port of the host, opens the host itself, whatever it covers. A denial may name it as programs do. */
static void judge_local(const struct net_policy *p, const struct net_request *q,
			struct net_verdict *v)
{
	const struct net_request as_programs = { .host = "localhost",
						 .port = q->port,
						 .proto = q->proto };
	const struct ask ask = ask_name(&as_programs);
	struct net_verdict denied;
	size_t i;

	decide(p, &ask, &denied);
	if (denied.rule && !denied.allowed && denied.rule->what == NET_RULE_HOST &&
	    denied.rule->layer != POLICY_BUILTIN) {
		*v = denied;
		return;
	}
	*v = (struct net_verdict){ .allowed = false };
	for (i = 0; i < p->n && !v->allowed; i++) {
		const struct net_rule *r = &p->rules[i];

		if (!r->local || !r->allow || !(r->proto & q->proto) || r->port != q->port)
			continue;
		v->rule = r;
		v->allowed = v->names_port = true;
	}
}

struct net_verdict net_policy_judge(const struct net_policy *p, const struct net_request *q)
{
	struct net_verdict v = { .allowed = false };
	struct ask ask;

	if (!q->host && !q->addr)
		return v;
	ask = q->host ? ask_name(q) : ask_addr(q, q->addr, false);
	v.cls = ask.cls;
	if (p->mode == NET_MODE_NONE)
		return v;
	if (p->mode == NET_MODE_HOST) {
		v.allowed = v.names_port = true;
		return v;
	}
	decide(p, &ask, &v);
	if (p->mode == NET_MODE_ALLOW && q->proto == NET_TCP && ask.cls == NET_CLASS_PUBLIC &&
	    (v.allowed || !v.rule))
		v.allowed = v.names_port = true;
	if (v.allowed && q->host && strcmp(q->host, NET_HOST_LOCAL) == 0)
		judge_local(p, q, &v);
	return v;
}

struct net_verdict net_policy_judge_answer(const struct net_policy *p, const struct net_request *q,
					   const struct net_verdict *v, const struct net_addr *a)
{
	struct net_verdict named, ret;
	struct ask name, ask;

	if (!v->allowed || !q->host || p->mode == NET_MODE_HOST)
		return *v;
	ask = ask_addr(q, a, true);
	ask.named = v->rule;
	decide(p, &ask, &ret);
	if (ret.rule && !ret.allowed)
		return ret;
	if (ask.cls == NET_CLASS_PUBLIC) {
		ret = *v;
		ret.cls = ask.cls;
		return ret;
	}
	/* beyond the public internet only rules count, not the mode */
	name = ask_name(q);
	decide(p, &name, &named);
	if (!ret.allowed && ask.cls == NET_CLASS_PRIVATE && named.allowed &&
	    named.rule->what == NET_RULE_HOST)
		ret = named;
	else if (ret.allowed)
		ret.names_port |= named.allowed && named.names_port;
	ret.cls = ask.cls;
	return ret;
}

bool net_policy_inspects(const struct net_policy *p, const struct net_request *q)
{
	unsigned int inspects = POLICY_LAYER_NUM, lifted = POLICY_LAYER_NUM;
	struct ask ask;
	size_t i;

	if (!q->host && !q->addr)
		return false;
	if (p->inspect_all)
		inspects = POLICY_COMMAND;
	ask = q->host ? ask_name(q) : ask_addr(q, q->addr, false);
	/* of each kind the most authoritative one counts */
	for (i = 0; i < p->n_inspects; i++) {
		const struct net_rule *r = &p->inspects[i];

		if (!covers(r, &ask))
			continue;
		if (r->allow && r->layer < inspects)
			inspects = r->layer;
		else if (!r->allow && r->layer < lifted)
			lifted = r->layer;
	}
	return inspects < lifted;
}

bool net_policy_may_hide(const struct net_policy *p, const struct net_request *q,
			 const struct net_rule *rule)
{
	unsigned int named = POLICY_LAYER_NUM, lifted = POLICY_LAYER_NUM;
	struct ask ask;
	size_t i;

	if (q->host || !q->addr ||
	    (rule && rule->allow && rule->what == NET_RULE_CIDR && rule->prefix == 128))
		return false;
	ask = ask_addr(q, q->addr, false);
	for (i = 0; i < p->n_inspects; i++) {
		const struct net_rule *r = &p->inspects[i];

		if (!r->allow && r->layer < lifted && covers(r, &ask))
			lifted = r->layer;
		else if (r->allow && r->layer < named && r->what != NET_RULE_CIDR &&
			 (r->proto & q->proto) && (!r->port || r->port == q->port))
			named = r->layer;
	}
	return named < lifted;
}

int net_policy_quota(const struct net_policy *p, const struct net_request *q)
{
	struct ask ask;
	size_t i;

	if (!q->host && !q->addr)
		return -1;
	ask = q->host ? ask_name(q) : ask_addr(q, q->addr, false);
	for (i = 0; i < p->n_quotas; i++) {
		if (covers(&p->quotas[i].rule, &ask))
			return (int)i;
	}
	return -1;
}

/* Whether one of @rules covers a connection, whatever it says about it. */
static bool listed(const struct net_rule *rules, size_t n, const struct net_request *q)
{
	struct ask ask;
	size_t i;

	if (!q->host && !q->addr)
		return false;
	ask = q->host ? ask_name(q) : ask_addr(q, q->addr, false);
	for (i = 0; i < n; i++) {
		if (covers(&rules[i], &ask))
			return true;
	}
	return false;
}

bool net_policy_handed(const struct net_policy *p, const struct net_request *q)
{
	return listed(p->handed, p->n_handed, q);
}

bool net_policy_forwards(const struct net_policy *p, const struct net_request *q)
{
	return listed(p->forwards, p->n_forwards, q);
}
