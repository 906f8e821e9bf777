/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts in words: what decided, and which option would change it. */
#include <string.h>

#include "net.h"

static void put_rule(const struct net_request *q, bool address, bool port, struct buf *b)
{
	char text[NET_ADDR_TEXT];

	port |= q->proto == NET_UDP || (q->port != 80 && q->port != 443);
	if (address) {
		net_addr_text(q->addr, text);
		buf_printf(b, port && !net_addr_is_v4(q->addr) ? "[%s]" : "%s", text);
	} else {
		buf_puts(b, q->host);
	}
	if (port)
		buf_printf(b, ":%u", q->port);
	if (q->proto == NET_UDP)
		buf_puts(b, "/udp");
}

void net_request_rule(const struct net_request *q, bool port, struct buf *b)
{
	put_rule(q, !q->host, port, b);
}

/* In srt's settings, which know of addresses as of names. */
static void way_in_settings(const struct net_policy *p, const struct net_request *q, bool address,
			    bool port, struct buf *b)
{
	if (q->proto == NET_UDP) {
		buf_puts(b, "no settings allow UDP");
		return;
	}
	if (q->host && strcmp(q->host, NET_HOST_LOCAL) == 0) {
		buf_puts(b, "no settings give one");
		return;
	}
	buf_puts(b, "add \"");
	put_rule(q, address, port, b);
	buf_puts(b, "\" to network.allowedDomains in ");
	buf_quote(b, p->settings);
}

/* The option that would allow the request. */
static void way(const struct net_policy *p, const struct net_request *q, bool address, bool port,
		struct buf *b)
{
	/* no rule for names or addresses leads out: inside that is the sandbox's own */
	const bool local = net_request_loopback(q);

	if (p->settings) {
		way_in_settings(p, q, !q->host || (address && q->addr), port, b);
		return;
	}
	if ((q->host && strcmp(q->host, NET_HOST_LOCAL) == 0) || local) {
		buf_puts(b, "--allow-host-port ");
		if (q->port)
			buf_printf(b, "%u", q->port);
		else
			buf_puts(b, "PORT");
		return;
	}
	address = !q->host || (address && q->addr);
	if (p->box)
		buf_printf(b, "bailey network allow %s ", p->box);
	else
		buf_puts(b, address ? "--allow-cidr " : "--allow-host ");
	put_rule(q, address, port, b);
}

void net_request_way(const struct net_policy *p, const struct net_request *q, bool port,
		     struct buf *b)
{
	way(p, q, false, port, b);
}

static void rule_text(const struct net_rule *r, struct buf *b)
{
	buf_printf(b, "'%s %s' (%s, ", r->allow ? "allow" : "deny", r->text,
		   policy_layer_name(r->layer));
	buf_quote(b, r->origin);
	buf_puts(b, ")");
}

static void mode_text(const struct net_policy *p, struct buf *b)
{
	buf_printf(b, "network %s", net_mode_name(p->mode));
	if (p->mode_origin) {
		buf_puts(b, " (");
		buf_quote(b, p->mode_origin);
		buf_puts(b, ")");
	}
}

static void allowed_text(const struct net_policy *p, const struct net_request *q,
			 const struct net_verdict *v, struct buf *b)
{
	buf_puts(b, "allowed: ");
	if (v->rule) {
		rule_text(v->rule, b);
	} else {
		mode_text(p, b);
		buf_puts(b, p->mode == NET_MODE_HOST ? ": no rule is asked" :
						       ": everything public that no rule denies");
	}
	if (v->names_port || q->proto == NET_UDP)
		return;
	buf_puts(b, "; for TLS and HTTP, other protocols need a rule that names the port");
}

static void ruled_text(const struct net_policy *p, const struct net_request *q,
		       const struct net_rule *r, struct buf *b)
{
	rule_text(r, b);
	if (r->reason) {
		buf_puts(b, ": ");
		buf_quote(b, r->reason);
	}
	buf_puts(b, "; ");
	if (r->layer == POLICY_BUILTIN)
		way(p, q, r->what == NET_RULE_CIDR, false, b);
	else if (r->layer == POLICY_COMMAND)
		buf_puts(b, "leave that rule out");
	else if (r->layer == POLICY_LIVE)
		buf_puts(b, "'bailey network remove' takes it back");
	else
		buf_puts(b, "change it where it is written");
}

/* The address is of a class that nothing has asked for. */
static void class_text(const struct net_policy *p, const struct net_request *q, enum net_class cls,
		       struct buf *b)
{
	char text[NET_ADDR_TEXT] = "address";

	if (q->addr)
		net_addr_text(q->addr, text);
	if (q->host) {
		buf_printf(b, "'%s' leads to the %s %s", q->host, net_class_name(cls), text);
		if (cls == NET_CLASS_PRIVATE) {
			buf_puts(b, ", which needs a rule for exactly that name; ");
			way(p, q, false, false, b);
			return;
		}
		buf_puts(b, ", which needs a rule for that address; ");
		if (!q->addr && !p->settings) {
			buf_puts(b, "--allow-cidr ADDRESS");
			return;
		}
	} else {
		buf_printf(b, "%s is %s, which needs a rule for that address; ", text,
			   net_class_name(cls));
	}
	way(p, q, true, false, b);
}

void net_verdict_text(const struct net_policy *p, const struct net_request *q,
		      const struct net_verdict *v, struct buf *b)
{
	if (v->allowed) {
		allowed_text(p, q, v, b);
		return;
	}
	buf_puts(b, "denied: ");
	if (!q->host && !q->addr) {
		buf_puts(b, "nothing is named");
	} else if (v->rule) {
		ruled_text(p, q, v->rule, b);
	} else if (p->mode == NET_MODE_NONE && p->mode_origin) {
		mode_text(p, b);
		buf_puts(b, "; change that");
	} else if (p->mode == NET_MODE_NONE) {
		buf_puts(b, "this sandbox has no network; ");
		way(p, q, false, false, b);
	} else if (q->host && strcmp(q->host, NET_HOST_LOCAL) == 0) {
		buf_puts(b, "only a rule for one port opens the host itself; ");
		way(p, q, false, false, b);
	} else if (v->cls != NET_CLASS_PUBLIC) {
		class_text(p, q, v->cls, b);
	} else {
		buf_puts(b, p->mode == NET_MODE_ALLOW ? "UDP needs a rule of its own; " :
							"no rule allows it; ");
		way(p, q, false, false, b);
	}
}
