/* SPDX-License-Identifier: Apache-2.0 */
#include "detach-keys.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "util/util.h"

/* One key of @len characters. Return: it, or 0. */
static char key_of(const char *s, size_t len)
{
	if (len == 1)
		return s[0];
	if (len != 6 || strncasecmp(s, "ctrl-", 5) != 0)
		return '\0';
	if (s[5] >= 'a' && s[5] <= 'z')
		return (char)(s[5] - 'a' + 1);
	if (s[5] >= '[' && s[5] <= '_')
		return (char)(s[5] - '@');
	return '\0'; /* ctrl-@ is the byte 0, which we need for "none" */
}

int detach_keys_parse(const char *text, struct detach_keys *ret, struct err *e)
{
	struct detach_keys k = { .n = 0 };
	const char *p = text;
	size_t len;

	while (*p) {
		len = strcspn(p + 1, ",") + 1; /* a comma may be a key */
		if (k.n == DETACH_KEYS_MAX)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "--detach-keys '%.100s': at most %u keys", text,
				       DETACH_KEYS_MAX);
		k.keys[k.n] = key_of(p, len);
		if (!k.keys[k.n++] || (p[len] && !p[len + 1]))
			return err_set(
				e, ERR_USAGE, -EINVAL,
				"--detach-keys '%.100s': expected keys divided by commas, each a character or ctrl- with a-z [ \\ ] ^ _",
				text);
		p += len + (p[len] == ',');
	}
	*ret = k;
	return 0;
}

/* The longest beginning of the sequence that what is held back, and @c, end with. */
static size_t step(const struct detach_keys *k, char c)
{
	size_t n;

	for (n = k->seen + 1; n > 0; n--) {
		if (k->keys[n - 1] == c && memcmp(k->keys, k->keys + (k->seen + 1 - n), n - 1) == 0)
			return n;
	}
	return 0;
}

bool detach_keys_filter(struct detach_keys *k, const char *in, size_t n, char *out, size_t *ret_n)
{
	size_t i, now, len = 0, back;

	for (i = 0; i < n && k->n; i++) {
		now = step(k, in[i]);
		/* what can't be its beginning any more is typed on; it is the sequence's own first keys */
		back = k->seen + 1 - now;
		if (back > k->seen) {
			memcpy(out + len, k->keys, k->seen);
			out[len + k->seen] = in[i];
		} else {
			memcpy(out + len, k->keys, back);
		}
		len += back;
		k->seen = now;
		if (now == k->n) {
			k->seen = 0;
			*ret_n = len;
			return true;
		}
	}
	if (!k->n) {
		memcpy(out, in, n);
		len = n;
	}
	*ret_n = len;
	return false;
}
