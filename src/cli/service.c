/* SPDX-License-Identifier: Apache-2.0 */
/* What runs in a sandbox that stays by itself (docs/adr/0037). */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logs.h"
#include "sandbox.h"
#include "settings.h"

#define GRACE_MS 10000
#define WAIT_MS 10 /* between two looks at one that ends, or begins */
#define START_MS 60000

struct service_options {
	struct opt_list needs, env;
	const char *dir, *user, *port, *restart, *time;
	struct logs_options logs;
};

static void fill(struct service_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("add"),
		OPT_LIST(
			"needs", &o->needs, NULL, "NAME", "Start it after the service NAME",
			"NAME must be there already. It is started when NAME runs (with --port: listens), and stopped before NAME is."),
		OPT_STRING("workdir", &o->dir, NULL, "DIR", "Start in DIR of the sandbox",
			   "An absolute path; the default is the sandbox's first workspace.",
			   OPT_LETTER('w')),
		OPT_LIST("env", &o->env, NULL, "NAME=VALUE", "Set a variable",
			 "It is kept, and shown by 'bailey inspect': it is no place for keys.",
			 OPT_LETTER('e')),
		OPT_STRING("user", &o->user, NULL, "USER[:GROUP]",
			   "Run as another user of the sandbox", "As for 'bailey exec'.",
			   OPT_LETTER('u')),
		OPT_STRING(
			"port", &o->port, NULL, "PORT",
			"It is ready when something listens on this TCP port",
			"Until then its state is 'starting', and what needs it waits. No two services of a sandbox have the same."),
		OPT_STRING(
			"restart", &o->restart, NULL, "always|on-failure|no",
			"When it is started again, once it has ended; default: always",
			"After 0.1 s, then after twice as long each time, up to 30 s, until it has run for 30 s."),
		OPT_GROUP("stop, restart"),
		OPT_STRING("time", &o->time, NULL, "DURATION",
			   "Wait so long between SIGTERM and SIGKILL; default: 10s",
			   "0 kills at once; at most ten minutes.", OPT_LETTER('t')),
		OPT_GROUP("logs"),
		OPT_FLAG("follow", &o->logs.follow, NULL, "Go on, also when it is started again",
			 "Until it is removed, or the sandbox ends.", OPT_LETTER('f')),
		OPT_STRING("tail", &o->logs.tail, NULL, "N",
			   "Only the last N lines of what is kept",
			   "With --follow, what comes then is printed, too.", OPT_LETTER('n')),
		OPT_GROUP("ls, logs"),
		OPT_FLAG(
			"json", &o->logs.json, NULL, "Print JSON",
			"From ls an array of objects: name, state (stopped, starting, running, stopping, failed), pid (inside), since (ns since 1970: in that state), restarts, "
			"status (of its last end), error (why it does not run), next_restart (ns since 1970), session (its number for 'bailey sessions'), and what it was added with: "
			"command, needs, env, dir, user, port, restart. From logs an object for each line: session, line."),
		OPT_END,
	};

	*o = (struct service_options){ .dir = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 15

static const struct opt *options(void)
{
	static struct service_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words service_words = {
	.about =
		"Services are commands that a sandbox runs by itself: from its start to its end, each after those that it needs, and again when they end. They are kept with the sandbox. "
		"add keeps one (and starts it, where the sandbox runs), ls lists them, start, stop and restart are for the time until the sandbox is started again, logs prints what one has written, "
		"rm ends and forgets it. One is over when its first process ends; what it has started in its process group ends with it.",
	.options = options,
	.examples = { { "bailey service add --port 8000 box web -- python3 -m http.server",
			"from now on, at each start of the sandbox" },
		      { "bailey service add --needs web box worker -- ./worker",
			"started when web listens" },
		      { "bailey service ls box", "what they do" },
		      { "bailey service logs -f box web", "what one writes" } },
	.statuses = { { "0", "done" },
		      { "3", "there is no such sandbox or service" },
		      { "4",
			"there is one of this name or port, another needs it, the sandbox or the service does not run, or it ends at once" },
		      { "125", "the sandbox can't be started, or has ended" },
		      { "2", "wrong options" } },
};

const struct json_node *service_find(const struct json_node *list, const char *name)
{
	const struct json_node *v;
	const char *text;

	for (v = list ? list->first : NULL; v; v = v->next) {
		text = json_text(v, "name");
		if (text && strcmp(text, name) == 0)
			break;
	}
	return v;
}

/* What the supervisor says to @m. @ret: a list, of @a. Return: 0 or negative errno with @e. */
static int ask(struct arena *a, int sock, const char *box, const struct wire_msg *m,
	       const struct json_node **ret, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	int r = client_list(sock, m, -1, box, &b, e);

	if (r == 0)
		r = json_read_kept("services", b.data, b.len, a, ret, e);
	buf_done(&b);
	return r;
}

/* One look. Return: 0; -EAGAIN: it is on its way; other negative errno with @e. */
static int look(int sock, const char *box, const char *name, struct service_now *ret, struct err *e)
{
	const struct wire_msg m = { .type = WIRE_SERVICES_ASK };
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	const struct json_node *list = NULL, *v;
	const char *state, *error;
	int r = ask(&a, sock, box, &m, &list, e);

	v = r == 0 ? service_find(list, name) : NULL;
	state = v ? json_text(v, "state") : NULL;
	if (state) {
		error = json_text(v, "error");
		ret->failed = strcmp(state, "failed") == 0;
		(void)snprintf(ret->error, sizeof(ret->error), "%s", error ? error : "");
		if (!error && (strcmp(state, "stopping") == 0 ||
			       (strcmp(state, "starting") == 0 && !json_text(v, "pid"))))
			r = -EAGAIN;
	}
	arena_done(&a);
	return r;
}

int service_wait(int sock, const char *box, const char *name, struct service_now *ret,
		 struct err *e)
{
	const long end = clock_ms() + (long)WIRE_GRACE_MAX + START_MS;
	int r;

	*ret = (struct service_now){ .failed = false };
	while ((r = look(sock, box, name, ret, e)) == -EAGAIN) {
		if (clock_ms() > end)
			return err_set(e, ERR_SYSTEM, -ETIMEDOUT,
				       "service '%s' is neither started nor stopped", name);
		(void)usleep(WAIT_MS * 1000);
	}
	return r;
}

/* --- the verbs ------------------------------------------------------------------------------------------------------------------------ */

struct call {
	struct named n;
	struct service_options o;
	const char *box, *name; /* words */
	char **command;
	long grace, tail;
	unsigned int port;
};

/* @vars: they are variables */
static char **values(struct arena *a, const struct opt_list *l, bool vars)
{
	char **v = arena_alloc(a, (l->n + 1) * sizeof(*v));
	size_t i, n = 0;

	for (i = 0; v && i < l->n; i++) {
		if (vars)
			env_put(v, &n, l->v[i].value);
		else
			v[n++] = (char *)(uintptr_t)l->v[i].value;
	}
	return v;
}

static int add(struct call *c, struct err *e)
{
	struct service_def d = { .name = c->name,
				 .argv = c->command,
				 .env = values(&c->n.arena, &c->o.env, true),
				 .needs = values(&c->n.arena, &c->o.needs, false),
				 .dir = c->o.dir,
				 .user = c->o.user,
				 .port = c->port };
	int r = 0;

	if (!d.env || !d.needs)
		return sandbox_oom(e);
	if (c->o.restart)
		r = service_restart_parse(c->o.restart, &d.restart, e);
	return r < 0 ? r : service_add(&c->n, c->box, &d, e);
}

static int rm(struct call *c, struct err *e)
{
	return service_remove(&c->n, c->box, c->name, e);
}

/* Of the command, as a human writes it. */
static void print_command(const struct json_node *def, struct buf *b)
{
	const struct json_node *v = json_member(def, "command");

	for (v = v ? v->first : NULL; v; v = v->next) {
		buf_quote(b, v->text);
		buf_puts(b, v->next ? " " : "\n");
	}
}

static void print_one(const struct json_node *def, const struct json_node *now, struct buf *b)
{
	const char *name = json_text(def, "name"), *pid = now ? json_text(now, "pid") : NULL,
		   *status = now ? json_text(now, "status") : NULL,
		   *why = now ? json_text(now, "error") : NULL;

	buf_printf(b, "%-16s %-8s %-8s %-8s %-6s ", name ? name : "",
		   now ? json_text(now, "state") : "stopped",
		   now ? json_text(now, "restarts") : "0", pid ? pid : "-", status ? status : "-");
	print_command(def, b);
	if (why) {
		buf_puts(b, "    ");
		buf_quote(b, why);
		buf_puts(b, "\n");
	}
}

/* One object of two: how it is, and what it was added with. */
static void json_one(const struct json_node *def, const struct json_node *now, struct buf *b)
{
	const struct json_node *v;
	struct buf part = BUF_INIT(LIMIT_SPAWN);

	if (now)
		json_write(now, &part);
	else
		buf_printf(&part, "{\"name\":\"%s\",\"state\":\"stopped\",\"restarts\":0}",
			   json_text(def, "name"));
	if (part.failed || part.len < 2) {
		b->failed = true;
	} else {
		buf_add(b, part.data, part.len - 1);
		for (v = def->first; v; v = v->next) {
			if (strcmp(v->key, "name") == 0)
				continue;
			buf_puts(b, ",");
			json_write(v, b); /* with its key */
		}
		buf_puts(b, "}");
	}
	buf_done(&part);
}

static int ls(struct call *c, struct err *e)
{
	const struct wire_msg m = { .type = WIRE_SERVICES_ASK };
	struct service_def *all = arena_alloc(&c->n.arena, LIMIT_SERVICES * sizeof(*all));
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	const struct json_node *now = NULL, *v;
	struct named_box box;
	_cleanup_close_ int sock = -1;
	size_t n = 0;
	int r = named_get(&c->n, c->box, &box, e);

	if (r == 0)
		r = all ? services_read(box.services, &c->n.arena, all, &n, e) : sandbox_oom(e);
	if (r == 0 && named_lives(&c->n, box.id))
		sock = named_reach(&c->n, &box);
	if (r == 0 && sock >= 0)
		r = ask(&c->n.arena, sock, box.name, &m, &now, e);
	if (r == 0) {
		if (c->o.logs.json)
			buf_puts(&b, "[");
		else if (n)
			buf_printf(&b, "%-16s %-8s %-8s %-8s %-6s %s\n", "NAME", "STATE",
				   "RESTARTS", "PID", "STATUS", "COMMAND");
		for (v = box.services ? box.services->first : NULL; v; v = v->next) {
			const char *name = json_text(v, "name");
			const struct json_node *at = name ? service_find(now, name) : NULL;

			if (!c->o.logs.json) {
				print_one(v, at, &b);
				continue;
			}
			buf_puts(&b, v == box.services->first ? "" : ",");
			json_one(v, at, &b);
		}
		buf_puts(&b, c->o.logs.json ? "]\n" : "");
		r = b.len || b.failed ? cli_print(&b) : 0;
	}
	buf_done(&b);
	return r;
}

static int give_order(struct call *c, enum wire_order_word order, int sock, struct err *e)
{
	struct wire_msg m = { .type = WIRE_SERVICE_ORDER,
			      .service = { .order = order, .grace_ms = (uint32_t)c->grace } };
	const struct json_node *v = NULL;
	struct service_now now;
	int r = client_word(c->name, m.service.word, e);

	if (r == 0)
		r = ask(&c->n.arena, sock, c->box, &m, &v, e);
	if (r == 0)
		r = service_wait(sock, c->box, c->name, &now, e);
	if (r == 0 && order != WIRE_ORDER_STOP && now.failed)
		return err_set(
			e, ERR_SYSTEM, -ESRCH,
			"service '%s' does not run: %s; 'bailey service logs %s %s' has what it said",
			c->name, *now.error ? now.error : "it has ended at once", c->box, c->name);
	return r;
}

static int start(struct call *c, struct err *e)
{
	_cleanup_close_ int sock = -1;
	int r = client_connect(&c->n, c->box, &sock, e);

	return r == 0 ? give_order(c, WIRE_ORDER_START, sock, e) : r;
}

/* To one that runs. */
static int reach(struct call *c, int *ret_sock, struct err *e)
{
	int r = client_reach(&c->n, c->box, ret_sock, e);

	return r == -ESRCH ?
		       err_set(e, ERR_SYSTEM, r,
			       "sandbox '%.100s' does not run; 'bailey start %.100s' starts it, with its services",
			       c->box, c->box) :
		       r;
}

static int stop(struct call *c, struct err *e)
{
	_cleanup_close_ int sock = -1;
	int r = reach(c, &sock, e);

	return r == 0 ? give_order(c, WIRE_ORDER_STOP, sock, e) : r;
}

static int restart(struct call *c, struct err *e)
{
	_cleanup_close_ int sock = -1;
	int r = client_connect(&c->n, c->box, &sock, e);

	return r == 0 ? give_order(c, WIRE_ORDER_RESTART, sock, e) : r;
}

static int logs(struct call *c, struct err *e)
{
	const struct wire_msg m = { .type = WIRE_SERVICES_ASK };
	const struct json_node *list, *v;
	_cleanup_close_ int sock = -1;
	int r = reach(c, &sock, e);

	if (r == 0)
		r = ask(&c->n.arena, sock, c->box, &m, &list, e);
	if (r != 0)
		return r;
	v = service_find(list, c->name);
	if (!v)
		return err_set(e, ERR_SYSTEM, -ENOENT, "there is no service '%.100s'", c->name);
	if (!json_text(v, "session"))
		return err_set(
			e, ERR_SYSTEM, -ESRCH,
			"service '%s' has not been started yet; 'bailey service ls %.100s' says why",
			c->name, c->box);
	r = logs_show(sock, &c->o.logs, c->tail, c->name, e);
	return r > 0 ? 0 : r; /* its status is what ls shows */
}

/* --- words ---------------------------------------------------------------------------------------------------------------------------- */

static const struct sub {
	const char *name;
	int (*run)(struct call *, struct err *);
	unsigned int words;  /* SANDBOX, NAME */
	const char *options; /* the short names of those that it takes, by given() */
} subs[] = {
	{ "add", add, 2, "needs workdir env user port restart" },
	{ "ls", ls, 1, "json" },
	{ "start", start, 2, "" },
	{ "stop", stop, 2, "time" },
	{ "restart", restart, 2, "time" },
	{ "logs", logs, 2, "follow tail json" },
	{ "rm", rm, 2, "" },
};

static bool is_given(const struct opt *o)
{
	switch (o->type) {
	case OPT_TYPE_FLAG:
		return *(const bool *)o->target;
	case OPT_TYPE_STRING:
		return *(const char *const *)o->target;
	case OPT_TYPE_LIST:
		return ((const struct opt_list *)o->target)->n > 0;
	default:
		return false;
	}
}

static bool takes(const struct sub *sub, const char *option)
{
	const size_t n = strlen(option);
	const char *p;

	for (p = strstr(sub->options, option); p; p = strstr(p + 1, option)) {
		if ((p == sub->options || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	}
	return false;
}

static int check_numbers(struct call *c, struct err *e)
{
	const char *port = c->o.port;
	int r = 0;

	c->grace = GRACE_MS;
	c->tail = -1;
	if (port) {
		if (!*port || strlen(port) > 5 || port[strspn(port, "0123456789")] ||
		    !(c->port = (unsigned int)strtoul(port, NULL, 10)) || c->port > 65535)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "--port '%.100s': expected 1 to 65535", port);
	}
	if (c->o.time) {
		r = sandbox_duration_or_zero(c->o.time, &c->grace, e);
		if (r == 0 && c->grace > (long)WIRE_GRACE_MAX)
			r = err_set(e, ERR_USAGE, -ERANGE, "'%.100s': at most 10m", c->o.time);
		if (r < 0)
			return err_wrap(e, r, "--time");
	}
	return c->o.logs.tail ? logs_tail(c->o.logs.tail, &c->tail, e) : 0;
}

/* @words: what was said beside options. Return: what to do, or NULL with @e. */
static const struct sub *understand(struct call *c, const struct opt *table,
				    const char *const words[4], size_t n, struct err *e)
{
	const struct sub *sub = NULL;
	const struct opt *o;
	size_t i;

	for (i = 0; n && i < ARRAY_SIZE(subs); i++) {
		if (strcmp(subs[i].name, words[0]) == 0)
			sub = &subs[i];
	}
	if (!sub) {
		(void)err_set(
			e, ERR_USAGE, -EINVAL,
			n ? "'%.100s': expected add, ls, start, stop, restart, logs or rm" :
			    "say what to do: bailey service add, ls, start, stop, restart, logs or rm%s",
			n ? words[0] : "");
		return NULL;
	}
	for (o = table; o->type != OPT_TYPE_END; o++) {
		if (is_given(o) && !takes(sub, o->name)) {
			(void)err_set(e, ERR_USAGE, -EINVAL, "--%s is no option of service %s",
				      o->name, sub->name);
			return NULL;
		}
	}
	if (n != 1 + sub->words || (c->command && sub->run != add)) {
		(void)err_set(e, ERR_USAGE, -EINVAL, "say it so: bailey service %s SANDBOX%s%s",
			      sub->name, sub->words > 1 ? " NAME" : "",
			      sub->run == add ? " -- COMMAND" : "");
		return NULL;
	}
	c->box = words[1];
	c->name = sub->words > 1 ? words[2] : NULL;
	return sub;
}

int service_main(char **argv)
{
	static char *nothing[] = { NULL };
	struct call c = { .n = { .state = -1, .runtime = -1 } };
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	const struct sub *sub = NULL;
	const char *words[4];
	size_t n = 0, at = 0, rest;
	bool dashes = false;
	int r = 0;

	fill(&c.o, table);
	while (r == 0 && !dashes) { /* options may stand anywhere */
		r = opt_parse(table, argv + at, &rest, &dashes, &e);
		at += r == 0 ? rest : 0;
		if (r == 0 && dashes)
			c.command = argv + at;
		if (r < 0 || dashes || !argv[at] || n == ARRAY_SIZE(words))
			break;
		words[n++] = argv[at++];
	}
	if (r == 0) {
		sub = understand(&c, table, words, n, &e);
		r = sub ? check_numbers(&c, &e) : -EINVAL;
	}
	if (!c.command)
		c.command = nothing;
	if (r == 0)
		r = named_open(&c.n, &e);
	if (r == 0 && sub)
		r = sub->run(&c, &e);
	opt_list_done(&c.o.env);
	opt_list_done(&c.o.needs);
	named_done(&c.n);
	return r < 0 ? client_fail(&e) : r;
}
