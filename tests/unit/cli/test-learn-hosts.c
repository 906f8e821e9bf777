/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a log become rules. A line is written short here: the event, then KEY=VALUE. */
#include "../../../src/cli/learn-hosts.h"

#include "policy/policy.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void feed(struct learn_hosts *h, const char *text)
{
	struct buf b = BUF_INIT(65536);
	struct json j = { .out = &b };
	char copy[4096], *word, *rest = copy, *eq;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	json_open(&j, NULL, '{');
	json_str(&j, "event", strsep(&rest, " "));
	while ((word = strsep(&rest, " "))) {
		eq = strchr(word, '=');
		REQUIRE(eq);
		*eq = '\0';
		if (strcmp(word, "port") == 0)
			json_int(&j, word, strtol(eq + 1, NULL, 10));
		else
			json_str(&j, word, eq + 1);
	}
	json_close(&j, '}');
	learn_hosts_line(h, b.data, b.len);
	buf_done(&b);
}

/* The rules, with a blank between them. @out: @size bytes; @notes: or NULL. */
static void rules_of(struct learn_hosts *h, char *out, size_t size, struct buf *notes)
{
	struct buf b = BUF_INIT(1u << 20);
	struct arena a = ARENA_INIT(1u << 20);
	const struct json_node *root, *list, *rule;
	size_t n = 0;

	out[0] = '\0';
	buf_puts(&b, "{");
	if (learn_hosts_policy(h, &b)) {
		buf_puts(&b, "}");
		REQUIRE(json_read("policy", b.data, b.len, &a, &root, NULL) == 0);
		for (list = root->first->first; list; list = list->next) {
			for (rule = list->first; rule; rule = rule->next)
				n += (size_t)snprintf(
					out + n, size - n, "%s%s%s", n ? " " : "",
					strcmp(list->key, "allowedAddresses") == 0 ? "@" : "",
					rule->text);
		}
	}
	if (notes)
		learn_hosts_notes(h, notes);
	buf_done(&b);
	arena_done(&a);
}

/* @lines end with NULL. */
static void becomes(const char *const *lines, const char *want, const char *noted)
{
	struct learn_hosts *h = learn_hosts_new();
	struct buf notes = BUF_INIT(1u << 20);
	static const char conf[] =
		"# comment\nnameserver 192.0.2.1\nsearch corp.example lab.example\n";
	char got[4096];

	REQUIRE(h);
	learn_hosts_search(h, conf, sizeof(conf) - 1);
	for (; *lines; lines++)
		feed(h, *lines);
	rules_of(h, got, sizeof(got), &notes);
	CHECK_STR(got, want);
	if (noted && !(notes.data && strstr(notes.data, noted)))
		FAIL("no note says '%s': %s", noted, notes.data ? notes.data : "");
	if (!noted && notes.data && strstr(notes.data, "not in the policy"))
		FAIL("a note: %s", notes.data);
	buf_done(&notes);
	h = learn_hosts_free(h);
	CHECK(!h);
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

TEST(refusals)
{
	becomes(LINES("deny via=dns name=a.example missing=a.example"), "a.example", NULL);
	becomes(LINES("deny via=connect name=b.example port=443 missing=b.example",
		      "deny via=http name=a.example port=80 missing=a.example",
		      "deny via=http name=a.example port=80 missing=a.example"),
		"a.example b.example", NULL);
	becomes(LINES("deny via=connect name=a.example port=22 missing=a.example:22"),
		"a.example:22", NULL);
	/* the port says more than the name alone */
	becomes(LINES("deny via=dns name=a.example missing=a.example",
		      "deny via=captured name=a.example port=22 missing=a.example:22"),
		"a.example:22", NULL);
	/* something else than TLS and HTTP on 443 */
	becomes(LINES("deny via=captured name=a.example port=443 missing=a.example:443"),
		"a.example:443", NULL);
	becomes(LINES("deny via=connect address=192.0.2.1 port=443 missing=192.0.2.1",
		      "deny via=captured address=2001:db8::1 port=8080 missing=[2001:db8::1]:8080"),
		"@192.0.2.1 @[2001:db8::1]:8080", NULL);
	becomes(LINES("deny via=udp name=a.example port=443 missing=a.example:443/udp",
		      "deny via=connect name=a.example port=443 missing=a.example"),
		"a.example a.example:443/udp", NULL);
}

TEST(what_the_mode_let_through)
{
	becomes(LINES("open via=captured name=a.example address=192.0.2.1 port=443 decision=allow",
		      "close via=captured name=a.example address=192.0.2.1 port=443 spoken=tls"),
		"a.example", NULL);
	becomes(LINES("open via=captured name=a.example port=443",
		      "close via=captured name=a.example port=443 spoken=opaque"),
		"a.example:443", NULL);
	becomes(LINES("close via=captured name=a.example port=443 spoken=opaque",
		      "close via=captured name=a.example port=443 spoken=tls"),
		"a.example a.example:443", NULL);
	/* the name's rule is for TLS and HTTP on every port */
	becomes(LINES("close via=captured name=a.example port=443 spoken=tls",
		      "close via=captured name=a.example port=8443 spoken=tls"),
		"a.example", NULL);
	becomes(LINES("close via=captured name=a.example port=8443 spoken=tls"), "a.example:8443",
		NULL);
	becomes(LINES("close via=captured name=a.example port=443 spoken=tls",
		      "close via=captured name=a.example port=22 spoken=opaque",
		      "open via=captured name=a.example port=99"),
		"a.example a.example:22 a.example:99", NULL);
	/* rules of the user's, a published port, a name server's client */
	becomes(LINES("open via=captured name=a.example port=443 rule=a.example origin=--allow-host",
		      "open via=published address=127.0.0.1 port=80",
		      "open via=dns address=192.0.2.1 port=53"),
		"", NULL);
	/* what a rule of requests leads to, and the proxy that decides in the place of ours */
	becomes(LINES("open via=forward name=a.example port=443",
		      "close via=forward name=a.example port=443 spoken=opaque",
		      "close via=external address=192.0.2.1 port=8080"),
		"", NULL);
	/* a human's word is no rule of the user's files yet */
	becomes(LINES("open via=captured name=a.example port=443 rule=a.example:443 origin=answered"),
		"a.example", NULL);
	becomes(LINES("open via=captured name=a.example port=443 rule=a.example:443 origin=/live:1"),
		"", NULL);
	/* a connection that failed would fail with any rule */
	becomes(LINES("fail via=captured name=a.example port=443"), "", NULL);
}

TEST(never_by_itself)
{
	becomes(LINES("deny via=captured address=10.1.2.3 port=80 reason=private"), "",
		"network 10.1.2.3:80 denied: private");
	becomes(LINES("deny via=captured address=10.1.2.3 port=80 missing=10.1.2.3"), "",
		"no public address");
	becomes(LINES("deny via=captured address=169.254.169.254 port=80 missing=169.254.169.254"),
		"", "no public address");
	becomes(LINES("deny via=captured address=127.0.0.1 port=80 missing=127.0.0.1"), "",
		"no public address");
	becomes(LINES("deny via=captured address=::1 port=80 missing=[::1]:80"), "",
		"no public address");
	becomes(LINES("deny via=captured address=64:ff9b::a00:1 port=80 missing=[64:ff9b::a00:1]:80"),
		"", "no public address");
	becomes(LINES("deny via=dns name=printer missing=printer"), "", "private network");
	becomes(LINES("deny via=dns name=x.internal missing=x.internal"), "", "private network");
	becomes(LINES("deny via=dns name=x.home.arpa missing=x.home.arpa"), "", "private network");
	becomes(LINES("deny via=dns name=_x._tcp.a.example missing=_x._tcp.a.example"), "",
		"service's name");
	becomes(LINES("deny via=dns name=x missing=*.co.uk"), "", "not in the policy");
	becomes(LINES("deny via=dns name=x missing=*.a.example"), "", "no single host");
	becomes(LINES("deny via=dns name=x missing=**"), "", "no single host");
	becomes(LINES("open via=captured name=a.example address=10.0.0.1 port=80"), "",
		"no public address");
	becomes(LINES("deny via=captured name=a.example port=80 rule=a.example reason=by-a-rule"),
		"", "denied: by-a-rule");
	/* twins */
	becomes(LINES("deny via=dns name=internal.example missing=internal.example"),
		"internal.example", NULL);
	becomes(LINES("deny via=dns name=a.co.uk missing=a.co.uk"), "a.co.uk", NULL);
}

TEST(search_domains)
{
	becomes(LINES("deny via=dns name=a.example missing=a.example",
		      "deny via=dns name=a.example.corp.example missing=a.example.corp.example",
		      "deny via=dns name=a.example.lab.example missing=a.example.lab.example"),
		"a.example", NULL);
	/* not one: nobody asked for the name without it; and what was connected to is meant */
	becomes(LINES("deny via=dns name=b.corp.example missing=b.corp.example"), "b.corp.example",
		NULL);
	becomes(LINES("deny via=dns name=a.example missing=a.example",
		      "deny via=connect name=a.example.corp.example port=443 missing=a.example.corp.example"),
		"a.example a.example.corp.example", NULL);
}

TEST(what_is_lost_is_said)
{
	struct learn_hosts *h = learn_hosts_new();
	struct buf notes = BUF_INIT(4096);
	char got[64];

	REQUIRE(h);
	learn_hosts_line(h, "{", 1);
	learn_hosts_line(h, "[]", 2);
	feed(h, "dropped dropped=3");
	rules_of(h, got, sizeof(got), &notes);
	CHECK(strcmp(got, "") == 0 && notes.data && strstr(notes.data, "not everything"));
	buf_done(&notes);
	h = learn_hosts_free(h);
	CHECK(!h && !learn_hosts_free(NULL));
}

TEST(bounds)
{
	struct learn_hosts *h = learn_hosts_new();
	struct buf notes = BUF_INIT(1u << 20);
	static char got[65536];
	char line[200];
	int i;

	REQUIRE(h);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(line, sizeof(line),
			       "deny via=dns name=n%d.a.example missing=n%d.a.example", i, i);
		feed(h, line);
		(void)snprintf(line, sizeof(line), "deny via=dns name=n%d missing=n%d", i, i);
		feed(h, line);
	}
	rules_of(h, got, sizeof(got), &notes);
	CHECK(strncmp(got, "n0.a.example n1.a.example n10.a.example ", 40) == 0);
	CHECK(strstr(notes.data, "and 488 more hosts") &&
	      strstr(notes.data, "and 800 more refusals"));
	CHECK(strstr(notes.data, "512 names are below a.example; '*.a.example' would"));
	buf_done(&notes);
	h = learn_hosts_free(h);
	CHECK(!h);
}
