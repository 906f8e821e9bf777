/* SPDX-License-Identifier: Apache-2.0 */
/* Where an inspection rule sends requests instead (docs/adr/0021): "https://HOST[:PORT][/PATH]". */
#ifndef BAILEY_POLICY_FORWARD_H
#define BAILEY_POLICY_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net.h"

struct err;

#define FORWARD_MAX 1024u                          /* bytes of the text */
#define FORWARD_AUTHORITY (NET_HOST_MAX + 1u + 8u) /* of "[HOST]:PORT", with a NUL */

struct forward_url {
	char host[NET_HOST_MAX + 1]; /* canonical: a name, or an address without brackets */
	uint16_t port;
	bool tls;
	const char *path; /* points into the text: begins with a slash, ends with none; "" */
	size_t n_path;
};

/**
 * forward_parse() - read @text: http or https, no user, no query, no fragment. The path is not looked into.
 * @ret->path: borrows @text
 * Return: 0, or -EINVAL with @e saying what is wrong with it.
 */
int forward_parse(struct forward_url *ret, const char *text, struct err *e);

/** forward_authority() - as a Host field has it: the port only where it is not the scheme's own. @out: FORWARD_AUTHORITY bytes */
void forward_authority(const struct forward_url *f, char *out);

#endif
