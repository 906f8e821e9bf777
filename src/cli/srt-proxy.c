/* SPDX-License-Identifier: Apache-2.0 */
/* `srt proxy`: srt's proxy alone, for a host that runs the command elsewhere (docs/adr/0035). Its words are checked as srt does it; srt-serve.c starts what serves. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "srt-serve.h"
#include "srt.h"

struct proxy_words {
	const char *listen_fd, *listen, *decider_fd, *decider_in, *decider_out, *lifeline_fd,
		*ca_fd;
	bool any_interface, header_set;
	const char **strip; /* NULL-terminated; the caller's */
	size_t n_strip;
};

static int fail(const char *what, const char *text, const char *rest)
{
	struct buf b = BUF_INIT(4096);

	buf_puts(&b, what);
	buf_quote(&b, text);
	srt_say("%s%s", b.failed ? what : b.data, rest);
	buf_done(&b);
	return 2;
}

/* Of "--name" or "--name=value" the place of the value; NULL: another word. @n: of the name */
static const char **place(struct proxy_words *w, const char *word, size_t n)
{
	const struct {
		const char *name;
		const char **to;
	} known[] = { { "--listen-fd", &w->listen_fd },
		      { "--listen", &w->listen },
		      { "--decider-fd", &w->decider_fd },
		      { "--decider-in", &w->decider_in },
		      { "--decider-out", &w->decider_out },
		      { "--lifeline-fd", &w->lifeline_fd },
		      { "--ca-fd", &w->ca_fd } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) == n && strncmp(known[i].name, word, n) == 0)
			return known[i].to;
	}
	return NULL;
}

/* NAME… up to the next option; of "--name=NAME" that one alone. Return: the last word that is one of them. */
static const char *const *take_names(struct proxy_words *w, const char *const *args, const char *eq)
{
	if (eq)
		w->strip[w->n_strip++] = eq + 1;
	else
		w->strip[w->n_strip++] = *++args; /* whatever it looks like */
	for (; !eq && args[1] && args[1][0] != '-'; args++)
		w->strip[w->n_strip++] = args[1];
	return args;
}

/* Return: 0, or the exit status of what was said. */
static int read_words(struct proxy_words *w, const char *const *args)
{
	const char **to, *eq;
	char words[160];
	size_t n;

	for (; *args; args++) {
		eq = strchr(*args, '=');
		n = eq ? (size_t)(eq - *args) : strlen(*args);
		to = place(w, *args, n);
		if (to && !eq && !args[1]) {
			(void)snprintf(words, sizeof(words),
				       "error: option '%.60s <%s>' argument missing", *args,
				       strcmp(*args, "--listen") == 0 ? "host:port" : "fd");
			return fail(words, "", "");
		}
		if (to)
			*to = eq ? eq + 1 : *++args;
		else if (strcmp(*args, "--listen-any-interface") == 0)
			w->any_interface = true;
		else if (strcmp(*args, "--plaintext-header-set") == 0)
			w->header_set = true;
		else if (n == strlen("--strip-response-header") &&
			 strncmp(*args, "--strip-response-header", n) == 0 && (eq || args[1]))
			args = take_names(w, args, eq);
		else if (n == strlen("--strip-response-header") &&
			 strncmp(*args, "--strip-response-header", n) == 0)
			return fail(
				"error: option '--strip-response-header <name...>' argument missing",
				"", "");
		else if (**args == '-')
			return fail("error: unknown option '", *args, "'");
	}
	return 0;
}

/* A descriptor as srt reads it: digits, and what is behind them. */
static bool is_fd(const char *s)
{
	return s && *s >= '0' && *s <= '9';
}

static bool is_loopback(const char *host)
{
	struct net_addr a;
	unsigned int bits;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	return net_addr_parse(&a, host, strlen(host)) &&
	       net_addr_judge(&a, &bits) == NET_CLASS_LOOPBACK;
}

/* Of "HOST:PORT", [HOST] in brackets. Return: whether it is that. */
static bool split(const char *text, char *host, size_t size, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strlen(colon + 1) > 5 || strtol(colon + 1, NULL, 10) > UINT16_MAX || n >= size)
		return false;
	if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	memcpy(host, text, n);
	host[n] = '\0';
	*ret_port = (uint16_t)strtol(colon + 1, NULL, 10);
	return true;
}

static int check_listen(const struct proxy_words *w)
{
	char host[256];
	uint16_t port;

	if (!split(w->listen, host, sizeof(host), &port))
		return fail(
			"srt proxy: --listen needs <host:port> with a port from 0 to 65535 (got \"",
			w->listen, "\")");
	if (is_loopback(host))
		return 0;
	if (!w->any_interface)
		return fail(
			"srt proxy: --listen \"", w->listen,
			"\" is not a loopback address (127.0.0.0/8, [::1] or localhost); pass --listen-any-interface to bind it anyway");
	(void)fail("srt proxy: warning: --listen-any-interface: the listener on ", w->listen,
		   " is reachable from other hosts and is unauthenticated");
	return 0;
}

/* Return: 0 with a bound socket in @s, or an exit status. */
static int bind_listener(const struct proxy_words *w, struct srt_serve *s)
{
	struct err e = ERR_INIT;
	char host[256];
	uint16_t port = 0;

	(void)split(w->listen, host, sizeof(host), &port); /* it was checked */
	s->listener = srt_serve_bind(host, port, &e);
	return s->listener < 0 ? fail("srt proxy: ", e.msg, "") : 0;
}

/* Of the words that name descriptors: the number, which must be open; -1: the word was not given. Return: 0 or an exit status. */
static int take_fd(const char *name, const char *text, int *ret)
{
	struct stat st;
	long n = is_fd(text) ? strtol(text, NULL, 10) : -1;

	*ret = (int)n;
	if (!is_fd(text))
		return 0;
	if (n > INT_MAX || fstat((int)n, &st) < 0) {
		srt_say("srt proxy: %s %.20s: no such descriptor is open", name, text);
		return 2;
	}
	return 0;
}

static int take_fds(const struct proxy_words *w, struct srt_serve *s)
{
	int r = take_fd("--decider-in", w->decider_fd ? NULL : w->decider_in, &s->decider_in);

	if (r == 0)
		r = take_fd("--decider-out", w->decider_fd ? NULL : w->decider_out,
			    &s->decider_out);
	if (r == 0 && is_fd(w->decider_fd)) {
		r = take_fd("--decider-fd", w->decider_fd, &s->decider_in);
		s->decider_out = s->decider_in;
	}
	if (r == 0)
		r = take_fd("--lifeline-fd", w->lifeline_fd, &s->lifeline);
	if (r == 0)
		r = take_fd("--ca-fd", w->ca_fd, &s->ca);
	if (r == 0)
		r = take_fd("--listen-fd", w->listen_fd, &s->listener);
	if (r == 0 && s->listener < 0 && w->listen)
		r = bind_listener(w, s);
	return r;
}

static int check(const struct proxy_words *w)
{
	if (!is_fd(w->decider_fd) && !(is_fd(w->decider_in) && is_fd(w->decider_out)))
		return fail(
			"srt proxy: a decider is required (--decider-fd, or --decider-in and --decider-out)",
			"", "");
	if (!is_fd(w->listen_fd) && !w->listen)
		return fail("srt proxy: --listen-fd (or --listen for development) is required", "",
			    "");
	return is_fd(w->listen_fd) ? 0 : check_listen(w);
}

int srt_proxy(const char *const *args)
{
	struct proxy_words w = { .listen = NULL };
	struct srt_serve s = { .listener = -1 };
	size_t n = 0;
	int r;

	while (args[n])
		n++;
	w.strip = calloc(n + 2, sizeof(*w.strip));
	r = w.strip ? read_words(&w, args) : 1;
	if (r == 0)
		r = check(&w);
	if (r == 0)
		r = take_fds(&w, &s);
	s.given = is_fd(w.listen_fd) ? w.listen_fd : NULL;
	s.header_set = w.header_set;
	s.strip = w.strip;
	s.n_strip = w.n_strip;
	if (r == 0)
		r = srt_serve(&s);
	free(w.strip);
	return r;
}
