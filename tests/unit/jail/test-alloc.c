/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture: every allocation of util, policy and planner fails once, alone and with all that follow it. The answer must be -ENOMEM, said
 * so, with nothing leaked and nothing touched that is not there (the sanitizers see that).
 * Linked with --wrap=malloc,calloc,realloc; what libc allocates for itself is not counted.
 */
#include "tap.h"

#include <errno.h>

#include "fake-host.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool armed, for_ever;
static long countdown; /* allocations that still succeed */
static int failed;

static bool fails(void)
{
	if (!armed)
		return false;
	if (countdown > 0) {
		countdown--;
		return false;
	}
	if (failed && !for_ever)
		return false;
	failed++;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

/* Runs @work with each allocation failing. It returns 0 or a negative errno, and frees everything. */
static void torture(int (*work)(struct err *e))
{
	long n;
	int r, turn;

	for (turn = 0; turn < 2; turn++) {
		for (n = 0; n < 10000; n++) {
			struct err e = ERR_INIT;

			countdown = n;
			for_ever = turn;
			failed = 0;
			armed = true;
			r = work(&e);
			armed = false;
			if (!failed)
				break;
			if (r != -ENOMEM || (e.msg[0] && e.sys != ENOMEM))
				FAIL("allocation %ld fails, and the answer is %d \"%s\"", n, r,
				     e.msg);
		}
		REQUIRE(r == 0);
		CHECK(n > 0); /* something was allocated */
	}
}

static int work_options(struct err *e)
{
	struct opt_list list = { 0 };
	const struct opt opts[] = { OPT_LIST("hide", &list, NULL, "PATH", "", ""), OPT_END };
	char word[] = "--hide=/x", *argv[40] = { NULL };
	size_t rest, i;
	bool dashes;
	int r;

	for (i = 0; i < ARRAY_SIZE(argv) - 1; i++)
		argv[i] = word;
	r = opt_parse(opts, argv, &rest, &dashes, e);
	opt_list_done(&list);
	return r;
}

static int work_buffer(__attribute__((unused)) struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct json j = { .out = &b };
	int i, r;

	json_open(&j, NULL, '[');
	for (i = 0; i < 2000; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "key", "value \xff");
		json_int(&j, "n", i);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	buf_quote(&b, "a\nb");
	r = b.failed ? -ENOMEM : 0;
	buf_done(&b);
	return r;
}

static int work_arena(__attribute__((unused)) struct err *e)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	bool good = true;
	int i;

	for (i = 0; i < 200; i++) {
		good &= arena_alloc(&a, 1000) != NULL;
		good &= arena_strdup(&a, "text") != NULL;
		good &= arena_printf(&a, "%0500d", i) != NULL;
	}
	arena_done(&a);
	return good ? 0 : -ENOMEM;
}

static int work_read(__attribute__((unused)) struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	int r = fd_read_all(fd, &b);

	close(fd);
	buf_done(&b);
	/* a buffer does not tell a full cap from missing memory */
	return r == -EFBIG ? -ENOMEM : r;
}

/* A policy file, its patterns, the list of its values. */
static int work_policy_file(struct err *e)
{
	static struct opt_list list;
	static const struct opt opts[] = {
		OPT_LIST("hide", &list, "filesystem.hide", "PATH", "", "",
			 OPT_TIGHTENS | OPT_PATHS | OPT_GLOBS),
		OPT_LIST("env", &list, "environment.set", "NAME=VALUE", "", "", OPT_MAP), OPT_END
	};
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct buf text = BUF_INIT(LIMIT_POLICY_FILE);
	struct opt_list got = { .n = 0 };
	struct policy_file f = { .n = 0 };
	struct policy_glob g;
	size_t i;
	int r;

	buf_puts(&text,
		 "{\"environment\": {\"set\": {\"A\": \"1\"}}, \"filesystem\": {\"hide\": [");
	for (i = 0; i < 300; i++)
		buf_printf(&text, "%s\"**/a%zu/*.[a-z]\"", i ? "," : "", i);
	buf_puts(&text, "]}}");
	r = text.failed ? err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory") :
			  policy_file_parse(&f, "f.json", text.data, text.len, opts, &a, e);
	for (i = 0; r == 0 && i < f.n; i++) {
		r = policy_glob_parse(&g, f.values[i].value, "/w", "/home/u", &a, e);
		if (r == 0 && opt_list_add(&got, &f.values[i]) < 0)
			r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	opt_list_done(&got);
	buf_done(&text);
	arena_done(&a);
	return r;
}

static struct fake_host fake;
static size_t arena_max = LIMIT_ARENA;

static void make_host(void)
{
	char text[64];
	int i;

	for (i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "/mnt/d%d dir%s", i, i == 7 ? " mount" : "");
		REQUIRE(fake_add(&fake, text) == 0);
	}
	REQUIRE(fake_add(&fake, "/home/u/.config/gh dir") == 0);
	REQUIRE(fake_add(&fake, "/home/u/some/directory") == 0);
	for (i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "/home/u/some/directory/file%d file", i);
		REQUIRE(fake_add(&fake, text) == 0);
	}
}

TEST(options)
{
	torture(work_options);
}

TEST(buffers_and_json)
{
	torture(work_buffer);
}

TEST(arenas)
{
	torture(work_arena);
}

TEST(reading_a_file)
{
	torture(work_read);
}

TEST(policy_files)
{
	torture(work_policy_file);
}

/* Rules that can't be enforced here are refused before the memory is gone, so the host has them all. */
static int work_small_plan(struct err *e)
{
	struct arena a = ARENA_INIT(arena_max);
	struct jail_plan plan;
	struct jail_host host;
	struct policy p;
	char path[64];
	int i, r = 0;

	policy_init(&p, &a);
	for (i = 0; r == 0 && i < 40; i++) {
		snprintf(path, sizeof(path), "/home/u/some/directory/file%d", i);
		r = policy_add(&p, (enum policy_kind)(1 + i % 4), POLICY_COMMAND, path, "an origin",
			       e);
	}
	if (r == 0)
		r = policy_builtin(
			&p, &(struct policy_caller){ .home = "/home/u", .host_root = true }, e);
	policy_seal(&p);
	fake_host(&fake, &host);
	if (r == 0)
		r = jail_plan_make(&plan, &a, &p, &host, e);
	arena_done(&a);
	return r;
}

TEST(policy_and_plan)
{
	make_host();
	torture(work_small_plan);
}

TEST(policy_and_plan_against_the_cap_of_the_arena)
{
	size_t passed = 0;

	make_host();
	for (arena_max = 0; arena_max < 400000; arena_max += 3000) {
		struct err e = ERR_INIT;
		int r = work_small_plan(&e);

		if (r == 0)
			passed++;
		else if (r != -ENOMEM || e.sys != ENOMEM || passed)
			FAIL("with %zu bytes the answer is %d \"%s\"", arena_max, r, e.msg);
	}
	CHECK(passed > 0 && passed < 130);
}
