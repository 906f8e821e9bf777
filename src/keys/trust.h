/* SPDX-License-Identifier: Apache-2.0 */
/* What Java in the sandbox is to trust: the host's roots, those that were added, and the sandbox's authority. For other programs the launcher puts the authority behind the host's file. */
#ifndef BAILEY_KEYS_TRUST_H
#define BAILEY_KEYS_TRUST_H

#include <openssl/x509.h>

#include "util/util.h"

#define TRUST_PIECE 30000u /* bytes of a text: a reader of policy files takes no longer ones */
#define TRUST_PASSWORD \
	"changeit" /* of the store for Java, whose own has it, too; it protects nothing, since nothing in it is secret */

/** trust_java() - append a member @key: a list of pieces of a PKCS#12 store in base64, whose password is TRUST_PASSWORD. Return: 0 or -ENOMEM. */
int trust_java(struct json *j, const char *key, X509_STORE *roots, X509 *ca);

#endif
