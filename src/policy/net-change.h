/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of the network rules of a sandbox (docs/adr/0034). One form, as JSON, for the control socket of a gateway, for the gateway that comes after one that
 * died, and for what is kept with a sandbox that stays:
 *
 *	{"op":"allow","rule":"example.org:443","cidr":false,"reason":"…"}   also "deny", "remove"
 *	{"op":"bypass","rule":"*.example.org"}                              connections that nobody looks into
 *	{"op":"mode","mode":"deny"}                                         or "allow"
 *
 * "specific":true beside one of them: of all live rules the most specific counts, from now on.
 */
#ifndef BAILEY_POLICY_NET_CHANGE_H
#define BAILEY_POLICY_NET_CHANGE_H

#include "json.h"
#include "net.h"

enum net_change_op {
	NET_CHANGE_ALLOW,
	NET_CHANGE_DENY,
	NET_CHANGE_REMOVE,
	NET_CHANGE_BYPASS,
	NET_CHANGE_MODE,
	NET_CHANGE_NUM
};

/* Texts are borrowed. */
struct net_change {
	enum net_change_op op;
	const char *rule, *reason; /* reason: or NULL; rule: not of NET_CHANGE_MODE */
	bool cidr;                 /* as in net_rule_parse() */
	bool risky;                /* the same */
	bool answered;             /* somebody was asked */
	bool specific;
	enum net_mode mode; /* of NET_CHANGE_MODE */
};

/** net_change_name() - "allow" … */
const char *net_change_name(enum net_change_op op);

/** net_change_is() - whether @op is the name of one. */
bool net_change_is(const char *op);

/** net_change_read() - of the object @o; members that are not known are passed over. Return: 0, or -EINVAL with @e naming the member. */
int net_change_read(const struct json_node *o, struct net_change *ret, struct err *e);

/** net_change_write() - append it as an object. */
void net_change_write(const struct net_change *c, struct json *j);

/**
 * net_change_apply() - change @p; its arena owns what is new. A live rule that says the same of the same is replaced.
 * @ret_rule: the rule that is meant, or NULL; not of NET_CHANGE_MODE
 * Return: 0; -ENOENT: there is no such live rule to be removed; -EPERM: files allow less; or as net_rule_parse() and net_policy_add(): nothing has
 * changed then.
 */
int net_change_apply(struct net_policy *p, const struct net_change *c, struct net_rule *ret_rule,
		     struct err *e);

/**
 * net_change_forget_all() - take out of @p every rule and bypass that was said live, but for what somebody answered who was asked. The mode stays, and whether
 * the most specific rule counts. Rules move: nothing may point to one.
 */
void net_change_forget_all(struct net_policy *p);

/** net_policy_write_specific() - append "most_specific" to the open object: the layers of which the most specific rule counts. */
void net_policy_write_specific(const struct net_policy *p, struct json *j);

/** net_policy_write() - append what holds to the open object: "mode", "specific" (of what was said live), "most_specific" (layers), "rules" and "inspect". */
void net_policy_write(const struct net_policy *p, struct json *j);

/**
 * net_change_replaces() - let @b take the place of @a where they speak of the same: of a rule for both protocols one may be left, and @a is that.
 * @arena: for what is read meanwhile, and the text of @a
 * @ret_some: whether they speak of the same at all
 * Return: whether nothing of @a is left.
 */
bool net_change_replaces(struct net_change *a, const struct net_change *b, struct arena *arena,
			 bool *ret_some);

#endif
