/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An even first byte: the rest is a resolv.conf; an odd one: a hosts file. Both are read a second time, line by line and word by word, and each
 * entry must be found again, in the order of the file, and nothing else.
 */
#include "fuzz.h"
#include "gateway/resolve.h"

#define BLANKS " \t\r\f\v"

/* The next word of *@s, cut out, or NULL. */
static char *word(char **s)
{
	char *w = *s + strspn(*s, BLANKS);
	size_t n = strcspn(w, BLANKS);

	if (n == 0)
		return NULL;
	*s = w + n;
	if (**s)
		*(*s)++ = '\0';
	return w;
}

static unsigned int option(const char *w, const char *name, unsigned int most, unsigned int was)
{
	const char *digits = w + strlen(name);

	if (strncmp(w, name, strlen(name)) != 0 || !*digits ||
	    strspn(digits, "0123456789") != strlen(digits))
		return was;
	digits += strspn(digits, "0");
	if (!*digits)
		return 1;
	if (strlen(digits) > 3 || (unsigned int)strtoul(digits, NULL, 10) > most)
		return most;
	return (unsigned int)strtoul(digits, NULL, 10);
}

static void check_conf(const struct resolve_conf *c, char *text)
{
	unsigned int timeout = 5, attempts = 2, servers = 0;
	char *line, *w, *zone;
	struct net_addr a;

	while ((line = strsep(&text, "\n"))) {
		w = word(&line);
		if (w && strcmp(w, "options") == 0) {
			while ((w = word(&line))) {
				timeout = option(w, "timeout:", 30, timeout);
				attempts = option(w, "attempts:", 5, attempts);
			}
		} else if (w && strcmp(w, "nameserver") == 0 && servers < 3 && (w = word(&line))) {
			zone = strchr(w, '%');
			if (zone)
				*zone++ = '\0';
			if (!net_addr_parse(&a, w, strlen(w)) ||
			    (zone && (!*zone || strlen(zone) > 15)))
				continue;
			FUZZ_REQUIRE(servers < c->n_servers);
			FUZZ_REQUIRE(memcmp(&a, &c->servers[servers].addr, sizeof(a)) == 0);
			FUZZ_REQUIRE(strcmp(c->servers[servers].zone, zone ? zone : "") == 0);
			servers++;
		}
	}
	FUZZ_REQUIRE(c->timeout_s == timeout && c->attempts == attempts);
	FUZZ_REQUIRE(c->n_servers == (servers ? servers : 1));
	FUZZ_REQUIRE(servers || (c->servers[0].addr.b[12] == 127 && c->servers[0].addr.b[15] == 1));
}

static void check_hosts(const struct resolve_conf *c, char *text)
{
	char *line, *w, host[NET_HOST_MAX + 1];
	const struct resolve_host *first, *h;
	struct net_addr a;
	size_t n, i, total = 0;
	bool found;

	for (i = 1; i < c->n_hosts; i++)
		FUZZ_REQUIRE(strcmp(c->hosts[i - 1].name, c->hosts[i].name) <= 0);
	while ((line = strsep(&text, "\n"))) {
		line[strcspn(line, "#")] = '\0';
		w = word(&line);
		if (!w || !net_addr_parse(&a, w, strlen(w)))
			continue;
		while ((w = word(&line))) {
			if (net_host_canon(w, strlen(w), host, NULL) < 0)
				continue;
			total++;
			n = resolve_hosts_find(c, host, &first);
			for (found = false, h = first; n > 0; n--, h++) {
				FUZZ_REQUIRE(strcmp(h->name, host) == 0);
				FUZZ_REQUIRE(h == first || h[-1].name < h->name);
				found = found || memcmp(&h->addr, &a, sizeof(a)) == 0;
			}
			FUZZ_REQUIRE(found);
		}
	}
	FUZZ_REQUIRE(c->n_hosts == total);
	FUZZ_REQUIRE(resolve_hosts_find(c, "~", &first) == 0);
	FUZZ_REQUIRE(resolve_hosts_find(c, "", &first) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolve_conf c = { .n_servers = 0 };
	char *copy;

	/* the second reader has C strings */
	if (size < 1 || memchr(data, 0, size))
		return 0;
	copy = strndup((const char *)data + 1, size - 1);
	FUZZ_REQUIRE(copy);
	if (data[0] & 1) {
		FUZZ_REQUIRE(resolve_hosts_parse(&c, (const char *)data + 1, size - 1, NULL) == 0);
		check_hosts(&c, copy);
	} else {
		resolve_conf_parse(&c, (const char *)data + 1, size - 1);
		check_conf(&c, copy);
	}
	free(copy);
	resolve_conf_done(&c);
	return 0;
}
