/* SPDX-License-Identifier: Apache-2.0 */
/* Runs policy.table: each row is a test. What a table can't say follows after it. */
#define TAP_NO_MAIN
#include "tap.h"

#include <errno.h>

#include "policy/policy.h"
#include "table.h"

/* One row: "PATH | read or write | STATE | RULE", RULE being "default", "KIND PATH" or "LAYER KIND PATH". */
struct row {
	const struct table *table;
	const struct policy *policy;
	char path[512], access[8], state[16], rule[512];
};

/* How @rule is named by @want: with its layer, or without. */
static bool names_rule(const struct policy_rule *rule, const char *want)
{
	char text[600];
	size_t layer;

	if (!rule)
		return strcmp(want, "default") == 0;
	snprintf(text, sizeof(text), "%s %s %s", policy_layer_name(rule->layer),
		 policy_kind_name(rule->kind), rule->path);
	layer = strlen(policy_layer_name(rule->layer)) + 1;
	return strcmp(text, want) == 0 || strcmp(text + layer, want) == 0;
}

static void check_row(const void *arg)
{
	const struct row *r = arg;
	struct policy_verdict v = policy_eval(r->policy, r->path);
	const struct policy_rule *rule =
		strcmp(r->access, "read") == 0 ? v.read_rule : v.write_rule;

	if (strcmp(policy_state_name(v.state), r->state) != 0)
		tap_fail(r->table->name, r->table->line, "'%s' is %s, not %s", r->path,
			 policy_state_name(v.state), r->state);
	if (!names_rule(rule, r->rule))
		tap_fail(r->table->name, r->table->line, "decided by '%s %s %s', not by '%s'",
			 rule ? policy_layer_name(rule->layer) : "",
			 rule ? policy_kind_name(rule->kind) : "default", rule ? rule->path : "",
			 r->rule);
}

static void run_table(const char *path)
{
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	char title[200] = "", todo[200], *s;
	struct policy policy;
	struct table t;
	struct row r;

	table_open(&t, path);
	policy_init(&policy, &arena);
	while ((s = table_next(&t))) {
		if (strncmp(s, "==", 2) == 0) {
			snprintf(title, sizeof(title), "%.190s", s + 3);
			arena_done(&arena);
			policy_init(&policy, &arena);
			continue;
		}
		if (!strchr(s, '|')) {
			table_rule(&t, s, &policy);
			continue;
		}
		todo[0] = '\0';
		if (sscanf(s, "%511s | %7[a-z] | %15[a-z-] | %511[^|]| todo %199[^\n]", r.path,
			   r.access, r.state, r.rule, todo) < 4 ||
		    (strcmp(r.access, "read") != 0 && strcmp(r.access, "write") != 0))
			table_die(&t, "expected PATH | read or write | STATE | RULE");
		while (r.rule[0] && r.rule[strlen(r.rule) - 1] == ' ')
			r.rule[strlen(r.rule) - 1] = '\0';
		(void)table_word(&t, r.state, table_state, POLICY_STATE_NUM); /* it must be one */
		r.table = &t;
		r.policy = &policy;
		policy_seal(&policy);
		tap_run(check_row, &r, todo[0] ? todo : NULL, "%s:%d %s: %s %s", t.name, t.line,
			title, r.access, r.path);
	}
	arena_done(&arena);
}

static struct policy policy;
static struct arena arena = ARENA_INIT(LIMIT_ARENA);
static struct err e;

static void add(enum policy_kind k, const char *path)
{
	REQUIRE(policy_add(&policy, k, POLICY_COMMAND, path, "test", &e) == 0);
}

static void test_add(__attribute__((unused)) const void *arg)
{
	policy_init(&policy, &arena);
	CHECK(policy_add(&policy, POLICY_HIDE, POLICY_USER, "a/b", "x", &e) == -EINVAL);
	CHECK(e.code == ERR_POLICY);
	CHECK(policy_add(&policy, POLICY_HIDE, POLICY_USER, "", "x", &e) == -EINVAL);
	CHECK(policy.n == 0);
	add(POLICY_HIDE, "/a/../b//c/");
	CHECK_STR(policy.rules[0].path, "/b/c");
	CHECK(policy.rules[0].len == 4);
	arena_done(&arena);
}

static void test_rule_cap(__attribute__((unused)) const void *arg)
{
	char path[32];
	int i;

	policy_init(&policy, &arena);
	for (i = 0; i < LIMIT_RULES; i++) {
		snprintf(path, sizeof(path), "/d%d", i);
		add(POLICY_HIDE, path);
	}
	CHECK(policy_add(&policy, POLICY_HIDE, POLICY_USER, "/x", "x", &e) == -E2BIG);
	CHECK(e.code == ERR_POLICY);
	policy_seal(&policy);
	CHECK(policy_eval(&policy, "/d4095/x").state == POLICY_IS_HIDDEN);
	CHECK(policy_eval(&policy, "/d4096").state == POLICY_SHOW_RO);
	arena_done(&arena);
}

/* Whatever the caller has checked: what nobody has trusted gives nothing. */
static void test_untrusted_grants(__attribute__((unused)) const void *arg)
{
	int k;

	policy_init(&policy, &arena);
	for (k = 0; k < POLICY_KIND_NUM; k++) {
		bool grant = policy_grants((enum policy_kind)k);

		CHECK(grant == (strncmp(table_kind(k), "allow-", 6) == 0 ||
				strcmp(table_kind(k), "unprotect") == 0));
		CHECK(policy_add(&policy, (enum policy_kind)k, POLICY_UNTRUSTED, "/x", "f:1", &e) ==
		      (grant ? -EPERM : 0));
		CHECK(policy_add(&policy, (enum policy_kind)k, POLICY_PROJECT, "/x", "f:1", &e) ==
		      0);
	}
	arena_done(&arena);
}

/* LAYER of the denial, its path, LAYER of the socket /a/b/s: whether it is given. */
static void test_sockets(__attribute__((unused)) const void *arg)
{
	static const struct {
		enum policy_layer deny;
		const char *path;
		enum policy_layer give;
		bool given;
	} rows[] = {
		{ POLICY_BUILTIN, "/a", POLICY_COMMAND, true },
		{ POLICY_BUILTIN, "/a/b/s", POLICY_COMMAND, false },
		{ POLICY_COMMAND, "/a/b", POLICY_COMMAND, true },
		{ POLICY_COMMAND, "/a/b/s", POLICY_COMMAND, false },
		{ POLICY_MANAGED, "/a", POLICY_COMMAND, false },
		{ POLICY_USER, "/a/b", POLICY_PROJECT, false },
		{ POLICY_UNTRUSTED, "/a", POLICY_COMMAND, false },
		{ POLICY_COMMAND, "/a", POLICY_USER, false },
		{ POLICY_MANAGED, "/a/b/other", POLICY_COMMAND, true },
	};
	static const enum policy_kind kinds[] = { POLICY_DENY_READ, POLICY_DENY_WRITE,
						  POLICY_HIDE };
	const struct policy_rule *socket, *by;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(kinds); i++) {
		policy_init(&policy, &arena);
		REQUIRE(policy_add(&policy, kinds[i % ARRAY_SIZE(kinds)],
				   rows[i / ARRAY_SIZE(kinds)].deny,
				   rows[i / ARRAY_SIZE(kinds)].path, "deny", &e) == 0);
		REQUIRE(policy_add(&policy, POLICY_SOCKET, rows[i / ARRAY_SIZE(kinds)].give,
				   "/a/b/s", "give", &e) == 0);
		policy_seal(&policy);
		for (k = 0; policy.rules[k].kind != POLICY_SOCKET; k++)
			;
		socket = &policy.rules[k];
		by = policy_eval_socket(&policy, socket);
		if (!by != rows[i / ARRAY_SIZE(kinds)].given)
			FAIL("row %zu", i);
		CHECK(!by || strcmp(by->origin, "deny") == 0);
		arena_done(&arena);
	}
}

/* More rules over one path than are judged: what is in doubt is denied. */
static void test_too_many_rules_over_a_path(__attribute__((unused)) const void *arg)
{
	char path[LIMIT_PATH] = "";
	int i;

	policy_init(&policy, &arena);
	for (i = 0; i < 300; i++) {
		memcpy(path + strlen(path), "/a", 3);
		add(POLICY_ALLOW_WRITE, path);
	}
	policy_seal(&policy);
	CHECK(policy_eval(&policy, path).state == POLICY_IS_DENIED);
	CHECK(policy_eval(&policy, "/a/a/a").state == POLICY_SHOW_RW);
	arena_done(&arena);
}

/* Callers name the rule that decided; the planner does so even for the root directory. */
static void test_doubt_names_a_rule(__attribute__((unused)) const void *arg)
{
	struct policy_verdict v;
	int i;

	policy_init(&policy, &arena);
	for (i = 0; i < 300; i++)
		add(POLICY_ALLOW_READ, "/");
	policy_seal(&policy);
	v = policy_eval(&policy, "/");
	CHECK(v.read_rule && v.write_rule);
	arena_done(&arena);
}

/* The order in which rules come must not matter, nor which of two equal ones is named. */
static void test_order_does_not_matter(__attribute__((unused)) const void *arg)
{
	static const char *const paths[] = { "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/c", "/" };
	enum policy_state first[ARRAY_SIZE(paths)] = { 0 };
	size_t i, k, turn;

	for (turn = 0; turn < 8; turn++) {
		policy_init(&policy, &arena);
		for (i = 0; i < 8; i++) {
			k = turn & 1 ? 7 - i : (i + turn) % 8;
			REQUIRE(policy_add(&policy, (enum policy_kind)(k % POLICY_KIND_NUM),
					   k < 4 ? POLICY_BUILTIN : POLICY_COMMAND, paths[k % 4],
					   "test", &e) == 0);
		}
		policy_seal(&policy);
		for (i = 0; i < ARRAY_SIZE(paths); i++) {
			enum policy_state s = policy_eval(&policy, paths[i]).state;

			if (turn == 0)
				first[i] = s;
			CHECK(s == first[i]);
		}
	}
	arena_done(&arena);
}

static bool has(enum policy_kind k, const char *path)
{
	size_t i;

	for (i = 0; i < policy.n; i++) {
		if (policy.rules[i].kind == k && strcmp(policy.rules[i].path, path) == 0)
			return true;
	}
	return false;
}

static size_t count(enum policy_kind k)
{
	size_t i, n = 0;

	for (i = 0; i < policy.n; i++)
		n += policy.rules[i].kind == k;
	return n;
}

static void builtin(const struct policy_caller *c)
{
	policy_init(&policy, &arena);
	REQUIRE(policy_builtin(&policy, c, &e) == 0);
	policy_seal(&policy);
}

static void test_builtin(__attribute__((unused)) const void *arg)
{
	static const char *const hidden[] = {
		"/home/u/.ssh/id_ed25519",  "/home/u/.aws/credentials",
		"/home/u/.gnupg",           "/home/u/.config/gcloud/x",
		"/home/u/.kube/config",     "/home/u/.docker/config.json",
		"/home/u/.netrc",           "/home/u/.npmrc",
		"/home/u/.git-credentials", "/home/u/.bash_history",
		"/home/u/.mozilla/firefox", "/state"
	};
	static const char *const shown[] = { "/home/u",        "/home/u/.bashrc",
					     "/home/u/.nvm",   "/home/u/.cargo/bin",
					     "/home/u/.pyenv", "/home/u/.sshx",
					     "/home/v/.ssh",   "/etc/passwd",
					     "/etc/shadow",    "/" };
	size_t i;

	builtin(&(struct policy_caller){
		.home = "/home/u", .runtime_dir = "/x/run", .state_dir = "/state" });
	for (i = 0; i < ARRAY_SIZE(hidden); i++) {
		struct policy_verdict v = policy_eval(&policy, hidden[i]);

		if (v.state != POLICY_IS_HIDDEN || !v.read_rule ||
		    v.read_rule->layer != POLICY_BUILTIN)
			FAIL("'%s' is %s", hidden[i], policy_state_name(v.state));
	}
	for (i = 0; i < ARRAY_SIZE(shown); i++) {
		if (policy_eval(&policy, shown[i]).state != POLICY_SHOW_RO)
			FAIL("'%s' is %s", shown[i],
			     policy_state_name(policy_eval(&policy, shown[i]).state));
	}
	CHECK(policy_eval(&policy, "/tmp/x").state == POLICY_IS_PRIVATE);
	CHECK(policy_eval(&policy, "/var/tmp").state == POLICY_IS_PRIVATE);
	CHECK(policy_eval(&policy, "/run/user/1000/bus").state == POLICY_IS_PRIVATE);
	CHECK(policy_eval(&policy, "/x/run/bus").state == POLICY_IS_PRIVATE);
	for (i = 0; i < policy.n; i++) {
		if (strncmp(policy.rules[i].origin, "built-in: ", 10) != 0 ||
		    policy.rules[i].path[0] != '/')
			FAIL("'%s' comes from '%s'", policy.rules[i].path, policy.rules[i].origin);
	}
	arena_done(&arena);
}

static void test_builtin_depends_on_the_caller(__attribute__((unused)) const void *arg)
{
	builtin(&(struct policy_caller){ .runtime_dir = "/run/user/1000" });
	CHECK(count(POLICY_PRIVATE) == 3 && count(POLICY_HIDE) == 0); /* no home, nothing twice */
	arena_done(&arena);
	builtin(&(struct policy_caller){ .runtime_dir = "/", .home = "/" });
	CHECK(count(POLICY_PRIVATE) == 3 &&
	      count(POLICY_HIDE) == 0); /* a root directory is neither private nor a home */
	arena_done(&arena);
	builtin(&(struct policy_caller){ .host_root = true });
	CHECK(has(POLICY_DENY_READ, "/etc/shadow") && has(POLICY_DENY_READ, "/proc/kcore"));
	CHECK(policy_eval(&policy, "/etc/ssl/private/key.pem").state == POLICY_IS_DENIED);
	arena_done(&arena);
	builtin(&(struct policy_caller){ .home = "/home/u" });
	CHECK(policy_eval(&policy, "/etc/shadow").state ==
	      POLICY_SHOW_RO); /* its mode protects it */
	arena_done(&arena);
	/* a front has defaults of its own, but bailey's files and the keyrings stay hidden */
	builtin(&(struct policy_caller){ .home = "/home/u",
					 .runtime_dir = "/x/run",
					 .state_dir = "/state",
					 .own_only = true });
	CHECK(count(POLICY_PRIVATE) == 0 && count(POLICY_HIDE) == 3);
	CHECK(policy_eval(&policy, "/home/u/.config/bailey/x").state == POLICY_IS_HIDDEN);
	CHECK(policy_eval(&policy, "/home/u/.local/state/bailey").state == POLICY_IS_HIDDEN);
	CHECK(policy_eval(&policy, "/home/u/.ssh/id").state == POLICY_SHOW_RO);
	CHECK(policy_eval(&policy, "/tmp/x").state == POLICY_SHOW_RO);
	CHECK(policy_eval(&policy, "/proc/keys").state == POLICY_IS_DENIED);
	/* nor does the directory where the command starts show them; what somebody asks for does */
	CHECK(policy_add(&policy, POLICY_ALLOW_READ, POLICY_BUILTIN, "/home/u/.config/bailey",
			 "built-in: the current directory", NULL) == 0);
	CHECK(policy_add(&policy, POLICY_ALLOW_READ, POLICY_COMMAND, "/home/u/.local/state/bailey",
			 "--allow-read", NULL) == 0);
	policy_seal(&policy);
	CHECK(policy_eval(&policy, "/home/u/.config/bailey/x").state == POLICY_IS_HIDDEN);
	CHECK(policy_eval(&policy, "/home/u/.local/state/bailey/x").state == POLICY_SHOW_RO);
	arena_done(&arena);
}

static void test_names(__attribute__((unused)) const void *arg)
{
	int i, k;

	for (i = 0; i < POLICY_KIND_NUM; i++) {
		for (k = 0; k < i; k++)
			CHECK(strcmp(table_kind(i), table_kind(k)) != 0);
	}
	for (i = 0; i < POLICY_LAYER_NUM; i++) {
		for (k = 0; k < i; k++)
			CHECK(strcmp(table_layer(i), table_layer(k)) != 0);
	}
	for (i = 0; i < POLICY_STATE_NUM; i++) {
		for (k = 0; k < i; k++)
			CHECK(strcmp(table_state(i), table_state(k)) != 0);
	}
	CHECK_STR(table_kind(POLICY_KIND_NUM), "?");
	CHECK_STR(table_layer(POLICY_LAYER_NUM), "?");
	CHECK_STR(table_state(POLICY_STATE_NUM), "?");
}

int main(int argc, char **argv)
{
	run_table(argc > 1 ? argv[1] : NULL);
	tap_run(test_add, NULL, NULL, "policy_add checks and normalises");
	tap_run(test_rule_cap, NULL, NULL, "the number of rules is capped");
	tap_run(test_too_many_rules_over_a_path, NULL, NULL,
		"too many rules over one path deny it");
	tap_run(test_doubt_names_a_rule, NULL,
		"policy_eval() names none when too many rules cover a path; the planner crashes on '/'",
		"too many rules over one path: one of them is named");
	tap_run(test_untrusted_grants, NULL, NULL, "an untrusted layer gives nothing");
	tap_run(test_sockets, NULL, NULL, "who takes a socket away");
	tap_run(test_order_does_not_matter, NULL, NULL, "the order of rules does not matter");
	tap_run(test_builtin, NULL, NULL, "built-in rules");
	tap_run(test_builtin_depends_on_the_caller, NULL, NULL,
		"built-in rules depend on the caller");
	tap_run(test_names, NULL, NULL, "kinds, layers and states have names of their own");
	return tap_done();
}
