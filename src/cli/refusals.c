/* SPDX-License-Identifier: Apache-2.0 */
#include "refusals.h"

#include <stdio.h>
#include <string.h>

#include "gateway/gateway.h"
#include "policy/policy.h"
#include "request-text.h"
#include "util/util.h"

#define SAID_MAX 5 /* refusals that are named */

struct refusals {
	struct arena arena;
	const char *said[SAID_MAX];
	size_t n, more;
	uint64_t since;
};

/* Of a request what it was, and why it was refused. */
static const char *request_text(const struct json_node *root, const char *reason, struct arena *a)
{
	const char *what = request_text_of(json_text(root, "method"), json_text(root, "target"), a);
	const char *text = what ? arena_printf(a, "%s denied: %s", what,
					       reason ? reason : "a rule denies this request") :
				  NULL;
	struct buf b = BUF_INIT(4096);

	buf_quote(&b, text ? text : "");
	text = b.failed ? NULL : arena_strdup(a, b.data);
	buf_done(&b);
	return text;
}

/* "network: NAME:PORT denied: why"; of what failed only what the caller's own proxy is to blame for. */
static const char *refusal_text(struct arena *out, struct arena *a, const struct json_node *root)
{
	const char *event = json_text(root, "event"), *name = json_text(root, "name"),
		   *port = json_text(root, "port"), *reason = json_text(root, "reason"),
		   *decision = json_text(root, "decision");
	const char *head = "denied: ";

	name = name ? name : json_text(root, "address");
	if (!event || !name)
		return NULL;
	if (strcmp(event, "fail") == 0 && reason &&
	    (strncmp(reason, "the proxy ", 10) == 0 ||
	     strncmp(reason, "the upstream proxy ", 19) == 0))
		head = "failed: ";
	else if (strcmp(event, "request") == 0 && decision && strcmp(decision, "deny") == 0)
		reason = request_text(root, reason, a);
	else if (strcmp(event, "deny") != 0)
		return NULL;
	if (strcmp(event, "request") == 0 || (reason && strncmp(reason, "denied", 6) == 0))
		head = "";
	return arena_printf(out, "network: %s%s%s %s%s", name, port ? ":" : "", port ? port : "",
			    head, reason ? reason : "no rule allows it");
}

/* A refusal of the log, once for each name and reason. */
static int on_line(void *arg, const struct audit_line *line)
{
	struct refusals *f = arg;
	struct arena a = ARENA_INIT(65536);
	const struct json_node *root;
	const char *text;
	size_t i;

	if (line->seq > f->since && json_read("log", line->text, line->len, &a, &root, NULL) == 0) {
		text = refusal_text(&f->arena, &a, root);
		for (i = 0; text && i < f->n && strcmp(f->said[i], text) != 0; i++)
			;
		if (text && i == f->n && f->n < SAID_MAX)
			f->said[f->n++] = text;
		else if (text && i == f->n)
			f->more++;
	}
	arena_done(&a);
	return 0;
}

void refusals_say(int own, int heads, const char *id, uint64_t since, const char *word,
		  void (*out)(const char *line))
{
	struct refusals f = { .arena = ARENA_INIT(1u << 20), .since = since };
	const char *why = NULL;
	struct err e = ERR_INIT;
	char line[200];
	size_t i;

	if (audit_read(own, heads, id, on_line, &f, NULL, &why, &e) == 0 && f.n > 0) {
		for (i = 0; i < f.n; i++)
			out(f.said[i]);
		(void)snprintf(line, sizeof(line),
			       "network: %s%s%sall of it: bailey network log %s",
			       f.more ? "and more; " : "", why ? why : "", why ? "; " : "", word);
		out(line);
	}
	arena_done(&f.arena);
}
