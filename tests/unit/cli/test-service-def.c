/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/cli/listening.h"
#include "../../../src/cli/service-def.h"
#include "tap.h"

#include <errno.h>

static struct arena arena = ARENA_INIT(LIMIT_ARENA);

/* Return: what reading the list @text says; @ret_n, @all: what it is. */
static int read_all(const char *text, struct service_def *all, size_t *ret_n, struct err *e)
{
	const struct json_node *v;

	*e = (struct err)ERR_INIT;
	REQUIRE(json_read("test", text, strlen(text), &arena, &v, e) == 0);
	return services_read(v, &arena, all, ret_n, e);
}

TEST(comes_back)
{
	static const char text[] =
		"[{\"name\":\"web\",\"command\":[\"a\",\"\",\"b c\"],\"needs\":[],\"env\":[\"A=\",\"B==\"],\"dir\":\"/x\",\"user\":\"root\",\"port\":65535,\"restart\":\"no\"},"
		"{\"name\":\"w_2\",\"command\":[\"a\"],\"needs\":[\"web\"],\"env\":[],\"dir\":null,\"user\":null,\"port\":0,\"restart\":\"on-failure\"}]";
	struct service_def all[LIMIT_SERVICES];
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };
	struct err e;
	size_t n, i;

	REQUIRE(read_all(text, all, &n, &e) == 0 && n == 2);
	CHECK(all[0].port == 65535 && all[0].restart == SERVICE_NEVER);
	CHECK_STR(all[0].env[1], "B==");
	json_open(&j, NULL, '[');
	for (i = 0; i < n; i++)
		service_write(&all[i], &j);
	json_close(&j, ']');
	CHECK_STR(b.data, text);
	buf_done(&b);
}

#define ONE(more) "[{\"name\":\"a\",\"command\":[\"x\"]" more "}]"

TEST(what_can_not_be)
{
	static const struct {
		const char *text;
		int r;
		const char *says;
	} bad[] = {
		{ "{}", -EINVAL, "services" },
		{ "[1]", -EINVAL, "an object" },
		{ "[{}]", -EINVAL, "a name" },
		{ "[{\"name\":\"a\"}]", -EINVAL, "no command" },
		{ "[{\"name\":\"a\",\"command\":[]}]", -EINVAL, "no command" },
		{ "[{\"name\":\"a\",\"command\":[\"\"]}]", -EINVAL, "no command" },
		{ "[{\"name\":\"a\",\"command\":[1]}]", -EINVAL, "command" },
		{ "[{\"name\":\"1a\",\"command\":[\"x\"]}]", -EINVAL, "service '1a'" },
		{ "[{\"name\":\"a/b\",\"command\":[\"x\"]}]", -EINVAL, "service 'a/b'" },
		{ "[{\"name\":null,\"command\":[\"x\"]}]", -EINVAL, "a name" },
		{ ONE(",\"dir\":\"x\""), -EINVAL, "--workdir 'x'" },
		{ ONE(",\"dir\":1"), -EINVAL, "dir" },
		{ ONE(",\"user\":\"\""), -EINVAL, "--user ''" },
		{ ONE(",\"user\":\"a\\nb\""), -EINVAL, "--user" },
		{ ONE(",\"port\":65536"), -EINVAL, "--port 65536" },
		{ ONE(",\"port\":-1"), -EINVAL, "port" },
		{ ONE(",\"port\":\"80\""), -EINVAL, "port" },
		{ ONE(",\"restart\":\"never\""), -EINVAL, "--restart 'never'" },
		{ ONE(",\"restart\":null"), -EINVAL, "restart" },
		{ ONE(",\"env\":[\"A\"]"), -EINVAL, "--env 'A'" },
		{ ONE(",\"env\":[\"=A\"]"), -EINVAL, "--env '=A'" },
		{ ONE(",\"needs\":[\"\"]"), -EINVAL, "--needs ''" },
		{ ONE(",\"needs\":[\"b\"]"), -ENOENT, "--needs 'b'" },
		{ ONE(",\"needs\":[\"a\"]"), -ELOOP, "need itself" },
		{ ONE(",\"more\":1"), -EINVAL, "'more'" },
		{ "[{\"name\":\"a\",\"command\":[\"x\"]},{\"name\":\"a\",\"command\":[\"x\"]}]",
		  -EEXIST, "'a' already" },
		{ "[{\"name\":\"a\",\"command\":[\"x\"],\"port\":8},{\"name\":\"b\",\"command\":[\"x\"],\"port\":8}]",
		  -EEXIST, "--port 8" },
		{ "[{\"name\":\"a\",\"command\":[\"x\"],\"needs\":[\"b\"]},{\"name\":\"b\",\"command\":[\"x\"],\"needs\":[\"c\"]},{\"name\":\"c\",\"command\":[\"x\"],\"needs\":[\"a\"]}]",
		  -ELOOP, "need itself" },
	};
	struct service_def all[LIMIT_SERVICES];
	struct err e;
	size_t n, i;

	CHECK(read_all(ONE(""), all, &n, &e) == 0); /* the control */
	CHECK(read_all(ONE(",\"port\":0,\"dir\":\"/\",\"user\":\"1:2\",\"env\":[\"A=\"]"), all, &n,
		       &e) == 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(read_all(bad[i].text, all, &n, &e) == bad[i].r);
		CHECK(strstr(e.msg, bad[i].says) != NULL);
	}
}

TEST(how_many)
{
	struct service_def all[LIMIT_SERVICES];
	struct buf b = BUF_INIT(65536);
	struct err e;
	size_t n;
	int i;

	buf_puts(&b, "[");
	for (i = 0; i < LIMIT_SERVICES; i++)
		buf_printf(&b, "%s{\"name\":\"s%d\",\"command\":[\"x\"]}", i ? "," : "", i);
	buf_puts(&b, "]");
	CHECK(read_all(b.data, all, &n, &e) == 0 && n == LIMIT_SERVICES);
	b.len--;
	buf_puts(&b, ",{\"name\":\"more\",\"command\":[\"x\"]}]");
	CHECK(read_all(b.data, all, &n, &e) == -E2BIG);
	buf_done(&b);
}

/* As a kernel has written it. */
TEST(who_listens)
{
	static const struct {
		const char *line;
		bool v6, listens;
		unsigned int port;
	} rows[] = {
		{ "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
		  false, false, 0 },
		{ "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n",
		  false, true, 0x1f90 },
		{ "   1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1\n",
		  false, false, 0x1f91 },
		{ "   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0\n",
		  true, true, 80 },
		{ "   0: 0100007F:0050 00000000:0000 0A\n", true, false, 0 },
		{ "   0: 0100007F:0050", false, false, 0 },
		{ "   0: 0100007", false, false, 0 },
		{ "   0:", false, false, 0 },
		{ ":::", false, false, 0 },
		{ "\n", false, false, 0 },
		{ "", false, false, 0 },
	};
	const unsigned char loopback[] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };
	struct listener l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (listening_line(rows[i].line, rows[i].v6, &l) != rows[i].listens)
			FAIL("row %zu", i);
		if (rows[i].listens)
			CHECK(l.port == rows[i].port && l.v6 == rows[i].v6 &&
			      memcmp(l.at, rows[i].v6 ? loopback6 : loopback,
				     rows[i].v6 ? 16 : 4) == 0);
	}
}
