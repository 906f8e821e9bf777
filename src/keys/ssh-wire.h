/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ssh client says to an agent (draft-miller-ssh-agent; OpenSSH's PROTOCOL.agent), and what is in the things that it wants signed (RFC 4252). Pure: bytes in, slices of them
 * out. A message is what it says it is to its last byte, or it is refused.
 *
 *	n = ssh_frame(p, len)                  how long the first message is, with its length
 *	ssh_request_parse(&r, p + 4, n - 4)    what it asks for
 *	ssh_userauth_parse(&u, r.data)         what is to be signed
 */
#ifndef BAILEY_KEYS_SSH_WIRE_H
#define BAILEY_KEYS_SSH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/util.h"

#define SSH_MESSAGE_MAX \
	(16u << 10) /* of one request; the longest that is allowed has two RSA keys in it */
#define SSH_ANSWER_MAX (256u << 10) /* of the caller's agent: all that OpenSSH's own writes */
#define SSH_BLOB_MAX 4096u          /* of a public key */
#define SSH_SESSION_MAX 128u        /* bytes of a session's id; hashes, so 20 to 64 */
#define SSH_TYPE_MAX 64u            /* of the name of a kind of key or signature, with the NUL */

enum ssh_message {
	SSH_FAILURE = 5,
	SSH_SUCCESS = 6,
	SSH_REQUEST_IDENTITIES = 11,
	SSH_IDENTITIES_ANSWER = 12,
	SSH_SIGN_REQUEST = 13,
	SSH_SIGN_RESPONSE = 14,
	SSH_EXTENSION = 27
};

#define SSH_RSA_SHA2_256 2u /* flags of a SIGN_REQUEST */
#define SSH_RSA_SHA2_512 4u

struct ssh_bytes {
	const uint8_t *p;
	size_t n;
};

/* A place in a message. After a step past its end it is bad, and gives nothing more. */
struct ssh_cursor {
	const uint8_t *p;
	size_t n;
	bool bad;
};

uint8_t ssh_take_byte(struct ssh_cursor *c);
uint32_t ssh_take_u32(struct ssh_cursor *c);
struct ssh_bytes ssh_take_string(struct ssh_cursor *c);

/** ssh_is() - whether @b is the text @s. */
bool ssh_is(struct ssh_bytes b, const char *s);

/** ssh_same() - whether the bytes are the same. */
bool ssh_same(struct ssh_bytes a, struct ssh_bytes b);

/** ssh_frame() - the length of the first message and of its length, once @n bytes have come. Return: it; 0: more must come; -EMSGSIZE: it is empty, or longer than @max. */
ssize_t ssh_frame(const uint8_t *p, size_t n, size_t max);

enum ssh_request_kind {
	SSH_ASK_IDENTITIES,
	SSH_ASK_SIGN,
	SSH_ASK_BIND, /* session-bind@openssh.com */
	SSH_ASK_OTHER
};

struct ssh_request {
	enum ssh_request_kind kind;
	uint8_t type;
	struct ssh_bytes key, data; /* of SIGN */
	uint32_t flags;
	struct ssh_bytes host_key, session, signature; /* of BIND */
	bool forwarding;
	struct ssh_bytes extension; /* OTHER: its name, when it is one */
};

/** ssh_request_parse() - @n bytes, without the length. Return: 0, or -EBADMSG. */
int ssh_request_parse(struct ssh_request *ret, const uint8_t *p, size_t n);

/** ssh_request_words() - what @type asks for, in words: "to add a key". */
const char *ssh_request_words(uint8_t type);

/* The data that a log-in by public key signs. */
struct ssh_userauth {
	struct ssh_bytes session, user, algorithm, key;
	bool host_bound;
	struct ssh_bytes host_key; /* then */
};

/** ssh_userauth_parse() - Return: 0, or -EBADMSG: it is something else. */
int ssh_userauth_parse(struct ssh_userauth *ret, struct ssh_bytes data);

/** ssh_key_type() - the kind of the public key @blob, checked to be such a name. Return: 0 or -EBADMSG. */
int ssh_key_type(struct ssh_bytes blob, char ret[SSH_TYPE_MAX]);

/** ssh_algorithm_fits() - whether a key of @type, asked with @flags, makes signatures of @algorithm. SHA-1 is not among them. */
bool ssh_algorithm_fits(const char *type, uint32_t flags, struct ssh_bytes algorithm);

/* A key that the caller's agent has. */
struct ssh_identity {
	struct ssh_bytes blob, comment;
};

/**
 * ssh_identities_parse() - an answer of the agent, without the length.
 * @max: places in @ret
 * Return: how many there are; -EBADMSG; -E2BIG: more than @max.
 */
ssize_t ssh_identities_parse(struct ssh_identity *ret, size_t max, const uint8_t *p, size_t n);

/** ssh_signature_check() - whether an answer of the agent, without the length, is a signature and nothing else. */
bool ssh_signature_check(const uint8_t *p, size_t n);

/** ssh_put_u32(), ssh_put_string() - append. */
void ssh_put_u32(struct buf *b, uint32_t v);
void ssh_put_string(struct buf *b, const void *p, size_t n);

/** ssh_print() - @b as text that can be printed: of anything else a '?'; cut to @size. Return: @out. */
const char *ssh_print(struct ssh_bytes b, char *out, size_t size);

#endif
