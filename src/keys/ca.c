/* SPDX-License-Identifier: Apache-2.0 */
#include "ca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/policy.h"

#define HOUR 3600L
#define DAY (24 * HOUR)
#define CA_SECONDS (366 * DAY) /* this process is the authority's life; a machine may sleep in it */
#define LEAF_SECONDS (30 * DAY)
#define PEM_MAX (256 << 10)
#define NAME_MAX_CN 64u /* X.520 */

struct leaf {
	char host[NET_HOST_MAX + 1];
	X509 *cert;
	time_t until;
	uint64_t used;
};

struct ca {
	EVP_PKEY *key, *leaf_key;
	X509 *cert;
	struct leaf leaves[CA_LEAVES];
	size_t n;
	uint64_t uses;
};

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "certificates: OpenSSL is out of memory");
}

static bool serial(X509 *x)
{
	BIGNUM *bn = BN_new();
	bool ok = bn && BN_rand(bn, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
		  BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));

	BN_free(bn);
	return ok;
}

static bool extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

/* A certificate for @key that is valid from an hour ago, since clocks differ. */
static X509 *blank(EVP_PKEY *key, const char *cn, long seconds)
{
	X509 *x = X509_new();
	X509_NAME *name = x ? X509_get_subject_name(x) : NULL;

	if (name && X509_set_version(x, X509_VERSION_3) && serial(x) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -HOUR) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), seconds) && X509_set_pubkey(x, key) &&
	    (!cn || X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn,
					       -1, -1, 0)))
		return x;
	X509_free(x);
	return NULL;
}

static X509 *make_ca(EVP_PKEY *key, const char *id)
{
	char cn[NAME_MAX_CN + 1];
	X509 *x;

	(void)snprintf(cn, sizeof(cn), "bailey sandbox %s", id); /* cut where it is long */
	x = blank(key, cn, CA_SECONDS);
	if (x && X509_set_issuer_name(x, X509_get_subject_name(x)) &&
	    extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    extension(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()))
		return x;
	X509_free(x);
	return NULL;
}

static X509 *make_leaf(const struct ca *ca, const char *host)
{
	char san[NET_HOST_MAX + 32];
	struct net_addr addr;
	bool is_addr = net_addr_parse(&addr, host, strlen(host));
	X509 *x = blank(ca->leaf_key, strlen(host) <= NAME_MAX_CN ? host : NULL, LEAF_SECONDS);

	(void)snprintf(san, sizeof(san), "critical,%s:%s", is_addr ? "IP" : "DNS", host); /* fits */
	if (x && X509_set_issuer_name(x, X509_get_subject_name(ca->cert)) &&
	    extension(x, ca->cert, NID_subject_alt_name,
		      strlen(host) <= NAME_MAX_CN ? san + strlen("critical,") : san) &&
	    extension(x, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
	    extension(x, ca->cert, NID_key_usage, "critical,digitalSignature") &&
	    extension(x, ca->cert, NID_ext_key_usage, "serverAuth") &&
	    extension(x, ca->cert, NID_authority_key_identifier, "keyid") &&
	    X509_sign(x, ca->key, EVP_sha256()))
		return x;
	X509_free(x);
	return NULL;
}

int ca_new(struct ca **ret, const char *id, struct err *e)
{
	struct ca *ca = calloc(1, sizeof(*ca));

	if (ca) {
		ca->key = EVP_EC_gen("P-256");
		ca->leaf_key = EVP_EC_gen("P-256");
	}
	if (ca && ca->key && ca->leaf_key)
		ca->cert = make_ca(ca->key, id);
	if (!ca || !ca->cert) {
		ca_free(ca);
		return no_memory(e);
	}
	*ret = ca;
	return 0;
}

static BIO *open_pem(const char *path, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	BIO *bio;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		(void)err_set(e, ERR_POLICY, r, "%.300s: %s", path, strerror(-r));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX) {
		(void)err_set(e, ERR_POLICY, -EINVAL, "%.300s: no file of PEM", path);
		return NULL;
	}
	bio = BIO_new_fd(fd, BIO_CLOSE);
	if (!bio) {
		(void)no_memory(e);
		return NULL;
	}
	(void)TAKE_FD(fd);
	return bio;
}

static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1; /* nobody is asked for one */
}

/* Return: NULL, or why leaves of this authority would be trusted by nobody. */
static const char *unfit(X509 *cert, EVP_PKEY *key)
{
	if (X509_check_private_key(cert, key) != 1)
		return "the key is not that of the certificate";
	if (X509_check_ca(cert) != 1 || !(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN))
		return "the certificate is of no authority";
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		return "the certificate is not valid yet";
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return "the certificate has expired";
	return NULL;
}

/* Takes both, which may be NULL: then @e says why. @cert, @key: what they are, for messages */
static int take(struct ca **ret, BIO *c, BIO *k, const char *cert, const char *key, struct err *e)
{
	struct ca *ca = calloc(1, sizeof(*ca));
	const char *why = NULL;
	int r = c && k ? 0 : -EINVAL;

	if (r == 0 && ca) {
		ca->cert = PEM_read_bio_X509(c, NULL, no_password, NULL);
		ca->key = PEM_read_bio_PrivateKey(k, NULL, no_password, NULL);
		ca->leaf_key = EVP_EC_gen("P-256");
		why = ca->cert && ca->key ? unfit(ca->cert, ca->key) : NULL;
	}
	(void)BIO_free(c);
	(void)BIO_free(k);
	if (r == 0 && ca && !ca->cert)
		r = err_set(e, ERR_POLICY, -EINVAL, "%.300s: no certificate in PEM", cert);
	else if (r == 0 && ca && !ca->key)
		r = err_set(e, ERR_POLICY, -EINVAL,
			    "%.300s: no private key in PEM without a password", key);
	else if (r == 0 && why)
		r = err_set(e, ERR_POLICY, -EINVAL, "%.300s: %s", cert, why);
	else if (r == 0 && (!ca || !ca->leaf_key))
		r = no_memory(e);
	if (r < 0) {
		(void)ca_free(ca);
		return r;
	}
	*ret = ca;
	return 0;
}

int ca_load(struct ca **ret, const char *cert, const char *key, struct err *e)
{
	BIO *c = open_pem(cert, e), *k = c ? open_pem(key, e) : NULL;

	return take(ret, c, k, cert, key, e);
}

int ca_read(struct ca **ret, const char *pem, struct err *e)
{
	BIO *c = BIO_new_mem_buf(pem, -1), *k = BIO_new_mem_buf(pem, -1);

	if (!c || !k)
		(void)no_memory(e);
	return take(ret, c, k, "the authority", "the authority", e);
}

int ca_pem(const struct ca *ca, struct buf *b)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n = 0;

	if (bio && PEM_write_bio_X509(bio, ca->cert))
		n = BIO_get_mem_data(bio, &p);
	if (n > 0)
		buf_add(b, p, (size_t)n);
	BIO_free(bio);
	return n > 0 && !b->failed ? 0 : -ENOMEM;
}

X509 *ca_certificate(const struct ca *ca)
{
	return ca->cert;
}

/* The place of @host: its own, a free one, or the one that was not used for longest. */
static struct leaf *place(struct ca *ca, const char *host)
{
	struct leaf *oldest = &ca->leaves[0];
	size_t i;

	for (i = 0; i < ca->n; i++) {
		if (strcmp(ca->leaves[i].host, host) == 0)
			return &ca->leaves[i];
		if (ca->leaves[i].used < oldest->used)
			oldest = &ca->leaves[i];
	}
	return ca->n < CA_LEAVES ? &ca->leaves[ca->n++] : oldest;
}

int ca_leaf(struct ca *ca, SSL *ssl, const char *host, struct err *e)
{
	struct leaf *l = place(ca, host);
	time_t now = time(NULL);

	if (strcmp(l->host, host) != 0 || now >= l->until) {
		X509_free(l->cert);
		l->cert = make_leaf(ca, host);
		(void)snprintf(l->host, sizeof(l->host), "%s", host); /* canonical: fits */
		l->until = now + LEAF_SECONDS - DAY;
	}
	l->used = ++ca->uses;
	if (!l->cert) {
		l->host[0] = '\0';
		return no_memory(e);
	}
	if (SSL_use_certificate(ssl, l->cert) != 1 || SSL_use_PrivateKey(ssl, ca->leaf_key) != 1)
		return no_memory(e);
	return 0;
}

struct ca *ca_free(struct ca *ca)
{
	size_t i;

	if (!ca)
		return NULL;
	for (i = 0; i < ca->n; i++)
		X509_free(ca->leaves[i].cert);
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	EVP_PKEY_free(ca->leaf_key);
	free(ca);
	return NULL;
}
