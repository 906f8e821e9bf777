/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads that go on in a request of their own. Who knows the URL that a service has given for one needs no key: one that somebody else has begun would take what the sandbox sends
 * to that somebody. So the URLs that came in answers to this sandbox's own requests are remembered, by a hash of what is secret in them.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "inject-own.h"

static bool hash(struct http_slice value, unsigned char ret[INJECT_UPLOAD_HASH])
{
	return EVP_Digest(value.p, value.len, ret, NULL, EVP_sha256(), NULL) == 1;
}

/* The value of that field in the query of @url; p NULL: there is none. */
static struct http_slice field_of(struct http_slice url, const char *name)
{
	const char *end = url.p + url.len, *at = memchr(url.p, '?', url.len), *stop;
	const size_t n = strlen(name);

	for (; at && at < end; at = stop) {
		at++;
		for (stop = at; stop < end && *stop != '&' && *stop != '#'; stop++)
			;
		if ((size_t)(stop - at) > n && memcmp(at, name, n) == 0 && at[n] == '=')
			return (struct http_slice){ at + n + 1, (size_t)(stop - at) - n - 1 };
		if (stop < end && *stop == '#')
			break;
	}
	return (struct http_slice){ NULL, 0 };
}

void inject_upload(const struct inject *i, struct inject_uploads *u, struct http_slice name,
		   struct http_slice value)
{
	struct http_slice id;
	size_t k;

	if (!i->secret || !(http_is(name, "x-goog-upload-url") || http_is(name, "location")))
		return;
	for (k = 0; k < i->n_secrets; k++) {
		const struct inject_secret *s = &i->secrets[k];

		if (!s->service || !s->service->upload || !inject_applies(s, i->q.host))
			continue;
		id = field_of(value, s->service->upload);
		if (id.len > 0 && hash(id, u->v[u->n % INJECT_UPLOADS]))
			u->n++;
	}
}

bool inject_upload_begun(const struct inject_uploads *u, struct http_slice value)
{
	unsigned char h[INJECT_UPLOAD_HASH];
	size_t i, n;

	if (!u || !hash(value, h))
		return false;
	n = u->n < INJECT_UPLOADS ? u->n : INJECT_UPLOADS;
	for (i = 0; i < n && memcmp(u->v[i], h, sizeof(h)) != 0; i++)
		;
	return i < n;
}
