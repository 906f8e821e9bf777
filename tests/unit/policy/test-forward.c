/* SPDX-License-Identifier: Apache-2.0 */
/* Where an inspection rule may send requests. */
#include "policy/forward.h"

#include "tap.h"
#include "util/util.h"

#include <errno.h>

static const struct {
	const char *text, *host, *path, *authority;
	uint16_t port;
	bool tls;
} good[] = {
	{ "https://a.test", "a.test", "", "a.test", 443, true },
	{ "http://A.Test./", "a.test", "", "a.test", 80, false },
	{ "https://a.test:443//", "a.test", "", "a.test", 443, true },
	{ "https://a.test:80/x/y/", "a.test", "/x/y", "a.test:80", 80, true },
	{ "http://10.0.0.1:8080/@%41", "10.0.0.1", "/@%41", "10.0.0.1:8080", 8080, false },
	{ "https://[2001:DB8:0::1]", "2001:db8::1", "", "[2001:db8::1]", 443, true },
	{ "https://[2001:db8::1]:8443/p", "2001:db8::1", "/p", "[2001:db8::1]:8443", 8443, true },
	{ "http://host.bailey.internal:3000", "host.bailey.internal", "",
	  "host.bailey.internal:3000", 3000, false },
};

static const struct {
	const char *text, *why;
} bad[] = {
	{ "", "https://" },
	{ "https:", "https://" },
	{ "HTTPS://a.test", "https://" },
	{ "a.test", "https://" },
	{ "https://", "host and port" },
	{ "https:///x", "host and port" },
	{ "https://:443", "host and port" },
	{ "https://a.test:", "host and port" },
	{ "https://a.test:0", "host and port" },
	{ "https://a.test:65536", "host and port" },
	{ "https://a.test:044", "host and port" },
	{ "https://u:p@a.test", "user name" },
	{ "https://a.test/?q", "query" },
	{ "https://a.test#f", "fragment" },
	{ "https://a.test/a b", "byte 17 (0x20)" },
	{ "https://a.test/\xc3\xa9", "0xc3" },
	{ "https://a.test\\b.test", "0x5c" },
	{ "https://[a.test]", "no address" },
	{ "https://[10.0.0.1]", "IPv6" },
	{ "https://2001:db8::1", "host and port" },
	{ "https://0x7f.1", "0x7f.1" },
	{ "https://a..test", "a..test" },
	{ "https://*.a.test", "*.a.test" },
};

TEST(forward_good)
{
	char authority[FORWARD_AUTHORITY];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		struct forward_url f;
		struct err e = ERR_INIT;

		if (forward_parse(&f, good[i].text, &e) < 0)
			FAIL("%s: %s", good[i].text, e.msg);
		CHECK_STR(f.host, good[i].host);
		CHECK(f.n_path == strlen(good[i].path) &&
		      strncmp(f.path, good[i].path, f.n_path) == 0);
		CHECK(f.port == good[i].port && f.tls == good[i].tls);
		forward_authority(&f, authority);
		CHECK_STR(authority, good[i].authority);
	}
}

TEST(forward_bad)
{
	char text[FORWARD_MAX + 16] = "https://a.test/";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct forward_url f = { .port = 7 };
		struct err e = ERR_INIT;

		if (forward_parse(&f, bad[i].text, &e) != -EINVAL || f.port != 7)
			FAIL("%s: taken", bad[i].text);
		if (!strstr(e.msg, bad[i].why))
			FAIL("%s: \"%s\" has no \"%s\"", bad[i].text, e.msg, bad[i].why);
	}
	memset(text + strlen(text), 'a', FORWARD_MAX + 1 - strlen(text));
	{
		struct forward_url f;
		struct err e = ERR_INIT;

		CHECK(forward_parse(&f, text, &e) == -EINVAL && strstr(e.msg, "longer"));
	}
}
