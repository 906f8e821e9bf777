/* SPDX-License-Identifier: Apache-2.0 */
/* Runs plan.table: each block is a test, a host and rules on one side, operations on the other. */
#define TAP_NO_MAIN
#include "tap.h"

#include <errno.h>

#include "fake-host.h"
#include "table.h"

struct block {
	char title[200], todo[200];
	int line;
	bool own_ids;
	struct fake_host host;
	struct arena arena;
	struct policy policy;
	struct buf want; /* operations, one a line */
	char error[300]; /* or "ERRNO words of the message" */
};

static void print_op(struct buf *b, const struct jail_plan *p, const struct jail_op *op)
{
	static const struct {
		unsigned int flag;
		const char *name;
	} flags[] = { { JAIL_OP_WRITABLE, "writable" }, { JAIL_OP_FILE, "file" },
		      { JAIL_OP_INSIDE, "inside" },     { JAIL_OP_LOWERED, "lowered" },
		      { JAIL_OP_NAMED, "named" },       { JAIL_OP_SHALLOW, "shallow" },
		      { JAIL_OP_MAPPED, "mapped" },     { JAIL_OP_PIN, "pin" },
		      { JAIL_OP_SOCKET, "socket" } };
	unsigned int left = op->flags;
	size_t i;

	buf_printf(b, "%s %s", jail_op_type_name(op->type), op->path);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (op->flags & flags[i].flag)
			buf_printf(b, " %s", flags[i].name);
		left &= ~flags[i].flag;
	}
	if (left)
		buf_printf(b, " flags=%#x", left);
	if (op->mode)
		buf_printf(b, " mode=%o", (unsigned int)op->mode);
	if (op->region != JAIL_NO_REGION && p->ops[op->region].type != JAIL_OP_ROOT)
		buf_printf(b, " on=%s", p->ops[op->region].path);
	if (op->rule)
		buf_printf(b, " : %s %s", policy_kind_name(op->rule->kind), op->rule->path);
	buf_puts(b, "\n");
}

static int error_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} errors[] = { { "EINVAL", EINVAL },
		       { "ENOENT", ENOENT },
		       { "E2BIG", E2BIG },
		       { "EIO", EIO },
		       { "ENOTDIR", ENOTDIR } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		if (strncmp(errors[i].name, name, strlen(errors[i].name)) == 0)
			return errors[i].number;
	}
	return -1;
}

static void run_block(const void *arg)
{
	/* the fork has given this process a copy of its own */
	struct block *b = (struct block *)(uintptr_t)arg;
	struct buf got = BUF_INIT(1 << 20);
	struct jail_plan plan;
	struct jail_host host;
	struct err e = ERR_INIT;
	size_t i;
	int r;

	fake_host(&b->host, &host);
	host.block = b->own_ids;
	policy_seal(&b->policy);
	r = jail_plan_make(&plan, &b->arena, &b->policy, &host, &e);
	if (b->error[0]) {
		const char *words = strchr(b->error, ' ');

		if (r != -error_number(b->error) || !words || !strstr(e.msg, words + 1) ||
		    e.sys != -r)
			FAIL("the plan gives %d \"%s\", not %s", r, e.msg, b->error);
	} else if (r < 0) {
		FAIL("the plan fails: %s", e.msg);
	}
	for (i = 0; r == 0 && i < plan.n; i++)
		print_op(&got, &plan, &plan.ops[i]);
	for (i = 0; r == 0 && i < plan.n_absent; i++)
		buf_printf(&got, "absent %s\n", plan.absent[i].path);
	buf_puts(&got, "");
	buf_puts(&b->want, "");
	if (!b->error[0] && strcmp(got.data, b->want.data) != 0) {
		char *s = got.data, *nl;

		FAIL("another plan:");
		for (; (nl = strchr(s, '\n')); s = nl + 1)
			printf("# > %.*s\n", (int)(nl - s), s);
	}
	buf_done(&got);
	buf_done(&b->want);
	arena_done(&b->arena);
}

static struct block base, block;

static void finish(const struct table *t)
{
	if (!block.title[0])
		return;
	if (!block.want.len && !block.error[0])
		table_die(t, "a block expects nothing");
	tap_run(run_block, &block, block.todo[0] ? block.todo : NULL, "%s:%d %s", t->name,
		block.line, block.title);
	buf_done(&block.want);
	arena_done(&block.arena);
}

static void run_table(const char *path)
{
	struct block *b = &base;
	struct table t;
	char *s;

	table_open(&t, path);
	while ((s = table_next(&t))) {
		if (strncmp(s, "== ", 3) == 0) {
			finish(&t);
			block = base;
			b = &block;
			snprintf(b->title, sizeof(b->title), "%.190s", s + 3);
			b->line = t.line;
			b->arena.max = LIMIT_ARENA;
			b->want.max = 1 << 20;
			policy_init(&b->policy, &b->arena);
		} else if (strncmp(s, "todo ", 5) == 0) {
			snprintf(b->todo, sizeof(b->todo), "%.190s", s + 5);
		} else if (strcmp(s, "ids block") == 0) {
			b->own_ids = true;
		} else if (strncmp(s, "host ", 5) == 0) {
			if (fake_add(&b->host, s + 5) < 0)
				table_die(&t, "expected host PATH TYPE [FLAG...]");
		} else if (strncmp(s, "> ", 2) == 0 && b == &block) {
			buf_puts(&b->want, s + 2);
			buf_puts(&b->want, "\n");
		} else if (strncmp(s, "! ", 2) == 0 && b == &block) {
			snprintf(b->error, sizeof(b->error), "%.290s", s + 2);
		} else if (b == &block) {
			table_rule(&t, s, &b->policy);
		} else {
			table_die(&t, "before the first block there can only be hosts");
		}
	}
	finish(&t);
}

static struct arena arena = ARENA_INIT(LIMIT_ARENA);
static struct fake_host fake;
static struct jail_host host;
static struct policy policy;
static struct jail_plan plan;
static struct err e;

/* A home whose children are mount points: each needs an overlay of its own, and those are counted. */
static void test_overlays_are_capped(__attribute__((unused)) const void *arg)
{
	char text[64];
	size_t i, overlays = 0, hosts = 0;

	for (i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "/h/d%zu dir%s", i, i == 99 ? " mount" : "");
		REQUIRE(fake_add(&fake, text) == 0);
	}
	fake_host(&fake, &host);
	policy_init(&policy, &arena);
	REQUIRE(jail_plan_make(&plan, &arena, &policy, &host, &e) == 0);
	for (i = 0; i < plan.n; i++) {
		overlays += plan.ops[i].type == JAIL_OP_OVERLAY;
		hosts += plan.ops[i].type == JAIL_OP_HOST;
	}
	CHECK(overlays == LIMIT_OVERLAYS && plan.overlays == overlays);
	CHECK(hosts == 1 + 100 - LIMIT_OVERLAYS);
	arena_done(&arena);
}

static void test_operations_are_capped(__attribute__((unused)) const void *arg)
{
	char path[64];
	int i;

	REQUIRE(fake_add(&fake, "/h") == 0);
	fake_host(&fake, &host);
	policy_init(&policy, &arena);
	for (i = 0; i < LIMIT_RULES; i++) {
		snprintf(path, sizeof(path), "/h/%d", i);
		REQUIRE(policy_add(&policy, POLICY_HIDE, POLICY_COMMAND, path, "test", &e) == 0);
	}
	policy_seal(&policy);
	CHECK(jail_plan_make(&plan, &arena, &policy, &host, &e) == -E2BIG);
	CHECK(e.code == ERR_POLICY);
	arena_done(&arena);
}

static void test_names(__attribute__((unused)) const void *arg)
{
	int i, k;

	for (i = 0; i < JAIL_OP_NUM; i++) {
		for (k = 0; k < i; k++)
			CHECK(strcmp(jail_op_type_name((enum jail_op_type)i),
				     jail_op_type_name((enum jail_op_type)k)) != 0);
		CHECK(jail_op_shows_host(&(struct jail_op){ .type = (enum jail_op_type)i }) ==
		      (i == JAIL_OP_BIND || i == JAIL_OP_HOST || i == JAIL_OP_ROOT));
	}
	CHECK_STR(jail_op_type_name(JAIL_OP_NUM), "?");
}

int main(int argc, char **argv)
{
	run_table(argc > 1 ? argv[1] : NULL);
	tap_run(test_overlays_are_capped, NULL, NULL,
		"the number of overlays is capped, the rest stays as it is");
	tap_run(test_operations_are_capped, NULL, NULL, "the number of operations is capped");
	tap_run(test_names, NULL, NULL, "operations have names of their own");
	return tap_done();
}
