/* SPDX-License-Identifier: Apache-2.0 */
/* Records, values, and what is kept; what a sandbox's secrets are made of. */
#include "../../../src/keys/bound.h"
#include "../../../src/keys/scrub.h"
#include "../../../src/keys/store.h"
#include "tap.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

static char dir[] = "/tmp/bailey-store-XXXXXX";

static const char *make_dir(void)
{
	REQUIRE(mkdtemp(dir));
	return dir;
}

static void remove_dir(void)
{
	CHECK(tree_remove(AT_FDCWD, dir) == 0);
}

static struct secret custom(const char *name, const char *value)
{
	return (struct secret){ .name = name,
				.carrier = SECRET_HEADER,
				.field = "x-key",
				.format = "{}",
				.value = value,
				.hosts = { .v = { "api.example.org" }, .n = 1 },
				.variables = { .v = { "KEY" }, .n = 1 } };
}

/* Written and read it is the same. */
TEST(record_round_trip)
{
	struct secret s = custom("mine", "va\"l\\u/e {} 1"), got;
	struct arena a = ARENA_INIT(1 << 20);
	struct buf b = BUF_INIT(SECRET_RECORD_MAX), again = BUF_INIT(SECRET_RECORD_MAX);
	struct err e = ERR_INIT;

	s.expires = 4102444800;
	s.created = 5;
	s.changed = 7;
	s.command = "printf '%s' \"$X\"";
	s.hosts.v[s.hosts.n++] = "*.b.example.org";
	secret_print(&s, &b);
	if (secret_parse(&got, "mine", b.data, b.len, &a, &e) < 0)
		FAIL("%s", e.msg);
	secret_print(&got, &again);
	CHECK_STR(again.data, b.data);
	CHECK_STR(got.value, s.value);
	CHECK(got.hosts.n == 2 && got.expires == 4102444800 && got.changed == 7);
	/* another's record */
	CHECK(secret_parse(&got, "other", b.data, b.len, &a, &e) == -EINVAL);
	/* cut anywhere it is none */
	for (size_t n = 0; n < b.len; n++) {
		char *cut = strndup(b.data, n);

		CHECK(secret_parse(&got, "mine", cut, n, &a, &e) < 0);
		free(cut);
	}
	buf_done(&b);
	buf_done(&again);
	arena_done(&a);
}

TEST(record_refused)
{
#define HEAD \
	"{\"version\":1,\"name\":\"a\",\"carrier\":\"query\",\"field\":\"k\",\"hosts\":[\"a.org\"],"
	static const struct {
		const char *text, *what;
	} rows[] = {
		{ "[]", "object" },
		{ "{}", "version" },
		{ "{\"version\":2}", "version" },
		{ "{\"version\":\"1\"}", "version" },
		{ HEAD "\"value\":\"12345678\",\"more\":1}", "'more'" },
		{ HEAD "\"value\":12345678}", "value" },
		{ HEAD "\"value\":\"1234567\"}", "7 bytes" },
		{ HEAD "\"value\":\"12345678\\n\"}", "printable" },
		{ HEAD "\"value\":\"12345678\",\"expires\":-1}", "expires" },
		{ HEAD "\"value\":\"12345678\",\"expires\":1.5}", "expires" },
		{ HEAD "\"value\":\"12345678\",\"id\":\"AKIAIOSFODNN7EXAMPLE\"}", "AWS" },
		{ HEAD "\"value\":\"12345678\",\"regions\":[\"eu-west-1\"]}", "AWS" },
		{ HEAD "\"value\":\"12345678\",\"service\":\"nope\"}", "'nope'" },
		{ HEAD "\"value\":\"12345678\",\"service\":\"aws\"}", "id" },
		{ HEAD "\"value\":\"12345678\",\"variables\":[1]}", "variables" },
		{ HEAD "\"value\":\"12345678\",\"variables\":[\"A\",\"A\"]}", "twice" },
		{ HEAD "\"value\":\"12345678\",\"command\":\"\"}", "command" },
		{ HEAD "\"created\":1}", "neither a value nor a command" },
		{ "{\"version\":1,\"name\":\"a\",\"carrier\":\"fax\",\"value\":\"12345678\"}",
		  "carrier" },
		{ "{\"version\":1,\"name\":\"a\",\"carrier\":\"query\",\"field\":\"k\",\"value\":\"12345678\"}",
		  "--host" },
		{ "{\"version\":1,\"name\":\"a\",\"carrier\":\"query\",\"field\":\"k\",\"hosts\":[\"*.org\"],\"value\":\"12345678\"}",
		  "*.org" },
		{ "{\"version\":1,\"name\":\"a\",\"carrier\":\"query\",\"field\":\"k\",\"hosts\":[\"A.org\"],\"value\":\"12345678\"}",
		  "a.org" },
	};
	struct arena a = ARENA_INIT(1 << 20);
	struct secret s;
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		e = (struct err)ERR_INIT;
		if (secret_parse(&s, "a", rows[i].text, strlen(rows[i].text), &a, &e) >= 0 ||
		    !strstr(e.msg, rows[i].what))
			FAIL("%s: %s", rows[i].text, e.msg);
		CHECK(!strstr(e.msg, "12345678"));
	}
	/* the control */
	CHECK(secret_parse(&s, "a", HEAD "\"value\":\"12345678\"}",
			   strlen(HEAD "\"value\":\"12345678\"}"), &a, &e) == 0);
	arena_done(&a);
}

TEST(times)
{
	static const struct {
		const char *text;
		int64_t t;
	} rows[] = {
		{ "0", 0 },
		{ "1700000000", 1700000000 },
		{ "2023-11-14T22:13:20Z", 1700000000 },
		{ "2023-11-14t22:13:20.999z", 1700000000 },
		{ "2023-11-14 22:13:20+00:00", 1700000000 },
		{ "2023-11-15T00:13:20+02:00", 1700000000 },
		{ "2023-11-14T18:43:20-03:30", 1700000000 },
		{ "", -1 },
		{ "soon", -1 },
		{ "2023-11-14", -1 },
		{ "2023-11-14T22:13:20", -1 },
		{ "2023-13-14T22:13:20Z", -1 },
		{ "2023-11-14T22:13:20.Z", -1 },
		{ "2023-11-14T22:13:20+2", -1 },
		{ "2023-11-14T22:13:20Zx", -1 },
		{ "1.5", -1 },
		{ "-1", -1 },
		{ "99999999999999999999", -1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (secret_time(rows[i].text) != rows[i].t)
			FAIL("%s: %lld", rows[i].text, (long long)secret_time(rows[i].text));
	}
}

static int value(struct secret *s, const char *text, bool json, struct arena *a)
{
	struct err e = ERR_INIT;

	return secret_set_value(s, text, strlen(text), json, 1000, a, &e);
}

TEST(values)
{
	struct arena a = ARENA_INIT(1 << 20);
	struct secret s = custom("mine", NULL),
		      aws = { .name = "aws", .service = "aws", .carrier = SECRET_AWS };

	CHECK(value(&s, "12345678\n", false, &a) == 0);
	CHECK_STR(s.value, "12345678");
	CHECK(value(&s, "{\"value\":\"abcdefgh\"}", false, &a) == 0);
	CHECK_STR(s.value, "{\"value\":\"abcdefgh\"}");
	CHECK(value(&s, "{\"value\":\"abcdefgh\",\"expires_in\":60,\"more\":[1]}\n", true, &a) ==
	      0);
	CHECK_STR(s.value, "abcdefgh");
	CHECK(s.expires == 1060);
	CHECK(value(&s, "{\"value\":\"abcdefgh\",\"expires\":\"1970-01-01T01:00:00Z\"}", true,
		    &a) == 0);
	CHECK(s.expires == 3600);
	CHECK(value(&s, "{not json, but a value}", true, &a) == 0);
	CHECK(s.expires == 0);
	/* what is refused changes nothing */
	CHECK(value(&s, "short", true, &a) == -EINVAL);
	CHECK_STR(s.value, "{not json, but a value}");
	CHECK(value(&s, "{\"value\":\"abcdefgh\",\"expires_in\":-1}", true, &a) == -EINVAL);
	CHECK(value(&aws, "AKIAIOSFODNN7EXAMPLE:se/cret+0:to:ken==", false, &a) == 0);
	CHECK_STR(aws.id, "AKIAIOSFODNN7EXAMPLE");
	CHECK_STR(aws.value, "se/cret+0");
	CHECK_STR(aws.token, "to:ken==");
	CHECK(value(&aws,
		    "{\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\",\"SecretAccessKey\":\"12345678\",\"SessionToken\":null,\"Expiration\":null}",
		    false, &a) == 0);
	CHECK(!aws.token && aws.expires == 0);
	arena_done(&a);
}

TEST(expiry)
{
	struct secret s = custom("mine", "12345678");

	CHECK(!secret_expired(&s, 1000)); /* a value that was given stays */
	s.command = "true";
	CHECK(secret_expired(&s, 1000)); /* it isn't known how long */
	s.expires = 2000;
	CHECK(!secret_expired(&s, 1000) && !secret_expired(&s, 1939) && secret_expired(&s, 1940));
	s.value = NULL;
	CHECK(secret_expired(&s, 1000));
}

TEST(kept)
{
	const char *at = make_dir(), **names = NULL;
	struct arena a = ARENA_INIT(1 << 20);
	struct secret s = custom("b", "kept-value-1"), got;
	struct store st = STORE_INIT;
	struct err e = ERR_INIT;

	CHECK(store_open(&st, at, false, &e) == -ENOENT);
	REQUIRE(store_open(&st, at, true, &e) == 0);
	CHECK(store_list(&st, &a, &names, &e) == 0);
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	s.name = "a.b_c-1";
	REQUIRE(store_write(&st, &s, STORE_KEY_FILE, &e) == 0);
	CHECK(store_write(&st, &s, STORE_KEY_RING, &e) == -EEXIST);
	s.name = "Bad";
	CHECK(store_write(&st, &s, STORE_KEY_ANY, &e) == -EINVAL);
	store_done(&st);
	REQUIRE(store_open(&st, at, false, &e) == 0);
	CHECK(store_list(&st, &a, &names, &e) == 2);
	CHECK_STR(names[0], "a.b_c-1");
	CHECK_STR(names[1], "b");
	REQUIRE(store_read(&st, "b", &a, &got, &e) == 0);
	CHECK_STR(got.value, "kept-value-1");
	CHECK(store_read(&st, "none", &a, &got, &e) == -ENOENT);
	CHECK(store_read(&st, "../b", &a, &got, &e) == -EINVAL);
	CHECK(store_has(&st, "b") && !store_has(&st, "none") && !store_has(&st, "../x"));
	CHECK(store_remove(&st, "b", &e) == 0);
	CHECK(store_remove(&st, "b", &e) == -ENOENT);
	store_done(&st);
	arena_done(&a);
	remove_dir();
}

/* A command is run when it must be, and what it gave is kept. */
TEST(commands)
{
	const char *at = make_dir();
	struct arena a = ARENA_INIT(1 << 20);
	struct secret s = custom("mine", NULL), got;
	struct store st = STORE_INIT;
	char command[200], first[32];
	struct err e = ERR_INIT;

	snprintf(
		command, sizeof(command),
		"echo x >> %s/n; printf '{\"value\":\"run-number-%%d\",\"expires_in\":3600}' $(wc -l < %s/n)",
		at, at);
	s.command = command;
	REQUIRE(store_open(&st, at, true, &e) == 0);
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	store_done(&st);
	REQUIRE(store_open(&st, at, false, &e) == 0);
	REQUIRE(store_refresh(&st, "mine", &a, &got, &e) == 0);
	CHECK_STR(got.value, "run-number-1");
	snprintf(first, sizeof(first), "%s", got.value);
	REQUIRE(store_refresh(&st, "mine", &a, &got, &e) == 0);
	CHECK_STR(got.value, first); /* not again */
	got.expires = (int64_t)time(NULL) + 10;
	REQUIRE(store_write(&st, &got, STORE_KEY_ANY, &e) == 0);
	REQUIRE(store_refresh(&st, "mine", &a, &got, &e) == 0);
	CHECK_STR(got.value, "run-number-2");
	/* one that fails leaves what was kept */
	got.expires = 1;
	got.command = "exit 1";
	REQUIRE(store_write(&st, &got, STORE_KEY_ANY, &e) == 0);
	CHECK(store_refresh(&st, "mine", &a, &got, &e) == -ECHILD);
	REQUIRE(store_read(&st, "mine", &a, &got, &e) == 0);
	CHECK_STR(got.value, "run-number-2");
	store_done(&st);
	arena_done(&a);
	remove_dir();
}

/* It is rotated while its command runs: what was rotated stays. */
TEST(rotated_meanwhile)
{
	const char *at = make_dir();
	struct arena a = ARENA_INIT(1 << 20), other = ARENA_INIT(1 << 20);
	struct secret s = custom("mine", NULL), got;
	struct store st = STORE_INIT, second = STORE_INIT;
	char command[300];
	struct err e = ERR_INIT;
	pid_t pid;
	int i;

	snprintf(
		command, sizeof(command),
		"touch %s/started; while [ ! -e %s/go ]; do sleep 0.02; done; echo value-of-command",
		at, at);
	s.command = command;
	REQUIRE(store_open(&st, at, true, &e) == 0);
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	store_done(&st);
	pid = fork();
	if (pid == 0) {
		char path[100];

		snprintf(path, sizeof(path), "%s/started", at);
		for (i = 0; i < 500 && access(path, F_OK) != 0; i++)
			usleep(10000);
		s = custom("mine", "value-of-person");
		if (store_open(&second, at, true, &e) < 0 ||
		    store_write(&second, &s, STORE_KEY_ANY, &e) < 0)
			_exit(1);
		store_done(&second);
		snprintf(path, sizeof(path), "%s/go", at);
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		_exit(0);
	}
	REQUIRE(pid > 0 && store_open(&st, at, false, &e) == 0);
	REQUIRE(store_refresh(&st, "mine", &a, &got, &e) == 0);
	CHECK_STR(got.value, "value-of-person");
	REQUIRE(waitpid(pid, &i, 0) == pid && i == 0);
	REQUIRE(store_read(&st, "mine", &other, &got, &e) == 0);
	CHECK_STR(got.value, "value-of-person");
	store_done(&st);
	arena_done(&a);
	arena_done(&other);
	remove_dir();
}

static int take(struct bound *b, const char *at, const char *const *names, size_t n, struct err *e)
{
	struct buf out = BUF_INIT(BOUND_MAX);
	int r;

	bound_read(&(struct bound_places){ .state = at, .names = names, .n = n, .shared = n },
		   &out);
	r = bound_take(b, names, n, out.data, out.len, NULL, e);
	buf_done(&out);
	return r;
}

/* As many of everything as there may be: it fits into what is set aside for it. */
TEST(bound_large)
{
	static char words[BOUND_SECRETS][SECRET_LIST_MAX][16], names[BOUND_SECRETS][8];
	const char *at = make_dir(), *list[BOUND_SECRETS];
	char value[SECRET_VALUE_MAX + 1];
	struct store st = STORE_INIT;
	struct bound b = { .now = NULL };
	struct err e = ERR_INIT;
	struct secret s;
	size_t i, k;

	memset(value, 'v', SECRET_VALUE_MAX);
	value[SECRET_VALUE_MAX] = '\0';
	REQUIRE(store_open(&st, at, true, &e) == 0);
	for (i = 0; i < BOUND_SECRETS; i++) {
		snprintf(names[i], sizeof(names[i]), "s%zu", i);
		list[i] = names[i];
		/* half are as small as they can be: nodes are most of them */
		s = custom(names[i], i % 2 ? "12345678" : value);
		s.hosts.n = s.variables.n = SECRET_LIST_MAX;
		for (k = 0; k < SECRET_LIST_MAX; k++) {
			snprintf(words[i][k], sizeof(words[i][k]), "a%zu.b", k);
			s.hosts.v[k] = words[i][k];
		}
		for (k = 0; k < SECRET_LIST_MAX; k++)
			s.variables.v[k] =
				&"A\0B\0C\0D\0E\0F\0G\0H\0I\0J\0K\0L\0M\0N\0O\0P\0Q\0R\0S\0T\0U\0V\0W\0X\0Y\0Z\0a\0b\0c\0d\0e\0f"
					[2 * k];
		REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	}
	store_done(&st);
	for (i = 1; i <= BOUND_SECRETS; i++) {
		if (take(&b, at, list + BOUND_SECRETS - i, i, &e) != 0)
			FAIL("%zu: %s", i, e.msg);
	}
	CHECK(b.now && b.now->n == BOUND_SECRETS);
	bound_done(&b);
	remove_dir();
}

static int take_again(struct bound *b, const char *at, const char *const *names, size_t n,
		      struct buf *notes, struct err *e)
{
	struct buf out = BUF_INIT(BOUND_MAX);
	int r;

	notes->len = 0;
	bound_read_again(&(struct bound_places){ .state = at, .names = names, .n = n, .shared = n },
			 &out);
	r = bound_take(b, names, n, out.data, out.len, notes, e);
	buf_done(&out);
	return r;
}

static bool is_left;

static const char *removed(const struct bound *b, const char *host)
{
	return bound_removed(b->now, host, &is_left);
}

/* Each stands alone: one that is removed, or that can't be read, doesn't hold up another. */
TEST(bound_one_by_one)
{
	static const char *const names[] = { "a", "b", "c" };
	const char *at = make_dir();
	struct store st = STORE_INIT;
	struct bound b = { .now = NULL };
	struct buf notes = BUF_INIT(1024);
	struct err e = ERR_INIT;
	char path[200], first[SECRET_SENTINEL_MAX];
	struct secret s;
	size_t i;

	REQUIRE(store_open(&st, at, true, &e) == 0);
	for (i = 0; i < 3; i++) {
		s = custom(names[i], "first-value");
		s.hosts.v[0] = i == 0 ? "*.a.test" : i == 1 ? "b.test" : "c.test";
		REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	}
	REQUIRE(take(&b, at, names, 3, &e) == 0 && !removed(&b, "x.a.test"));
	snprintf(first, sizeof(first), "%s", b.now->v[0].sentinel.value);
	/* nothing of "b" can be read: "c" is rotated all the same */
	snprintf(path, sizeof(path), "%s/secrets/b.secret", at);
	REQUIRE(truncate(path, 10) == 0);
	s = custom("c", "second-value");
	s.hosts.v[0] = "c.test";
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	REQUIRE(take_again(&b, at, names, 3, &notes, &e) == 0);
	CHECK(strstr(notes.data, "'b'") && strstr(notes.data, "stays as it was"));
	REQUIRE(b.now->n == 3 && b.now->n_gone == 0);
	CHECK_STR(b.now->v[1].secret.value, "first-value");
	CHECK_STR(b.now->v[2].secret.value, "second-value");
	/* "a" goes */
	REQUIRE(store_remove(&st, "a", &e) == 0);
	REQUIRE(take_again(&b, at, names, 3, &notes, &e) == 0);
	CHECK(strstr(notes.data, "'a' was removed"));
	REQUIRE(b.now->n == 2 && b.now->n_gone == 1 && !b.now->gone[0].secret.value);
	CHECK_STR(removed(&b, "x.a.test"), "a");
	CHECK(!removed(&b, "b.test") && !removed(&b, "c.test") &&
	      !inject_bound(b.now->v, b.now->n, "x.a.test"));
	REQUIRE(take_again(&b, at, names, 3, &notes, &e) == 0 && b.now->n_gone == 1);
	CHECK(!notes.len || !strstr(notes.data, "'a'"));
	/* and comes back, with the sentinel that the sandbox has */
	s = custom("a", "third-value");
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	REQUIRE(take_again(&b, at, names, 3, &notes, &e) == 0 && b.now->n_gone == 0);
	CHECK_STR(b.now->v[0].sentinel.value, first);
	/* at the beginning, without an old one, all must be there */
	bound_done(&b);
	CHECK(take_again(&b, at, names, 3, &notes, &e) < 0 && !b.now);
	bound_done(&b);
	store_done(&st);
	buf_done(&notes);
	remove_dir();
}

/* What it was bound to is not forgotten while a sandbox runs: until it is bound to that again. */
TEST(bound_to_other_hosts)
{
	static const char *const names[] = { "a", "b" };
	static const char *const hosts[] = { "*.a.test", "x.a.test", "c.test", "*.a.test" };
	static const struct {
		const char *host;
		bool left[ARRAY_SIZE(hosts)];
	} rows[] = { { "x.a.test", { false, false, true, false } },
		     { "y.a.test", { false, true, true, false } },
		     { "c.test", { false, false, false, true } },
		     { "b.test", { false, false, false, false } },
		     { "d.test", { false, false, false, false } } };
	const char *at = make_dir();
	struct store st = STORE_INIT;
	struct bound b = { .now = NULL };
	struct buf notes = BUF_INIT(1024);
	struct err e = ERR_INIT;
	struct secret s = custom("b", "first-value");
	const char *name;
	char rule[16];
	size_t i, k;

	REQUIRE(store_open(&st, at, true, &e) == 0);
	s.hosts.v[0] = "b.test";
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	s = custom("a", "first-value");
	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		s.hosts.v[0] = hosts[i];
		notes.len = 0;
		REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
		REQUIRE((i ? take_again(&b, at, names, 2, &notes, &e) :
			     take(&b, at, names, 2, &e)) == 0);
		CHECK((i > 0) == (notes.len && strstr(notes.data, "not bound to")));
		for (k = 0; k < ARRAY_SIZE(rows); k++) {
			name = removed(&b, rows[k].host);
			CHECK(name ? rows[k].left[i] && is_left && strcmp(name, "a") == 0 :
				     !rows[k].left[i]);
		}
	}
	/* one that is removed is no more where it was long ago, either */
	REQUIRE(store_remove(&st, "a", &e) == 0);
	REQUIRE(take_again(&b, at, names, 2, &notes, &e) == 0);
	CHECK(removed(&b, "y.a.test") && !is_left && removed(&b, "c.test") && is_left);
	/* there is an end of it, and then nothing changes */
	s.hosts.v[0] = rule;
	for (i = 0; i < BOUND_LEFT + 2; i++) {
		snprintf(rule, sizeof(rule), "h%zu.test", i);
		REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
		if (take_again(&b, at, names, 2, &notes, &e) < 0)
			break;
	}
	CHECK(i > BOUND_LEFT - 5 && i < BOUND_LEFT + 2 && strstr(e.msg, "start it anew"));
	CHECK(removed(&b, "x.a.test") && removed(&b, "h0.test"));
	bound_done(&b);
	store_done(&st);
	buf_done(&notes);
}

/* When a command is to be run again. */
TEST(due)
{
	struct secret s = custom("a", "first-value");

	s.changed = 1000;
	s.expires = 2000;
	CHECK(secret_due(&s) == 0);
	s.command = "true";
	CHECK(secret_due(&s) == 1940);
	s.expires = 1010;
	CHECK(secret_due(&s) == 1005);
	s.expires = 0;
	CHECK(secret_due(&s) == 0);
	s.value = NULL;
	CHECK(secret_due(&s) == 1);
}

/* What a sandbox has of it; through a rotation, and while a request still holds what was. */
TEST(bound)
{
	static const char *const names[] = { "mine", "aws" }, *const missing[] = { "none" };
	const char *at = make_dir();
	struct secret s = custom("mine", "first-value"), aws = { .name = "aws",
								 .service = "aws",
								 .carrier = SECRET_AWS,
								 .id = "AKIAIOSFODNN7EXAMPLE",
								 .value = "aws-secret-value",
								 .token = "aws-session-token" };
	struct inject_variable vars[SECRET_LIST_MAX + 1];
	struct store st = STORE_INIT;
	struct bound b = { .now = NULL };
	struct bound_set *old, *now;
	struct buf out = BUF_INIT(4096);
	struct scrub *scrub = NULL;
	struct err e = ERR_INIT;
	char sentinel[SECRET_SENTINEL_MAX];

	CHECK(take(&b, at, names, 2, &e) == -ENOKEY && !b.now && strstr(e.msg, "'mine'"));
	REQUIRE(store_open(&st, at, true, &e) == 0);
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	REQUIRE(store_write(&st, &aws, STORE_KEY_ANY, &e) == 0);
	REQUIRE(take(&b, at, names, 2, &e) == 0);
	old = bound_hold(&b);
	REQUIRE(old && old->n == 2);
	CHECK_STR(old->v[0].secret.value, "first-value");
	CHECK(inject_bound(old->v, 2, "api.example.org") &&
	      inject_bound(old->v, 2, "s3.amazonaws.com") &&
	      !inject_bound(old->v, 2, "example.org"));
	CHECK(inject_variables(&old->v[0], vars) == 1 && strcmp(vars[0].name, "KEY") == 0);
	CHECK(inject_variables(&old->v[1], vars) == 2 &&
	      strcmp(vars[1].name, "AWS_ACCESS_KEY_ID") == 0 && strlen(vars[1].value) == 20);
	snprintf(sentinel, sizeof(sentinel), "%s", old->v[0].sentinel.value);
	s.value = "second-value";
	REQUIRE(store_write(&st, &s, STORE_KEY_ANY, &e) == 0);
	REQUIRE(take(&b, at, names, 2, &e) == 0);
	now = bound_hold(&b);
	CHECK_STR(now->v[0].secret.value, "second-value");
	CHECK_STR(now->v[0].sentinel.value, sentinel);
	CHECK_STR(old->v[0].secret.value, "first-value");
	bound_release(old);
	/* one that fails changes nothing */
	CHECK(take(&b, at, missing, 1, &e) == -ENOKEY && bound_hold(&b) == now);
	bound_release(now);
	REQUIRE(bound_scrub(now, "x.amazonaws.com", &scrub, &e) == 0 && scrub);
	REQUIRE(scrub_step(scrub, "a aws-secret-value b aws-session-token c", 40, &out) == 0 &&
		scrub_end(scrub, &out) == 0);
	CHECK(!strstr(out.data, "aws-se") && strncmp(out.data, "a bailey-secret-", 16) == 0);
	scrub_free(scrub);
	REQUIRE(bound_scrub(now, "else.org", &scrub, &e) == 0);
	CHECK(!scrub);
	CHECK(bound_take(&b, names, 2, "Oxx", 3, NULL, &e) < 0 &&
	      bound_take(&b, names, 2, "", 0, NULL, &e) < 0);
	bound_release(now);
	bound_done(&b);
	store_done(&st);
	buf_done(&out);
	remove_dir();
}
