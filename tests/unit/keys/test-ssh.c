/* SPDX-License-Identifier: Apache-2.0 */
/* What ssh clients may ask an agent for: values of --ssh-key, names of known_hosts, signatures of hosts, and the order of things on one connection. */
#include "tap.h"

#include <errno.h>
#include <openssl/evp.h>

#include "../../../src/keys/ssh-agent.h"
#include "../../../src/keys/ssh-known.h"
#include "policy/policy.h"

TEST(grants)
{
	static const struct {
		const char *text, *key, *host;
	} rows[] = { { "me@laptop@one.test", "me@laptop", "one.test" },
		     { "SHA256:a/b+c@One.Test:22", "SHA256:a/b+c", "one.test" },
		     { "k@one.test:2222", "k", "[one.test]:2222" },
		     { "k@[one.test]:2222", "k", "[one.test]:2222" },
		     { "k@[FD00::1]", "k", "fd00::1" },
		     { "k@[fd00::1]:65535", "k", "[fd00::1]:65535" },
		     { "~/.ssh/k.pub@*", "~/.ssh/k.pub", "*" },
		     { "a b@10.0.0.1", "a b", "10.0.0.1" },
		     { "k", NULL, NULL },
		     { "k@", NULL, NULL },
		     { "@h", NULL, NULL },
		     { "k@**", NULL, NULL },
		     { "k@*.h", NULL, NULL },
		     { "k@h?", NULL, NULL },
		     { "k@!h", NULL, NULL },
		     { "k@a,b", NULL, NULL },
		     { "k@|1|x|y", NULL, NULL },
		     { "k@a b", NULL, NULL },
		     { "k@h:", NULL, NULL },
		     { "k@h:022", NULL, NULL },
		     { "k@h:65536", NULL, NULL },
		     { "k@h:22x", NULL, NULL },
		     { "k@[h", NULL, NULL },
		     { "k@[h]x", NULL, NULL },
		     { "k@[]", NULL, NULL },
		     { "k@.h", NULL, NULL },
		     { "k@-h", NULL, NULL },
		     { "k\t@h", NULL, NULL } };
	struct err e = ERR_INIT;
	struct ssh_grant g;
	char long_one[SSH_KEY_MAX + 16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = ssh_grant_parse(&g, rows[i].text, &e);

		if ((r == 0) != (rows[i].key != NULL))
			FAIL("'%s': %d", rows[i].text, r);
		else if (rows[i].key) {
			CHECK_STR(g.key, rows[i].key);
			CHECK_STR(g.host, rows[i].host);
		}
	}
	memset(long_one, 'k', sizeof(long_one));
	memcpy(long_one + SSH_KEY_MAX - 1, "@h", 3);
	CHECK(ssh_grant_parse(&g, long_one, &e) == 0 && strlen(g.key) == SSH_KEY_MAX - 1);
	memcpy(long_one + SSH_KEY_MAX, "@h", 3);
	long_one[SSH_KEY_MAX - 1] = 'k';
	CHECK(ssh_grant_parse(&g, long_one, &e) == -E2BIG);
}

TEST(known_hosts)
{
	static const char key[] =
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL7BsS4fO10yunKqRcq3hwyQ8gY1a3rYDOy5NRmzsWIh";
	static const struct {
		const char *hosts, *name;
		bool fits;
	} rows[] = { { "one.test", "one.test", true },
		     { "ONE.test", "one.test", true },
		     { "one.test", "xone.test", false },
		     { "one.test", "one.tes", false },
		     { "a,b,one.test", "one.test", true },
		     { "*.test", "a.b.test", true },
		     { "*.test", ".tes", false },
		     { "*", "x", true },
		     { "a?c", "abc", true },
		     { "a?c", "ac", false },
		     { "*,!one.test", "one.test", false },
		     { "!one.test,*", "two.test", true },
		     { "!one.test", "two.test", false },
		     { "[one.test]:22", "one.test", false },
		     { "[one.test]:2222", "[one.test]:2222", true },
		     { "a*b*c*d", "aXbXcXbXcXd", true },
		     { "a*b*c*d", "aXbXcXbXcX", false },
		     { "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "one.test",
		       false } };
	static struct ssh_known k;
	char line[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(line, sizeof(line), "%s %s x", rows[i].hosts, key);
		REQUIRE(ssh_known_parse(&k, line, strlen(line)) == 1);
		if (ssh_known_names(&k, rows[i].name, ssh_hashed_name) != rows[i].fits)
			FAIL("'%s' and '%s'", rows[i].hosts, rows[i].name);
	}
	(void)snprintf(line, sizeof(line), "@revoked * %s\r", key);
	CHECK(ssh_known_parse(&k, line, strlen(line)) == 1 && k.marker == SSH_KNOWN_REVOKED);
	(void)snprintf(line, sizeof(line), "@other * %s", key);
	CHECK(ssh_known_parse(&k, line, strlen(line)) == 0);
	(void)snprintf(line, sizeof(line), "h ssh-rsa %s", key + strlen("ssh-ed25519 "));
	CHECK(ssh_known_parse(&k, line, strlen(line)) == 0);
}

/* RFC 2202, the first case: HMAC-SHA1 of "Hi There" with twenty times 0x0b. */
TEST(hashed_names)
{
	static const uint8_t want[] = { 0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b,
					0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00 };
	uint8_t salt[20];

	memset(salt, 0x0b, sizeof(salt));
	CHECK(ssh_hashed_name(salt, sizeof(salt), want, sizeof(want), "Hi There"));
	CHECK(!ssh_hashed_name(salt, sizeof(salt), want, sizeof(want), "hi there"));
	CHECK(!ssh_hashed_name(salt, sizeof(salt), want, sizeof(want) - 1, "Hi There"));
}

/* --- a host, which signs --- */

static struct buf host_key = BUF_INIT(4096), signature = BUF_INIT(4096);
static EVP_PKEY *host;

static struct ssh_bytes bytes(const struct buf *b)
{
	return (struct ssh_bytes){ (const uint8_t *)b->data, b->len };
}

static void make_host(void)
{
	unsigned char raw[32];
	size_t n = sizeof(raw);

	host = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	REQUIRE(host && EVP_PKEY_get_raw_public_key(host, raw, &n) == 1);
	host_key.len = 0;
	ssh_put_string(&host_key, "ssh-ed25519", 11);
	ssh_put_string(&host_key, raw, n);
}

static struct ssh_request bind_one(const char *session)
{
	const struct ssh_bytes id = { (const uint8_t *)session, strlen(session) };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[64];
	size_t n = sizeof(sig);

	REQUIRE(EVP_DigestSignInit(ctx, NULL, NULL, NULL, host) == 1 &&
		EVP_DigestSign(ctx, sig, &n, id.p, id.n) == 1);
	EVP_MD_CTX_free(ctx);
	signature.len = 0;
	ssh_put_string(&signature, "ssh-ed25519", 11);
	ssh_put_string(&signature, sig, n);
	return (struct ssh_request){ .kind = SSH_ASK_BIND,
				     .host_key = bytes(&host_key),
				     .session = id,
				     .signature = bytes(&signature) };
}

static void drop_host(void)
{
	EVP_PKEY_free(host);
	buf_done(&host_key);
	buf_done(&signature);
}

TEST(every_bit_of_a_hosts_signature_counts)
{
	struct ssh_request r;
	size_t i;

	make_host();
	r = bind_one("a session");
	CHECK(ssh_verify(r.host_key, r.signature, r.session) == 0);
	for (i = 0; i < signature.len * 8; i++) {
		signature.data[i / 8] = (char)(signature.data[i / 8] ^ (1 << i % 8));
		if (ssh_verify(r.host_key, r.signature, r.session) == 0)
			FAIL("bit %zu", i);
		signature.data[i / 8] = (char)(signature.data[i / 8] ^ (1 << i % 8));
	}
	r.session.n--;
	CHECK(ssh_verify(r.host_key, r.signature, r.session) == -EKEYREJECTED);
	r.session.n++;
	for (i = 0; i < r.host_key.n; i++)
		CHECK(ssh_verify((struct ssh_bytes){ r.host_key.p, i }, r.signature, r.session) <
		      0);
	for (i = 0; i < r.signature.n; i++)
		CHECK(ssh_verify(r.host_key, (struct ssh_bytes){ r.signature.p, i }, r.session) <
		      0);
	drop_host();
}

static struct ssh_rules rules; /* each test is a process */

TEST(a_connection_is_bound_once_and_a_session_too)
{
	struct ssh_session c = { .n_id = 0 }, d = { .n_id = 0 }, f = { .n_id = 0 };
	struct ssh_request r;
	char id[32];
	unsigned int i;

	make_host();
	r = bind_one("first");
	CHECK(ssh_judge_bind(&rules, &c, &r) && c.state == SSH_BOUND && c.n_id == 5);
	CHECK(!ssh_judge_bind(&rules, &c, &r) && c.state == SSH_SPOILT);
	CHECK(!ssh_judge_bind(&rules, &d, &r) && d.state == SSH_SPOILT);
	r = bind_one("second");
	r.forwarding = true;
	CHECK(!ssh_judge_bind(&rules, &f, &r) && f.state == SSH_SPOILT && f.forwarded);
	r.forwarding = false;
	CHECK(!ssh_judge_bind(&rules, &f, &r));
	for (i = 0; i < SSH_SEEN + 10; i++) { /* more sessions than are remembered */
		struct ssh_session s = { .n_id = 0 };

		(void)snprintf(id, sizeof(id), "session %u", i);
		r = bind_one(id);
		CHECK(ssh_judge_bind(&rules, &s, &r));
		s = (struct ssh_session){ .n_id = 0 };
		CHECK(!ssh_judge_bind(&rules, &s, &r));
	}
	drop_host();
}

TEST(what_is_said_is_bounded)
{
	struct ssh_notes *no = &rules.notes[SSH_REFUSED], *yes = &rules.notes[SSH_SIGNED];
	unsigned int i;

	/* in one second, and in all; what there is no line for is counted, what has one is counted there */
	for (i = 0; i < SSH_NOTES_SECOND + 5; i++)
		ssh_note(&rules, "line %u", i);
	CHECK(no->n == SSH_NOTES_SECOND && no->more == 5);
	ssh_note(&rules, "line %u", 0);
	CHECK(no->v[0].n == 2 && no->more == 5);
	for (i = 0; i < SSH_NOTES + 5; i++) {
		rules.now++;
		ssh_note(&rules, "line %u", i);
	}
	CHECK(no->n == SSH_NOTES && no->more == 10 && no->v[0].n == 3);
	/* a flood of refusals hides no log-in */
	ssh_note_signed(&rules, "signed: it");
	CHECK(yes->n == 1 && yes->more == 0);
	CHECK_STR(yes->v[0].text, "signed: it");
}

TEST(algorithms)
{
	static const struct {
		const char *type, *algorithm;
		uint32_t flags;
		bool fits;
	} rows[] = { { "ssh-ed25519", "ssh-ed25519", 0, true },
		     { "ssh-ed25519", "ssh-ed25519", 2, false },
		     { "ssh-ed25519", "ssh-rsa", 0, false },
		     { "ssh-rsa", "ssh-rsa", 0, false },
		     { "ssh-rsa", "rsa-sha2-256", 2, true },
		     { "ssh-rsa", "rsa-sha2-512", 4, true },
		     { "ssh-rsa", "rsa-sha2-512", 6, false },
		     { "ssh-rsa", "rsa-sha2-256", 4, false },
		     { "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com", 4,
		       true },
		     { "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512", 4, false },
		     { "sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com", 0, true } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (ssh_algorithm_fits(rows[i].type, rows[i].flags,
				       (struct ssh_bytes){ (const uint8_t *)rows[i].algorithm,
							   strlen(rows[i].algorithm) }) !=
		    rows[i].fits)
			FAIL("row %zu", i);
	}
}
