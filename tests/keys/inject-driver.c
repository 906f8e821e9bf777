/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What test_sigv4.py drives: inject-driver ID SECRET TOKEN|- REGIONS|- SERVICES|-. It prints the sentinel pair, then answers requests on stdin, each "HOST LENGTH\n" and that many
 * bytes of HTTP/1.1, by "ok LENGTH\n" and what would be sent, or "refused WHY\n".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/keys/inject.h"
#include "http/http.h"

#define REQUEST_MAX (1u << 24)

static void die(const char *what)
{
	fprintf(stderr, "inject-driver: %s\n", what);
	exit(2);
}

static void words(struct secret_list *l, char *text)
{
	char *save = NULL, *word;

	if (strcmp(text, "-") == 0)
		return;
	for (word = strtok_r(text, ",", &save); word && l->n < SECRET_LIST_MAX;
	     word = strtok_r(NULL, ",", &save))
		l->v[l->n++] = word;
}

static int body(struct inject *i, const char *p, size_t n, struct buf *out, struct err *e)
{
	size_t at, some;
	int r = 0;

	if (i->body == INJECT_HOLD)
		r = inject_body(i, p, n, e);
	if (i->body != INJECT_STREAM) {
		buf_add(out, p, n);
		return r;
	}
	for (at = 0; r == 0 && at < n; at += some) {
		some = n - at < 1000 ? n - at : 1000;
		r = inject_step(i, p + at, some, out, e);
	}
	return r == 0 ? inject_end(i, out, e) : r;
}

static void answer(const struct inject_secret *s, const char *host, const char *p, size_t n)
{
	struct buf head = BUF_INIT(REQUEST_MAX), rest = BUF_INIT(REQUEST_MAX);
	struct http_head h;
	struct err e = ERR_INIT;
	struct inject i;
	size_t k;
	int r;

	if (http_request_parse(&h, p, n, &e) != 0)
		die(e.msg);
	r = inject_request(&i, s, 1,
			   &(struct inject_request){ .host = host,
						     .tls = true,
						     .body = n > h.len,
						     .method = h.method,
						     .target = h.target,
						     .fields = h.fields,
						     .n = h.n,
						     .authority = h.host },
			   &e);
	if (r == 0)
		r = body(&i, p + h.len, n - h.len, &rest, &e);
	if (r < 0) {
		printf("refused %s\n", i.why[0] ? i.why : e.msg);
	} else {
		http_write_request(&head, h.method, i.target);
		for (k = 0; k < i.n; k++)
			http_write_copy(&head, &i.fields[k]);
		http_write_end(&head);
		if (head.failed || rest.failed)
			die("it does not fit");
		printf("ok %zu\n", head.len + rest.len);
		fwrite(head.data, 1, head.len, stdout);
		fwrite(rest.data ? rest.data : "", 1, rest.len, stdout);
	}
	fflush(stdout);
	inject_done(&i);
	buf_done(&head);
	buf_done(&rest);
}

int main(int argc, char **argv)
{
	struct secret secret = { .name = "aws", .service = "aws", .carrier = SECRET_AWS };
	struct inject_secret bound;
	struct err e = ERR_INIT;
	char line[512], *p, *space;
	size_t n;

	if (argc != 7)
		die("ID SECRET TOKEN REGIONS SERVICES HOSTS");
	secret.id = argv[1];
	secret.value = argv[2];
	secret.token = strcmp(argv[3], "-") == 0 ? NULL : argv[3];
	words(&secret.regions, argv[4]);
	words(&secret.aws, argv[5]);
	words(&secret.hosts, argv[6]);
	if (secret_check(&secret, &e) < 0 || inject_bind(&bound, &secret, &e) < 0)
		die(e.msg);
	printf("%s %s\n", bound.sentinel.id, bound.sentinel.value);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		space = strchr(line, ' ');
		n = space ? strtoul(space + 1, NULL, 10) : 0;
		p = n > 0 && n < REQUEST_MAX ? malloc(n) : NULL;
		if (!space || !p || fread(p, 1, n, stdin) != n)
			die("expected HOST LENGTH and a request");
		*space = '\0';
		answer(&bound, line, p, n);
		free(p);
	}
	return 0;
}
