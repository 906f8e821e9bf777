/* SPDX-License-Identifier: Apache-2.0 */
/* What the sandbox sees in place of a secret: 160 bits that mean nothing anywhere else. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "record.h"

#define MARK "bailey-secret-"
#define LETTERS 32u
#define AWS_LETTERS 26u    /* a secret access key has 40 characters … */
#define AWS_ID_LETTERS 10u /* … and its id 20: AKIABAILEY and these */

static int letters(char *out, size_t n, char first, struct err *e)
{
	unsigned char random[LETTERS];
	size_t i;

	if (getrandom(random, n, 0) != (ssize_t)n)
		return err_sys(e, -errno, "random numbers");
	for (i = 0; i < n; i++) {
		unsigned int v = random[i] & 31u;

		out[i] = (char)(v < 26 ? (unsigned int)first + v : '2' + v - 26);
	}
	out[n] = '\0';
	return 0;
}

int sentinel_make(struct secret_sentinel *ret, const struct secret *s, struct err *e)
{
	const struct secret_service *service = s->service ? secret_service(s->service) : NULL;
	struct secret_sentinel made = { .id = "" };
	char text[LETTERS + 1], id[AWS_ID_LETTERS + 1];
	bool aws = s->carrier == SECRET_AWS;
	int r = letters(text, aws ? AWS_LETTERS : LETTERS, 'a', e);

	if (r == 0 && aws)
		r = letters(id, AWS_ID_LETTERS, 'A', e);
	if (r < 0)
		return r;
	/* both fit: prefixes are those of the table */
	(void)snprintf(made.value, sizeof(made.value), "%s" MARK "%s",
		       service ? service->prefix : "", text);
	if (aws)
		(void)snprintf(made.id, sizeof(made.id), "AKIABAILEY%s", id);
	*ret = made;
	return 0;
}

/* Of a JWT: what stands before its signature, which alone makes it one. 0: it is none. */
static size_t jwt_head(const char *value)
{
	const char *first = strchr(value, '.'), *second = first ? strchr(first + 1, '.') : NULL;

	if (strncmp(value, "eyJ", 3) != 0 || !second || strchr(second + 1, '.') ||
	    strlen(second + 1) < LETTERS)
		return 0;
	return (size_t)(second + 1 - value);
}

/* What programs look for in front of a token. */
static size_t known_head(const char *value)
{
	static const char *const heads[] = { "sk-ant-oat01-",
					     "sk-ant-ort01-",
					     "sk-ant-api03-",
					     "github_pat_",
					     "gho_",
					     "ghu_",
					     "ghr_",
					     "ghs_",
					     "ghp_",
					     "ya29.",
					     "1//",
					     "rt_",
					     "sk-" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		if (strncmp(value, heads[i], strlen(heads[i])) == 0)
			return strlen(heads[i]);
	}
	return 0;
}

int sentinel_token(char *ret, const char *value, struct err *e)
{
	const size_t least = strlen(MARK) + LETTERS, n = strlen(value);
	size_t head = jwt_head(value), len, at;
	int r = 0;

	head = head ? head : known_head(value);
	len = n > head + least ? n - head : least;
	if (head + len >= SECRET_SENTINEL_MAX) {
		head = head < SECRET_SENTINEL_MAX - least - 1 ? head : known_head(value);
		len = least;
	}
	memcpy(ret, value, head);
	memcpy(ret + head, MARK, strlen(MARK));
	for (at = head + strlen(MARK); r == 0 && at < head + len; at += LETTERS)
		r = letters(ret + at, head + len - at < LETTERS ? head + len - at : LETTERS, 'a',
			    e);
	return r;
}
