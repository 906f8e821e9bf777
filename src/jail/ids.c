/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the command runs as. Blocks of host ids come from 0x70000000-0x7FFDFFFF, which systemd's UIDS-GIDS table
 * (systemd.io/UIDS-GIDS) leaves unused. Block n is held by an OFD lock on byte n of one file: the kernel gives it back when the last
 * process that has the fd is gone, so there is nothing to heal after kill -9.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "jail.h"

#define BLOCK_FIRST 0x70000000u
#define BLOCK_COUNT 4094u
#define BLOCK_FILE "/run/bailey.ids"

#define OVERLAYFS_MAGIC 0x794c7630

static int block_take(struct jail_identity *id, struct err *e)
{
	_cleanup_close_ int fd = open(BLOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	unsigned int i, start = (unsigned int)getpid();

	if (fd < 0)
		return err_sys(e, -errno, "%s", BLOCK_FILE);
	for (i = 0; i < BLOCK_COUNT; i++) {
		unsigned int n = (start + i) % BLOCK_COUNT;
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
	return err_set(e, ERR_SYSTEM, -EUSERS, "all %u blocks of ids are in use", BLOCK_COUNT);
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

int jail_identity_choose(struct jail_identity *id, const char *workspace, struct err *e)
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
	r = block_take(id, e);
	/* root without a place for the lock is root of some container: it has no ids to give either */
	if (r != -EACCES && r != -EPERM && r != -EROFS && r != -ENOENT)
		return r;
	*e = (struct err)ERR_INIT;
	return jail_identity_owner(id, workspace, e);
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
