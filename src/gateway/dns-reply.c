/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers say. A message is first walked from end to end: every record, every name in it, nothing behind. Only then is the chain from the
 * asked name followed, alias by alias, each time through all answers: servers may give them in any order.
 */
#include "dns-wire.h"

#include <errno.h>
#include <string.h>

struct message {
	const unsigned char *p;
	size_t n;
	unsigned int flags, answers;
	size_t start, end; /* of the answers */
	unsigned int rcode;
	bool negative; /* there is a SOA: */
	uint32_t negative_ttl;
};

/* @names names from @at on end exactly where the data does, but for @rest bytes. */
static bool names_ok(const struct message *m, const struct dns_record *r, size_t skip,
		     unsigned int names, size_t rest)
{
	size_t at = r->data + skip, end = r->data + r->size;
	struct dns_name name;

	if (r->size < skip + rest)
		return false;
	/* a name must not read on behind the data, so it is given no more */
	while (names-- > 0) {
		if (dns_name_read(m->p, end - rest, &at, true, &name) < 0)
			return false;
	}
	return at == end - rest;
}

/* TXT: strings, each behind its length, one at least. */
static bool strings_ok(const struct message *m, const struct dns_record *r)
{
	size_t at = r->data, end = r->data + r->size;

	if (at == end)
		return false;
	while (at < end)
		at += m->p[at] + 1u;
	return at == end;
}

/* Whether the data of @r is what its type says. Types that nobody looks into may hold anything. */
static bool data_ok(const struct message *m, const struct dns_record *r)
{
	switch (r->type) {
	case DNS_A:
		return r->size == 4;
	case DNS_AAAA:
		return r->size == 16;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
	case DNS_DNAME:
		return names_ok(m, r, 0, 1, 0);
	case DNS_MX:
		return names_ok(m, r, 2, 1, 0);
	case DNS_SRV:
		return names_ok(m, r, 6, 1, 0);
	case DNS_SOA:
		return names_ok(m, r, 0, 2, 20);
	case DNS_TXT:
		return strings_ok(m, r);
	case DNS_OPT:
		return dns_opt_ok(m->p, r);
	default:
		return true;
	}
}

/* RFC 2181: a time to live of 2^31 and more is none. */
static uint32_t ttl_of(uint32_t ttl)
{
	return ttl > INT32_MAX ? 0 : ttl;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Walks @count records from *@pos on. */
static int walk(struct message *m, size_t *pos, unsigned int count, bool additional, bool *opt)
{
	struct dns_record r;

	while (count-- > 0) {
		if (dns_record_read(m->p, m->n, pos, true, &r) < 0 || !data_ok(m, &r))
			return -EBADMSG;
		if (r.type == DNS_OPT) {
			if (!additional || *opt)
				return -EBADMSG;
			*opt = true;
			m->rcode |= (r.ttl >> 24) << 4;
		} else if (r.class != DNS_CLASS_IN && !additional) {
			return -EBADMSG;
		}
		if (r.type == DNS_SOA && !additional && !m->negative) {
			m->negative = true;
			m->negative_ttl =
				least(ttl_of(r.ttl), ttl_of(dns_get32(m->p + r.data + r.size - 4)));
		}
	}
	return 0;
}

/* The header and the question, which must be @name, @type. *@ret_pos: behind it. */
static int read_head(struct message *m, const unsigned char *p, size_t n, const unsigned char *name,
		     size_t name_len, uint16_t type, size_t *ret_pos)
{
	struct dns_name asked;
	size_t pos = DNS_HEADER;

	if (n < DNS_HEADER)
		return -EBADMSG;
	*m = (struct message){ .p = p, .n = n, .flags = dns_get16(p + 2) };
	m->rcode = m->flags & DNS_RCODE;
	if (!(m->flags & DNS_QR) || (m->flags & DNS_OPCODE))
		return -EBADMSG;
	m->answers = dns_get16(p + 6);
	if (dns_get16(p + 4) != 1 || dns_name_read(p, n, &pos, false, &asked) < 0 || n - pos < 4 ||
	    !dns_name_same(asked.b, asked.len, name, name_len) || dns_get16(p + pos) != type ||
	    dns_get16(p + pos + 2) != DNS_CLASS_IN)
		return -EBADMSG;
	*ret_pos = pos + 4;
	return 0;
}

static int read_records(struct message *m, size_t pos)
{
	bool opt = false;

	m->start = pos;
	if (walk(m, &pos, m->answers, false, &opt) < 0)
		return -EBADMSG;
	m->end = pos;
	if (walk(m, &pos, dns_get16(m->p + 8), false, &opt) < 0 ||
	    walk(m, &pos, dns_get16(m->p + 10), true, &opt) < 0 || pos != m->n)
		return -EBADMSG;
	return 0;
}

/* One pass through the answers for @name: its addresses, or what it is an alias of. Return: 1 for an alias, 0, -EBADMSG. */
static int look_up(const struct message *m, const struct dns_name *name, uint16_t type,
		   struct dns_reply *ret, struct dns_name *ret_alias)
{
	size_t pos = m->start, at;
	struct dns_record r;
	bool alias = false;

	while (pos < m->end) {
		if (dns_record_read(m->p, m->n, &pos, true, &r) < 0)
			return -EBADMSG;
		if (!dns_name_same(r.owner.b, r.owner.len, name->b, name->len))
			continue;
		if (r.type == DNS_CNAME && type != DNS_CNAME) {
			at = r.data;
			if (alias || dns_name_read(m->p, m->n, &at, true, ret_alias) < 0)
				return -EBADMSG;
			alias = true;
		} else if (r.type != type) {
			continue;
		} else if ((type == DNS_A || type == DNS_AAAA) && ret->n < DNS_ADDRS) {
			struct net_addr *a = &ret->addrs[ret->n++];

			*a = (struct net_addr){ { [10] = 0xff, [11] = 0xff } };
			memcpy(a->b + (type == DNS_A ? 12 : 0), m->p + r.data, r.size);
		}
		ret->ttl = least(ret->ttl, ttl_of(r.ttl));
	}
	/* RFC 2181: an alias has nothing else */
	return alias && ret->n > 0 ? -EBADMSG : alias;
}

static int follow(const struct message *m, struct dns_name name, uint16_t type,
		  struct dns_reply *ret)
{
	struct dns_name alias;
	int r;

	while ((r = look_up(m, &name, type, ret, &alias)) == 1) {
		/* a loop ends here, too */
		if (ret->n_aliases == DNS_ALIASES)
			return -EBADMSG;
		if (!dns_name_host(&alias, ret->aliases[ret->n_aliases]))
			return -EBADMSG;
		memcpy(ret->canonical, ret->aliases[ret->n_aliases], sizeof(ret->canonical));
		ret->n_aliases++;
		name = alias;
	}
	return r;
}

int dns_reply_parse(struct dns_reply *ret, const unsigned char *p, size_t n, const char *host,
		    uint16_t type)
{
	struct dns_reply reply = { .ttl = UINT32_MAX };
	struct dns_name name;
	struct message m;
	size_t pos;

	if (!dns_name_make(host, &name) || n < DNS_HEADER)
		return -EBADMSG;
	reply.id = dns_get16(p);
	memcpy(reply.canonical, host, strlen(host) + 1);
	if (read_head(&m, p, n, name.b, name.len, type, &pos) < 0) {
		/* nothing but a header, and an error in it */
		if (n != DNS_HEADER || (m.flags & (DNS_QR | DNS_OPCODE | DNS_TC)) != DNS_QR ||
		    m.rcode == DNS_NOERROR || m.rcode == DNS_NXDOMAIN || dns_get32(p + 4) ||
		    dns_get32(p + 8))
			return -EBADMSG;
	} else if (m.flags & DNS_TC) {
		reply.truncated = true;
	} else if (read_records(&m, pos) < 0) {
		return -EBADMSG;
	} else if (m.rcode == DNS_NOERROR || m.rcode == DNS_NXDOMAIN) {
		if (follow(&m, name, type, &reply) < 0 || (m.rcode == DNS_NXDOMAIN && reply.n > 0))
			return -EBADMSG;
		if (reply.n == 0)
			reply.ttl = m.negative ? least(reply.ttl, m.negative_ttl) : 0;
	}
	if (reply.ttl == UINT32_MAX)
		reply.ttl = 0;
	reply.rcode = (enum dns_rcode)m.rcode;
	*ret = reply;
	return 0;
}

/* Return: 0 or -EBADMSG. */
static int relay_read(struct message *m, const struct dns_query *q, const unsigned char *p,
		      size_t n)
{
	struct dns_record r;
	size_t pos;

	if (q->type != DNS_SRV && q->type != DNS_MX && q->type != DNS_TXT)
		return -EBADMSG;
	if (read_head(m, p, n, q->name, q->name_len, q->type, &pos) < 0 || (m->flags & DNS_TC) ||
	    read_records(m, pos) < 0 || (m->rcode != DNS_NOERROR && m->rcode != DNS_NXDOMAIN))
		return -EBADMSG;
	for (pos = m->start; pos < m->end;) {
		if (dns_record_read(p, n, &pos, true, &r) < 0 ||
		    (r.type != q->type && r.type != DNS_CNAME && r.type != DNS_DNAME))
			return -EBADMSG;
	}
	return 0;
}

int dns_relay_check(const struct dns_query *q, const unsigned char *p, size_t n)
{
	struct message m;

	return relay_read(&m, q, p, n);
}

size_t dns_relay(const struct dns_query *q, const unsigned char *p, size_t n, unsigned char *out,
		 size_t size)
{
	enum dns_rcode rcode;
	struct message m;
	size_t len;

	if (relay_read(&m, q, p, n) < 0)
		return 0;
	rcode = (enum dns_rcode)m.rcode;
	/* the question is as long as it was and the answers follow it as they did, so each pointer in them leads where it led */
	len = dns_answer_begin(q, m.rcode, m.answers, out, size);
	if (len == 0)
		return 0;
	if (size - len < m.end - m.start + (q->edns ? DNS_OPT_SIZE : 0)) {
		len = dns_answer_begin(q, m.rcode | DNS_TC, 0, out, size);
		return dns_answer_end(q, rcode, out, len, size);
	}
	memcpy(out + len, p + m.start, m.end - m.start);
	return dns_answer_end(q, rcode, out, len + (m.end - m.start), size);
}
