/* SPDX-License-Identifier: Apache-2.0 */
#include "pty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "cleanup.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441 /* Linux 4.13; musl 1.2.3 lacks it */
#endif

int pty_pair(int *ret_slave, int *ret_master)
{
	_cleanup_close_ int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int slave, unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	/* by descriptor: no name that could be another file */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	*ret_slave = slave;
	*ret_master = TAKE_FD(master);
	return 0;
}
