/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says what the message is: a sandbox's question, a server's answer with addresses, or one that is passed on. Verdicts and values are
 * those of a second reader; no part of a message is a message; what we write, both readers read.
 */
#include "gateway/dns.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <strings.h>

#include "dns-reference.h"

#define PREFIXES 1500 /* bytes up to which each prefix is tried */

static bool addr_same(const struct net_addr *a, const struct net_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* What dns_query_parse() has to say. */
static int ref_verdict(const struct ref_message *m, bool readable, const uint8_t *p, size_t n)
{
	const struct ref_record *opt = m->r;

	if (n < 12 || p[2] & 0x80)
		return -EBADMSG;
	if (p[2] & 0x78)
		return DNS_NOTIMP;
	if (!readable || p[2] & 6 || p[3] & 0xcf || m->count[1] || m->count[2] || m->count[3] > 1 ||
	    !m->whole || (m->count[3] && opt->type != 41))
		return DNS_FORMERR;
	/* the reference takes a pointer to the name of the question, a query must not have one */
	if (m->count[3] && p[m->question_end] != 0)
		return DNS_FORMERR;
	if (m->count[3] && (opt->ttl >> 16 & 0xff))
		return DNS_BADVERS;
	return m->class == 1 ? 0 : DNS_REFUSED;
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);

	return n >= k && strcasecmp(text + n - k, end) == 0;
}

static void check_ptr(const struct dns_query *q, const struct ref_message *m)
{
	char text[512], turned[128] = "";
	struct net_addr a, want = { { [10] = 0xff, [11] = 0xff } };
	bool is = false;
	unsigned int i;

	ref_text(&m->asked, text);
	if (q->type == DNS_PTR && m->asked.n == 6 && ends_in(text, ".in-addr.arpa")) {
		for (i = 4; i-- > 0;)
			snprintf(turned + strlen(turned), sizeof(turned) - strlen(turned), "%.*s%s",
				 m->asked.label[i][0], m->asked.label[i] + 1, i ? "." : "");
		is = inet_pton(AF_INET, turned, want.b + 12) == 1;
	} else if (q->type == DNS_PTR && m->asked.n == 34 && strlen(text) == 72 &&
		   strcasecmp(text + 63, ".ip6.arpa") == 0) {
		is = true;
		for (i = 32; i-- > 0;) {
			is = is && m->asked.label[i][0] == 1;
			snprintf(turned + strlen(turned), sizeof(turned) - strlen(turned), "%c%s",
				 m->asked.label[i][1], i && i % 4 == 0 ? ":" : "");
		}
		is = is && inet_pton(AF_INET6, turned, want.b) == 1 && !net_addr_is_v4(&want);
	}
	FUZZ_REQUIRE(dns_ptr_addr(q, &a) == is);
	FUZZ_REQUIRE(!is || addr_same(&a, &want));
}

/* An answer of ours of @len bytes to @q: both read it, and a byte less is refused. */
static void check_answer(const struct dns_query *q, const unsigned char *out, size_t len,
			 unsigned int rcode, unsigned int answers)
{
	struct ref_message m;

	FUZZ_REQUIRE(len >= 12 && len <= DNS_ANSWER_MAX);
	if (q->name_len == 0) {
		FUZZ_REQUIRE(len == 12 + (q->edns ? 11u : 0) && ref_number(out + 4, 2) == 0);
		FUZZ_REQUIRE(ref_number(out, 2) == q->id);
		return;
	}
	FUZZ_REQUIRE(ref_read(&m, out, len) && m.whole);
	FUZZ_REQUIRE(m.id == q->id && m.type == q->type && m.class == q->class &&
		     (m.flags >> 8 & 1) == q->rd);
	FUZZ_REQUIRE(memcmp(out + 12, q->name, q->name_len) == 0);
	FUZZ_REQUIRE(m.count[1] == answers && m.count[2] == 0 && m.count[3] == q->edns);
	FUZZ_REQUIRE(m.rcode == (q->edns ? rcode : rcode & 15));
	ref_done(&m);
}

static void check_answers(const struct dns_query *q, int verdict)
{
	unsigned char out[DNS_ANSWER_MAX], again[DNS_ANSWER_MAX];
	struct net_addr a = { { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1 } };
	struct dns_query made;
	struct dns_reply reply;
	size_t len;

	len = dns_answer_none(q, (enum dns_rcode)verdict, out, sizeof(out));
	check_answer(q, out, len, (unsigned int)verdict, 0);
	FUZZ_REQUIRE(dns_answer_none(q, (enum dns_rcode)verdict, again, len - 1) == 0);
	if (verdict != 0)
		return;
	len = dns_answer_ptr(q, "a.example", 1, out, sizeof(out));
	FUZZ_REQUIRE((len > 0) == (q->type == DNS_PTR));
	if (len > 0)
		check_answer(q, out, len, 0, 1);
	a.b[0] = q->type == DNS_AAAA;
	len = dns_answer_addr(q, &a, 7, out, sizeof(out));
	FUZZ_REQUIRE((len > 0) == (q->type == DNS_A || q->type == DNS_AAAA));
	if (len > 0) {
		check_answer(q, out, len, 0, 1);
		FUZZ_REQUIRE(dns_answer_addr(q, &a, 7, again, len - 1) == 0);
	}
	if (len > 0 && q->host[0]) {
		FUZZ_REQUIRE(dns_reply_parse(&reply, out, len, q->host, q->type) == 0);
		FUZZ_REQUIRE(reply.id == q->id && reply.n == 1 && reply.ttl == 7 &&
			     addr_same(&reply.addrs[0], &a) && reply.n_aliases == 0);
	}
	if (q->host[0]) {
		len = dns_query_make(q->id, q->host, q->type, q->edns, out, sizeof(out));
		FUZZ_REQUIRE(len > 0 &&
			     dns_query_make(q->id, q->host, q->type, q->edns, again, len - 1) == 0);
		FUZZ_REQUIRE(dns_query_parse(&made, out, len) == 0);
		FUZZ_REQUIRE(made.id == q->id && made.type == q->type && made.edns == q->edns &&
			     strcmp(made.host, q->host) == 0);
	}
}

static void check_query(const uint8_t *p, size_t n)
{
	struct dns_query q = { .id = 0 }, part;
	struct ref_message m;
	bool readable = ref_read(&m, p, n);
	char host[NET_HOST_MAX + 1] = "";
	int r = dns_query_parse(&q, p, n);
	size_t i;

	FUZZ_REQUIRE(r == ref_verdict(&m, readable, p, n));
	if (r >= 0) {
		FUZZ_REQUIRE(q.id == ref_number(p, 2));
		FUZZ_REQUIRE(q.name_len <= n && q.name_len <= DNS_NAME_MAX);
		FUZZ_REQUIRE(q.name_len == 0 || memcmp(q.name, p + 12, q.name_len) == 0);
		check_answers(&q, r);
	}
	if (r == 0) {
		if (!ref_host(&m.asked, host))
			host[0] = '\0';
		FUZZ_REQUIRE(strcmp(q.host, host) == 0);
		FUZZ_REQUIRE(q.type == m.type && q.name_len == m.asked.bytes &&
			     q.edns == (m.count[3] == 1));
		FUZZ_REQUIRE(q.payload == (!q.edns || m.r->class < 512 ? 512 : m.r->class));
		for (i = 0; i < n; i++)
			FUZZ_REQUIRE(dns_query_parse(&part, p, i) != 0);
		check_ptr(&q, &m);
	}
	ref_done(&m);
}

static void check_reply(const uint8_t *p, size_t n)
{
	struct dns_reply got, want, part;
	struct ref_message m;
	char host[NET_HOST_MAX + 1];
	unsigned int type = DNS_A;
	bool readable = ref_read(&m, p, n), is;
	size_t i;
	int r;

	if (readable && ref_host(&m.asked, host)) {
		type = m.type;
	} else {
		snprintf(host, sizeof(host), "example.org");
		readable = false;
	}
	r = dns_reply_parse(&got, p, n, host, (uint16_t)type);
	FUZZ_REQUIRE(r == 0 || r == -EBADMSG);
	if (!readable) {
		/* only a header, and an error in it */
		is = n == 12 && p[2] >> 7 && !(p[2] & 0x7a) && (p[3] & 15) != 0 &&
		     (p[3] & 15) != 3 && ref_number(p + 4, 4) == 0 && ref_number(p + 8, 4) == 0;
		FUZZ_REQUIRE((r == 0) == is);
		FUZZ_REQUIRE(r < 0 || (got.rcode == (p[3] & 15u) && got.n == 0 && !got.truncated));
		ref_done(&m);
		return;
	}
	is = ref_reply(&m, host, &want);
	FUZZ_REQUIRE((r == 0) == is);
	if (r == 0) {
		FUZZ_REQUIRE(got.id == want.id && got.rcode == want.rcode &&
			     got.truncated == want.truncated);
		FUZZ_REQUIRE(got.n == want.n && got.n_aliases == want.n_aliases &&
			     got.ttl == want.ttl);
		FUZZ_REQUIRE(strcmp(got.canonical, want.canonical) == 0);
		for (i = 0; i < got.n; i++)
			FUZZ_REQUIRE(addr_same(&got.addrs[i], &want.addrs[i]));
		for (i = 0; i < got.n_aliases; i++)
			FUZZ_REQUIRE(strcmp(got.aliases[i], want.aliases[i]) == 0);
		for (i = 0; i < n && n <= PREFIXES && !got.truncated; i++)
			FUZZ_REQUIRE(dns_reply_parse(&part, p, i, host, (uint16_t)type) < 0 ||
				     i == 12);
		/* another question's answer it is not */
		FUZZ_REQUIRE(dns_reply_parse(&part, p, n, "x.example", (uint16_t)type) < 0 ||
			     strcmp(host, "x.example") == 0);
		FUZZ_REQUIRE(dns_reply_parse(&part, p, n, host, (uint16_t)(type ^ 1)) < 0);
	}
	ref_done(&m);
}

static void check_relay(const uint8_t *p, size_t n, unsigned int how)
{
	struct dns_query q = { .id = 0x4142, .class = 1, .rd = how & 1, .edns = how & 2 };
	unsigned char *out = malloc(n + 64);
	struct ref_message m, again;
	bool is, readable = ref_read(&m, p, n);
	size_t i, len;

	FUZZ_REQUIRE(out);
	if (readable) {
		q.type = (uint16_t)m.type;
		q.name_len = m.asked.bytes;
		memcpy(q.name, p + 12, q.name_len);
		for (i = 0; i < q.name_len; i++) {
			if (how & 4 && (q.name[i] | 32) >= 'a' && (q.name[i] | 32) <= 'z')
				q.name[i] ^= 32;
		}
	}
	is = readable && m.flags >> 15 && !(m.flags & 0x7a00) && m.class == 1 && m.whole &&
	     (m.rcode == 0 || m.rcode == 3) &&
	     (m.type == DNS_SRV || m.type == DNS_MX || m.type == DNS_TXT);
	for (i = 0; is && i < m.count[1]; i++)
		is = m.r[i].type == m.type || m.r[i].type == DNS_CNAME || m.r[i].type == DNS_DNAME;
	FUZZ_REQUIRE((dns_relay_check(&q, p, n) == 0) == is);
	len = dns_relay(&q, p, n, out, n + 64);
	FUZZ_REQUIRE((len > 0) == is);
	if (is) {
		for (i = 0; i < n && n <= PREFIXES; i++)
			FUZZ_REQUIRE(dns_relay_check(&q, p, i) < 0);
		FUZZ_REQUIRE(ref_read(&again, out, len) && again.whole);
		FUZZ_REQUIRE(again.id == q.id && again.rcode == m.rcode && !(again.flags & 0x200) &&
			     memcmp(out + 12, q.name, q.name_len) == 0);
		FUZZ_REQUIRE(again.count[1] == m.count[1] && again.count[2] == 0 &&
			     again.count[3] == q.edns);
		for (i = 0; i < m.count[1]; i++) {
			FUZZ_REQUIRE(ref_same(&again.r[i].owner, &m.r[i].owner) &&
				     again.r[i].type == m.r[i].type);
			FUZZ_REQUIRE(again.r[i].ttl == m.r[i].ttl &&
				     ref_same(&again.r[i].names[0], &m.r[i].names[0]));
			FUZZ_REQUIRE(again.r[i].size == m.r[i].size &&
				     memcmp(again.r[i].data, m.r[i].data, m.r[i].size) == 0);
		}
		ref_done(&again);
		if (m.count[1] > 0) {
			len = dns_relay(&q, p, n, out, len - 1);
			FUZZ_REQUIRE(len > 0 && ref_read(&again, out, len) && again.whole &&
				     again.flags & 0x200 && again.records == q.edns);
			ref_done(&again);
		}
		FUZZ_REQUIRE(dns_relay(&q, p, n, out, 12 + q.name_len + 3) == 0);
	}
	ref_done(&m);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	switch (data[0] & 3) {
	case 0:
		check_query(data + 1, size - 1);
		break;
	case 1:
		check_reply(data + 1, size - 1);
		break;
	case 2:
		check_relay(data + 1, size - 1, data[0] >> 2);
		break;
	}
	return 0;
}
