/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads again, slowly and in another way: lines are cut out and matched with regular expressions, fields are looked up by name in all lines,
 * and nothing is kept between two questions.
 */
#ifndef FUZZ_HTTP_REFERENCE_H
#define FUZZ_HTTP_REFERENCE_H

#include <errno.h>
#include <regex.h>
#include <strings.h>

#include "fuzz.h"
#include "http/http.h"

#define REF_LINES (HTTP_FIELDS + 2)
#define REF_TOKEN "[!#$%&'*+.0-9A-Z^_`a-z|~-]"

/* Whether @text matches; each pattern is compiled once, for the place that uses it. */
#define REF_MATCHES(pattern, text)                                                            \
	({                                                                                    \
		static regex_t re_;                                                           \
		static bool made_;                                                            \
		FUZZ_REQUIRE(made_ || regcomp(&re_, pattern, REG_EXTENDED | REG_NOSUB) == 0); \
		made_ = true;                                                                 \
		regexec(&re_, text, 0, NULL, 0) == 0;                                         \
	})

struct ref_head {
	char *all;              /* with NULs in the place of CR and LF */
	char *lines[REF_LINES]; /* the first is no field */
	size_t n, len;
	enum http_framing framing;
	uint64_t length;
	bool keep_alive, upgrade, expect_continue;
};

static inline void ref_done(struct ref_head *h)
{
	free(h->all);
}

/* Cuts the head at @p into lines. Return: 0, -EAGAIN, or -EBADMSG. */
static inline int ref_lines(struct ref_head *h, const char *p, size_t n)
{
	size_t most = n < HTTP_HEAD_MAX ? n : HTTP_HEAD_MAX, i;
	const char *end = memmem(p, most, "\r\n\r\n", 4);
	char *s;

	h->len = end ? (size_t)(end - p) + 4 : most;
	for (i = 0; i < h->len; i++) {
		if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			return -EBADMSG;
	}
	if (most >= 2 && memcmp(p, "\r\n", 2) == 0)
		return -EBADMSG;
	if (!end)
		return most < HTTP_HEAD_MAX ? -EAGAIN : -EBADMSG;
	if (memchr(p, '\0', h->len))
		return -EBADMSG;
	h->all = strndup(p, h->len - 2);
	FUZZ_REQUIRE(h->all);
	for (s = h->all; *s; s += strlen(s) + 2) {
		if (h->n == REF_LINES - 1)
			return -EBADMSG;
		h->lines[h->n++] = s;
		*strstr(s, "\r\n") = '\0';
		s[strlen(s) + 1] = '\0';
	}
	return h->lines[0] ? 0 : -EBADMSG;
}

/* The value of the field @k, trimmed, into @out; the empty string when it has another name. */
static inline bool ref_value(const struct ref_head *h, size_t k, const char *name, char *out)
{
	const char *line = h->lines[k], *from, *to;
	size_t n = strlen(name);

	*out = '\0';
	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	from = line + n + 1;
	from += strspn(from, " \t");
	to = from + strlen(from);
	while (to > from && strchr(" \t", to[-1]))
		to--;
	memcpy(out, from, (size_t)(to - from));
	out[to - from] = '\0';
	return true;
}

/* How often the field stands there; @out: the last value. */
static inline size_t ref_count(const struct ref_head *h, const char *name, char *out)
{
	char value[HTTP_HEAD_MAX];
	size_t k, n = 0;

	for (k = 1; k < h->n; k++) {
		if (ref_value(h, k, name, value)) {
			n++;
			memcpy(out, value, strlen(value) + 1);
		}
	}
	return n;
}

/* How often @word is an element of the lists of Connection; NULL: how many elements there are. */
static inline size_t ref_options(const struct ref_head *h, const char *word)
{
	char value[HTTP_HEAD_MAX], *s, *next;
	size_t k, n = 0;

	for (k = 1; k < h->n; k++) {
		if (!ref_value(h, k, "Connection", value))
			continue;
		for (s = next = value; next; s = next) {
			next = strchr(s, ',');
			if (next)
				*next++ = '\0';
			s += strspn(s, " \t");
			while (*s && strchr(" \t", s[strlen(s) - 1]))
				s[strlen(s) - 1] = '\0';
			n += word ? strcasecmp(s, word) == 0 : *s != '\0';
		}
	}
	return n;
}

static inline bool ref_authority(const char *s)
{
	const char *port = strrchr(s, ':');

	return REF_MATCHES("^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]{2,}\\])(:[1-9][0-9]{0,4})?$", s) &&
	       (!port || strchr(port, ']') || strtol(port + 1, NULL, 10) <= 65535);
}

/* What both kinds of heads have in common. Return: as http_request_parse(), but -E2BIG is -EBADMSG. */
static inline int ref_fields(struct ref_head *h, const char *p, size_t n, bool response)
{
	char text[HTTP_HEAD_MAX];
	size_t k, lengths;
	int r = ref_lines(h, p, n);
	bool one;

	if (r < 0)
		return r;
	for (k = 1; k < h->n; k++) {
		if (!REF_MATCHES("^" REF_TOKEN "+:[\t\x20-\x7e\x80-\xff]*$", h->lines[k]))
			return -EBADMSG;
	}
	one = response ? REF_MATCHES("^HTTP/1[.]1 ", h->lines[0]) :
			 REF_MATCHES(" HTTP/1[.]1$", h->lines[0]);
	h->framing = HTTP_BODY_NONE;
	lengths = ref_count(h, "Content-Length", text);
	if (lengths > 1)
		return -EBADMSG;
	if (lengths == 1) {
		if (!REF_MATCHES("^(0|[1-9][0-9]{0,18})$", text))
			return -EBADMSG;
		h->length = strtoull(text, NULL, 10);
		if (h->length > INT64_MAX)
			return -EBADMSG;
		h->framing = HTTP_BODY_LENGTH;
	}
	switch (ref_count(h, "Transfer-Encoding", text)) {
	case 0:
		break;
	case 1:
		if (!one || lengths > 0 || strcasecmp(text, "chunked") != 0)
			return -EBADMSG;
		h->framing = HTTP_BODY_CHUNKED;
		break;
	default:
		return -EBADMSG;
	}
	if (ref_options(h, "host") + ref_options(h, "content-length") > 0 ||
	    ref_options(h, NULL) > HTTP_OPTIONS)
		return -EBADMSG;
	h->keep_alive = ref_options(h, "close") == 0 && (one || ref_options(h, "keep-alive") > 0);
	for (k = 1; k < h->n; k++) {
		if (ref_value(h, k, "Upgrade", text) && *text)
			h->upgrade = one && ref_options(h, "upgrade") > 0;
		if (ref_value(h, k, "Expect", text) && strcasecmp(text, "100-continue") == 0)
			h->expect_continue = one;
	}
	return 0;
}

static inline int ref_request(struct ref_head *h, const char *p, size_t n)
{
	char host[HTTP_HEAD_MAX] = "";
	size_t hosts;
	int r = ref_fields(h, p, n, false);

	if (r < 0)
		return r;
	if (!REF_MATCHES("^" REF_TOKEN "+ [\"!$-~]+ HTTP/1[.][01]$", h->lines[0]))
		return -EBADMSG;
	hosts = ref_count(h, "Host", host);
	if (hosts > 1 || (hosts == 0 && REF_MATCHES("1$", h->lines[0])))
		return -EBADMSG;
	if (*host && !ref_authority(host))
		return -EBADMSG;
	if (strncmp(h->lines[0], "CONNECT ", 8) == 0 && h->framing != HTTP_BODY_NONE)
		return -EBADMSG;
	return 0;
}

static inline int ref_response(struct ref_head *h, const char *p, size_t n, const char *method)
{
	int r = ref_fields(h, p, n, true), status;

	if (r < 0)
		return r;
	if (!REF_MATCHES("^HTTP/1[.][01] [1-9][0-9]{2}( [\t\x20-\x7e\x80-\xff]*)?$", h->lines[0]))
		return -EBADMSG;
	status = (int)strtol(h->lines[0] + 9, NULL, 10);
	if (status == 204 || status < 200) {
		if (h->framing == HTTP_BODY_CHUNKED || h->length > 0)
			return -EBADMSG;
		h->framing = HTTP_BODY_NONE;
	} else if (status == 304 || strcmp(method, "HEAD") == 0 ||
		   (strcmp(method, "CONNECT") == 0 && status < 300)) {
		h->framing = HTTP_BODY_NONE;
	} else if (h->framing == HTTP_BODY_NONE) {
		h->framing = HTTP_BODY_CLOSE;
		h->keep_alive = false;
	}
	if (status == 101 && !h->upgrade)
		return -EBADMSG;
	h->expect_continue = false;
	return 0;
}

#endif
