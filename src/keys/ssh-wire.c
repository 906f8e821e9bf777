/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh-wire.h"

#include <errno.h>
#include <string.h>

#define MSG_USERAUTH_REQUEST 50
#define BIND "session-bind@openssh.com"
#define HOST_BOUND "publickey-hostbound-v00@openssh.com"

static const uint8_t *take(struct ssh_cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || n > c->n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->n -= n;
	return p;
}

static uint32_t number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint8_t ssh_take_byte(struct ssh_cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p ? *p : 0;
}

uint32_t ssh_take_u32(struct ssh_cursor *c)
{
	const uint8_t *p = take(c, 4);

	return p ? number(p) : 0;
}

struct ssh_bytes ssh_take_string(struct ssh_cursor *c)
{
	const uint32_t n = ssh_take_u32(c);
	const uint8_t *p = take(c, n);

	return (struct ssh_bytes){ p, p ? n : 0 };
}

bool ssh_is(struct ssh_bytes b, const char *s)
{
	return b.p && b.n == strlen(s) && memcmp(b.p, s, b.n) == 0;
}

bool ssh_same(struct ssh_bytes a, struct ssh_bytes b)
{
	return a.p && b.p && a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

ssize_t ssh_frame(const uint8_t *p, size_t n, size_t max)
{
	uint32_t len;

	if (n < 4)
		return 0;
	len = number(p);
	if (len == 0 || len > max)
		return -EMSGSIZE;
	return n - 4 < len ? 0 : (ssize_t)len + 4;
}

static bool over(const struct ssh_cursor *c)
{
	return !c->bad && c->n == 0;
}

/* One byte that is 0 or 1, and no other. */
static bool take_bool(struct ssh_cursor *c)
{
	const uint8_t v = ssh_take_byte(c);

	c->bad |= v > 1;
	return v == 1;
}

static void take_bind(struct ssh_request *r, struct ssh_cursor *c)
{
	r->kind = SSH_ASK_BIND;
	r->host_key = ssh_take_string(c);
	r->session = ssh_take_string(c);
	r->signature = ssh_take_string(c);
	r->forwarding = take_bool(c);
	c->bad |= r->host_key.n == 0 || r->host_key.n > SSH_BLOB_MAX || r->session.n == 0 ||
		  r->session.n > SSH_SESSION_MAX;
}

int ssh_request_parse(struct ssh_request *ret, const uint8_t *p, size_t n)
{
	struct ssh_cursor c = { .p = p, .n = n };
	struct ssh_request r = { .type = ssh_take_byte(&c) };

	switch (r.type) {
	case SSH_REQUEST_IDENTITIES:
		r.kind = SSH_ASK_IDENTITIES;
		break;
	case SSH_SIGN_REQUEST:
		r.kind = SSH_ASK_SIGN;
		r.key = ssh_take_string(&c);
		r.data = ssh_take_string(&c);
		r.flags = ssh_take_u32(&c);
		break;
	case SSH_EXTENSION:
		r.kind = SSH_ASK_OTHER;
		r.extension = ssh_take_string(&c);
		if (ssh_is(r.extension, BIND))
			take_bind(&r, &c);
		else
			(void)take(&c, c.n); /* whatever it holds, it is refused */
		break;
	default:
		r.kind = SSH_ASK_OTHER;
		(void)take(&c, c.n);
		break;
	}
	if (!over(&c))
		return -EBADMSG;
	*ret = r;
	return 0;
}

const char *ssh_request_words(uint8_t type)
{
	switch (type) {
	case 17: /* ADD_IDENTITY … */
	case 25:
		return "to add a key";
	case 18:
		return "to remove a key";
	case 9: /* the same of protocol 1 */
	case 19:
		return "to remove all keys";
	case 20:
	case 26:
		return "to add keys of a token, whose library the agent would load";
	case 21:
		return "to remove the keys of a token";
	case 22:
		return "to lock the agent";
	case 23:
		return "to unlock the agent";
	case SSH_EXTENSION:
		return "an extension";
	default:
		return "something that no client asks for today";
	}
}

int ssh_userauth_parse(struct ssh_userauth *ret, struct ssh_bytes data)
{
	struct ssh_cursor c = { .p = data.p, .n = data.n };
	struct ssh_userauth u = { .session = ssh_take_string(&c) };
	struct ssh_bytes method;
	bool ok;

	ok = ssh_take_byte(&c) == MSG_USERAUTH_REQUEST;
	u.user = ssh_take_string(&c);
	ok &= ssh_is(ssh_take_string(&c), "ssh-connection");
	method = ssh_take_string(&c);
	u.host_bound = ssh_is(method, HOST_BOUND);
	ok &= u.host_bound || ssh_is(method, "publickey");
	ok &= take_bool(&c); /* with a signature */
	u.algorithm = ssh_take_string(&c);
	u.key = ssh_take_string(&c);
	if (u.host_bound)
		u.host_key = ssh_take_string(&c);
	if (!ok || !over(&c) || u.session.n == 0)
		return -EBADMSG;
	*ret = u;
	return 0;
}

int ssh_key_type(struct ssh_bytes blob, char ret[SSH_TYPE_MAX])
{
	struct ssh_cursor c = { .p = blob.p, .n = blob.n };
	const struct ssh_bytes t = ssh_take_string(&c);
	size_t i;

	if (c.bad || t.n == 0 || t.n >= SSH_TYPE_MAX || blob.n > SSH_BLOB_MAX || c.n == 0)
		return -EBADMSG;
	for (i = 0; i < t.n; i++) {
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f)
			return -EBADMSG;
	}
	memcpy(ret, t.p, t.n);
	ret[t.n] = '\0';
	return 0;
}

bool ssh_algorithm_fits(const char *type, uint32_t flags, struct ssh_bytes algorithm)
{
	static const char plain[] = "ssh-rsa", cert[] = "ssh-rsa-cert-v01@openssh.com";
	const bool rsa = strcmp(type, plain) == 0, certified = strcmp(type, cert) == 0;

	if (!rsa && !certified)
		return flags == 0 && ssh_is(algorithm, type);
	if (flags == SSH_RSA_SHA2_256)
		return ssh_is(algorithm,
			      rsa ? "rsa-sha2-256" : "rsa-sha2-256-cert-v01@openssh.com");
	return flags == SSH_RSA_SHA2_512 &&
	       ssh_is(algorithm, rsa ? "rsa-sha2-512" : "rsa-sha2-512-cert-v01@openssh.com");
}

ssize_t ssh_identities_parse(struct ssh_identity *ret, size_t max, const uint8_t *p, size_t n)
{
	struct ssh_cursor c = { .p = p, .n = n };
	uint32_t count, i;

	if (ssh_take_byte(&c) != SSH_IDENTITIES_ANSWER)
		return -EBADMSG;
	count = ssh_take_u32(&c);
	if (c.bad)
		return -EBADMSG;
	if (count > max)
		return -E2BIG;
	for (i = 0; i < count; i++) {
		ret[i].blob = ssh_take_string(&c);
		ret[i].comment = ssh_take_string(&c);
	}
	return over(&c) ? (ssize_t)count : -EBADMSG;
}

bool ssh_signature_check(const uint8_t *p, size_t n)
{
	struct ssh_cursor c = { .p = p, .n = n };
	bool ok = ssh_take_byte(&c) == SSH_SIGN_RESPONSE;

	return ssh_take_string(&c).n > 0 && over(&c) && ok;
}

void ssh_put_u32(struct buf *b, uint32_t v)
{
	const uint8_t p[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			       (uint8_t)v };

	buf_add(b, p, sizeof(p));
}

void ssh_put_string(struct buf *b, const void *p, size_t n)
{
	ssh_put_u32(b, (uint32_t)n);
	if (n > 0)
		buf_add(b, p, n);
}

const char *ssh_print(struct ssh_bytes b, char *out, size_t size)
{
	size_t i;

	for (i = 0; i < b.n && i + 1 < size; i++) {
		const char c = ((const char *)b.p)[i];

		out[i] = '?';
		if (c >= ' ' && c < 0x7f)
			out[i] = c;
	}
	out[i] = '\0';
	return out;
}
