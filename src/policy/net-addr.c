/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: their text, and which kind they are of. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

#define V4_BITS 96u /* leading bits of a v4-mapped address */

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

struct range {
	unsigned char b[16];
	unsigned int bits;
	enum net_class cls;
};

#define V4(a, b, c, d)                                               \
	{                                                            \
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d \
	}
#define V6(a, b, c, d)                                                                         \
	{                                                                                      \
		(a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff, (d) >> 8, (d)&0xff \
	}
#define METADATA_V6(a, b, c, last)                                       \
	{                                                                \
		(a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8,        \
			(c)&0xff, [14] = (last) >> 8, [15] = (last)&0xff \
	}

/* The longest range that holds an address has its class. IANA's special-purpose registries, and where clouds answer with credentials. */
static const struct range ranges[] = {
	{ V4(0, 0, 0, 0), 96, NET_CLASS_PUBLIC },
	{ V4(0, 0, 0, 0), 104, NET_CLASS_UNSPECIFIED },
	{ V4(10, 0, 0, 0), 104, NET_CLASS_PRIVATE },
	{ V4(100, 64, 0, 0), 106, NET_CLASS_PRIVATE },
	{ V4(100, 100, 100, 200), 128, NET_CLASS_METADATA }, /* Alibaba */
	{ V4(127, 0, 0, 0), 104, NET_CLASS_LOOPBACK },
	{ V4(168, 63, 129, 16), 128, NET_CLASS_METADATA }, /* Azure */
	{ V4(169, 254, 0, 0), 112, NET_CLASS_LINK_LOCAL },
	{ V4(169, 254, 169, 254), 128, NET_CLASS_METADATA }, /* nearly all of them */
	{ V4(169, 254, 170, 2), 128, NET_CLASS_METADATA },   /* AWS: containers */
	{ V4(169, 254, 170, 23), 128, NET_CLASS_METADATA },  /* AWS: pods */
	{ V4(172, 16, 0, 0), 108, NET_CLASS_PRIVATE },
	{ V4(192, 0, 0, 0), 120, NET_CLASS_RESERVED },
	{ V4(192, 0, 0, 192), 128, NET_CLASS_METADATA }, /* Oracle */
	{ V4(192, 88, 99, 0), 120, NET_CLASS_RESERVED }, /* relays of 6to4 */
	{ V4(192, 168, 0, 0), 112, NET_CLASS_PRIVATE },
	{ V4(198, 18, 0, 0), 111, NET_CLASS_RESERVED }, /* benchmarking; names of sandboxes */
	{ V4(224, 0, 0, 0), 100, NET_CLASS_MULTICAST },
	{ V4(240, 0, 0, 0), 100, NET_CLASS_RESERVED },
	{ { 0 }, 128, NET_CLASS_UNSPECIFIED },
	{ { [15] = 1 }, 128, NET_CLASS_LOOPBACK },
	{ V6(0x2000, 0, 0, 0), 3, NET_CLASS_PUBLIC },
	{ V6(0x2001, 2, 0, 0), 48, NET_CLASS_RESERVED },    /* benchmarking */
	{ V6(0x2001, 0x10, 0, 0), 28, NET_CLASS_RESERVED }, /* ORCHID: no addresses */
	{ V6(0x2001, 0x20, 0, 0), 28, NET_CLASS_RESERVED },
	{ V6(0x3fff, 0, 0, 0), 20, NET_CLASS_PUBLIC },     /* documentation, as 2001:db8::/32 */
	{ V6(0x64, 0xff9b, 0, 0), 96, NET_CLASS_PUBLIC },  /* NAT64 */
	{ V6(0x64, 0xff9b, 1, 0), 48, NET_CLASS_PRIVATE }, /* NAT64 of one network */
	{ V6(0xfc00, 0, 0, 0), 7, NET_CLASS_PRIVATE },
	{ METADATA_V6(0xfd00, 0xec2, 0, 0x254), 128, NET_CLASS_METADATA }, /* AWS */
	{ METADATA_V6(0xfd00, 0xec2, 0, 0x23), 128, NET_CLASS_METADATA },
	{ METADATA_V6(0xfd20, 0xce, 0, 0x254), 128, NET_CLASS_METADATA }, /* Google */
	{ V6(0xfe80, 0, 0, 0), 10, NET_CLASS_LINK_LOCAL },
	{ V6(0xfec0, 0, 0, 0), 10, NET_CLASS_PRIVATE },
	{ V6(0xff00, 0, 0, 0), 8, NET_CLASS_MULTICAST },
};

bool net_addr_is_v4(const struct net_addr *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

bool net_addr_covers(const struct net_addr *net, unsigned int bits, const struct net_addr *a)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (bits > 128 || memcmp(net->b, a->b, whole) != 0)
		return false;
	return !rest || ((net->b[whole] ^ a->b[whole]) >> (8 - rest)) == 0;
}

bool net_addr_parse(struct net_addr *ret, const char *text, size_t len)
{
	struct net_addr a = { .b = { 0 } };
	char s[NET_ADDR_TEXT];

	if (len == 0 || len >= sizeof(s) || memchr(text, '\0', len))
		return false;
	memcpy(s, text, len);
	s[len] = '\0';
	if (inet_pton(AF_INET, s, a.b + sizeof(mapped)) == 1)
		memcpy(a.b, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, s, a.b) != 1)
		return false;
	*ret = a;
	return true;
}

/* The longest run of two or more zero groups, the first of equal ones. Return: where it begins, or 8. */
static unsigned int zeros(const unsigned int *group, unsigned int *ret_n)
{
	unsigned int i, k, best = 8, n = 1;

	for (i = 0; i < 8; i = k + 1) {
		for (k = i; k < 8 && group[k] == 0; k++)
			;
		if (k - i > n) {
			best = i;
			n = k - i;
		}
	}
	*ret_n = n;
	return best;
}

void net_addr_text(const struct net_addr *a, char *out)
{
	unsigned int group[8], at, n;
	size_t i;
	int len = 0;

	if (net_addr_is_v4(a)) {
		(void)snprintf(out, NET_ADDR_TEXT, "%u.%u.%u.%u", a->b[12], a->b[13], a->b[14],
			       a->b[15]);
		return;
	}
	for (i = 0; i < 8; i++)
		group[i] = (unsigned int)a->b[2 * i] << 8 | a->b[2 * i + 1];
	at = zeros(group, &n);
	for (i = 0; i < 8; i++) {
		if (i == at) {
			len += snprintf(out + len, NET_ADDR_TEXT - (size_t)len, "::");
			i += n - 1;
		} else {
			len += snprintf(out + len, NET_ADDR_TEXT - (size_t)len, "%s%x",
					i && i != at + n ? ":" : "", group[i]);
		}
	}
}

const char *net_class_name(enum net_class c)
{
	static const char *const names[NET_CLASS_NUM] = {
		[NET_CLASS_PUBLIC] = "public",           [NET_CLASS_PRIVATE] = "private",
		[NET_CLASS_LOOPBACK] = "loopback",       [NET_CLASS_LINK_LOCAL] = "link-local",
		[NET_CLASS_METADATA] = "metadata",       [NET_CLASS_MULTICAST] = "multicast",
		[NET_CLASS_UNSPECIFIED] = "unspecified", [NET_CLASS_RESERVED] = "reserved",
	};

	return names[c];
}

static const struct range *find(const struct net_addr *a)
{
	static const struct range rest = { { 0 }, 0, NET_CLASS_RESERVED }; /* not given out */
	const struct range *best = &rest;
	struct net_addr net;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		memcpy(net.b, ranges[i].b, sizeof(net.b));
		if (net_addr_covers(&net, ranges[i].bits, a) && ranges[i].bits >= best->bits)
			best = &ranges[i];
	}
	return best;
}

/* How bad a class is: private is a matter of rules, all others but public are nothing that a name leads to. */
static int badness(enum net_class c)
{
	return c == NET_CLASS_PUBLIC ? 0 : c == NET_CLASS_PRIVATE ? 1 : 2;
}

size_t net_addr_embedded(const struct net_addr *a, struct net_addr *out)
{
	static const struct {
		unsigned char b[16];
		unsigned int bits;
		unsigned int at[2]; /* where the bytes of the IPv4 address begin */
	} forms[] = {
		{ { 0 }, 96, { 12 } },                      /* IPv4-compatible */
		{ { [8] = 0xff, [9] = 0xff }, 96, { 12 } }, /* IPv4-translated */
		{ V6(0x64, 0xff9b, 0, 0), 96, { 12 } },
		{ V6(0x64, 0xff9b, 1, 0), 48, { 6, 12 } }, /* RFC 6052: its own length, and 96 */
		{ V6(0x2001, 0, 0, 0), 32, { 4, 12 } },    /* Teredo: server, client */
		{ V6(0x2002, 0, 0, 0), 16, { 2 } },        /* 6to4 */
	};
	struct net_addr net;
	size_t i, k, n = 0;

	for (i = 0; i < ARRAY_SIZE(forms) && n == 0; i++) {
		memcpy(net.b, forms[i].b, sizeof(net.b));
		if (!net_addr_covers(&net, forms[i].bits, a))
			continue;
		for (k = 0; k < 2 && forms[i].at[k]; k++) {
			const unsigned char *p = a->b + forms[i].at[k];

			memcpy(out[n].b, mapped, sizeof(mapped));
			memcpy(out[n].b + 12, p, 4);
			if (forms[i].bits == 48 && k == 0)
				memcpy(out[n].b + 14, p + 3, 2); /* byte 8 is none of it */
			if (forms[i].bits == 32 && k == 1) {
				unsigned int j;

				for (j = 12; j < 16; j++)
					out[n].b[j] = (unsigned char)~out[n].b[j];
			}
			n++;
		}
	}
	/* ISATAP, below any prefix */
	if (n < NET_EMBEDDED && (a->b[8] & 0xfd) == 0 && a->b[9] == 0 && a->b[10] == 0x5e &&
	    a->b[11] == 0xfe) {
		memcpy(out[n].b, mapped, sizeof(mapped));
		memcpy(out[n++].b + 12, a->b + 12, 4);
	}
	return n;
}

enum net_class net_addr_judge(const struct net_addr *a, unsigned int *ret_bits)
{
	const struct range *best = find(a), *inner;
	struct net_addr v4[NET_EMBEDDED];
	size_t i, n = net_addr_embedded(a, v4);

	*ret_bits = best->bits;
	for (i = 0; i < n; i++) {
		inner = find(&v4[i]);
		if (badness(inner->cls) > badness(best->cls)) {
			best = inner;
			*ret_bits = 128; /* who means that must say exactly that */
		}
	}
	return best->cls;
}

enum net_class net_addr_class(const struct net_addr *a)
{
	unsigned int bits;

	return net_addr_judge(a, &bits);
}
