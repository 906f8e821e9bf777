/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The directory of a sandbox that is removed is taken out of the way first, then the store is told; what was its own goes after that.
 * So who is killed has left it as it was (named_lock() puts the directory back), or in nobody's way: prune removes what has the name NAMED_AWAY.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egress.h"
#include "events.h"
#include "live.h"
#include "named.h"
#include "records.h"
#include "stay.h"
#include "store/store.h"

/* Remove what was taken out of the way. */
static void forget(const struct named *n, const char *hidden, const struct jail_identity *id)
{
	_cleanup_close_ int dir =
		openat(n->state, "sandboxes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir >= 0)
		(void)stay_forget(dir, hidden,
				  id); /* what is left is in nobody's way: prune removes it */
}

void named_forget_socket(const struct named *n, const struct named_box *box)
{
	char name[LIMIT_PATH];

	live_socket(box->name, name);
	(void)unlinkat(n->runtime, name, 0); /* there is one only when its supervisor was killed */
}

/* The log of its network. */
static void forget_network(const struct named *n, const char *id)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int network = openat(n->state, "network", flags),
			    heads = openat(n->state, "network/heads", flags);

	if (network >= 0 && heads >= 0)
		egress_forget(network, heads, id);
}

/* Set-id modes that it left on the host. With @force it goes even when they could not all be found, which was said. */
static int sweep(const struct named_box *box, const char *dir, const struct jail_identity *id,
		 bool force, struct err *e)
{
	struct err own = ERR_INIT;
	int r = set_ids_end(dir, id, &own);

	if (r < 0 && force) {
		(void)dprintf(2, "bailey: notice: sandbox '%s' is removed all the same: %s\n",
			      box->name, own.msg); /* a notice */
		return 0;
	}
	if (r < 0)
		*e = own;
	return r;
}

int named_remove(const struct named *n, const struct named_box *box, bool force, struct err *e)
{
	char *const words[] = { (char *)(uintptr_t) "rm",
				(char *)(uintptr_t)box->id, /* a word may have been its beginning */
				NULL };
	char path[64], away[64], whole[LIMIT_PATH];
	_cleanup_close_ int lock = named_lock_stopped(n, box, e);
	struct jail_identity id = { .lock = -1 };
	int r;

	if (lock < 0)
		return lock;
	r = stay_look(box->ids ? (unsigned int)strtoul(box->ids, NULL, 10) : 0, &id, e);
	if (r == 0)
		r = records_may_go(box, "rm", force, e);
	if (r == 0 && snprintf(whole, sizeof(whole), "%s/sandboxes/%s", n->path, box->id) >=
			      (int)sizeof(whole))
		r = err_set(e, ERR_SYSTEM, -ENAMETOOLONG, "the path of the state is too long");
	if (r == 0) /* of one who was killed */
		r = sweep(box, whole, &id, force, e);
	if (r < 0)
		return r;
	named_forget_socket(n, box);
	(void)snprintf(path, sizeof(path), "sandboxes/%s", box->id);
	(void)snprintf(away, sizeof(away), "sandboxes/" NAMED_AWAY "%s", box->id);
	/* who has opened the lock sees that it is another's */
	if (renameat(n->state, path, n->state, away) < 0)
		return err_sys(e, -errno, "sandbox '%s'", box->name);
	r = named_store(n, words, NULL, NULL, e);
	if (r != 0 && r != STORE_EXIT_ABSENT) {
		(void)renameat(n->state, away, n->state, path); /* it was not removed */
		return r;
	}
	if (r ==
	    STORE_EXIT_ABSENT) { /* somebody else was faster, and this is what our lock has made */
		forget(n, strchr(away, '/') + 1, &id);
		return r;
	}
	/* from here on it is gone: what is left is in nobody's way */
	forget_network(n, box->id);
	r = records_forget(box, e); /* while the directory says whose they were */
	forget(n, strchr(away, '/') + 1, &id);
	events_add(n->state,
		   &(struct event){
			   .what = "removed", .id = box->id, .name = box->name, .status = -1 });
	return r;
}
