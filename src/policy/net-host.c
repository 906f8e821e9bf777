/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names. Whoever compares, resolves, logs or quotes a name has it from here: no two parts of the program can take one text for two names.
 * What is in doubt is refused, because a browser, a resolver and a proxy would each settle it differently.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

#define LABEL_MAX 63u

const char *net_quote(const char *text, size_t len, char *out)
{
	size_t i, n = 0;

	for (i = 0; i < len && n < NET_QUOTE - 8; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c > ' ' && c < 0x7f)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 5, "<%02x>", c);
	}
	if (i < len)
		memcpy(out + n, "...", 4);
	else
		out[n] = '\0';
	return out;
}

static int refuse(struct err *e, const char *text, size_t len, const char *why)
{
	char quoted[NET_QUOTE];

	return err_set(e, ERR_USAGE, -EINVAL, "'%s' is no host name: %s",
		       net_quote(text, len, quoted), why);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Whether some parser takes a host that ends in this label for an IPv4 address: 1, 017, 0x7f (and 0x, which is 0 to some). */
static bool is_number(const char *s, size_t n)
{
	size_t i;

	if (n >= 2 && s[0] == '0' && s[1] == 'x') {
		for (i = 2; i < n && (is_digit(s[i]) || (s[i] >= 'a' && s[i] <= 'f')); i++)
			;
		return i == n;
	}
	for (i = 0; i < n && is_digit(s[i]); i++)
		;
	return i == n;
}

/* What people write, and what they should have written. Return: the reason why @c is not in a name. */
static const char *bad_byte(unsigned char c)
{
	if (c >= 0x80)
		return "it is not ASCII; write its ASCII form (xn--...)";
	switch (c) {
	case '\0':
		return "it has a NUL byte";
	case '\r':
	case '\n':
		return "it has a line break";
	case '%':
		return "it has a '%' (percent codes and zones are not read)";
	case '*':
		return "a '*' stands for whole names in front of a dot: *.example.com; ** is every host";
	case '/':
		return "it has a '/'; write the name alone, without scheme and path; a range of addresses has options of its own (--allow-cidr, --cidr)";
	case ':':
		return "it has a ':'";
	default:
		return "only letters, digits, '-', '_' and dots are in names";
	}
}

int net_host_canon(const char *text, size_t len, char *ret, struct err *e)
{
	char out[NET_HOST_MAX + 1];
	size_t i, start = 0, n = len;

	if (n && text[n - 1] == '.')
		n--;
	if (n == 0)
		return refuse(e, text, len, "it is empty");
	if (n > NET_HOST_MAX)
		return refuse(e, text, len, "it is longer than 253 bytes");
	for (i = 0; i <= n; i++) {
		char c = '.'; /* behind the last label */

		if (i < n)
			c = text[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '.') {
			if (i == start)
				return refuse(e, text, len, "a label is empty");
			if (i - start > LABEL_MAX)
				return refuse(e, text, len, "a label is longer than 63 bytes");
			if (out[start] == '-' || out[i - 1] == '-')
				return refuse(e, text, len, "a label begins or ends with '-'");
			if (i == n)
				break;
			start = i + 1;
		} else if ((c < 'a' || c > 'z') && !is_digit(c) && c != '-' && c != '_') {
			return refuse(e, text, len, bad_byte((unsigned char)c));
		}
		out[i] = c;
	}
	out[n] = '\0';
	if (is_number(out + start, n - start))
		return refuse(e, text, len,
			      "it ends in a number, which some programs read as an address");
	memcpy(ret, out, n + 1);
	return (int)n;
}
