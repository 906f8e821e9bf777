/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says which message it is. No part of a message is one, the next one is not looked at, and what was read, written again, is what was sent,
 * but for the letters of names, their final dot, and addresses as text.
 */
#include "gateway/socks.h"

#include <errno.h>

#include "fuzz.h"

static void check_greeting(const uint8_t *p, size_t n)
{
	bool none = false, password = false, has[256] = { false };
	int r = socks_greeting(p, n, &none, &password), i;

	FUZZ_REQUIRE(r == -EAGAIN || r == -EBADMSG || r > 2);
	FUZZ_REQUIRE((r == -EBADMSG) == ((n > 0 && p[0] != 5) || (n > 1 && p[1] == 0)));
	FUZZ_REQUIRE(r != -EAGAIN || n < SOCKS_GREETING_MAX);
	if (r < 0)
		return;
	FUZZ_REQUIRE(r == 2 + p[1] && (size_t)r <= n);
	for (i = 2; i < r; i++)
		has[p[i]] = true;
	FUZZ_REQUIRE(none == has[0] && password == has[2]);
}

static void check_auth(const uint8_t *p, size_t n)
{
	const unsigned char *user = NULL, *password = NULL;
	size_t user_len = 0, password_len = 0;
	int r = socks_auth(p, n, &user, &user_len, &password, &password_len);
	struct buf b = BUF_INIT(1024);

	FUZZ_REQUIRE(r == -EAGAIN || r == -EBADMSG || r > 2);
	FUZZ_REQUIRE((r == -EBADMSG) == (n > 0 && p[0] != 1));
	FUZZ_REQUIRE(r != -EAGAIN || n < SOCKS_AUTH_MAX);
	if (r < 0)
		return;
	buf_add(&b, "\1", 1);
	buf_add(&b, &(char){ (char)user_len }, 1);
	buf_add(&b, user, user_len);
	buf_add(&b, &(char){ (char)password_len }, 1);
	buf_add(&b, password, password_len);
	FUZZ_REQUIRE(b.len == (size_t)r && memcmp(b.data, p, b.len) == 0);
	buf_done(&b);
}

/* Whether the name that was sent stands for what was read. */
static void check_name(const struct socks_request *q, const char *name, size_t len)
{
	struct net_addr a;
	size_t i;

	if (!q->host[0]) {
		FUZZ_REQUIRE(net_addr_parse(&a, name, len) && memcmp(&a, &q->addr, sizeof(a)) == 0);
		return;
	}
	FUZZ_REQUIRE(!net_addr_parse(&a, name, len));
	FUZZ_REQUIRE(strlen(q->host) == len - (name[len - 1] == '.'));
	for (i = 0; q->host[i]; i++)
		FUZZ_REQUIRE(q->host[i] == name[i] ||
			     (name[i] >= 'A' && name[i] <= 'Z' && q->host[i] == name[i] + 32));
}

static void check_request(const uint8_t *p, size_t n)
{
	static const unsigned char v4[12] = { [10] = 0xff, [11] = 0xff };
	struct socks_request q = { .port = 0 };
	struct err e = ERR_INIT;
	int r = socks_request(&q, p, n, &e);
	size_t used = 0;

	FUZZ_REQUIRE(r == -EAGAIN || r == -EBADMSG || r == -EOPNOTSUPP || r == -EAFNOSUPPORT ||
		     r == -EINVAL || r > 0);
	FUZZ_REQUIRE(r != -EAGAIN || n < SOCKS_REQUEST_MAX);
	FUZZ_REQUIRE((r == -EINVAL) == (e.code != ERR_NONE));
	FUZZ_REQUIRE(r != -EINVAL || n >= 7);
	if (r < 0)
		return;
	FUZZ_REQUIRE((size_t)r <= n && memcmp(p, "\5\1\0", 3) == 0 && q.port != 0);
	switch (p[3]) {
	case 1:
		used = 4 + 4;
		FUZZ_REQUIRE(!q.host[0] && memcmp(q.addr.b, v4, 12) == 0 &&
			     memcmp(q.addr.b + 12, p + 4, 4) == 0);
		break;
	case 3:
		used = 4 + 1 + p[4];
		check_name(&q, (const char *)p + 5, p[4]);
		break;
	case 4:
		used = 4 + 16;
		FUZZ_REQUIRE(!q.host[0] && memcmp(q.addr.b, p + 4, 16) == 0);
		break;
	default:
		FUZZ_REQUIRE(!"another type");
	}
	FUZZ_REQUIRE((size_t)r == used + 2 && q.port == p[used] * 256 + p[used + 1]);
}

static int any(uint8_t kind, const uint8_t *p, size_t n)
{
	const unsigned char *s[2];
	struct socks_request q;
	size_t len[2];
	bool b[2];

	switch (kind % 3) {
	case 0:
		return socks_greeting(p, n, &b[0], &b[1]);
	case 1:
		return socks_auth(p, n, &s[0], &len[0], &s[1], &len[1]);
	default:
		return socks_request(&q, p, n, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char reply[SOCKS_REPLY];
	uint8_t kind;
	size_t i;
	int r, part, before = -EAGAIN;

	if (size < 1 || size > 1024)
		return 0;
	FUZZ_REQUIRE(socks_reply((enum socks_status)(data[0] % 9), reply) == sizeof(reply) &&
		     reply[0] == 5 && reply[1] == data[0] % 9);
	kind = *data++;
	size--;
	r = any(kind, data, size);
	for (i = 0; i <= size; i++) {
		part = any(kind, data, i);
		FUZZ_REQUIRE(before == -EAGAIN || part == before);
		FUZZ_REQUIRE(part < 0 || i >= (size_t)part);
		before = part;
	}
	FUZZ_REQUIRE(before == r);
	if (kind % 3 == 0)
		check_greeting(data, size);
	else if (kind % 3 == 1)
		check_auth(data, size);
	else
		check_request(data, size);
	return 0;
}
