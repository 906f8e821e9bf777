/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "inside.h"

struct port_options {
	bool json, listening, follow;
};

#define ROWS 4

static void fill(struct port_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: inside (a port of the sandbox), address and port (on the host). With --listening an object a line: event (open, closed), address, port."),
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
		"Lists the ports of a sandbox that programs of the host can connect to (--publish), with those that the system has chosen; or those that its programs listen at.",
	.options = options,
	.examples = { { "bailey port box", "\"8080/tcp -> 127.0.0.1:40001\"" },
		      { "bailey port --listening -f box", "tell when a server comes up" } },
	.statuses = { { "0", "printed" },
		      { "3", "there is no such sandbox" },
		      { "4", "it does not run" },
		      { "2", "wrong options" } },
};

static void print(const struct wire_msg *m, bool as_json, struct json *j)
{
	struct net_addr at;
	char text[NET_ADDR_TEXT];

	memcpy(at.b, m->port.at, sizeof(at.b));
	net_addr_text(&at, text);
	if (!as_json) {
		buf_printf(j->out, strchr(text, ':') ? "%u/tcp -> [%s]:%u\n" : "%u/tcp -> %s:%u\n",
			   m->port.inside, text, m->port.host);
		return;
	}
	json_open(j, NULL, '{');
	json_int(j, "inside", m->port.inside);
	json_str(j, "address", text);
	json_int(j, "port", m->port.host);
	json_close(j, '}');
}

static int list(const struct named *n, const struct named_box *box, bool as_json, struct buf *b,
		struct err *e)
{
	struct wire_msg ask = { .type = WIRE_PORT_ASK }, m;
	struct json j = { .out = b };
	int r;

	if (as_json)
		json_open(&j, NULL, '[');
	for (;; ask.port_ask.number++) {
		r = named_order(n, box, &ask, &m, e);
		if (r < 0 || ask.port_ask.number >= m.port.total)
			break;
		print(&m, as_json, &j);
	}
	if (as_json) {
		json_close(&j, ']');
		buf_puts(b, "\n");
	}
	return r;
}

/* Those at which bailey takes what the sandbox sends, where there is a network. */
static bool is_ours(const char *address, const char *port)
{
	const unsigned long number = strtoul(port, NULL, 10);

	return number == JAIL_NET_CAPTURE_PORT ||
	       (strcmp(address, "127.0.0.1") == 0 &&
		(number == JAIL_NET_HTTP_PORT || number == JAIL_NET_SOCKS_PORT));
}

static void show_listener(void *arg, const struct json_node *v, struct buf *out)
{
	const char *event = named_text(v, "event"), *address = named_text(v, "address"),
		   *port = named_text(v, "port");
	const bool *as_json = arg;

	if (!event || !address || !port || is_ours(address, port))
		return;
	if (*as_json) {
		json_write(v, out);
	} else {
		buf_quote(out, event);
		buf_puts(out, " ");
		buf_quote(out, address);
		buf_puts(out, " ");
		buf_quote(out, port);
	}
	buf_puts(out, "\n");
}

/* It is looked at from inside: the table of another network namespace is that of the process that reads it. */
static int listen_to(struct named *n, const char *word, struct port_options *o, struct err *e)
{
	char *words[] = { (char *)(uintptr_t)INIT_FS_PORTS, (char *)(uintptr_t) "tcp",
			  o->follow ? (char *)(uintptr_t)INIT_FS_ALL : NULL, NULL };
	struct inside w = INSIDE_INIT;
	int held = -1, r;

	(void)signal(SIGPIPE, SIG_IGN); /* an end is an error as any other */
	r = client_reach(n, word, &w.sock, e);
	if (r == -ESRCH)
		r = err_set(e, ERR_SYSTEM, -EBUSY, "sandbox '%.64s' does not run", word);
	if (r == 0)
		r = inside_begin(&w, words, NULL, INSIDE_WRITES, &held, word, e);
	if (r == 0)
		r = inside_lines(&w, show_listener, &o->json, word, e);
	cleanup_close(&held);
	inside_done(&w);
	return r;
}

int port_main(char **argv)
{
	struct port_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct named_box box;
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	bool dashes;
	size_t i;
	int r;

	fill(&o, table);
	r = opt_parse(table, argv, &i, &dashes, &e);
	if (r == 0 && (!argv[i] || argv[i + 1]))
		r = err_set(&e, ERR_USAGE, -EINVAL, "name one sandbox: bailey port SANDBOX");
	if (r == 0 && o.follow && !o.listening)
		r = err_set(&e, ERR_USAGE, -EINVAL, "--follow is for --listening");
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0 && o.listening)
		r = listen_to(&n, argv[i], &o, &e);
	else if (r == 0)
		r = named_get(&n, argv[i], &box, &e);
	if (r == 0 && !o.listening)
		r = list(&n, &box, o.json, &b, &e);
	if (r == 0 && b.len)
		r = cli_print(&b);
	buf_done(&b);
	named_done(&n);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
