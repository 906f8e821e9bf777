/* SPDX-License-Identifier: Apache-2.0 */
/* Which TCP ports of a sandbox something listens at, as the kernel says in /proc/PID/net/tcp and tcp6 of a process in its network namespace. */
#ifndef BAILEY_CLI_LISTENING_H
#define BAILEY_CLI_LISTENING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LISTENERS_MAX 4096u /* what is more is not told */

struct listener {
	bool v6;
	uint16_t port;
	unsigned char at[16]; /* address; IPv4: the first four bytes */
};

struct listeners {
	size_t n;
	struct listener at[LISTENERS_MAX];
};

/** listening_line() - one line of such a file. Return: whether it is of a socket that listens; then @ret is filled. */
bool listening_line(const char *line, bool v6, struct listener *ret);

/** listening_read() - all. @proc: the directory /proc/PID, borrowed. Return: 0, or negative errno: -ESRCH: it has ended. */
int listening_read(int proc, struct listeners *ret);

/** listening_has() - whether @l is among them. */
bool listening_has(const struct listeners *all, const struct listener *l);

/** listening_on() - whether a socket of the network namespace of @pid listens on @port, whoever's it is. What can't be seen does not. */
bool listening_on(pid_t pid, unsigned int port);

#endif
