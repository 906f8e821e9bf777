/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inspection rules and requests: a line of JSON, a line with a method and a target, lines of fields. A path's normal form is one (it is its own, has no segment that means
 * something else, and a request that spells it otherwise gets the same verdict); what no entry matches is denied.
 */
#include <errno.h>

#include "fuzz.h"
#include "keys/rules.h"

static char path[RULES_PATH], plain[RULES_PATH], again[RULES_PATH];

/* A path of letters, digits and slashes is its own normal form, unless a segment is empty. */
static bool is_plain(struct http_slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') &&
		    s.p[i] != '/')
			return false;
	}
	return s.len > 0 && *s.p == '/';
}

static void check_normal(struct http_slice target)
{
	const char *question = memchr(target.p, '?', target.len), *s, *end;
	struct err e = ERR_INIT;
	ssize_t n;

	target.len = question ? (size_t)(question - target.p) : target.len;
	n = rules_path_normal(target, path, &e);
	FUZZ_REQUIRE(n > 0 || n == -EBADMSG);
	if (is_plain(target))
		FUZZ_REQUIRE((n < 0) == (memmem(target.p, target.len, "//", 2) != NULL) &&
			     (n < 0 || (size_t)n == target.len));
	FUZZ_REQUIRE((n > 0) == (e.code == ERR_NONE));
	if (n < 0)
		return;
	FUZZ_REQUIRE((size_t)n == strlen(path) && (size_t)n <= target.len && path[0] == '/');
	FUZZ_REQUIRE(rules_path_normal(http_slice(path), again, &e) == n &&
		     strcmp(path, again) == 0);
	FUZZ_REQUIRE(!strstr(path, "//") && !strchr(path, '\\') && !strcasestr(path, "%2f"));
	FUZZ_REQUIRE(!strchr(path, ';') && !strcasestr(path, "%3b"));
	/* compared in one form: of that what it is made of is the same again */
	n = rules_path_plain(http_slice(path), plain, &e);
	FUZZ_REQUIRE(n > 0 && (size_t)n == strlen(plain));
	FUZZ_REQUIRE(!strcasestr(path, "%2e") && !strcasestr(path, "%00") && !strstr(path, "%c"));
	for (s = path; *s; s = end) {
		s++;
		end = s + strcspn(s, "/");
		FUZZ_REQUIRE(!(end - s == 1 && *s == '.') &&
			     !(end - s == 2 && memcmp(s, "..", 2) == 0));
	}
}

/* A place that is its own text again, with a prefix that is a path in normal form. */
static void check_forward(const struct rules_forward *f)
{
	char authority[FORWARD_AUTHORITY], url[FORWARD_AUTHORITY + 16];
	struct forward_url once;
	struct err e = ERR_INIT;

	forward_authority(&f->to, authority);
	(void)snprintf(url, sizeof(url), "%s://%s", f->to.tls ? "https" : "http", authority);
	FUZZ_REQUIRE(forward_parse(&once, url, &e) == 0 && once.port == f->to.port && f->to.port &&
		     once.tls == f->to.tls && strcmp(once.host, f->to.host) == 0);
	FUZZ_REQUIRE(f->to.n_path == 0 ||
		     (*f->to.path == '/' && f->to.path[f->to.n_path - 1] != '/'));
	if (f->to.n_path > 0)
		FUZZ_REQUIRE(rules_path_normal((struct http_slice){ f->to.path, f->to.n_path },
					       again, &e) == (ssize_t)f->to.n_path);
}

static bool is_target(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '!' || *s > '~' || *s == '#')
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char json[4096], ask[1024], fields[HTTP_FIELDS][128];
	static struct head h;
	struct arena a = ARENA_INIT(8 << 20);
	const struct json_node *root = NULL;
	const struct rules *rules = NULL;
	struct rules_verdict v, w;
	struct err e = ERR_INIT;
	char *blank;
	size_t i;

	if (size > 8192 || !fuzz_line(&data, &size, json, sizeof(json)) ||
	    !fuzz_line(&data, &size, ask, sizeof(ask)))
		return 0;
	memset(&h, 0, sizeof(h));
	blank = strchr(ask, ' ');
	if (blank)
		*blank++ = '\0';
	if (!blank || !is_target(blank))
		return 0;
	h.method = http_slice(ask);
	h.target = http_slice(blank);
	for (i = 0; i < HTTP_FIELDS && fuzz_line(&data, &size, fields[i], sizeof(fields[i])); i++) {
		char *colon = strchr(fields[i], ':');

		if (colon)
			head_add(&h, (struct http_slice){ fields[i], (size_t)(colon - fields[i]) },
				 http_slice(colon + 1));
	}
	check_normal(h.target);
	if (json_read("f", json, strlen(json), &a, &root, NULL) == 0 &&
	    rules_parse(&rules, root, &a, &e) == 0) {
		rules_judge(rules, "a.test", &h, &v, path);
		FUZZ_REQUIRE(v.action <= RULES_ANSWER);
		FUZZ_REQUIRE((v.action != RULES_DENY && v.action != RULES_BAD) || v.reason ||
			     *v.rule);
		FUZZ_REQUIRE(v.action != RULES_ANSWER || (v.status >= 200 && v.status <= 599));
		FUZZ_REQUIRE(v.n <= HEAD_FIELDS - HTTP_FIELDS - 8);
		/* only what is let through goes elsewhere, from a host of which that is known, and with a path that was compared */
		FUZZ_REQUIRE(!v.forward || v.action == RULES_ALLOW || v.action == RULES_DENY);
		FUZZ_REQUIRE(!v.forward || rules_forward(rules, "a.test"));
		if (v.forward)
			check_forward(v.forward);
		/* the path that is sent gets the same verdict as the one that came */
		if (v.path && v.action != RULES_BAD && !strchr(blank, '?')) {
			memcpy(again, path, strlen(path) + 1);
			h.target = http_slice(again);
			rules_judge(rules, "a.test", &h, &w, path);
			FUZZ_REQUIRE(w.action == v.action && strcmp(w.rule, v.rule) == 0);
		}
	} else if (root) {
		FUZZ_REQUIRE(e.code == ERR_POLICY && *e.msg);
	}
	arena_done(&a);
	return 0;
}
