/* SPDX-License-Identifier: Apache-2.0 */
/* The strings in srt's settings: hosts, addresses, URLs, names. Each check accepts what srt's own accepts. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "srt.h"

#define HOST_MAX 1024 /* no host is longer than 253 bytes */

static const char bad_domain[] =
	"no domain pattern: expected a host with a dot (example.com), a wildcard for the names below one (*.example.com), "
	"localhost, or an IP address, IPv6 in brackets ([::1])";

/* An IPv6 address, with or without a zone behind "%". */
static bool is_ipv6(const char *s, unsigned char out[16])
{
	const char *zone = strchr(s, '%');
	size_t n = zone ? (size_t)(zone - s) : strlen(s);
	char addr[64];

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (zone &&
	    (!zone[1] || strspn(zone + 1, "0123456789abcdefghijklmnopqrstuvwxyz"
					  "ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:") != strlen(zone + 1)))
		return false;
	return inet_pton(AF_INET6, addr, out) == 1;
}

/* "443" as a port. Return: it, or 0. */
static unsigned int port_suffix(const char *s)
{
	unsigned int port = 0;
	const char *p;

	if (*s < '1' || *s > '9' || strlen(s) > 5)
		return 0;
	for (p = s; *p >= '0' && *p <= '9'; p++)
		port = port * 10 + (unsigned int)(*p - '0');
	return *p || port > 65535 ? 0 : port;
}

/* The host of an entry, without brackets and port. @out: HOST_MAX bytes. Return: false when it is too long. */
static bool split_port(const char *text, char *out)
{
	size_t n = strlen(text), host;
	const char *colon = strrchr(text, ':'), *close, *pct;

	if (n >= HOST_MAX)
		return false;
	memcpy(out, text, n + 1);
	if (*text == '[') {
		close = strchr(text, ']');
		if (!close || (close[1] && (close[1] != ':' || !port_suffix(close + 2))))
			return true; /* whole: no host pattern has brackets */
		host = (size_t)(close - text) - 1;
		memmove(out, text + 1, host);
		out[host] = '\0';
	} else if (colon && strchr(text, ':') == colon) {
		if (port_suffix(colon + 1))
			out[colon - text] = '\0';
		return true;
	} else if (!colon) {
		return true;
	}
	pct = strchr(out, '%');
	if (pct)
		out[pct - out] = '\0';
	return true;
}

const char *srt_check_domain(const char *text)
{
	unsigned char addr[16];
	const char *host = text;

	if (is_ipv6(text, addr))
		return NULL;
	if (strchr(text, '/') || strchr(text, ':'))
		return bad_domain;
	if (strcmp(text, "localhost") == 0)
		return NULL;
	if (strncmp(text, "*.", 2) == 0) {
		host = text + 2;
		if (strstr(host, ".."))
			return bad_domain;
	} else if (strchr(text, '*')) {
		return bad_domain;
	}
	if (!strchr(host, '.') || *host == '.' || host[strlen(host) - 1] == '.')
		return bad_domain;
	return NULL;
}

/* An address with several colons must stand in brackets: its end could be meant as a port. */
static bool ambiguous(const char *text)
{
	const char *colon = strchr(text, ':');

	return colon && strchr(colon + 1, ':') && *text != '[';
}

const char *srt_check_allowed_domain(const char *text)
{
	char host[HOST_MAX];

	if (ambiguous(text) || !split_port(text, host))
		return bad_domain;
	return srt_check_domain(host);
}

const char *srt_check_denied_domain(const char *text)
{
	char host[HOST_MAX];

	if (ambiguous(text) || !split_port(text, host))
		return bad_domain;
	return strcmp(host, "*") == 0 ? NULL : srt_check_domain(host);
}

static bool same(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];

		x = (unsigned char)(x >= 'A' && x <= 'Z' ? x + 32 : x);
		y = (unsigned char)(y >= 'A' && y <= 'Z' ? y + 32 : y);
		if (x != y)
			return false;
	}
	return true;
}

/* Whether @name is a name below the domain @base. */
static bool below(const char *name, const char *base)
{
	size_t n = strlen(name), b = strlen(base);

	return n > b && name[n - b - 1] == '.' && same(name + n - b, base, b);
}

bool srt_domain_covers(const char *entry, const char *pattern)
{
	unsigned char addr[16];
	char host[HOST_MAX];
	size_t n;

	if (!split_port(entry, host))
		return false;
	n = strlen(host);
	if (strncmp(pattern, "*.", 2) == 0) {
		if (strncmp(host, "*.", 2) != 0)
			return false;
		return (strlen(pattern) == n && same(pattern, host, n)) ||
		       below(pattern + 2, host + 2);
	}
	if (strcmp(host, "*") == 0)
		return true;
	if (strncmp(host, "*.", 2) == 0)
		return inet_pton(AF_INET, pattern, addr) != 1 && !is_ipv6(pattern, addr) &&
		       below(pattern, host + 2);
	return strlen(pattern) == n && same(pattern, host, n);
}

const char *srt_check_address(const char *text)
{
	static const char bad[] =
		"no address: expected an IP address or a range: 10.0.0.0/8, 192.168.1.10, fc00::/7 (IPv6 without brackets)";
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	const char *slash = strchr(text, '/'), *p;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned char addr[16];
	unsigned int prefix, max;
	char host[128], *pct;

	if (n >= sizeof(host))
		return bad;
	memcpy(host, text, n);
	host[n] = '\0';
	pct = strchr(host, '%');
	if (pct)
		*pct = '\0';
	max = inet_pton(AF_INET, host, addr) == 1 ? 32 : is_ipv6(host, addr) ? 128 : 0;
	if (!max)
		return bad;
	prefix = max;
	if (slash) {
		prefix = 0;
		for (p = slash + 1; *p >= '0' && *p <= '9' && p - slash <= 3; p++)
			prefix = prefix * 10 + (unsigned int)(*p - '0');
		if (*p || p == slash + 1 || prefix > max)
			return bad;
	}
	return max == 128 && memcmp(addr, mapped, sizeof(mapped)) == 0 && prefix < 96 ? bad : NULL;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A part of an IPv4 address as URLs have it: decimal, 0 octal or 0x hexadecimal. Return: -1: no number. */
static int64_t ipv4_part(const char *s, size_t n)
{
	unsigned int base = 10, digit;
	int64_t v = 0;
	size_t i = 0;

	if (n == 0)
		return -1;
	if (n >= 2 && s[0] == '0' && (s[1] | 32) == 'x') {
		base = 16;
		i = 2;
	} else if (n >= 2 && s[0] == '0') {
		base = 8;
		i = 1;
	}
	for (; i < n; i++) {
		digit = is_digit(s[i]) ? (unsigned int)(s[i] - '0') :
			is_letter(s[i]) && (s[i] | 32) <= 'f' ?
					 (unsigned int)((s[i] | 32) - 'a' + 10) :
					 99;
		if (digit >= base)
			return -1;
		if (v < INT64_C(1) << 40)
			v = v * base + digit;
	}
	return v;
}

/* A host whose last label is a number must be an IPv4 address. */
static bool ipv4_host(const char *s, size_t n)
{
	size_t parts = 0, start, i;
	int64_t v = 0, last = 0;

	if (n && s[n - 1] == '.')
		n--;
	for (i = n; i > 0 && s[i - 1] != '.'; i--)
		;
	for (start = i; start < n && is_digit(s[start]); start++)
		;
	if (i == n || (start < n && ipv4_part(s + i, n - i) < 0))
		return true; /* it is a name */
	for (start = 0; start <= n; start = i + 1) {
		for (i = start; i < n && s[i] != '.'; i++)
			;
		if (parts++ && last > 255)
			return false;
		v = ipv4_part(s + start, i - start);
		if (v < 0 || parts > 4)
			return false;
		last = v;
	}
	return last < (INT64_C(1) << (8 * (5 - parts)));
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	return is_letter(c) && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* "host" or "host:port" of a URL. */
static bool url_authority(const char *s, size_t n, bool special)
{
	char host[HOST_MAX];
	unsigned char addr[16];
	size_t at, colon, len = 0, i;
	unsigned long port = 0;

	for (at = n; at > 0 && s[at - 1] != '@'; at--)
		;
	s += at;
	n -= at;
	for (colon = n; colon > 0 && is_digit(s[colon - 1]); colon--)
		;
	if (colon > 0 && s[colon - 1] == ':') {
		for (i = colon; i < n && port <= 65535; i++)
			port = port * 10 + (unsigned long)(s[i] - '0');
		n = colon - 1;
		if (port > 65535 || n == 0)
			return false;
	}
	if (n >= sizeof(host))
		return false;
	if (n == 0)
		return !special && !at;
	if (s[0] == '[') {
		if (s[n - 1] != ']')
			return false;
		memcpy(host, s + 1, n - 2);
		host[n - 2] = '\0';
		return !strchr(host, '%') && is_ipv6(host, addr);
	}
	for (i = 0; i < n; i++) {
		char c = s[i];

		if (special && c == '%' && n - i > 2 && hex_digit(s[i + 1]) >= 0 &&
		    hex_digit(s[i + 2]) >= 0) {
			c = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
			i += 2;
		} else if (!special && c == '%') {
			c = 'x';
		}
		if (!c || strchr(" #/:<>?@[\\]^|", c) ||
		    (special && ((unsigned char)c < 0x20 || c == 0x7f || c == '%')))
			return false;
		host[len++] = c;
	}
	return !special || ipv4_host(host, len);
}

const char *srt_check_url(const char *text)
{
	static const char *const special[] = { "http", "https", "ws", "wss", "ftp" };
	static const char bad[] = "no URL: expected SCHEME://HOST[:PORT]";
	char s[4096] = "";
	const char *p, *colon;
	size_t n = 0, i, scheme;

	/* a URL is read without the blanks around it, and without tabs and newlines in it */
	while (*text && (unsigned char)*text <= ' ')
		text++;
	for (p = text; *p; p++) {
		if (*p == '\t' || *p == '\n' || *p == '\r')
			continue;
		if (n == sizeof(s) - 1)
			return bad;
		s[n++] = *p;
	}
	while (n && (unsigned char)s[n - 1] <= ' ')
		n--;
	s[n] = '\0';
	colon = strchr(s, ':');
	if (!colon || !is_letter(s[0]))
		return bad;
	scheme = (size_t)(colon - s);
	for (i = 1; i < scheme; i++) {
		if (!is_letter(s[i]) && !is_digit(s[i]) && !strchr("+-.", s[i]))
			return bad;
	}
	p = colon + 1;
	for (i = 0; i < ARRAY_SIZE(special); i++) {
		if (strlen(special[i]) == scheme && same(s, special[i], scheme)) {
			p += strspn(p, "/\\");
			return url_authority(p, strcspn(p, "/\\?#"), true) ? NULL : bad;
		}
	}
	if (strncmp(p, "//", 2) != 0 || (scheme == 4 && same(s, "file", 4)))
		return NULL;
	return url_authority(p + 2, strcspn(p + 2, "/?#"), false) ? NULL : bad;
}

const char *srt_check_variable(const char *text)
{
	const char *p;

	for (p = text; is_letter(*p) || *p == '_' || (p > text && is_digit(*p)); p++)
		;
	return *p || p == text ?
		       "no name of a variable: expected letters, digits and '_', no digit in front" :
		       NULL;
}

const char *srt_check_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	for (i = 0; form[i]; i++) {
		if (form[i] == '-' ? text[i] != '-' : hex_digit(text[i]) < 0)
			break;
	}
	return form[i] || text[i] ? "no GUID: expected 8-4-4-4-12 hexadecimal digits" : NULL;
}

const char *srt_check_mach(const char *text)
{
	const char *star = strchr(text, '*');

	return star && star[1] ? "a '*' can only stand at the end" : NULL;
}

bool srt_glob_special(const char *path)
{
	return strpbrk(path, "*?[]");
}
