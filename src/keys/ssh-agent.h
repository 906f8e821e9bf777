/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "bailey-keys ssh-agent": an agent for one sandbox, between its ssh clients and the caller's agent (docs/adr/0024). A process of its own. In the place of a gateway
 * it has the socket that listens for these clients.
 *
 * Lines, JSON, each at most KEYS_LINE_MAX bytes. The supervisor begins:
 *	{"version":1,"agent":PATH,"home":DIR or null,"grants":["KEY@HOST"…],"uid":N,"gid":N}
 * and gets {"known":[LINE…]} (of known_hosts, what the sandbox may see) or {"error":TEXT}. When the supervisor shuts its side down it gets
 * {"signed":[LINE…],"more_signed":N,"said":[LINE…],"more":N}: what was signed, what was refused, and how many of each have no line; and the process ends.
 */
#ifndef BAILEY_KEYS_SSH_AGENT_H
#define BAILEY_KEYS_SSH_AGENT_H

#include "ssh-verify.h"

/** keys_ssh_agent() - the process, from the first line to its end. Return: exit status. */
int keys_ssh_agent(void);

/* --- private to its files --- */

#define SSH_KEYS 64u         /* that may be used */
#define SSH_NAMES 64u        /* hosts that grants name, a bit each */
#define SSH_HOSTS 65536u     /* keys of hosts that are known */
#define SSH_SEEN 1024u       /* sessions that were bound; each is bound once */
#define SSH_NOTES 64u        /* different things that the end says, of each kind */
#define SSH_NOTES_SECOND 32u /* of these in a second */
#define SSH_NOTE_MAX 480u
#define SSH_COMMENT_MAX 128u

struct ssh_key { /* of the caller, that the sandbox may use */
	uint8_t blob[SSH_BLOB_MAX];
	size_t n;
	char type[SSH_TYPE_MAX], comment[SSH_COMMENT_MAX], print[SSH_PRINT_MAX];
	bool any;       /* for all hosts that are known */
	uint64_t names; /* for these */
};

struct ssh_host { /* a key of a host that known_hosts lists */
	uint8_t hash[SSH_HASH];
	uint64_t names; /* that grants name, of which it is the key */
	char plain[64]; /* to be shown: another name of it; "" */
	bool revoked;
};

struct ssh_note {
	char text[SSH_NOTE_MAX];
	unsigned int n;
};

/* What was signed, and what was refused, each by itself: refusals cost a client nothing, and a flood of them shall not hide a log-in. */
enum ssh_kind { SSH_SIGNED, SSH_REFUSED, SSH_KIND_NUM };

struct ssh_notes {
	struct ssh_note v[SSH_NOTES];
	size_t n, more;
	uint64_t second; /* the last one in which there was a new line, and how many it had */
	size_t lines;
};

struct ssh_rules {
	struct ssh_key keys[SSH_KEYS];
	size_t n_keys;
	char names[SSH_NAMES][264];
	size_t n_names;
	struct ssh_host *hosts;
	size_t n_hosts, size_hosts;
	uint8_t seen[SSH_SEEN][SSH_HASH];
	size_t n_seen; /* so far */
	struct ssh_notes notes[SSH_KIND_NUM];
	uint64_t now; /* seconds, of any clock that does not stop */
};

/* What a connection of a client is known to be for. */
struct ssh_session {
	enum { SSH_UNBOUND, SSH_BOUND, SSH_SPOILT } state;
	bool forwarded; /* SPOILT because of this */
	uint8_t id[SSH_SESSION_MAX];
	size_t n_id;
	uint8_t host_key[SSH_BLOB_MAX];
	size_t n_host_key;
};

/** ssh_note_signed() - remember a log-in for the end; the same one is counted. */
void ssh_note_signed(struct ssh_rules *s, const char *text);

/** ssh_note() - the same of a refusal. */
__attribute__((format(printf, 2, 3))) void ssh_note(struct ssh_rules *s, const char *fmt, ...);

/** ssh_judge_bind() - a BIND of @c. Return: whether it holds; if not, it is noted why. */
bool ssh_judge_bind(struct ssh_rules *s, struct ssh_session *c, const struct ssh_request *r);

/**
 * ssh_judge_sign() - a SIGN on @c.
 * @said: what to note when it is signed
 * Return: whether it may be; if not, it is noted why.
 */
bool ssh_judge_sign(struct ssh_rules *s, const struct ssh_session *c, const struct ssh_request *r,
		    char said[SSH_NOTE_MAX]);

struct json_node;

/**
 * ssh_setup() - from the first line: connect to the caller's agent, find the keys, read the known hosts.
 * @known: gets the lines that the sandbox may see
 * @ret_missing: after a failure: that the agent is not there, or has not the keys, which may come
 * Return: the connection, or negative errno with @e.
 */
int ssh_setup(struct ssh_rules *s, const struct json_node *root, struct buf *known,
	      bool *ret_missing, struct err *e);

#endif
