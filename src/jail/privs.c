/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: every privilege step of a sandbox, in order, with its reason. The launcher clones PID 1 into new namespaces before it
 * knows the plan, because a network namespace takes the kernel longer than everything else; then it plans, and hands over. PID 1
 * ends in spec->entry() or in one message and _exit(); it never returns into the launcher's code.
 *
 *  launcher  1  block signals               PID 1 starts with none pending and takes them by sigwaitinfo
 *            2  clone3, three namespaces    (clone.c; root in a chroot leaves it first) user, mount, pid: the rest is off the launcher's way
 *  PID 1     3  die with the launcher       before anything exists that could outlive it
 *            4  ids                         only a mapped id can change a mount namespace. Root's maps, and those of sandboxes that stay, are
 *                                           the launcher's to write
 *            5  ipc, uts, cgroup namespaces   before anything that could show the host's
 *            6  stage (stage.c)             what needs no plan: tmpfs, devices, devpts, proc, while the launcher plans; the bounding set, because
 *                                           nothing is exec'd from here on but the command, and dropping it takes a call for each capability
 *            7  network namespace           in a helper thread, which waits until there is a CPU for it, and is joined in 10
 *            8  take the plan; mounts (plan-apply.c)   needs capabilities in the user namespace; nothing hostile runs yet
 *            9  mask live sockets; Landlock ruleset   opened while all paths are still open
 *           10  join the network namespace; its sockets to the launcher, where there is a gateway (capture.c); limits (limit.c)   the last uses of
 *               CAP_SYS_ADMIN
 *           11  securebits, capabilities    before no_new_privs only because setpcap is needed for the first
 *           12  no_new_privs                Landlock and seccomp need it; set-id programs gain nothing
 *           13  Landlock                    before seccomp, whose filter needs not know its calls then
 *           14  not dumpable                PID 1 is a copy of the launcher: its memory holds the caller's environment
 *           15  seccomp                     last: everything before needs calls that it refuses. A listener, where one is asked for, just before
 *           16  verify (verify.c)           retry what must now fail
 *
 * That is the profile `run`. A sandbox that stays and has a root inside (jail_identity_rooted(), docs/adr/0031) has the profile `sandbox`, which differs in
 *
 *            6  bounding set                what sudo can lead to: kept[] below, each with its reason
 *           12  no no_new_privs             set-id programs of the sandbox's own root gain its ids. Everything else is nosuid (plan-apply.c)
 *        13-15  first, with CAP_SYS_ADMIN   Landlock and seccomp take either that or no_new_privs
 *           11  last                        PID 1 becomes the sandbox's root, and keeps what it needs to start commands as anybody: own[] below.
 *                                           A command has none of it: the change of ids takes it, and the exec of root's gives kept[] and no more
 */
#include <errno.h>
#include <fcntl.h>
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

#include "clone.h"
#include "cpus.h"
#include "filter.h"
#include "hand-over.h"
#include "jail.h"
#include "landlock.h"
#include "listen.h"
#include "maps.h"
#include "netns.h"
#include "plan-apply.h"
#include "sockets.h"

#include "verify.h"

#define LANDLOCK_ABI_SCOPES 6

struct child {
	const struct jail_spec *spec;
	int sock;
	bool given, rooted; /* the ids come from the launcher; there is a root inside */
	unsigned int
		unscoped; /* the bit of Landlock: its scopes can't be had, which is accepted; it judges files all the same */
	int lock; /* holds the block of ids as long as PID 1 lives */
	int held; /* spec->held */
	struct jail_apply apply;
	struct netns net;
	int ruleset;
	uid_t uid; /* the caller's, before the clone */
	gid_t gid;
	/* namespaces, for what is mounted later; then what jail_watch_memory() needs */
	int service[JAIL_NS_NUM + JAIL_WATCH_NUM];
	int cgroups[8]; /* by which PID 1 enters its cgroups */
	struct cpus cpus;
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
	return clone_without_rights(r, e);
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

/* 5. One call for all; which was refused is only asked when it matters. */
static int stage_namespaces(struct child *c, struct err *e)
{
	static const struct {
		int flag;
		enum jail_layer layer;
	} kinds[] = { { CLONE_NEWIPC, JAIL_LAYER_IPCNS },
		      { CLONE_NEWUTS, JAIL_LAYER_UTSNS },
		      { CLONE_NEWCGROUP, JAIL_LAYER_CGROUPNS } };
	size_t i;

	if (unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) == 0)
		return 0;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (unshare(kinds[i].flag) < 0) {
			(void)err_sys(e, -errno, "unshare");
			return jail_layer_lost(kinds[i].layer, 0, &c->apply.lost, e);
		}
	}
	return 0;
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

/* 4, root: the launcher writes the maps; then become the mapped id. */
static int stage_ids_given(struct child *c, struct err *e)
{
	struct hand_over m;
	int fds[8], r;

	r = take(c->sock, &m, fds, e);
	if (r < 0)
		return r;
	c->lock = fds[0];
	c->rooted = jail_identity_rooted(m.id);
	if (drop_groups() < 0 || setresgid(m.id->gid, m.id->gid, m.id->gid) < 0 ||
	    setresuid(m.id->uid, m.id->uid, m.id->uid) < 0)
		return err_sys(e, -errno, "become uid %u", (unsigned int)m.id->uid);
	/* a change of ids clears the death signal */
	r = stage_die_with_parent(c->sock);
	return r < 0 ? err_sys(e, r, "launcher") : 0;
}

/* 8, root: mounts with mapped owners, which only the launcher can make. */
static int stage_take_mounts(struct child *c, struct err *e)
{
	struct hand_over m;
	int fds[8], r;

	for (;;) {
		r = take(c->sock, &m, fds, e);
		if (r < 0 || m.op == HAND_OVER_GO)
			return r;
		if (m.op >= c->spec->plan->n)
			return err_set(e, ERR_SYSTEM, -EBADMSG, "hand-over out of range");
		c->apply.src[m.op] = fds[0];
		c->apply.store[m.op] = fds[1];
	}
}

/* 9. The launcher has searched the direct trees meanwhile. */
static int stage_sockets(struct child *c, struct err *e)
{
	struct hand_over m;
	int r;

	for (;;) {
		r = take(c->sock, &m, c->cgroups, e);
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

	c->ruleset = c->spec->nested == JAIL_NESTED_SANDBOX ? landlock_scopes(e) :
							      landlock_prepare(c->spec->plan, e);
	/* in a network of its own the command meets no abstract socket of the host's; in the host's, only a scope keeps it from them */
	if (c->spec->network == JAIL_NETWORK_HOST && jail_landlock_abi() < LANDLOCK_ABI_SCOPES) {
		(void)err_set(e, ERR_LAYER, -EOPNOTSUPP,
			      "abstract sockets of the host can't be refused");
		r = jail_layer_lost(JAIL_LAYER_LANDLOCK, c->spec->allow_degraded, &c->unscoped, e);
		if (r < 0)
			return r;
	}
	if (c->ruleset == -ENODATA)
		return 0;
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
	c->service[JAIL_NS_USER] = openat(AT_FDCWD, "/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	c->service[JAIL_NS_MNT] = openat(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	/* the host's, until there is another */
	c->service[JAIL_NS_NET] = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/*
 * What the sandbox's root may have, all of it over ids of this user namespace alone. What of the kernel it could reach by that stays shut by the
 * filter: mounts, namespaces, bpf, perf, userfaultfd, io_uring, keyrings, raw and packet sockets, open_by_handle_at.
 */
static const unsigned char kept[] = {
	CAP_CHOWN, /* dpkg, useradd: give files to the sandbox's users */
	CAP_DAC_OVERRIDE, /* root reads and writes what its users closed; files of unmapped owners stay closed */
	CAP_FOWNER,  /* chmod and utimes of the users' files: tar, dpkg, rsync */
	CAP_FSETID,  /* a set-gid bit survives chmod: dpkg */
	CAP_KILL,    /* root ends what its users started */
	CAP_SETGID,  /* sudo, su, apt's _apt, daemons that give up root */
	CAP_SETUID,  /* the same */
	CAP_SETFCAP, /* setcap in packages; the kernel writes down that they are this namespace's, so they are nothing on the host */
	CAP_NET_BIND_SERVICE, /* servers on ports below 1024 of the sandbox's own network */
	CAP_NET_RAW, /* exec of a file that has it (ping) fails without; the sockets that it is for are refused by the filter */
	CAP_SYS_CHROOT, /* daemons that close themselves in; the mounts stay what they are */
};

/* What PID 1 itself keeps of it. */
static const unsigned char own[] = {
	CAP_CHOWN,  /* a command's terminal is its user's */
	CAP_KILL,   /* signals for commands of every user, and the end of all */
	CAP_SETGID, /* a command's groups */
	CAP_SETUID, /* a command's user */
};

static uint64_t mask_of(const unsigned char *list, size_t n)
{
	uint64_t mask = 0;

	while (n-- > 0)
		mask |= UINT64_C(1) << list[n];
	return mask;
}

uint64_t jail_caps_kept(void)
{
	return mask_of(kept, ARRAY_SIZE(kept));
}

uint64_t jail_caps_own(void)
{
	return mask_of(own, ARRAY_SIZE(own));
}

/* 6. What PID 1 has it keeps; nothing more can be gained by an exec any more. */
static int stage_bounding_set(struct child *c, struct err *e)
{
	const uint64_t keep = c->rooted ? jail_caps_kept() : 0;
	long cap;

	for (cap = 0; cap < 64; cap++) {
		if ((keep >> cap & 1) || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break; /* past the last capability of this kernel */
		(void)err_sys(e, -errno, "bounding set");
		return jail_layer_lost(JAIL_LAYER_CAPS, 0, &c->apply.lost, e);
	}
	return 0;
}

/* 11. Should leave nothing that an exec could bring back. Mustn't be followed by anything that needs a capability. */
static int stage_drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2];
	/* KEEP_CAPS is not locked: there is nothing to keep, and ping ends when it can't set it */
	unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
			     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return err_sys(e, -errno, "securebits");
	memset(none, 0, sizeof(none));
	if (syscall(SYS_capset, &h, none) < 0)
		return err_sys(e, -errno, "capset");
	return 0;
}

/* 11, 12 of the profile `run`. */
static int stage_no_privileges(struct child *c, struct err *e)
{
	int r = stage_drop_capabilities(e);

	if (r < 0)
		return jail_layer_lost(JAIL_LAYER_CAPS, 0, &c->apply.lost, e);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		(void)err_sys(e, -errno, "no_new_privs");
		return jail_layer_lost(JAIL_LAYER_NNP, 0, &c->apply.lost, e);
	}
	return 0;
}

/*
 * 11 of the profile `sandbox`. Should leave PID 1 what it needs to start commands. Mustn't leave it what makes it a better target than a command of root:
 * it is not dumpable in the host's user namespace, so nothing inside may trace it or read its memory, whatever it has.
 */
static int stage_become_root(struct child *c, struct err *e)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint64_t keep = jail_caps_own();
	struct __user_cap_data_struct d[2] = {
		{ .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
		{ .effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32) }
	};
	int r;

	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(e, -errno, "become root of the sandbox");
	r = stage_die_with_parent(
		c->sock); /* a change of ids clears the death signal, and what is dumpable */
	if (r < 0)
		return err_sys(e, r, "launcher");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, -errno, "dumpable");
	if (syscall(SYS_capset, &h, d) < 0) {
		(void)err_sys(e, -errno, "capset");
		return jail_layer_lost(JAIL_LAYER_CAPS, 0, &c->apply.lost, e);
	}
	return 0;
}

/* What a nested root could leave on the disk, the filter alone refuses. */
static int filter_needed(struct err *e)
{
	const struct jail_layer_info *info = jail_layer_info(JAIL_LAYER_SECCOMP);
	char cause[sizeof(e->msg)];

	memcpy(cause, e->msg, sizeof(cause));
	(void)snprintf(e->where, sizeof(e->where), "%s", info->name);
	return err_set(
		e, ERR_LAYER, -EPERM,
		"layer '%s' is missing: %.60s; with user namespaces or a root inside, or --strict-protect, it can't be given up. Mend: %s",
		info->name, cause, info->mend);
}

/* 11-15. After this, PID 1 can do no more than the command will be able to. */
static int stage_confine(struct child *c, struct err *e)
{
	const struct jail_spec *spec = c->spec;
	const bool rooted = jail_identity_rooted(spec->id);
	unsigned int *lost = &c->apply.lost;
	int r;

	r = rooted ? 0 : stage_no_privileges(c, e);
	if (r < 0)
		return r;
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
	r = jail_streams_check(&c->apply, e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, -errno, "dumpable");
	r = jail_listen(spec, c->sock, e);
	if (r < 0)
		return r;
	r = seccomp_install(spec->nested, spec->id->mode == JAIL_IDS_BLOCK, rooted);
	if (r < 0) {
		(void)err_sys(e, r, "seccomp filter");
		r = spec->nested || spec->strict || rooted ?
			    filter_needed(e) :
			    jail_layer_lost(JAIL_LAYER_SECCOMP, spec->allow_degraded, lost, e);
	}
	return r == 0 && rooted ? stage_become_root(c, e) : r;
}

/* 8. Until here PID 1 knew nothing of the run; from here on it can only read what the launcher writes. */
static int stage_take_frame(struct child *c, struct jail_shared *shared, size_t size, struct err *e)
{
	struct hand_over m;
	int fds[8], r;

	r = take(c->sock, &m, fds, e);
	if (r < 0)
		return r;
	if (mprotect(shared, size, PROT_READ) < 0)
		return err_sys(e, -errno, "shared memory");
	cpus_push(c->net.tid, &c->cpus); /* to where the launcher is, who has little more to do */
	if (!m.frame || jail_streams_regular())
		return 0;
	r = jail_plan_apply_early(&c->apply, m.frame, e);
	return r < 0 ? jail_rootfs_lost(&c->apply.lost, r, e) : 0;
}

static int stage_take_spec(struct child *c, struct err *e)
{
	struct hand_over m;
	int fds[8], r;
	size_t i;

	r = take(c->sock, &m, fds, e);
	if (r < 0)
		return r;
	if (!m.spec)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "hand-over without a spec");
	cpus_restore(&c->cpus);
	c->spec = c->apply.spec = m.spec;
	c->held = fds[0];
	c->apply.src = malloc((m.spec->plan->n + 1) * sizeof(int));
	c->apply.store = malloc((m.spec->plan->n + 1) * sizeof(int));
	if (!c->apply.src || !c->apply.store)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (i = 0; i < m.spec->plan->n; i++)
		c->apply.src[i] = c->apply.store[i] = -1;
	return jail_gives_mounts(m.spec->id) ? stage_take_mounts(c, e) : 0;
}

static int stage_mounts(struct child *c, struct err *e)
{
	const char *host = c->spec->hostname;
	int r = host && sethostname(host, strlen(host)) < 0 ? err_sys(e, -errno, "host name") :
							      jail_plan_apply(&c->apply, e);

	return r < 0 ? jail_rootfs_lost(&c->apply.lost, r, e) : 0;
}

/* 10. Into the cgroups when the helper thread has gone; before anything hostile. */
static int stage_limits(struct child *c, struct err *e)
{
	if (!c->spec || !c->spec->limits)
		return 0;
	netns_gone(&c->net);
	return jail_limits_apply(&c->apply, c->cgroups, c->service + JAIL_NS_NUM, e);
}

/* 6, 7: while the launcher plans. */
static int stage_prepare(struct child *c, const struct jail_shared *shared, struct err *e)
{
	int r = stage_make(&c->apply.stage, e);

	if (r < 0)
		return jail_rootfs_lost(&c->apply.lost, r, e);
	stage_open_namespaces(c);
	r = stage_bounding_set(c, e);
	return r < 0 ? r : netns_begin(&c->net, &shared->gate, shared->host_ports, e);
}

/* 10. The sockets leave before anything hostile runs; PID 1 keeps none of them. */
static int stage_network(struct child *c, struct err *e)
{
	const struct wire_msg msg = { .type = WIRE_NETWORK };
	struct capture *n = &c->net.capture;
	size_t i;
	int r;

	capture_settings(TAKE_FD(c->apply.sysctl), c->rooted ? 0 : c->spec->id->gid,
			 c->rooted ? JAIL_BLOCK_SIZE - 1 : c->spec->id->gid);
	if (n->lost) {
		(void)err_sys(e, n->lost, "nftables");
		r = jail_layer_lost(JAIL_LAYER_CAPTURE, c->spec->allow_degraded, &c->apply.lost, e);
		if (r < 0)
			return r;
	}
	r = wire_send(c->sock, &msg, n->sock, JAIL_NET_NUM, true);
	for (i = 0; i < JAIL_NET_NUM; i++) {
		cleanup_close(&n->sock[i]);
		n->sock[i] = -1;
	}
	return r < 0 ? err_sys(e, r, "report to the launcher") : 0;
}

static int stage_join(struct child *c, struct err *e)
{
	const int host = c->service[JAIL_NS_NET];
	int r = netns_join(&c->net, &c->service[JAIL_NS_NET]);

	if (c->service[JAIL_NS_NET] != host) /* else the host's is the sandbox's, too */
		cleanup_close(&host);
	if (r == 0)
		return c->spec->network == JAIL_NETWORK_GATEWAY ? stage_network(c, e) : 0;
	(void)err_sys(e, r, "network namespace: %s", c->net.step);
	return jail_layer_lost(JAIL_LAYER_NETNS, 0, &c->apply.lost, e);
}

/* A failure ends in _exit(), which ends the helper thread, too. */
static int build(struct child *c, struct jail_shared *shared, size_t size, struct err *e)
{
	mode_t mask;
	int r;

	r = stage_die_with_parent(c->sock);
	if (r < 0)
		return err_sys(e, r, "launcher");
	jail_mountinfo_read(&shared->mounts); /* before any changes */
	r = c->given ? 0 : stage_ids_self(c->uid, c->gid, e);
	if (r == 0)
		r = stage_namespaces(c, e);
	if (r < 0)
		return r;
	mask = umask(0);
	r = c->given ? stage_ids_given(c, e) : 0;
	if (r == 0)
		r = stage_prepare(c, shared, e);
	if (r == 0)
		r = stage_take_frame(c, shared, size, e);
	if (r == 0)
		r = stage_take_spec(c, e);
	if (r == 0)
		r = stage_mounts(c, e);
	(void)umask(mask);
	if (r == 0)
		r = stage_sockets(c, e);
	if (r == 0)
		r = stage_open(c, e);
	if (r == 0)
		r = stage_join(c, e);
	if (r == 0)
		r = stage_limits(c, e);
	if (r == 0)
		r = stage_confine(c, e);
	if (r == 0)
		r = jail_verify(&c->apply, c->sock, e);
	return r;
}

/* stdin was opened anew when it is a regular file (jail_streams_reopen()): whoever reads on after the run must go on where it ended. */
static int copy_of_stdin(void)
{
	struct stat st;

	return fstat(0, &st) == 0 && S_ISREG(st.st_mode) ? fcntl(0, F_DUPFD_CLOEXEC, 3) : -1;
}

static void __attribute__((noreturn)) child_fail(const struct child *c, const struct err *e)
{
	struct wire_msg msg = { .type = WIRE_FAILED, .failed = *e };

	(void)wire_send(c->sock, &msg, NULL, 0, true); /* a launcher that is gone needs no report */
	_exit(125);
}

/* PID 1. Only 0-2, the report socket and the lock are open in it when the entry runs; all but 0-2 close on exec. */
static void __attribute__((noreturn))
child_main(struct child *c, struct jail_shared *shared, size_t size)
{
	struct wire_msg msg = { .type = WIRE_READY };
	struct err e = ERR_INIT;
	int r, status = 0, copy = -1;
	int64_t offset = -1;
	size_t n = 0;

	r = build(c, shared, size, &e);
	if (r < 0)
		child_fail(c, &e);
	msg.ready.lost = c->apply.lost | c->unscoped;
	while (n < ARRAY_SIZE(c->service) && c->service[n] >= 0)
		n++;
	r = wire_send(c->sock, &msg, c->service, n < JAIL_NS_NUM ? 0 : n, true);
	/* the mounts' fds could be used to climb out of nothing any more, but the command's parent should hold no more than it needs */
	if (r == 0)
		/* the block of ids, and what the caller wants to be held, stay locked while PID 1 lives, also when the launcher was killed */
		r = fd_close_others((int[3]){ c->sock, c->lock, c->held }, 3);
	if (r < 0)
		(void)err_sys(&e, r, "report to the launcher");
	if (r == 0 && c->spec->limits)
		r = jail_limits_files(c->spec->limits, &e);
	if (r == 0)
		copy = copy_of_stdin();
	if (r == 0 && !c->spec->dry_run)
		r = c->spec->entry(c->spec->arg, c->sock, &status, &e);
	if (r < 0)
		child_fail(c, &e);
	if (copy >= 0)
		offset = lseek(copy, 0, SEEK_CUR);
	msg = (struct wire_msg){ .type = WIRE_ENDED,
				 .session = WIRE_COMMAND,
				 .ended = { .status = status, .offset = offset } };
	(void)wire_send(c->sock, &msg, NULL, 0, true); /* as above */
	_exit(0);
}

int jail_begin(struct jail *jail, bool given, struct jail_shared *shared, size_t size,
	       struct err *e)
{
	struct child c = {
		.lock = -1, .held = -1, .ruleset = -1, .apply.root = -1, .apply.sysctl = -1
	};
	int pair[2];
	long pid;

	*jail = (struct jail)JAIL_INIT;
	jail->shared = shared;
	jail->given = c.given = given || geteuid() == 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socketpair");
	c.sock = pair[1];
	memset(c.service, -1, sizeof(c.service));
	c.uid = geteuid();
	c.gid = getegid();
	cpus_read(&c.cpus);
	pid = clone_all();
	if (pid == 0) {
		(void)close(pair[0]);
		child_main(&c, shared, size);
	}
	if (pid > 0)
		cpus_push((pid_t)pid, &c.cpus);
	(void)close(pair[1]);
	jail->sock = pair[0];
	if (pid < 0) {
		jail_done(jail);
		return clone_refused((int)pid, e);
	}
	jail->pid = (pid_t)pid;
	return 0;
}
