/* SPDX-License-Identifier: Apache-2.0 */
#include "trust.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>

/* Java trusts a certificate of a PKCS#12 store only if this says for what: anyExtendedKeyUsage. */
#define JAVA_TRUSTED "2.16.840.1.113894.746875.1.1"
#define ANY_USAGE "2.5.29.37.0"

/* The @i-th of what is trusted, @ca behind the others; NULL with *ret_end: there are no more. Objects that are no certificates are NULL, too. */
static X509 *nth(const X509_STORE *roots, int i, X509 *ca, bool *ret_end)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(roots);
	int n = sk_X509_OBJECT_num(objects);

	*ret_end = i > n;
	return i < n ? X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i)) : i == n ? ca : NULL;
}

/* Say what Java wants to hear about @bag. */
static bool mark(PKCS12_SAFEBAG *bag, int number)
{
	STACK_OF(X509_ATTRIBUTE) *attributes = NULL;
	ASN1_OBJECT *name = OBJ_txt2obj(JAVA_TRUSTED, 1), *usage = OBJ_txt2obj(ANY_USAGE, 1);
	char alias[32];
	bool ok;

	(void)snprintf(alias, sizeof(alias), "root-%d", number); /* fits */
	ok = PKCS12_add_friendlyname_utf8(bag, alias, -1) == 1 && name && usage;
	if (ok) {
		/* PKCS12_add1_attr_…() make no attribute that is an object */
		attributes = (STACK_OF(X509_ATTRIBUTE) *)(uintptr_t)PKCS12_SAFEBAG_get0_attrs(bag);
		ok = X509at_add1_attr_by_OBJ(&attributes, name, V_ASN1_OBJECT,
					     (const unsigned char *)usage, -1) != NULL;
	}
	ASN1_OBJECT_free(name);
	ASN1_OBJECT_free(usage);
	return ok;
}

static PKCS12 *make_store(const X509_STORE *roots, X509 *ca)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	STACK_OF(PKCS7) *safes = NULL;
	PKCS12 *store = NULL;
	bool ok = true, end = false;
	int i;

	for (i = 0; ok; i++) {
		X509 *x = nth(roots, i, ca, &end);
		PKCS12_SAFEBAG *bag;

		if (end)
			break;
		if (!x)
			continue;
		bag = PKCS12_add_cert(&bags, x);
		ok = bag && mark(bag, i);
	}
	/* not encrypted; the sum is what Java asks for */
	if (ok && PKCS12_add_safe(&safes, bags, -1, 0, NULL))
		store = PKCS12_add_safes(safes, 0);
	/* everybody knows the password, so rounds would keep nobody out: they would only take time at each start */
	if (store && PKCS12_set_mac(store, TRUST_PASSWORD, -1, NULL, 0, 1, EVP_sha256()) != 1) {
		PKCS12_free(store);
		store = NULL;
	}
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	return store;
}

int trust_java(struct json *j, const char *key, X509_STORE *roots, X509 *ca)
{
	PKCS12 *store = make_store(roots, ca);
	unsigned char *der = NULL;
	unsigned char text[TRUST_PIECE + 4];
	int n = store ? i2d_PKCS12(store, &der) : -1, at, piece;

	PKCS12_free(store);
	json_open(j, key, '[');
	/* pieces of whole groups of three bytes, so that the texts can be put together */
	for (at = 0; at < n; at += piece) {
		piece = (int)(TRUST_PIECE / 4 * 3);
		piece = piece < n - at ? piece : n - at;
		(void)EVP_EncodeBlock(text, der + at, piece); /* with a NUL */
		json_str(j, NULL, (const char *)text);
	}
	json_close(j, ']');
	OPENSSL_free(der);
	return n > 0 && !j->out->failed ? 0 : -ENOMEM;
}
