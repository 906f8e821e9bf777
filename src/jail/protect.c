/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation (docs/adr/0007). First the git repositories that the writable directories are or hold at their top, with everything
 * that they lead to (protect-git.c); then the home directory's start-up files; then a search for all names of the table (protect-search.c).
 * What is found becomes a rule of the built-in layer; the planner makes it a read-only mount and pins its parents. A symlink is protected as
 * itself, and so is what it leads to. Everything here was written by whoever could write the workspace before: names and links are only looked
 * at, and nothing is followed out of what is writable.
 */
#include "protect.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "protect-find.h"

int protect_oom(struct finder *f)
{
	return err_set(f->e, ERR_SYSTEM, -ENOMEM, "out of memory for protected paths");
}

bool protect_join(char *out, const char *dir, const char *name)
{
	size_t a = strlen(dir), b = strlen(name);

	if (a + b + 2 > LIMIT_PATH)
		return false;
	memcpy(out, dir, a);
	out[a] = '/';
	memcpy(out + a + 1, name, b + 1);
	return true;
}

bool protect_inside(const struct finder *f, const char *path)
{
	size_t i;

	for (i = 0; i < f->n_roots; i++) {
		if (path_covers(f->roots[i], path))
			return true;
	}
	return false;
}

int protect_add_root(struct finder *f, const char *path)
{
	size_t i;

	for (i = 0; i < f->n_roots; i++) {
		if (strcmp(f->roots[i], path) == 0)
			return 0;
	}
	if (f->n_roots == f->max_roots) {
		const char **roots =
			arena_alloc(f->policy->arena, (f->n_roots * 2 + 16) * sizeof(*roots));

		if (!roots)
			return protect_oom(f);
		if (f->n_roots)
			memcpy(roots, f->roots, f->n_roots * sizeof(*roots));
		f->roots = roots;
		f->max_roots = f->n_roots * 2 + 16;
	}
	f->roots[f->n_roots++] = path;
	return 0;
}

int protect_note(struct finder *f, const char *path, const char *why, bool refused)
{
	struct jail_protect *pr = f->pr;
	struct arena *a = f->policy->arena;
	size_t i;

	for (i = 0; i < pr->n_notes; i++) {
		if (strcmp(pr->notes[i].path, path) == 0 && strcmp(pr->notes[i].why, why) == 0)
			return 0;
	}
	if (pr->n_notes == LIMIT_PROTECT_NOTES) {
		pr->n_more++;
		return 0;
	}
	if (!pr->notes)
		pr->notes = arena_alloc(a, LIMIT_PROTECT_NOTES * sizeof(*pr->notes));
	if (!pr->notes)
		return protect_oom(f);
	path = arena_strdup(a, path);
	why = arena_strdup(a, why);
	if (!path || !why)
		return protect_oom(f);
	pr->notes[pr->n_notes++] =
		(struct jail_protect_note){ .path = path, .why = why, .refused = refused };
	return 0;
}

int protect_open(int dfd, const char *path, struct statx *ret)
{
	int fd = sys_openat2(dfd, path, O_PATH | O_NOFOLLOW,
			     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	int r;

	if (fd < 0)
		return fd;
	r = sys_statx(fd, "", AT_EMPTY_PATH, ret);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

static struct jail_file_id file_id(const struct statx *stx)
{
	return (struct jail_file_id){
		.dev = (uint64_t)stx->stx_dev_major << 32 | stx->stx_dev_minor,
		.ino = stx->stx_ino,
		.born = stx->stx_mask & STATX_BTIME ?
				stx->stx_btime.tv_sec * 1000000000 + stx->stx_btime.tv_nsec :
				0,
	};
}

int protect_add(struct finder *f, const char *path, const struct policy_protected *row,
		const struct statx *stx)
{
	struct jail_protect *pr = f->pr;
	size_t i;

	if (!protect_inside(f, path) || policy_copy(f->policy, path))
		return 0; /* what changes in a copy is seen when it is applied */
	for (i = 0; i < f->n_roots; i++) {
		if (path_covers(path, f->roots[i]))
			return protect_note(
				f, path, "it is, or holds, a directory that is given to be written",
				false);
	}
	for (i = 0; i < pr->n_found; i++) {
		if (strcmp(pr->found[i].path, path) == 0)
			return 0;
	}
	if (pr->n_found == LIMIT_PROTECTED)
		return protect_note(f, path, "there are more than 512 protected paths", true);
	if (!pr->found)
		pr->found = arena_alloc(f->policy->arena, LIMIT_PROTECTED * sizeof(*pr->found));
	path = arena_strdup(f->policy->arena, path);
	if (!pr->found || !path)
		return protect_oom(f);
	pr->found[pr->n_found++] = (struct jail_protected){
		.path = path,
		.row = row,
		.id = file_id(stx),
		.in = row->place == POLICY_IN_ANY ? NULL : f->in,
		.led = f->named && strcmp(f->named, path) != 0,
	};
	return policy_add_static(f->policy, POLICY_DENY_WRITE, POLICY_BUILTIN, path, row->origin,
				 f->e);
}

/* The outermost of what is writable and holds @path. */
static const char *root_above(const struct finder *f, const char *path)
{
	const char *root = NULL;
	size_t i;

	for (i = 0; i < f->n_roots; i++) {
		if (path_covers(f->roots[i], path) && (!root || strlen(f->roots[i]) < strlen(root)))
			root = f->roots[i];
	}
	return root;
}

/*
 * The owner of a directory can close it in one run, so that the search of the next finds nothing there, and open it again then. (To root
 * no directory is closed.)
 */
int protect_closed(struct finder *f, const char *path, int why)
{
	const struct policy_protected *row = policy_protected_next(POLICY_IN_UNSEEN, NULL);
	const char *root = root_above(f, path), *slash;
	char dir[LIMIT_PATH], in[LIMIT_PATH];
	struct statx stx = { .stx_mask = 0 };
	bool enter = true, holds = false;
	size_t i;

	if (!root || why != -EACCES)
		return protect_note(f, path, strerror(-why), false);
	for (slash = path + strlen(root); enter; slash += strcspn(slash, "/")) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		enter = protect_join(in, dir, ".") &&
			sys_statx(AT_FDCWD, in, AT_SYMLINK_NOFOLLOW, &stx) == 0;
		if (!*slash++)
			break;
	}
	/* what is somebody else's, and lets nobody in, stays closed */
	if (sys_statx(AT_FDCWD, dir, AT_SYMLINK_NOFOLLOW, &stx) < 0 || !S_ISDIR(stx.stx_mode) ||
	    (!enter && stx.stx_uid != f->pr->owner))
		return protect_note(f, path, strerror(-why), false);
	for (i = 0; i < f->n_roots; i++)
		holds = holds || path_covers(dir, f->roots[i]);
	if (holds && stx.stx_uid == f->pr->owner && !f->pr->after)
		return err_set(f->e, ERR_POLICY, -EACCES,
			       "'%s' is given to be written, but it is closed (mode %04o): what "
			       "must be protected there can't be found; chmod u+rx",
			       dir, stx.stx_mode & 07777);
	return holds ? protect_note(f, path, strerror(-why), false) :
		       protect_add(f, dir, row, &stx);
}

/* The component of *rest, put behind @done; *rest goes on. Return: whether there was one. */
static bool step(char *done, const char **rest, bool *ret_fits)
{
	size_t len = strlen(done), n;

	for (;;) {
		*rest += strspn(*rest, "/");
		n = strcspn(*rest, "/");
		if (n == 0)
			return false;
		if (n == 1 && (*rest)[0] == '.') {
			*rest += n;
			continue;
		}
		break;
	}
	*ret_fits = len + n + 2 <= LIMIT_PATH;
	if (*ret_fits && n == 2 && memcmp(*rest, "..", 2) == 0) {
		char *slash = strrchr(done, '/');

		if (slash)
			*slash = '\0';
	} else if (*ret_fits) {
		done[len] = '/';
		memcpy(done + len + 1, *rest, n);
		done[len + 1 + n] = '\0';
	}
	*rest += n;
	return true;
}

/* @done: what is there, and the name that is not; @rest: what would be below. */
static int missing(struct finder *f, const char *done, const char *rest,
		   const struct policy_protected *row)
{
	struct jail_protect *pr = f->pr;
	if (row->place != POLICY_IN_CONFIG || !protect_inside(f, done) ||
	    pr->n_missing == LIMIT_MISSING)
		return 0;
	if (!pr->missing)
		pr->missing = arena_alloc(f->policy->arena, LIMIT_MISSING * sizeof(*pr->missing));
	if (!pr->missing)
		return protect_oom(f);
	pr->missing[pr->n_missing] =
		(struct jail_missing){ .path = arena_printf(f->policy->arena, "%s%s", done, rest),
				       .row = row };
	return pr->missing[pr->n_missing++].path ? 0 : protect_oom(f);
}

static int follow(struct finder *f, const char *path, const struct policy_protected *row)
{
	char done[LIMIT_PATH] = "", rest[2 * LIMIT_PATH], link[LIMIT_PATH];
	struct statx stx = { .stx_mask = 0 };
	const char *at = rest;
	int links = 0, r;
	bool fits = true;
	size_t left;
	ssize_t n;

	memcpy(rest, path, strlen(path) + 1);
	while (step(done, &at, &fits)) {
		r = fits ? sys_statx(AT_FDCWD, *done ? done : "/", AT_SYMLINK_NOFOLLOW, &stx) :
			   -ENOENT;
		if (r < 0) /* else it leads to nothing that is there */
			return r == -EACCES && protect_inside(f, done) ?
				       protect_closed(f, done, r) :
			       r == -ENOENT && fits ? missing(f, done, at, row) :
						      0;
		if (!S_ISLNK(stx.stx_mode))
			continue;
		r = protect_add(f, done, row, &stx);
		if (r < 0)
			return r;
		n = readlink(done, link, sizeof(link));
		left = strlen(at);
		if (n <= 0 || n == sizeof(link) || ++links > 40 || left >= LIMIT_PATH)
			return protect_note(f, path, "too many or too long symlinks", false);
		memmove(rest + n, at, left + 1);
		memcpy(rest, link, (size_t)n);
		at = rest;
		/* relative to where the link is */
		*(link[0] == '/' ? done : strrchr(done, '/')) = '\0';
	}
	return *done ? protect_add(f, done, row, &stx) : 0;
}

int protect_follow(struct finder *f, const char *path, const struct policy_protected *row)
{
	int r;

	f->named = path;
	r = follow(f, path, row);
	f->named = NULL;
	return r;
}

int protect_name(struct finder *f, int dfd, const char *dir, const struct policy_protected *row)
{
	char path[LIMIT_PATH];
	struct statx stx = { .stx_mask = 0 };
	int fd = protect_open(dfd, row->name, &stx);

	if (fd == -ENOENT || fd == -ENOTDIR || !protect_join(path, dir, row->name))
		return 0;
	if (fd >= 0)
		(void)close(fd);
	if (fd == -ELOOP || (fd >= 0 && S_ISLNK(stx.stx_mode)))
		return protect_follow(f, path, row);
	return fd < 0 ? protect_closed(f, path, fd) : protect_add(f, path, row, &stx);
}

int protect_list(struct finder *f, int fd, const char *dir,
		 int (*each)(struct finder *f, const char *name, unsigned char type, void *arg),
		 void *arg)
{
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	struct stat st;
	long n, o;
	int r = 0;

	while ((n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		for (o = 0; (d = sys_dirent_next(buf, n, &o));) {
			unsigned char type = d->type;

			if (d->name[0] == '.' &&
			    (!d->name[1] || (d->name[1] == '.' && !d->name[2])))
				continue;
			if (type == DT_UNKNOWN &&
			    fstatat(fd, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
				type = (unsigned char)IFTODT(st.st_mode);
			r = each(f, d->name, type, arg);
			if (r != 0)
				return r;
		}
	}
	f->unlisted = n < 0;
	return n < 0 ? protect_note(f, dir, strerror((int)-n), false) : 0;
}

/* The home directory itself need not be writable: a link in it may lead to what is (a repository of such files). */
static int search_home(struct finder *f)
{
	const struct policy_protected *row = NULL;
	char path[LIMIT_PATH], link[8];
	int r = 0;

	if (!f->pr->home || !f->n_roots || f->pr->git_only)
		return 0;
	while (r == 0 && (row = policy_protected_next(POLICY_IN_HOME, row))) {
		if (protect_join(path, f->pr->home, row->name) && protect_inside(f, path))
			r = protect_follow(f, path, row);
	}
	while (r == 0 && (row = policy_protected_next(POLICY_IN_DOTFILES, row))) {
		if (protect_join(path, f->pr->home, row->name) &&
		    (protect_inside(f, path) || readlink(path, link, sizeof(link)) > 0))
			r = protect_follow(f, path, row);
	}
	return r;
}

/* A project that is bailey, or has it in its tree. A link to it elsewhere is nothing that the command could change. */
static int search_self(struct finder *f)
{
	char path[LIMIT_PATH];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	if (n <= 0 || n == sizeof(path))
		return 0;
	path[n] = '\0';
	return protect_inside(f, path) ?
		       protect_follow(f, path, policy_protected_next(POLICY_IN_SELF, NULL)) :
		       0;
}

static int collect_roots(struct finder *f)
{
	size_t i, n = f->policy->n;
	struct stat st;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		const struct policy_rule *rule = &f->policy->rules[i];

		/* files are given by name, and then meant; the root directory is refused later */
		if (rule->kind == POLICY_ALLOW_WRITE && rule->path[1] &&
		    !policy_copy(f->policy, rule->path) && lstat(rule->path, &st) == 0 &&
		    S_ISDIR(st.st_mode))
			r = protect_add_root(f, rule->path);
	}
	return r;
}

static bool is_workspace(const struct jail_protect *pr, const char *path)
{
	size_t i;

	for (i = 0; i < pr->n_workspaces; i++) {
		if (strcmp(pr->workspaces[i], path) == 0)
			return true;
	}
	return false;
}

int jail_protect_find(struct jail_protect *pr, struct policy *policy, struct err *e)
{
	struct finder f = { .pr = pr,
			    .policy = policy,
			    .e = e,
			    .scratch = ARENA_INIT(LIMIT_ARENA),
			    .index_budget = LIMIT_GIT_INDEX };
	int r = collect_roots(&f);
	size_t i, n;

	n = f.n_roots; /* git directories that are given come to them, and are known through and through */
	for (i = 0; r == 0 && i < n; i++)
		r = protect_git_entry(&f, f.roots[i],
				      PROTECT_REACH |
					      (pr->git_only || is_workspace(pr, f.roots[i]) ?
						       PROTECT_WORKSPACE :
						       0));
	for (i = 0; r == 0 && i < pr->n_workspaces; i++) {
		if (policy_copy(policy, pr->workspaces[i]))
			r = protect_git_copy(&f, pr->workspaces[i]);
	}
	if (r == 0)
		r = search_home(&f);
	if (r == 0)
		r = search_self(&f);
	if (r == 0 && pr->later) {
		pr->searched =
			arena_alloc(policy->arena, LIMIT_PROTECT_DIRS * sizeof(*pr->searched));
		r = pr->searched ? 0 : protect_oom(&f);
	}
	f.max_queue = LIMIT_PROTECT_DIRS;
	for (i = 0; r == 0 && i < n && f.n_queue < f.max_queue; i++)
		protect_enqueue(&f, f.roots[i], 0);
	if (r == 0)
		r = protect_search(&f);
	if (pr->later)
		pr->n_searched = f.n_queue;
	arena_done(&f.scratch);
	return r;
}

/* Mount the tree at @path on itself. Return: 0, also when it is gone; or negative errno. */
static int cover_one(int root, const char *path, bool read_only)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	_cleanup_close_ int tree = -1, fd = sys_openat2(root, path + 1, O_PATH | O_NOFOLLOW,
							RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
								RESOLVE_NO_SYMLINKS);
	struct statx stx = { .stx_mask = 0 };
	int r;

	if (fd < 0)
		return fd == -ENOENT || fd == -EACCES ? 0 : fd;
	if (!read_only && sys_statx(fd, "", AT_EMPTY_PATH, &stx) == 0 &&
	    (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0; /* it can't be renamed already */
	tree = sys_open_tree(fd, "",
			     AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return tree;
	r = read_only ? sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr) : 0;
	return r < 0 ? r : sys_move_mount(tree, fd, "");
}

int jail_protect_cover(int root, const char *root_path, const char *path)
{
	const char *slash = path + strlen(root_path);
	char dir[LIMIT_PATH];
	int r;

	/* the name first: who is in its directory already keeps that mount, and the pins are copies that have it, too */
	r = cover_one(root, path, true);
	while (r == 0 && (slash = strchr(slash + 1, '/'))) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		r = cover_one(root, dir, false);
	}
	return r;
}

bool jail_protected_replaced(const struct jail_protected *p)
{
	struct jail_file_id id;
	struct statx stx = { .stx_mask = 0 };

	if (sys_statx(AT_FDCWD, p->path, AT_SYMLINK_NOFOLLOW, &stx) < 0)
		return true;
	id = file_id(&stx);
	return id.dev != p->id.dev || id.ino != p->id.ino || id.born != p->id.born;
}

bool jail_git_dir_changed(const struct jail_git_config *c)
{
	struct stat st;

	return stat(c->dir, &st) == 0 &&
	       st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != c->changed;
}
