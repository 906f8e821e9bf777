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

void srt_net_reason(const char *text, char *out)
{
	size_t i, len, n = 0;

	for (i = 0; text[i]; i += len ? len : 1) {
		unsigned char c = (unsigned char)text[i];

		len = buf_utf8_len((const unsigned char *)text + i);
		if (n + (len ? len : 1) > LIMIT_NET_REASON)
			break;
		if (len == 0 || c < ' ' || c == 0x7f) {
			out[n++] = ' ';
		} else {
			memcpy(out + n, text + i, len);
			n += len;
		}
	}
	out[n] = '\0';
}
