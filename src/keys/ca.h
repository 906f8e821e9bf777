/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's own authority, and the certificates that it gives to the names that are inspected. Its key exists in this process's memory alone. */
#ifndef BAILEY_KEYS_CA_H
#define BAILEY_KEYS_CA_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "util/util.h"

#define CA_LEAVES \
	512u /* names whose certificates are kept; the one that was not used for longest goes */

struct ca;

/** ca_new() - @id: of the sandbox, in the authority's name. Return: 0 or negative errno with @e; *@ret is owned. */
int ca_new(struct ca **ret, const char *id, struct err *e);

/**
 * ca_load() - an authority that others have made: a certificate and its key, PEM files, of which the key must be the caller's own. Whoever trusts it elsewhere trusts this sandbox.
 * Return: 0 or negative errno with @e; *@ret is owned.
 */
int ca_load(struct ca **ret, const char *cert, const char *key, struct err *e);

/** ca_read() - as ca_load(), of one text of PEM that has both. */
int ca_read(struct ca **ret, const char *pem, struct err *e);

/** ca_pem() - append the authority's certificate as text. Return: 0 or -ENOMEM. */
int ca_pem(const struct ca *ca, struct buf *b);

/** ca_certificate() - borrowed. */
X509 *ca_certificate(const struct ca *ca);

/** ca_leaf() - make @ssl speak for @host (canonical name, or an address). Return: 0 or -ENOMEM with @e. */
int ca_leaf(struct ca *ca, SSL *ssl, const char *host, struct err *e);

/** ca_free() - takes NULL. Return: NULL. */
struct ca *ca_free(struct ca *ca);

#endif
