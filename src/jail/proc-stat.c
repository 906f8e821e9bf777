/* SPDX-License-Identifier: Apache-2.0 */
#include "proc-stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/util.h"

/* Field @n of the line, counted from the state, which is 0. */
static uint64_t field(const char *state, int n)
{
	for (; state && n > 0; n--) {
		state = strchr(state, ' ');
		state += state != NULL;
	}
	return state ? strtoull(state, NULL, 10) : 0;
}

bool proc_stat_at(const char *path, pid_t pid, struct proc_stat *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[1024], *at;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	at = strrchr(text, ')'); /* "PID (NAME) STATE PPID …": the name may be anything */
	if (!at || strlen(at) < 5)
		return false;
	at += 2;
	*ret = (struct proc_stat){ .pid = pid,
				   .parent = (pid_t)field(at, 1),
				   .state = *at,
				   .threads = (uint32_t)field(at, 17),
				   .ticks = field(at, 11) + field(at, 12) + field(at, 13) +
					    field(at, 14),
				   .start = field(at, 19) };
	return ret->start > 0;
}

bool proc_stat(pid_t pid, struct proc_stat *ret)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return proc_stat_at(path, pid, ret);
}
