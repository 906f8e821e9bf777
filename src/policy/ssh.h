/* SPDX-License-Identifier: Apache-2.0 */
/* Which ssh key may log in where: values of --ssh-key (docs/adr/0024). */
#ifndef BAILEY_POLICY_SSH_H
#define BAILEY_POLICY_SSH_H

#include <stdbool.h>

struct err;

#define SSH_KEY_MAX 512u  /* bytes of what names a key, with the NUL */
#define SSH_HOST_MAX 264u /* of a name as known_hosts has it: "[host]:port", with the NUL */

struct ssh_grant {
	char key[SSH_KEY_MAX]; /* "SHA256:…", a comment, or a path, which begins with /, ./, ../ or ~/ */
	char host[SSH_HOST_MAX]; /* in lower case; "*": every host that known_hosts lists */
};

/** ssh_grant_parse() - KEY@HOST[:PORT] or KEY@*; the last '@' counts. Return: 0 or -EINVAL with @e, which names the part that is wrong. */
int ssh_grant_parse(struct ssh_grant *ret, const char *text, struct err *e);

/** ssh_grant_any() - every host that is known. */
bool ssh_grant_any(const struct ssh_grant *g);

/** ssh_grant_file() - whether the key is named by a file. */
bool ssh_grant_file(const struct ssh_grant *g);

#endif
