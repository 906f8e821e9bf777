/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What counts is what only a rule was missing for ("missing" of a refusal), and what the mode alone let through. A run decides
 * what it asks for, so what a rule could give beyond a public host never comes in: addresses that are not public, names of private networks, wildcards,
 * the host itself. Those are notes.
 *
 * A rule without a port is for TLS and HTTP, whatever the port; it is written for 80 and 443. Other ports are named, and so are these where
 * something else was spoken there.
 */
#include "learn-hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minimal.h"
#include "policy/policy.h"
#include "request-text.h"

#define SEARCH_MAX 32
#define TEXT_MAX (NET_HOST_MAX + 32u)

/* How it was asked for. */
enum how {
	HOW_NAME = 1,   /* a name server was asked, nothing more */
	HOW_WEB = 2,    /* TLS or HTTP, as far as anybody knows */
	HOW_OPAQUE = 4, /* something else */
	HOW_UNSURE = 8, /* nothing was said */
	HOW_UDP = 16,
};

struct wish {
	const char *host; /* or NULL */
	struct net_addr addr;
	uint16_t port; /* 0: 80 or 443, or nobody knows */
	unsigned int how;
};

struct learn_hosts {
	struct arena arena;
	struct wish wishes[LIMIT_LEARNED];
	const char *rules[2 * LIMIT_LEARNED], *said[LIMIT_REPORTED], *search[SEARCH_MAX];
	size_t n, n_rules, n_said, n_search;
	unsigned long long more, more_said;
	bool lost, refused;
};

struct learn_hosts *learn_hosts_new(void)
{
	struct learn_hosts *h = calloc(1, sizeof(*h));

	if (h)
		h->arena = (struct arena)ARENA_INIT(LIMIT_ARENA);
	return h;
}

struct learn_hosts *learn_hosts_free(struct learn_hosts *h)
{
	if (h)
		arena_done(&h->arena);
	free(h);
	return NULL;
}

void learn_hosts_lost(struct learn_hosts *h)
{
	h->lost = true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

void learn_hosts_search(struct learn_hosts *h, const char *text, size_t len)
{
	const char *end = text + len, *line, *next, *p, *word;
	char name[NET_HOST_MAX + 1];
	bool is;

	for (line = text; line < end; line = next) {
		p = memchr(line, '\n', (size_t)(end - line));
		p = p ? p : end;
		next = p < end ? p + 1 : end;
		is = false;
		for (word = line; word < p;) {
			size_t n = 0;

			while (word < p && is_space(*word))
				word++;
			while (word + n < p && !is_space(word[n]))
				n++;
			if (is && h->n_search < SEARCH_MAX &&
			    net_host_canon(word, n, name, NULL) > 0 &&
			    (h->search[h->n_search] = arena_strdup(&h->arena, name)))
				h->n_search++;
			if (!is && !(n == 6 && (memcmp(word, "search", 6) == 0 ||
						memcmp(word, "domain", 6) == 0)))
				break;
			is = true;
			word += n;
		}
	}
}

/* --- what was asked for --- */

static bool same_host(const struct wish *a, const struct wish *b)
{
	if (a->host || b->host)
		return a->host && b->host && strcmp(a->host, b->host) == 0;
	return memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

static void add(struct learn_hosts *h, const struct net_rule *r, unsigned int how)
{
	struct wish w = {
		.host = r->host,
		.addr = r->addr,
		.port = r->port,
		.how = how | (r->proto & NET_UDP ? HOW_UDP : 0),
	};
	size_t i;

	for (i = 0; i < h->n; i++) {
		struct wish *o = &h->wishes[i];

		if (same_host(o, &w) && o->port == w.port &&
		    (o->how & HOW_UDP) == (w.how & HOW_UDP)) {
			o->how |= w.how;
			return;
		}
	}
	if (h->n == LIMIT_LEARNED) {
		h->more++;
		return;
	}
	w.host = w.host ? arena_strdup(&h->arena, w.host) : NULL;
	if (r->host && !w.host)
		h->more++;
	else
		h->wishes[h->n++] = w;
}

/* @request: of what was looked into, or "" */
static void note(struct learn_hosts *h, const char *why, const char *what, const char *port,
		 const char *request, const char *reason)
{
	struct buf b = BUF_INIT(4096);
	char *text = NULL;
	size_t i;

	buf_puts(&b, "bailey: learn: not in the policy");
	if (why)
		buf_printf(&b, " (%s)", why);
	buf_puts(&b, ": network ");
	buf_quote(&b, what);
	if (port)
		buf_printf(&b, ":%s", port);
	buf_quote(&b, request);
	if (reason) {
		buf_puts(&b, " ");
		buf_puts(&b, strncmp(reason, "denied", 6) == 0 ? "" : "denied: ");
		buf_quote(&b, reason);
	}
	buf_puts(&b, "\n");
	for (i = 0; !b.failed && i < h->n_said; i++) {
		if (strcmp(h->said[i], b.data) == 0) {
			buf_done(&b);
			return;
		}
	}
	if (!b.failed && h->n_said < LIMIT_REPORTED)
		text = arena_strdup(&h->arena, b.data);
	if (text)
		h->said[h->n_said++] = text;
	else
		h->more_said++;
	buf_done(&b);
}

/* Names that are, or may be, somebody's own: what they lead to differs from place to place. */
static bool is_private_name(const char *host)
{
	static const char *const below[] = { "internal", "local",     "localdomain", "localhost",
					     "lan",      "home",      "corp",        "intranet",
					     "private",  "home.arpa", "ts.net" };
	size_t i, n, len = strlen(host);

	if (!strchr(host, '.'))
		return true;
	for (i = 0; i < ARRAY_SIZE(below); i++) {
		n = strlen(below[i]);
		if (len > n && host[len - n - 1] == '.' && strcmp(host + len - n, below[i]) == 0)
			return true;
	}
	return false;
}

/* Why no rule for it is made by itself. Return: NULL: it is. */
static const char *unfit(const struct net_rule *r)
{
	switch (r->what) {
	case NET_RULE_CIDR:
		if (r->prefix != 128)
			return "it is no single address";
		return net_addr_class(&r->addr) != NET_CLASS_PUBLIC ? "it is no public address" :
								      NULL;
	case NET_RULE_HOST:
		if (is_private_name(r->host))
			return "it is a name of a private network; name it yourself if it is meant";
		return r->host[0] == '_' ? "it is a service's name, no host's" : NULL;
	case NET_RULE_SUBDOMAINS:
	case NET_RULE_ANY:
		break;
	}
	return "it is no single host";
}

/* --- lines --- */

struct line {
	const char *event, *via, *name, *address, *port, *rule, *origin, *reason, *missing, *spoken,
		*decision, *method, *target;
};

static void read_line(const struct json_node *root, struct line *l)
{
	const struct {
		const char *key, **to;
	} keys[] = { { "event", &l->event },      { "via", &l->via },
		     { "name", &l->name },        { "address", &l->address },
		     { "port", &l->port },        { "rule", &l->rule },
		     { "origin", &l->origin },    { "reason", &l->reason },
		     { "missing", &l->missing },  { "spoken", &l->spoken },
		     { "method", &l->method },    { "target", &l->target },
		     { "decision", &l->decision } };
	const struct json_node *n;
	size_t i;

	*l = (struct line){ .event = "" };
	for (n = root->type == JSON_OBJECT ? root->first : NULL; n; n = n->next) {
		for (i = 0; i < ARRAY_SIZE(keys); i++) {
			if (strcmp(n->key, keys[i].key) == 0 &&
			    (n->type == JSON_STRING || n->type == JSON_NUMBER))
				*keys[i].to = n->text;
		}
	}
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* Let through by the mode, or by somebody's word during the run. */
static bool by_no_rule(const struct line *l)
{
	return !l->rule || is(l->origin, "answered") || is(l->origin, "live");
}

static void refused(struct learn_hosts *h, const struct line *l, struct arena *a)
{
	const char *what = l->name ? l->name : l->address, *why = NULL;
	struct net_rule r;

	if (!what)
		return;
	if (l->missing && net_rule_parse(&r, l->missing, true, false, false, POLICY_COMMAND, "log",
					 NULL, a, NULL) == 0) {
		why = unfit(&r);
		if (!why) {
			h->refused = true;
			add(h, &r,
			    is(l->via, "dns")             ? HOW_NAME :
			    r.port == 80 || r.port == 443 ? HOW_OPAQUE :
							    HOW_UNSURE);
			return;
		}
	}
	note(h, why, what, l->port, "", why ? NULL : l->reason);
}

/* What rules of requests deny is no matter of hosts: it is said, without what may be secret of it. */
static void refused_request(struct learn_hosts *h, const struct line *l, struct arena *a)
{
	const char *what = l->name ? l->name : l->address, *text;

	text = request_text_of(l->method, l->target, a);
	text = text ? arena_printf(a, " %s", text) : NULL;
	if (what)
		note(h, NULL, what, l->port, text ? text : "",
		     l->reason ? l->reason : "a rule denies this request");
}

static void passed(struct learn_hosts *h, const struct line *l, struct arena *a)
{
	const char *what = l->name ? l->name : l->address, *text, *why = NULL;
	struct net_addr addr;
	struct net_rule r;

	/* what a rule of requests opens stays behind that rule; of the others somebody else decides */
	if (!what || !l->port || is(l->via, "published") || is(l->via, "dns") ||
	    is(l->via, "forward") || is(l->via, "external") || !by_no_rule(l))
		return;
	text = arena_printf(a, !l->name && strchr(what, ':') ? "[%s]:%s%s" : "%s:%s%s", what,
			    l->port, is(l->via, "udp") ? "/udp" : "");
	if (!text ||
	    net_rule_parse(&r, text, true, false, false, POLICY_COMMAND, "log", NULL, a, NULL) < 0)
		return; /* the gateway writes no such name */
	why = unfit(&r);
	if (!why && l->address && net_addr_parse(&addr, l->address, strlen(l->address)) &&
	    net_addr_class(&addr) != NET_CLASS_PUBLIC)
		why = "it leads to no public address";
	if (why)
		note(h, why, what, l->port, "", NULL);
	else
		add(h, &r, is(l->spoken, "opaque") ? HOW_OPAQUE : l->spoken ? HOW_WEB : HOW_UNSURE);
}

void learn_hosts_line(struct learn_hosts *h, const char *text, size_t len)
{
	struct arena a = ARENA_INIT(1u << 17);
	const struct json_node *root;
	struct line l;

	if (json_read("log", text, len, &a, &root, NULL) < 0) {
		h->lost = true;
	} else {
		read_line(root, &l);
		if (is(l.event, "deny"))
			refused(h, &l, &a);
		else if (is(l.event, "request") && is(l.decision, "deny"))
			refused_request(h, &l, &a);
		else if (is(l.event, "open") || is(l.event, "close"))
			passed(h, &l, &a);
		else if (is(l.event, "dropped"))
			h->lost = true;
	}
	arena_done(&a);
}

/* --- the policy --- */

static int compare(const void *pa, const void *pb)
{
	const struct wish *a = pa, *b = pb;
	int r;

	if (!a->host != !b->host)
		return a->host ? -1 : 1;
	r = a->host ? strcmp(a->host, b->host) : memcmp(&a->addr, &b->addr, sizeof(a->addr));
	if (r == 0)
		r = (int)a->port - (int)b->port;
	return r ? r : (int)(a->how & HOW_UDP) - (int)(b->how & HOW_UDP);
}

static bool is_web_port(uint16_t port)
{
	return port == 0 || port == 80 || port == 443;
}

/* Whether a rule without a port is written for it. */
static bool is_plain(const struct wish *w)
{
	return !(w->how & HOW_UDP) && is_web_port(w->port) &&
	       (!(w->how & HOW_OPAQUE) || (w->how & HOW_WEB));
}

/* A resolver's try: another name of the run, with a search domain behind it. */
static bool is_searched(const struct learn_hosts *h, const struct wish *w)
{
	size_t i, k, n, len = strlen(w->host);

	for (k = 0; k < h->n_search; k++) {
		n = strlen(h->search[k]);
		if (len <= n + 1 || w->host[len - n - 1] != '.' ||
		    strcmp(w->host + len - n, h->search[k]) != 0)
			continue;
		for (i = 0; i < h->n; i++) {
			const char *o = h->wishes[i].host;

			if (o && strlen(o) == len - n - 1 && memcmp(o, w->host, len - n - 1) == 0)
				return true;
		}
	}
	return false;
}

/* Of a name that was only looked up, whatever else is known about it says more. */
static bool says_less(const struct learn_hosts *h, const struct wish *w)
{
	size_t i;

	if (w->how != HOW_NAME)
		return false;
	for (i = 0; i < h->n; i++) {
		if (&h->wishes[i] != w && same_host(&h->wishes[i], w))
			return true;
	}
	return is_searched(h, w);
}

static void put(struct learn_hosts *h, const struct wish *w, bool port)
{
	char text[NET_ADDR_TEXT];
	const char *rule, *host = w->host;

	if (!host) {
		net_addr_text(&w->addr, text);
		host = text;
	}
	if (port)
		rule = arena_printf(&h->arena,
				    !w->host && strchr(host, ':') ? "[%s]:%u%s" : "%s:%u%s", host,
				    w->port, w->how & HOW_UDP ? "/udp" : "");
	else
		rule = arena_strdup(&h->arena, host);
	if (!rule)
		h->more++;
	else if (h->n_rules == 0 || strcmp(h->rules[h->n_rules - 1], rule) != 0)
		h->rules[h->n_rules++] = rule;
}

/* The rules of one host, @n wishes. */
static void put_host(struct learn_hosts *h, const struct wish *w, size_t n)
{
	bool plain = false;
	size_t i;

	for (i = 0; i < n && !plain; i++) {
		plain = is_plain(&w[i]) && !says_less(h, &w[i]);
		if (plain)
			put(h, w, false);
	}
	for (i = 0; i < n; i++) {
		if (says_less(h, &w[i]) || w[i].port == 0)
			continue;
		if ((w[i].how & (HOW_OPAQUE | HOW_UDP)) ||
		    (!is_web_port(w[i].port) && !(plain && (w[i].how & HOW_WEB))))
			put(h, &w[i], true);
	}
}

static void put_key(const struct learn_hosts *h, const char *key, size_t from, size_t to,
		    bool first, struct buf *out)
{
	struct json j = { .out = out };
	size_t i;

	if (from == to)
		return;
	buf_printf(out, "%s\n    \"%s\": [", first ? "" : ",", key);
	for (i = from; i < to; i++) {
		buf_puts(out, i == from ? "\n      " : ",\n      ");
		j = (struct json){ .out = out };
		json_str(&j, NULL, h->rules[i]);
	}
	buf_puts(out, "\n    ]");
}

bool learn_hosts_policy(struct learn_hosts *h, struct buf *out)
{
	size_t i, n, names = 0;

	qsort(h->wishes, h->n, sizeof(*h->wishes), compare);
	h->n_rules = 0;
	for (i = 0; i < h->n; i += n) {
		for (n = 1; i + n < h->n && same_host(&h->wishes[i], &h->wishes[i + n]); n++)
			;
		put_host(h, &h->wishes[i], n);
		if (h->wishes[i].host)
			names = h->n_rules;
	}
	if (h->n_rules == 0)
		return false;
	buf_puts(out, "\"network\": {");
	put_key(h, "allowedDomains", 0, names, true, out);
	put_key(h, "allowedAddresses", names, h->n_rules, names == 0, out);
	buf_puts(out, "\n  }");
	return true;
}

/* Many names below one are no wildcard by themselves: that is for more than was asked for. */
static void note_siblings(const struct learn_hosts *h, struct buf *out)
{
	size_t i, k, n;

	for (i = 0; i < h->n; i++) {
		const char *dot = h->wishes[i].host ? strchr(h->wishes[i].host, '.') : NULL;
		bool first = true;

		if (!dot || net_public_suffix(dot + 1))
			continue;
		n = 0;
		for (k = 0; k < h->n; k++) {
			const char *o = h->wishes[k].host ? strchr(h->wishes[k].host, '.') : NULL;

			if (!o || strcmp(o, dot) != 0 ||
			    (k > 0 && same_host(&h->wishes[k - 1], &h->wishes[k])))
				continue;
			first = first && k >= i;
			n++;
		}
		if (first && n > MINIMAL_SIBLINGS &&
		    (i == 0 || !same_host(&h->wishes[i - 1], &h->wishes[i])))
			buf_printf(
				out,
				"bailey: learn: %zu names are below %s; '*%s' would be one rule for these and all others there\n",
				n, dot + 1, dot);
	}
}

void learn_hosts_notes(const struct learn_hosts *h, struct buf *out)
{
	size_t i;

	if (h->lost)
		buf_puts(out,
			 "bailey: learn: not everything that the network was used for was seen\n");
	for (i = 0; i < h->n_said; i++)
		buf_puts(out, h->said[i]);
	if (h->more_said)
		buf_printf(out, "bailey: learn: and %llu more refusals of the network\n",
			   h->more_said);
	if (h->more)
		buf_printf(
			out,
			"bailey: learn: and %llu more hosts; learn again with the policy so far\n",
			h->more);
	note_siblings(h, out);
	if (h->refused)
		buf_puts(
			out,
			"bailey: learn: hosts were refused, and a program may stop at the first: learn again with the policy so far, or "
			"with --network allow, which lets through and names every public host. A name that was refused was not looked up: "
			"its rule is for a private address, too, should it lead to one\n");
}
