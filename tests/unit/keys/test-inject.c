/* SPDX-License-Identifier: Apache-2.0 */
/* The table of requests, and what it can't say. */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#define TAP_NO_MAIN
#include "../../../src/keys/inject.h"
#include "table.h"
#include "tap.h"

#define MANY 4u

struct row {
	char *part[6];
	size_t n;
	struct secret secrets[MANY];
	struct inject_secret bound[MANY];
	size_t n_bound;
	bool plain, own;
	char *host;
	char name[64];
	char names[MANY][32], values[MANY][64]; /* of the secrets */
	int line;
};

/* Secrets that are no service's: how they are carried. */
static const struct {
	const char *name;
	enum secret_carrier carrier;
	const char *field, *format, *host, *variable, *value;
} customs[] = {
	{ "custom-header", SECRET_HEADER, "x-own", "key {} here", "api.example.org", "V", NULL },
	{ "custom-query", SECRET_QUERY, "k", NULL, "*.a.example.org", "V", NULL },
	{ "custom-basic", SECRET_BASIC, "me", NULL, "api.example.org", "V", NULL },
	{ "always-header", SECRET_HEADER, "x-own", "{}", "api.example.org", NULL, NULL },
	{ "always-query", SECRET_QUERY, "k", NULL, "api.example.org", NULL, "va/lue=+q" },
	{ "always-basic", SECRET_BASIC, "me", NULL, "api.example.org", NULL, NULL },
	{ "custom-openai", SECRET_HEADER, "authorization", "Bearer {}", "api.openai.com", "V",
	  NULL },
	{ "anywhere", SECRET_ANYWHERE, NULL, NULL, "api.example.org", "V", "any/va+lue" },
};

static void bind_one(const struct table *t, struct row *row, const char *name)
{
	struct secret *s = &row->secrets[row->n_bound];
	struct inject_secret *b = &row->bound[row->n_bound];
	struct err e = ERR_INIT;
	size_t i;

	*s = (struct secret){ .name = row->names[row->n_bound],
			      .value = row->values[row->n_bound] };
	snprintf(row->names[row->n_bound], sizeof(row->names[0]), "%s", name);
	snprintf(row->values[row->n_bound], sizeof(row->values[0]), "value/of+%s=", name);
	if (secret_service(name)) {
		s->service = secret_service(name)->name;
		s->carrier = secret_service(name)->ways[0].carrier;
	}
	for (i = 0; !s->service && i < ARRAY_SIZE(customs); i++) {
		if (strcmp(customs[i].name, name) != 0)
			continue;
		s->carrier = customs[i].carrier;
		s->field = customs[i].field;
		s->format = customs[i].format;
		s->hosts = (struct secret_list){ .v = { customs[i].host }, .n = 1 };
		s->variables = (struct secret_list){ .v = { customs[i].variable },
						     .n = customs[i].variable != NULL };
		s->value = customs[i].value ? customs[i].value : s->value;
	}
	if (s->carrier == SECRET_AWS)
		s->id = "AKIAREALREALREALREAL";
	if (secret_check(s, &e) < 0 || inject_bind(b, s, &e) < 0)
		table_die(t, e.msg);
	if (!s->service)
		b->ways = &b->own;
	snprintf(b->sentinel.value, sizeof(b->sentinel.value), "bailey-secret-%s", name);
	if (s->id)
		snprintf(b->sentinel.id, sizeof(b->sentinel.id), "AKIABAILEYTESTTESTAA");
	row->n_bound++;
}

static void put_base64(struct buf *b, const char *s, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < n; i += 3) {
		unsigned int v = (unsigned int)(unsigned char)s[i] << 16 |
				 (i + 1 < n ? (unsigned int)(unsigned char)s[i + 1] << 8 : 0) |
				 (i + 2 < n ? (unsigned char)s[i + 2] : 0u);

		buf_add(b, &digits[v >> 18], 1);
		buf_add(b, &digits[v >> 12 & 63], 1);
		buf_add(b, i + 1 < n ? &digits[v >> 6 & 63] : "=", 1);
		buf_add(b, i + 2 < n ? &digits[v & 63] : "=", 1);
	}
}

static void put_coded(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (strchr("-._~", *s) || isalnum((unsigned char)*s))
			buf_add(b, s, 1);
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
	}
}

/* What the notation stands for. */
static char *expand(const struct row *row, const char *s)
{
	struct buf b = BUF_INIT(1 << 20), c = BUF_INIT(1 << 20);
	const char *close;

	for (; *s; s++) {
		if (strncmp(s, "<S>", 3) == 0 || strncmp(s, "<V>", 3) == 0) {
			buf_puts(&b, s[1] == 'S' ? row->bound[0].sentinel.value :
						   row->secrets[0].value);
			s += 2;
		} else if (strncmp(s, "<U>", 3) == 0) {
			put_coded(&b, row->secrets[0].value);
			s += 2;
		} else if (strncmp(s, "<S2>", 4) == 0 || strncmp(s, "<V2>", 4) == 0) {
			buf_puts(&b, s[1] == 'S' ? row->bound[1].sentinel.value :
						   row->secrets[1].value);
			s += 3;
		} else {
			buf_add(&b, s, 1);
		}
	}
	buf_puts(&b, "");
	for (s = b.data; *s; s++) {
		close = strncmp(s, "B(", 2) == 0 ? strchr(s, ')') : NULL;
		if (close) {
			put_base64(&c, s + 2, (size_t)(close - s - 2));
			s = close;
		} else {
			buf_add(&c, s, 1);
		}
	}
	buf_puts(&c, "");
	buf_done(&b);
	return c.data;
}

static struct http_slice trim(const char *s, const char *end)
{
	for (; s < end && *s == ' '; s++)
		;
	for (; end > s && end[-1] == ' '; end--)
		;
	return (struct http_slice){ s, (size_t)(end - s) };
}

static const char *stop_at(const char *s, const char *what)
{
	const char *at = strstr(s, what);

	return at ? at : s + strlen(s);
}

/* METHOD TARGET [; NAME: VALUE]…; "; " is followed by a name and a colon, or it is part of a value. */
static size_t read_request(char *s, struct http_slice *method, struct http_slice *target,
			   struct http_field *fields)
{
	const char *at = stop_at(s, "; "), *next, *colon, *space = strchr(s, ' ');
	size_t n = 0;

	*method = trim(s, space);
	*target = trim(space, at);
	for (; *at; at = next) {
		at += 2;
		colon = strchr(at, ':');
		for (next = stop_at(at, "; "); *next; next = stop_at(next + 2, "; ")) {
			size_t name = strcspn(next + 2, ":= ");

			if (next[2 + name] == ':')
				break;
		}
		fields[n++] = (struct http_field){ trim(at, colon), trim(colon + 1, next) };
	}
	return n;
}

static void describe(const struct inject *i, struct buf *b)
{
	size_t k;

	buf_puts(b, i->secret ? i->secret : "-");
	buf_puts(b, " ");
	buf_add(b, i->target.p, i->target.len);
	for (k = 0; k < i->n; k++) {
		if (http_is(i->fields[k].name, "accept-encoding")) {
			CHECK(http_is(i->fields[k].value, "identity"));
			continue;
		}
		buf_puts(b, "; ");
		buf_add(b, i->fields[k].name.p, i->fields[k].name.len);
		buf_puts(b, ": ");
		buf_add(b, i->fields[k].value.p, i->fields[k].value.len);
	}
	buf_puts(b, "");
}

static void check_refused(const struct inject *i, int r, const struct err *e, const char *want)
{
	const char *way = strstr(i->why, "; --allow-own-credentials ");
	const bool foreign = strncmp(i->why, "foreign-credential: ", 20) == 0;
	struct buf b = BUF_INIT(4096);
	char text[200];

	if (r != -EACCES || e->code != ERR_POLICY)
		FAIL("%d: %s", r, e->msg);
	/* what the option lifts names it, and nothing else does */
	snprintf(text, sizeof(text), "; --allow-own-credentials %s lets it through", i->q.host);
	CHECK((way != NULL) == (foreign && !strstr(i->why, "not by the pair")));
	if (way)
		CHECK_STR(way, text);
	buf_printf(&b, "403 %.*s", (int)(way ? (size_t)(way - i->why) : strlen(i->why)), i->why);
	CHECK_STR(b.data, want);
	buf_done(&b);
}

static void check_body(struct inject *i, const char *body, const char *want)
{
	struct buf out = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	size_t k;
	int r = 0;

	buf_puts(&out, "");
	if (i->body == INJECT_HOLD) {
		r = inject_body(i, body, strlen(body), &e);
		buf_puts(&out, body);
	} else if (i->body == INJECT_STREAM) {
		for (k = 0; r == 0 && body[k]; k++)
			r = inject_step(i, body + k, 1, &out, &e);
		if (r == 0)
			r = inject_end(i, &out, &e);
	} else {
		buf_puts(&out, body);
	}
	if (strncmp(want, "403", 3) == 0)
		check_refused(i, r, &e, want);
	else if (r < 0)
		FAIL("refused: %s", e.msg);
	else
		CHECK_STR(out.data, want);
	buf_done(&out);
}

static void run(const void *arg)
{
	const struct row *row = arg;
	struct http_field fields[HTTP_FIELDS];
	struct inject_request q = { .host = row->host,
				    .tls = !row->plain,
				    .own = row->own,
				    .body = row->n == 6,
				    .fields = fields };
	char *request = expand(row, row->part[2]), *want = expand(row, row->part[3]);
	char *body = row->n == 6 ? expand(row, row->part[4]) : NULL,
	     *after = row->n == 6 ? expand(row, row->part[5]) : NULL;
	struct buf got = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	struct inject i;
	int r;

	q.n = read_request(request, &q.method, &q.target, fields);
	r = inject_request(&i, row->bound, row->n_bound, &q, &e);
	if (strncmp(want, "403", 3) == 0) {
		check_refused(&i, r, &e, want);
	} else if (r < 0) {
		FAIL("refused: %s", e.msg);
	} else {
		describe(&i, &got);
		/* a table's line can't say that a length is gone */
		if (i.resized)
			CHECK(!strstr(got.data, "ontent-"
						"ength"));
		if (!i.resized || !strstr(request, "Content-Length"))
			CHECK_STR(got.data, want);
		if (body)
			check_body(&i, body, after);
	}
	inject_done(&i);
	buf_done(&got);
	free(request);
	free(want);
	free(body);
	free(after);
}

static void read_row(const struct table *t, struct row *row, char *s)
{
	char *end, *name;
	size_t k;

	*row = (struct row){ .n = 0, .line = t->line };
	for (; s && row->n < 6; s = end) {
		end = strstr(s, " |");
		if (end) {
			*end = '\0';
			end += 2;
			end += *end == ' ';
		}
		row->part[row->n++] = s;
	}
	if (row->n != 4 && row->n != 6)
		table_die(t, "expected 4 or 6 parts");
	for (name = strtok_r(row->part[0], ", ", &end); name; name = strtok_r(NULL, ", ", &end))
		bind_one(t, row, name);
	snprintf(row->name, sizeof(row->name), "%s", row->part[1]);
	for (k = 0; k < row->n_bound; k++) {
		if (!row->secrets[k].service)
			row->bound[k].ways = &row->bound[k].own;
	}
	row->host = strtok_r(row->part[1], " ", &end);
	for (name = strtok_r(NULL, " ", &end); name; name = strtok_r(NULL, " ", &end)) {
		row->plain |= strcmp(name, "plain") == 0;
		row->own |= strcmp(name, "own") == 0;
	}
}

static void start(struct row *row, const char *name)
{
	struct table t = { .name = "test" };

	*row = (struct row){ .n = 0 };
	bind_one(&t, row, name);
	if (!row->secrets[0].service)
		row->bound[0].ways = &row->bound[0].own;
}

/* Fields behind a body. */
static void trailers(const void *arg)
{
	static const struct http_field good[] = { { { "grpc-status", 11 }, { "0", 1 } } },
				       bad[] = { { { "grpc-status", 11 }, { "0", 1 } },
						 { { "Authorization", 13 }, { "x", 1 } } },
				       cookie[] = { { { "cookie", 6 }, { "x", 1 } } };
	struct inject_request q = { .host = "api.openai.com",
				    .tls = true,
				    .body = true,
				    .method = http_slice("POST"),
				    .target = http_slice("/") };
	struct err e = ERR_INIT;
	struct row row;
	struct inject i;

	(void)arg;
	start(&row, "openai");
	REQUIRE(inject_request(&i, row.bound, 1, &q, &e) == 0);
	CHECK(inject_trailers(&i, good, 1, &e) == 0);
	CHECK(inject_trailers(&i, bad, 2, &e) == -EACCES);
	CHECK_STR(
		i.why,
		"foreign-credential: trailer Authorization; --allow-own-credentials api.openai.com lets it through");
	CHECK(inject_trailers(&i, cookie, 1, &e) == -EACCES);
	inject_done(&i);
	q.own = true;
	REQUIRE(inject_request(&i, row.bound, 1, &q, &e) == 0);
	CHECK(inject_trailers(&i, bad, 2, &e) == 0);
	inject_done(&i);
	q.own = false;
	q.host = "example.org";
	REQUIRE(inject_request(&i, row.bound, 1, &q, &e) == 0);
	CHECK(inject_trailers(&i, bad, 2, &e) == 0);
	inject_done(&i);
}

/* As many fields as there can be, and one more. */
static void many_fields(const void *arg)
{
	struct http_field fields[HTTP_FIELDS + 1];
	struct inject_request q = { .host = "api.github.com",
				    .tls = true,
				    .fields = fields,
				    .method = http_slice("GET"),
				    .target = http_slice("/") };
	struct err e = ERR_INIT;
	struct row row;
	struct inject i;

	(void)arg;
	start(&row, "github");
	for (q.n = 0; q.n <= HTTP_FIELDS; q.n++)
		fields[q.n] = (struct http_field){ http_slice("a"), http_slice("b") };
	q.n = HTTP_FIELDS;
	REQUIRE(inject_request(&i, row.bound, 1, &q, &e) == 0);
	CHECK(i.n == HTTP_FIELDS + 2);
	inject_done(&i);
	q.n++;
	CHECK(inject_request(&i, row.bound, 1, &q, &e) == -EMSGSIZE);
	inject_done(&i);
	/* each with a sentinel: there is an end, and no overflow */
	start(&row, "anywhere");
	q.host = "api.example.org";
	for (q.n = 0; q.n < HTTP_FIELDS; q.n++)
		fields[q.n] = (struct http_field){ http_slice("a"),
						   http_slice(row.bound[0].sentinel.value) };
	REQUIRE(inject_request(&i, row.bound, 1, &q, &e) == 0);
	CHECK(http_is(i.fields[127].value, "any/va+lue"));
	inject_done(&i);
}

static void sentinels(const void *arg)
{
	const struct secret_service *s;

	(void)arg;
	for (s = secret_services; s->name; s++) {
		struct secret secret = { .name = s->name,
					 .service = s->name,
					 .value = "12345678",
					 .carrier = s->ways[0].carrier };
		struct secret_sentinel a, b;
		struct err e = ERR_INIT;
		const char *mark;

		REQUIRE(sentinel_make(&a, &secret, &e) == 0 && sentinel_make(&b, &secret, &e) == 0);
		CHECK(strcmp(a.value, b.value) != 0);
		mark = strstr(a.value, "bailey-secret-");
		CHECK(mark && strncmp(a.value, s->prefix, strlen(s->prefix)) == 0 &&
		      mark == a.value + strlen(s->prefix));
		CHECK(mark && strspn(mark + 14, "abcdefghijklmnopqrstuvwxyz234567") ==
				      (secret.carrier == SECRET_AWS ? 26u : 32u));
		if (secret.carrier == SECRET_AWS)
			CHECK(strlen(a.value) == 40 && strlen(a.id) == 20 &&
			      strcmp(a.id, b.id) != 0);
		else
			CHECK(!a.id[0]);
	}
}

int main(int argc, char **argv)
{
	struct table t;
	struct row row;
	char *s;

	tap_run(trailers, NULL, NULL, "trailers");
	tap_run(many_fields, NULL, NULL, "many fields");
	tap_run(sentinels, NULL, NULL, "sentinels of each service");
	for (table_open(&t, argc > 1 ? argv[1] : NULL); (s = table_next(&t));) {
		read_row(&t, &row, s);
		tap_run(run, &row, NULL, "line %d: %s", row.line, row.name);
	}
	return tap_done();
}
