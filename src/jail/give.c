/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's half of building a sandbox: what PID 1 is given while it goes through its stages (privs.c, where their order is). */
#include "hand-over.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clone.h"
#include "limit.h"
#include "maps.h"
#include "netns.h"
#include "plan-apply.h"
#include "sockets.h"

#define PIPEFS_MAGIC 0x50495045

/* Root alone can open what the command's ids can't. */
bool jail_gives_mounts(const struct jail_identity *id)
{
	return id->mode != JAIL_IDS_CALLER && id->mode != JAIL_IDS_SUBIDS;
}

/* A mount call that this kernel lacks, or that a container engine refuses, is a missing layer. */
int jail_rootfs_lost(unsigned int *lost, int r, struct err *e)
{
	if (e->code == ERR_SYSTEM && (r == -ENOSYS || r == -EPERM))
		return jail_layer_lost(JAIL_LAYER_ROOTFS, 0, lost, e);
	return r;
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

/* A PID 1 that is gone has sent its reason, which jail_recv() gets. */
static int give(struct jail *jail, const struct hand_over *m, size_t n, int fd, struct err *e)
{
	int r = fd_send(jail->sock, m, n, &fd, fd >= 0, 0);

	return r < 0 && r != -EPIPE && r != -ECONNRESET ? err_sys(e, r, "PID 1") : 0;
}

int jail_identify(struct jail *jail, const struct jail_identity *id, struct err *e)
{
	bool block = id->mode == JAIL_IDS_BLOCK || jail_identity_rooted(id);
	struct hand_over m = { .id = id };
	int r;

	if (!jail->given)
		return 0;
	r = maps_write(jail->pid, id, MAPS_PROCESS, e);
	if (r == -ENOENT && access("/proc/self", F_OK) < 0)
		return clone_without_rights(r, e);
	if (r < 0) /* root of an outer user namespace */
		return block && (r == -EPERM || r == -EINVAL) ? -EOPNOTSUPP : r;
	give_pipes(id);
	return give(jail, &m, sizeof(m.op), id->lock, e);
}

/* Both layers of a copy: root's state is nothing that the command's id could open. */
static int give_copy(struct jail *jail, const struct jail_op *op, size_t index, int userns,
		     struct err *e)
{
	_cleanup_close_ int lower = jail_source(op, userns, e), store = -1;
	struct hand_over m = { .op = index };
	int fds[2], r;

	if (lower >= 0)
		store = jail_store(op, userns, e);
	if (lower < 0 || store < 0) {
		r = lower < 0 ? lower : store;
		return userns >= 0 && (r == -EINVAL || r == -EPERM) ?
			       -EOPNOTSUPP :
			       jail_rootfs_lost(&jail->lost, r, e);
	}
	fds[0] = lower;
	fds[1] = store;
	r = fd_send(jail->sock, &m, sizeof(m.op), fds, 2, 0);
	return r < 0 && r != -EPIPE && r != -ECONNRESET ? err_sys(e, r, "PID 1") : 0;
}

/* The launcher's half of stage 8 for root. -EOPNOTSUPP: the block can't be used for these mounts. */
static int give_mounts(struct jail *jail, const struct jail_spec *spec, struct err *e)
{
	const bool block = spec->id->mode == JAIL_IDS_BLOCK || spec->id->mode == JAIL_IDS_KEPT;
	const struct jail_plan *p = spec->plan;
	_cleanup_close_ int userns = -1, volumes = -1;
	struct hand_over m;
	size_t i;
	int r = 0;

	userns = block ? maps_open(jail->pid, spec->id, e) : -1;
	if (block && userns < 0)
		return userns;
	for (i = 0; r == 0 && i < p->n; i++) {
		const struct jail_op *op = &p->ops[i];
		_cleanup_close_ int fd = -1;

		if (op->type == JAIL_OP_COPY) {
			r = give_copy(jail, op, i, userns, e);
			continue;
		}
		if (op->type != JAIL_OP_SHOWN &&
		    (!block || (op->type != JAIL_OP_BIND && !(op->flags & JAIL_OP_MAPPED))))
			continue;
		if (op->type == JAIL_OP_SHOWN && (op->flags & JAIL_OP_MAPPED) && volumes < 0) {
			volumes = maps_open_volumes(jail->pid, spec->id, e);
			if (volumes < 0)
				return volumes;
		}
		/* what is shown elsewhere lies in a directory of the caller's alone, and keeps its owner, unless it is a volume */
		fd = jail_source(op,
				 op->type != JAIL_OP_SHOWN  ? userns :
				 op->flags & JAIL_OP_MAPPED ? volumes :
							      -1,
				 e);
		if (fd == -ENOENT && op->type == JAIL_OP_OVERLAY)
			continue; /* removed since the plan was made */
		if (fd < 0)
			return userns >= 0 && op->type != JAIL_OP_SHOWN &&
					       (fd == -EINVAL || fd == -EPERM) ?
				       -EOPNOTSUPP :
				       jail_rootfs_lost(&jail->lost, fd, e);
		m.op = i;
		r = give(jail, &m, sizeof(m.op), fd, e);
	}
	m.op = HAND_OVER_GO;
	return r < 0 ? r : give(jail, &m, sizeof(m.op), -1, e);
}

int jail_early(struct jail *jail, const struct jail_plan *plan, struct err *e)
{
	struct hand_over m = { .frame = plan->early };

	return give(jail, &m, sizeof(m.op), -1, e);
}

int jail_continue(struct jail *jail, const struct jail_spec *spec, struct err *e)
{
	static const enum netns_gate gates[] = { [JAIL_NETWORK_NONE] = NETNS_OPEN,
						 [JAIL_NETWORK_GATEWAY] = NETNS_CAPTURE,
						 [JAIL_NETWORK_HOST] = NETNS_NONE };
	struct hand_over m = { .spec = spec };
	int r;

	r = give(jail, &m, sizeof(m.op), spec->held, e);
	netns_open(&jail->shared->gate, gates[spec->network]);
	return r == 0 && jail_gives_mounts(spec->id) ? give_mounts(jail, spec, e) : r;
}

/* The last that PID 1 waits for; with it, PID 1 can enter its cgroups. */
static int give_go(struct jail *jail, const struct jail_spec *spec, struct err *e)
{
	const struct hand_over m = { .op = HAND_OVER_GO };
	int fds[8], r, n;

	if (!spec->limits)
		return give(jail, &m, sizeof(m.op), -1, e);
	spec->limits->helpers = (jail->searched ? 0 : 1) + (spec->unprotected ? 1 : 0);
	n = jail_limits_fds(spec->limits, fds, e);
	if (n < 0)
		return n;
	r = fd_send(jail->sock, &m, sizeof(m.op), fds, (size_t)n, 0);
	while (n-- > 0)
		(void)close(fds[n]);
	return r < 0 && r != -EPIPE && r != -ECONNRESET ? err_sys(e, r, "PID 1") : 0;
}

/* The launcher's half of stage 9, while PID 1 is at stage 8. */
int jail_go(struct jail *jail, const struct jail_spec *spec, struct err *e)
{
	struct jail_sockets found = { .paths = NULL, .n = 0 };
	struct hand_over m = { .op = HAND_OVER_SOCKET };
	size_t i;
	int r = spec->limits ? jail_limits_begin(spec->limits, jail->pid, spec->allow_degraded,
						 &jail->lost, e) :
			       0;

	if (r < 0)
		return r;
	jail->searched = true;
	if (spec->nested) { /* a mount namespace that the command makes would not get what is masked later */
		r = jail_sockets_find_all(spec->plan, &found, e);
	} else {
		r = jail_sockets_find(spec->plan, spec->large, &found, &jail->searched, e);
	}
	if (r < 0)
		r = jail_layer_lost(JAIL_LAYER_SOCKETS, spec->allow_degraded, &jail->lost, e);
	for (i = 0; r == 0 && i < found.n; i++) {
		size_t n = strlen(found.paths[i]) + 1;

		memcpy(m.path, found.paths[i], n);
		r = give(jail, &m, offsetof(struct hand_over, path) + n, -1, e);
	}
	jail_sockets_done(&found);
	return r == 0 ? give_go(jail, spec, e) : r;
}
