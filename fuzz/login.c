/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of endpoints that give tokens, and requests with stand-ins. No token that was understood is in what the sandbox gets; that is JSON again, and of itself the same; and a request
 * that brings a stand-in in a form or in JSON leaves with the token.
 */
#include <errno.h>

#include "fuzz.h"
#include "keys/erase.h"
#include "keys/login.h"

static const char list[] = "[{\"name\": \"own\", \"token\": [\"https://a.test/token\"]}]";

static void check_requests(struct logins *l)
{
	struct login_token *held[LOGIN_TOKENS];
	static struct inject_secret secrets[LOGIN_TOKENS];
	struct buf body = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	size_t n = login_bind(l, "a.test", held, secrets), i;

	FUZZ_REQUIRE(login_bind(l, "b.test", held + n, secrets) == 0);
	for (i = 0; i < n; i++) {
		struct json j = { .out = &body };

		FUZZ_REQUIRE(strcmp(held[i]->value, held[i]->sentinel) != 0);
		body.len = out.len = 0;
		json_open(&j, NULL, '{');
		json_str(&j, "refresh_token", held[i]->sentinel);
		json_close(&j, '}');
		FUZZ_REQUIRE(login_body(held, n, http_slice("application/json"), body.data,
					body.len, &out, &e) == 0);
		FUZZ_REQUIRE(out.len > 0 && strstr(out.data, held[i]->value));
	}
	login_release(held, n);
	buf_done(&body);
	buf_done(&out);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(1 << 20);
	const struct json_node *root = NULL;
	struct buf out = BUF_INIT(0), again = BUF_INIT(0);
	const struct login_token *t;
	struct logins l;
	struct err e = ERR_INIT;
	int r, k;

	if (size > 8192)
		return 0;
	FUZZ_REQUIRE(json_read("list", list, strlen(list), &a, &root, NULL) == 0);
	FUZZ_REQUIRE(logins_take(&l, root, &e) == 0);
	FUZZ_REQUIRE(erase_buf_init(&out, 4 * LOGIN_BODY) &&
		     erase_buf_init(&again, 4 * LOGIN_BODY));
	r = login_answer(&l, &l.v[0], (const char *)data, size, &out, &e);
	FUZZ_REQUIRE((r < 0) == (e.code != ERR_NONE));
	if (r >= 0) {
		for (t = l.tokens; t; t = t->next) {
			/* a token that is a part of what stands for another can't be told from that */
			if (!strstr("bailey-secret-abcdefghijklmnopqrstuvwxyz234567", t->value) &&
			    r == 1)
				FUZZ_REQUIRE(!strstr(out.data, t->value));
		}
		k = login_answer(&l, &l.v[0], out.data, out.len, &again, &e);
		FUZZ_REQUIRE(k < 0 || k >= r || l.tokens);
		check_requests(&l);
	}
	erase_buf_done(&out);
	erase_buf_done(&again);
	logins_done(&l);
	arena_done(&a);
	return 0;
}
