/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a gateway lie in memory of its own. When they are replaced while it lives, new memory is filled first, then all that points to a rule
 * is judged again, then the old memory goes.
 */
#include "rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conn.h"
#include "control.h"

#define SAID_MAX 64u /* lines of the log about one change; more would push out what else happens */

static const char *copy(struct arena *a, const char *s, bool *ret_failed)
{
	char *p = s ? arena_strdup(a, s) : NULL;

	*ret_failed |= s && !p;
	return p;
}

static void copy_rule(struct arena *a, struct net_rule *rule, bool *ret_failed)
{
	rule->host = copy(a, rule->host, ret_failed);
	rule->text = copy(a, rule->text, ret_failed);
	rule->origin = copy(a, rule->origin, ret_failed);
	rule->reason = copy(a, rule->reason, ret_failed);
}

static int oom(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "gateway: out of memory for rules");
}

/* A gateway's quotas are those of its start: what has been used of them is counted by their number. */
static int copy_quotas(struct net_policy *to, const struct net_policy *from, struct err *e)
{
	bool failed = false;
	size_t i;

	to->quotas = arena_alloc(to->arena, (from->n_quotas + 1) * sizeof(*from->quotas));
	if (!to->quotas)
		return oom(e);
	for (i = 0; i < from->n_quotas; i++) {
		to->quotas[i] = from->quotas[i];
		copy_rule(to->arena, &to->quotas[i].rule, &failed);
	}
	to->n_quotas = from->n_quotas;
	return failed ? oom(e) : 0;
}

/* @n rules of @from, which stay in their order. */
static int copy_list(struct arena *a, const struct net_rule *from, size_t n, struct net_rule **ret,
		     size_t *ret_n, struct err *e)
{
	bool failed = false;
	size_t i;

	*ret = arena_alloc(a, (n + 1) * sizeof(*from));
	if (!*ret)
		return oom(e);
	for (i = 0; i < n; i++) {
		(*ret)[i] = from[i];
		copy_rule(a, &(*ret)[i], &failed);
	}
	*ret_n = n;
	return failed ? oom(e) : 0;
}

/* What is looked into is settled at the start, too: the sandbox trusts for these hosts what bailey-keys says. */
static int copy_inspects(struct net_policy *to, const struct net_policy *from, struct err *e)
{
	int r = copy_list(to->arena, from->forwards, from->n_forwards, &to->forwards,
			  &to->n_forwards, e);

	to->inspect_all = from->inspect_all;
	return r < 0 ? r :
		       copy_list(to->arena, from->inspects, from->n_inspects, &to->inspects,
				 &to->n_inspects, e);
}

static int add_copy(struct net_policy *to, const struct net_rule *from, struct err *e)
{
	struct net_rule rule = *from;
	bool failed = false;

	copy_rule(to->arena, &rule, &failed);
	return failed ? oom(e) : net_policy_add(to, &rule, e);
}

/* All of @from, in memory of @a. */
static int copy_policy(struct net_policy *to, const struct net_policy *from, struct arena *a,
		       struct err *e)
{
	bool failed = false;
	size_t i;
	int r;

	net_policy_init(to, a);
	to->mode = from->mode;
	to->most_specific = from->most_specific;
	to->mode_origin = copy(a, from->mode_origin, &failed);
	to->most = from->most;
	to->most_origin = copy(a, from->most_origin, &failed);
	r = failed ? oom(e) : copy_quotas(to, from, e);
	if (r == 0)
		r = copy_list(a, from->handed, from->n_handed, &to->handed, &to->n_handed, e);
	if (r == 0)
		r = copy_inspects(to, from, e);
	for (i = 0; r == 0 && i < from->n; i++)
		r = add_copy(to, &from->rules[i], e);
	return r;
}

int rules_begin(struct gateway *g, struct err *e)
{
	return copy_policy(&g->policy, g->setup->policy, &g->arena, e);
}

/* --- what changes --- */

static bool same_text(const char *a, const char *b)
{
	return !a == !b && (!a || strcmp(a, b) == 0);
}

static bool has(const struct net_policy *p, const struct net_rule *r)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct net_rule *o = &p->rules[i];

		if (o->allow == r->allow && o->layer == r->layer && o->proto == r->proto &&
		    o->port == r->port && same_text(o->text, r->text) &&
		    same_text(o->reason, r->reason))
			return true;
	}
	return false;
}

/* Lines about rules of @p that are not in @other. @op: "remove", or NULL: what the rule says */
static void log_some(struct gateway *g, const struct net_policy *p, const struct net_policy *other,
		     const char *op, unsigned int *said)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];
		struct audit_event ev = { .event = "change",
					  .decision = op       ? op :
						      r->allow ? "allow" :
								 "deny",
					  .rule = r->text,
					  .origin = r->origin,
					  .reason = r->reason };

		if (!r->proto || has(other, r))
			continue;
		if (++*said <= SAID_MAX)
			(void)audit_write(&g->audit, &ev); /* the next line counts it */
	}
}

static void log_changes(struct gateway *g, const struct net_policy *next)
{
	struct audit_event more = { .event = "change", .decision = "more" };
	unsigned int said = 0;
	char text[64];

	log_some(g, &g->policy, next, "remove", &said);
	log_some(g, next, &g->policy, NULL, &said);
	if (said > SAID_MAX) {
		(void)snprintf(text, sizeof(text), "and %u rules more", said - SAID_MAX);
		more.reason = text;
		(void)audit_write(&g->audit, &more); /* the same */
	}
}

/* What is not judged again, because it is not open yet or any more, must not point to a rule that goes. */
static void forget_rules(struct gateway *g)
{
	struct conn *c;

	for (c = g->live; c; c = c->next) {
		if (c->state < CONN_RESOLVE || c->state > CONN_OPEN)
			c->verdict.rule = NULL;
	}
}

/* @next, which lies in @fresh, takes the place of what is judged by. */
static void put(struct gateway *g, const struct net_policy *next, const struct arena *fresh)
{
	struct arena old = g->arena;

	g->arena = *fresh;
	g->policy = *next;
	g->policy.settings = *g->settings ? g->settings : NULL;
	g->policy.box = *g->box ? g->box : NULL;
	g->policy.arena = &g->arena;
	forget_rules(g);
	control_changed(g);
	arena_done(&old);
}

int rules_replace(struct gateway *g, const void *p, size_t n, struct err *e)
{
	struct arena fresh = ARENA_INIT(RULES_ARENA);
	struct net_policy next;
	bool failed = false;
	size_t i;
	int r;

	net_policy_init(&next, &fresh);
	r = net_policy_unpack(&next, p, n, e);
	if (r == 0)
		r = copy_quotas(&next, &g->policy, e);
	if (r == 0)
		r = copy_inspects(&next, &g->policy, e);
	next.most = g->policy.most;
	next.most_origin = copy(&fresh, g->policy.most_origin, &failed);
	for (i = 0; r == 0 && i < g->policy.n; i++) {
		const struct net_rule *rule = &g->policy.rules[i];

		if (rule->layer == POLICY_LIVE && rule->proto)
			r = add_copy(&next, rule, e);
	}
	if (r == 0 && failed)
		r = oom(e);
	if (r < 0) {
		arena_done(&fresh);
		return r;
	}
	log_changes(g, &next);
	put(g, &next, &fresh);
	return 0;
}

static int make_live(struct net_policy *p, const struct json_node *changes, size_t strict,
		     struct err *e)
{
	const struct json_node *o;
	struct net_change c;
	struct err passed = ERR_INIT;
	size_t n = 0, i = 0;
	int r;

	for (o = changes->first; o; o = o->next)
		n++;
	for (o = changes->first; o; o = o->next, i++) {
		r = net_change_read(o, &c, &passed);
		c.answered = false; /* that is for who was asked */
		if (r == 0)
			r = net_change_apply(p, &c, NULL, &passed);
		if (r == -ENOMEM || (r < 0 && i + strict >= n)) {
			*e = passed;
			return r;
		}
	}
	return 0;
}

/* What is no rule that lets through or not, of @p and not of @other. */
static void log_bypasses(struct gateway *g, const struct net_policy *p,
			 const struct net_policy *other, const char *op)
{
	size_t i, k;

	for (i = 0; i < p->n_inspects; i++) {
		const struct net_rule *r = &p->inspects[i];
		const struct audit_event ev = {
			.event = "change", .decision = op, .rule = r->text, .origin = r->origin
		};

		for (k = 0; k < other->n_inspects; k++) {
			if (other->inspects[k].proto == r->proto &&
			    same_text(other->inspects[k].text, r->text) &&
			    same_text(other->inspects[k].origin, r->origin))
				break;
		}
		if (r->proto && k == other->n_inspects)
			(void)audit_write(&g->audit, &ev); /* the next line counts it */
	}
}

static void log_mode(struct gateway *g, const struct net_policy *next)
{
	const struct audit_event ev = { .event = "change",
					.decision = net_change_name(NET_CHANGE_MODE),
					.reason = net_mode_name(next->mode) };

	if (next->mode != g->policy.mode)
		(void)audit_write(&g->audit, &ev); /* the same */
}

int rules_live(struct gateway *g, const struct json_node *changes, size_t strict, bool only_try,
	       struct err *e)
{
	struct arena fresh = ARENA_INIT(RULES_ARENA);
	struct net_policy next;
	int r = copy_policy(&next, &g->policy, &fresh, e);

	if (r == 0) {
		net_change_forget_all(&next);
		r = make_live(&next, changes, strict, e);
	}
	if (r < 0 || only_try) {
		arena_done(&fresh);
		return r;
	}
	log_mode(g, &next);
	log_changes(g, &next);
	log_bypasses(g, &g->policy, &next, net_change_name(NET_CHANGE_REMOVE));
	log_bypasses(g, &next, &g->policy, net_change_name(NET_CHANGE_BYPASS));
	put(g, &next, &fresh);
	return 0;
}
