/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, the questions of a sandbox and the answers that are made for it. What servers say is read in dns-reply.c.
 *
 * A label's length is below 64 and so never a letter: wire forms are compared byte by byte, lengths and all.
 */
#include "dns-wire.h"

#include <errno.h>
#include <string.h>

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

int dns_name_read(const unsigned char *p, size_t n, size_t *pos, bool pointers,
		  struct dns_name *ret)
{
	size_t at = *pos, run = at, behind = 0, target;
	unsigned int jumps = 0;
	unsigned char c;

	for (ret->len = 0;;) {
		if (at >= n)
			return -EBADMSG;
		c = p[at];
		if (c >= 0xc0) {
			if (!pointers || n - at < 2 || jumps == DNS_JUMPS)
				return -EBADMSG;
			target = dns_get16(p + at) & 0x3fffu;
			/* always further back, so there is no loop */
			if (target < DNS_HEADER || target >= run)
				return -EBADMSG;
			if (jumps++ == 0)
				behind = at + 2;
			/* and what it leads to has ended before these labels began, or a message cut behind them would mean something else */
			n = run;
			at = run = target;
			continue;
		}
		if (c > 63 || n - at <= c || DNS_NAME_MAX - ret->len < c + 1u)
			return -EBADMSG;
		memcpy(ret->b + ret->len, p + at, c + 1u);
		ret->len += c + 1u;
		at += c + 1u;
		if (c == 0)
			break;
	}
	*pos = jumps ? behind : at;
	return 0;
}

bool dns_name_host(const struct dns_name *name, char *ret)
{
	char text[DNS_NAME_MAX + 1];
	size_t at = 0, len;

	if (name->len < 3)
		return false;
	for (; (len = name->b[at]) > 0; at += len + 1) {
		if (memchr(name->b + at + 1, '.', len))
			return false;
		memcpy(text + at, name->b + at + 1, len);
		text[at + len] = '.';
	}
	return net_host_canon(text, at - 1, ret, NULL) >= 0;
}

bool dns_name_make(const char *host, struct dns_name *ret)
{
	size_t len;

	for (ret->len = 0;; host += len + 1) {
		len = strcspn(host, ".");
		if (len == 0 || len > 63 || DNS_NAME_MAX - ret->len < len + 2)
			return false;
		ret->b[ret->len] = (unsigned char)len;
		memcpy(ret->b + ret->len + 1, host, len);
		ret->len += len + 1;
		if (!host[len])
			break;
	}
	ret->b[ret->len++] = 0;
	return true;
}

bool dns_name_same(const unsigned char *a, size_t a_len, const unsigned char *b, size_t b_len)
{
	size_t i;

	if (a_len != b_len)
		return false;
	for (i = 0; i < a_len; i++) {
		if (lower(a[i]) != lower(b[i]))
			return false;
	}
	return true;
}

int dns_record_read(const unsigned char *p, size_t n, size_t *pos, bool pointers,
		    struct dns_record *ret)
{
	size_t at = *pos;

	if (dns_name_read(p, n, &at, pointers, &ret->owner) < 0 || n - at < 10)
		return -EBADMSG;
	ret->type = dns_get16(p + at);
	ret->class = dns_get16(p + at + 2);
	ret->ttl = dns_get32(p + at + 4);
	ret->size = dns_get16(p + at + 8);
	ret->data = at + 10;
	if (n - ret->data < ret->size)
		return -EBADMSG;
	*pos = ret->data + ret->size;
	return 0;
}

bool dns_opt_ok(const unsigned char *p, const struct dns_record *r)
{
	size_t at = r->data, end = r->data + r->size, len;

	if (r->type != DNS_OPT || r->owner.len != 1)
		return false;
	while (at < end) {
		if (end - at < 4)
			return false;
		len = dns_get16(p + at + 2);
		if (end - at - 4 < len)
			return false;
		at += 4 + len;
	}
	return true;
}

/* The question at *@pos. Return: 0, or the rcode to answer with. */
static int parse_question(struct dns_query *q, const unsigned char *p, size_t n, size_t *pos)
{
	struct dns_name name;

	if (dns_name_read(p, n, pos, false, &name) < 0 || n - *pos < 4)
		return DNS_FORMERR;
	q->type = dns_get16(p + *pos);
	q->class = dns_get16(p + *pos + 2);
	*pos += 4;
	memcpy(q->name, name.b, name.len);
	q->name_len = name.len;
	if (!dns_name_host(&name, q->host))
		q->host[0] = '\0';
	return q->class == DNS_CLASS_IN ? 0 : DNS_REFUSED;
}

/* The OPT at *@pos. Return: as parse_question(). */
static int parse_opt(struct dns_query *q, const unsigned char *p, size_t n, size_t *pos)
{
	struct dns_record r;

	if (dns_record_read(p, n, pos, false, &r) < 0 || !dns_opt_ok(p, &r))
		return DNS_FORMERR;
	q->edns = true;
	q->payload = r.class < 512 ? 512 : r.class;
	return r.ttl >> 16 & 0xff ? DNS_BADVERS : 0;
}

int dns_query_parse(struct dns_query *ret, const unsigned char *p, size_t n)
{
	struct dns_query q = { .payload = 512 };
	size_t pos = DNS_HEADER;
	unsigned int flags;
	int r, o = 0;

	if (n < DNS_HEADER)
		return -EBADMSG;
	flags = dns_get16(p + 2);
	if (flags & DNS_QR)
		return -EBADMSG;
	q.id = dns_get16(p);
	q.opcode = (unsigned char)((flags & DNS_OPCODE) >> DNS_OPCODE_SHIFT);
	q.rd = flags & DNS_RD;
	if (q.opcode != 0) {
		r = DNS_NOTIMP;
	} else if ((flags & (DNS_AA | DNS_TC | DNS_RA | DNS_Z | DNS_RCODE)) ||
		   dns_get16(p + 4) != 1 || dns_get16(p + 6) != 0 || dns_get16(p + 8) != 0 ||
		   dns_get16(p + 10) > 1) {
		r = DNS_FORMERR;
	} else {
		r = parse_question(&q, p, n, &pos);
		if (r != DNS_FORMERR && dns_get16(p + 10) == 1)
			o = parse_opt(&q, p, n, &pos);
		if (o != 0)
			r = o;
		if (pos != n)
			r = DNS_FORMERR;
	}
	*ret = q;
	return r;
}

size_t dns_answer_begin(const struct dns_query *q, unsigned int flags, unsigned int answers,
			unsigned char *out, size_t size)
{
	size_t n = DNS_HEADER;

	if (size < DNS_HEADER + q->name_len + 4)
		return 0;
	dns_put16(out, q->id);
	dns_put16(out + 2, DNS_QR | (unsigned int)q->opcode << DNS_OPCODE_SHIFT |
				   (q->rd ? DNS_RD : 0) | DNS_RA | flags);
	dns_put16(out + 4, q->name_len > 0);
	dns_put16(out + 6, answers);
	dns_put16(out + 8, 0);
	dns_put16(out + 10, q->edns);
	if (q->name_len > 0) {
		memcpy(out + n, q->name, q->name_len);
		n += q->name_len;
		dns_put16(out + n, q->type);
		dns_put16(out + n + 2, q->class);
		n += 4;
	}
	return n;
}

/* An OPT that says no more than DNS_UDP_MAX and the upper bits of @rcode. */
static void put_opt(unsigned char *out, unsigned int rcode)
{
	out[0] = 0;
	dns_put16(out + 1, DNS_OPT);
	dns_put16(out + 3, DNS_UDP_MAX);
	dns_put32(out + 5, (uint32_t)(rcode >> 4) << 24);
	dns_put16(out + 9, 0);
}

size_t dns_answer_end(const struct dns_query *q, enum dns_rcode rcode, unsigned char *out, size_t n,
		      size_t size)
{
	if (n == 0 || !q->edns)
		return n;
	if (size - n < DNS_OPT_SIZE)
		return 0;
	put_opt(out + n, rcode);
	return n + DNS_OPT_SIZE;
}

size_t dns_answer_none(const struct dns_query *q, enum dns_rcode rcode, unsigned char *out,
		       size_t size)
{
	size_t n = dns_answer_begin(q, rcode & DNS_RCODE, 0, out, size);

	return dns_answer_end(q, rcode, out, n, size);
}

/* The one record of an answer; its owner is the question's name. */
static size_t answer(const struct dns_query *q, uint32_t ttl, const unsigned char *data, size_t len,
		     unsigned char *out, size_t size)
{
	size_t n;

	if (q->name_len == 0)
		return 0;
	n = dns_answer_begin(q, 0, 1, out, size);
	if (n == 0 || size - n < 12 + len)
		return 0;
	dns_put16(out + n, 0xc000u | DNS_HEADER);
	dns_put16(out + n + 2, q->type);
	dns_put16(out + n + 4, DNS_CLASS_IN);
	dns_put32(out + n + 6, ttl);
	dns_put16(out + n + 10, (unsigned int)len);
	memcpy(out + n + 12, data, len);
	return dns_answer_end(q, DNS_NOERROR, out, n + 12 + len, size);
}

size_t dns_answer_addr(const struct dns_query *q, const struct net_addr *a, uint32_t ttl,
		       unsigned char *out, size_t size)
{
	if (q->type == DNS_A && net_addr_is_v4(a))
		return answer(q, ttl, a->b + 12, 4, out, size);
	if (q->type == DNS_AAAA && !net_addr_is_v4(a))
		return answer(q, ttl, a->b, 16, out, size);
	return 0;
}

size_t dns_answer_ptr(const struct dns_query *q, const char *host, uint32_t ttl, unsigned char *out,
		      size_t size)
{
	struct dns_name name;

	if (q->type != DNS_PTR || !dns_name_make(host, &name))
		return 0;
	return answer(q, ttl, name.b, name.len, out, size);
}

/* A label that is a number of 0-255 as people write it. */
static bool label_byte(const unsigned char *label, unsigned char *ret)
{
	unsigned int v = 0, i;

	if (label[0] == 0 || label[0] > 3 || (label[1] == '0' && label[0] > 1))
		return false;
	for (i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return false;
		v = v * 10 + (label[i] - (unsigned int)'0');
	}
	*ret = (unsigned char)v;
	return v <= 255;
}

static bool label_nibble(const unsigned char *label, unsigned char *ret)
{
	unsigned char c = lower(label[1]);

	if (label[0] != 1 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
		return false;
	*ret = (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
	return true;
}

static bool ends_in(const struct dns_query *q, size_t at, const char *wire, size_t len)
{
	return at <= q->name_len &&
	       dns_name_same(q->name + at, q->name_len - at, (const unsigned char *)wire, len);
}

bool dns_ptr_addr(const struct dns_query *q, struct net_addr *ret)
{
	static const char v4[] = "\7in-addr\4arpa", v6[] = "\3ip6\4arpa";
	struct net_addr a = { { 0 } };
	unsigned char c;
	size_t at = 0;
	int i;

	if (q->type != DNS_PTR)
		return false;
	/* the last byte comes first; at the end of the name the root's 0 is no label of either kind */
	for (i = 15; i >= 12 && label_byte(q->name + at, &a.b[i]); i--)
		at += q->name[at] + 1u;
	if (i < 12 && ends_in(q, at, v4, sizeof(v4))) {
		a.b[10] = a.b[11] = 0xff;
		*ret = a;
		return true;
	}
	a = (struct net_addr){ { 0 } };
	if (q->name_len != 64 + sizeof(v6) || !ends_in(q, 64, v6, sizeof(v6)))
		return false;
	for (i = 0; i < 32; i++) {
		if (!label_nibble(q->name + (size_t)i * 2, &c))
			return false;
		a.b[15 - i / 2] |= (unsigned char)(i % 2 ? c << 4 : c);
	}
	/* the name of an IPv4 address is another one */
	if (net_addr_is_v4(&a))
		return false;
	*ret = a;
	return true;
}

size_t dns_query_make(uint16_t id, const char *host, uint16_t type, bool edns, unsigned char *out,
		      size_t size)
{
	struct dns_name name;
	size_t n;

	if (!dns_name_make(host, &name))
		return 0;
	n = DNS_HEADER + name.len + 4 + (edns ? DNS_OPT_SIZE : 0);
	if (size < n)
		return 0;
	memset(out, 0, DNS_HEADER);
	dns_put16(out, id);
	dns_put16(out + 2, DNS_RD);
	dns_put16(out + 4, 1);
	dns_put16(out + 10, edns);
	memcpy(out + DNS_HEADER, name.b, name.len);
	dns_put16(out + DNS_HEADER + name.len, type);
	dns_put16(out + DNS_HEADER + name.len + 2, DNS_CLASS_IN);
	if (edns)
		put_opt(out + n - DNS_OPT_SIZE, 0);
	return n;
}
