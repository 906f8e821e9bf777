/* SPDX-License-Identifier: Apache-2.0 */
/* Host names, addresses, rules and public suffixes, the hostile ones among them. */
#define TAP_NO_MAIN
#include "tap.h"

#include <errno.h>

#include "policy/policy.h"

#define BYTES(s) (s), sizeof(s) - 1

static struct arena arena = ARENA_INIT(LIMIT_ARENA);

static void canon(const char *text, size_t len, const char *want)
{
	char got[NET_HOST_MAX + 1] = "untouched";
	struct err e = ERR_INIT;
	int n = net_host_canon(text, len, got, &e);

	if (n != (int)strlen(want) || strcmp(got, want) != 0)
		FAIL("'%.*s' is '%s' (%d: %s), not '%s'", (int)len, text, got, n, e.msg, want);
}

/* The result stays untouched, and the message has @word and no byte that is not printable. */
static void no_host(const char *text, size_t len, const char *word)
{
	char got[NET_HOST_MAX + 1] = "untouched";
	struct err e = ERR_INIT;
	const char *p;

	if (net_host_canon(text, len, got, &e) != -EINVAL || strcmp(got, "untouched") != 0)
		FAIL("'%.*s' is taken for '%s'", (int)len, text, got);
	else if (!strstr(e.msg, word) || e.code != ERR_USAGE)
		FAIL("'%s' has no '%s'", e.msg, word);
	for (p = e.msg; *p; p++) {
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
			FAIL("the message has the byte %02x", (unsigned char)*p);
	}
}

static void test_names(__attribute__((unused)) const void *arg)
{
	canon(BYTES("example.org"), "example.org");
	canon(BYTES("EXAMPLE.Org."), "example.org");
	canon(BYTES("localhost"), "localhost");
	canon(BYTES("a"), "a");
	canon(BYTES("a.b.c.d.e.f"), "a.b.c.d.e.f");
	canon(BYTES("_dmarc.example.org"), "_dmarc.example.org");
	canon(BYTES("my_host"), "my_host");
	canon(BYTES("3com.com"), "3com.com");
	canon(BYTES("1.2.3.4.example"), "1.2.3.4.example");
	canon(BYTES("1e3"), "1e3");
	canon(BYTES("0x7g"), "0x7g");
	canon(BYTES("x0x7"), "x0x7");
	canon(BYTES("xn--bcher-kva.example"), "xn--bcher-kva.example");
	canon(BYTES("XN--PPLE-43D.com"),
	      "xn--pple-43d.com"); /* a Cyrillic a: another name than apple.com */
	canon(BYTES("a--b.r3---sn.c"), "a--b.r3---sn.c");
}

static void test_hostile_names(__attribute__((unused)) const void *arg)
{
	no_host(BYTES(""), "empty");
	no_host(BYTES("."), "empty");
	no_host(BYTES(".."), "label is empty");
	no_host(BYTES("example.org.."), "label is empty");
	no_host(BYTES(".example.org"), "label is empty");
	no_host(BYTES("example..org"), "label is empty");
	no_host(BYTES("good.org\0.evil.org"), "NUL");
	no_host(BYTES("good.org\0"), "NUL");
	no_host(BYTES("good.org\r\nHost: evil.org"), "line break");
	no_host(BYTES("good.org\n"), "line break");
	no_host(BYTES("\rgood.org"), "line break");
	no_host(BYTES("good.org "), "only letters");
	no_host(BYTES("good.org\t"), "only letters");
	no_host(BYTES("good.org\x7f"), "only letters");
	no_host(BYTES("good.org@evil.org"), "only letters");
	no_host(BYTES("good.org\\@evil.org"), "only letters");
	no_host(BYTES("good.org#.evil.org"), "only letters");
	no_host(BYTES("good.org?x"), "only letters");
	no_host(BYTES("good.org:80"), "':'");
	no_host(BYTES("https://good.org"), "':'");
	no_host(BYTES("good.org/x"), "'/'");
	no_host(BYTES("*.org"), "'*'");
	no_host(BYTES("good%2eorg"), "'%'");
	no_host(BYTES("fe80::1%eth0"), "':'");
	no_host(BYTES("fe80--1%eth0"), "'%'");
	no_host(BYTES("-good.org"), "'-'");
	no_host(BYTES("good-.org"), "'-'");
	no_host(BYTES("good.-org"), "'-'");
	no_host(BYTES("good.org-"), "'-'");
	no_host(BYTES("--help"), "'-'");
	no_host(BYTES("\xd0\xb0pple.com"), "ASCII"); /* Cyrillic */
	no_host(BYTES("b\xc3\xbc"
		      "cher.example"),
		"ASCII");
	no_host(BYTES("\xef\xbc\x91.2.3.4"), "ASCII");  /* a wide 1 */
	no_host(BYTES("good\xe3\x80\x82org"), "ASCII"); /* an ideographic full stop */
	no_host(BYTES("good\xc2\xadorg"), "ASCII");     /* a soft hyphen */
	no_host(BYTES("good.org\xff"), "ASCII");
}

static void test_addresses_are_no_names(__attribute__((unused)) const void *arg)
{
	static const char *const texts[] = {
		"127.0.0.1",
		"127.1",
		"0",
		"1",
		"2130706433",
		"017700000001",
		"0x7f000001",
		"0x7f.1",
		"0x7f.0.0.1",
		"0177.0.0.1",
		"127.0.0.1.",
		"0X7F.1",
		"0x",
		"example.0x",
		"example.0x1f",
		"1.2.3.4.5",
		"example.1",
		"256.256.256.256",
		"127.0.0.0x1",
		"00.0.0.0",
		"0xffffffffff",
		"99999999999999999999",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		no_host(texts[i], strlen(texts[i]), "address");
}

static void test_lengths(__attribute__((unused)) const void *arg)
{
	char name[300], want[300];
	size_t i;

	for (i = 0; i < sizeof(name); i++)
		name[i] = i % 64 == 63 ? '.' : 'A';
	memcpy(want, name, 253);
	for (i = 0; i < 253; i++) {
		if (want[i] == 'A')
			want[i] = 'a';
	}
	want[253] = '\0';
	canon(name, 63, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	canon(name, 253, want);
	no_host(name, 254, "253");
	no_host(name, 255, "253");
	no_host(name, 256, "253");
	no_host(name, 300, "253");
	name[253] = '.';
	canon(name, 254, want); /* the final dot does not count */
	no_host(name, 255, "253");
	memset(name, 'b', sizeof(name));
	no_host(name, 64, "63");
	no_host(name, 253, "63");
	no_host(name, 254, "253");
}

struct address {
	const char *text, *canon; /* NULL: the same */
	enum net_class cls;
};

static const struct address addresses[] = {
	{ "8.8.8.8", NULL, NET_CLASS_PUBLIC },
	{ "192.0.2.1", NULL, NET_CLASS_PUBLIC },
	{ "198.51.100.7", NULL, NET_CLASS_PUBLIC },
	{ "203.0.113.255", NULL, NET_CLASS_PUBLIC },
	{ "9.255.255.255", NULL, NET_CLASS_PUBLIC },
	{ "10.0.0.0", NULL, NET_CLASS_PRIVATE },
	{ "10.255.255.255", NULL, NET_CLASS_PRIVATE },
	{ "11.0.0.0", NULL, NET_CLASS_PUBLIC },
	{ "100.63.255.255", NULL, NET_CLASS_PUBLIC },
	{ "100.64.0.0", NULL, NET_CLASS_PRIVATE },
	{ "100.127.255.255", NULL, NET_CLASS_PRIVATE },
	{ "100.128.0.0", NULL, NET_CLASS_PUBLIC },
	{ "100.100.100.200", NULL, NET_CLASS_METADATA },
	{ "168.63.129.16", NULL, NET_CLASS_METADATA },
	{ "169.254.169.254", NULL, NET_CLASS_METADATA },
	{ "169.254.170.2", NULL, NET_CLASS_METADATA },
	{ "169.254.0.1", NULL, NET_CLASS_LINK_LOCAL },
	{ "172.15.255.255", NULL, NET_CLASS_PUBLIC },
	{ "172.16.0.0", NULL, NET_CLASS_PRIVATE },
	{ "172.31.255.255", NULL, NET_CLASS_PRIVATE },
	{ "172.32.0.0", NULL, NET_CLASS_PUBLIC },
	{ "192.168.1.1", NULL, NET_CLASS_PRIVATE },
	{ "192.0.0.192", NULL, NET_CLASS_METADATA },
	{ "192.0.0.8", NULL, NET_CLASS_RESERVED },
	{ "0.0.0.0", NULL, NET_CLASS_UNSPECIFIED },
	{ "0.1.2.3", NULL, NET_CLASS_UNSPECIFIED },
	{ "127.0.0.1", NULL, NET_CLASS_LOOPBACK },
	{ "127.255.255.255", NULL, NET_CLASS_LOOPBACK },
	{ "198.17.255.255", NULL, NET_CLASS_PUBLIC },
	{ "198.18.0.1", NULL, NET_CLASS_RESERVED },
	{ "198.19.255.255", NULL, NET_CLASS_RESERVED },
	{ "198.20.0.0", NULL, NET_CLASS_PUBLIC },
	{ "224.0.0.1", NULL, NET_CLASS_MULTICAST },
	{ "239.255.255.255", NULL, NET_CLASS_MULTICAST },
	{ "240.0.0.1", NULL, NET_CLASS_RESERVED },
	{ "255.255.255.255", NULL, NET_CLASS_RESERVED },
	{ "::", NULL, NET_CLASS_UNSPECIFIED },
	{ "::1", NULL, NET_CLASS_LOOPBACK },
	{ "0:0:0:0:0:0:0:1", "::1", NET_CLASS_LOOPBACK },
	{ "::2", NULL, NET_CLASS_RESERVED },
	{ "::127.0.0.1", "::7f00:1", NET_CLASS_RESERVED },
	{ "::ffff:127.0.0.1", "127.0.0.1", NET_CLASS_LOOPBACK },
	{ "::ffff:7f00:1", "127.0.0.1", NET_CLASS_LOOPBACK },
	{ "::FFFF:8.8.8.8", "8.8.8.8", NET_CLASS_PUBLIC },
	{ "::ffff:0:127.0.0.1", "::ffff:0:7f00:1", NET_CLASS_RESERVED },
	{ "2606:4700::1111", NULL, NET_CLASS_PUBLIC },
	{ "2001:DB8::1", "2001:db8::1", NET_CLASS_PUBLIC },
	{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", NET_CLASS_PUBLIC },
	{ "2001:db8:0:1:1:1:1:1", NULL, NET_CLASS_PUBLIC },
	{ "2001:0db8:00aa::", "2001:db8:aa::", NET_CLASS_PUBLIC },
	{ "3fff::1", NULL, NET_CLASS_PUBLIC },
	{ "4000::1", NULL, NET_CLASS_RESERVED },
	{ "100::1", NULL, NET_CLASS_RESERVED },
	{ "5f00::1", NULL, NET_CLASS_RESERVED },
	{ "2001:2::1", NULL, NET_CLASS_RESERVED },
	{ "2001:2:1::1", NULL, NET_CLASS_PUBLIC },
	{ "2001:10::1", NULL, NET_CLASS_RESERVED },
	{ "2001:2f::1", NULL, NET_CLASS_RESERVED },
	{ "fc00::1", NULL, NET_CLASS_PRIVATE },
	{ "fdff::1", NULL, NET_CLASS_PRIVATE },
	{ "fd00:ec2::254", NULL, NET_CLASS_METADATA },
	{ "fd20:ce::254", NULL, NET_CLASS_METADATA },
	{ "fe80::1", NULL, NET_CLASS_LINK_LOCAL },
	{ "febf::1", NULL, NET_CLASS_LINK_LOCAL },
	{ "fec0::1", NULL, NET_CLASS_PRIVATE },
	{ "ff02::1", NULL, NET_CLASS_MULTICAST },
	/* what carries an IPv4 address */
	{ "64:ff9b::8.8.8.8", "64:ff9b::808:808", NET_CLASS_PUBLIC },
	{ "64:ff9b::10.0.0.1", "64:ff9b::a00:1", NET_CLASS_PRIVATE },
	{ "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", NET_CLASS_LOOPBACK },
	{ "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", NET_CLASS_METADATA },
	{ "64:ff9b:1::8.8.8.8", "64:ff9b:1::808:808", NET_CLASS_UNSPECIFIED },
	{ "64:ff9b:1:808:8:800:808:808", NULL, NET_CLASS_PRIVATE },
	{ "64:ff9b:1:7f00:0:100:808:808", NULL, NET_CLASS_LOOPBACK },
	{ "64:ff9b:1:808:8:800:7f00:1", NULL, NET_CLASS_LOOPBACK },
	{ "2002:808:808::1", NULL, NET_CLASS_PUBLIC },
	{ "2002:7f00:1::1", NULL, NET_CLASS_LOOPBACK },
	{ "2002:a00:1::1", NULL, NET_CLASS_PRIVATE },
	{ "2002:a9fe:a9fe::", NULL, NET_CLASS_METADATA },
	{ "2001:0:808:808:0:0:f7f7:f7f7", "2001:0:808:808::f7f7:f7f7", NET_CLASS_PUBLIC },
	{ "2001:0:808:808:0:0:80ff:fffe", "2001:0:808:808::80ff:fffe", NET_CLASS_LOOPBACK },
	{ "2001:0:7f00:1:0:0:f7f7:f7f7", "2001:0:7f00:1::f7f7:f7f7", NET_CLASS_LOOPBACK },
	{ "2606:4700::5efe:7f00:1", NULL, NET_CLASS_LOOPBACK },
	{ "2606:4700::200:5efe:a00:1", NULL, NET_CLASS_PRIVATE },
	{ "2606:4700::5efe:808:808", NULL, NET_CLASS_PUBLIC },
};

static void test_addresses(__attribute__((unused)) const void *arg)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		const struct address *want = &addresses[i];
		char text[NET_ADDR_TEXT] = "";
		struct net_addr a, again;

		if (!net_addr_parse(&a, want->text, strlen(want->text))) {
			FAIL("'%s' is no address", want->text);
			continue;
		}
		net_addr_text(&a, text);
		if (strcmp(text, want->canon ? want->canon : want->text) != 0)
			FAIL("'%s' is printed as '%s'", want->text, text);
		if (net_addr_class(&a) != want->cls)
			FAIL("'%s' is %s, not %s", want->text, net_class_name(net_addr_class(&a)),
			     net_class_name(want->cls));
		CHECK(net_addr_parse(&again, text, strlen(text)) &&
		      memcmp(&a, &again, sizeof(a)) == 0);
		CHECK(net_addr_is_v4(&a) == !strchr(text, ':'));
	}
}

static void test_no_addresses(__attribute__((unused)) const void *arg)
{
	static const char *const texts[] = {
		"",
		"1",
		"127.1",
		"1.2.3",
		"1.2.3.4.",
		"1.2.3.4.5",
		"01.2.3.4",
		"1.2.3.256",
		"0x7f.0.0.1",
		" 1.2.3.4",
		"1.2.3.4 ",
		"+1.2.3.4",
		"1.2.3.-4",
		":",
		":::",
		"1::2::3",
		"fe80::1%lo",
		"[::1]",
		"::1/128",
		"12345::",
		"::g",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::1.2.3",
		"::1.2.3.04",
		"example.org",
		"0000:0000:0000:0000:0000:ffff:127.000.000.001",
		"1.2.3.4\n",
	};
	struct net_addr a;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		if (net_addr_parse(&a, texts[i], strlen(texts[i])))
			FAIL("'%s' is an address", texts[i]);
	}
	CHECK(!net_addr_parse(&a, BYTES("1.2.3.4\0")));
	CHECK(!net_addr_parse(&a, BYTES("::1\0x")));
	CHECK(net_addr_parse(&a, "1.2.3.45", 7) && a.b[15] == 4);
}

static int parse(struct net_rule *r, const char *text, bool allow, bool cidr, struct err *e)
{
	return net_rule_parse(r, text, allow, cidr, /* risky= */ false, POLICY_USER, "file:3", NULL,
			      &arena, e);
}

static void test_rules(__attribute__((unused)) const void *arg)
{
	struct err e = ERR_INIT;
	struct net_rule r;

	REQUIRE(parse(&r, "Example.ORG.", true, false, &e) == 0);
	CHECK(r.what == NET_RULE_HOST && r.port == 0 && r.proto == NET_TCP && r.allow);
	CHECK_STR(r.host, "example.org");
	CHECK_STR(r.text, "Example.ORG.");
	CHECK_STR(r.origin, "file:3");
	CHECK(r.layer == POLICY_USER && !r.reason);
	REQUIRE(parse(&r, "*.example.org:443/tcp", true, false, &e) == 0);
	CHECK(r.what == NET_RULE_SUBDOMAINS && r.port == 443 && r.proto == NET_TCP);
	CHECK_STR(r.host, "example.org");
	REQUIRE(parse(&r, "dns.example.org:53/udp", true, false, &e) == 0);
	CHECK(r.proto == NET_UDP && r.port == 53);
	REQUIRE(parse(&r, "**:22", true, false, &e) == 0 && r.what == NET_RULE_ANY);
	REQUIRE(parse(&r, "**", false, false, &e) == 0);
	CHECK(r.proto == (NET_TCP | NET_UDP)); /* a denial is for both */
	REQUIRE(parse(&r, "example.org/tcp", false, false, &e) == 0 && r.proto == NET_TCP);
	REQUIRE(parse(&r, "1.2.3.4:22", true, false, &e) == 0);
	CHECK(r.what == NET_RULE_CIDR && r.prefix == 128 && net_addr_is_v4(&r.addr) &&
	      r.port == 22);
	REQUIRE(parse(&r, "[::1]:65535", true, false, &e) == 0);
	CHECK(r.what == NET_RULE_CIDR && r.prefix == 128 && r.port == 65535);
	REQUIRE(parse(&r, "10.0.0.0/8", true, true, &e) == 0 && r.prefix == 104);
	REQUIRE(parse(&r, "0.0.0.0/0", true, true, &e) == 0 && r.prefix == 96);
	REQUIRE(parse(&r, "10.0.0.0/8:5432", true, true, &e) == 0 && r.port == 5432);
	REQUIRE(parse(&r, "10.0.0.0/8/tcp", true, true, &e) == 0 && r.proto == NET_TCP);
	REQUIRE(parse(&r, "10.0.0.1", true, true, &e) == 0 && r.prefix == 128);
	REQUIRE(parse(&r, "10.0.0.1:53/udp", true, true, &e) == 0 && r.proto == NET_UDP);
	REQUIRE(parse(&r, "fd00::/8", true, true, &e) == 0 && r.prefix == 8 && r.port == 0);
	REQUIRE(parse(&r, "[fd00::/8]:443", true, true, &e) == 0 && r.prefix == 8 && r.port == 443);
	REQUIRE(parse(&r, "[fd00::1]", true, true, &e) == 0 && r.prefix == 128);
	REQUIRE(parse(&r, "::/0", false, true, &e) == 0 && r.prefix == 0);
	REQUIRE(parse(&r, "::ffff:10.0.0.0/104", true, true, &e) == 0 && r.prefix == 104);
	REQUIRE(parse(&r, "*.com", false, false, &e) ==
		0); /* a denial may be as wide as it likes */
	arena_done(&arena);
}

struct refusal {
	const char *text, *word;
	bool deny, cidr;
};

static void test_refused_rules(__attribute__((unused)) const void *arg)
{
	static const struct refusal refusals[] = {
		{ "", "nothing is named", false, false },
		{ ":443", "nothing is named", false, false },
		{ "/tcp", "nothing is named", false, false },
		{ "*", "**", false, false },
		{ "***", "'*'", false, false },
		{ "*.", "'*'", false, false },
		{ ".example.org", "*.NAME", false, false },
		{ "*example.org", "*.example.com", false, false },
		{ "a.*.example.org", "*.example.com", false, false },
		{ "**.example.org", "*.example.com", false, false },
		{ "*.*.example.org", "*.example.com", false, false },
		{ "*.1.2.3.4", "number", false, false },
		{ "*.10", "number", false, false },
		{ "example.org:", "port", false, false },
		{ "example.org:0", "port", false, false },
		{ "example.org:65536", "port", false, false },
		{ "example.org:080", "port", false, false },
		{ "example.org:+80", "port", false, false },
		{ "example.org:80 ", "port", false, false },
		{ "example.org:http", "port", false, false },
		{ "example.org:*", "port", false, false },
		{ "example.org:80:80", "several colons", false, false },
		{ "http://example.org", "scheme", false, false },
		{ "example.org/", "'/'", false, false },
		{ "example.org/sctp", "'/'", false, false },
		{ "example.org/TCP", "'/'", false, false },
		{ "example.org/tcp/udp", "'/'", false, false },
		{ "::1", "several colons", false, false },
		{ "[::1", "bracket", false, false },
		{ "[::1]443", "bracket", false, false },
		{ "[example.org]:443", "no IPv6 address", false, false },
		{ "[fe80::1%eth0]", "no IPv6 address", false, false },
		{ "127.1", "number", false, false },
		{ "0x7f000001", "number", false, false },
		{ "10.0.0.0/8", "'/'", false, false },
		{ "example.org:53/udp,x", "port", false, false },
		{ "example.org/udp", "names its port", false, false },
		{ "**:53/udp", "single addresses", false, false },
		{ "10.0.0.0/8:53/udp", "single addresses", false, true },
		{ "10.0.0.1/8", "write 10.0.0.0/8", false, true },
		{ "fd00::1/8", "write fd00::/8", false, true },
		{ "10.0.0.0/33", "0 to 32", false, true },
		{ "10.0.0.0/08", "0 to 32", false, true },
		{ "10.0.0.0/", "0 to 32", false, true },
		{ "10.0.0.0/-1", "0 to 32", false, true },
		{ "fd00::/129", "0 to 128", false, true },
		{ "::ffff:0:0/95", "apart", false, true },
		{ "10/8", "no address", false, true },
		{ "example.org", "no address", false, true },
		{ "**", "no address", false, true },
		{ "[10.0.0.0/8", "bracket", false, true },
		{ "example.org\n", "line break", true, false },
		{ "*.com", "public suffix", false, false },
		{ "*.co.uk", "public suffix", false, false },
		{ "*.github.io", "public suffix", false, false },
		{ "*.GitHub.IO.:443", "public suffix", false, false },
		{ "*.foo.ck", "public suffix", false, false },
		{ "*.internal", "public suffix", false, false },
	};
	struct net_rule r;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *t = &refusals[i];
		struct err e = ERR_INIT;

		if (parse(&r, t->text, !t->deny, t->cidr, &e) != -EINVAL)
			FAIL("'%s' is a rule", t->text);
		else if (!strstr(e.msg, t->word) || e.code != ERR_USAGE)
			FAIL("'%s': '%s' has no '%s'", t->text, e.msg, t->word);
	}
	arena_done(&arena);
}

static void test_long_rules(__attribute__((unused)) const void *arg)
{
	char text[600];
	struct err e = ERR_INIT;
	struct net_rule r;
	size_t i;

	for (i = 0; i < 253; i++)
		text[i] = i % 64 == 63 ? '.' : 'a';
	memcpy(text + 253, ":65535/udp", sizeof(":65535/udp"));
	CHECK(parse(&r, text, true, false, &e) == 0 && r.port == 65535);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CHECK(parse(&r, text, true, false, &e) == -EINVAL && strstr(e.msg, "too long"));
	CHECK(net_rule_parse(&r, "a.org", false, false, false, POLICY_USER, "x",
			     "one\nX-Injected: y", &arena, &e) == -EINVAL);
	CHECK(net_rule_parse(&r, "a.org", false, false, false, POLICY_USER, "x", "\xff", &arena,
			     &e) == -EINVAL);
	text[201] = '\0';
	CHECK(net_rule_parse(&r, "a.org", false, false, false, POLICY_USER, "x", text, &arena,
			     &e) == -EINVAL);
	text[200] = '\0';
	CHECK(net_rule_parse(&r, "a.org", false, false, false, POLICY_USER, "x", text, &arena,
			     &e) == 0);
	CHECK_STR(r.reason, text);
	arena_done(&arena);
}

static void test_suffixes(__attribute__((unused)) const void *arg)
{
	static const char *const yes[] = {
		"com",    "uk",          "co.uk",         "github.io", "s3.amazonaws.com", "ck",
		"foo.ck", "kawasaki.jp", "x.kawasaki.jp", "xn--p1ai",  "xn--55qx5d.cn",    "zw",
		"0.bg",   "localhost",   "nosuchname"
	};
	static const char *const no[] = { "example.com",
					  "bbc.co.uk",
					  "x.github.io",
					  "www.ck",
					  "city.kawasaki.jp",
					  "a.x.kawasaki.jp",
					  "amazonaws.com",
					  "a.foo.ck",
					  "www.www.ck",
					  "x.localhost",
					  "o.uk",
					  "com.",
					  "" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!net_public_suffix(yes[i]))
			FAIL("'%s' is no public suffix", yes[i]);
	}
	for (i = 0; i + 1 < ARRAY_SIZE(no); i++) {
		if (net_public_suffix(no[i]))
			FAIL("'%s' is a public suffix", no[i]);
	}
}

/* Every rule of the list, read here in another way, and names beside them. */
static void test_whole_list(const void *arg)
{
	char line[512], name[300];
	FILE *f = fopen(arg, "re");
	int n = 0;

	REQUIRE(f);
	while (fgets(line, sizeof(line), f)) {
		const char *p;

		if (sscanf(line, "%255s", name) != 1 || strncmp(name, "//", 2) == 0)
			continue;
		for (p = name; *p && !((unsigned char)*p & 0x80); p++)
			;
		if (*p)
			continue; /* not in ASCII; a few are named above */
		n++;
		if (name[0] == '!') {
			CHECK(!net_public_suffix(name + 1));
			continue;
		}
		if (name[0] == '*')
			name[0] = 'q';
		if (!net_public_suffix(name))
			FAIL("'%s' is not found", name);
		memmove(name + 3, name, strlen(name) + 1);
		memcpy(name, "-0.", 3);
		if (net_public_suffix(name) && name[3] == 'q')
			FAIL("'%s' is found", name);
	}
	fclose(f);
	CHECK(n > 5000);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		printf("Bail out! usage: test-net-parse PUBLIC-SUFFIX-LIST\n");
		return 1;
	}
	tap_run(test_names, NULL, NULL, "names");
	tap_run(test_hostile_names, NULL, NULL, "hostile names");
	tap_run(test_addresses_are_no_names, NULL, NULL, "addresses are no names");
	tap_run(test_lengths, NULL, NULL, "lengths");
	tap_run(test_addresses, NULL, NULL, "addresses and classes");
	tap_run(test_no_addresses, NULL, NULL, "what is no address");
	tap_run(test_rules, NULL, NULL, "rules");
	tap_run(test_refused_rules, NULL, NULL, "refused rules");
	tap_run(test_long_rules, NULL, NULL, "long rules and reasons");
	tap_run(test_suffixes, NULL, NULL, "public suffixes");
	tap_run(test_whole_list, argv[1], NULL, "the whole list");
	return tap_done();
}
