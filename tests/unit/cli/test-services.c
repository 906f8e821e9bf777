/* SPDX-License-Identifier: Apache-2.0 */
/* When services begin and end; PID 1 is this file. */
#include "../../../src/cli/services.h"
#include "tap.h"

#include <errno.h>
#include <signal.h>

static struct sessions sessions;
static struct services all;
static char log_of[512]; /* what PID 1 was asked, a word each */
static bool open_port;
static struct err e;

static void note(const char *what, const char *name)
{
	(void)snprintf(log_of + strlen(log_of), sizeof(log_of) - strlen(log_of), "%s%s%s",
		       *log_of ? " " : "", what, name);
}

static int spawn(void *arg, struct session *one, const struct init_command *cmd, struct err *err)
{
	(void)arg;
	(void)err;
	REQUIRE(cmd->argv[0]);
	note("+", one->name);
	return 0;
}

static void send_to(void *arg, const struct session *one, int sig)
{
	(void)arg;
	note(sig == SIGTERM ? "-" : "!", one->name);
}

static bool listens(void *arg, unsigned int port)
{
	(void)arg;
	return port == 80 && open_port;
}

static void on_done(void *client, const struct session *one, bool slow)
{
	(void)client;
	(void)one;
	(void)slow;
}

static int set(const char *text)
{
	return services_set(&all, text, strlen(text), &e);
}

static void begin(const char *text)
{
	REQUIRE(sessions_begin(&sessions) == 0);
	sessions.done = on_done;
	all = (struct services){
		.sessions = &sessions, .spawn = spawn, .send = send_to, .listens = listens
	};
	REQUIRE(set(text) == 0);
}

/* Return: ms until the next step, -1: none. */
static long step(void)
{
	long wait = -1;

	log_of[0] = '\0';
	services_step(&all, &wait);
	return wait;
}

static struct session *of(const char *name)
{
	return sessions_find(&sessions, name, false);
}

static void started(const char *name)
{
	struct session *one = of(name);

	REQUIRE(one && sessions_started(&sessions, one, 7, -1) == 0);
	REQUIRE(services_started(&all, one));
}

static void ended(const char *name, int status)
{
	struct session *one = of(name);

	REQUIRE(one);
	sessions_ended(&sessions, one, status);
	REQUIRE(services_ended(&all, one, status));
}

static bool says(const char *part)
{
	struct buf b = BUF_INIT(65536);
	bool yes;

	services_list(&all, &b);
	yes = b.data && strstr(b.data, part);
	buf_done(&b);
	return yes;
}

static int order(enum wire_order_word what, const char *name)
{
	struct wire_msg m = { .type = WIRE_SERVICE_ORDER,
			      .service = { .order = what, .grace_ms = 10000 } };

	(void)snprintf(m.service.word, sizeof(m.service.word), "%s", name);
	return services_order(&all, &m, &e);
}

#define LIST(n, more) "{\"generation\":" #n ",\"services\":[" more "]}"
#define DB "{\"name\":\"db\",\"command\":[\"x\"],\"port\":80}"
#define WEB "{\"name\":\"web\",\"command\":[\"x\"],\"needs\":[\"db\"]}"
#define JOB "{\"name\":\"job\",\"command\":[\"x\"],\"restart\":\"on-failure\"}"

TEST(each_after_what_it_needs)
{
	begin(LIST(1, DB "," WEB));
	CHECK(step() == -1);
	CHECK_STR(log_of, "+db");
	CHECK(!services_settled(&all) && says("waits for 'db'"));
	started("db");
	CHECK(services_settled(&all));
	CHECK(step() >= 0);
	CHECK(step() > 0); /* nothing listens yet */
	CHECK(says("\"starting\"") && !says("\"running\""));
	open_port = true;
	(void)usleep(50000);
	(void)step();
	CHECK_STR(log_of, "+web");
	started("web");
	(void)step();
	CHECK(!says("\"starting\"") && says("\"running\""));
}

TEST(stopped_the_other_way_round)
{
	open_port = true;
	begin(LIST(1, DB "," WEB));
	(void)step();
	started("db");
	(void)step();
	started("web");
	CHECK(order(WIRE_ORDER_STOP, "db") == 0);
	CHECK(step() > 0);
	CHECK_STR(log_of, "-web");
	(void)step();
	CHECK_STR(log_of, ""); /* once, and db waits */
	ended("web", SIGTERM);
	(void)step();
	CHECK_STR(log_of, "-db");
	ended("db", 0);
	CHECK(step() == -1);
	CHECK(says("\"stopped\"") && !says("\"failed\"") && !services_any(&all));
	CHECK(order(WIRE_ORDER_STOP, "db") == -ESRCH);
	CHECK(order(WIRE_ORDER_STOP, "no") == -ENOENT);
	CHECK(order(WIRE_ORDER_START, "web") == 0); /* and what it needs */
	(void)step();
	CHECK_STR(log_of, "+db");
}

TEST(restart_takes_along_what_needs_it)
{
	open_port = true;
	begin(LIST(1, DB "," WEB));
	(void)step();
	started("db");
	(void)step();
	started("web");
	CHECK(order(WIRE_ORDER_RESTART, "db") == 0);
	(void)step();
	ended("web", SIGTERM);
	(void)step();
	ended("db", SIGTERM);
	(void)step();
	CHECK_STR(log_of, "+db");
	started("db");
	(void)step();
	CHECK_STR(log_of, "+web");
	CHECK(says("\"restarts\":0"));
}

/* A loop of crashes: each time it waits twice as long. */
TEST(delay)
{
	long wait, want = 100;
	int i;

	begin(LIST(1, JOB));
	for (i = 0; i < 4; i++) {
		(void)step();
		CHECK_STR(log_of, "+job");
		started("job");
		(void)step();
		ended("job", 1 << 8);
		wait = step();
		CHECK(wait <= want && wait > want - 50);
		CHECK_STR(log_of, "");
		CHECK(says("\"failed\"") && says("next_restart"));
		(void)usleep((unsigned int)wait * 1000 + 2000);
		want *= 2;
	}
	CHECK(says("\"restarts\":4"));
	CHECK(order(WIRE_ORDER_RESTART, "job") == 0); /* does not wait */
	(void)step();
	CHECK_STR(log_of, "+job");
	started("job");
	ended("job", 0); /* well: on-failure lets it be */
	CHECK(step() == -1);
	CHECK(says("\"stopped\""));
}

TEST(others_are_defined)
{
	struct session *old;

	open_port = true;
	begin(LIST(5, DB));
	(void)step();
	started("db");
	CHECK(set(LIST(4, JOB)) == 0); /* older than what is known */
	(void)step();
	CHECK_STR(log_of, "");
	CHECK(set("{\"generation\":6,\"services\":[{}]}") < 0);
	CHECK(says("\"db\""));
	CHECK(set(LIST(6, DB "," JOB)) == 0);
	(void)step();
	CHECK_STR(log_of, "+job");
	started("job");
	old = of("job");
	CHECK(set(LIST(7, DB)) == 0);
	(void)step();
	CHECK_STR(log_of, "-job");
	CHECK(set(LIST(8, DB "," JOB)) == 0); /* while the first one ends */
	(void)step();
	CHECK_STR(log_of, "");
	ended("job", 0);
	(void)step();
	CHECK_STR(log_of, "+job");
	CHECK(of("job") != old && !old->service);
}

TEST(the_end)
{
	open_port = true;
	begin(LIST(1, DB "," WEB "," JOB));
	(void)step();
	started("db");
	started("job");
	(void)step();
	started("web");
	services_stop(&all, 10000);
	(void)step();
	CHECK_STR(log_of, "-web -job");
	ended("job", 1 << 8);
	ended("web", 0);
	CHECK(order(WIRE_ORDER_START, "job") == 0); /* too late */
	(void)step();
	CHECK_STR(log_of, "-db");
	services_stop(&all, 0); /* now */
	(void)step();
	CHECK_STR(log_of, "!db");
	ended("db", SIGKILL);
	CHECK(step() == -1 && !services_any(&all));
}
