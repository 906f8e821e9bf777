/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `srt proxy`: srt's proxy alone, for a host that runs the command elsewhere. Its words are checked as srt does; what decides about requests there is a program at the other
 * end of a descriptor, with a protocol of srt's own, which is not spoken here. So nothing is opened: a proxy that asks nobody would let everything through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "srt.h"

struct proxy_words {
	const char *listen_fd, *listen, *decider_fd, *decider_in, *decider_out, *lifeline_fd,
		*ca_fd;
	bool any_interface, header_set;
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
			for (; args[1] && args[1][0] != '-'; args++)
				;
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

static int check_listen(const struct proxy_words *w)
{
	const char *colon = strrchr(w->listen, ':');
	char host[256] = "";
	size_t n = colon ? (size_t)(colon - w->listen) : 0;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strlen(colon + 1) > 5 || strtol(colon + 1, NULL, 10) > 65535 || n >= sizeof(host))
		return fail(
			"srt proxy: --listen needs <host:port> with a port from 0 to 65535 (got \"",
			w->listen, "\")");
	if (n > 1 && w->listen[0] == '[' && w->listen[n - 1] == ']')
		memcpy(host, w->listen + 1, n - 2);
	else
		memcpy(host, w->listen, n);
	if (is_loopback(host) || w->any_interface)
		return 0;
	return fail(
		"srt proxy: --listen \"", w->listen,
		"\" is not a loopback address (127.0.0.0/8, [::1] or localhost); pass --listen-any-interface to bind it anyway");
}

int srt_proxy(const char *const *args)
{
	struct proxy_words w = { .listen = NULL };
	int r = read_words(&w, args);

	if (r)
		return r;
	if (!is_fd(w.decider_fd) && !(is_fd(w.decider_in) && is_fd(w.decider_out)))
		return fail(
			"srt proxy: a decider is required (--decider-fd, or --decider-in and --decider-out)",
			"", "");
	if (!is_fd(w.listen_fd) && !w.listen)
		return fail("srt proxy: --listen-fd (or --listen for development) is required", "",
			    "");
	r = is_fd(w.listen_fd) ? 0 : check_listen(&w);
	if (r)
		return r;
	srt_say("srt proxy: the protocol of deciders is not spoken in this release, so nothing was opened (man bailey-srt)");
	return 1;
}
