/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jail/jail.h"
#include "listening.h"
#include "named.h"
#include "port-change.h"
#include "published.h"

#define EACH_US 200000 /* the kernel tells nobody of a new listener */

struct port_options {
	bool json, listening, follow;
	struct opt_list change;
};

#define ROWS 6

static void fill(struct port_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_LIST(
			"publish", &o->change, NULL, PUBLISHED_FORM,
			"Let this machine connect to one more port of the sandbox",
			"As with 'bailey create': on 127.0.0.1, or on IP; HOST 0, or none, is any free one, which is printed. It is kept with the sandbox, and holds at once if it runs.",
			OPT_LETTER('p')),
		OPT_LIST(
			"unpublish", &o->change, NULL, PUBLISHED_FORM,
			"Let nothing of this machine connect to that port any more",
			"PORT alone is each way to that port of the sandbox. Connections that are open stay."),
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: inside (a port of the sandbox), address and port (on the host). With --listening: address and port (of the sandbox); and with --follow, too, an object a line, with event (open, closed)."),
		OPT_FLAG(
			"listening", &o->listening, NULL,
			"Print the TCP ports that programs of the sandbox listen at",
			"Whether they are published or not; as the sandbox sees it. What bailey itself has there, 127.0.0.1:3128 and 1080, is left out."),
		OPT_FLAG("follow", &o->follow, NULL, "With --listening: tell what comes and goes",
			 "Until it is interrupted, or the sandbox stops.", OPT_LETTER('f')),
		OPT_END,
	};

	*o = (struct port_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == ROWS, "say how many rows there are");
}

static const struct opt *options(void)
{
	static struct port_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words port_words = {
	.about =
		"Lists the ports of a sandbox that programs of the host can connect to (--publish), with those that the system has chosen; changes them; or lists those that its programs listen at.",
	.options = options,
	.examples = { { "bailey port box", "\"8080/tcp -> 127.0.0.1:40001\"" },
		      { "bailey port box -p 3000:3000",
			"a server in it can be looked at from here" },
		      { "bailey port --listening -f box", "tell when a server comes up" } },
	.statuses = { { "0", "printed, or changed" },
		      { "3", "there is no such sandbox" },
		      { "4", "it does not run; to change them, it need not" },
		      { "125", "that port of this machine can't be had" },
		      { "2", "wrong options" } },
};

static int list(const struct named *n, const struct named_box *box, bool as_json, struct buf *b,
		struct err *e)
{
	struct published ports[GATEWAY_PUBLISHED];
	struct json j = { .out = b };
	size_t i, count;
	int r = port_list(n, box, ports, &count, e);

	if (r < 0)
		return r;
	if (as_json)
		json_open(&j, NULL, '[');
	for (i = 0; i < count; i++) {
		if (as_json)
			published_json(&j, &ports[i]);
		else
			published_line(b, &ports[i]);
	}
	if (as_json) {
		json_close(&j, ']');
		buf_puts(b, "\n");
	}
	return 0;
}

/* Those at which bailey takes what the sandbox sends, where there is a network. */
static bool is_ours(const struct listener *l)
{
	static const unsigned char loopback[] = { 127, 0, 0, 1 };

	return l->port == JAIL_NET_CAPTURE_PORT ||
	       (!l->v6 && memcmp(l->at, loopback, sizeof(loopback)) == 0 &&
		(l->port == JAIL_NET_HTTP_PORT || l->port == JAIL_NET_SOCKS_PORT));
}

/* @line: an event of those that follow each other; else one of an array */
static void print_listener(const char *event, const struct listener *l, bool as_json, bool line,
			   struct json *j)
{
	char text[INET6_ADDRSTRLEN];

	(void)inet_ntop(l->v6 ? AF_INET6 : AF_INET, l->at, text, sizeof(text)); /* it fits */
	if (!as_json) {
		buf_printf(j->out, "%s %s %u\n", event, text, l->port);
		return;
	}
	json_open(j, NULL, '{');
	if (line)
		json_str(j, "event", event);
	json_str(j, "address", text);
	json_int(j, "port", l->port);
	json_close(j, '}');
	if (line) {
		buf_puts(j->out, "\n");
		j->comma = false;
	}
}

/* What is in @now, and not in @before. */
static void print_new(const struct listeners *now, const struct listeners *before,
		      const char *event, const struct port_options *o, struct json *j)
{
	size_t i;

	for (i = 0; i < now->n; i++) {
		if (!is_ours(&now->at[i]) && !listening_has(before, &now->at[i]))
			print_listener(event, &now->at[i], o->json, o->follow, j);
	}
}

/* The directory in /proc of its PID 1: asked for again when it is open, so that it is no other process of that number. */
static int open_proc(const struct named *n, const struct named_box *box, struct err *e)
{
	const struct wire_msg ask = { .type = WIRE_ASK };
	struct wire_msg first, again;
	_cleanup_close_ int proc = -1;
	char path[32];
	int r = named_order(n, box, &ask, &first, e);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%u", first.state.pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = named_order(n, box, &ask, &again, e);
	if (r < 0)
		return r;
	if (proc < 0 || again.state.pid != first.state.pid)
		return err_set(e, ERR_SYSTEM, -ESRCH, "sandbox '%s': its processes can't be seen",
			       box->name);
	return TAKE_FD(proc);
}

static int listeners(const struct named *n, const struct named_box *box,
		     const struct port_options *o, struct err *e)
{
	static struct listeners lists[2]; /* too big for a stack */
	struct listeners *now = &lists[0], *before = &lists[1], *old;
	_cleanup_close_ int proc = open_proc(n, box, e);
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct json j = { .out = &b };
	int r = proc < 0 ? proc : 0;

	while (r == 0) {
		r = listening_read(proc, now);
		if (r < 0)
			break;
		if (o->json && !o->follow)
			json_open(&j, NULL, '[');
		print_new(now, before, "open", o, &j);
		print_new(before, now, "closed", o, &j);
		if (o->json && !o->follow) {
			json_close(&j, ']');
			buf_puts(&b, "\n");
		}
		r = b.failed ? -ENOMEM : fd_write_all(1, b.data, b.len);
		if (r < 0)
			(void)err_sys(e, r, "stdout");
		if (r < 0 || !o->follow)
			break;
		b.len = 0;
		old = before;
		before = now;
		now = old;
		(void)usleep(EACH_US);
	}
	buf_done(&b);
	if (r == -ESRCH && proc >= 0)
		return o->follow ? 0 :
				   err_set(e, ERR_SYSTEM, -EBUSY, "sandbox '%s' does not run",
					   box->name);
	return r < 0 && proc >= 0 ? err_sys(e, r, "sandbox '%s'", box->name) : r;
}

int port_main(char **argv)
{
	struct port_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct named_box box;
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	int r;

	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0 && (!argv[0] || argv[1]))
		r = err_set(&e, ERR_USAGE, -EINVAL, "name one sandbox: bailey port SANDBOX");
	if (r == 0 && o.follow && !o.listening)
		r = err_set(&e, ERR_USAGE, -EINVAL, "--follow is for --listening");
	if (r == 0 && o.change.n && o.listening)
		r = err_set(&e, ERR_USAGE, -EINVAL, "--listening changes nothing");
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = named_get(&n, argv[0], &box, &e);
	if (r == 0 && o.change.n)
		r = port_change(&n, &box, &o.change, o.json, &b, &e);
	else if (r == 0 && o.listening)
		r = listeners(&n, &box, &o, &e);
	else if (r == 0)
		r = list(&n, &box, o.json, &b, &e);
	if (r == 0 && b.len)
		r = cli_print(&b);
	buf_done(&b);
	named_done(&n);
	opt_list_done(&o.change);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
