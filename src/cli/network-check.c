/* SPDX-License-Identifier: Apache-2.0 */
/* bailey network check: may a sandbox with these options reach a host? Asks nobody, not even for the name's addresses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

#define NETWORK_OPTIONS (SANDBOX_OPTIONS + 3)

struct network_options {
	struct sandbox_options sandbox;
	bool json;
	const char *address;
};

/* One word of the command line, read. */
struct target {
	const char *word;
	struct net_request request;
	char host[NET_HOST_MAX + 1];
	struct net_addr addr;
};

static void fill(struct network_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Output"),
		OPT_FLAG(
			"json", &o->json, NULL, "Print the verdicts as a JSON array",
			"Each is an object with the keys \"target\", \"host\", \"address\", \"port\", \"protocol\", \"allowed\", \"any_protocol\" "
			"(bytes other than TLS and HTTP may pass), \"class\" (of an address, or null), \"rule\" (an object, or null) and \"why\"."),
		OPT_STRING("address", &o->address, NULL, "ADDRESS",
			   "Judge also that the name has this address",
			   "No name is looked up, so without it only the name is judged."),
	};

	*o = (struct network_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
	sandbox_options(&o->sandbox, table + ARRAY_SIZE(rows), SANDBOX_OPTIONS);
}

static const struct opt *options(void)
{
	static struct network_options o;
	static struct opt table[NETWORK_OPTIONS];

	fill(&o, table);
	return table;
}

const struct command_words network_verb_words = {
	.about =
		"Says whether a sandbox with these options could reach HOST, which rule decides that, and which option would change it. Runs nothing, and asks "
		"no server. Behind the port may stand /udp; IPv6 addresses stand in brackets. Takes every option of 'bailey run', so that the same words can be tried.",
	.options = options,
	.examples = { { "bailey network check --allow-host '*.example.org' www.example.org:443",
			"a name" },
		      { "bailey network check --json --preset balanced github.com:22 pypi.org:443",
			"for scripts" },
		      { "bailey network check --allow-host a.org --address 10.0.0.7 a.org:443",
			"a name that leads to a private address" } },
	.statuses = { { "0", "all are allowed" },
		      { "1", "something is denied" },
		      { "2", "wrong options, policy or target" } },
};

static int bad_target(const char *word, const char *why, struct err *e)
{
	return err_set(e, ERR_USAGE, -EINVAL,
		       "'%.100s': %s; expected HOST:PORT, IPv6 in brackets, then /tcp or /udp",
		       word, why);
}

/* "example.org:443", "[::1]:53/udp" */
static int read_target(struct target *t, const char *word, struct err *e)
{
	const char *slash = strchr(word, '/'), *end = slash ? slash : word + strlen(word);
	const char *colon = end, *host = word;
	unsigned long port = 0;
	char *rest = NULL;
	size_t n;

	*t = (struct target){ .word = word, .request.proto = NET_TCP };
	if (slash && strcmp(slash, "/udp") == 0)
		t->request.proto = NET_UDP;
	else if (slash && strcmp(slash, "/tcp") != 0)
		return bad_target(word, "this is no protocol", e);
	while (colon > word && *colon != ':')
		colon--;
	if (*colon != ':')
		return bad_target(word, "the port is missing", e);
	if (colon[1] >= '1' && colon[1] <= '9')
		port = strtoul(colon + 1, &rest, 10);
	if (port == 0 || port > 65535 || rest != end)
		return bad_target(word, "the port is no number from 1 to 65535", e);
	t->request.port = (uint16_t)port;
	n = (size_t)(colon - host);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		if (!net_addr_parse(&t->addr, host + 1, n - 2))
			return bad_target(word, "there is no IPv6 address in the brackets", e);
		t->request.addr = &t->addr;
	} else if (memchr(host, ':', n)) {
		return bad_target(word, "several colons", e);
	} else if (net_addr_parse(&t->addr, host, n)) {
		t->request.addr = &t->addr;
	} else {
		if (net_host_canon(host, n, t->host, e) < 0)
			return -EINVAL;
		t->request.host = t->host;
	}
	return 0;
}

static void answer_json(const struct target *t, const struct net_verdict *v, const char *why,
			struct json *j)
{
	char text[NET_ADDR_TEXT];

	json_open(j, NULL, '{');
	json_str(j, "target", t->word);
	json_str(j, "host", t->request.host);
	if (t->request.addr)
		net_addr_text(t->request.addr, text);
	json_str(j, "address", t->request.addr ? text : NULL);
	json_int(j, "port", t->request.port);
	json_str(j, "protocol", t->request.proto == NET_UDP ? "udp" : "tcp");
	json_bool(j, "allowed", v->allowed);
	json_bool(j, "any_protocol", v->names_port);
	json_str(j, "class", t->request.addr ? net_class_name(v->cls) : NULL);
	if (v->rule) {
		json_open(j, "rule", '{');
		json_str(j, "action", v->rule->allow ? "allow" : "deny");
		json_str(j, "rule", v->rule->text);
		json_str(j, "layer", policy_layer_name(v->rule->layer));
		json_str(j, "origin", v->rule->origin);
		json_str(j, "reason", v->rule->reason);
		json_close(j, '}');
	} else {
		json_str(j, "rule", NULL);
	}
	json_str(j, "why", why);
	json_close(j, '}');
}

static int check_one(const struct sandbox *s, const char *word, const struct net_addr *answer,
		     struct json *j, bool json, struct err *e)
{
	struct buf why = BUF_INIT(LIMIT_PATH * 4u);
	struct net_verdict v;
	struct target t;
	int r = read_target(&t, word, e);

	if (r < 0)
		return r;
	v = net_policy_judge(&s->net, &t.request);
	if (answer && t.request.host) {
		v = net_policy_judge_answer(&s->net, &t.request, &v, answer);
		t.request.addr = answer;
	}
	net_verdict_text(&s->net, &t.request, &v, &why);
	if (why.failed)
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "the answer does not fit");
	else if (json)
		answer_json(&t, &v, why.data, j);
	else
		buf_printf(j->out, "%s: %s\n", word, why.data);
	buf_done(&why);
	return r < 0 ? r : v.allowed;
}

static void say_notices(const struct sandbox *s)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	size_t i;

	for (i = 0; i < s->n_notices; i++) {
		buf_puts(&b, "bailey: notice: ");
		buf_quote(&b, s->notices[i]);
		buf_puts(&b, "\n");
	}
	if (b.data && !b.failed)
		(void)fd_write_all(2, b.data,
				   b.len); /* beside the answer; nobody is left to tell */
	buf_done(&b);
}

static int check(const struct network_options *o, char *const *words, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA) };
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct json j = { .out = &b };
	struct net_addr answer;
	bool all = true;
	int r;

	if (o->address && !net_addr_parse(&answer, o->address, strlen(o->address)))
		return err_set(e, ERR_USAGE, -EINVAL, "--address '%.100s': this is no IP address",
			       o->address);
	r = sandbox_identify(&s, &o->sandbox, false, e);
	if (r == 0)
		say_notices(&s);
	if (o->json)
		json_open(&j, NULL, '[');
	for (; r >= 0 && *words; words++) {
		r = check_one(&s, *words, o->address ? &answer : NULL, &j, o->json, e);
		all = all && r == 1;
	}
	if (o->json) {
		json_close(&j, ']');
		buf_puts(&b, "\n");
	}
	if (r >= 0)
		r = cli_print(&b) ? 125 : !all;
	buf_done(&b);
	sandbox_done(&s);
	return r;
}

int network_main(char **argv)
{
	struct opt table[NETWORK_OPTIONS];
	struct network_options o;
	struct err e = ERR_INIT;
	size_t rest, more = 0;
	bool dashes;
	int r;

	fill(&o, table);
	/* options may stand on both sides of the word */
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && !argv[rest])
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "say what to do: bailey network check HOST:PORT");
	else if (r == 0 && strcmp(argv[rest], "check") != 0)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "'%.100s': expected check: bailey network check HOST:PORT", argv[rest]);
	if (r == 0)
		r = opt_parse(table, argv + rest + 1, &more, &dashes, &e);
	if (r == 0 && !argv[rest + 1 + more])
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "say which host: bailey network check HOST:PORT");
	if (r == 0)
		r = check(&o, argv + rest + 1 + more, &e);
	sandbox_options_done(&o.sandbox);
	return r < 0 ? cli_fail(&e) : r;
}
