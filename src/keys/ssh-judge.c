/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A client says by session-bind@openssh.com which session its connection is for: the host's key, the session's id, and the signature that the host has made over that
 * id in the key exchange. Nobody who lacks the host's key can make such a signature, so the id belongs to a session with that host. A log-in signs the id again, so what is
 * signed here is of use to a session with that host, and to no other.
 *
 *	UNBOUND   one bind that verifies, is not for forwarding, and is of a session that was bound nowhere else -> BOUND
 *	          a bind of another kind -> SPOILT
 *	BOUND     log-ins of that session are signed; another bind -> SPOILT
 *	SPOILT    nothing is signed any more
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ssh-agent.h"

static void note(struct ssh_rules *s, enum ssh_kind kind, const char *text)
{
	struct ssh_notes *to = &s->notes[kind];
	size_t i;

	for (i = 0; i < to->n && strcmp(to->v[i].text, text) != 0; i++)
		;
	if (i == to->n) {
		if (to->second != s->now)
			to->lines = 0;
		to->second = s->now;
		if (i == SSH_NOTES || to->lines == SSH_NOTES_SECOND) {
			to->more++;
			return;
		}
		to->lines++;
		to->v[i].n = 0;
		(void)snprintf(to->v[i].text, sizeof(to->v[i].text), "%s", text); /* fits */
		to->n++;
	}
	to->v[i].n++;
}

void ssh_note_signed(struct ssh_rules *s, const char *text)
{
	note(s, SSH_SIGNED, text);
}

void ssh_note(struct ssh_rules *s, const char *fmt, ...)
{
	char text[SSH_NOTE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut where it is long */
	va_end(ap);
	note(s, SSH_REFUSED, text);
}

static bool spoil(struct ssh_session *c)
{
	c->state = SSH_SPOILT;
	return false;
}

/* Whether the session was bound before. If not, it is from now on. */
static bool seen(struct ssh_rules *s, struct ssh_bytes session)
{
	const size_t n = s->n_seen < SSH_SEEN ? s->n_seen : SSH_SEEN;
	uint8_t hash[SSH_HASH];
	size_t i;

	if (!ssh_hash(session, hash))
		return true;
	for (i = 0; i < n; i++) {
		if (memcmp(s->seen[i], hash, SSH_HASH) == 0)
			return true;
	}
	memcpy(s->seen[s->n_seen++ % SSH_SEEN], hash, SSH_HASH);
	return false;
}

bool ssh_judge_bind(struct ssh_rules *s, struct ssh_session *c, const struct ssh_request *r)
{
	char print[SSH_PRINT_MAX], type[SSH_TYPE_MAX];
	int v;

	if (c->state != SSH_UNBOUND) {
		ssh_note(s,
			 "refused: a connection was bound a second time; each is for one session");
		return spoil(c);
	}
	if (r->forwarding) {
		c->forwarded = true;
		ssh_note(
			s,
			"refused: to forward the agent to a host (ssh -A, ForwardAgent); no option allows that");
		return spoil(c);
	}
	v = ssh_verify(r->host_key, r->signature, r->session);
	if (v == -ENOTSUP) {
		(void)ssh_print((struct ssh_bytes){ r->host_key.p, 0 }, type, sizeof(type));
		ssh_note(
			s,
			"refused: a session with a host whose key is %s, which can't be checked here; host keys are ssh-ed25519, ecdsa-sha2-nistp* or ssh-rsa",
			ssh_key_type(r->host_key, type) == 0 ? type : "no key");
		return spoil(c);
	}
	if (v < 0) {
		ssh_note(s, "refused: a session whose signature is not of its host key %s",
			 ssh_fingerprint(r->host_key, print));
		return spoil(c);
	}
	if (seen(s, r->session)) {
		ssh_note(s, "refused: a session was bound again, on another connection (a replay)");
		return spoil(c);
	}
	c->state = SSH_BOUND;
	memcpy(c->id, r->session.p, r->session.n); /* checked by the parser */
	c->n_id = r->session.n;
	memcpy(c->host_key, r->host_key.p, r->host_key.n);
	c->n_host_key = r->host_key.n;
	return true;
}

static const struct ssh_key *find_key(const struct ssh_rules *s, struct ssh_bytes blob)
{
	size_t i;

	for (i = 0; i < s->n_keys; i++) {
		if (ssh_same((struct ssh_bytes){ s->keys[i].blob, s->keys[i].n }, blob))
			return &s->keys[i];
	}
	return NULL;
}

static const struct ssh_host *find_host(const struct ssh_rules *s, const struct ssh_session *c)
{
	uint8_t hash[SSH_HASH];
	size_t i;

	if (!ssh_hash((struct ssh_bytes){ c->host_key, c->n_host_key }, hash))
		return NULL;
	for (i = 0; i < s->n_hosts; i++) {
		if (memcmp(s->hosts[i].hash, hash, SSH_HASH) == 0)
			return &s->hosts[i];
	}
	return NULL;
}

static const char *first_name(const struct ssh_rules *s, uint64_t names)
{
	size_t i;

	for (i = 0; i < s->n_names; i++) {
		if (names & UINT64_C(1) << i)
			return s->names[i];
	}
	return NULL;
}

/* Whether the session is with a host that the key may be used at. */
static bool judge_host(struct ssh_rules *s, const struct ssh_session *c, const struct ssh_key *key,
		       const char *user, char said[SSH_NOTE_MAX])
{
	const struct ssh_host *h = find_host(s, c);
	char print[SSH_PRINT_MAX];
	const char *name;

	(void)ssh_fingerprint((struct ssh_bytes){ c->host_key, c->n_host_key }, print);
	if (h && h->revoked) {
		ssh_note(
			s,
			"refused: a log-in as '%s' at a host whose key %s is revoked in known_hosts",
			user, print);
		return false;
	}
	if (!h) {
		ssh_note(
			s,
			"refused: a log-in as '%s' at a host whose key %s is in no known_hosts of yours; if it is the right one, let ssh on the host learn it",
			user, print);
		return false;
	}
	if (!key->any && !(h->names & key->names)) {
		name = first_name(s, h->names);
		name = name ? name : *h->plain ? h->plain : NULL;
		ssh_note(
			s,
			"refused: a log-in as '%s' at %s (%s) with key '%s'; --ssh-key %s@%s allows it",
			user, name ? name : "another host", print, key->comment, key->print,
			name ? name : "HOST");
		return false;
	}
	name = first_name(s, key->any ? h->names : h->names & key->names);
	name = name ? name : *h->plain ? h->plain : "a known host";
	(void)snprintf(said, SSH_NOTE_MAX, "signed: a log-in as '%s' at %s (%s) with key '%s' (%s)",
		       user, name, print, key->comment, key->print); /* cut where it is long */
	return true;
}

static bool refuse_data(struct ssh_rules *s, const struct ssh_key *key, struct ssh_bytes data)
{
	const bool sshsig = data.n > 6 && memcmp(data.p, "SSHSIG", 6) == 0;

	ssh_note(
		s,
		"refused: to sign %s with key '%s'; only log-ins are signed, and no option allows more",
		sshsig ? "a file or a commit (SSHSIG)" : "data that is no log-in", key->comment);
	return false;
}

bool ssh_judge_sign(struct ssh_rules *s, const struct ssh_session *c, const struct ssh_request *r,
		    char said[SSH_NOTE_MAX])
{
	const struct ssh_key *key = find_key(s, r->key);
	char user[64], print[SSH_PRINT_MAX];
	struct ssh_userauth u;

	if (!key) {
		ssh_note(
			s,
			"refused: a signature of the key %s; --ssh-key %s@HOST allows log-ins with it, if the agent has it",
			ssh_fingerprint(r->key, print), print);
		return false;
	}
	if (ssh_userauth_parse(&u, r->data) < 0)
		return refuse_data(s, key, r->data);
	(void)ssh_print(u.user, user, sizeof(user));
	if (c->state != SSH_BOUND) {
		ssh_note(
			s,
			c->forwarded ?
				"refused: a log-in as '%s' from a host that the agent was forwarded to" :
			c->state == SSH_SPOILT ?
				"refused: a log-in as '%s' on a connection whose bind was refused" :
				"refused: a log-in as '%s' by a client that does not say which host it talks to; ssh of OpenSSH 8.9 or later does",
			user);
		return false;
	}
	if (!ssh_same(u.session, (struct ssh_bytes){ c->id, c->n_id })) {
		ssh_note(
			s,
			"refused: a log-in as '%s' of another session than the connection is bound to",
			user);
		return false;
	}
	if (!ssh_same(u.key, r->key) || !ssh_algorithm_fits(key->type, r->flags, u.algorithm) ||
	    (u.host_bound &&
	     !ssh_same(u.host_key, (struct ssh_bytes){ c->host_key, c->n_host_key }))) {
		ssh_note(
			s,
			"refused: a log-in as '%s' that names another key, host key or algorithm than it is for (SHA-1 signatures are refused)",
			user);
		return false;
	}
	return judge_host(s, c, key, user, said);
}
