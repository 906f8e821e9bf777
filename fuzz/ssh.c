/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says what the rest is: a message to an agent, the data of a log-in, an answer with keys, a line of known_hosts with a name before it, a value of --ssh-key, base64.
 * What is accepted, put together again, is what came; names fit as fnmatch() says.
 */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>

#include "../src/keys/ssh-known.h"
#include "policy/policy.h"

static void put(struct buf *b, struct ssh_bytes s)
{
	ssh_put_string(b, s.p, s.n);
}

static void put_byte(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

static void same(struct buf *b, const uint8_t *data, size_t size)
{
	FUZZ_REQUIRE(!b->failed && b->len == size && memcmp(b->data, data, size) == 0);
	buf_done(b);
}

static void request(const uint8_t *data, size_t size)
{
	struct buf b = BUF_INIT(1 << 20);
	struct ssh_request r;
	ssize_t frame = ssh_frame(data, size, SSH_MESSAGE_MAX);

	FUZZ_REQUIRE(frame == -EMSGSIZE || (frame >= 0 && (size_t)frame <= size));
	FUZZ_REQUIRE(frame <= 0 || (frame > 4 && frame <= (ssize_t)SSH_MESSAGE_MAX + 4));
	if (ssh_request_parse(&r, data, size) < 0)
		return;
	FUZZ_REQUIRE(*ssh_request_words(r.type));
	if (r.kind == SSH_ASK_OTHER)
		return;
	put_byte(&b, r.type);
	if (r.kind == SSH_ASK_SIGN) {
		put(&b, r.key);
		put(&b, r.data);
		ssh_put_u32(&b, r.flags);
	} else if (r.kind == SSH_ASK_BIND) {
		FUZZ_REQUIRE(r.session.n > 0 && r.session.n <= SSH_SESSION_MAX &&
			     r.host_key.n > 0 && r.host_key.n <= SSH_BLOB_MAX);
		ssh_put_string(&b, "session-bind@openssh.com", 24);
		put(&b, r.host_key);
		put(&b, r.session);
		put(&b, r.signature);
		put_byte(&b, r.forwarding);
	}
	same(&b, data, size);
}

static void login(const uint8_t *data, size_t size)
{
	static const char plain[] = "publickey", bound[] = "publickey-hostbound-v00@openssh.com";
	struct buf b = BUF_INIT(1 << 20);
	struct ssh_userauth u;

	if (ssh_userauth_parse(&u, (struct ssh_bytes){ data, size }) < 0)
		return;
	put(&b, u.session);
	put_byte(&b, 50);
	put(&b, u.user);
	ssh_put_string(&b, "ssh-connection", 14);
	ssh_put_string(&b, u.host_bound ? bound : plain, strlen(u.host_bound ? bound : plain));
	put_byte(&b, 1);
	put(&b, u.algorithm);
	put(&b, u.key);
	if (u.host_bound)
		put(&b, u.host_key);
	same(&b, data, size);
}

static void answer(const uint8_t *data, size_t size)
{
	static struct ssh_identity ids[256];
	struct buf b = BUF_INIT(1 << 20);
	char type[SSH_TYPE_MAX], text[32];
	ssize_t n = ssh_identities_parse(ids, ARRAY_SIZE(ids), data, size), i;

	(void)ssh_signature_check(data, size);
	FUZZ_REQUIRE(n >= 0 ? n <= 256 : n == -EBADMSG || n == -E2BIG);
	if (n < 0)
		return;
	put_byte(&b, SSH_IDENTITIES_ANSWER);
	ssh_put_u32(&b, (uint32_t)n);
	for (i = 0; i < n; i++) {
		put(&b, ids[i].blob);
		put(&b, ids[i].comment);
		if (ssh_key_type(ids[i].blob, type) == 0)
			FUZZ_REQUIRE(strlen(type) > 0 && ids[i].blob.n > strlen(type) + 4);
		FUZZ_REQUIRE(strlen(ssh_print(ids[i].comment, text, sizeof(text))) < sizeof(text));
	}
	same(&b, data, size);
}

static bool never(const uint8_t *salt, size_t n_salt, const uint8_t *hash, size_t n_hash,
		  const char *name)
{
	FUZZ_REQUIRE(n_salt > 0 && n_salt <= 64 && n_hash > 0 && n_hash <= 64 && *name);
	return salt[0] == hash[0];
}

/* As fnmatch() says of each pattern; a backslash and a bracket mean nothing here. */
static bool reference(const char *hosts, size_t n, const char *name)
{
	char *list = strndup(hosts, n), *at = list, *p;
	bool yes = false, no = false;

	while ((p = strsep(&at, ","))) {
		const bool negated = *p == '!';
		char pattern[8192];
		size_t k = 0;

		for (p += negated; *p && k + 3 < sizeof(pattern); p++) {
			if (*p == '[' || *p == '\\')
				pattern[k++] = '\\';
			pattern[k++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		}
		pattern[k] = '\0';
		if (fnmatch(pattern, name, 0) == 0) {
			yes |= !negated;
			no |= negated;
		}
	}
	free(list);
	return yes && !no;
}

static void known(const uint8_t *data, size_t size)
{
	struct ssh_known *k = malloc(sizeof(*k));
	char name[64], plain[64];
	size_t i;

	FUZZ_REQUIRE(k);
	if (fuzz_line(&data, &size, name, sizeof(name)) &&
	    ssh_known_parse(k, (const char *)data, size) == 1) {
		FUZZ_REQUIRE(k->hosts >= (const char *)data &&
			     k->hosts + k->n_hosts <= (const char *)data + size);
		FUZZ_REQUIRE(k->n_blob > 0 && k->n_blob <= SSH_BLOB_MAX && *k->type);
		for (i = 0; name[i]; i++) {
			if (name[i] < ' ' || name[i] >= 0x7f || (name[i] >= 'A' && name[i] <= 'Z'))
				name[i] = 'x';
		}
		for (i = 0; i < k->n_hosts && k->hosts[i] > 0; i++)
			; /* what fnmatch() does with bytes above 127 is the locale's business */
		if (*name && k->n_hosts > 0 && i == k->n_hosts && k->n_hosts < 2048)
			FUZZ_REQUIRE(*k->hosts == '|' ?
					     (ssh_known_names(k, name, never), true) :
					     ssh_known_names(k, name, never) ==
						     reference(k->hosts, k->n_hosts, name));
		if (ssh_known_plain(k, plain, sizeof(plain)))
			FUZZ_REQUIRE(*plain && !strpbrk(plain, "*?!|, "));
	}
	free(k);
}

static void grant(const uint8_t *data, size_t size)
{
	struct ssh_grant g, again;
	struct err e = ERR_INIT;
	char *text = strndup((const char *)data, size);
	struct buf b = BUF_INIT(1 << 20);
	int r;

	FUZZ_REQUIRE(text);
	r = ssh_grant_parse(&g, text, &e);
	FUZZ_REQUIRE((r == 0) == (e.code == ERR_NONE));
	if (r == 0) {
		FUZZ_REQUIRE(*g.key && *g.host && !strpbrk(g.host, " \t,!?|") &&
			     (ssh_grant_any(&g) || !strchr(g.host, '*')));
		FUZZ_REQUIRE(strncmp(text, g.key, strlen(g.key)) == 0 &&
			     text[strlen(g.key)] == '@');
		/* what known_hosts has is read as it is; only of an IPv6 address the brackets are gone */
		buf_printf(&b, *g.host != '[' && strchr(g.host, ':') ? "%s@[%s]" : "%s@%s", g.key,
			   g.host);
		FUZZ_REQUIRE(b.data && ssh_grant_parse(&again, b.data, &e) == 0 &&
			     strcmp(g.key, again.key) == 0 && strcmp(g.host, again.host) == 0);
	}
	buf_done(&b);
	free(text);
}

static void base64(const uint8_t *data, size_t size)
{
	static const char all[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t out[128];
	char text[200];
	ssize_t n = ssh_base64((const char *)data, size, out, sizeof(out)), i;
	size_t len = 0;

	FUZZ_REQUIRE(n == -EBADMSG || (n >= 0 && n <= 128));
	for (i = 0; i < n; i += 3) {
		unsigned int v = (unsigned int)out[i] << 16 | (i + 1 < n ? out[i + 1] : 0u) << 8 |
				 (i + 2 < n ? out[i + 2] : 0u);

		text[len++] = all[v >> 18];
		text[len++] = all[v >> 12 & 63];
		text[len++] = (char)(i + 1 < n ? all[v >> 6 & 63] : '=');
		text[len++] = (char)(i + 2 < n ? all[v & 63] : '=');
	}
	FUZZ_REQUIRE(n < 0 || (len == size && memcmp(text, data, len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const all[])(const uint8_t *, size_t) = { request, login, answer,
								known,   grant, base64 };

	if (size > 0 && size < 32768)
		all[data[0] % ARRAY_SIZE(all)](data + 1, size - 1);
	return 0;
}
