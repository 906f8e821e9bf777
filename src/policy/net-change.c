/* SPDX-License-Identifier: Apache-2.0 */
#include "net-change.h"

#include <errno.h>
#include <string.h>

static const char *const names[NET_CHANGE_NUM] = { [NET_CHANGE_ALLOW] = "allow",
						   [NET_CHANGE_DENY] = "deny",
						   [NET_CHANGE_REMOVE] = "remove",
						   [NET_CHANGE_BYPASS] = "bypass",
						   [NET_CHANGE_MODE] = "mode" };

const char *net_change_name(enum net_change_op op)
{
	return names[op];
}

static int find(const char *op)
{
	int i;

	for (i = 0; op && i < NET_CHANGE_NUM; i++) {
		if (strcmp(names[i], op) == 0)
			return i;
	}
	return -ENOENT;
}

bool net_change_is(const char *op)
{
	return find(op) >= 0;
}

static bool flag_of(const struct json_node *o, const char *key)
{
	const struct json_node *n = json_member_as(o, key, JSON_BOOL);

	return n && n->value;
}

int net_change_read(const struct json_node *o, struct net_change *ret, struct err *e)
{
	const int op = find(json_string(o, "op"));
	const char *mode = json_string(o, "mode");
	struct net_change c = { .rule = json_string(o, "rule"),
				.reason = json_string(o, "reason"),
				.cidr = flag_of(o, "cidr"),
				.risky = flag_of(o, "risky"),
				.answered = flag_of(o, "answered"),
				.specific = flag_of(o, "specific") };

	if (op < 0)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "op: expected allow, deny, remove, bypass or mode");
	c.op = (enum net_change_op)op;
	if (c.op == NET_CHANGE_MODE) {
		if (!mode || (strcmp(mode, "deny") != 0 && strcmp(mode, "allow") != 0))
			return err_set(e, ERR_USAGE, -EINVAL, "mode: expected allow or deny");
		c.mode = strcmp(mode, "deny") == 0 ? NET_MODE_DENY : NET_MODE_ALLOW;
		c.rule = NULL;
	} else if (!c.rule) {
		return err_set(e, ERR_USAGE, -EINVAL, "rule: expected a string");
	}
	*ret = c;
	return 0;
}

void net_change_write(const struct net_change *c, struct json *j)
{
	json_open(j, NULL, '{');
	json_str(j, "op", names[c->op]);
	if (c->op == NET_CHANGE_MODE)
		json_str(j, "mode", net_mode_name(c->mode));
	else
		json_str(j, "rule", c->rule);
	if (c->reason)
		json_str(j, "reason", c->reason);
	json_bool(j, "cidr", c->cidr);
	json_bool(j, "risky", c->risky);
	json_bool(j, "answered", c->answered);
	json_bool(j, "specific", c->specific);
	json_close(j, '}');
}

/* The protocols in which both speak of the same. Return: 0: they do not. */
static unsigned int same(const struct net_rule *a, const struct net_rule *b)
{
	bool is = a->what == b->what && a->port == b->port && a->prefix == b->prefix &&
		  memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0 && !a->host == !b->host &&
		  (!a->host || strcmp(a->host, b->host) == 0);

	return is ? a->proto & b->proto : 0;
}

/* @r, of which one protocol is left: it was written without one. Return: NULL: no memory */
static const char *text_left(const struct net_rule *r, unsigned int proto, struct arena *a)
{
	return arena_printf(a, "%s/%s", r->text, proto == NET_UDP ? "udp" : "tcp");
}

/*
 * What was said live of the same loses its protocol, and covers nothing without one. It stays where it is: verdicts of open connections point to
 * rules. @n: of the first so many. Return: whether there was one.
 */
static bool forget(struct net_policy *p, size_t n, const struct net_rule *r)
{
	struct net_rule *o;
	unsigned int common;
	bool found = false;
	const char *text;
	size_t i;

	for (i = 0; i < n; i++) {
		o = &p->rules[i];
		common = o->layer == POLICY_LIVE ? same(o, r) : 0;
		if (!common)
			continue;
		found = true;
		o->proto &= ~common;
		text = o->proto ? text_left(o, o->proto, p->arena) : NULL;
		o->text = text ? text : o->text; /* which says too much, where memory is short */
	}
	return found;
}

/* Of the command's layer, with this origin: a bypass that was said live. */
static const char bypass_origin[] = "live bypass";

/* Of a rule that is the answer of somebody who was asked. */
static const char answered_origin[] = "answered";

static struct net_rule *find_bypass(const struct net_policy *p, const struct net_rule *r)
{
	size_t i;

	for (i = 0; i < p->n_inspects; i++) {
		if (strcmp(p->inspects[i].origin, bypass_origin) == 0 && same(&p->inspects[i], r))
			return &p->inspects[i];
	}
	return NULL;
}

static bool forget_bypass(const struct net_policy *p, const struct net_rule *r)
{
	struct net_rule *o = find_bypass(p, r);

	if (o)
		o->proto = 0;
	return o != NULL;
}

/* A live bypass lifts what the sandbox's own words have asked for; what files, or a secret, ask for stays. */
static int add_bypass(struct net_policy *p, struct net_rule *r, struct err *e)
{
	struct net_rule *v;

	r->layer = POLICY_COMMAND;
	if (find_bypass(p, r))
		return 0;
	if (p->n_inspects >= LIMIT_INSPECTS)
		return err_set(e, ERR_USAGE, -E2BIG,
			       "more than %d hosts that are inspected or bypassed", LIMIT_INSPECTS);
	/* as many places as there can be: who describes a sandbox adds to them */
	v = arena_alloc(p->arena, LIMIT_INSPECTS * sizeof(*v));
	if (!v)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
	if (p->n_inspects)
		memcpy(v, p->inspects, p->n_inspects * sizeof(*v));
	v[p->n_inspects++] = *r;
	p->inspects = v;
	return 0;
}

static int change_mode(struct net_policy *p, enum net_mode mode, struct err *e)
{
	if (mode > p->most)
		return err_set(e, ERR_POLICY, -EPERM, "network %s is the most that is allowed (%s)",
			       net_mode_name(p->most), p->most_origin ? p->most_origin : "");
	p->mode = mode;
	p->mode_origin = "live";
	return 0;
}

static int parse(const struct net_change *c, struct arena *a, struct net_rule *ret, struct err *e)
{
	const char *origin = c->op == NET_CHANGE_BYPASS ? bypass_origin :
			     c->answered                ? answered_origin :
							  "live";
	/* to be removed a rule is read as a denial, which without a protocol is of both */
	int r = net_rule_parse(ret, c->rule, c->op == NET_CHANGE_ALLOW, c->cidr, c->risky,
			       POLICY_LIVE, origin, c->reason, a, e);

	if (r == 0 && c->op == NET_CHANGE_BYPASS)
		ret->proto = NET_TCP; /* in nothing else anybody looks */
	return r;
}

int net_change_apply(struct net_policy *p, const struct net_change *c, struct net_rule *ret_rule,
		     struct err *e)
{
	struct net_rule rule = { .allow = false };
	const size_t n = p->n;
	bool found;
	int r;

	r = c->op == NET_CHANGE_MODE ? change_mode(p, c->mode, e) : parse(c, p->arena, &rule, e);
	if (r < 0)
		return r;
	if (c->op == NET_CHANGE_REMOVE) {
		found = forget(p, n, &rule);
		if (!forget_bypass(p, &rule) && !found)
			return err_set(e, ERR_USAGE, -ENOENT, "there is no live rule '%.200s'",
				       c->rule);
	} else if (c->op == NET_CHANGE_BYPASS) {
		r = add_bypass(p, &rule, e);
	} else if (c->op != NET_CHANGE_MODE) {
		r = net_policy_add(p, &rule, e);
		if (r == 0)
			(void)forget(p, n, &rule);
	}
	if (r < 0)
		return r;
	if (c->specific)
		p->most_specific |= 1u << POLICY_LIVE;
	if (ret_rule)
		*ret_rule = rule;
	return 0;
}

void net_change_forget_all(struct net_policy *p)
{
	size_t i, k = 0;

	for (i = 0; i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];

		if (r->layer != POLICY_LIVE ||
		    (r->proto && strcmp(r->origin, answered_origin) == 0))
			p->rules[k++] = *r;
	}
	p->n = k;
	for (i = k = 0; i < p->n_inspects; i++) {
		if (strcmp(p->inspects[i].origin, bypass_origin) != 0)
			p->inspects[k++] = p->inspects[i];
	}
	p->n_inspects = k;
}

bool net_change_replaces(struct net_change *a, const struct net_change *b, struct arena *arena,
			 bool *ret_some)
{
	struct net_rule of_a, of_b;
	unsigned int common;
	const char *text;

	*ret_some = false;
	if (a->op == NET_CHANGE_MODE || b->op == NET_CHANGE_MODE)
		return *ret_some = a->op == b->op;
	/* "remove" takes both a rule and a bypass away; a rule and a bypass stand beside each other */
	if (b->op != NET_CHANGE_REMOVE &&
	    (a->op == NET_CHANGE_BYPASS) != (b->op == NET_CHANGE_BYPASS))
		return false;
	if (parse(a, arena, &of_a, NULL) < 0 || parse(b, arena, &of_b, NULL) < 0)
		return false;
	common = same(&of_a, &of_b);
	*ret_some = common != 0;
	if (!common || common == of_a.proto)
		return *ret_some;
	text = text_left(&of_a, of_a.proto & ~common, arena);
	a->rule =
		text ? text : a->rule; /* no memory: @b comes after it, and goes where they meet */
	return false;
}

static void write_rule(const struct net_rule *r, const char *action, struct json *j)
{
	if (!r->proto)
		return;
	json_open(j, NULL, '{');
	json_str(j, "action", action);
	json_str(j, "rule", r->text);
	json_str(j, "layer", policy_layer_name(r->layer));
	json_str(j, "origin", r->origin);
	if (r->reason)
		json_str(j, "reason", r->reason);
	json_close(j, '}');
}

void net_policy_write_specific(const struct net_policy *p, struct json *j)
{
	size_t i;

	json_open(j, "most_specific", '[');
	for (i = 0; i < POLICY_LAYER_NUM; i++) {
		if (p->most_specific & 1u << i)
			json_str(j, NULL, policy_layer_name((enum policy_layer)i));
	}
	json_close(j, ']');
}

void net_policy_write(const struct net_policy *p, struct json *j)
{
	size_t i;

	json_str(j, "mode", net_mode_name(p->mode));
	json_bool(j, "specific", p->most_specific & 1u << POLICY_LIVE);
	net_policy_write_specific(p, j);
	json_open(j, "rules", '[');
	for (i = 0; i < p->n; i++)
		write_rule(&p->rules[i], p->rules[i].allow ? "allow" : "deny", j);
	json_close(j, ']');
	json_open(j, "inspect", '[');
	for (i = 0; i < p->n_inspects; i++)
		write_rule(&p->inspects[i], p->inspects[i].allow ? "inspect" : "bypass", j);
	json_close(j, ']');
}
