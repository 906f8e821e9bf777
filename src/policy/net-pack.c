/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as bytes, for a process that lives already: a head, then each rule, each string behind the rule that it belongs to. Both ends are the
 * same program, so the layout is the compiler's; it is read as strictly as any text all the same.
 */
#include <errno.h>
#include <string.h>

#include "net.h"

#define NO_STRING UINT16_MAX
#define STRINGS 4u

struct head {
	uint32_t mode, most_specific, n, n_handed;
	uint16_t origin; /* bytes of mode_origin, which follow */
};

struct packed {
	uint8_t allow, local, what, layer, proto, prefix;
	uint16_t port;
	struct net_addr addr;
	uint16_t strings[STRINGS]; /* bytes of host, text, origin, reason */
};

static uint16_t length(const char *s, struct buf *b)
{
	size_t n = s ? strlen(s) : NO_STRING;

	b->failed |= s && n >= NO_STRING;
	return (uint16_t)n;
}

static void put(struct buf *b, const char *s, uint16_t n)
{
	if (n != NO_STRING)
		buf_add(b, s, n);
}

static void pack(const struct net_rule *r, struct buf *b)
{
	const char *strings[STRINGS] = { r->host, r->text, r->origin, r->reason };
	struct packed p;
	size_t i;

	memset(&p, 0, sizeof(p)); /* what lies between the fields leaves this process, too */
	p.allow = r->allow;
	p.local = r->local;
	p.what = (uint8_t)r->what;
	p.layer = (uint8_t)r->layer;
	p.proto = (uint8_t)r->proto;
	p.prefix = (uint8_t)r->prefix;
	p.port = r->port;
	p.addr = r->addr;
	for (i = 0; i < STRINGS; i++)
		p.strings[i] = length(strings[i], b);
	buf_add(b, &p, sizeof(p));
	for (i = 0; i < STRINGS; i++)
		put(b, strings[i], p.strings[i]);
}

void net_policy_pack(const struct net_policy *p, struct buf *b)
{
	struct head h;
	size_t i;

	memset(&h, 0, sizeof(h));
	h.mode = p->mode;
	h.most_specific = p->most_specific;
	h.n = (uint32_t)p->n;
	h.n_handed = (uint32_t)p->n_handed;
	h.origin = length(p->mode_origin, b);
	buf_add(b, &h, sizeof(h));
	put(b, p->mode_origin, h.origin);
	for (i = 0; i < p->n; i++)
		pack(&p->rules[i], b);
	for (i = 0; i < p->n_handed; i++)
		pack(&p->handed[i], b);
}

struct reader {
	const char *p;
	size_t n;
	struct arena *arena;
};

static int take(struct reader *in, void *out, size_t n)
{
	if (n > in->n)
		return -EBADMSG;
	memcpy(out, in->p, n);
	in->p += n;
	in->n -= n;
	return 0;
}

static int take_string(struct reader *in, uint16_t n, const char **ret)
{
	char *s;

	*ret = NULL;
	if (n == NO_STRING)
		return 0;
	if (n > in->n || memchr(in->p, '\0', n))
		return -EBADMSG;
	s = arena_alloc(in->arena, (size_t)n + 1);
	if (!s)
		return -ENOMEM;
	*ret = s;
	return take(in, s, n);
}

static int unpack(struct reader *in, struct net_rule *r)
{
	const char **strings[STRINGS] = { &r->host, &r->text, &r->origin, &r->reason };
	struct packed p;
	bool named;
	size_t i;
	int ret = take(in, &p, sizeof(p));

	if (ret < 0)
		return ret;
	*r = (struct net_rule){ .allow = p.allow,
				.local = p.local,
				.what = (enum net_what)p.what,
				.layer = (enum policy_layer)p.layer,
				.proto = p.proto,
				.prefix = p.prefix,
				.port = p.port,
				.addr = p.addr };
	for (i = 0; ret == 0 && i < STRINGS; i++)
		ret = take_string(in, p.strings[i], strings[i]);
	named = p.what == NET_RULE_HOST || p.what == NET_RULE_SUBDOMAINS;
	if (ret == 0 && (p.allow > 1 || p.local > 1 || p.what > NET_RULE_CIDR ||
			 p.layer >= POLICY_LAYER_NUM || p.proto > (NET_TCP | NET_UDP) ||
			 p.prefix > 128 || named != (r->host != NULL) || !r->text || !r->origin))
		ret = -EBADMSG;
	return ret;
}

static int unpack_all(struct reader *in, struct net_policy *ret, struct err *e)
{
	struct net_rule rule;
	const char *origin = NULL;
	struct head h;
	uint32_t i;
	int r = take(in, &h, sizeof(h));

	if (r == 0)
		r = take_string(in, h.origin, &origin);
	if (r < 0)
		return r;
	if (h.mode >= NET_MODE_NUM || h.n > LIMIT_NET_RULES || h.n_handed > LIMIT_NET_HANDED)
		return -EBADMSG;
	ret->mode = (enum net_mode)h.mode;
	ret->most_specific = h.most_specific;
	ret->mode_origin = origin;
	for (i = 0; r == 0 && i < h.n; i++) {
		r = unpack(in, &rule);
		if (r == 0)
			r = net_policy_add(ret, &rule, e);
	}
	ret->handed =
		r == 0 ? arena_alloc(ret->arena, (h.n_handed + 1) * sizeof(*ret->handed)) : NULL;
	if (r == 0 && !ret->handed)
		return -ENOMEM;
	for (i = 0; r == 0 && i < h.n_handed; i++)
		r = unpack(in, &ret->handed[i]);
	ret->n_handed = i;
	return r == 0 && in->n > 0 ? -EBADMSG : r;
}

int net_policy_unpack(struct net_policy *ret, const void *p, size_t n, struct err *e)
{
	struct reader in = { .p = p, .n = n, .arena = ret->arena };
	struct net_policy got;
	struct err own = ERR_INIT;
	int r;

	net_policy_init(&got, ret->arena);
	r = unpack_all(&in, &got, &own);
	if (r < 0)
		return err_set(e, ERR_SYSTEM, r, "network rules: %s",
			       *own.msg ? own.msg : strerror(-r));
	*ret = got;
	return 0;
}
