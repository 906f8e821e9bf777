/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <errno.h>
#include <fcntl.h>

static struct loop loop;
static struct err e;
static int calls, p[2], q[2];

static int count(void *arg, short revents, struct err *err)
{
	(void)err;
	calls++;
	*(short *)arg = revents;
	return -EAGAIN;
}

static int end(void *arg, short revents, struct err *err)
{
	(void)revents;
	(void)err;
	return *(int *)arg;
}

static int close_q(void *arg, short revents, struct err *err)
{
	struct loop_source *other = arg;

	(void)revents;
	(void)err;
	close(q[0]);
	other->fd = -1;
	return -EAGAIN;
}

static void open_pipes(void)
{
	REQUIRE(pipe2(p, O_CLOEXEC) == 0 && pipe2(q, O_CLOEXEC) == 0);
}

TEST(waits_and_calls)
{
	short got = 0;

	open_pipes();
	REQUIRE(loop_add(&loop, p[0], POLLIN, count, &got));
	CHECK(loop_wait(&loop, 0, &e) == -EAGAIN && calls == 0);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(loop_wait(&loop, -1, &e) == -EAGAIN && calls == 1 && got == POLLIN);
}

TEST(a_source_that_is_not_wanted_is_not_asked)
{
	struct loop_source *s;
	short got = 0;

	open_pipes();
	s = loop_add(&loop, p[0], 0, count, &got);
	REQUIRE(s);
	close(p[1]); /* poll(2) would tell of that, asked or not */
	CHECK(loop_wait(&loop, 0, &e) == -EAGAIN && calls == 0);
	s->events = POLLIN;
	CHECK(loop_wait(&loop, 0, &e) == -EAGAIN && calls == 1 && got == POLLHUP);
	s->fd = -1;
	CHECK(loop_wait(&loop, 0, &e) == -EAGAIN && calls == 1);
}

TEST(a_handler_ends_the_loop)
{
	int seven = 7;

	open_pipes();
	REQUIRE(loop_add(&loop, p[1], POLLOUT, end, &seven));
	CHECK(loop_wait(&loop, -1, &e) == 7);
}

TEST(a_handler_may_take_another_source_away)
{
	struct loop_source *first;
	short got;

	open_pipes();
	first = loop_add(&loop, p[1], POLLOUT, close_q, NULL);
	REQUIRE(first);
	first->arg = loop_add(&loop, q[0], POLLIN, count, &got);
	CHECK(write(q[1], "x", 1) == 1);
	CHECK(loop_wait(&loop, -1, &e) == -EAGAIN && calls == 0);
}

TEST(the_table_has_an_end)
{
	size_t i;

	for (i = 0; i < LIMIT_SOURCES; i++)
		CHECK(loop_add(&loop, -1, POLLIN, count, NULL));
	CHECK(!loop_add(&loop, -1, POLLIN, count, NULL));
	CHECK(loop_wait(&loop, 0, &e) == -EAGAIN);
}
