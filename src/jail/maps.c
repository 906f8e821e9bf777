/* SPDX-License-Identifier: Apache-2.0 */
#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan-apply.h"

/* Write one id map of @pid; the launcher is root here. */
static int write_map(pid_t pid, const char *file, const char *map, struct err *e)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	r = fd_write_file(AT_FDCWD, path, map);
	return r < 0 ? err_sys(e, r, "%s of the user namespace", file) : 0;
}

/* One id, or a block whose first id is @inside there: that and 0 change places. */
static const char *make_map(unsigned int inside, unsigned int host, bool block, char out[128])
{
	if (!block || inside == 0)
		(void)snprintf(out, 128, "%u %u %u\n", inside, host, block ? JAIL_BLOCK_SIZE : 1);
	else
		(void)snprintf(out, 128, "0 %u 1\n1 %u %u\n%u %u 1\n%u %u %u\n", host + inside,
			       host + 1, inside - 1, inside, host, inside + 1, host + inside + 1,
			       JAIL_BLOCK_SIZE - inside - 1);
	return out;
}

int maps_write(pid_t pid, const struct jail_identity *id, bool straight, struct err *e)
{
	const bool block = id->mode == JAIL_IDS_BLOCK;
	char map[128];
	int r = write_map(pid, "uid_map",
			  make_map(straight ? 0 : id->uid, id->host_uid, block, map), e);

	return r < 0 ? r :
		       write_map(pid, "gid_map",
				 make_map(straight ? 0 : id->gid, id->host_gid, block, map), e);
}

/* A process is needed to make a user namespace, which lives on with the mounts. */
int maps_open(pid_t init, const struct jail_identity *id, struct err *e)
{
	unsigned int lost = 0;
	pid_t pid = init;
	char path[64];
	int r = 0, fd = -1;

	if (id->mode == JAIL_IDS_BLOCK && id->uid != 0) {
		pid = (pid_t)sys_call(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
			for (;;)
				(void)pause(); /* to be killed */
		}
		if (pid < 0) {
			(void)err_sys(e, (int)pid, "user namespace for mapped mounts");
			return jail_layer_lost(JAIL_LAYER_USERNS, 0, &lost, e);
		}
		r = maps_write(pid, id, true, e);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	if (r == 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* root of a container (without CAP_SYS_PTRACE) can't open it */
		r = fd >= 0                           ? fd :
		    errno == EACCES || errno == EPERM ? -EOPNOTSUPP :
							err_sys(e, -errno, "%s", path);
	}
	if (pid != init) {
		(void)kill(pid, SIGKILL); /* our child, not reaped yet */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return r;
}
