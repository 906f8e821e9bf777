/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says what the rest is: bytes of a stream, a hello, a verdict, an entry of a list with a host, a request. What is accepted keeps the protocol's promises; what is
 * written is one frame of JSON that a strict reader takes, and says what it was made of.
 */
#include "fuzz.h"

#include <errno.h>

#include "policy/policy.h"

static const struct json_node *member(const struct json_node *o, const char *key)
{
	const struct json_node *n;

	for (n = o->first; n && strcmp(n->key, key) != 0; n = n->next)
		;
	return n;
}

static void stream(const uint8_t *data, size_t size)
{
	size_t at = 0;
	ssize_t n;

	while ((n = decider_frame(data + at, size - at)) > 0) {
		FUZZ_REQUIRE(n >= 4 && (size_t)n <= size - at && (size_t)n <= DECIDER_FRAME + 4);
		at += (size_t)n;
	}
	FUZZ_REQUIRE(n == 0 || n == -E2BIG);
	FUZZ_REQUIRE(n == 0 || size - at >= 4);
}

/* What a list says of the very host that it names. */
static void entry_holds(const struct decider_entry *x)
{
	struct decider_hello one = { .allowed = { (struct decider_entry *)(uintptr_t)x, 1 } }, both;
	char host[NET_HOST_MAX + 8], canon[NET_HOST_MAX + 1];
	uint16_t port = x->port ? x->port : 443;

	if (x->host)
		(void)snprintf(host, sizeof(host), "%s%s", x->below ? "a." : "", x->host);
	else
		net_addr_text(&x->addr, host);
	if (!decider_host(host, strlen(host), canon))
		return; /* longer than a name may be, with a label more */
	both = (struct decider_hello){ one.allowed, one.allowed };
	FUZZ_REQUIRE(decider_covers(&one, canon, port));
	FUZZ_REQUIRE(!decider_covers(&both, canon, port));
	FUZZ_REQUIRE(!x->port || !decider_covers(&one, canon, (uint16_t)(port ^ 1)));
	if (x->below)
		FUZZ_REQUIRE(!decider_covers(&one, x->host, port));
	if (!x->host) {
		FUZZ_REQUIRE(!decider_address(&one, "a.example.org", port, &x->addr, true));
		FUZZ_REQUIRE(decider_address(&both, "a.example.org", port, &x->addr, false));
		FUZZ_REQUIRE(!decider_address(&both, canon, port, &x->addr, true));
	}
}

static void hello(const char *data, size_t size)
{
	struct arena a = ARENA_INIT(16u << 20);
	struct decider_hello h;
	struct err e = ERR_INIT;
	size_t i, k;
	int r = decider_hello_parse(&h, data, size, &a, &e);

	FUZZ_REQUIRE(r == 0 || (r < 0 && e.msg[0]));
	for (i = 0; r == 0 && i < h.allowed.n; i++)
		entry_holds(&h.allowed.v[i]);
	for (i = 0; r == 0 && i < h.denied.n; i++) {
		entry_holds(&h.denied.v[i]);
		for (k = 0; k < i; k++)
			FUZZ_REQUIRE(strcmp(h.denied.v[k].text, h.denied.v[i].text) != 0);
	}
	arena_done(&a);
}

static void field_holds(const char *name)
{
	static const char *const barred[] = { "host",       "content-length", "transfer-encoding",
					      "connection", "upgrade",        "te",
					      "trailer",    "keep-alive",     "proxy-connection" };
	const char *p;
	size_t i;

	FUZZ_REQUIRE(*name);
	for (p = name; *p; p++)
		FUZZ_REQUIRE(*p > ' ' && *p < 0x7f && !(*p >= 'A' && *p <= 'Z') && *p != ':');
	for (i = 0; i < ARRAY_SIZE(barred); i++)
		FUZZ_REQUIRE(!decider_folds(name, strlen(name), barred[i], strlen(barred[i])));
}

static void verdict(const char *data, size_t size)
{
	struct arena a = ARENA_INIT(16u << 20);
	const struct json_node *n, *x;
	struct decider_verdict v;
	struct err e = ERR_INIT;
	size_t values = 0;
	int r = decider_verdict_parse(&v, data, size, &a, &e);

	FUZZ_REQUIRE(r == 0 || (r < 0 && e.msg[0]));
	if (r < 0) {
		arena_done(&a);
		return;
	}
	FUZZ_REQUIRE(v.id >= 1 && v.id <= DECIDER_ID_MAX);
	FUZZ_REQUIRE(v.action != DECIDER_DENY || (v.status >= 400 && v.status <= 599));
	FUZZ_REQUIRE(v.action != DECIDER_NEED_BODY || (v.max >= 1 && v.max <= DECIDER_BODY));
	FUZZ_REQUIRE(!v.class == !v.credential);
	FUZZ_REQUIRE(v.action == DECIDER_ALLOW || (!v.set && !v.remove && !v.credential));
	for (n = v.set ? v.set->first : NULL; n; n = n->next) {
		field_holds(n->key);
		FUZZ_REQUIRE(!decider_folds(n->key, strlen(n->key), "authorization", 13) &&
			     !decider_folds(n->key, strlen(n->key), "cookie", 6));
		for (x = n->first; x; x = x->next, values++)
			FUZZ_REQUIRE(!strpbrk(x->text, "\r\n"));
	}
	FUZZ_REQUIRE(values <= DECIDER_FIELDS);
	for (n = v.remove ? v.remove->first : NULL; n; n = n->next)
		field_holds(n->text);
	FUZZ_REQUIRE(!v.credential || !strpbrk(v.credential, " \t\r\n"));
	arena_done(&a);
}

static void entry(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(1u << 20);
	char text[512], host[512], canon[NET_HOST_MAX + 1];
	struct decider_hello h = { .allowed = { .n = 0 } };
	struct decider_entry x, again;
	struct err e = ERR_INIT;
	struct net_addr addr = { { 0 } };
	bool is_address;

	(void)fuzz_line(&data, &size, text, sizeof(text));
	if (!fuzz_line(&data, &size, host, sizeof(host)))
		*host = '\0';
	memcpy(addr.b, data, size < sizeof(addr.b) ? size : sizeof(addr.b));
	if (decider_entry_parse(&x, text, &a, &e) == 0) {
		FUZZ_REQUIRE(strcmp(x.text, text) == 0);
		FUZZ_REQUIRE(decider_entry_parse(&again, x.text, &a, &e) == 0 &&
			     again.port == x.port && !again.host == !x.host);
		entry_holds(&x);
		h.allowed = (struct decider_list){ &x, 1 };
	}
	if (decider_host(host, strlen(host), canon)) {
		is_address = net_addr_parse(&(struct net_addr){ { 0 } }, canon, strlen(canon));
		FUZZ_REQUIRE(decider_covers(&h, canon, 443) == false || h.allowed.n == 1);
		/* a name never leads to what is not public, unless the address itself is allowed */
		if (!is_address && !decider_address(&h, canon, 443, &addr, false))
			FUZZ_REQUIRE(net_addr_class(&addr) == NET_CLASS_PUBLIC ||
				     strstr(canon, "localhost") || (h.allowed.n && !x.host));
	}
	arena_done(&a);
}

/* Lines: method, host, Host, server name, target, then NAME:VALUE. */
static void request(const uint8_t *data, size_t size)
{
	static char lines[5][16384], values[256][2048];
	struct decider_field fields[256];
	struct decider_request q = { .port = 443, .fields = fields };
	struct decider_bytes *parts[] = { &q.method, &q.host, &q.host_field, &q.sni, &q.target };
	struct arena a = ARENA_INIT(16u << 20);
	struct buf b = BUF_INIT(4u << 20);
	const struct json_node *root, *n;
	struct err e = ERR_INIT;
	const char *why;
	char *colon;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!fuzz_line(&data, &size, lines[i], sizeof(lines[i])))
			lines[i][0] = '\0';
		*parts[i] = (struct decider_bytes){ lines[i], strlen(lines[i]) };
	}
	while (q.n < ARRAY_SIZE(fields) &&
	       fuzz_line(&data, &size, values[q.n], sizeof(values[0]))) {
		colon = strchr(values[q.n], ':');
		/* a name is a token: the parser of heads has seen to that */
		if (!colon || strspn(values[q.n], "abcdefghijklmnopqrstuvwxyzABC-_.") !=
				      (size_t)(colon - values[q.n]))
			break;
		fields[q.n] =
			(struct decider_field){ { values[q.n], (size_t)(colon - values[q.n]) },
						{ colon + 1, strlen(colon + 1) } };
		q.n++;
	}
	buf_puts(&b, "before");
	why = decider_request_write(&b, DECIDER_ID_MAX, &q);
	FUZZ_REQUIRE(!b.failed && memcmp(b.data, "before", 6) == 0);
	if (why) {
		FUZZ_REQUIRE(b.len == 6 && *why);
	} else {
		FUZZ_REQUIRE(decider_frame(b.data + 6, b.len - 6) == (ssize_t)b.len - 6);
		/* our reader takes strings of 32 KiB, and no control characters come from a head */
		if (strlen(lines[4]) < 8192 &&
		    json_read("q", b.data + 10, b.len - 10, &a, &root, &e) == 0) {
			n = member(root, "method");
			FUZZ_REQUIRE(n && strlen(n->text) >= q.method.n);
			n = member(root, "path");
			FUZZ_REQUIRE(n && strlen(n->text) >= strcspn(lines[4], "?"));
			n = member(root, "headers");
			FUZZ_REQUIRE(!n == (q.n == 0));
		}
	}
	buf_done(&b);
	arena_done(&a);
}

static void body(const uint8_t *data, size_t size)
{
	char head[DECIDER_BODY_HEAD], tail[DECIDER_BODY_HEAD];
	uint64_t id = 1 + (size > 1 ? data[0] * UINT64_C(0x10000000000) : 0);
	bool cut = size > 1 && (data[1] & 1);
	size_t n = decider_body_head(head, id, size, cut), m = decider_body_tail(tail, cut), all;

	FUZZ_REQUIRE(n > 4 && n < sizeof(head) && m < sizeof(tail));
	all = (size_t)(unsigned char)head[0] << 24 | (size_t)(unsigned char)head[1] << 16 |
	      (size_t)(unsigned char)head[2] << 8 | (unsigned char)head[3];
	FUZZ_REQUIRE(all == n - 4 + (size + 2) / 3 * 4 + m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	FUZZ_REQUIRE(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (*data) {
	case 's':
		stream(data + 1, size - 1);
		break;
	case 'h':
		hello(text, size - 1);
		break;
	case 'v':
		verdict(text, size - 1);
		break;
	case 'e':
		entry(data + 1, size - 1);
		break;
	case 'r':
		request(data + 1, size - 1);
		break;
	default:
		body(data + 1, size - 1);
		break;
	}
	free(text);
	return 0;
}
