/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/util.h"

#define PORT_SSH 22u

bool ssh_grant_any(const struct ssh_grant *g)
{
	return strcmp(g->host, "*") == 0;
}

bool ssh_grant_file(const struct ssh_grant *g)
{
	static const char *const begins[] = { "/", "./", "../", "~/" };
	size_t i;

	/* fingerprints and comments may hold a slash, too */
	for (i = 0; i < ARRAY_SIZE(begins); i++) {
		if (strncmp(g->key, begins[i], strlen(begins[i])) == 0)
			return true;
	}
	return false;
}

/* Letters of names and addresses; no wildcards, which known_hosts may have, and no spaces, which end a field there. */
static bool host_chars(const char *p, size_t n, bool address)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char c = p[i];

		if ((c >= '0' && c <= '9') || c == '.' || (address && c == ':') ||
		    (c >= 'a' && c <= (address ? 'f' : 'z')) ||
		    (c >= 'A' && c <= (address ? 'F' : 'Z')))
			continue;
		if (address || (c != '-' && c != '_'))
			return false;
	}
	return n > 0 && n < 254 && (address || (p[0] != '-' && p[0] != '.'));
}

/* ":PORT" or nothing. Return: the port; 0: neither. */
static unsigned int port_of(const char *p)
{
	unsigned int v = 0;

	if (!*p)
		return PORT_SSH;
	if (*p != ':' || !p[1] || p[1] == '0')
		return 0;
	for (p++; *p >= '0' && *p <= '9' && v <= 65535; p++)
		v = v * 10 + (unsigned int)(*p - '0');
	return *p || v > 65535 ? 0 : v;
}

static int parse_host(struct ssh_grant *g, const char *text, struct err *e)
{
	const bool bracket =
		*text == '['; /* around an address, or a name with a port, as known_hosts has it */
	const char *from = text + bracket;
	const size_t n = strcspn(from, bracket ? "]" : ":");
	const char *end = from + n;
	unsigned int port;
	char *p;

	if (strcmp(text, "*") == 0) {
		(void)snprintf(g->host, sizeof(g->host), "*");
		return 0;
	}
	if ((bracket && *end != ']') || !host_chars(from, n, memchr(from, ':', n) != NULL))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"'%.100s' is no host: a name or an address as known_hosts has it, with [] around IPv6; or * for all of them",
			text);
	port = port_of(end + bracket);
	if (!port)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "'%.100s': the port is a number from 1 to 65535", text);
	/* as OpenSSH writes it; it fits */
	if (port == PORT_SSH)
		(void)snprintf(g->host, sizeof(g->host), "%.*s", (int)n, from);
	else
		(void)snprintf(g->host, sizeof(g->host), "[%.*s]:%u", (int)n, from, port);
	for (p = g->host; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
	return 0;
}

int ssh_grant_parse(struct ssh_grant *ret, const char *text, struct err *e)
{
	const char *at = strrchr(text, '@');
	struct ssh_grant g;
	size_t i, n;
	int r;

	if (!at || !at[1])
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"'%.100s': the host is missing: %.100s@HOST, or %.100s@* for every host that known_hosts lists",
			text, text, text);
	n = (size_t)(at - text);
	if (n == 0)
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': the key is missing", text);
	if (n >= sizeof(g.key))
		return err_set(e, ERR_USAGE, -E2BIG,
			       "'%.100s': the key's name is longer than %u bytes", text,
			       SSH_KEY_MAX - 1);
	for (i = 0; i < n; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "the key's name has a control character");
	}
	memcpy(g.key, text, n);
	g.key[n] = '\0';
	r = parse_host(&g, at + 1, e);
	if (r == 0)
		*ret = g;
	return r;
}
