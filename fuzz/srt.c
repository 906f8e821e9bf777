/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as srt's settings, as Claude Code's, and as each of the strings in them: a refusal names a line and a column of the file and
 * leaves the result alone; what is accepted has every list that its reader relies on, and no path that is empty.
 */
#include "fuzz.h"
#include "policy/policy.h"

static void check_refusal(const struct err *e, const char *text)
{
	unsigned long line, column, lines = 1;
	char *end;

	for (; *text; text++)
		lines += *text == '\n';
	FUZZ_REQUIRE(e->code == ERR_POLICY);
	FUZZ_REQUIRE(strncmp(e->msg, "f.json:", 7) == 0);
	line = strtoul(e->msg + 7, &end, 10);
	FUZZ_REQUIRE(*end == ':');
	column = strtoul(end + 1, &end, 10);
	FUZZ_REQUIRE(end[0] == ':' && end[1] == ' ');
	FUZZ_REQUIRE(line >= 1 && line <= lines && column >= 1 && column < 70000);
}

static void check_paths(const struct json_node *list)
{
	const struct json_node *k;
	bool literal;

	FUZZ_REQUIRE(list && list->type == JSON_LIST);
	for (k = list->first; k; k = k->next)
		FUZZ_REQUIRE(*srt_path_entry(k, &literal));
}

static void check_srt(const char *text, size_t size, struct arena *a)
{
	struct srt_settings s = { .search_depth = 77 };
	struct err e = ERR_INIT;

	if (srt_settings_read(&s, "f.json", text, size, a, &e) < 0) {
		check_refusal(&e, text);
		FUZZ_REQUIRE(s.search_depth == 77);
		return;
	}
	FUZZ_REQUIRE(s.search_depth >= 1 && s.search_depth <= 10);
	FUZZ_REQUIRE(s.network.allowed && s.network.denied);
	FUZZ_REQUIRE(s.network.http_proxy_port >= 0 && s.network.http_proxy_port <= 65535);
	check_paths(s.deny_read);
	check_paths(s.allow_write);
	check_paths(s.deny_write);
	if (s.allow_read)
		check_paths(s.allow_read);
}

static bool known(const char *key)
{
	static const char *const keys[] = { "filesystem.allowWrite", "filesystem.denyWrite",
					    "filesystem.allowRead",  "filesystem.denyRead",
					    "environment.set",       "network.allowedDomains",
					    "network.deniedDomains" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i], key) == 0)
			return true;
	}
	return false;
}

/* It is a rule for whoever reads the policy; and no grant is of every host, of what anybody can have, or of the host's own loopback. */
static void check_host(const struct claude_value *v, struct arena *a)
{
	bool grant = strcmp(v->key, "network.allowedDomains") == 0;
	struct net_rule rule;

	FUZZ_REQUIRE(net_rule_parse(&rule, v->value, grant, false, false, POLICY_COMMAND, "", NULL,
				    a, NULL) == 0);
	FUZZ_REQUIRE(!grant || rule.what != NET_RULE_ANY);
	FUZZ_REQUIRE(!grant || rule.what != NET_RULE_CIDR ||
		     net_addr_class(&rule.addr) != NET_CLASS_LOOPBACK);
}

static void check_claude(const char *text, size_t size, struct arena *a)
{
	const struct claude_places places = { .root = "/w", .cwd = "/w/d" };
	struct claude_settings c = { .values = (void *)text };
	const struct claude_value *v;
	const struct claude_note *n;
	struct err e = ERR_INIT;

	if (claude_settings_read(&c, "f.json", text, size, &places, a, &e) < 0) {
		check_refusal(&e, text);
		FUZZ_REQUIRE((const void *)c.values == text);
		return;
	}
	for (v = c.values; v; v = v->next) {
		FUZZ_REQUIRE(known(v->key) && *v->value && v->line && v->column);
		if (strncmp(v->key, "network.", 8) == 0) {
			check_host(v, a);
			continue;
		}
		FUZZ_REQUIRE(strcmp(v->key, "environment.set") == 0 ?
				     strchr(v->value, '=') > v->value :
				     v->value[0] == '/' || v->value[0] == '~');
		/* no grant is a pattern, nor the whole machine */
		FUZZ_REQUIRE(strcmp(v->key, "filesystem.allowWrite") != 0 ||
			     (v->literal && v->value[1]) || strcmp(v->value, "~") == 0);
	}
	for (n = c.notes; n; n = n->next)
		FUZZ_REQUIRE(n->key && *n->why && n->line);
}

/* What is accepted as a range is one here, and a host is a rule or refused with a reason. */
static void check_net(const char *text, struct arena *a)
{
	char out[SRT_NET_TEXT], reason[LIMIT_NET_REASON + 1];
	struct err e = ERR_INIT;
	struct net_rule rule;

	srt_net_reason(text, reason);
	if (!srt_check_address(text)) {
		FUZZ_REQUIRE(srt_net_range(text, out) == 0);
		FUZZ_REQUIRE(net_rule_parse(&rule, out, false, true, false, POLICY_USER, "", reason,
					    a, &e) == 0);
	}
	if (srt_check_denied_domain(text) || srt_net_host(text, out) < 0)
		return;
	if (net_rule_parse(&rule, out, false, false, false, POLICY_USER, "", NULL, a, &e) < 0)
		FUZZ_REQUIRE(strstr(e.msg, "is no host name") || strstr(e.msg, "bracket"));
	else if (strcmp(out, text) == 0 && rule.what == NET_RULE_HOST && !rule.port)
		FUZZ_REQUIRE(srt_domain_covers(text, rule.host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *(*const checks[])(
		const char *) = { srt_check_domain,        srt_check_allowed_domain,
				  srt_check_denied_domain, srt_check_address,
				  srt_check_url,           srt_check_regex,
				  srt_check_variable,      srt_check_uuid,
				  srt_check_mach };
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	char *text = malloc(size + 1);
	const char *why;
	size_t i;

	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		why = checks[i](text);
		FUZZ_REQUIRE(!why || *why);
	}
	/* a host that an exact entry allows is covered by itself */
	if (!srt_check_domain(text) && !strchr(text, '%') && !strchr(text, ':') && *text != '[' &&
	    size < 1000 && strlen(text) == size)
		FUZZ_REQUIRE(srt_domain_covers(text, text));
	check_net(text, &a);
	check_srt(text, size, &a);
	check_claude(text, size, &a);
	arena_done(&a);
	free(text);
	return 0;
}
