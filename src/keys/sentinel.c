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
