/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "named.h"

#define TURN_MS 10000 /* a command before us has for its turn */
#define TURN_STEP_MS 5

int named_turn(const struct named *n, const struct named_box *box, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	int waited;

	/* the lock of its directory */
	(void)snprintf(path, sizeof(path), "sandboxes/%s", box->id);
	fd = openat(n->state, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (waited = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; waited += TURN_STEP_MS) {
		if (errno != EWOULDBLOCK || waited >= TURN_MS)
			return err_sys(e, -errno, "sandbox '%s' is changed by another command",
				       box->name);
		(void)usleep(TURN_STEP_MS * 1000);
	}
	return fd < 0 ? err_sys(e, -errno, "sandbox '%s'", box->name) : TAKE_FD(fd);
}
