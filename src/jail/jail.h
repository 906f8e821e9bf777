/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail: the process sandbox. Plan, apply, verify.
 *  1. jail_host_init(), jail_plan_make()   what will be mounted, as data (plan.h, host.h)
 *  2. jail_begin(), jail_identify(), jail_early(), jail_continue(), jail_go()   clone PID 1; give it its ids; tell it what to build,
 *                                          first what is certain; let it go on: it drops everything, verifies, calls spec->entry
 *  3. jail_recv()                          what PID 1 reports: ready, failed, started, stopped, ended (wire.h)
 *  4. jail_late()                          finish the searches of a large workspace (docs/adr/0003, 0007)
 *  5. limit.h                              what the run may use; without limits, nothing of it happens
 * The order of the privilege steps and their reasons stand in privs.c.
 */
#ifndef BAILEY_JAIL_H
#define BAILEY_JAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "family.h"
#include "freeze.h"
#include "freezer.h"
#include "host.h"
#include "limit.h"
#include "notify.h"
#include "plan.h"
#include "protect.h"
#include "util/util.h"
#include "wire/wire.h"

/* Mechanisms that the promise stands on (docs/adr/0005). */
enum jail_layer {
	JAIL_LAYER_USERNS,
	JAIL_LAYER_MOUNTNS,
	JAIL_LAYER_PIDNS,
	JAIL_LAYER_IPCNS,
	JAIL_LAYER_UTSNS,
	JAIL_LAYER_CGROUPNS,
	JAIL_LAYER_NETNS,
	JAIL_LAYER_IDS,
	JAIL_LAYER_ROOTFS,
	JAIL_LAYER_OVERLAY,
	JAIL_LAYER_PROC,
	JAIL_LAYER_CAPS,
	JAIL_LAYER_NNP,
	JAIL_LAYER_LANDLOCK,
	JAIL_LAYER_SECCOMP,
	JAIL_LAYER_SOCKETS,
	JAIL_LAYER_CGROUP,
	JAIL_LAYER_CAPTURE,
	JAIL_LAYER_NUM
};

struct jail_layer_info {
	const char *name;
	const char *what; /* what it does */
	const char *lost; /* what is lost without it; NULL: the run can't do without */
	const char *mend; /* how to get it */
};

/** jail_layer_info() - the row of @l; never NULL for a valid layer. */
const struct jail_layer_info *jail_layer_info(enum jail_layer l);

/** jail_layer_parse() - layer of that name. Return: the layer, or -ENOENT. */
int jail_layer_parse(const char *name);

/* How the ids of the sandbox stand to the host's (docs/adr/0002). */
enum jail_ids {
	JAIL_IDS_CALLER, /* ordinary user: the caller's uid and gid, one each */
	JAIL_IDS_BLOCK,  /* root: 0-65535 inside are a block of the host's free ids */
	JAIL_IDS_OWNER,  /* root, workspace can't be idmapped: one id, the workspace owner's */
	/* of sandboxes that stay (docs/adr/0031); these have a root inside, whom sudo leads to */
	JAIL_IDS_SUBIDS, /* ordinary user: his own id, and those of /etc/subuid */
	JAIL_IDS_KEPT,   /* root: a block that belongs to the sandbox as long as there is one */
};

#define JAIL_BLOCK_FIRST 0x70000000u
#define JAIL_BLOCK_SIZE 65536u
#define JAIL_BLOCK_COUNT 4093u /* of processes */

/* On the disk, what root's sandboxes have in volumes belongs to these ids: n inside is this + n. No process has one of them. */
#define JAIL_VOLUME_IDS (JAIL_BLOCK_FIRST + JAIL_BLOCK_COUNT * JAIL_BLOCK_SIZE)

/* What the command may do in namespaces that it makes (docs/adr/0012). Each is more than the one before. */
enum jail_nested {
	JAIL_NESTED_NONE,    /* it can make none */
	JAIL_NESTED_USERNS,  /* user namespaces, and others in them; no mounts: browsers */
	JAIL_NESTED_SANDBOX, /* mounts, too; then Landlock judges no files: sandboxes */
};

/* Inside, where a block of ids meets nested user namespaces: the kernel lets nobody map id 0 of the outer one without a capability. */
#define JAIL_NESTED_ID 1000u

struct jail_identity {
	enum jail_ids mode;
	uid_t uid; /* inside */
	gid_t gid;
	uid_t host_uid; /* the same, in host ids; of a block the first, which is 0 on the disk */
	gid_t host_gid;
	int lock; /* fd that holds the block, or -1 */
	/* JAIL_IDS_SUBIDS, JAIL_IDS_KEPT: in host ids what is 0 inside; and whose files on the disk are the command's where mounts are mapped */
	uid_t base, disk_uid;
	gid_t base_gid, disk_gid;
};

/* Of the profile `sandbox`, as bits: the bounding set, and what PID 1 itself has (privs.c says why). */
uint64_t jail_caps_kept(void);
uint64_t jail_caps_own(void);

/** jail_identity_rooted() - whether there is a root inside, and so a profile with set-id programs (privs.c). */
static inline bool jail_identity_rooted(const struct jail_identity *id)
{
	return id->mode == JAIL_IDS_SUBIDS || id->mode == JAIL_IDS_KEPT;
}

/* Whom commands in a sandbox that stays run as, unless they say it. */
struct jail_user {
	uid_t uid;
	gid_t gid;
	unsigned int
		block; /* as root: which block of ids belongs to the sandbox, 1 to LIMIT_KEPT_BLOCKS; 0: none */
	bool start; /* the block is taken, not only looked at */
};

#define JAIL_WHY 768

/**
 * jail_identity_stay() - ids of a sandbox that stays.
 * @workspace: as in jail_identity_choose()
 * @single: no root inside is wanted, or none can be had any more
 * @why: JAIL_WHY bytes: why there is no root inside, and the command that mends it; "" when there is one
 * Return: 0 or negative errno with @e.
 */
int jail_identity_stay(struct jail_identity *id, const struct jail_user *user,
		       const char *workspace, bool single, char *why, struct err *e);

/**
 * jail_identity_choose() - whom the command runs as.
 * @user: of a sandbox that stays, whose own block is taken; or NULL
 * @workspace: directory whose owner counts when the caller is root
 * Takes a block of ids when one is needed; jail_identity_done() gives it back.
 * Return: 0 or negative errno with @e.
 */
int jail_identity_choose(struct jail_identity *id, const struct jail_user *user,
			 const char *workspace, struct err *e);

/** jail_identity_owner() - fall back from a block to the owner of @workspace. Return: as jail_identity_choose(). */
int jail_identity_owner(struct jail_identity *id, const char *workspace, struct err *e);

/**
 * jail_identity_nest() - change @id, which was chosen, so that namespaces of the command's own can be used.
 * Return: 0; -EPERM with @e where the command would have the host's id 0: it could leave files there that give rights.
 */
int jail_identity_nest(struct jail_identity *id, struct err *e);

/**
 * jail_within() - call @fn where the files of all ids of @id can be changed: in a process of its own, or, as root, here.
 * Return: what it returns, 0 or negative errno; without @e then.
 */
int jail_within(const struct jail_identity *id, int (*fn)(void *arg), void *arg, struct err *e);

/** jail_identity_done() - release the block. */
void jail_identity_done(struct jail_identity *id);

/* Which calls a run's listener hears of (docs/adr/0018). */
enum jail_report {
	JAIL_REPORT_NONE,
	JAIL_REPORT_WRITES, /* that would change or make something */
	JAIL_REPORT_READS,  /* and opens for reading */
};

/* What network the command has. */
enum jail_network {
	JAIL_NETWORK_NONE,    /* its own loopback */
	JAIL_NETWORK_GATEWAY, /* what it sends is captured; WIRE_NETWORK */
	JAIL_NETWORK_HOST,    /* the host's, as it is */
};

/* The sockets that a sandbox with a gateway sends everything to (docs/adr/0013). */
enum jail_net {
	JAIL_NET_TCP,   /* captured connections; a socket's own name is the real target */
	JAIL_NET_DNS,   /* datagrams for port 53 of any address */
	JAIL_NET_HTTP,  /* 127.0.0.1:JAIL_NET_HTTP_PORT */
	JAIL_NET_SOCKS, /* 127.0.0.1:JAIL_NET_SOCKS_PORT */
	JAIL_NET_NUM
};

#define JAIL_NET_HTTP_PORT 3128u
#define JAIL_NET_SOCKS_PORT 1080u
#define JAIL_NET_CAPTURE_PORT 1 /* of JAIL_NET_TCP: tcpmux, which nobody uses */

/* 198.18.0.1, and ::1 of a /64 of our own: what the sandbox is itself. Names get others of the same ranges. */
#define JAIL_NET_OWN4 198, 18, 0, 1
#define JAIL_NET_NAMES6 0xfd, 'b', 'a', 'i', 'l', 'e', 'y', 0
#define JAIL_NET_OWN6 JAIL_NET_NAMES6, 0, 0, 0, 0, 0, 0, 0, 1

/* How a name comes to be. */
enum jail_make {
	JAIL_MAKE_FILE, /* or anything else that is neither of the others */
	JAIL_MAKE_DIR,  /* empty */
	JAIL_MAKE_LINK, /* symbolic */
	JAIL_MAKE_TREE, /* a directory, with what is in it */
};

/* Names that a run may not make (docs/adr/0023). */
struct jail_strict {
	/*
	 * Whether @name may not be made in the directory @dir, which is @path. @from: O_PATH of the directory that would get that name, or -1.
	 * Runs in the sandbox, while nothing else makes a name there. Return: NULL: it may; or which rule says no.
	 */
	const char *(*refuses)(const void *arg, int dir, const char *path, const char *name,
			       enum jail_make what, int from);
	const void *arg;
};

struct jail_spec {
	const struct jail_plan *plan; /* borrowed, as everything here */
	const struct jail_identity *id;
	const char *cwd;             /* where the command starts; inside a directory of the plan */
	unsigned int allow_degraded; /* bits 1 << enum jail_layer */
	enum jail_nested nested;
	enum jail_report report;
	const struct jail_strict *strict; /* or NULL; not with nested sandboxes */
	enum jail_network network;
	const char *hostname;       /* NULL: the host's */
	bool dry_run;               /* build, verify, report, end */
	bool large;                 /* jail_protect says so of what is writable */
	bool unprotected;           /* its search goes on in jail_late() */
	struct jail_limits *limits; /* NULL: none */
	int held; /* an fd that PID 1 keeps open as long as it lives (a lock), or -1 */
	/*
	 * Runs in PID 1 when the sandbox is complete and all privileges are gone; @sock is the wire to the supervisor. Must not return before every other process of the
	 * sandbox is dead. Return: 0 with the wait status of the command, or negative errno with @e.
	 */
	int (*entry)(void *arg, int sock, int *ret_status, struct err *e);
	void *arg;
};

#define JAIL_HOST_PORTS \
	7 /* so many of --allow-host-port are on the sandbox's own loopback, too: what fits into one message of rules */

/* What the memory that launcher and PID 1 share begins with; zeroed before jail_begin(). */
struct jail_shared {
	uint32_t gate; /* of the helper thread of PID 1: enum netns_gate (netns.h) */
	/* network order, ended by 0; said before jail_continue() */
	uint16_t host_ports[JAIL_HOST_PORTS + 1];
	struct jail_mountinfo mounts; /* read by PID 1, which has time for it */
};

/* The sandbox's namespaces that the launcher holds descriptors of. */
enum jail_ns { JAIL_NS_USER, JAIL_NS_MNT, JAIL_NS_NET, JAIL_NS_NUM };

struct jail {
	struct jail_shared *shared;
	bool given;                /* the launcher gives PID 1 its ids */
	pid_t pid;                 /* PID 1, as the host sees it; reap it */
	int sock;                  /* to PID 1 */
	int ns[JAIL_NS_NUM];       /* after WIRE_READY */
	enum wire_order order;     /* what PID 1 may still say */
	unsigned int lost;         /* layers that the launcher could not have, as bits */
	bool searched;             /* all direct trees were searched for sockets before the start */
	int watch[JAIL_WATCH_NUM]; /* after WIRE_READY, where memory must be watched */
	int net[JAIL_NET_NUM];     /* after WIRE_NETWORK; owned */
	int maker;   /* after WIRE_LISTENER, of a strict run: to who makes its names; owned */
	int drop[2]; /* jail_settle() */
};

#define JAIL_INIT                                                                     \
	{                                                                             \
		.pid = -1, .sock = -1, .ns = { -1, -1, -1 }, .watch = { -1, -1, -1 }, \
		.net = { -1, -1, -1, -1 }, .maker = -1, .drop = {                     \
			-1,                                                           \
			-1                                                            \
		}                                                                     \
	}

/**
 * jail_leave_chroot() - make the chroot that this process is in the root of a mount namespace of its own, when it is root and in one.
 * Should be called only where a user namespace was refused with EPERM, and before anything of the plan is opened: jail_begin() does so.
 * Return: 0: it was a chroot, and user namespaces can be made now; -EEXIST: it was none; -ENOTRECOVERABLE: this process must do nothing
 * more; other negative errno: all is as before.
 */
int jail_leave_chroot(void);

/**
 * jail_begin() - clone PID 1, which makes what needs no plan (its network namespace takes longest) and waits.
 * The caller must have no threads. 0-2 and the environment are those of the sandbox from here on.
 * @given: the ids are given by jail_identify() also to an ordinary user's PID 1
 * @shared, @size: memory mapped MAP_SHARED, where the spec and everything it points to will be, too; PID 1 only reads it
 * Return: 0; then jail_early() or jail_abort() must follow. Or negative errno with @e.
 */
int jail_begin(struct jail *jail, bool given, struct jail_shared *shared, size_t size,
	       struct err *e);

/**
 * jail_identify() - give PID 1 its ids. Should come as soon as they are known: PID 1 then makes what needs no plan.
 * @id: in the shared memory
 * Return: 0; -EOPNOTSUPP when a block of ids can't be had (try jail_identity_owner()); other negative errno with @e.
 */
int jail_identify(struct jail *jail, const struct jail_identity *id, struct err *e);

/**
 * jail_early() - let PID 1 mount what jail_plan_early() has found, while the rules are planned. Must be called, also when that is nothing.
 * @plan: in the shared memory
 * Return: 0 or negative errno with @e.
 */
int jail_early(struct jail *jail, const struct jail_plan *plan, struct err *e);

/**
 * jail_continue() - let PID 1 build the file system view.
 * @spec: in the shared memory, with all it points to (but for what was there before jail_begin()); plan and ids unchanged while the jail lives
 * Return: 0; -EOPNOTSUPP when the ids of @spec can't be had for its mounts (try jail_identity_owner()); other negative errno with @e.
 */
int jail_continue(struct jail *jail, const struct jail_spec *spec, struct err *e);

/**
 * jail_go() - look for live sockets in what the view shows, meanwhile; then let PID 1 mask them and run the command.
 * What spec->arg points to must be complete now. On success the caller supervises: jail_recv() on jail->sock until it ended, then waits for jail->pid.
 * Return: 0 or negative errno with @e.
 */
int jail_go(struct jail *jail, const struct jail_spec *spec, struct err *e);

/** jail_abort() - kill and reap PID 1, and with it everything in the sandbox; close the fds. */
void jail_abort(struct jail *jail);

/**
 * jail_recv() - the next message, if it may be said now; does not wait.
 * @ret_fd: the descriptor that came with WIRE_STARTED or WIRE_LISTENER, or -1; owned by the caller, unchecked
 * Return: 1; 0 when PID 1 has gone; -EAGAIN; other negative errno: PID 1 can't be believed any more.
 */
int jail_recv(struct jail *jail, struct wire_msg *msg, int *ret_fd);

/** jail_done() - close the fds; kills nothing. */
void jail_done(struct jail *jail);

/** jail_late_pending() - after WIRE_READY: whether jail_late() has anything to do. */
bool jail_late_pending(const struct jail *jail, const struct jail_protect *protect);

/** jail_settle() - after WIRE_READY, when no jail_late() will follow: do now, beside the command, what jail_done() would have to do at the end. */
void jail_settle(struct jail *jail);

/**
 * jail_late() - start a process that searches large direct trees to their end, for sockets and for protected names, and mounts over what it
 * finds. Should be called soon after WIRE_READY. @protect, @policy: of jail_protect_find().
 * Return: its pid, to be reaped; 0 when everything was searched already; or negative errno.
 */
int jail_late(const struct jail *jail, const struct jail_plan *plan,
	      const struct jail_protect *protect, const struct policy *policy);

/* A name that came after the start, as it was seen outside of the sandbox. */
struct jail_late_name {
	const char *path;
	dev_t dev, fs; /* as stat(2) says; and of the super block */
	ino_t ino;
	bool socket;    /* it stays when the sandbox bound it */
	bool given;     /* it stays when it is the one of the start */
	bool done, own; /* the answer: nothing is left to be done; it is the sandbox's own socket */
	bool gone;      /* done, because it is not there: it may come back */
};

#define JAIL_LATE_NAMES 64u /* at once */

/**
 * jail_late_cover() - mount over @names in the sandbox that runs: unreadable files and directories, dead sockets. Waits until it is done.
 * @ns: of the sandbox
 * Return: 0; negative errno: nothing was done.
 */
int jail_late_cover(const int ns[JAIL_NS_NUM], struct jail_late_name *names, size_t n);

/** jail_landlock_abi() - the kernel's Landlock ABI; 0 without. */
int jail_landlock_abi(void);

#endif
