/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of srt's network lists, as rules. */
#include "tap.h"

#include <errno.h>

#include "policy/policy.h"

/* @want: NULL when it can't be said */
static void host(const char *entry, const char *want)
{
	char out[SRT_NET_TEXT] = "";
	int r = srt_net_host(entry, out);

	if (want ? r < 0 || strcmp(out, want) != 0 : r == 0)
		FAIL("'%s' became '%s' (%d)", entry, out, r);
}

/* What is accepted must be a rule. */
static void range(const char *entry, const char *want)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	char out[SRT_NET_TEXT] = "";
	struct net_rule rule;
	struct err e = ERR_INIT;
	int r = srt_net_range(entry, out);

	if (want ? r < 0 || strcmp(out, want) != 0 : r == 0)
		FAIL("'%s' became '%s' (%d)", entry, out, r);
	if (r == 0 &&
	    net_rule_parse(&rule, out, false, true, false, POLICY_USER, "", NULL, &a, &e) < 0)
		FAIL("%s", e.msg);
	arena_done(&a);
}

TEST(hosts)
{
	char name[600];

	host("example.com", "example.com");
	host("*.example.com", "*.example.com");
	host("example.com:443", "example.com:443");
	host("*", "**");
	host("*:22", "**:22");
	host("localhost:8080", "localhost:8080");
	host("1.2.3.4:22", "1.2.3.4:22");
	host("[::1]", "[::1]");
	host("[::1]:8080", "[::1]:8080");
	host("[fe80::1%eth0]:80", "[fe80::1]:80");
	host("::1", "[::1]");
	host("[::1", NULL);
	memset(name, 'a', sizeof(name));
	name[599] = '\0';
	host(name, NULL);
}

TEST(ranges)
{
	range("10.0.0.0/8", "10.0.0.0/8");
	range("10.1.2.3/8", "10.0.0.0/8");
	range("192.168.1.10", "192.168.1.10/32");
	range("0.0.0.0/0", "0.0.0.0/0");
	range("fc00::/7", "fc00::/7");
	range("fd12::1/8", "fd00::/8");
	range("::1", "::1/128");
	range("::/0", "::/0");
	range("fe80::1%eth0/64", "fe80::/64");
	range("::ffff:10.1.2.3/104", "10.0.0.0/8");
	range("::ffff:10.1.2.3", "10.1.2.3/32");
	range("::ffff:0:0/95", NULL);
	range("10.0.0.0/33", NULL);
	range("fd00::/129", NULL);
	range("fd00::/", NULL);
	range("example.com", NULL);
}

TEST(reasons)
{
	char text[600], out[LIMIT_NET_REASON + 1];

	srt_net_reason("plain", out);
	CHECK_STR(out, "plain");
	srt_net_reason("two\r\nlines\x7f\xff", out);
	CHECK_STR(out, "two lines");
	srt_net_reason(" \x1b[1mb<c>\xc2\x85\xe2\x80\xae\n\xc3\xbc\xe2\x80\x93 ", out);
	CHECK_STR(out, "[1mbc \xc3\xbc\xe2\x80\x93");
	srt_net_reason("<\r\n>", out);
	CHECK_STR(out, "");
	memset(text, 'a', sizeof(text));
	memcpy(text + 199, "\xc3\xbc", 3);
	srt_net_reason(text, out);
	CHECK(strlen(out) == 199); /* no half of a character */
	text[198] = '\0';
	memcpy(text + 198, "\xc3\xbc", 3);
	srt_net_reason(text, out);
	CHECK(strlen(out) == 200);
}
