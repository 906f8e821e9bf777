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

/* Write one id map of @pid; the launcher is root here, or the namespace's owner. */
static int write_map(pid_t pid, const char *file, const char *map, struct err *e)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	r = fd_write_file(AT_FDCWD, path, map);
	return r < 0 ? err_sys(e, r, "%s of the user namespace", file) : 0;
}

/* A stretch of ids: @n from @inside on are those from @host on. */
struct stretch {
	unsigned int inside, host, n;
};

#define STRETCHES 4

/* Around the one id @own, which is @inside there: the others, from @others on in the host's numbers, which may leave a gap for it. */
static void around(struct stretch out[STRETCHES], unsigned int inside, unsigned int own,
		   unsigned int others, bool gap)
{
	out[0] = (struct stretch){ 0, others, inside };
	out[1] = (struct stretch){ inside, own, 1 };
	out[2] =
		(struct stretch){ inside + 1, others + inside + gap, JAIL_BLOCK_SIZE - 1 - inside };
}

/*
 * MAPS_MOUNTS: from ids of the disk. What is the workspace's owner there is the command's; the block itself stands for itself: what the
 * sandbox's root leaves there belongs to no id of the host's.
 */
static void stretches(const struct jail_identity *id, bool gid, enum maps_use use,
		      struct stretch out[STRETCHES])
{
	const bool straight = use == MAPS_MOUNTS;
	const unsigned int inside = gid ? id->gid : id->uid,
			   host = gid ? id->host_gid : id->host_uid,
			   base = gid ? id->base_gid : id->base;
	unsigned int i;

	for (i = 0; i < STRETCHES; i++)
		out[i] = (struct stretch){ 0, 0, 0 };
	if (id->mode == JAIL_IDS_SUBIDS) {
		around(out, inside, host, base, false);
	} else if (id->mode == JAIL_IDS_KEPT && straight) {
		around(out, inside, host, base, true);
		for (i = 0; i < STRETCHES; i++)
			out[i].inside = out[i].host;
		out[1].inside = gid ? id->disk_gid : id->disk_uid;
	} else if (id->mode == JAIL_IDS_KEPT) {
		out[0] = (struct stretch){ 0, base, JAIL_BLOCK_SIZE };
	} else if (id->mode != JAIL_IDS_BLOCK) {
		out[0] = (struct stretch){ inside, host, 1 };
	} else if (straight || inside == 0) {
		out[0] = (struct stretch){ 0, host, JAIL_BLOCK_SIZE };
	} else { /* that and 0 change places */
		around(out, inside, host, host, true);
		out[0] = (struct stretch){ 1, host + 1, inside - 1 };
		out[3] = (struct stretch){ 0, host + inside, 1 };
	}
	for (i = 0; use == MAPS_VOLUMES && i < STRETCHES; i++)
		out[i].inside += JAIL_VOLUME_IDS;
}

static const char *make_map(const struct jail_identity *id, bool gid, enum maps_use use,
			    char out[192])
{
	struct stretch s[STRETCHES];
	size_t i, n = 0;

	stretches(id, gid, use, s);
	for (i = 0; i < STRETCHES; i++) {
		if (s[i].n)
			n += (size_t)snprintf(out + n, 192 - n, "%u %u %u\n", s[i].inside,
					      s[i].host, s[i].n);
	}
	return out;
}

/* newuidmap, newgidmap: they are set-uid, and look into /etc/subuid for themselves. */
static int run_newidmap(const char *program, pid_t of, const struct jail_identity *id, bool gid,
			struct err *e)
{
	struct stretch s[STRETCHES];
	char words[2 + 3 * STRETCHES][16];
	char *argv[3 + 3 * STRETCHES];
	size_t i, n = 0;
	int status = 0;
	pid_t pid;

	stretches(id, gid, MAPS_PROCESS, s);
	(void)snprintf(words[n++], sizeof(words[0]), "%d", of);
	for (i = 0; i < STRETCHES; i++) {
		if (!s[i].n)
			continue;
		(void)snprintf(words[n++], sizeof(words[0]), "%u", s[i].inside);
		(void)snprintf(words[n++], sizeof(words[0]), "%u", s[i].host);
		(void)snprintf(words[n++], sizeof(words[0]), "%u", s[i].n);
	}
	argv[0] = (char *)(uintptr_t)program;
	for (i = 0; i < n; i++)
		argv[i + 1] = words[i];
	argv[n + 1] = NULL;
	pid = fork();
	if (pid < 0)
		return err_sys(e, -errno, "fork");
	if (pid == 0) {
		_exit(tool_exec(program, argv) == -ENOENT ? 127 : 126);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ?
		       0 :
		       err_set(e, ERR_SYSTEM, -EPERM,
			       "%s could not give the sandbox its ids; 'bailey doctor' says more",
			       program);
}

int maps_write(pid_t pid, const struct jail_identity *id, enum maps_use use, struct err *e)
{
	char map[192];
	int r;

	if (id->mode == JAIL_IDS_SUBIDS) {
		r = run_newidmap("newuidmap", pid, id, false, e);
		return r < 0 ? r : run_newidmap("newgidmap", pid, id, true, e);
	}
	r = write_map(pid, "uid_map", make_map(id, false, use, map), e);
	if (r == 0 && geteuid() != 0) /* as stage_ids_self() */
		r = write_map(pid, "setgroups", "deny\n", e);
	return r < 0 ? r : write_map(pid, "gid_map", make_map(id, true, use, map), e);
}

/* A process is needed to make a user namespace, which lives on with the mounts. */
static int open_for(pid_t init, const struct jail_identity *id, enum maps_use use, struct err *e)
{
	const pid_t parent = getpid();
	unsigned int lost = 0;
	pid_t pid = init;
	char path[64];
	int r = 0, fd = -1;

	if (use == MAPS_VOLUMES || id->mode == JAIL_IDS_KEPT ||
	    (id->mode == JAIL_IDS_BLOCK && id->uid != 0)) {
		pid = (pid_t)sys_call(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0) {
			if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
				_exit(1); /* who was killed before that leaves nobody waiting for ever */
			for (;;)
				(void)pause(); /* to be killed */
		}
		if (pid < 0) {
			(void)err_sys(e, (int)pid, "user namespace for mapped mounts");
			return jail_layer_lost(JAIL_LAYER_USERNS, 0, &lost, e);
		}
		r = maps_write(pid, id, use, e);
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

int maps_open(pid_t init, const struct jail_identity *id, struct err *e)
{
	return open_for(init, id, MAPS_MOUNTS, e);
}

int maps_open_volumes(pid_t init, const struct jail_identity *id, struct err *e)
{
	return open_for(init, id, MAPS_VOLUMES, e);
}
