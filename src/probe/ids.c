/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of a sandbox: root's blocks, an ordinary user's ranges, owners that are mapped on the way (docs/adr/0002). */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tries.h"

#define RANGE_FIRST 100000u     /* what useradd gives to the first user */
#define RANGE_SIZE PROBE_SUBIDS /* all ids but the caller's own */

/* A process that waits in a new user namespace. Return: its pid, or negative errno. */
static pid_t wait_inside(void)
{
	const pid_t parent = getpid();
	pid_t pid = probe_clone(CLONE_NEWUSER);

	if (pid == 0) {
		/* who is killed before that leaves nobody waiting for ever */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent)
			for (;;)
				(void)pause();
		_exit(1);
	}
	return pid;
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL); /* our child, not reaped yet */
	(void)probe_wait(pid);
}

enum probe_state try_ids_block(struct probe_answer *a)
{
	pid_t pid;
	int r;

	if (geteuid() != 0)
		return probe_ok(a, "not needed: runs act as the caller");
	pid = wait_inside();
	if (pid < 0)
		return probe_missing(a, pid, "user namespace");
	r = probe_map_block(pid);
	end(pid);
	/* as jail/privs.c: then the run acts as the workspace's owner, and says so */
	return r < 0 ? probe_degraded(a, r,
				      "runs act as the workspace's owner: id map of a block") :
		       PROBE_OK;
}

/* Ranges of /etc/subuid or /etc/subgid. */
struct ranges {
	unsigned long own;  /* first id of the caller's, 0: none that is large enough */
	unsigned long free; /* first id behind everybody's */
};

/* One line, "NAME:FIRST:COUNT" or "UID:FIRST:COUNT"; cut in place. */
static void read_range(char *line, const char *name, const char *uid, struct ranges *r)
{
	char *colon = strchr(line, ':'), *end;
	unsigned long first, count;

	if (!colon)
		return;
	*colon = '\0';
	first = strtoul(colon + 1, &end, 10);
	if (*end != ':')
		return;
	count = strtoul(end + 1, NULL, 10);
	if (first + count > r->free)
		r->free = first + count;
	if (!r->own && count >= RANGE_SIZE &&
	    (strcmp(line, uid) == 0 || (name && strcmp(line, name) == 0)))
		r->own = first;
}

static struct ranges read_ranges(const char *file, const char *name)
{
	struct ranges r = { .free = RANGE_FIRST };
	struct buf b = BUF_INIT(1u << 20);
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	char uid[16], *line, *next;

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned int)geteuid());
	if (fd >= 0 && fd_read_all(fd, &b) == 0) {
		for (line = b.data; line; line = next) {
			next = strchr(line, '\n');
			if (next)
				*next++ = '\0';
			read_range(line, name, uid, &r);
		}
	}
	buf_done(&b);
	return r;
}

/* newuidmap decides for itself whether the range is ours. Return: its exit status, 127 when it is not there, or negative errno. */
static int run_newidmap(const char *program, pid_t of, unsigned int self, unsigned long first)
{
	char pid_text[16], host[24], count[16], self_text[16];
	char name[16], zero[] = "0", one[] = "1";
	char *const argv[] = { name, pid_text, zero, self_text, one, one, host, count, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	pid_t pid;

	(void)snprintf(name, sizeof(name), "%s", program);
	(void)snprintf(pid_text, sizeof(pid_text), "%d", of);
	(void)snprintf(count, sizeof(count), "%u", RANGE_SIZE);
	(void)snprintf(host, sizeof(host), "%lu", first);
	(void)snprintf(self_text, sizeof(self_text), "%u", self);
	pid = fork();
	if (pid == 0) {
		if (null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
			_exit(126);
		_exit(tool_exec(program, argv) == -ENOENT ? 127 : 126);
	}
	cleanup_close(&null);
	if (pid < 0)
		return -errno;
	status = probe_wait(pid);
	return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

enum probe_state probe_subids(struct probe_answer *a, struct probe_subids *ret)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *name = pw ? pw->pw_name : NULL;
	struct ranges uids = read_ranges("/etc/subuid", name),
		      gids = read_ranges("/etc/subgid", name);
	unsigned long first = uids.free > gids.free ? uids.free : gids.free;
	pid_t pid;
	int u, g;

	if (!uids.own || !gids.own) {
		if (name)
			probe_mend(a, "usermod --add-subuids %lu-%lu --add-subgids %lu-%lu %s",
				   first, first + RANGE_SIZE, first, first + RANGE_SIZE, name);
		else
			probe_advise(
				a,
				"give this uid a name in /etc/passwd, and ranges in /etc/subuid and /etc/subgid");
		return probe_missing(a, 0, "no range of %u ids in /etc/subuid and /etc/subgid",
				     RANGE_SIZE);
	}
	pid = wait_inside();
	if (pid < 0)
		return probe_missing(a, pid, "user namespace");
	u = run_newidmap("newuidmap", pid, geteuid(), uids.own);
	g = u ? u : run_newidmap("newgidmap", pid, getegid(), gids.own);
	end(pid);
	if (u == 127 || g == 127) {
		probe_mend(a, "apt-get install -y uidmap");
		return probe_missing(a, 0, "%s is not installed",
				     u == 127 ? "newuidmap" : "newgidmap");
	}
	if (u || g) {
		probe_mend(a, "apt-get install -y --reinstall uidmap");
		return probe_missing(a, 0, "%s refuses the range (is it set-uid?)",
				     u ? "newuidmap" : "newgidmap");
	}
	*ret = (struct probe_subids){ .uid = (uid_t)uids.own, .gid = (gid_t)gids.own };
	return probe_ok(a, "from %lu", uids.own);
}

enum probe_state try_ids_ranges(struct probe_answer *a)
{
	struct probe_subids ids;

	return geteuid() == 0 ? probe_ok(a, "not needed: root gives blocks of its own") :
				probe_subids(a, &ids);
}

/* The lock on a block lives as long as any process has the description, and no longer: nothing to heal after kill -9. */
enum probe_state try_ids_locks(struct probe_answer *a)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1 };
	_cleanup_close_ int first = memfd_create("bailey-doctor", MFD_CLOEXEC), second = -1;
	char path[32];
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", first);
	second = first < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (second < 0)
		return probe_missing(a, -errno, "memfd");
	if (fcntl(first, F_OFD_SETLK, &fl) < 0)
		return probe_missing(a, -errno, "F_OFD_SETLK");
	if (fcntl(second, F_OFD_SETLK, &fl) == 0)
		return probe_missing(a, 0, "a second description gets a lock that is held");
	pid = fork();
	if (pid == 0)
		for (;;)
			(void)pause();
	if (pid < 0)
		return probe_missing(a, -errno, "fork");
	(void)close(TAKE_FD(first));
	if (fcntl(second, F_OFD_SETLK, &fl) == 0) {
		end(pid);
		return probe_missing(a, 0, "the lock is gone although a child holds it");
	}
	end(pid);
	if (fcntl(second, F_OFD_SETLK, &fl) < 0)
		return probe_missing(a, -errno, "the lock outlives its holders");
	return PROBE_OK;
}

enum probe_state probe_idmap(struct probe_answer *a, const char *path)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	_cleanup_close_ int userns = -1, tree = -1;
	char ns[32];
	pid_t pid;
	int r;

	if (geteuid() != 0)
		return probe_ok(a, "not needed: runs act as the caller");
	pid = wait_inside();
	if (pid < 0)
		return probe_missing(a, pid, "user namespace");
	r = probe_map_block(pid);
	(void)snprintf(ns, sizeof(ns), "/proc/%d/ns/user", pid);
	userns = r < 0 ? -1 : open(ns, O_RDONLY | O_CLOEXEC);
	end(pid);
	if (userns < 0)
		return probe_degraded(a, r < 0 ? r : -errno,
				      "runs act as the workspace's owner: id map of a block");
	tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return probe_missing(a, tree, "open_tree");
	attr.userns_fd = (uint64_t)userns;
	r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr);
	return r < 0 ? probe_degraded(
			       a, r,
			       "runs act as the workspace's owner: mount_setattr with an id map") :
		       PROBE_OK;
}

enum probe_state try_idmap_root(struct probe_answer *a)
{
	return probe_idmap(a, "/");
}

enum probe_state try_idmap_cwd(struct probe_answer *a)
{
	return probe_idmap(a, ".");
}

/* A home that is closed to others is shown with mapped owners, or a run with ids of its own could not read it. */
enum probe_state try_idmap_home(struct probe_answer *a)
{
	const char *home = getenv("HOME");
	struct stat st;

	if (!home || home[0] != '/' || stat(home, &st) < 0)
		return probe_ok(a, "not needed: no home directory");
	if (st.st_mode & (S_IXGRP | S_IXOTH))
		return probe_ok(a, "not needed: it is not closed to others");
	return probe_idmap(a, home);
}
