/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals in the words of a front (struct gateway_style): templates in which "{host}" and "{reason}" are replaced. */
#include "style.h"

#include <string.h>

static const struct gateway_words *words(const struct gateway *g, const struct conn *c)
{
	return &g->setup->style->words[c->refused];
}

void style_reason(struct gateway *g, const struct conn *c, const char *why, struct buf *b)
{
	const struct gateway_style *s = g->setup->style;
	const char *reason = words(g, c)->reason;

	if (c->refused == GATEWAY_BY_RULE && c->verdict.rule && c->verdict.rule->reason)
		reason = c->verdict.rule->reason;
	else if (c->refused == GATEWAY_ADDRESS)
		reason = c->verdict.rule ? s->listed : s->classes[c->verdict.cls];
	else if (c->refused == GATEWAY_OWN_ADDRESS)
		reason = s->own;
	buf_puts(b, reason ? reason : why);
}

static void put_host(const struct conn *c, struct buf *b)
{
	char addr[NET_ADDR_TEXT];

	net_addr_text(&c->addr, addr);
	buf_puts(b, *c->host ? c->host : addr);
}

static void expand(struct gateway *g, const struct conn *c, const char *text, const char *why,
		   struct buf *b)
{
	while (*text) {
		size_t n = strcspn(text, "{");

		buf_add(b, text, n);
		text += n;
		if (strncmp(text, "{host}", 6) == 0) {
			put_host(c, b);
			text += 6;
		} else if (strncmp(text, "{reason}", 8) == 0) {
			style_reason(g, c, why, b);
			text += 8;
		} else if (*text) {
			buf_add(b, text++, 1);
		}
	}
}

/* A status line is ASCII, and one line: a question mark for each other character. */
static void put_phrase(struct gateway *g, const struct conn *c, const char *why, struct buf *b)
{
	const char *text = c->via == VIA_CONNECT ? words(g, c)->phrase : NULL;
	struct buf phrase = BUF_INIT(1024);
	size_t i;

	expand(g, c, text ? text : http_status_text(403), why, &phrase);
	for (i = 0; i < phrase.len; i++) {
		if (phrase.data[i] >= ' ' && phrase.data[i] <= '~')
			buf_add(b, phrase.data + i, 1);
		else if (((unsigned char)phrase.data[i] & 0xc0) != 0x80) /* not the rest of one */
			buf_puts(b, "?");
	}
	b->failed |= phrase.failed;
	buf_done(&phrase);
}

void style_http(struct gateway *g, const struct conn *c, const char *why, struct buf *b)
{
	const struct gateway_words *w = words(g, c);
	struct buf body = BUF_INIT(2048);

	expand(g, c, w->body ? w->body : "{reason}", why, &body);
	buf_puts(&body, "\n");
	b->failed |= body.failed;
	buf_puts(b, "HTTP/1.1 403 ");
	put_phrase(g, c, why, b);
	buf_printf(b, "\r\nContent-Type: text/plain\r\n%s\r\nContent-Length: %zu\r\n", w->header,
		   body.len);
	buf_puts(b, "Connection: close\r\n\r\n");
	if (!body.failed)
		buf_add(b, body.data, body.len);
	buf_done(&body);
}
