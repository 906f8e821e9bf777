/* SPDX-License-Identifier: Apache-2.0 */
/* One network rule as text: from the right to the left, "/udp", ":443", and what is left is the pattern. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

#define TEXT_MAX 320u /* of a rule: "*.", a name, a port, a protocol, and room for what is wrong */

static const char host_form[] =
	"expected NAME, *.NAME, ** or an address (IPv6 in brackets), then [:PORT][/tcp|/udp]";
static const char cidr_form[] =
	"expected an address range such as 10.0.0.0/8 or fd00::/8, then [:PORT][/tcp|/udp] (IPv6 with a port: [fd00::/8]:443)";

/* A rule on its way: the part that has not been read yet. */
struct cursor {
	const char *text; /* the whole, for messages */
	const char *s;
	size_t n;
	bool cidr;
};

static int bad(struct err *e, const struct cursor *c, const char *why)
{
	char quoted[NET_QUOTE];

	return err_set(e, ERR_USAGE, -EINVAL, "'%s': %s; %s",
		       net_quote(c->text, strlen(c->text), quoted), why,
		       c->cidr ? cidr_form : host_form);
}

static bool ends_with(const struct cursor *c, const char *word)
{
	size_t n = strlen(word);

	return c->n >= n && memcmp(c->s + c->n - n, word, n) == 0;
}

/* "/tcp" or "/udp" at the end. */
static void take_proto(struct cursor *c, struct net_rule *r)
{
	unsigned int proto = ends_with(c, "/tcp") ? NET_TCP : ends_with(c, "/udp") ? NET_UDP : 0;

	if (proto)
		c->n -= 4;
	r->proto = proto ? proto : r->allow ? NET_TCP : NET_TCP | NET_UDP;
}

/* Digits without a leading zero, at most @max. Return: whether that is what @s is. */
static bool number(const char *s, size_t n, unsigned int max, unsigned int *ret)
{
	unsigned int v = 0;
	size_t i;

	if (n == 0 || n > 5 || (n > 1 && s[0] == '0'))
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (unsigned int)(s[i] - '0');
	}
	*ret = v;
	return v <= max;
}

/* ":443" behind the pattern, and the brackets around it. @bracketed: whether there were any. */
static int take_port(struct cursor *c, struct net_rule *r, bool *bracketed, struct err *e)
{
	const char *close, *colon = memchr(c->s, ':', c->n), *port = NULL;
	const char *end = c->s + c->n;
	unsigned int v;

	*bracketed = c->n && c->s[0] == '[';
	if (*bracketed) {
		close = memchr(c->s, ']', c->n);
		if (!close || (close + 1 < end && close[1] != ':'))
			return bad(e, c,
				   "the bracket is not closed, or something stands behind it");
		if (close + 1 < end)
			port = close + 2;
		c->s++;
		c->n = (size_t)(close - c->s);
	} else if (colon && memchr(colon + 1, ':', (size_t)(end - colon) - 1)) {
		if (!c->cidr)
			return bad(e, c, "several colons");
	} else if (colon) {
		port = colon + 1;
		c->n = (size_t)(colon - c->s);
	}
	if (!port)
		return 0;
	if (!number(port, (size_t)(end - port), 65535, &v) || v == 0)
		return bad(e, c, "the port is no number from 1 to 65535");
	r->port = (uint16_t)v;
	return 0;
}

/* What is beyond the prefix must be zero: "10.1.2.3/8" could be meant as the host or as the network. */
static int check_rest(const struct cursor *c, struct net_rule *r, struct err *e)
{
	struct net_addr net = r->addr;
	char text[NET_ADDR_TEXT], quoted[NET_QUOTE];
	bool v4 = net_addr_is_v4(&r->addr);
	unsigned int i;

	for (i = r->prefix; i < 128; i++)
		net.b[i / 8] = (unsigned char)(net.b[i / 8] & ~(0x80u >> i % 8));
	if (memcmp(net.b, r->addr.b, sizeof(net.b)) == 0)
		return 0;
	net_addr_text(&net, text);
	return err_set(
		e, ERR_USAGE, -EINVAL,
		"'%s': the address has bits beyond the prefix; write %s/%u, or the address without a prefix",
		net_quote(c->text, strlen(c->text), quoted), text, v4 ? r->prefix - 96 : r->prefix);
}

static int read_cidr(const struct cursor *c, struct net_rule *r, struct err *e)
{
	const char *slash = memchr(c->s, '/', c->n);
	size_t n = slash ? (size_t)(slash - c->s) : c->n;
	bool dotted = !memchr(c->s, ':', n);
	unsigned int v = dotted ? 32 : 128;

	r->what = NET_RULE_CIDR;
	if (!net_addr_parse(&r->addr, c->s, n))
		return bad(e, c, "this is no address");
	if (slash && !number(slash + 1, c->n - n - 1, v, &v))
		return bad(e, c,
			   dotted ? "the prefix is no number from 0 to 32" :
				    "the prefix is no number from 0 to 128");
	r->prefix = dotted ? v + 96 : v;
	if (!dotted && net_addr_is_v4(&r->addr) && r->prefix < 96)
		return bad(e, c, "this holds all IPv4 addresses and others; write them apart");
	return check_rest(c, r, e);
}

static int read_name(const struct cursor *c, struct net_rule *r, bool risky, struct arena *a,
		     struct err *e)
{
	char host[NET_HOST_MAX + 1], quoted[NET_QUOTE];
	struct err why = ERR_INIT;
	const char *s = c->s;
	size_t n = c->n;

	if (n == 2 && memcmp(s, "**", 2) == 0) {
		r->what = NET_RULE_ANY;
		return 0;
	}
	if (n == 1 && s[0] == '*')
		return bad(e, c, "every host is **");
	if (n && s[0] == '.')
		return bad(e, c, "the names below a host are *.NAME");
	r->what = NET_RULE_HOST;
	if (n > 2 && memcmp(s, "*.", 2) == 0) {
		r->what = NET_RULE_SUBDOMAINS;
		s += 2;
		n -= 2;
	}
	if (net_host_canon(s, n, host, &why) < 0)
		return err_set(e, ERR_USAGE, -EINVAL, "%s; %s", why.msg, host_form);
	if (r->what == NET_RULE_SUBDOMAINS && r->allow && !risky && net_public_suffix(host))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"'%s': anybody can have a name below '%s' (it is a public suffix); name the hosts, or say --i-know",
			net_quote(c->text, strlen(c->text), quoted), host);
	r->host = arena_strdup(a, host);
	return r->host ? 0 : err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
}

static int read_pattern(const struct cursor *c, struct net_rule *r, bool bracketed, bool risky,
			struct arena *a, struct err *e)
{
	if (c->n == 0)
		return bad(e, c, "nothing is named");
	if (c->cidr)
		return read_cidr(c, r, e);
	if (net_addr_parse(&r->addr, c->s, c->n)) {
		r->what = NET_RULE_CIDR;
		r->prefix = 128;
		return 0;
	}
	if (bracketed)
		return bad(e, c, "there is no IPv6 address in the brackets");
	return read_name(c, r, risky, a, e);
}

/* What a rule asks for must be enforceable. */
static int check_udp(const struct cursor *c, const struct net_rule *r, struct err *e)
{
	if (!r->allow || !(r->proto & NET_UDP))
		return 0;
	if (!r->port)
		return bad(e, c, "a rule for UDP names its port");
	if (r->what == NET_RULE_ANY || (r->what == NET_RULE_CIDR && r->prefix < 128))
		return bad(e, c, "UDP is allowed for names and single addresses only");
	return 0;
}

/* It is shown in logs, terminals and answers. */
static int check_reason(const char *reason, struct err *e)
{
	const char *p;
	size_t n;

	if (reason && strlen(reason) > LIMIT_NET_REASON)
		return err_set(e, ERR_USAGE, -EINVAL, "the reason is longer than %d bytes",
			       LIMIT_NET_REASON);
	for (p = reason; p && *p; p += n) {
		n = buf_utf8_len((const unsigned char *)p);
		if (n == 0 || (unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(
				e, ERR_USAGE, -EINVAL,
				"the reason must be one line of UTF-8 without control characters");
	}
	return 0;
}

int net_rule_parse(struct net_rule *ret, const char *text, bool allow, bool cidr, bool risky,
		   enum policy_layer layer, const char *origin, const char *reason, struct arena *a,
		   struct err *e)
{
	struct net_rule rule = { .allow = allow, .layer = layer };
	struct cursor c = { .text = text, .s = text, .n = strlen(text), .cidr = cidr };
	bool bracketed = false;
	int r;

	if (c.n > TEXT_MAX)
		return bad(e, &c, "it is too long");
	if (strstr(text, "://"))
		return bad(e, &c, "write the name alone, without scheme and path");
	take_proto(&c, &rule);
	r = take_port(&c, &rule, &bracketed, e);
	if (r == 0)
		r = read_pattern(&c, &rule, bracketed, risky, a, e);
	if (r == 0)
		r = check_udp(&c, &rule, e);
	if (r == 0)
		r = check_reason(reason, e);
	if (r < 0)
		return r;
	rule.text = arena_strdup(a, text);
	rule.origin = arena_strdup(a, origin);
	rule.reason = reason && *reason ? arena_strdup(a, reason) : NULL;
	if (!rule.text || !rule.origin || (reason && *reason && !rule.reason))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
	*ret = rule;
	return 0;
}
