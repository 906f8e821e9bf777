/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/key.h is not for programs */
#define KEY_POSSESSOR_ALL 0x3f000000u
#define KEY_USER_READ 0x000b0000u /* view, read, search */

int keyring_get(const char *name, void *ret, size_t n)
{
	long id = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", name, 0), got;

	if (id < 0)
		return errno == EKEYREVOKED || errno == EKEYEXPIRED ? -ENOKEY : -errno;
	got = syscall(SYS_keyctl, KEYCTL_READ, id, ret, n, 0);
	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : -EBADMSG;
}

int keyring_put(const char *name, const void *p, size_t n)
{
	long id = syscall(SYS_add_key, "user", name, p, n, KEY_SPEC_USER_KEYRING);

	if (id < 0)
		return -errno;
	/* a session whose keyring doesn't lead to the user's can read it, too; where it may not be set that one can't */
	(void)syscall(SYS_keyctl, KEYCTL_SETPERM, id, KEY_POSSESSOR_ALL | KEY_USER_READ, 0, 0);
	return 0;
}
