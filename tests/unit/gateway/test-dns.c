/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage: test-dns TABLE [DIR]     DIR: the messages are written there as fuzz/corpus/dns has them
 * The table says how a message is put down.
 */
#define TAP_NO_MAIN
#include "gateway/dns.h"
#include "table.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>

#define MESSAGE 66000u

static struct table table;
static unsigned char message[MESSAGE];
static size_t length, data_at; /* data_at: where the size of open data stands */

static void add(unsigned int byte)
{
	if (length == MESSAGE)
		table_die(&table, "too long");
	message[length++] = (unsigned char)byte;
}

static void add16(unsigned int v)
{
	add(v >> 8 & 0xff);
	add(v & 0xff);
}

static void add_labels(const char *s, size_t len)
{
	size_t n, i;

	for (;; s += n + 1, len -= n + 1) {
		for (n = 0; n < len && s[n] != '.';)
			n++;
		if (n > 0)
			add((unsigned int)n);
		for (i = 0; i < n; i++)
			add((unsigned char)s[i]);
		if (n == len)
			break;
	}
}

/* NAME,TYPE or TYPE,TTL: what stands behind the comma */
static unsigned int number_behind(const char *w)
{
	const char *comma = strchr(w, ',');

	if (!comma)
		table_die(&table, w);
	return (unsigned int)strtoul(comma + 1, NULL, 10);
}

/* HEX or HEX*TIMES */
static void add_hex(const char *w)
{
	static const char digits[] = "0123456789abcdef";
	const char *star = strchr(w, '*'), *s, *hi, *lo;
	unsigned long times = star ? strtoul(star + 1, NULL, 10) : 1;

	for (; times > 0; times--) {
		for (s = w; *s && s != star; s += 2) {
			hi = strchr(digits, s[0]);
			lo = hi && s[1] ? strchr(digits, s[1]) : NULL;
			if (!lo)
				table_die(&table, w);
			add((unsigned int)((hi - digits) << 4 | (lo - digits)));
		}
	}
}

static void add_header(const char *w)
{
	char *end;
	int i;

	add16(0x1234);
	add16((unsigned int)strtoul(w, &end, 16));
	for (i = 0; i < 4 && *end == ','; i++)
		add16((unsigned int)strtoul(end + 1, &end, 10));
	if (i < 4 || *end)
		table_die(&table, w);
}

static void add_word(const char *w)
{
	if (strncmp(w, "h:", 2) == 0) {
		add_header(w + 2);
	} else if (strncmp(w, "q:", 2) == 0) {
		add_labels(w + 2, strcspn(w + 2, ","));
		add(0);
		add16(number_behind(w));
		add16(1);
	} else if (strncmp(w, "r:", 2) == 0) {
		add16((unsigned int)strtoul(w + 2, NULL, 10));
		add16(1);
		add16(number_behind(w) >> 16);
		add16(number_behind(w) & 0xffff);
	} else if (strncmp(w, "n:", 2) == 0) {
		add_labels(w + 2, strlen(w + 2));
		add(0);
	} else if (strncmp(w, "l:", 2) == 0) {
		add_labels(w + 2, strlen(w + 2));
	} else if (w[0] == '@') {
		add16(0xc000u | (unsigned int)strtoul(w + 1, NULL, 10));
	} else if (strcmp(w, "{") == 0) {
		data_at = length;
		add16(0);
	} else if (strcmp(w, "}") == 0) {
		message[data_at] = (unsigned char)((length - data_at - 2) >> 8);
		message[data_at + 1] = (unsigned char)(length - data_at - 2);
	} else if (strcmp(w, "opt") == 0) {
		add_hex("0000290500000000000000");
	} else {
		add_hex(w);
	}
}

/* The words of @s, put down in message. */
static void put_down(char *s)
{
	char *end;

	for (length = 0; *s; s = end) {
		s += strspn(s, " \t");
		end = s + strcspn(s, " \t");
		if (*end)
			*end++ = '\0';
		if (*s)
			add_word(s);
	}
}

static void words_of_query(struct buf *b)
{
	struct dns_query q = { .id = 0 };
	int r = dns_query_parse(&q, message, length);

	if (r == -EBADMSG) {
		buf_puts(b, "silence");
		return;
	}
	CHECK(q.id == 0x1234);
	buf_printf(b, "%d", r);
	if (q.name_len > 0)
		buf_printf(b, " %s %u", q.host[0] ? q.host : "-", q.type);
	if (q.edns)
		buf_printf(b, " edns %u", q.payload);
}

static void words_of_reply(struct buf *b, const char *host, unsigned int type)
{
	struct dns_reply r = { .n = 0 };
	char text[NET_ADDR_TEXT];
	size_t i;

	if (dns_reply_parse(&r, message, length, host, (uint16_t)type) < 0) {
		buf_puts(b, "bad");
		return;
	}
	CHECK(r.id == 0x1234);
	buf_printf(b, "%d ttl %u", (int)r.rcode, r.ttl);
	if (r.truncated)
		buf_puts(b, " truncated");
	for (i = 0; i < r.n; i++) {
		net_addr_text(&r.addrs[i], text);
		buf_printf(b, " %s", text);
	}
	for (i = 0; i < r.n_aliases; i++)
		buf_printf(b, " via %s", r.aliases[i]);
	CHECK_STR(r.canonical, r.n_aliases ? r.aliases[r.n_aliases - 1] : host);
}

static void words_of_relay(struct buf *b, const char *host, unsigned int type)
{
	unsigned char made[512], *out = malloc(MESSAGE);
	struct dns_query q;
	size_t n = dns_query_make(0x7777, host, (uint16_t)type, true, made, sizeof(made));

	REQUIRE(out && n > 0 && dns_query_parse(&q, made, n) == 0);
	q.name[1] ^= 32; /* the client's spelling */
	n = dns_relay(&q, message, length, out, MESSAGE);
	CHECK((n > 0) == (dns_relay_check(&q, message, length) == 0));
	if (n == 0) {
		buf_puts(b, "bad");
	} else {
		buf_printf(b, "%d answers %u bytes %zu", out[3] & 15, out[6] << 8 | out[7], n);
		CHECK(out[0] == 0x77 && out[1] == 0x77 &&
		      memcmp(out + 12, q.name, q.name_len) == 0);
		CHECK(dns_relay_check(&q, out, n) == 0);
		n = dns_relay(&q, message, length, out, 12 + q.name_len + 4 + DNS_OPT_SIZE);
		CHECK(n == 12 + q.name_len + 4 + DNS_OPT_SIZE);
		CHECK(((out[2] & 2) != 0) == ((message[6] | message[7]) != 0));
	}
	free(out);
}

static void words_of_ptr(struct buf *b)
{
	char text[NET_ADDR_TEXT] = "none";
	struct dns_query q;
	struct net_addr a;

	REQUIRE(dns_query_parse(&q, message, length) == 0);
	if (dns_ptr_addr(&q, &a))
		net_addr_text(&a, text);
	buf_puts(b, text);
	q.type = DNS_A;
	CHECK(!dns_ptr_addr(&q, &a));
}

static char *kind, *wanted, *host;
static unsigned int type;

static void run_row(__attribute__((unused)) const void *arg)
{
	struct buf b = BUF_INIT(65536);

	if (strcmp(kind, "query") == 0)
		words_of_query(&b);
	else if (strcmp(kind, "ptr") == 0)
		words_of_ptr(&b);
	else if (strcmp(kind, "reply") == 0)
		words_of_reply(&b, host, type);
	else if (strcmp(kind, "relay") == 0)
		words_of_relay(&b, host, type);
	else
		table_die(&table, kind);
	CHECK_STR(b.data, wanted);
	buf_done(&b);
}

static void write_message(const char *dir)
{
	unsigned char mode = kind[0] != 'r' ? 0 : kind[2] == 'p' ? 1 : 2;
	char path[LIMIT_PATH];
	int fd;

	snprintf(path, sizeof(path), "%s/table-%03d", dir, table.line);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || fd_write_all(fd, &mode, 1) < 0 || fd_write_all(fd, message, length) < 0)
		table_die(&table, path);
	close(fd);
}

static void test_limits(__attribute__((unused)) const void *arg)
{
	char name[DNS_NAME_MAX + 9];
	struct dns_query q;
	unsigned char out[DNS_ANSWER_MAX];
	struct net_addr a;
	size_t n, i;

	/* 253 bytes are the longest name: 255 on the wire */
	for (i = 0; i < sizeof(name); i++)
		name[i] = i % 64 == 63 ? '.' : 'a';
	name[NET_HOST_MAX] = '\0';
	n = dns_query_make(1, name, DNS_AAAA, true, out, sizeof(out));
	REQUIRE(n == 12 + 255 + 4 + 11);
	REQUIRE(dns_query_parse(&q, out, n) == 0);
	CHECK_STR(q.host, name);
	CHECK(q.payload == DNS_UDP_MAX && q.rd && q.opcode == 0);
	memset(&a, 0x20, sizeof(a));
	CHECK(dns_answer_addr(&q, &a, 1, out, sizeof(out)) == 12 + 255 + 4 + 12 + 16 + 11);
	q.type = DNS_A; /* an address of the other family */
	CHECK(dns_answer_addr(&q, &a, 1, out, sizeof(out)) == 0);
	q.type = DNS_PTR;
	CHECK(dns_answer_ptr(&q, name, 1, out, sizeof(out)) == 549);
	CHECK(dns_answer_ptr(&q, name, 1, out, 548) == 0);
	CHECK(dns_answer_ptr(&q, "a..b", 1, out, sizeof(out)) == 0);
	CHECK(dns_answer_none(&q, DNS_NXDOMAIN, out, sizeof(out)) > 0 && out[3] == 0x83);
	CHECK(!dns_ptr_addr(&q, &a));
	name[NET_HOST_MAX] = 'a';
	name[NET_HOST_MAX + 1] = '\0';
	CHECK(dns_query_make(1, name, DNS_A, true, out, sizeof(out)) == 0);
	CHECK(dns_query_make(1, "", DNS_A, true, out, sizeof(out)) == 0);
	CHECK(dns_query_make(1, "a.", DNS_A, true, out, sizeof(out)) == 0);
	name[64] = '\0';
	name[63] = 'a';
	CHECK(dns_query_make(1, name, DNS_A, true, out, sizeof(out)) == 0);
}

int main(int argc, char **argv)
{
	char *bar;

	tap_run(test_limits, NULL, NULL, "the longest names, and longer ones");
	table_open(&table, argc > 1 ? argv[1] : NULL);
	while (table_next(&table)) {
		char line[8192];

		snprintf(line, sizeof(line), "%s", table.text);
		bar = strchr(table.text, '|');
		if (!bar)
			table_die(&table, "no |");
		put_down(bar + 1);
		while (bar > table.text && bar[-1] == ' ')
			bar--;
		*bar = '\0';
		kind = table.text;
		wanted = kind + strcspn(kind, " ");
		*wanted++ = '\0';
		if (kind[0] == 'r') {
			host = wanted;
			wanted += strcspn(wanted, " ");
			*wanted++ = '\0';
			type = (unsigned int)strtoul(wanted, &wanted, 10);
			wanted += strspn(wanted, " ");
		}
		tap_run(run_row, NULL, NULL, "line %d: %.200s", table.line, line);
		if (argc > 2)
			write_message(argv[2]);
	}
	return tap_done();
}
