/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that are made for a request, and read of one. */
#include <errno.h>
#include <string.h>

#include "inject-own.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

#define PAD 64u /* the "=" of them */

char *inject_own(struct inject *i, size_t n, struct err *e)
{
	char *p;

	if (i->n_owned == INJECT_OWNED) {
		(void)err_set(e, ERR_USAGE, -E2BIG, "the request has too many secrets in it");
		return NULL;
	}
	/* the length stands in front, so that all of it is erased */
	p = calloc(1, sizeof(size_t) + n + 1);
	if (!p) {
		(void)err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		return NULL;
	}
	memcpy(p, &n, sizeof(n));
	i->owned[i->n_owned++] = p;
	return p + sizeof(size_t);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool inject_decode(struct http_slice s, char *out, size_t size)
{
	size_t k, n = 0;

	for (k = 0; k < s.len; k++) {
		char c = s.p[k];

		if (n + 1 >= size)
			return false;
		if (c == '%' && k + 2 < s.len && hex_value(s.p[k + 1]) >= 0 &&
		    hex_value(s.p[k + 2]) >= 0) {
			c = (char)(hex_value(s.p[k + 1]) * 16 + hex_value(s.p[k + 2]));
			k += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (!c)
			return false;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
}

bool inject_name(struct http_slice s, char *out, size_t size, bool *ret_nul)
{
	while (s.len > 0 && (*s.p == '+' || *s.p == ' ' || (s.len > 2 && !memcmp(s.p, "%20", 3)))) {
		size_t n = *s.p == '%' ? 3 : 1;

		s.p += n;
		s.len -= n;
	}
	*ret_nul = s.len > 0 && (memmem(s.p, s.len, "%00", 3) || memchr(s.p, '\0', s.len));
	return inject_decode(s, out, size);
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64, c) : NULL;

	return at && *at != '=' ? (int)(at - base64) : -1;
}

int inject_basic(struct inject *i, struct http_slice coded, char **ret_user, char **ret_pass,
		 struct err *e)
{
	unsigned int bits = 0, n_bits = 0;
	char *text, *colon;
	size_t k, n = 0;

	*ret_user = *ret_pass = NULL;
	while (coded.len > 0 && coded.p[coded.len - 1] == '=')
		coded.len--;
	text = inject_own(i, coded.len, e);
	if (!text)
		return -ENOMEM;
	for (k = 0; k < coded.len; k++) {
		int v = base64_value(coded.p[k]);

		if (v < 0)
			return 0;
		bits = bits << 6 | (unsigned int)v;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			text[n] = (char)(bits >> n_bits & 255u);
			if (!text[n++])
				return 0;
		}
	}
	text[n] = '\0';
	colon = strchr(text, ':');
	if (!colon)
		return 0;
	*colon = '\0';
	*ret_user = text;
	*ret_pass = colon + 1;
	return 0;
}

char *inject_basic_text(struct inject *i, const char *user, const char *pass, struct err *e)
{
	size_t n = strlen(user) + 1 + strlen(pass), k, o = 6;
	unsigned char *plain = (unsigned char *)inject_own(i, n, e);
	char *out = plain ? inject_own(i, 6 + (n + 2) / 3 * 4, e) : NULL;

	if (!plain || !out)
		return NULL;
	memcpy(plain, user, strlen(user));
	plain[strlen(user)] = ':';
	memcpy(plain + strlen(user) + 1, pass, strlen(pass));
	memcpy(out, "Basic ", 6);
	for (k = 0; k < n; k += 3) {
		unsigned int v = (unsigned int)plain[k] << 16 |
				 (k + 1 < n ? (unsigned int)plain[k + 1] << 8 : 0) |
				 (k + 2 < n ? plain[k + 2] : 0u);

		out[o++] = base64[v >> 18];
		out[o++] = base64[v >> 12 & 63u];
		out[o++] = base64[k + 1 < n ? v >> 6 & 63u : PAD];
		out[o++] = base64[k + 2 < n ? v & 63u : PAD];
	}
	return out;
}
