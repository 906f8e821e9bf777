/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says of a process or a thread in one line (proc(5), /proc/PID/stat). */
#ifndef BAILEY_JAIL_PROC_STAT_H
#define BAILEY_JAIL_PROC_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	pid_t pid; /* as it was asked for */
	pid_t parent;
	char state;
	uint32_t threads;
	uint64_t ticks; /* of processor time, with that of children that were waited for */
	uint64_t start; /* ticks since the machine's start: tells a pid that is used again */
};

/** proc_stat() - of the process @pid. Return: whether there is such a one. */
bool proc_stat(pid_t pid, struct proc_stat *ret);

/** proc_stat_at() - what the file @path says, of @pid. Return: whether it is there. */
bool proc_stat_at(const char *path, pid_t pid, struct proc_stat *ret);

#endif
