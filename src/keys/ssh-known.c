/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh-known.h"

#include <errno.h>
#include <string.h>

static int digit(char c)
{
	static const char all[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(all, c) : NULL;

	return at ? (int)(at - all) : -1;
}

ssize_t ssh_base64(const char *p, size_t n, uint8_t *out, size_t max)
{
	size_t i, k, len = 0, pad;

	if (n % 4 != 0)
		return -EBADMSG;
	for (i = 0; i < n; i += 4) {
		unsigned int v = 0;

		pad = i + 4 < n || p[i + 3] != '=' ? 0 : p[i + 2] == '=' ? 2 : 1;
		for (k = 0; k < 4; k++) {
			int d = k + pad < 4 ? digit(p[i + k]) : 0;

			if (d < 0)
				return -EBADMSG;
			v = v << 6 | (unsigned int)d;
		}
		for (k = 0; k < 3 - pad; k++) {
			if (len == max)
				return -EBADMSG;
			out[len++] = (uint8_t)(v >> (16 - 8 * k));
		}
		if (pad > 0 && (v & (pad == 1 ? 0xffu : 0xffffu)))
			return -EBADMSG; /* bits that say nothing are zero */
	}
	return (ssize_t)len;
}

/* The next word of the line; they are divided by blanks. */
static struct ssh_bytes word(const char **p, const char *end)
{
	const char *from;

	while (*p < end && (**p == ' ' || **p == '\t'))
		(*p)++;
	for (from = *p; *p < end && **p != ' ' && **p != '\t'; (*p)++)
		;
	return (struct ssh_bytes){ (const uint8_t *)from, (size_t)(*p - from) };
}

int ssh_known_parse(struct ssh_known *ret, const char *line, size_t n)
{
	const char *p = line, *end = line + n;
	struct ssh_bytes w, blob;
	char type[SSH_TYPE_MAX];
	ssize_t len;

	while (end > p && (end[-1] == '\r' || end[-1] == '\n'))
		end--;
	if (memchr(p, '\0', (size_t)(end - p)))
		return 0;
	w = word(&p, end);
	if (w.n == 0 || *w.p == '#')
		return 0;
	ret->marker = SSH_KNOWN_HOST;
	if (*w.p == '@') {
		if (ssh_is(w, "@revoked"))
			ret->marker = SSH_KNOWN_REVOKED;
		else if (ssh_is(w, "@cert-authority"))
			ret->marker = SSH_KNOWN_AUTHORITY;
		else
			return 0;
		w = word(&p, end);
	}
	ret->hosts = (const char *)w.p;
	ret->n_hosts = w.n;
	w = word(&p, end);
	blob = word(&p, end);
	len = w.n == 0 || blob.n == 0 ?
		      -EBADMSG :
		      ssh_base64((const char *)blob.p, blob.n, ret->blob, sizeof(ret->blob));
	if (len <= 0)
		return 0;
	ret->n_blob = (size_t)len;
	/* what the line says the key is, is what the key says */
	if (ssh_key_type((struct ssh_bytes){ ret->blob, ret->n_blob }, type) < 0 ||
	    !ssh_is(w, type))
		return 0;
	memcpy(ret->type, type, sizeof(type));
	return 1;
}

static char lower(char c)
{
	if (c < 'A' || c > 'Z')
		return c;
	return (char)(c - 'A' + 'a');
}

/* '*' and '?'. After a '*' that did not fit the last one is tried at the next place, so it ends after @n times the name's length. */
static bool fits(const char *p, size_t n, const char *name)
{
	size_t i = 0, star = n, k = 0, from = 0;
	const size_t len = strlen(name);

	while (k < len) {
		if (i < n && p[i] == '*') {
			star = i++;
			from = k;
		} else if (i < n && (p[i] == '?' || lower(p[i]) == name[k])) {
			i++;
			k++;
		} else if (star < n) {
			i = star + 1;
			k = ++from;
		} else {
			return false;
		}
	}
	while (i < n && p[i] == '*')
		i++;
	return i == n;
}

/* "|1|SALT|HASH" */
static bool hashed_fits(const char *p, size_t n, const char *name, ssh_hashed_fn *hashed)
{
	uint8_t salt[64], hash[64];
	const char *bar = n > 3 ? memchr(p + 3, '|', n - 3) : NULL;
	ssize_t a, b;

	if (!bar || memcmp(p, "|1|", 3) != 0)
		return false;
	a = ssh_base64(p + 3, (size_t)(bar - p - 3), salt, sizeof(salt));
	b = ssh_base64(bar + 1, (size_t)(p + n - bar - 1), hash, sizeof(hash));
	return a > 0 && b > 0 && hashed(salt, (size_t)a, hash, (size_t)b, name);
}

bool ssh_known_names(const struct ssh_known *k, const char *name, ssh_hashed_fn *hashed)
{
	const char *p = k->hosts, *end = k->hosts + k->n_hosts;
	bool yes = false;

	if (k->n_hosts > 0 && *p == '|')
		return hashed_fits(p, k->n_hosts, name, hashed);
	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *next = comma ? comma : end;
		const size_t n = (size_t)(next - p);
		const bool not = n > 0 && *p == '!';

		if (fits(p + not, n - not, name)) {
			if (not )
				return false;
			yes = true;
		}
		p = comma ? comma + 1 : end;
	}
	return yes;
}

const char *ssh_known_plain(const struct ssh_known *k, char *out, size_t size)
{
	const void *comma = memchr(k->hosts, ',', k->n_hosts);
	const size_t n = comma ? (size_t)((const char *)comma - k->hosts) : k->n_hosts;
	size_t i;

	if (n == 0 || n >= size)
		return NULL;
	for (i = 0; i < n; i++) {
		if (k->hosts[i] <= ' ' || k->hosts[i] >= 0x7f || strchr("|*?!", k->hosts[i]))
			return NULL;
		out[i] = lower(k->hosts[i]);
	}
	out[n] = '\0';
	return out;
}
