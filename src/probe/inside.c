/* SPDX-License-Identifier: Apache-2.0 */
/* Processes in new namespaces, mapped as a run maps its ids (docs/adr/0002): the caller's own, or root's block. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tries.h"

pid_t probe_clone(unsigned int flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	long pid = sys_clone3(&args);

	if (pid == -ENOSYS) /* as jail/privs.c */
		pid = sys_call(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	return (pid_t)pid;
}

int probe_namespace(unsigned int flags)
{
	pid_t pid = probe_clone(flags);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return pid;
	(void)probe_wait(pid); /* it does nothing that could fail */
	return 0;
}

int probe_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return status;
}

static int write_map(const char *dir, const char *file, const char *map)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", dir, file);
	return fd_write_file(AT_FDCWD, path, map);
}

int probe_map_block(pid_t pid)
{
	char dir[16], map[64];
	int r;

	(void)snprintf(dir, sizeof(dir), "%d", pid);
	(void)snprintf(map, sizeof(map), "0 %u %u\n", PROBE_BLOCK, PROBE_BLOCK_SIZE);
	r = write_map(dir, "uid_map", map);
	return r == 0 ? write_map(dir, "gid_map", map) : r;
}

/* One id, written by the process itself; setgroups must be given up first (user_namespaces(7)). */
static int map_self(uid_t uid, gid_t gid)
{
	char map[64];
	int r;

	(void)snprintf(map, sizeof(map), "%u %u 1\n", (unsigned int)uid, (unsigned int)uid);
	r = write_map("self", "uid_map", map);
	if (r == 0)
		r = write_map("self", "setgroups", "deny\n");
	(void)snprintf(map, sizeof(map), "%u %u 1\n", (unsigned int)gid, (unsigned int)gid);
	return r == 0 ? write_map("self", "gid_map", map) : r;
}

static int become_inside(int sync, uid_t uid, gid_t gid)
{
	char mapped = 0;

	if (read(sync, &mapped, 1) != 1)
		return -EPIPE;
	if (!mapped)
		return map_self(uid, gid);
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -errno;
	/* a change of ids clears the death signal */
	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;
}

static enum probe_state not_tried(struct probe_answer *a, int r, const char *step)
{
	(void)probe_missing(a, r, "%s", step);
	return PROBE_UNKNOWN;
}

enum probe_state probe_inside(struct probe_answer *a, unsigned int flags,
			      enum probe_state (*fn)(struct probe_answer *a))
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int sync[2], status, r;
	pid_t pid;
	char mapped;

	if (pipe2(sync, O_CLOEXEC) < 0)
		return probe_missing(a, -errno, "pipe");
	pid = probe_clone(CLONE_NEWUSER | flags);
	if (pid < 0)
		return not_tried(a, pid, "clone into new namespaces");
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			_exit(PROBE_STATE_NUM);
		(void)close(sync[1]);
		r = become_inside(sync[0], uid, gid);
		_exit((int)(r < 0 ? not_tried(a, r, "id map of the user namespace") : fn(a)));
	}
	/* root of a container has no block to give: one id, as a run then has */
	mapped = (char)(uid == 0 && probe_map_block(pid) == 0);
	if (write(sync[1], &mapped, 1) != 1)
		(void)kill(pid, SIGKILL); /* our child, not reaped yet */
	(void)close(sync[0]);
	(void)close(sync[1]);
	status = probe_wait(pid);
	if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) < PROBE_STATE_NUM)
		return (enum probe_state)WEXITSTATUS(status);
	return probe_missing(a, 0, "the try was ended by signal %d",
			     status >= 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

long probe_read_number(const char *path)
{
	struct buf b = BUF_INIT(64);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	long v = -1;

	if (fd >= 0 && fd_read_all(fd, &b) == 0 && b.data)
		v = strtol(b.data, NULL, 10);
	buf_done(&b);
	return v;
}

int probe_stage(const char **ret_step)
{
	_cleanup_close_ int fs = -1, mnt = -1, target = -1;
	int r;

	*ret_step = "tmpfs: fsopen";
	r = fs = sys_fsopen("tmpfs");
	if (r >= 0) {
		*ret_step = "tmpfs: fsconfig";
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	}
	if (r >= 0) {
		*ret_step = "tmpfs: fsmount";
		r = mnt = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	}
	if (r >= 0) {
		*ret_step = "tmpfs: move_mount on /tmp";
		target = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = target < 0 ? -errno : sys_move_mount(mnt, target, "");
	}
	if (r >= 0) {
		*ret_step = "tmpfs: /tmp";
		r = chdir("/tmp") < 0 ? -errno : 0;
	}
	return r;
}
