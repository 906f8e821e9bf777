/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh-verify.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <string.h>

#define RSA_MIN_BITS 1024 /* as OpenSSH; that a key is trusted is what known_hosts says */
#define RSA_MAX_BITS 16384

bool ssh_hash(struct ssh_bytes b, uint8_t ret[SSH_HASH])
{
	unsigned int n = 0;

	return EVP_Digest(b.p, b.n, ret, &n, EVP_sha256(), NULL) == 1 && n == SSH_HASH;
}

const char *ssh_fingerprint(struct ssh_bytes blob, char out[SSH_PRINT_MAX])
{
	static const char prefix[] = "SHA256:";
	unsigned char hash[SSH_HASH], text[SSH_PRINT_MAX];

	if (!ssh_hash(blob, hash)) {
		out[0] = '\0';
		return out;
	}
	(void)EVP_EncodeBlock(text, hash, SSH_HASH); /* 44 letters, of which the last is padding */
	memcpy(out, prefix, sizeof(prefix) - 1);
	memcpy(out + sizeof(prefix) - 1, text, 43);
	out[sizeof(prefix) - 1 + 43] = '\0';
	return out;
}

bool ssh_hashed_name(const uint8_t *salt, size_t n_salt, const uint8_t *hash, size_t n_hash,
		     const char *name)
{
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	return HMAC(EVP_sha1(), salt, (int)n_salt, (const unsigned char *)name, strlen(name), out,
		    &n) &&
	       n == n_hash && memcmp(out, hash, n) == 0;
}

/* --- keys --- */

static EVP_PKEY *from_params(const char *kind, const OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, kind, NULL) : NULL;
	EVP_PKEY *key = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *read_ed25519(struct ssh_cursor *c)
{
	const struct ssh_bytes k = ssh_take_string(c);

	return k.n == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k.p, k.n) : NULL;
}

/* The name of the curve stands there twice, and they are the same. A point that is not on it is no key. */
static EVP_PKEY *read_ec(struct ssh_cursor *c, const char *curve, const char *group)
{
	const struct ssh_bytes name = ssh_take_string(c), point = ssh_take_string(c);
	OSSL_PARAM params[3];

	if (!ssh_is(name, curve) || point.n == 0 || point.n > 256)
		return NULL;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
						     (char *)(uintptr_t)group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
						      (void *)(uintptr_t)point.p, point.n);
	params[2] = OSSL_PARAM_construct_end();
	return from_params("EC", params);
}

/* A number of RFC 4251 that is not negative. */
static BIGNUM *read_number(struct ssh_bytes b, size_t max_bits)
{
	if (b.n == 0 || b.n > max_bits / 8 + 1 || (b.p[0] & 0x80))
		return NULL;
	return BN_bin2bn(b.p, (int)b.n, NULL);
}

static EVP_PKEY *read_rsa(struct ssh_cursor *c)
{
	BIGNUM *e = read_number(ssh_take_string(c), RSA_MAX_BITS);
	BIGNUM *n = read_number(ssh_take_string(c), RSA_MAX_BITS);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (e && n && build && BN_num_bits(n) >= RSA_MIN_BITS && BN_is_odd(n) && BN_is_odd(e) &&
	    BN_num_bits(e) <= 64 && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		params = OSSL_PARAM_BLD_to_param(build);
	if (params)
		key = from_params("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_free(e);
	BN_free(n);
	return key;
}

/* --- signatures --- */

static int check(EVP_PKEY *key, const EVP_MD *md, struct ssh_bytes sig, struct ssh_bytes data)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = -ENOMEM;

	if (ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1)
		r = EVP_DigestVerify(ctx, sig.p, sig.n, data.p, data.n) == 1 ? 0 : -EKEYREJECTED;
	EVP_MD_CTX_free(ctx);
	return r;
}

/* ssh has two numbers where OpenSSL has DER. */
static int check_ec(EVP_PKEY *key, const EVP_MD *md, struct ssh_bytes sig, struct ssh_bytes data)
{
	struct ssh_cursor c = { .p = sig.p, .n = sig.n };
	BIGNUM *r = read_number(ssh_take_string(&c), 521),
	       *s = read_number(ssh_take_string(&c), 521);
	ECDSA_SIG *pair = ECDSA_SIG_new();
	unsigned char *der = NULL;
	int n = -1, result = -EBADMSG;

	if (r && s && pair && !c.bad && c.n == 0 && ECDSA_SIG_set0(pair, r, s) == 1) {
		r = s = NULL; /* the pair's now */
		n = i2d_ECDSA_SIG(pair, &der);
	}
	if (n > 0)
		result = check(key, md, (struct ssh_bytes){ der, (size_t)n }, data);
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	BN_free(r);
	BN_free(s);
	return result;
}

static const struct curve {
	const char *type, *name, *group;
	const EVP_MD *(*md)(void);
} curves[] = { { "ecdsa-sha2-nistp256", "nistp256", "P-256", EVP_sha256 },
	       { "ecdsa-sha2-nistp384", "nistp384", "P-384", EVP_sha384 },
	       { "ecdsa-sha2-nistp521", "nistp521", "P-521", EVP_sha512 } };

static int verify_ec(struct ssh_cursor *c, const struct curve *curve, struct ssh_bytes algorithm,
		     struct ssh_bytes sig, struct ssh_bytes data)
{
	EVP_PKEY *key =
		ssh_is(algorithm, curve->type) ? read_ec(c, curve->name, curve->group) : NULL;
	int r = key && !c->bad && c->n == 0 ? check_ec(key, curve->md(), sig, data) : -EBADMSG;

	EVP_PKEY_free(key);
	return r;
}

static int verify_other(struct ssh_cursor *c, bool rsa, struct ssh_bytes algorithm,
			struct ssh_bytes sig, struct ssh_bytes data)
{
	const EVP_MD *md = NULL;
	EVP_PKEY *key;
	int r;

	if (rsa && ssh_is(algorithm, "rsa-sha2-256"))
		md = EVP_sha256();
	else if (rsa && ssh_is(algorithm, "rsa-sha2-512"))
		md = EVP_sha512();
	else if (rsa || !ssh_is(algorithm, "ssh-ed25519"))
		return -EBADMSG;
	key = rsa ? read_rsa(c) : read_ed25519(c);
	r = key && !c->bad && c->n == 0 ? check(key, md, sig, data) : -EBADMSG;
	EVP_PKEY_free(key);
	return r;
}

int ssh_verify(struct ssh_bytes key, struct ssh_bytes signature, struct ssh_bytes data)
{
	struct ssh_cursor c = { .p = key.p, .n = key.n },
			  s = { .p = signature.p, .n = signature.n };
	const struct ssh_bytes type = ssh_take_string(&c), algorithm = ssh_take_string(&s),
			       sig = ssh_take_string(&s);
	const bool rsa = ssh_is(type, "ssh-rsa");
	int r = -ENOTSUP;
	size_t i;

	if (c.bad || s.bad || s.n > 0)
		return -EBADMSG;
	ERR_clear_error();
	for (i = 0; i < ARRAY_SIZE(curves) && !ssh_is(type, curves[i].type); i++)
		;
	if (i < ARRAY_SIZE(curves))
		r = verify_ec(&c, &curves[i], algorithm, sig, data);
	else if (rsa || ssh_is(type, "ssh-ed25519"))
		r = verify_other(&c, rsa, algorithm, sig, data);
	ERR_clear_error();
	return r;
}
