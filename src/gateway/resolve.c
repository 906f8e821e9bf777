/* temporary */
#include "gw.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
struct resolver { struct gateway *g; char text[65536]; };
static struct resolver one;
int resolver_new(struct resolver **ret, struct gateway *g, struct err *e)
{
	FILE *f = fopen("/etc/hosts", "r");
	(void)e;
	one.g = g;
	if (f) { size_t n = fread(one.text, 1, sizeof(one.text) - 1, f); one.text[n] = 0; fclose(f); }
	*ret = &one;
	return 0;
}
void *resolver_ask(struct resolver *r, const char *host, void (*done)(void *, const struct resolve_answer *), void *arg)
{
	struct net_addr addrs[8];
	struct resolve_answer a = { .gateway = r->g, .addrs = addrs };
	char *copy = strdup(r->text), *line, *save;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *s2, *w = strtok_r(line, " \t", &s2), *n;
		if (!w || *w == '#') continue;
		while ((n = strtok_r(NULL, " \t", &s2)))
			if (strcmp(n, host) == 0 && a.n < 8 && net_addr_parse(&addrs[a.n], w, strlen(w))) a.n++;
	}
	free(copy);
	if (!a.n) { a.error = -ENOENT; a.why = "no such name"; }
	done(arg, &a);
	return NULL;
}
void *resolver_relay(struct resolver *r, const struct dns_query *q, void (*done)(void *, const struct resolve_answer *), void *arg)
{ struct resolve_answer a = { .gateway = r->g, .error = -EIO }; (void)q; done(arg, &a); return NULL; }
void resolver_cancel(struct resolver *r, void *q) { (void)r; (void)q; }
int resolver_wait_ms(struct resolver *r, uint64_t now) { (void)r; (void)now; return -1; }
void resolver_tick(struct resolver *r, uint64_t now) { (void)r; (void)now; }
