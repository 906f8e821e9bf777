/* SPDX-License-Identifier: Apache-2.0 */
/* What authenticates at a service: at a host with a bound secret nothing of it may hold anything but the sentinel. */
#include <string.h>

#include "inject-own.h"

static const char *const headers[] = {
	"authorization",  "authentication",  "api-key",         "apikey",
	"x-apikey",       "x-api-key",       "x-auth",          "x-auth-key",
	"x-auth-email",   "x-goog-api-key",  "private-token",   "job-token",
	"token",          "x-token",         "x-jwt",           "jwt",
	"signature",      "signature-input", "x-functions-key", "dpop",
	"x-rapidapi-key", "x-session-id",    "cookie2",         "x-amz-s3session-token",
};

static const char *const header_ends[] = {
	"-token",         "-api-key",       "-apikey",           "-secret",
	"-password",      "-authorization", "-credential",       "-credentials",
	"-access-key",    "-auth-key",      "-subscription-key", "-jwt",
	"-jwt-assertion",
};

/* They end like the others, and authenticate nobody. */
static const char *const header_harmless[] = {
	"x-csrf-token",
	"x-xsrf-token",
	"csrf-token",
	"x-amz-client-token",
	"x-continuation-token",
	"x-pagination-token",
	"x-amz-bucket-object-lock-token",
	"idempotency-token",
	"x-idempotency-token",
};

static const char *const query[] = {
	"access_token",
	"accesstoken",
	"api_key",
	"apikey",
	"api-key",
	"x-api-key",
	"auth",
	"auth_token",
	"authtoken",
	"authorization",
	"token",
	"id_token",
	"refresh_token",
	"oauth_token",
	"private_token",
	"job_token",
	"client_secret",
	"client_assertion",
	"password",
	"passwd",
	"secret",
	"jwt",
	"bearer",
	"session_token",
	"sig",
	"signature",
	"awsaccesskeyid",
	"googleaccessid",
	"subscription-key",
	"x-amz-signature",
	"x-amz-credential",
	"x-amz-security-token",
	"x-amz-s3session-token",
	"x-goog-signature",
	"x-goog-credential",
	"x-oss-signature",
	"x-oss-credential",
	"x-oss-security-token",
	"x-authorization",
	"x-goog-api-key",
	"webidentitytoken",
	"samlassertion",
};

static const char *const body[] = {
	"client_secret",
	"client_assertion",
	"assertion",
	"refresh_token",
	"access_token",
	"subject_token",
	"actor_token",
	"id_token",
	"code",
	"device_code",
	"password",
	"token",
	"api_key",
	"apikey",
	"secret",
	"private_key",
	"jwt",
	"auth",
	"webidentitytoken",
	"samlassertion",
	"totp",
	"otp",
	"signature",
	"awsaccesskeyid",
	"x-amz-signature",
	"x-amz-credential",
	"x-amz-security-token",
};

static const char *const cookies[] = {
	"__cf_bm", "_cfuvid",    "cf_clearance", "__cflb",
	"AWSALB",  "AWSALBCORS", "AWSALBTG",     "AWSALBTGCORS",
};

/* Subprotocols by which browsers, which can set no header of a WebSocket, send keys. */
static const char *const protocols[] = {
	"openai-insecure-api-key.",
	"authorization",
	"bearer",
	"base64url.bearer.",
	"access_token",
	"access-token",
	"auth.",
	"auth-",
	"token",
	"api-key",
	"apikey",
	"api_key",
	"jwt",
};

/* The last segments of paths. */
static const char *const token_ends[] = {
	"/token", "/tokens",      "/access_token", "/access_tokens", "/mint-token",
	"/login", "/device/code", "/authorize",    "/-/v1/login",    "/signin",
	"/oauth", "/oauth2",      "/introspect",   "/revoke",
};

static char plain(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c + 32);
	return c;
}

static bool is_joint(char c)
{
	return c == '-' || c == '_' || c == '.' || c == ' ';
}

/*
 * As servers compare names that came through CGI, WSGI or PHP: any case, and "-", "_", "." and blanks are one. A name with an index ("token[]") is
 * the name.
 */
static bool same_name(struct http_slice s, const char *name)
{
	const char *index = s.len ? memchr(s.p, '[', s.len) : NULL;
	size_t i, n = strlen(name);

	s.len = index ? (size_t)(index - s.p) : s.len;
	if (s.len != n)
		return false;
	for (i = 0; i < n; i++) {
		if (plain(s.p[i]) != plain(name[i]) && !(is_joint(s.p[i]) && is_joint(name[i])))
			return false;
	}
	return true;
}

static bool ends(struct http_slice s, const char *name)
{
	size_t n = strlen(name);

	return s.len > n && same_name((struct http_slice){ s.p + s.len - n, n }, name);
}

/* The same, however words are joined: "clientSecret" and "client_secret" are one. */
static bool same_words(struct http_slice s, const char *name)
{
	size_t i = 0;

	for (;; i++, name++) {
		for (; i < s.len && is_joint(s.p[i]); i++)
			;
		for (; is_joint(*name); name++)
			;
		if (i == s.len || !*name)
			return i == s.len && !*name;
		if (plain(s.p[i]) != plain(*name))
			return false;
	}
}

static bool one_of(struct http_slice s, const char *const *v, size_t n)
{
	size_t i;

	for (i = 0; i < n && v[i]; i++) {
		if (same_name(s, v[i]))
			return true;
	}
	return false;
}

bool carrier_header(const struct inject_secret *s, struct http_slice name)
{
	size_t i;

	for (i = 0; i < s->n_ways; i++) {
		if (s->ways[i].carrier == SECRET_HEADER && same_name(name, s->ways[i].field))
			return true;
	}
	if (s->service && one_of(name, s->service->headers, ARRAY_SIZE(s->service->headers)))
		return true;
	if (one_of(name, header_harmless, ARRAY_SIZE(header_harmless)))
		return false;
	if (one_of(name, headers, ARRAY_SIZE(headers)))
		return true;
	for (i = 0; i < ARRAY_SIZE(header_ends); i++) {
		if (ends(name, header_ends[i]))
			return true;
	}
	return false;
}

/* Google takes $key for key, and has names with "$." in front. */
static struct http_slice without_dollar(const char *name)
{
	name += *name == '$' ? 1 + (name[1] == '.') : 0;
	return http_slice(name);
}

bool carrier_upload(const struct inject_secret *s, const char *name)
{
	return s->service && s->service->upload &&
	       same_name(without_dollar(name), s->service->upload);
}

bool carrier_query(const struct inject_secret *s, const char *name)
{
	const struct http_slice n = without_dollar(name);
	size_t i;

	for (i = 0; i < s->n_ways; i++) {
		if (s->ways[i].carrier == SECRET_QUERY && same_name(n, s->ways[i].field))
			return true;
	}
	if (s->service && one_of(n, s->service->query, ARRAY_SIZE(s->service->query)))
		return true;
	for (i = 0; i < ARRAY_SIZE(query); i++) {
		if (same_name(n, query[i]) || same_words(n, query[i]))
			return true;
	}
	return false;
}

/* A form's field may be one of something: "user[password]", "token[]". */
bool carrier_body(const char *name)
{
	struct http_slice part;
	size_t i;

	for (; *name; name = part.p + part.len + (part.p[part.len] != '\0')) {
		part = (struct http_slice){ name, strcspn(name, "[]") };
		for (i = 0; i < ARRAY_SIZE(body); i++) {
			if (same_words(part, body[i]))
				return true;
		}
	}
	return false;
}

bool carrier_cookie_harmless(struct http_slice value, const char *sentinel)
{
	while (value.len > 0) {
		struct http_slice one = { value.p, 0 };
		const char *equals;
		size_t i;

		/* some servers divide at commas, too */
		while (one.len < value.len && one.p[one.len] != ';' && one.p[one.len] != ',')
			one.len++;
		value.p += one.len + (one.len < value.len);
		value.len -= one.len + (one.len < value.len);
		if (sentinel && memmem(one.p, one.len, sentinel, strlen(sentinel)))
			continue;
		for (; one.len > 0 && *one.p == ' '; one.len--)
			one.p++;
		equals = one.len ? memchr(one.p, '=', one.len) : NULL;
		one.len = equals ? (size_t)(equals - one.p) : one.len;
		if (one.len == 0 && !equals)
			continue;
		for (i = 0; i < ARRAY_SIZE(cookies) && !slice_is(one, cookies[i]); i++)
			;
		if (i == ARRAY_SIZE(cookies))
			return false;
	}
	return true;
}

bool carrier_protocol(const struct inject_secret *s, struct http_slice item, bool behind_bearer)
{
	size_t i;

	if (behind_bearer || item.len > 48)
		return true;
	for (i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (slice_begins(item, protocols[i]))
			return true;
	}
	for (i = 0; s->service && i < ARRAY_SIZE(s->service->protocols) && s->service->protocols[i];
	     i++) {
		if (slice_begins(item, s->service->protocols[i]))
			return true;
	}
	return false;
}

/* As servers may read it: without parameters (";x"), empty and dot segments, and an extension of the last one. */
static size_t plain_path(const char *path, char *out)
{
	const char *s = path, *stop;
	size_t n = 0, len;

	for (; *s; s = stop) {
		for (; *s == '/'; s++)
			;
		stop = s + strcspn(s, "/");
		len = strcspn(s, ";/");
		if (len == 2 && s[0] == '.' && s[1] == '.') {
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && s[0] == '.')) {
			out[n++] = '/';
			memcpy(out + n, s, len);
			n += len;
		}
	}
	for (len = n; len > 0 && out[len - 1] != '/' && out[len - 1] != '.'; len--)
		;
	if (len > 1 && out[len - 1] == '.' && out[len - 2] != '/')
		n = len - 1;
	out[n] = '\0';
	return n;
}

bool carrier_token_path(const char *sent)
{
	char path[CARRIER_PATH + 1];
	size_t i, n = strlen(sent) < CARRIER_PATH ? plain_path(sent, path) : 0;

	if (n == 0)
		return false;
	for (i = 0; i < ARRAY_SIZE(token_ends); i++) {
		size_t k = strlen(token_ends[i]);

		if (n >= k && memcmp(path + n - k, token_ends[i], k) == 0)
			return true;
	}
	/* npm's log-in is a PUT of the user's own document */
	return strstr(path, "/-/user/") || strstr(path, "/oauth/") || strstr(path, "/oauth2/");
}

bool carrier_path_is(const char *sent, const char *want)
{
	char path[CARRIER_PATH + 1], other[CARRIER_PATH + 1];

	if (strlen(sent) >= CARRIER_PATH || strlen(want) >= CARRIER_PATH)
		return false;
	(void)plain_path(sent, path);
	(void)plain_path(want, other);
	return strcmp(path, other) == 0;
}
