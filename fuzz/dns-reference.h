/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages, read a second time: slowly, everything into memory, without a line of src/gateway. Names are lists of labels, found by recursion.
 */
#ifndef DNS_REFERENCE_H
#define DNS_REFERENCE_H

#include "fuzz.h"

#include <stdint.h>

struct ref_name {
	unsigned int n, bytes;        /* labels; on the wire, with the root's 0 */
	unsigned char label[128][64]; /* each with its length in front */
};

struct ref_record {
	struct ref_name owner;
	unsigned int type, class, size;
	uint32_t ttl;
	const uint8_t *data;
	struct ref_name names[2]; /* in the data */
};

struct ref_message {
	const uint8_t *p;
	size_t n;
	unsigned int id, flags, count[4];
	struct ref_name asked;
	unsigned int type, class;
	size_t question_end;
	struct ref_record *r; /* all sections, one behind the other */
	unsigned int records;
	bool whole; /* records are complete, and nothing stands behind */
	unsigned int rcode;
};

static inline unsigned int ref_number(const uint8_t *p, unsigned int bytes)
{
	return bytes ? ref_number(p, bytes - 1) << 8 | p[bytes - 1] : 0;
}

/*
 * The name at @at, appended to @name. @run: where the labels before began that were followed by the pointer to here; @limit: no byte at or behind it
 * belongs to the name. Return: bytes it has at this place; 0: it is none.
 */
static inline size_t ref_name_at(const uint8_t *p, size_t limit, size_t at, unsigned int jumps,
				 struct ref_name *name)
{
	size_t start = at;

	while (at < limit) {
		unsigned int c = p[at];

		if (c == 0) {
			name->bytes++;
			return name->bytes <= 255 ? at + 1 - start : 0;
		}
		if (c < 64) {
			if (at + 1 + c > limit || name->n == 127)
				return 0;
			memcpy(name->label[name->n++], p + at, c + 1);
			name->bytes += c + 1;
			at += c + 1;
			continue;
		}
		if (c < 192 || at + 2 > limit || jumps == 0)
			return 0;
		c = (c - 192) * 256 + p[at + 1];
		if (c < 12 || c >= start || !ref_name_at(p, start, c, jumps - 1, name))
			return 0;
		return at + 2 - start;
	}
	return 0;
}

static inline size_t ref_name(const uint8_t *p, size_t limit, size_t at, unsigned int jumps,
			      struct ref_name *name)
{
	memset(name, 0, sizeof(*name));
	return ref_name_at(p, limit, at, jumps, name);
}

static inline bool ref_same(const struct ref_name *a, const struct ref_name *b)
{
	unsigned int i;

	for (i = 0; a->n == b->n && i < a->n; i++) {
		if (a->label[i][0] != b->label[i][0] ||
		    strncasecmp((const char *)a->label[i] + 1, (const char *)b->label[i] + 1,
				a->label[i][0]) != 0 ||
		    memchr(a->label[i] + 1, 0, a->label[i][0]) != NULL) {
			unsigned int k;

			/* strncasecmp() ends at a NUL */
			for (k = 0; k <= a->label[i][0]; k++) {
				int x = a->label[i][k], y = b->label[i][k];

				if (x != y && !(k > 0 && (x ^ y) == 32 &&
						((x | 32) >= 'a' && (x | 32) <= 'z')))
					return false;
			}
		}
	}
	return a->n == b->n;
}

/* The text of @name, dots between labels; empty when a label has one. */
static inline void ref_text(const struct ref_name *name, char out[512])
{
	unsigned int i, len = 0;

	for (i = 0; i < name->n; i++) {
		if (memchr(name->label[i] + 1, '.', name->label[i][0]) ||
		    memchr(name->label[i] + 1, 0, name->label[i][0])) {
			out[0] = '\0';
			return;
		}
		memcpy(out + len, name->label[i] + 1, name->label[i][0]);
		len += name->label[i][0];
		out[len++] = '.';
	}
	out[len ? len - 1 : 0] = '\0';
}

static inline bool ref_host(const struct ref_name *name, char out[NET_HOST_MAX + 1])
{
	char text[512];

	ref_text(name, text);
	return text[0] && net_host_canon(text, strlen(text), out, NULL) > 0;
}

static inline bool ref_options(const uint8_t *p, size_t n)
{
	size_t len;

	if (n == 0)
		return true;
	if (n < 4)
		return false;
	len = 4 + ref_number(p + 2, 2);
	return len <= n && ref_options(p + len, n - len);
}

static inline bool ref_strings(const uint8_t *p, size_t n)
{
	while (n > 0 && p[0] < n) {
		n -= p[0] + 1u;
		p += p[0] + 1;
		if (n == 0)
			return true;
	}
	return false;
}

/* Whether the data at @at, of m->r[m->records], is what the type says. */
static inline bool ref_data(const struct ref_message *m, struct ref_record *r, size_t at)
{
	unsigned int before = 0, names = 1, behind = 0, i;
	size_t end = at + r->size, used;

	switch (r->type) {
	case 1:
		return r->size == 4;
	case 28:
		return r->size == 16;
	case 16:
		return ref_strings(r->data, r->size);
	case 41:
		return r->owner.n == 0 && ref_options(r->data, r->size);
	case 6:
		names = 2;
		behind = 20;
		break;
	case 15:
		before = 2;
		break;
	case 33:
		before = 6;
		break;
	case 2:
	case 5:
	case 12:
	case 39:
		break;
	default:
		return true;
	}
	if (r->size < before + behind)
		return false;
	at += before;
	for (i = 0; i < names; i++) {
		used = ref_name(m->p, end - behind, at, 32, &r->names[i]);
		if (!used)
			return false;
		at += used;
	}
	return at + behind == end;
}

static inline bool ref_records(struct ref_message *m)
{
	unsigned int total = m->count[1] + m->count[2] + m->count[3], i, opts = 0;
	size_t at = m->question_end, used;

	/* counts that lie are not believed */
	if (total > m->n / 11)
		return false;
	m->r = calloc(total + 1, sizeof(*m->r));
	FUZZ_REQUIRE(m->r);
	for (i = 0; i < total; i++) {
		struct ref_record *r = &m->r[i];
		bool additional = i >= m->count[1] + m->count[2];

		used = ref_name(m->p, m->n, at, 32, &r->owner);
		if (!used || at + used + 10 > m->n)
			return false;
		at += used;
		r->type = ref_number(m->p + at, 2);
		r->class = ref_number(m->p + at + 2, 2);
		r->ttl = ref_number(m->p + at + 4, 4);
		r->size = ref_number(m->p + at + 8, 2);
		at += 10;
		r->data = m->p + at;
		if (at + r->size > m->n || !ref_data(m, r, at))
			return false;
		if (r->type == 41) {
			m->rcode += (r->ttl >> 24) * 16;
			if (!additional || ++opts > 1)
				return false;
		} else if (!additional && r->class != 1) {
			return false;
		}
		at += r->size;
		m->records++;
	}
	return at == m->n;
}

/* Reads the header and one question. Return: whether there are such. */
static inline bool ref_read(struct ref_message *m, const uint8_t *p, size_t n)
{
	unsigned int i;
	size_t used;

	memset(m, 0, sizeof(*m));
	if (n < 12)
		return false;
	m->p = p;
	m->n = n;
	m->id = ref_number(p, 2);
	m->flags = ref_number(p + 2, 2);
	m->rcode = m->flags & 15;
	for (i = 0; i < 4; i++)
		m->count[i] = ref_number(p + 4 + 2 * i, 2);
	if (m->count[0] != 1)
		return false;
	used = ref_name(p, n, 12, 0, &m->asked);
	if (!used || 12 + used + 4 > n)
		return false;
	m->type = ref_number(p + 12 + used, 2);
	m->class = ref_number(p + 14 + used, 2);
	m->question_end = 16 + used;
	m->whole = ref_records(m);
	return true;
}

static inline void ref_done(struct ref_message *m)
{
	free(m->r);
	m->r = NULL;
}

static inline uint32_t ref_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t ref_ttl(uint32_t ttl)
{
	return ttl & 0x80000000u ? 0 : ttl;
}

/* Follows @name through the answers. Return: whether there is a chain that ends; @r is filled. */
static inline bool ref_follow(const struct ref_message *m, const struct ref_name *name,
			      unsigned int type, struct dns_reply *r, unsigned int left)
{
	const struct ref_record *alias = NULL;
	unsigned int i;

	for (i = 0; i < m->count[1]; i++) {
		const struct ref_record *a = &m->r[i];

		if (!ref_same(&a->owner, name) || (a->type != type && a->type != 5))
			continue;
		r->ttl = ref_min(r->ttl, ref_ttl(a->ttl));
		if (a->type == 5 && type != 5) {
			if (alias)
				return false;
			alias = a;
		} else if (a->type == 1 && r->n < 16) {
			memset(r->addrs[r->n].b, 0, 10);
			memset(r->addrs[r->n].b + 10, 255, 2);
			memcpy(r->addrs[r->n++].b + 12, a->data, 4);
		} else if (a->type == 28 && r->n < 16) {
			memcpy(r->addrs[r->n++].b, a->data, 16);
		}
	}
	if (!alias)
		return true;
	if (r->n > 0 || left == 0 || !ref_host(&alias->names[0], r->aliases[r->n_aliases]))
		return false;
	memcpy(r->canonical, r->aliases[r->n_aliases++], sizeof(r->canonical));
	return ref_follow(m, &alias->names[0], type, r, left - 1);
}

static inline uint32_t ref_negative(const struct ref_message *m)
{
	unsigned int i;

	for (i = 0; i < m->count[1] + m->count[2]; i++) {
		const struct ref_record *r = &m->r[i];

		if (r->type == 6)
			return ref_min(ref_ttl(r->ttl),
				       ref_ttl(ref_number(r->data + r->size - 4, 4)));
	}
	return 0;
}

/* What dns_reply_parse() has to make of a message: the answer to its own question, of host name @host. */
static inline bool ref_reply(const struct ref_message *m, const char *host, struct dns_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->id = (uint16_t)m->id;
	snprintf(r->canonical, sizeof(r->canonical), "%s", host);
	if (m->flags >> 15 != 1 || (m->flags >> 11 & 15) != 0 || m->class != 1)
		return false;
	r->rcode = (enum dns_rcode)m->rcode;
	if (m->flags & 0x200) {
		r->rcode = (enum dns_rcode)(m->flags & 15);
		r->truncated = true;
		return true;
	}
	if (!m->whole)
		return false;
	if (m->rcode != 0 && m->rcode != 3)
		return true;
	r->ttl = UINT32_MAX;
	if (!ref_follow(m, &m->asked, m->type, r, 8) || (m->rcode == 3 && r->n > 0))
		return false;
	if (r->n == 0)
		r->ttl = ref_min(r->ttl, ref_negative(m));
	return true;
}

#endif
