/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "named.h"

struct port_options {
	bool json;
};

static void fill(struct port_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("json", &o->json, NULL, "Print an array of objects",
			 "Keys: inside (a port of the sandbox), address and port (on the host)."),
		OPT_END,
	};

	*o = (struct port_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 2

static const struct opt *options(void)
{
	static struct port_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words port_words = {
	.about =
		"Lists the ports of a sandbox that programs of the host can connect to (--publish), with those that the system has chosen.",
	.options = options,
	.examples = { { "bailey port box", "\"8080/tcp -> 127.0.0.1:40001\"" } },
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
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = named_get(&n, argv[i], &box, &e);
	if (r == 0)
		r = list(&n, &box, o.json, &b, &e);
	if (r == 0 && b.len)
		r = cli_print(&b);
	buf_done(&b);
	named_done(&n);
	return r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
