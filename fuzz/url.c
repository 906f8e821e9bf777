/* SPDX-License-Identifier: Apache-2.0 */
/* A URL that a browser may be asked to open. What is accepted holds no byte that a terminal or a shell obeys, and its host is the one that a second, simple look finds. */
#include "fuzz.h"

#include <errno.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct err e = ERR_INIT;
	struct url u = { .port = 1 };
	struct net_addr addr;
	char host[sizeof(u.host)];
	size_t i, at, n;
	int r = url_parse(&u, text, size, &e);

	FUZZ_REQUIRE(r == 0 || r == -EINVAL);
	if (r < 0) {
		FUZZ_REQUIRE(e.msg[0] && u.port == 1);
		for (i = 0; e.msg[i]; i++)
			FUZZ_REQUIRE(e.msg[i] >= ' ' && e.msg[i] < 0x7f);
		return 0;
	}
	FUZZ_REQUIRE(size <= URL_MAX && size > 7 && memcmp(text, "http", 4) == 0);
	for (i = 0; i < size; i++)
		FUZZ_REQUIRE(text[i] > ' ' && text[i] < 0x7f && !strchr("'\"`$\\<>{}|^", text[i]));
	at = text[4] == 's' ? 8 : 7;
	n = strlen(u.host);
	FUZZ_REQUIRE(n > 0 && at + n <= size);
	for (i = 0; i < n; i++) {
		host[i] = text[at + i];
		if (host[i] >= 'A' && host[i] <= 'Z' && u.host[0] != '[')
			host[i] = (char)(host[i] | 0x20);
	}
	FUZZ_REQUIRE(memcmp(host, u.host, n) == 0);
	/* behind it: a final dot, a port, or the rest */
	at += n + (at + n < size && text[at + n] == '.');
	FUZZ_REQUIRE(at == size || strchr(":/?#", text[at]));
	FUZZ_REQUIRE(strcmp(u.host, "localhost") != 0);
	if (net_addr_parse(&addr, u.host[0] == '[' ? u.host + 1 : u.host,
			   u.host[0] == '[' ? n - 2 : n))
		FUZZ_REQUIRE(net_addr_class(&addr) == NET_CLASS_PUBLIC);
	FUZZ_REQUIRE((u.back == URL_BACK_NONE) == (u.port == 0) && (u.port == 0 || u.port >= 1024));
	return 0;
}
