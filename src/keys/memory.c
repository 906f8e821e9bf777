/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's memory: erased when it is freed. */
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"
#include "util/util.h"

#define SECURE_HEAP (512u << 10)

static void *ossl_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(n);
}

static void ossl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *ossl_realloc(void *p, size_t n, const char *file, int line)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *to;

	if (n == 0) {
		ossl_free(p, file, line);
		return NULL;
	}
	if (p && old >= n)
		return p;
	to = malloc(n);
	if (to && old > 0)
		memcpy(to, p, old);
	if (to)
		ossl_free(p, file, line);
	return to;
}

void keys_erase(void)
{
	/* can only fail when something was allocated before */
	(void)CRYPTO_set_mem_functions(ossl_malloc, ossl_realloc, ossl_free);
	/* locked where RLIMIT_MEMLOCK allows, never in a core; without it keys lie in ordinary memory */
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, 32);
}
