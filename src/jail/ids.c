/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the command runs as. Blocks of host ids come from 0x70000000-0x7FFDFFFF, which systemd's UIDS-GIDS table
 * (systemd.io/UIDS-GIDS) leaves unused; the last of them is the owner of files in volumes, and of no process. Block n is held by an OFD lock on byte n of one file: the kernel gives it back when the last
 * process that has the fd is gone, so there is nothing to heal after kill -9.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "jail.h"
#include "probe/probe.h"

#define BLOCK_FIRST JAIL_BLOCK_FIRST
#define BLOCK_COUNT JAIL_BLOCK_COUNT
#define BLOCK_FILE "/run/bailey.ids"
#define KEPT LIMIT_KEPT_BLOCKS /* the first ones belong to sandboxes that stay */

#define KEPT_WAIT_MS 2000

#define OVERLAYFS_MAGIC 0x794c7630

static int block_take(struct jail_identity *id, struct err *e)
{
	_cleanup_close_ int fd = open(BLOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	unsigned int i, start = (unsigned int)getpid();

	if (fd < 0)
		return err_sys(e, -errno, "%s", BLOCK_FILE);
	for (i = 0; i < BLOCK_COUNT - KEPT; i++) {
		unsigned int n = KEPT + (start + i) % (BLOCK_COUNT - KEPT);
		struct flock fl = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = n, .l_len = 1
		};

		if (fcntl(fd, F_OFD_SETLK, &fl) == 0) {
			id->host_uid = id->host_gid = BLOCK_FIRST + n * JAIL_BLOCK_SIZE;
			id->lock = TAKE_FD(fd);
			return 0;
		}
		if (errno != EAGAIN && errno != EACCES)
			return err_sys(e, -errno, "%s: lock", BLOCK_FILE);
	}
	return err_set(e, ERR_SYSTEM, -EUSERS, "all %u blocks of ids are in use",
		       BLOCK_COUNT - KEPT);
}

int jail_identity_owner(struct jail_identity *id, const char *workspace, struct err *e)
{
	const struct passwd *pw;
	struct stat st;
	gid_t gid;

	jail_identity_done(id);
	if (stat(workspace, &st) < 0)
		return err_sys(e, -errno, "workspace '%s'", workspace);
	/* the owner's own group: the directory's may be one that gives rights (docker, disk) */
	pw = getpwuid(st.st_uid);
	gid = pw ? pw->pw_gid : st.st_gid;
	*id = (struct jail_identity){ .mode = JAIL_IDS_OWNER,
				      .uid = st.st_uid,
				      .gid = gid,
				      .host_uid = st.st_uid,
				      .host_gid = gid,
				      .lock = -1 };
	return 0;
}

/*
 * The block that the store has given to the sandbox; other stores of this machine may have given it, too. A PID 1 whose supervisor was killed holds
 * it until it has ended, too: a moment, which is waited for.
 */
static int block_take_kept(struct jail_identity *id, unsigned int n, struct err *e)
{
	_cleanup_close_ int fd = open(BLOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = n, .l_len = 1 };
	const long until = clock_ms() + KEPT_WAIT_MS;

	if (fd < 0)
		return err_sys(e, -errno, "%s", BLOCK_FILE);
	while (fcntl(fd, F_OFD_SETLK, &fl) < 0 && (errno == EAGAIN || errno == EACCES) &&
	       clock_ms() < until)
		(void)usleep(5000);
	if (fcntl(fd, F_OFD_SETLK, &fl) < 0)
		return errno == EAGAIN || errno == EACCES ?
			       err_set(e, ERR_SYSTEM, -EUSERS,
				       "its block of ids is in use by a sandbox of another state directory, which must be stopped first") :
			       err_sys(e, -errno, "%s: lock", BLOCK_FILE);
	id->lock = TAKE_FD(fd);
	return 0;
}

/* The block of a sandbox that stays is its own: what it keeps has the same owners at each start. */
static int block_take_own(struct jail_identity *id, const struct jail_user *user, struct err *e)
{
	id->host_uid = id->host_gid = BLOCK_FIRST + (user->block - 1) * JAIL_BLOCK_SIZE;
	return user->start ? block_take_kept(id, user->block - 1, e) : 0;
}

int jail_identity_choose(struct jail_identity *id, const struct jail_user *user,
			 const char *workspace, struct err *e)
{
	struct statfs sfs;
	struct stat st;
	int r;

	*id = (struct jail_identity){
		.mode = JAIL_IDS_CALLER, .uid = geteuid(), .gid = getegid(), .lock = -1
	};
	id->host_uid = id->uid;
	id->host_gid = id->gid;
	if (id->uid != 0)
		return 0;
	if (stat(workspace, &st) < 0 || statfs(workspace, &sfs) < 0)
		return err_sys(e, -errno, "workspace '%s'", workspace);
	/* somebody's workspace: act as that user, which needs no block; overlayfs refuses idmapped mounts (EINVAL) */
	if (st.st_uid != 0 || sfs.f_type == OVERLAYFS_MAGIC)
		return jail_identity_owner(id, workspace, e);
	id->mode = JAIL_IDS_BLOCK;
	id->uid = id->gid = 0;
	r = user && user->block ? block_take_own(id, user, e) : block_take(id, e);
	/* root without a place for the lock is root of some container: it has no ids to give either */
	if (r != -EACCES && r != -EPERM && r != -EROFS && r != -ENOENT)
		return r;
	*e = (struct err)ERR_INIT;
	return jail_identity_owner(id, workspace, e);
}

/* "; mend it by: …", for a line about what is missing. */
static void say_why(char *why, const struct probe_answer *a, const char *advice)
{
	const bool sudo = geteuid() != 0;

	(void)snprintf(why, JAIL_WHY, "%s. %s%s%s", a->detail, *a->mend ? "Mend: " : "",
		       *a->mend && sudo ? "sudo " : "",
		       *a->mend   ? a->mend :
		       *a->advice ? a->advice :
				    advice);
}

/* One id, which is the caller's or the workspace's owner's, by another number. */
static int stay_single(struct jail_identity *id, const struct jail_user *user,
		       const char *workspace, struct err *e)
{
	int r = 0;

	if (geteuid() == 0)
		r = jail_identity_owner(id, workspace, e);
	else
		*id = (struct jail_identity){ .mode = JAIL_IDS_CALLER,
					      .host_uid = geteuid(),
					      .host_gid = getegid(),
					      .lock = -1 };
	id->uid = user->uid;
	id->gid = user->gid;
	return r;
}

static int stay_kept(struct jail_identity *id, const struct jail_user *user, const char *workspace,
		     struct err *e)
{
	int r = jail_identity_owner(id, workspace, e);

	if (r < 0)
		return r;
	id->mode = JAIL_IDS_KEPT;
	id->disk_uid = id->host_uid;
	id->disk_gid = id->host_gid;
	id->uid = user->uid;
	id->gid = user->gid;
	/* one that is only described has none yet, and any will do */
	id->base = id->base_gid =
		BLOCK_FIRST + (user->block ? user->block - 1 : 0) * JAIL_BLOCK_SIZE;
	id->host_uid = id->base + id->uid;
	id->host_gid = id->base_gid + id->gid;
	return user->start ? block_take_kept(id, user->block - 1, e) : 0;
}

/* Whether something keeps set-id programs, or ids of its own, from this sandbox: @why says what then. */
static bool stay_is_single(const struct jail_user *user, const char *workspace,
			   struct probe_subids *ids, char *why)
{
	static const char advice[] =
		"Mend: a workspace and a state directory (XDG_STATE_HOME) on ext4, xfs, btrfs or a tmpfs";
	struct probe_answer a = { .mend = "" };

	*why = '\0';
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		(void)snprintf(
			why, JAIL_WHY,
			"no_new_privs is set on the caller, so set-id programs gain nothing. Mend: start it outside of that (a container without --security-opt no-new-privileges, a unit without NoNewPrivileges=)");
	else if (geteuid() != 0 && probe_subids(&a, ids) != PROBE_OK)
		say_why(why, &a, "");
	else if (geteuid() == 0 && probe_idmap(&a, workspace) != PROBE_OK)
		say_why(why, &a, advice);
	else if (geteuid() == 0 && user->start && !user->block)
		(void)snprintf(why, JAIL_WHY,
			       "an older release has made it. Mend: bailey rm, bailey create");
	return *why;
}

int jail_identity_stay(struct jail_identity *id, const struct jail_user *user,
		       const char *workspace, bool single, char *why, struct err *e)
{
	struct probe_subids ids;

	jail_identity_done(id);
	if (single || stay_is_single(user, workspace, &ids, why))
		return stay_single(id, user, workspace, e);
	if (geteuid() == 0)
		return stay_kept(id, user, workspace, e);
	*id = (struct jail_identity){ .mode = JAIL_IDS_SUBIDS,
				      .uid = user->uid,
				      .gid = user->gid,
				      .host_uid = geteuid(),
				      .host_gid = getegid(),
				      .lock = -1,
				      .base = ids.uid,
				      .base_gid = ids.gid };
	return 0;
}

int jail_identity_nest(struct jail_identity *id, struct err *e)
{
	if (id->host_uid == 0) {
		(void)snprintf(e->where, sizeof(e->where), "%s",
			       jail_layer_info(JAIL_LAYER_IDS)->name);
		return err_set(
			e, ERR_LAYER, -EPERM,
			"user namespaces inside are refused where the command has id 0 of the host: it could give files in the workspace capabilities "
			"there. Mend: a workspace and a home directory on ext4, xfs, btrfs or a tmpfs, or a workspace that is an ordinary user's");
	}
	if (id->mode == JAIL_IDS_BLOCK)
		id->uid = id->gid = JAIL_NESTED_ID;
	return 0;
}

void jail_identity_done(struct jail_identity *id)
{
	if (id->lock >= 0)
		(void)close(id->lock);
	id->lock = -1;
}
