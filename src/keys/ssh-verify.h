/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and signatures of ssh, by OpenSSL. */
#ifndef BAILEY_KEYS_SSH_VERIFY_H
#define BAILEY_KEYS_SSH_VERIFY_H

#include "ssh-wire.h"

#define SSH_HASH 32u
#define SSH_PRINT_MAX 64u /* "SHA256:" and what follows, with the NUL */

/** ssh_hash() - SHA-256. Return: whether it could be made. */
bool ssh_hash(struct ssh_bytes b, uint8_t ret[SSH_HASH]);

/** ssh_fingerprint() - "SHA256:…" of a public key, as ssh-keygen -l prints it. Return: @out. */
const char *ssh_fingerprint(struct ssh_bytes blob, char out[SSH_PRINT_MAX]);

/** ssh_hashed_name() - an ssh_hashed_fn. */
bool ssh_hashed_name(const uint8_t *salt, size_t n_salt, const uint8_t *hash, size_t n_hash,
		     const char *name);

/**
 * ssh_verify() - whether @signature is one of @key over @data. Keys: ssh-ed25519, ecdsa-sha2-nistp*, ssh-rsa (SHA-2 alone).
 * Return: 0; -EKEYREJECTED: it is not; -ENOTSUP: a key of another kind; -EBADMSG: no key or no signature.
 */
int ssh_verify(struct ssh_bytes key, struct ssh_bytes signature, struct ssh_bytes data);

#endif
