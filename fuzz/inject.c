/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says to whom and how; the rest is a request with its body. No value goes anywhere but over TLS to a bound host, and into no reason; nothing of a host
 * without a secret is changed; a body is the same in one piece and in many.
 */
#include <errno.h>

#include "fuzz.h"
#include "http/http.h"

#include "../src/keys/inject.h"

static const char *const hosts[] = { "api.example.org",     "github.com",     "s3.amazonaws.com",
				     "unbound.example.org", "api.openai.com", "always.example.org",
				     "openai.com",          "example.org" };

/* "~VALUE-…": no byte of a sentinel or a request stands for it */
static const struct secret secrets[] = {
	{ .name = "header",
	  .carrier = SECRET_HEADER,
	  .field = "x-own",
	  .format = "key {}",
	  .value = "~VALUE-1~",
	  .hosts = { .v = { "api.example.org" }, .n = 1 },
	  .variables = { .v = { "V" }, .n = 1 } },
	{ .name = "query",
	  .carrier = SECRET_QUERY,
	  .field = "k",
	  .value = "~VALUE-2~",
	  .hosts = { .v = { "api.example.org" }, .n = 1 },
	  .variables = { .v = { "V" }, .n = 1 } },
	{ .name = "basic",
	  .carrier = SECRET_BASIC,
	  .field = "me",
	  .value = "~VALUE-3~",
	  .hosts = { .v = { "api.example.org" }, .n = 1 },
	  .variables = { .v = { "V" }, .n = 1 } },
	{ .name = "any",
	  .carrier = SECRET_ANYWHERE,
	  .value = "~VALUE-4~",
	  .hosts = { .v = { "api.example.org" }, .n = 1 },
	  .variables = { .v = { "V" }, .n = 1 } },
	{ .name = "github", .service = "github", .carrier = SECRET_BASIC, .value = "~VALUE-5~" },
	{ .name = "aws",
	  .service = "aws",
	  .carrier = SECRET_AWS,
	  .value = "~VALUE-6~",
	  .id = "AKIAREALREALREALREAL",
	  .token = "~VALUE-7~" },
	{ .name = "openai", .service = "openai", .carrier = SECRET_HEADER, .value = "~VALUE-8~" },
	{ .name = "always",
	  .carrier = SECRET_QUERY,
	  .field = "k",
	  .value = "~VALUE-9~",
	  .hosts = { .v = { "always.example.org" }, .n = 1 } },
};

static struct inject_secret bound[ARRAY_SIZE(secrets)];

static bool has(const char *p, size_t n, const char *what)
{
	return memmem(p, n, what, strlen(what)) != NULL;
}

/* How often a value stands in what would be sent. */
static size_t values(const struct inject *i)
{
	size_t k, found = has(i->target.p, i->target.len, "VALUE-");

	for (k = 0; k < i->n; k++)
		found += has(i->fields[k].value.p, i->fields[k].value.len, "VALUE-") ||
			 has(i->fields[k].name.p, i->fields[k].name.len, "VALUE-");
	return found;
}

static int body(struct inject *i, const char *p, size_t n, size_t step, struct buf *out)
{
	struct err e = ERR_INIT;
	size_t at, some;
	int r = 0;

	for (at = 0; r == 0 && at < n; at += some) {
		some = n - at < step ? n - at : step;
		r = inject_step(i, p + at, some, out, &e);
	}
	return r == 0 ? inject_end(i, out, &e) : r;
}

static void check_body(const struct inject_request *q, const char *p, size_t n)
{
	struct buf once = BUF_INIT(1u << 22), bytes = BUF_INIT(1u << 22);
	struct err e = ERR_INIT;
	struct inject a, b;
	int r;

	FUZZ_REQUIRE(inject_request(&a, bound, ARRAY_SIZE(bound), q, &e) == 0);
	FUZZ_REQUIRE(inject_request(&b, bound, ARRAY_SIZE(bound), q, &e) == 0);
	if (a.body == INJECT_HOLD) {
		r = inject_body(&a, p, n, &e);
		FUZZ_REQUIRE(r == 0 || (e.msg[0] && !strstr(a.why, "VALUE-")));
	} else if (a.body == INJECT_STREAM) {
		r = body(&a, p, n, n + 1, &once);
		FUZZ_REQUIRE(body(&b, p, n, 1, &bytes) == r);
		FUZZ_REQUIRE(r != 0 ||
			     (once.len == bytes.len &&
			      (once.len == 0 || memcmp(once.data, bytes.data, once.len) == 0)));
	}
	inject_done(&a);
	inject_done(&b);
	buf_done(&once);
	buf_done(&bytes);
}

static void bind_all(void)
{
	struct inject_variable variables[SECRET_LIST_MAX + 1];
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(secrets) && !bound[i].secret.name; i++) {
		FUZZ_REQUIRE(inject_bind(&bound[i], &secrets[i], &e) == 0);
		FUZZ_REQUIRE(inject_variables(&bound[i], variables) <= ARRAY_SIZE(variables));
		/* the same in each run, so that the corpus can say them */
		snprintf(bound[i].sentinel.value, SECRET_SENTINEL_MAX, "bailey-secret-%s",
			 secrets[i].name);
		if (bound[i].sentinel.id[0])
			snprintf(bound[i].sentinel.id, sizeof(bound[i].sentinel.id),
				 "AKIABAILEYTESTTESTAA");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head h;
	struct inject_request q;
	struct err e = ERR_INIT;
	struct inject i;
	const char *at;
	unsigned int how, host;
	int r;

	if (size < 2 || size > 40000)
		return 0;
	bind_all();
	how = *data++;
	host = (how & 3) | (how >> 2 & 4);
	size--;
	if (http_request_parse(&h, (const char *)data, size, &e) != 0 ||
	    has((const char *)data, size, "VALUE-"))
		return 0;
	q = (struct inject_request){ .host = hosts[host],
				     .tls = how & 4,
				     .own = how & 8,
				     .body = size > h.len,
				     .method = h.method,
				     .target = h.target,
				     .fields = h.fields,
				     .n = h.n,
				     .authority = h.host };
	r = inject_request(&i, bound, ARRAY_SIZE(bound), &q, &e);
	FUZZ_REQUIRE(i.n <= INJECT_FIELDS && !strstr(i.why, "VALUE-") && !strstr(e.msg, "VALUE-"));
	FUZZ_REQUIRE(r != -EACCES || i.why[0]);
	for (at = i.why; *at; at++)
		FUZZ_REQUIRE(*at >= 0x20 && *at <= 0x7e);
	if (r == 0) {
		FUZZ_REQUIRE(!i.why[0]);
		FUZZ_REQUIRE(q.tls || (values(&i) == 0 && !i.secret));
		FUZZ_REQUIRE(i.secret || values(&i) == 0);
		if (!inject_bound(bound, ARRAY_SIZE(bound), q.host))
			FUZZ_REQUIRE(!i.secret && i.n == h.n && i.body == INJECT_PASS &&
				     i.target.p == h.target.p);
	}
	inject_done(&i);
	if (r == 0 && q.body)
		check_body(&q, (const char *)data + h.len, size - h.len);
	return 0;
}
