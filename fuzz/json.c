/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a policy file: the reader and a second, recursive one agree on what is JSON; a refusal names a line and a column of the
 * file; what comes out are values of the table, checked; and of a project that is not trusted nothing becomes a grant.
 */
#include <errno.h>

#include "json-reference.h"
#include "policy/json.h"
#include "policy/policy.h"

static struct opt_list list;
static const char *word;
static bool flag, other;

/* A limit: digits. */
static int number(const char *text, long *ret, struct err *e)
{
	if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 9)
		return err_set(e, ERR_USAGE, -EINVAL, "'%.20s': expected digits", text);
	*ret = strtol(text, NULL, 10);
	return 0;
}

static const struct opt opts[] = {
	OPT_GROUP("Files"),
	OPT_LIST("workspace", &list, NULL, "DIR", "", ""),
	OPT_LIST("allow-write", &list, "filesystem.allowWrite", "PATH", "", "",
		 OPT_PATHS | OPT_GLOBS),
	OPT_LIST("deny-write", &list, "filesystem.denyWrite", "PATH", "", "",
		 OPT_TIGHTENS | OPT_PATHS | OPT_GLOBS),
	OPT_LIST("allow-read", &list, "filesystem.allowRead", "PATH", "", "",
		 OPT_PATHS | OPT_GLOBS),
	OPT_LIST("deny-read", &list, "filesystem.denyRead", "PATH", "", "",
		 OPT_TIGHTENS | OPT_PATHS | OPT_GLOBS),
	OPT_LIST("hide", &list, "filesystem.hide", "PATH", "", "",
		 OPT_TIGHTENS | OPT_PATHS | OPT_GLOBS),
	OPT_FLAG("allow-git-config", &flag, "filesystem.allowGitConfig", "", ""),
	OPT_FLAG("strict", &other, "filesystem.strict", "", "", OPT_TIGHTENS),
	OPT_LIST("allow-socket", &list, "network.allowUnixSockets", "PATH", "", "", OPT_PATHS),
	OPT_LIST("allow-host", &list, "network.allowedDomains", "RULE", "", "", OPT_RULES),
	OPT_LIST("deny-host", &list, "network.deniedDomains", "RULE", "", "",
		 OPT_TIGHTENS | OPT_RULES),
	OPT_LIST("deny-reason", &list, "network.deniedDomainReasons", "RULE=TEXT", "", "",
		 OPT_TIGHTENS | OPT_MAP | OPT_WORDS),
	OPT_STRING("network", &word, "network.mode", "none|deny|allow", "", "", OPT_CEILING),
	OPT_LIST("env", &list, "environment.set", "NAME=VALUE", "", "", OPT_MAP),
	OPT_LIST("pass-env", &list, "environment.pass", "NAME", "", "", OPT_NAMES),
	OPT_STRING("timeout", &word, "limits.timeout", "N", "", "", OPT_TIGHTENS, number),
	OPT_STRING("shell", &word, "environment.shell", "PATH", "", "", OPT_PATHS),
	OPT_END
};

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
	/* a NUL ends the count here, and is an error there */
	FUZZ_REQUIRE(line >= 1 && line <= lines && column >= 1 && column < 70000);
}

static bool is_grant(const struct opt *o)
{
	return strncmp(o->name, "allow-", 6) == 0 || strstr(o->name, "-env") ||
	       strcmp(o->name, "env") == 0 || strcmp(o->name, "shell") == 0;
}

/* From a value to a rule, as a run does it for what needs no file system. */
static void check_rule(const struct opt_value *v, struct policy *p, struct arena *a)
{
	struct policy_glob g;
	struct err e = ERR_INIT;
	int k, r;

	for (k = 0; k < POLICY_KIND_NUM; k++) {
		if (strcmp(policy_kind_name((enum policy_kind)k), v->opt->name) != 0)
			continue;
		r = policy_glob_parse(&g, v->value, "/w", "/home/u", a, &e);
		FUZZ_REQUIRE(r == 0 || (e.msg[0] && e.code == ERR_USAGE));
		if (r < 0 || g.n)
			return;
		r = policy_add(p, (enum policy_kind)k, POLICY_UNTRUSTED, g.base, "f.json:1", &e);
		FUZZ_REQUIRE(r == (policy_file_loosens(v) ? -EPERM : 0));
	}
}

static void check_value(const struct opt_value *v)
{
	const char *s = v->value;

	FUZZ_REQUIRE(v->opt > opts && v->opt < opts + ARRAY_SIZE(opts) && v->opt->key);
	FUZZ_REQUIRE(s && v->line >= 1 && v->column >= 1 && !v->source);
	FUZZ_REQUIRE(!(v->opt->flags & OPT_PATHS) || (*s && strlen(s) < LIMIT_PATH));
	FUZZ_REQUIRE(!v->reason || (v->opt->flags & OPT_RULES));
	FUZZ_REQUIRE(!v->literal || (v->opt->flags & OPT_GLOBS));
	FUZZ_REQUIRE(!(v->opt->flags & OPT_MAP) || (strchr(s, '=') && *s != '='));
	FUZZ_REQUIRE(!(v->opt->flags & OPT_NAMES) || (*s && !strchr(s, '=')));
	if (v->opt->number) {
		long n = -1;

		FUZZ_REQUIRE(v->opt->number(s, &n, NULL) == 0 && n >= 0);
	}
	if (v->opt->type == OPT_TYPE_FLAG)
		FUZZ_REQUIRE(policy_file_loosens(v) ==
			     ((strcmp(s, "true") == 0) == is_grant(v->opt)));
	else if (v->opt->flags & OPT_CEILING)
		FUZZ_REQUIRE(policy_file_loosens(v) == (strcmp(s, "none") != 0));
	else
		FUZZ_REQUIRE(policy_file_loosens(v) == is_grant(v->opt));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	const struct json_node *root = NULL;
	struct policy_file f = { .n = 77 };
	struct err e = ERR_INIT;
	struct policy p;
	char *text;
	size_t i;
	bool json;
	int r;

	if (size > 8192)
		return 0;
	text = malloc(size + 1); /* of exactly that length, for the sanitizer */
	FUZZ_REQUIRE(text);
	memcpy(text, data, size);
	text[size] = '\0';

	r = json_read("f.json", text, size, &a, &root, &e);
	json = ref_json(text, size);
	if ((r == 0) != json && !(ref_doubt && json)) {
		fprintf(stderr, "the reader says %s, the reference %s\n", r == 0 ? "JSON" : e.msg,
			json ? "JSON" : "no JSON");
		abort();
	}
	FUZZ_REQUIRE((r == 0) == (root != NULL));
	policy_init(&p, &a);
	r = policy_file_parse(&f, "f.json", text, size, opts, &a, &e);
	if (r < 0) {
		FUZZ_REQUIRE(f.n == 77);
		check_refusal(&e, text);
	} else {
		FUZZ_REQUIRE(json && root && root->type == JSON_OBJECT);
		for (i = 0; i < f.n; i++) {
			check_value(&f.values[i]);
			check_rule(&f.values[i], &p, &a);
		}
		policy_seal(&p);
	}
	arena_done(&a);
	free(text);
	return 0;
}
