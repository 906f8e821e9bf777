/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "resolve.h"

/* Bounds as glibc has them. */
#define TIMEOUT_DEFAULT 5u
#define TIMEOUT_MOST 30u
#define ATTEMPTS_DEFAULT 2u
#define ATTEMPTS_MOST 5u

struct slice {
	const char *p;
	size_t len;
};

/* The next line of @text, which moves on. Return: whether there is one. */
static bool next_line(struct slice *text, struct slice *ret)
{
	const char *nl;

	if (text->len == 0)
		return false;
	nl = memchr(text->p, '\n', text->len);
	ret->p = text->p;
	ret->len = nl ? (size_t)(nl - text->p) : text->len;
	text->p += ret->len + (nl != NULL);
	text->len -= ret->len + (nl != NULL);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The next word of @line, which moves on. */
static bool next_word(struct slice *line, struct slice *ret)
{
	while (line->len > 0 && is_blank(*line->p)) {
		line->p++;
		line->len--;
	}
	*ret = (struct slice){ line->p, 0 };
	while (line->len > 0 && !is_blank(*line->p)) {
		line->p++;
		line->len--;
		ret->len++;
	}
	return ret->len > 0;
}

static bool is_word(struct slice w, const char *s)
{
	return w.len == strlen(s) && memcmp(w.p, s, w.len) == 0;
}

/* "@name:NUMBER", between 1 and @most. */
static void read_option(struct slice w, const char *name, unsigned int most, unsigned int *v)
{
	size_t i = strlen(name);
	unsigned int n = 0;

	if (w.len <= i || memcmp(w.p, name, i) != 0)
		return;
	for (; i < w.len; i++) {
		if (w.p[i] < '0' || w.p[i] > '9')
			return;
		n = n * 10 + (unsigned int)(w.p[i] - '0');
		if (n > most)
			n = most;
	}
	*v = n ? n : 1;
}

static void add_server(struct resolve_conf *c, struct slice w)
{
	struct resolve_server s = { .scope = 0 };
	const char *percent = memchr(w.p, '%', w.len);
	size_t len = percent ? (size_t)(percent - w.p) : w.len,
	       zone = percent ? w.len - len - 1 : 0;

	if (c->n_servers == RESOLVE_SERVERS || !net_addr_parse(&s.addr, w.p, len) ||
	    zone >= sizeof(s.zone) || (percent && zone == 0))
		return;
	if (zone > 0)
		memcpy(s.zone, percent + 1, zone);
	c->servers[c->n_servers++] = s;
}

void resolve_conf_parse(struct resolve_conf *c, const char *text, size_t len)
{
	struct slice rest = { text, len }, line, w;

	c->n_servers = 0;
	c->timeout_s = TIMEOUT_DEFAULT;
	c->attempts = ATTEMPTS_DEFAULT;
	while (next_line(&rest, &line)) {
		if (!next_word(&line, &w))
			continue;
		if (is_word(w, "nameserver")) {
			if (next_word(&line, &w))
				add_server(c, w);
		} else if (is_word(w, "options")) {
			while (next_word(&line, &w)) {
				read_option(w, "timeout:", TIMEOUT_MOST, &c->timeout_s);
				read_option(w, "attempts:", ATTEMPTS_MOST, &c->attempts);
			}
		}
	}
	if (c->n_servers == 0)
		add_server(c, (struct slice){ "127.0.0.1", 9 });
}

/* Walks a hosts file. @c without names: only counts. */
static void walk_hosts(struct resolve_conf *c, struct slice rest, size_t *ret_n, size_t *ret_bytes)
{
	char host[NET_HOST_MAX + 1];
	struct slice line, w;
	struct net_addr a;
	const char *hash;
	int len;

	*ret_n = *ret_bytes = 0;
	while (next_line(&rest, &line)) {
		hash = memchr(line.p, '#', line.len);
		if (hash)
			line.len = (size_t)(hash - line.p);
		if (!next_word(&line, &w) || !net_addr_parse(&a, w.p, w.len))
			continue;
		while (next_word(&line, &w)) {
			len = net_host_canon(w.p, w.len, host, NULL);
			if (len < 0)
				continue;
			if (c->names) {
				c->hosts[*ret_n].name = c->names + *ret_bytes;
				c->hosts[*ret_n].addr = a;
				memcpy(c->names + *ret_bytes, host, (size_t)len + 1);
			}
			*ret_n += 1;
			*ret_bytes += (size_t)len + 1;
		}
	}
}

static int by_name(const void *a, const void *b)
{
	const struct resolve_host *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	/* names lie in the order of the file */
	return r ? r : (x->name > y->name) - (x->name < y->name);
}

int resolve_hosts_parse(struct resolve_conf *c, const char *text, size_t len, struct err *e)
{
	size_t n, bytes;

	c->names = NULL;
	walk_hosts(c, (struct slice){ text, len }, &n, &bytes);
	if (n == 0)
		return 0;
	c->hosts = calloc(n, sizeof(*c->hosts));
	c->names = malloc(bytes);
	if (!c->hosts || !c->names)
		return err_sys(e, -ENOMEM, "names of hosts");
	walk_hosts(c, (struct slice){ text, len }, &c->n_hosts, &bytes);
	qsort(c->hosts, n, sizeof(*c->hosts), by_name);
	return 0;
}

size_t resolve_hosts_find(const struct resolve_conf *c, const char *host,
			  const struct resolve_host **ret_first)
{
	size_t lo = 0, hi = c->n_hosts, mid, n = 0;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (strcmp(c->hosts[mid].name, host) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo + n < c->n_hosts && strcmp(c->hosts[lo + n].name, host) == 0)
		n++;
	if (n > 0)
		*ret_first = &c->hosts[lo];
	return n;
}

static int read_file(const char *path, struct buf *b, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", path);
	r = fd_read_all(fd, b);
	return r < 0 ? err_sys(e, r, "%s", path) : 0;
}

int resolve_conf_read(struct resolve_conf *c, const char *resolv_conf, const char *hosts,
		      struct err *e)
{
	struct buf conf = BUF_INIT(LIMIT_RESOLV_CONF), names = BUF_INIT(LIMIT_HOSTS_FILE);
	size_t i;
	int r;

	*c = (struct resolve_conf){ .n_servers = 0 };
	r = read_file(resolv_conf, &conf, e);
	if (r == 0)
		r = read_file(hosts, &names, e);
	if (r == 0) {
		resolve_conf_parse(c, conf.data ? conf.data : "", conf.len);
		r = resolve_hosts_parse(c, names.data ? names.data : "", names.len, e);
	}
	for (i = 0; r == 0 && i < c->n_servers; i++) {
		/* a zone that is not there (any more) has the number 0, and connecting says so */
		if (c->servers[i].zone[0])
			c->servers[i].scope = if_nametoindex(c->servers[i].zone);
	}
	buf_done(&conf);
	buf_done(&names);
	return r;
}

void resolve_conf_done(struct resolve_conf *c)
{
	free(c->hosts);
	free(c->names);
	*c = (struct resolve_conf){ .n_servers = 0 };
}
