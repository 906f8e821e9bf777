/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --allow-socket. A socket is judged through a descriptor that stays open until the run is over, so that its inode number can't become
 * another's; whoever mounts it compares the inode behind the descriptor that is mounted with that number (jail_source()).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"

/*
 * Who may have made a socket that is given: the caller, root, or the one whose directory it is (a service in its own directory). Not just anybody
 * who could make a name in /tmp.
 */
static bool made_by_right(const char *path, const struct stat *st)
{
	char dir[LIMIT_PATH];
	const char *slash = strrchr(path, '/');
	struct stat up;

	if (st->st_uid == geteuid() || st->st_uid == 0)
		return true;
	(void)memcpy(dir, path, (size_t)(slash - path) + 1);
	dir[slash == path ? 1 : slash - path] = '\0';
	return lstat(dir, &up) == 0 && up.st_uid == st->st_uid && !(up.st_mode & S_IWOTH);
}

int sandbox_socket(struct sandbox *s, const struct sandbox_path *p, struct err *e)
{
	char norm[LIMIT_PATH], real[LIMIT_PATH], where[LIMIT_WHERE];
	_cleanup_close_ int fd = -1;
	struct sandbox_socket *sock;
	struct stat st = { .st_mode = 0 };
	int r;

	(void)sandbox_where(p->value, where);
	r = sandbox_path(p->value->value, p->base, s->home, norm, e);
	if (r < 0)
		return err_wrap(e, r, "%s", where);
	r = jail_host_resolve(norm, true, real);
	if (r == 0) {
		fd = open(real, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
	}
	if (r == -ENOENT && !p->required)
		return sandbox_ignore(s, p->value, "there is no such socket now", e);
	if (r < 0)
		return err_set(e, ERR_USAGE, r, "%s '%s': %s", where, norm, strerror(-r));
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_USAGE, -ENOTSOCK, "%s '%s': it is no unix socket", where,
			       norm);
	if (!made_by_right(real, &st))
		return err_set(
			e, ERR_POLICY, -EPERM,
			"%s '%s': it belongs to uid %u: not to you, to root, or to the owner of its directory",
			where, norm, (unsigned int)st.st_uid);
	r = sandbox_note_links(s, norm, real, where, /* unprotects= */ false, e);
	if (r < 0)
		return r;
	sock = arena_alloc(&s->arena, sizeof(*sock));
	if (!sock || !(sock->path = sandbox_keep(s, real)))
		return sandbox_oom(e);
	sock->dev = st.st_dev;
	sock->ino = st.st_ino;
	sock->fd = TAKE_FD(fd);
	sock->next = s->sockets;
	s->sockets = sock;
	return policy_add(&s->policy, POLICY_SOCKET, p->layer, real, p->origin, e);
}

void sandbox_socket_ops(struct sandbox *s)
{
	const struct sandbox_socket *sock;
	size_t i;

	for (i = 0; s->sockets && i < s->plan.n; i++) {
		struct jail_op *op = &s->plan.ops[i];

		for (sock = s->sockets; sock && (op->flags & JAIL_OP_SOCKET); sock = sock->next) {
			if (strcmp(sock->path, op->path) == 0) {
				op->dev = sock->dev;
				op->ino = sock->ino;
			}
		}
	}
}
