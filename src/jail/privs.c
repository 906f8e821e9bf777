/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: every privilege step of a sandbox, in order, with its reason. The launcher clones PID 1 into new namespaces before it
 * knows the plan, because a network namespace takes the kernel longer than everything else; then it plans, and hands over. PID 1
 * ends in spec->entry() or in one message and _exit(); it never returns into the launcher's code.
 *
 *  launcher  1  block signals               PID 1 starts with none pending and takes them by sigwaitinfo
 *            2  clone3, six namespaces      the network namespace follows in 5, beside everything else
 *  PID 1     3  die with the launcher       before anything exists that could outlive it
 *            4  ids, ordinary user          a mount namespace can be changed only by an id that is mapped
 *            5  network namespace           in a helper thread, joined in 8
 *            6  take the plan; ids, root    the launcher writes the maps and makes the mounts with mapped owners
 *            7  mounts (plan-apply.c)       needs capabilities in the user namespace; nothing hostile runs yet
 *            8  mask live sockets, join the network namespace   the last uses of CAP_SYS_ADMIN
 *            9  Landlock ruleset, fds       opened while all paths are still open
 *           10  bounding set, capabilities  before no_new_privs only because setpcap is needed for the first
 *           11  no_new_privs                Landlock and seccomp need it; set-id programs gain nothing
 *           12  Landlock                    before seccomp, whose filter needs not know its calls then
 *           13  not dumpable                PID 1 is a copy of the launcher: its memory holds the caller's environment
 *           14  seccomp                     last: everything before needs calls that it refuses
 *           15  verify (verify.c)           retry what must now fail
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"
#include "jail.h"
#include "landlock.h"
#include "netns.h"
#include "plan-apply.h"
#include "sockets.h"

#include "verify.h"

#define PIPEFS_MAGIC 0x50495045
#define CLONE_FLAGS \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/*
 * From the launcher, in this order: the spec, with the lock on the block of ids. For root, a detached mount for each of some operations `op`, and GO. Then, for everybody, the path of each
 * socket to be masked, and GO.
 */
struct hand_over {
	union {
		uint64_t op;
		const struct jail_spec *spec;
	};
	char path[LIMIT_PATH]; /* sent as long as it is */
};

#define HAND_OVER_GO ((uint64_t)-1)
#define HAND_OVER_SOCKET ((uint64_t)-2)

struct child {
	const struct jail_spec *spec;
	int sock;
	int lock; /* holds the block of ids as long as PID 1 lives */
	struct jail_apply apply;
	struct netns net;
	int ruleset;
	uid_t uid; /* the caller's, before the clone */
	gid_t gid;
	int service[2]; /* user and mount namespace, for jail_late() */
};

/* 3. The death signal is armed first, then the launcher is asked whether it still lives: no gap between. */
static int stage_die_with_parent(int sock)
{
	char c;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (recv(sock, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		return -ESRCH;
	return 0;
}

/* 4: one uid, one gid, written by ourselves. setgroups must be given up first (user_namespaces(7)). */
static int stage_ids_self(uid_t uid, gid_t gid, struct err *e)
{
	unsigned int lost = 0;
	char map[64];
	int r;

	(void)snprintf(map, sizeof(map), "%u %u 1\n", (unsigned int)uid, (unsigned int)uid);
	r = fd_write_file(AT_FDCWD, "/proc/self/uid_map", map);
	if (r == 0)
		r = fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny\n");
	(void)snprintf(map, sizeof(map), "%u %u 1\n", (unsigned int)gid, (unsigned int)gid);
	if (r == 0)
		r = fd_write_file(AT_FDCWD, "/proc/self/gid_map", map);
	if (r == 0)
		return 0;
	/* made but without rights: AppArmor does that (kernel.apparmor_restrict_unprivileged_userns) */
	(void)err_sys(e, r, "id maps of the user namespace");
	return jail_layer_lost(JAIL_LAYER_USERNS, 0, &lost, e);
}

/*
 * Supplementary groups go. In a user namespace whose maker gave up setgroups (user_namespaces(7)) nobody can, and they are no groups of
 * this namespace either.
 */
static int drop_groups(void)
{
	char answer[8] = "";
	int fd;

	if (setgroups(0, NULL) == 0)
		return 0;
	fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, answer, sizeof(answer) - 1) < 0)
			answer[0] = '\0';
		(void)close(fd);
	}
	errno = EPERM;
	return strncmp(answer, "deny", 4) == 0 ? 0 : -1;
}

/* The next thing that the launcher hands over. Return: 0 or negative errno with @e. */
static int take(int sock, struct hand_over *m, int fds[8], struct err *e)
{
	ssize_t n = fd_recv(sock, m, sizeof(*m), fds, 0);

	if (n < (ssize_t)sizeof(m->op))
		return err_set(e, ERR_SYSTEM, n < 0 ? (int)n : -EPIPE, "the launcher has gone");
	m->path[sizeof(m->path) - 1] = '\0';
	return 0;
}

/* 6, root: the launcher writes the maps and hands over mounts that only it can make; then become the mapped id. */
static int stage_ids_given(struct child *c, struct err *e)
{
	const struct jail_identity *id = c->spec->id;
	struct hand_over m;
	int fds[8], r;

	for (;;) {
		r = take(c->sock, &m, fds, e);
		if (r < 0)
			return r;
		if (m.op == HAND_OVER_GO)
			break;
		if (m.op >= c->spec->plan->n)
			return err_set(e, ERR_SYSTEM, -EBADMSG, "hand-over out of range");
		c->apply.src[m.op] = fds[0];
	}
	if (drop_groups() < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
	    setresuid(id->uid, id->uid, id->uid) < 0)
		return err_sys(e, -errno, "become uid %u", (unsigned int)id->uid);
	/* a change of ids clears the death signal */
	r = stage_die_with_parent(c->sock);
	return r < 0 ? err_sys(e, r, "launcher") : 0;
}

/* 8. The launcher has searched the direct trees meanwhile. */
static int stage_sockets(struct child *c, struct err *e)
{
	struct hand_over m;
	int fds[8], r;

	for (;;) {
		r = take(c->sock, &m, fds, e);
		if (r < 0 || m.op == HAND_OVER_GO)
			return r;
		r = jail_socket_cover(c->apply.root, m.path);
		if (r < 0)
			return err_sys(e, r, "mask the socket '%s'", m.path);
	}
}

/* 9. What must be opened while it still can be. */
static int stage_open(struct child *c, struct err *e)
{
	int r;

	c->ruleset = landlock_prepare(c->spec->plan, e);
	if (c->ruleset == -EOPNOTSUPP) {
		r = jail_layer_lost(JAIL_LAYER_LANDLOCK, c->spec->allow_degraded, &c->apply.lost,
				    e);
		if (r < 0)
			return r;
	} else if (c->ruleset < 0) {
		return c->ruleset;
	}
	return 0;
}

/* For jail_late(); opened by ourselves, because we will not be dumpable. Missing, there is no late search. */
static void stage_open_namespaces(struct child *c)
{
	c->service[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	c->service[1] = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

/*
 * Without Landlock a file that is open for writing on 0-2 could be opened again with more rights, through the launcher's mounts.
 */
static int stage_check_stdio(const struct child *c, struct err *e)
{
	struct stat st;
	int fd, flags;

	if (!(c->apply.lost & (1u << JAIL_LAYER_LANDLOCK)))
		return 0;
	for (fd = 0; fd <= 2; fd++) {
		flags = fcntl(fd, F_GETFL);
		if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) == 0 &&
		    S_ISREG(st.st_mode))
			return err_set(
				e, ERR_LAYER, -EPERM,
				"fd %d is a regular file, which only Landlock protects from being opened again; use a pipe: "
				"… | cat >FILE",
				fd);
	}
	return 0;
}

/* 10. Should leave nothing that an exec could bring back. Mustn't be followed by anything that needs a capability. */
static int stage_drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2];
	unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	long cap;

	for (cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break; /* past the last capability of this kernel */
			return err_sys(e, -errno, "bounding set");
		}
	}
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return err_sys(e, -errno, "securebits");
	memset(none, 0, sizeof(none));
	if (syscall(SYS_capset, &h, none) < 0)
		return err_sys(e, -errno, "capset");
	return 0;
}

/* 10-14. After this, PID 1 can do no more than the command will be able to. */
static int stage_confine(struct child *c, struct err *e)
{
	const struct jail_spec *spec = c->spec;
	unsigned int *lost = &c->apply.lost;
	int r;

	r = stage_drop_capabilities(e);
	if (r < 0)
		return jail_layer_lost(JAIL_LAYER_CAPS, 0, lost, e);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		(void)err_sys(e, -errno, "no_new_privs");
		return jail_layer_lost(JAIL_LAYER_NNP, 0, lost, e);
	}
	if (chdir(spec->cwd) < 0)
		return err_sys(e, -errno, "working directory '%s'", spec->cwd);
	if (c->ruleset >= 0) {
		r = landlock_enforce(c->ruleset);
		if (r < 0) {
			(void)err_sys(e, r, "landlock_restrict_self");
			r = jail_layer_lost(JAIL_LAYER_LANDLOCK, spec->allow_degraded, lost, e);
			if (r < 0)
				return r;
		}
	}
	r = stage_check_stdio(c, e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, -errno, "dumpable");
	r = seccomp_install();
	if (r < 0) {
		(void)err_sys(e, r, "seccomp filter");
		return jail_layer_lost(JAIL_LAYER_SECCOMP, spec->allow_degraded, lost, e);
	}
	return 0;
}

/* 6. Until here PID 1 knew nothing of the run; from here on it can only read what the launcher wrote. */
static int stage_take_spec(struct child *c, void *shared, size_t size, struct err *e)
{
	struct hand_over m;
	int fds[8], r;
	size_t i;

	r = take(c->sock, &m, fds, e);
	if (r < 0)
		return r;
	if (mprotect(shared, size, PROT_READ) < 0)
		return err_sys(e, -errno, "shared memory");
	c->lock = fds[0];
	c->spec = c->apply.spec = m.spec;
	c->apply.src = malloc((m.spec->plan->n + 1) * sizeof(int));
	if (!c->apply.src)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (i = 0; i < m.spec->plan->n; i++)
		c->apply.src[i] = -1;
	return m.spec->id->mode == JAIL_IDS_CALLER ? 0 : stage_ids_given(c, e);
}

static int stage_mounts(struct child *c, struct err *e)
{
	mode_t mask = umask(0);
	int r;

	stage_open_namespaces(c);
	r = jail_plan_apply(&c->apply, e);
	(void)umask(mask);
	/* a call that this kernel lacks, or that a container engine refuses, is a missing layer */
	if (r < 0 && e->code == ERR_SYSTEM && (r == -ENOSYS || r == -EPERM))
		r = jail_layer_lost(JAIL_LAYER_ROOTFS, 0, &c->apply.lost, e);
	return r;
}

static int build(struct child *c, void *shared, size_t size, struct err *e)
{
	uid_t uid = c->uid;
	int joined, r;

	r = stage_die_with_parent(c->sock);
	if (r < 0)
		return err_sys(e, r, "launcher");
	r = uid ? stage_ids_self(uid, c->gid, e) : 0;
	if (r < 0)
		return r;
	r = netns_begin(&c->net);
	if (r < 0)
		return err_sys(e, r, "helper thread");
	r = stage_take_spec(c, shared, size, e);
	if (r == 0)
		r = stage_mounts(c, e);
	if (r == 0)
		r = stage_sockets(c, e);
	joined = netns_join(&c->net);
	if (r == 0 && joined < 0) {
		(void)err_sys(e, joined, "network namespace: %s", c->net.step);
		r = jail_layer_lost(JAIL_LAYER_NETNS, 0, &c->apply.lost, e);
	}
	if (r == 0)
		r = stage_open(c, e);
	if (r == 0)
		r = stage_confine(c, e);
	if (r == 0)
		r = jail_verify(c->spec, c->apply.lost, e);
	return r;
}

/* The block of ids stays locked while PID 1 lives, also when the launcher was killed. */
static int close_all_but(int sock, int lock)
{
	int a = sock < lock || lock < 0 ? sock : lock, b = sock < lock || lock < 0 ? lock : sock,
	    r = 0;

	if (a > 3)
		r = sys_close_range(3, (unsigned int)a - 1);
	if (r == 0 && b > a + 1)
		r = sys_close_range((unsigned int)a + 1, (unsigned int)b - 1);
	if (r == 0)
		r = sys_close_range((unsigned int)(b > a ? b : a) + 1, ~0u);
	return r;
}

/* stdin was opened anew when it is a regular file (jail_streams_reopen()): whoever reads on after the run must go on where it ended. */
static int copy_of_stdin(void)
{
	struct stat st;

	return fstat(0, &st) == 0 && S_ISREG(st.st_mode) ? fcntl(0, F_DUPFD_CLOEXEC, 3) : -1;
}

/* PID 1. Only 0-2, the report socket and the lock are open in it when the entry runs; all but 0-2 close on exec. */
static void __attribute__((noreturn)) child_main(struct child *c, void *shared, size_t size)
{
	struct jail_msg msg = { .type = JAIL_MSG_FAILED, .offset = -1 };
	bool namespaces;
	int r, copy = -1;

	r = build(c, shared, size, &msg.err);
	if (r < 0) {
		(void)fd_send(c->sock, &msg, sizeof(msg), NULL,
			      0); /* a launcher that is gone needs no report */
		_exit(125);
	}
	msg.lost = c->apply.lost;
	msg.type = JAIL_MSG_READY;
	namespaces = c->service[0] >= 0 && c->service[1] >= 0;
	r = fd_send(c->sock, &msg, sizeof(msg), c->service, namespaces ? 2 : 0);
	/* the mounts' fds could be used to climb out of nothing any more, but the command's parent should hold no more than it needs */
	if (r == 0)
		r = close_all_but(c->sock, c->lock);
	if (r < 0)
		(void)err_sys(&msg.err, r, "report to the launcher");
	if (r == 0)
		copy = copy_of_stdin();
	if (r == 0 && !c->spec->dry_run)
		r = c->spec->entry(c->spec->arg, &msg.status, &msg.err);
	if (copy >= 0)
		msg.offset = lseek(copy, 0, SEEK_CUR);
	msg.type = r < 0 ? JAIL_MSG_FAILED : JAIL_MSG_ENDED;
	(void)fd_send(c->sock, &msg, sizeof(msg), NULL, 0); /* as above */
	_exit(r < 0 ? 125 : 0);
}

/* Write one id map of @pid; the launcher is root here. */
static int write_map(pid_t pid, const char *file, unsigned int inside, unsigned int host,
		     unsigned int count, struct err *e)
{
	char path[64], map[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	(void)snprintf(map, sizeof(map), "%u %u %u\n", inside, host, count);
	r = fd_write_file(AT_FDCWD, path, map);
	return r < 0 ? err_sys(e, r, "%s of the user namespace", file) : 0;
}

/*
 * Anonymous pipes on 0-2 belong to whoever made them; the command has other ids, and could not open them again as /dev/stdout does. As with
 * every pipe, who has the fd can use it: the owner only matters to that.
 */
static void give_pipes(const struct jail_identity *id)
{
	struct statfs sfs;
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fstatfs(fd, &sfs) == 0 && sfs.f_type == PIPEFS_MAGIC &&
		    fchown(fd, id->host_uid, id->host_gid) < 0)
			continue; /* only a convenience */
	}
}

/* The launcher's half of stage 6 for root. -EOPNOTSUPP: the block can't be used for these mounts. */
static int give_ids(const struct jail *jail, const struct jail_spec *spec, struct err *e)
{
	const struct jail_identity *id = spec->id;
	const struct jail_plan *p = spec->plan;
	_cleanup_close_ int userns = -1;
	bool block = id->mode == JAIL_IDS_BLOCK;
	unsigned int count = block ? JAIL_BLOCK_SIZE : 1;
	struct hand_over m;
	char path[64];
	size_t i;
	int r, fd;

	r = write_map(jail->pid, "uid_map", id->uid, id->host_uid, count, e);
	if (r == 0)
		r = write_map(jail->pid, "gid_map", id->gid, id->host_gid, count, e);
	if (r < 0)
		return block && (r == -EPERM || r == -EINVAL) ?
			       -EOPNOTSUPP :
			       r; /* root of an outer user namespace */
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", jail->pid);
	userns = open(path, O_RDONLY | O_CLOEXEC);
	if (userns < 0)
		return err_sys(e, -errno, "%s", path);
	give_pipes(id);
	for (i = 0; block && i < p->n; i++) {
		const struct jail_op *op = &p->ops[i];

		if (op->type != JAIL_OP_BIND && !(op->flags & JAIL_OP_MAPPED))
			continue;
		fd = jail_source(op, userns, e);
		if (fd < 0)
			return fd == -EINVAL || fd == -EPERM ? -EOPNOTSUPP : fd;
		m.op = i;
		r = fd_send(jail->sock, &m, sizeof(m.op), &fd, 1);
		(void)close(fd);
		if (r < 0)
			return err_sys(e, r, "PID 1");
	}
	m.op = HAND_OVER_GO;
	r = fd_send(jail->sock, &m, sizeof(m.op), NULL, 0);
	return r < 0 ? err_sys(e, r, "PID 1") : 0;
}

/* A PID 1 that is gone has sent its reason, which jail_recv() gets. */
static int give(struct jail *jail, const struct hand_over *m, size_t n, struct err *e)
{
	int r = fd_send(jail->sock, m, n, NULL, 0);

	return r < 0 && r != -EPIPE && r != -ECONNRESET ? err_sys(e, r, "PID 1") : 0;
}

/* The launcher's half of stage 8, while PID 1 is at stage 7. */
static int give_sockets(struct jail *jail, const struct jail_spec *spec, struct err *e)
{
	struct jail_sockets found = { .paths = NULL, .n = 0 };
	struct hand_over m = { .op = HAND_OVER_SOCKET };
	size_t i;
	int r;

	jail->searched = true;
	r = jail_sockets_find(spec->plan, &found, &jail->searched, e);
	if (r < 0)
		r = jail_layer_lost(JAIL_LAYER_SOCKETS, spec->allow_degraded, &jail->lost, e);
	for (i = 0; r == 0 && i < found.n; i++) {
		size_t n = strlen(found.paths[i]) + 1;

		memcpy(m.path, found.paths[i], n);
		r = give(jail, &m, offsetof(struct hand_over, path) + n, e);
	}
	jail_sockets_done(&found);
	m.op = HAND_OVER_GO;
	return r == 0 ? give(jail, &m, sizeof(m.op), e) : r;
}

int jail_begin(struct jail *jail, void *shared, size_t size, struct err *e)
{
	struct clone_args args = { .flags = CLONE_FLAGS, .exit_signal = SIGCHLD };
	struct child *c =
		calloc(1, sizeof(*c)); /* holds the helper's stack, so it is not on ours */
	unsigned int lost = 0;
	int pair[2];
	long pid;

	*jail = (struct jail)JAIL_INIT;
	if (!c)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(c);
		return err_sys(e, -errno, "socketpair");
	}
	c->sock = pair[1];
	c->lock = c->ruleset = c->service[0] = c->service[1] = c->apply.root = c->apply.stage = -1;
	c->uid = geteuid();
	c->gid = getegid();
	pid = sys_clone3(&args);
	if (pid ==
	    -ENOSYS) /* some container engines' filters; nothing is lost. FIXME: drop when none does */
		pid = sys_call(SYS_clone, CLONE_FLAGS | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		(void)close(pair[0]);
		child_main(c, shared, size);
	}
	free(c);
	(void)close(pair[1]);
	jail->sock = pair[0];
	if (pid < 0) {
		jail_done(jail);
		(void)err_sys(e, (int)pid, "clone into new namespaces");
		return jail_layer_lost(JAIL_LAYER_USERNS, 0, &lost, e);
	}
	jail->pid = (pid_t)pid;
	return 0;
}

int jail_continue(struct jail *jail, const struct jail_spec *spec, struct err *e)
{
	struct hand_over m = { .spec = spec };
	int r;

	/* a PID 1 that is gone has sent its reason: jail_recv() */
	(void)fd_send(jail->sock, &m, sizeof(m.op), &spec->id->lock, spec->id->lock >= 0);
	r = spec->id->mode == JAIL_IDS_CALLER ? 0 : give_ids(jail, spec, e);
	return r < 0 ? r : give_sockets(jail, spec, e);
}

void jail_abort(struct jail *jail)
{
	if (jail->pid > 0) {
		(void)kill(jail->pid, SIGKILL); /* our child, not reaped yet */
		while (waitpid(jail->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	jail_done(jail);
	jail->pid = -1;
}

int jail_recv(struct jail *jail, struct jail_msg *msg)
{
	int fds[8];
	ssize_t n;
	size_t i;

	/* ECONNRESET: PID 1 ended with something unread; it comes before what PID 1 said last */
	do {
		n = fd_recv(jail->sock, msg, sizeof(*msg), fds, MSG_DONTWAIT);
	} while (n == -ECONNRESET);
	if (n <= 0)
		return (int)n;
	if (n != (ssize_t)sizeof(*msg)) {
		for (i = 0; i < ARRAY_SIZE(fds); i++)
			cleanup_close(&fds[i]);
		return -EBADMSG;
	}
	msg->err.msg[sizeof(msg->err.msg) - 1] = '\0';
	msg->err.where[sizeof(msg->err.where) - 1] = '\0';
	if (msg->type == JAIL_MSG_READY && jail->userns < 0) {
		jail->userns = TAKE_FD(fds[0]);
		jail->mntns = TAKE_FD(fds[1]);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_close(&fds[i]);
	return 1;
}

void jail_done(struct jail *jail)
{
	int *fds[] = { &jail->sock, &jail->userns, &jail->mntns };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		cleanup_close(fds[i]);
		*fds[i] = -1;
	}
}
