/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of known_hosts, as sshd(8) describes them. Pure but for hashed names, which a function of the caller compares. */
#ifndef BAILEY_KEYS_SSH_KNOWN_H
#define BAILEY_KEYS_SSH_KNOWN_H

#include "ssh-wire.h"

enum ssh_marker {
	SSH_KNOWN_HOST,
	SSH_KNOWN_REVOKED,
	SSH_KNOWN_AUTHORITY /* signs certificates of hosts: not looked at here */
};

struct ssh_known {
	enum ssh_marker marker;
	const char *hosts; /* patterns, as they are written */
	size_t n_hosts;
	char type[SSH_TYPE_MAX];
	uint8_t blob[SSH_BLOB_MAX];
	size_t n_blob;
};

/** ssh_known_parse() - a line, without its end. Return: 1; 0: there is no key in it that counts (empty, a comment, something that can't be read). */
int ssh_known_parse(struct ssh_known *ret, const char *line, size_t n);

/* Whether HMAC-SHA1 of @name with the key @salt is @hash. */
typedef bool ssh_hashed_fn(const uint8_t *salt, size_t n_salt, const uint8_t *hash, size_t n_hash,
			   const char *name);

/** ssh_known_names() - whether the line is about @name: a pattern fits, and none that is negated. @name: in lower case, "host" or "[host]:port" */
bool ssh_known_names(const struct ssh_known *k, const char *name, ssh_hashed_fn *hashed);

/** ssh_known_plain() - the first name that stands there as it is, to be shown: neither hashed nor a pattern. Return: @out, or NULL. */
const char *ssh_known_plain(const struct ssh_known *k, char *out, size_t size);

/** ssh_base64() - decode; padding as it must be. Return: how many bytes, at most @max; -EBADMSG. */
ssize_t ssh_base64(const char *p, size_t n, uint8_t *out, size_t max);

#endif
