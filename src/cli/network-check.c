/* SPDX-License-Identifier: Apache-2.0 */
/* bailey network check: may a sandbox with these options reach a host? Asks nobody, not even for the name's addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "egress.h"
#include "network-check.h"
#include "sandbox.h"

/* One word of the command line, read. */
struct target {
	const char *word;
	struct net_request request;
	char host[NET_HOST_MAX + 1];
	struct net_addr addr;
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
	json_str(j, "class",
		 t->request.addr ? net_class_name(net_addr_class(t->request.addr)) : NULL);
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

/* A kept rule for UDP, to a host that is inspected: the gateway refuses what it allows. */
static bool leads_past(const struct sandbox *s, const struct net_request *q)
{
	struct net_request tcp = *q;

	tcp.proto = NET_TCP;
	return q->proto == NET_UDP && net_policy_inspects(&s->net, &tcp);
}

/* Whether a port of loopback inside leads to the host's. */
static bool is_hosts(const struct sandbox *s, uint16_t port)
{
	uint16_t ports[JAIL_HOST_PORTS + 1];
	size_t i;

	egress_host_ports(s, ports);
	for (i = 0; ports[i] && ports[i] != htons(port); i++)
		;
	return ports[i];
}

static int check_one(const struct sandbox *s, const char *word, const struct net_addr *answer,
		     struct json *j, bool json, struct err *e)
{
	struct buf why = BUF_INIT(4ul * LIMIT_PATH);
	struct net_request judged;
	struct net_verdict v;
	struct target t;
	bool loopback;
	int r = read_target(&t, word, e);

	if (r < 0)
		return r;
	judged = t.request;
	loopback = s->net.mode != NET_MODE_HOST && net_request_loopback(&judged);
	if (loopback) {
		judged.host = NET_HOST_LOCAL;
		judged.addr = NULL;
	}
	v = net_policy_judge(&s->net, &judged);
	if (answer && judged.host) {
		v = net_policy_judge_answer(&s->net, &judged, &v, answer);
		judged.addr = t.request.addr = answer;
	}
	if (v.allowed && leads_past(s, &judged)) {
		v.allowed = v.names_port = false;
		buf_puts(&why, "denied: the host is inspected, which UDP would lead past");
	} else if (v.allowed && loopback && !is_hosts(s, judged.port)) {
		v.allowed = v.names_port = false;
		buf_printf(
			&why,
			"denied: inside, this port of loopback is the sandbox's own; the host's is " NET_HOST_LOCAL
			":%u",
			judged.port);
	} else {
		net_verdict_text(&s->net, &judged, &v, &why);
	}
	if (why.failed)
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "the answer does not fit");
	else if (json)
		answer_json(&t, &v, why.data, j);
	else
		buf_printf(j->out, "%s: %s\n", word, why.data);
	buf_done(&why);
	return r < 0 ? r : v.allowed;
}

int network_check(const struct network_check *o, char *const *words, struct err *e)
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
	r = sandbox_identify(&s, o->sandbox, false, e);
	s.net.box = o->box;
	if (r == 0)
		sandbox_say_notices(&s);
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
