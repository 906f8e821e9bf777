/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4). Ours because the launcher is linked with musl, for which Debian has no library that does it. */
#ifndef BAILEY_GATEWAY_SHA256_H
#define BAILEY_GATEWAY_SHA256_H

#include <stddef.h>

#define SHA256_SIZE 32u

/** sha256() - of @n bytes. */
void sha256(const void *p, size_t n, unsigned char out[SHA256_SIZE]);

/** sha256_hex() - the same as lower-case text with a NUL. */
void sha256_hex(const void *p, size_t n, char out[2 * SHA256_SIZE + 1]);

#endif
