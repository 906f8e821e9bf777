/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as a host name and as an address: what is taken is canonical, a second reading changes nothing, nothing is a name to one parser and an
 * address to another (inet_aton and inet_pton are asked), and addresses survive being printed.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "fuzz.h"
#include "policy/policy.h"

static void name(const char *text, size_t len)
{
	char host[NET_HOST_MAX + 1] = "", again[NET_HOST_MAX + 1], quoted[NET_QUOTE];
	struct err e = ERR_INIT;
	int n = net_host_canon(text, len, host, &e), i, label = 0;
	struct in_addr v4;
	struct net_addr a;

	FUZZ_REQUIRE(strlen(net_quote(text, len, quoted)) < NET_QUOTE);
	if (n < 0) {
		FUZZ_REQUIRE(n == -EINVAL && e.code == ERR_USAGE && e.msg[0] && !host[0]);
		return;
	}
	FUZZ_REQUIRE(n > 0 && n <= (int)NET_HOST_MAX && (size_t)n == strlen(host));
	FUZZ_REQUIRE((size_t)n == len || ((size_t)n + 1 == len && text[n] == '.'));
	for (i = 0; i < n; i++) {
		char c = host[i];

		FUZZ_REQUIRE((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			     c == '_' || c == '.');
		FUZZ_REQUIRE(c == text[i] || c == text[i] + 32);
		label = c == '.' ? 0 : label + 1;
		FUZZ_REQUIRE(label <= 63 && (c != '.' || (i > 0 && host[i - 1] != '.')));
	}
	FUZZ_REQUIRE(net_host_canon(host, (size_t)n, again, NULL) == n && strcmp(host, again) == 0);
	FUZZ_REQUIRE(inet_aton(host, &v4) == 0);
	FUZZ_REQUIRE(!net_addr_parse(&a, host, (size_t)n));
	(void)net_public_suffix(host); /* must end */
}

static void address(const char *text, size_t len)
{
	char out[NET_ADDR_TEXT], want[INET6_ADDRSTRLEN], s[512];
	struct net_addr a, b;
	unsigned char v4[4], v6[16];
	unsigned int bits;
	bool is = net_addr_parse(&a, text, len);

	snprintf(s, sizeof(s), "%.*s", (int)len, text);
	if (strlen(s) == len)
		FUZZ_REQUIRE(is ==
			     (inet_pton(AF_INET, s, v4) == 1 || inet_pton(AF_INET6, s, v6) == 1));
	if (!is) {
		if (len < 16)
			return;
		memcpy(a.b, text, sizeof(a.b)); /* or as the bytes of one */
	}
	net_addr_text(&a, out);
	FUZZ_REQUIRE(net_addr_parse(&b, out, strlen(out)) && memcmp(&a, &b, sizeof(a)) == 0);
	FUZZ_REQUIRE(inet_ntop(AF_INET6, a.b, want, sizeof(want)));
	/* libc prints IPv4 in some of them */
	if (!strchr(want, '.'))
		FUZZ_REQUIRE(strcmp(want, out) == 0);
	FUZZ_REQUIRE(net_addr_judge(&a, &bits) == net_addr_class(&a) && bits <= 128);
	FUZZ_REQUIRE(net_class_name(net_addr_class(&a)));
	/* the same address in a form that carries it is never less bad than private, when it is not public itself */
	if (net_addr_is_v4(&a) && net_addr_class(&a) != NET_CLASS_PUBLIC) {
		memcpy(b.b, "\x00\x64\xff\x9b\0\0\0\0\0\0\0\0", 12);
		memcpy(b.b + 12, a.b + 12, 4);
		FUZZ_REQUIRE(net_addr_class(&b) == net_addr_class(&a));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a copy of exactly this size: what is read behind it is seen */
	char *text = malloc(size ? size : 1);

	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	if (size <= 400) {
		name(text, size);
		address(text, size);
	}
	free(text);
	return 0;
}
