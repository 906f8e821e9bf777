/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of srt's network lists in the words of net.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net.h"
#include "srt.h"

/* @n bytes, without the zone behind "%". */
static size_t without_zone(const char *s, size_t n)
{
	const char *zone = memchr(s, '%', n);

	return zone ? (size_t)(zone - s) : n;
}

int srt_net_host(const char *entry, char *out)
{
	const char *host = entry, *colon = strrchr(entry, ':'), *close, *port = "";
	size_t n = strlen(entry);
	bool v6 = *entry == '[';
	int len;

	if (v6) {
		close = strchr(entry, ']');
		if (!close)
			return -EINVAL;
		host++;
		n = (size_t)(close - host);
		port = close + 1;
	} else if (colon && colon == strchr(entry, ':')) {
		n = (size_t)(colon - entry);
		port = colon;
	} else if (colon) {
		v6 = true;
	}
	if (v6)
		n = without_zone(host, n);
	if (n == 1 && *host == '*')
		len = snprintf(out, SRT_NET_TEXT, "**%s", port);
	else
		len = snprintf(out, SRT_NET_TEXT, v6 ? "[%.*s]%s" : "%.*s%s", (int)n, host, port);
	return len < 0 || len >= (int)SRT_NET_TEXT ? -EINVAL : 0;
}

int srt_net_range(const char *entry, char *out)
{
	const char *slash = strchr(entry, '/'), *p;
	size_t n = slash ? (size_t)(slash - entry) : strlen(entry);
	unsigned int prefix = 0, i;
	char text[NET_ADDR_TEXT];
	struct net_addr a;
	bool dotted;

	n = without_zone(entry, n);
	dotted = !memchr(entry, ':', n);
	if (!net_addr_parse(&a, entry, n))
		return -EINVAL;
	for (p = slash ? slash + 1 : "128"; *p >= '0' && *p <= '9' && prefix <= 128; p++)
		prefix = prefix * 10 + (unsigned int)(*p - '0');
	if (slash && dotted)
		prefix += 96;
	if (*p || (slash && p == slash + 1) || prefix > 128 || (net_addr_is_v4(&a) && prefix < 96))
		return -EINVAL;
	/* what is beyond the prefix does not count there, and is refused here */
	for (i = prefix; i < 128; i++)
		a.b[i / 8] = (unsigned char)(a.b[i / 8] & ~(0x80u >> i % 8));
	/* read as one of IPv4 now */
	net_addr_text(&a, text);
	(void)snprintf(out, SRT_NET_TEXT, "%s/%u", text, net_addr_is_v4(&a) ? prefix - 96 : prefix);
	return 0;
}

/* The code point of a valid sequence of @len bytes. */
static uint32_t code_point(const unsigned char *s, size_t len)
{
	static const unsigned char first[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = s[0] & first[len];
	size_t i;

	for (i = 1; i < len; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

/* What srt shows as a blank: it moves the cursor, or what stands beside it. */
static bool is_unsafe(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = { { 0, 0x1f },         { 0x7f, 0x9f },     { 0xad, 0xad },
		       { 0x61c, 0x61c },    { 0x200b, 0x200f }, { 0x2028, 0x202e },
		       { 0x2060, 0x2064 },  { 0x2066, 0x2069 }, { 0xfeff, 0xfeff },
		       { 0xe0000, 0xe007f } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	}
	return false;
}

void srt_net_reason(const char *text, char *out)
{
	const unsigned char *s = (const unsigned char *)text;
	bool blank = false; /* the last was no character to be shown */
	size_t len, n = 0;

	for (; *s; s += len ? len : 1) {
		len = buf_utf8_len(s);
		if (*s == '<' || *s == '>')
			continue;
		if (len == 0 || is_unsafe(code_point(s, len))) {
			if (!blank && n < LIMIT_NET_REASON)
				out[n++] = ' ';
			blank = true;
			continue;
		}
		if (n + len > LIMIT_NET_REASON)
			break;
		memcpy(out + n, s, len);
		n += len;
		blank = false;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	len = strspn(out, " ");
	memmove(out, out + len, n - len + 1);
}
