/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the resolver in an epoll loop: resolve-driver RESOLV_CONF HOSTS COMMAND…
 *	ask:HOST:FAMILIES	46, 4 or 6
 *	raw:HOST:TYPE:SIZE	a client's question; SIZE bytes it takes, 0x20 in its spelling
 *	many:N:FAMILIES		hosts n0.example, n1.example …
 *	chain:HOST:N		ask, and in the callback again, N times
 *	cancel			what was asked last
 *	wait			until nothing is open
 *	sleep:MS		go on for so long
 *	stats
 * Each answer is a line of JSON on standard output.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "gateway/resolve.h"

static struct resolver *resolver;
static int epoll;
static size_t watched, watched_most, open_asks, chain_left, closed_early;
static uint64_t ticket;

struct ask {
	char name[NET_HOST_MAX + 1];
	uint64_t since;
	bool chain, over;
};

static struct ask asks[8192];
static size_t n_asks;

static uint64_t now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		abort();
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int watch(__attribute__((unused)) void *arg, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &ev) == 0)
		return 0;
	if (errno != ENOENT || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	if (++watched > watched_most)
		watched_most = watched;
	return 0;
}

static void unwatch(__attribute__((unused)) void *arg, int fd)
{
	/* one that was never watched must not come here either */
	if (epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL) < 0)
		closed_early++;
	else
		watched--;
}

static void ask(const char *host, const char *families, bool chain);

static void print_result(const struct ask *a, const struct resolve_result *res)
{
	struct buf b = BUF_INIT(1 << 20);
	char text[NET_ADDR_TEXT];
	size_t i;

	buf_printf(&b, "{\"n\": %td, \"host\": \"%s\", \"error\": %d, \"rcode\": %d, ", a - asks,
		   a->name, res->error, (int)res->rcode);
	buf_printf(&b, "\"ttl\": %u, \"hosts\": %s, \"ms\": %u, \"addrs\": [", res->ttl,
		   res->from_hosts ? "true" : "false", (unsigned int)(now_ms() - a->since));
	for (i = 0; i < res->n; i++) {
		net_addr_text(&res->addrs[i], text);
		buf_printf(&b, "%s\"%s\"", i ? ", " : "", text);
	}
	buf_puts(&b, "], \"aliases\": [");
	for (i = 0; i < res->n_aliases; i++)
		buf_printf(&b, "%s\"%s\"", i ? ", " : "", res->aliases[i]);
	buf_puts(&b, "], \"message\": \"");
	for (i = 0; i < res->len; i++)
		buf_printf(&b, "%02x", res->message[i]);
	buf_puts(&b, "\"}");
	puts(b.failed ? "failed" : b.data);
	buf_done(&b);
}

static void done(void *arg, const struct resolve_result *res)
{
	struct ask *a = arg;

	if (a->over)
		puts("called twice");
	a->over = true;
	open_asks--;
	print_result(a, res);
	if (a->chain && chain_left > 0) {
		chain_left--;
		ask(a->name, "46", true);
	}
}

static struct ask *new_ask(const char *host, bool chain)
{
	struct ask *a;

	if (n_asks == ARRAY_SIZE(asks))
		abort();
	a = &asks[n_asks++];
	snprintf(a->name, sizeof(a->name), "%s", host);
	a->chain = chain;
	a->since = now_ms();
	return a;
}

static void asked(int r, const char *host)
{
	if (r < 0)
		printf("{\"host\": \"%s\", \"refused\": %d}\n", host, r);
	else
		open_asks++;
}

static void ask(const char *host, const char *families, bool chain)
{
	unsigned int f =
		(strchr(families, '4') ? RESOLVE_V4 : 0) | (strchr(families, '6') ? RESOLVE_V6 : 0);

	asked(resolver_ask(resolver, host, f, now_ms(), done, new_ask(host, chain), &ticket), host);
}

static void ask_raw(const char *host, unsigned int type, size_t size)
{
	unsigned char made[DNS_ANSWER_MAX];
	size_t n = dns_query_make(0x4321, host, (uint16_t)type, true, made, sizeof(made));
	struct dns_query q;

	if (dns_query_parse(&q, made, n) != 0)
		abort();
	q.name[1] = (unsigned char)(q.name[1] & ~32u);
	asked(resolver_ask_raw(resolver, &q, size, now_ms(), done, new_ask(host, false), &ticket),
	      host);
}

/* One turn of the loop, at most until @until. */
static void turn(uint64_t until)
{
	struct epoll_event ev[16];
	uint64_t now = now_ms(), next = resolver_next_deadline_ms(resolver);
	int n, i;

	next = next < until ? next : until;
	n = epoll_wait(epoll, ev, (int)ARRAY_SIZE(ev),
		       next <= now        ? 0 :
		       next - now > 60000 ? 60000 :
					    (int)(next - now));
	for (i = 0; i < n; i++)
		resolver_event(resolver, ev[i].data.fd, now_ms());
	resolver_tick(resolver, now_ms());
}

static void print_stats(void)
{
	const struct resolve_stats *s = resolver_stats(resolver);

	printf("{\"asked\": %llu, \"from_hosts\": %llu, \"from_cache\": %llu, \"coalesced\": %llu, \"refused\": %llu, \"sent\": %llu, "
	       "\"sent_tcp\": %llu, \"unanswered\": %llu, \"wrong_id\": %llu, \"wrong_reply\": %llu, \"watched\": %zu, \"watched_most\": %zu, "
	       "\"closed_early\": %zu}\n",
	       (unsigned long long)s->asked, (unsigned long long)s->from_hosts,
	       (unsigned long long)s->from_cache, (unsigned long long)s->coalesced,
	       (unsigned long long)s->refused, (unsigned long long)s->sent,
	       (unsigned long long)s->sent_tcp, (unsigned long long)s->unanswered,
	       (unsigned long long)s->wrong_id, (unsigned long long)s->wrong_reply, watched,
	       watched_most, closed_early);
}

static void command(const char *word)
{
	char *copy = strdup(word), *s = copy, name[64];
	const char *part[4] = { "", "", "", "" };
	size_t i;

	for (i = 0; s && i < ARRAY_SIZE(part); i++)
		part[i] = strsep(&s, ":");
	if (strcmp(part[0], "ask") == 0) {
		ask(part[1], part[2], false);
	} else if (strcmp(part[0], "raw") == 0) {
		ask_raw(part[1], (unsigned int)strtoul(part[2], NULL, 10),
			strtoul(part[3], NULL, 10));
	} else if (strcmp(part[0], "many") == 0) {
		for (i = 0; i < strtoul(part[1], NULL, 10); i++) {
			snprintf(name, sizeof(name), "n%zu.example", i);
			ask(name, part[2], false);
		}
	} else if (strcmp(part[0], "chain") == 0) {
		chain_left = strtoul(part[2], NULL, 10);
		ask(part[1], "46", true);
	} else if (strcmp(part[0], "cancel") == 0) {
		resolver_cancel(resolver, ticket);
		open_asks--;
	} else if (strcmp(part[0], "wait") == 0) {
		while (open_asks > 0)
			turn(UINT64_MAX);
	} else if (strcmp(part[0], "sleep") == 0) {
		uint64_t until = now_ms() + strtoul(part[1], NULL, 10);

		while (now_ms() < until)
			turn(until);
	} else if (strcmp(part[0], "stats") == 0) {
		print_stats();
	} else {
		printf("unknown command %s\n", word);
	}
	free(copy);
}

int main(int argc, char **argv)
{
	struct resolve_io io = { .watch = watch, .unwatch = unwatch };
	struct resolve_conf conf;
	struct err e = ERR_INIT;
	int i;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (argc < 3 || epoll < 0 || resolve_conf_read(&conf, argv[1], argv[2], &e) < 0 ||
	    !(resolver = resolver_new(&conf, &io, &e))) {
		printf("no start: %s\n", e.msg);
		return 1;
	}
	for (i = 3; i < argc; i++)
		command(argv[i]);
	resolver = resolver_free(resolver);
	if (watched > 0)
		puts("descriptors are left");
	resolve_conf_done(&conf);
	close(epoll);
	return 0;
}
