/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation (docs/adr/0003). Trees that show the host's live files (workspaces, writable paths) may hold live unix sockets. While PID
 * 1 builds the sandbox, the launcher searches them, and PID 1 masks what was found before the command exists. The search has a budget
 * of time; next to none where the search for protected names has seen that it can't suffice. A tree that is larger is not searched to its
 * end: then the kernel's list of bound sockets is asked (sock_diag), which is complete for this network namespace; when an entry of it can't be
 * placed, the search goes on without a budget after all. What can be left over, sockets that were bound in another network namespace, in a
 * large tree, is masked by a helper process soon after the start.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "sockets.h"

struct search {
	const struct jail_plan *plan;
	struct jail_sockets *found;
	long deadline; /* us of CLOCK_MONOTONIC; 0: none */
	char *deep;    /* owned: the first directory that lies too deep to be searched, or NULL */
	bool late;     /* one that fails is no reason to leave the others */
	int failed;    /* of the first of these */
};

static int remember(const struct jail_plan *plan, struct jail_sockets *f, const char *path)
{
	size_t i;

	if (jail_plan_socket(plan, path))
		return 0; /* --allow-socket */

	for (i = 0; i < f->n; i++) {
		if (strcmp(f->paths[i], path) == 0)
			return 0;
	}
	if (f->n == LIMIT_SCAN_SOCKETS)
		return -E2BIG;
	if (!f->paths)
		f->paths = calloc(LIMIT_SCAN_SOCKETS, sizeof(*f->paths));
	if (!f->paths)
		return -ENOMEM;
	f->paths[f->n] = strdup(path);
	return f->paths[f->n++] ? 0 : -ENOMEM;
}

static int search(struct search *s, int dfd, char *path, int depth, bool deep);

/* What @r of one of many means for the search as a whole: 0 to go on, or negative errno. */
static int past(struct search *s, int r)
{
	if (r >= 0 || !s->late || r == -E2BIG || r == -ENOMEM)
		return r;
	s->failed = s->failed ? s->failed : r;
	return 0;
}

/* A directory of the caller's own that lets nobody in: the command could open it again, or knows a name in it. It is covered as a whole. */
static int closed(struct search *s, int dfd, const char *name, const char *path)
{
	struct stat st;

	if (errno != EACCES || fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return 0; /* SECURITY.md: somebody else's is not searched; what is gone is gone */
	return remember(s->plan, s->found, path);
}

/* One entry of the directory @dfd named @path. */
static int search_entry(struct search *s, int dfd, char *path, const struct sys_dirent *d,
			int depth, bool deep)
{
	unsigned char type;
	size_t len = strlen(path), n;
	struct stat st;
	int r, fd;

	type = d->type;
	if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
		return 0;
	if (type == DT_UNKNOWN && fstatat(dfd, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		type = (unsigned char)IFTODT(st.st_mode);
	if (type != DT_SOCK && !(type == DT_DIR && deep))
		return 0;
	n = strlen(d->name);
	if (len + n + 2 > LIMIT_PATH)
		return -ENAMETOOLONG;
	path[len] = '/';
	memcpy(path + len + 1, d->name, n + 1);
	if (type == DT_SOCK) {
		r = remember(s->plan, s->found, path);
	} else {
		fd = openat(dfd, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? closed(s, dfd, d->name, path) : search(s, fd, path, depth + 1, true);
	}
	path[len] = '\0';
	return r;
}

/*
 * Search the directory @dfd (taken) named @path (LIMIT_PATH bytes, changed and restored). -ETIME: the budget is used up.
 */
static int search(struct search *s, int dfd, char *path, int depth, bool deep)
{
	SYS_DIRENT_ALIGN char buf[8192];
	_cleanup_close_ int fd = dfd;
	const struct sys_dirent *d;
	long n, o;
	int r = 0;

	if (depth == LIMIT_SCAN_DEPTH) {
		/* the others are searched all the same, and then it is no whole search */
		if (!s->deep)
			s->deep = strdup(path);
		return s->deep ? 0 : -ENOMEM;
	}
	while (r == 0) {
		if (s->deadline && clock_us() > s->deadline)
			return -ETIME;
		n = sys_getdents(fd, buf, sizeof(buf));
		if (n == -ENOENT || n == -ESTALE)
			return 0; /* removed meanwhile */
		if (n <= 0)
			return (int)n;
		o = 0;
		while (r == 0 && (d = sys_dirent_next(buf, n, &o)))
			r = past(s, search_entry(s, fd, path, d, depth, deep));
	}
	return r;
}

static bool is_shallow(const struct jail_op *op)
{
	return op->type == JAIL_OP_ROOT || (op->flags & JAIL_OP_SHALLOW);
}

/* Lies in a writable tree, which is searched as a whole. */
static bool is_protected(const struct jail_op *op)
{
	return op->rule && op->rule->layer == POLICY_BUILTIN && op->rule->kind == POLICY_DENY_WRITE;
}

/* Return: 0; -ELOOP: s->deep was not searched, and all else was; or another negative errno. */
static int search_plan(const struct jail_plan *plan, struct search *s)
{
	char path[LIMIT_PATH];
	struct stat st;
	size_t i;
	int r = 0, fd;

	for (i = 0; r == 0 && i < plan->n; i++) {
		const struct jail_op *op = &plan->ops[i];

		if (!jail_op_shows_host(op) || (op->flags & JAIL_OP_PIN) || is_protected(op) ||
		    lstat(op->path, &st) < 0)
			continue;
		if (S_ISSOCK(st.st_mode))
			r = remember(s->plan, s->found, op->path);
		if (!S_ISDIR(st.st_mode))
			continue;
		fd = open(op->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		memcpy(path, op->path, op->len + 1);
		if (op->len == 1)
			path[0] = '\0'; /* names are put behind a slash */
		r = past(s, search(s, fd, path, 0, !is_shallow(op)));
	}
	if (r == 0)
		r = s->failed;
	return r == 0 && s->deep ? -ELOOP : r;
}

static bool in_plan(const struct jail_plan *plan, const char *path)
{
	size_t i;

	for (i = 0; i < plan->n; i++) {
		const struct jail_op *op = &plan->ops[i];

		if (!jail_op_shows_host(op) || !path_covers(op->path, path))
			continue;
		if (!is_shallow(op) || path_depth(path) == path_depth(op->path) + 1)
			return true;
	}
	return false;
}

/* Whether a file on the kernel's device @dev could lie in a direct tree; true when in doubt. */
static bool on_device(const struct jail_plan *plan, uint32_t dev)
{
	struct stat st;
	size_t i;

	for (i = 0; i < plan->n; i++) {
		if (!jail_op_shows_host(&plan->ops[i]) || is_shallow(&plan->ops[i]) ||
		    lstat(plan->ops[i].path, &st) < 0)
			continue;
		/* btrfs and others show another (anonymous, major 0) device in stat than the super block has */
		if (major(st.st_dev) == 0 || dev >> 20 == 0 ||
		    (major(st.st_dev) == dev >> 20 && minor(st.st_dev) == (dev & 0xfffff)))
			return true;
	}
	return false;
}

/* One bound socket of the kernel's list. -EAGAIN: it can't be placed, only a search can tell. */
static int place(const struct jail_plan *plan, struct jail_sockets *f, const char *name,
		 const struct unix_diag_vfs *vfs)
{
	char real[LIMIT_PATH];
	struct stat st;

	if (name[0] == '/' && strlen(name) < sizeof(real) &&
	    jail_host_resolve(name, false, real) == 0 && lstat(real, &st) == 0 &&
	    S_ISSOCK(st.st_mode) && (uint32_t)st.st_ino == vfs->udiag_vfs_ino)
		return in_plan(plan, real) ? remember(plan, f, real) : 0;
	/* a relative name, one that was renamed, or one that another socket has now */
	return on_device(plan, vfs->udiag_vfs_dev) ? -EAGAIN : 0;
}

static int parse_diag(const struct nlmsghdr *h, const struct jail_plan *plan,
		      struct jail_sockets *f)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const char *p = (const char *)(m + 1), *end = (const char *)h + h->nlmsg_len;
	const struct unix_diag_vfs *vfs = NULL;
	char name[128] = "";

	while (end - p >= (long)sizeof(struct nlattr)) {
		const struct nlattr *a = (const void *)p;
		size_t n = a->nla_len - sizeof(*a);

		if (a->nla_len < sizeof(*a) || p + a->nla_len > end)
			return -EBADMSG;
		if (a->nla_type == UNIX_DIAG_NAME && n < sizeof(name))
			memcpy(name, a + 1,
			       n); /* not NUL-terminated; an abstract name begins with NUL */
		if (a->nla_type == UNIX_DIAG_VFS && n >= sizeof(*vfs))
			vfs = (const void *)(a + 1);
		p += NLA_ALIGN(a->nla_len);
	}
	return vfs && name[0] ? place(plan, f, name, vfs) : 0;
}

/* All bound unix sockets of this network namespace: sock_diag(7). */
static int list_bound(const struct jail_plan *plan, struct jail_sockets *f)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} req = { .h = { .nlmsg_len = sizeof(req),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		  .r = { .sdiag_family = AF_UNIX,
			 .udiag_states = ~0u,
			 .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS } };
	_Alignas(struct nlmsghdr) char buf[32768];
	_cleanup_close_ int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	const struct nlmsghdr *h;
	ssize_t n;
	int r;

	if (sock < 0)
		return -errno;
	if (send(sock, &req, sizeof(req), 0) < 0)
		return -errno;
	for (;;) {
		n = recv(sock, buf, sizeof(buf), 0);
		if (n < 0)
			return -errno;
		for (h = (const void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
			    h->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
				return -EBADMSG;
			r = parse_diag(h, plan, f);
			if (r < 0)
				return r;
		}
	}
}

/* Say what came of a search; @s is done. Return: @r */
static int found_all(struct search *s, int r, struct err *e)
{
	if (r == -ELOOP && s->deep)
		(void)err_set(
			e, ERR_SYSTEM, r,
			"'%.60s…': more than %d directories inside each other: too deep to be searched for sockets",
			s->deep, LIMIT_SCAN_DEPTH);
	else if (r < 0)
		(void)err_sys(e, r, "search for the host's sockets in the workspace");
	free(s->deep);
	return r;
}

int jail_sockets_find(const struct jail_plan *plan, bool large, struct jail_sockets *found,
		      bool *ret_whole, struct err *e)
{
	const long budget = large ? JAIL_SEARCH_LARGE_US : JAIL_SEARCH_BUDGET_US;
	struct search s = { .plan = plan, .found = found, .deadline = clock_us() + budget };
	int r = plan->live_sockets ? 0 : search_plan(plan, &s);

	*ret_whole = r != -ETIME;
	if (r == -ETIME)
		r = list_bound(plan, found);
	if (!*ret_whole && r < 0) {
		/* no list, or one that leaves a doubt */
		s.deadline = 0;
		r = search_plan(plan, &s);
		*ret_whole = true;
	}
	return found_all(&s, r, e);
}

void jail_sockets_done(struct jail_sockets *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		free(f->paths[i]);
	free(f->paths);
	*f = (struct jail_sockets){ .paths = NULL, .n = 0 };
}

/* An empty directory that nobody may enter or change. */
static int empty_directory(void)
{
	_cleanup_close_ int fs = sys_fsopen("tmpfs");
	int r;

	if (fs < 0)
		return fs;
	r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0");
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	return r < 0 ? r :
		       sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
					       MOUNT_ATTR_RDONLY);
}

int jail_socket_cover(int root, const char *path)
{
	_cleanup_close_ int fd =
		sys_openat2(root, path + 1, O_PATH | O_NOFOLLOW,
			    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
	_cleanup_close_ int tree = -1;
	struct stat st;
	int r;

	if (fd < 0)
		return fd == -ENOENT || fd == -EACCES ? 0 : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	/* the sandbox's own /dev/null: nothing can connect to it, and it is there as long as the sandbox is */
	tree = S_ISDIR(st.st_mode) ?
		       empty_directory() :
		       sys_open_tree(root, "dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return tree;
	r = sys_move_mount(tree, fd, "");
	return r == -ENOENT ? 0 :
			      r; /* its name was removed this moment, and with it the way to it */
}

int jail_sockets_find_all(const struct jail_plan *plan, struct jail_sockets *found, struct err *e)
{
	struct search s = { .plan = plan, .found = found, .late = true };
	int r = search_plan(plan, &s);

	return found_all(&s, r, e);
}
