/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A repository is found by its .git: a directory, a link to one, or a file that names one (worktrees, submodules). From
 * a git directory lead on: its configuration (other files of it, the directory of hooks), worktrees/, modules/, and from the repositories at the
 * top of what is writable also the submodules of the index and of .gitmodules, wherever they lie.
 *
 * A .git file is text that the command can write, and names a place outside. That place is given only when it names the workspace back, which
 * only somebody who could write there can have arranged: give().
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "protect-find.h"

/* A small regular file as a string. Return: its length, or negative errno. */
static long read_file(const char *path, char *out, size_t size)
{
	/* no FIFO may stop us, and no symlink lead elsewhere: links are followed before, one by one */
	_cleanup_close_ int fd = sys_openat2(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
					     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct stat st;
	size_t n = 0;
	ssize_t r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size >= (off_t)size)
		return -EFBIG;
	while (n + 1 < size && (r = read(fd, out + n, size - 1 - n)) != 0) {
		if (r < 0)
			return -errno;
		n += (size_t)r;
	}
	out[n] = '\0';
	return (long)n;
}

/* The same, of any length up to the limit. *ret: to be freed. */
static long read_text(const char *path, char **ret)
{
	struct stat st;
	char *text;
	long n;

	if (lstat(path, &st) < 0)
		return -errno;
	if (st.st_size >= LIMIT_GIT_FILE)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = read_file(path, text, (size_t)st.st_size + 1); /* one that grows meanwhile is refused */
	if (n < 0)
		free(text);
	else
		*ret = text;
	return n;
}

/* The path that the one-line file @dir/@name holds, made absolute and resolved. Return: whether there is one. */
static bool read_path(const char *dir, const char *name, char *real)
{
	char path[LIMIT_PATH], text[LIMIT_PATH + 16], norm[LIMIT_PATH];
	long n =
		protect_join(path, dir, name) ? read_file(path, text, sizeof(text)) : -ENAMETOOLONG;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n <= 0 || memchr(text, '\0', (size_t)n) || text[0] == '~')
		return false;
	text[n] = '\0';
	return path_normalize(text, dir, NULL, norm, NULL) == 0 &&
	       (jail_host_physical(dir, text, real) == 0 ||
		jail_host_resolve(norm, true, real) == 0);
}

/* What a value of a configuration names: "~/" is the home directory, the rest is relative to @base. */
static bool config_path(const struct finder *f, const char *value, const char *base, char *norm)
{
	if (!value[0] || !base || (value[0] == '~' && value[1] != '/'))
		return false;
	return path_normalize(value, base, f->pr->home, norm, NULL) == 0;
}

struct config_answer {
	size_t hash;               /* of the repository's object names */
	char worktree[LIMIT_PATH]; /* core.worktree, resolved; "" when it is not set */
};

/*
 * The configuration @path: what it includes and the hooks it names are protected, too. @base: what core.hooksPath is relative to, or NULL.
 */
static int read_config(struct finder *f, const char *path, const char *base, unsigned int depth,
		       struct config_answer *a)
{
	const struct policy_protected *row;
	_cleanup_free_ char *text = NULL;
	struct git_config c;
	char dir[LIMIT_PATH], norm[LIMIT_PATH];
	long n;
	int r = 0, found = 0;

	n = read_text(path, &text);
	if (n < 0)
		return n == -ENOENT ? 0 : protect_note(f, path, strerror((int)-n), false);
	memcpy(dir, path, strlen(path) + 1);
	*strrchr(dir, '/') = '\0';
	git_config_begin(&c, text, (size_t)n);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the text is freed at the end of its scope */
	while (r == 0 && (found = git_config_next(&c)) > 0) {
		if (a && strcmp(c.name, "extensions.objectformat") == 0)
			a->hash = strcmp(c.value, "sha256") == 0 ? 32 : 20;
		if (a && strcmp(c.name, "core.worktree") == 0 &&
		    (!config_path(f, c.value, dir, norm) ||
		     jail_host_resolve(norm, true, a->worktree) < 0))
			a->worktree[0] = '\0';
		for (row = NULL; (row = policy_protected_next(POLICY_IN_CONFIG, row));) {
			bool part = strncmp(row->name, "include", 7) == 0;

			if (!git_config_is(&c, row->name))
				continue;
			if (strncmp(row->name, "filter.", 7) == 0) /* a command: its program */
				c.value[strcspn(c.value, " \t")] = '\0';
			if (!config_path(f, c.value, part ? dir : base, norm))
				continue;
			r = protect_follow(f, norm, row);
			if (r == 0 && part && depth < LIMIT_GIT_DEPTH && protect_inside(f, norm))
				r = read_config(f, norm, base, depth + 1, NULL);
			break;
		}
	}
	return r == 0 && found < 0 ?
		       protect_note(f, path, "not understood as a git configuration", false) :
		       r;
}

/* One submodule of the repository at @worktree. */
static int submodule(struct finder *f, const char *worktree, const char *path)
{
	char dir[LIMIT_PATH];
	int r;

	if (!protect_join(dir, worktree, path))
		return 0;
	if (f->nested == LIMIT_GIT_DEPTH)
		return protect_note(f, dir, "submodules are nested more than 8 deep", false);
	f->nested++;
	r = protect_git_entry(f, dir, PROTECT_REACH);
	f->nested--;
	return r;
}

static int read_modules(struct finder *f, const char *worktree)
{
	_cleanup_free_ char *text = NULL;
	struct git_config c;
	char path[LIMIT_PATH];
	int r = 0, found = 0;
	long n;

	if (!protect_join(path, worktree, ".gitmodules"))
		return 0;
	n = read_text(path, &text);
	if (n < 0)
		return n == -ENOENT ? 0 : protect_note(f, path, strerror((int)-n), false);
	git_config_begin(&c, text, (size_t)n);
	while (r == 0 && (found = git_config_next(&c)) > 0) {
		if (git_config_is(&c, "submodule.*.path") &&
		    git_path_plain(c.value, strlen(c.value)))
			r = submodule(f, worktree, c.value);
	}
	return r == 0 && found < 0 ?
		       protect_note(f, path, "not understood as a list of submodules", false) :
		       r;
}

/* Enough for a piece, small enough to stay in the processor's cache: the index of a large project has many megabytes. */
#define INDEX_BUFFER 65536

/* What .gitmodules names is looked at before the start; of a larger index the rest (repositories added without it) soon after. */
#define INDEX_NOW (256 << 10)

/* Return: 0, negative errno with @e of what was found; *ret_bad: why the index itself could not be read. */
static int walk_index(struct finder *f, int fd, const char *worktree, size_t hash, int *ret_bad)
{
	_cleanup_free_ unsigned char *buf = malloc(INDEX_BUFFER);
	size_t at = 0, have = 0, used;
	struct git_index g;
	int r, step;
	ssize_t n;

	if (!buf)
		return protect_oom(f);
	*ret_bad = -EBADMSG;
	if (read(fd, buf, GIT_INDEX_HEAD) != GIT_INDEX_HEAD)
		return 0;
	*ret_bad = git_index_begin(&g, buf, hash);
	while (*ret_bad == 0) {
		memmove(buf, buf + at, have - at);
		have -= at;
		at = 0;
		n = read(fd, buf + have, INDEX_BUFFER - have);
		if (n <= 0) {
			*ret_bad = n < 0 ? -errno : git_index_whole(&g) ? 0 : -EBADMSG;
			return 0;
		}
		have += (size_t)n;
		do {
			step = git_index_next(&g, buf + at, have - at, &used);
			at += used;
			r = step == GIT_INDEX_SUBMODULE ? submodule(f, worktree, g.path) : 0;
			if (r < 0)
				return r;
		} while (step == GIT_INDEX_SUBMODULE);
		if (step < 0)
			*ret_bad = step;
	}
	return 0;
}

static int read_index(struct finder *f, const char *git_dir, const char *worktree, size_t hash)
{
	char path[LIMIT_PATH];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r, bad = 0;

	if (!protect_join(path, git_dir, "index"))
		return 0;
	fd = sys_openat2(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
			 RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return fd == -ENOENT ? 0 : protect_note(f, path, strerror(-fd), false);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return protect_note(f, path, "not a file", false);
	if (f->pr->later && st.st_size > INDEX_NOW) {
		f->late = true;
		return 0;
	}
	if ((uint64_t)st.st_size > f->index_budget)
		return protect_note(f, path, "too large: its submodules are not known", false);
	f->index_budget -= (uint64_t)st.st_size;
	r = walk_index(f, fd, worktree, hash, &bad);
	if (r < 0 || bad == 0)
		return r;
	return protect_note(f, path,
			    bad == -EOPNOTSUPP ?
				    "of a form that is not known: its submodules are not known" :
				    "damaged: its submodules are not known",
			    false);
}

static int protect_rows(struct finder *f, int dfd, const char *dir, enum policy_place place)
{
	const struct policy_protected *row = NULL;
	int r = 0;

	while (r == 0 && (row = policy_protected_next(place, row)))
		r = protect_name(f, dfd, dir, row);
	return r;
}

/*
 * The working tree @dir, which a git directory names: its .git names that back, wherever it lies. The names in git directories are
 * protected; the index and .gitmodules, which lead there too, can be changed by the command.
 */
static int tree_of(struct finder *f, const char *dir)
{
	int r;

	if (!protect_inside(f, dir))
		return 0;
	if (f->nested == LIMIT_GIT_DEPTH)
		return protect_note(f, dir, "submodules are nested more than 8 deep", false);
	f->nested++;
	r = protect_git_entry(f, dir, 0);
	f->nested--;
	return r;
}

/* Commands could make so many that those of the host were not among the first: what is too much is read-only as a whole. */
static int too_many(struct finder *f, const char *path)
{
	struct statx stx = { .stx_mask = 0 };
	int r = protect_note(
		f, path, "there are more than 256 git directories: read-only from here on", true);

	if (r < 0 || sys_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &stx) < 0)
		return r;
	return protect_add(f, path, policy_protected_next(POLICY_IN_UNSEEN, NULL), &stx);
}

/* What is left is for the directories that hold too many. */
static bool full(const struct finder *f)
{
	return f->n_git_dirs == LIMIT_GIT_DIRS || f->pr->n_found + 64 > LIMIT_PROTECTED;
}

/* One entry of worktrees/. */
static int on_worktree(struct finder *f, const char *name, unsigned char type, void *arg)
{
	char path[LIMIT_PATH], entry[LIMIT_PATH], *slash;
	struct statx stx = { .stx_mask = 0 };
	const char *in;
	int r, fd;

	if (type != DT_DIR || !protect_join(path, arg, name))
		return 0;
	if (full(f))
		return too_many(f, arg);
	/* what is found in it names it */
	f->git_dirs[f->n_git_dirs] = arena_strdup(f->policy->arena, path);
	if (!f->git_dirs[f->n_git_dirs++])
		return protect_oom(f);
	fd = protect_open(AT_FDCWD, path, &stx);
	if (fd < 0)
		return protect_closed(f, path, fd);
	in = f->in;
	f->in = f->git_dirs[f->n_git_dirs - 1];
	r = protect_rows(f, fd, path, POLICY_IN_WORKTREE);
	f->in = in;
	(void)close(fd);
	if (r == 0 && read_path(path, "gitdir", entry)) {
		slash = strrchr(entry, '/');
		if (slash && strcmp(slash, "/.git") == 0) {
			*slash = '\0';
			r = tree_of(f, entry);
		}
	}
	return r;
}

static int list_below(struct finder *f, const char *dir, const char *name,
		      int (*each)(struct finder *, const char *, unsigned char, void *))
{
	char path[LIMIT_PATH];
	_cleanup_close_ int fd = -1;

	if (!protect_join(path, dir, name))
		return 0;
	fd = sys_openat2(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
			 RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : protect_closed(f, path, fd);
	return protect_list(f, fd, path, each, path);
}

/* One entry of modules/: a git directory, or a part of a name that has slashes. */
static int on_module(struct finder *f, const char *name, unsigned char type, void *arg)
{
	char path[LIMIT_PATH], head[LIMIT_PATH];
	struct stat st;
	int r;

	if (type != DT_DIR || !protect_join(path, arg, name) || !protect_join(head, path, "HEAD"))
		return 0;
	if (f->nested == LIMIT_GIT_DEPTH)
		return protect_note(f, path, "submodules are nested more than 8 deep", false);
	if (full(f))
		return too_many(f, arg);
	f->nested++;
	r = lstat(head, &st) == 0 ? protect_git_dir(f, path, NULL, NULL, 0) :
				    list_below(f, arg, name, on_module);
	f->nested--;
	return r;
}

/* The configuration of a workspace's own repository, which --allow-git-config is about. */
static int own_config(struct finder *f, const char *dir, const char *name)
{
	struct jail_protect *pr = f->pr;
	char path[LIMIT_PATH];
	struct stat st, of_dir;
	const char *kept;

	if (!protect_join(path, dir, name) || lstat(path, &st) < 0 || stat(dir, &of_dir) < 0)
		return 0;
	if (pr->allow_git_config)
		return policy_add(f->policy, POLICY_UNPROTECT, POLICY_COMMAND, path,
				  "--allow-git-config", f->e);
	if (!pr->configs)
		pr->configs =
			arena_alloc(f->policy->arena, 2L * LIMIT_WORKSPACES * sizeof(*pr->configs));
	kept = arena_strdup(f->policy->arena, path);
	dir = arena_strdup(f->policy->arena, dir);
	if (!pr->configs || !kept || !dir)
		return protect_oom(f);
	if (pr->n_configs < 2L * LIMIT_WORKSPACES)
		pr->configs[pr->n_configs++] = (struct jail_git_config){
			.path = kept,
			.dir = dir,
			.changed = of_dir.st_mtim.tv_sec * 1000000000 + of_dir.st_mtim.tv_nsec,
		};
	return 0;
}

/*
 * What is found from the git directory git_dirs[@n] by a working tree of it (or, without one, by itself): what the configuration names is
 * relative to that, and the index and .gitmodules are that one's.
 */
static int reach_from(struct finder *f, size_t n, const char *worktree, const char *index_dir,
		      unsigned int how)
{
	const char *path = f->git_dirs[n], *base = worktree ? worktree : path;
	struct config_answer a = { .hash = 20 };
	char config[LIMIT_PATH];
	int r;

	if (!protect_join(config, path, "config"))
		return protect_note(f, path, strerror(ENAMETOOLONG), false);
	r = read_config(f, config, base, 0, &a);
	if (!index_dir)
		index_dir = path;
	if (r == 0 && protect_join(config, index_dir, "config.worktree"))
		r = read_config(f, config, base, 0, NULL);
	if (r == 0 && !worktree && a.worktree[0])
		r = tree_of(f, a.worktree);
	if (r < 0 || !worktree || !(how & PROTECT_REACH) || f->reached[n])
		return r;
	f->reached[n] = true;
	r = read_index(f, index_dir, worktree, a.hash);
	return r == 0 ? read_modules(f, worktree) : r;
}

static int reach(struct finder *f, size_t n, const char *worktree, const char *index_dir,
		 unsigned int how)
{
	const char *in = f->in;
	int r;

	f->in = f->git_dirs[n];
	r = reach_from(f, n, worktree, index_dir, how);
	f->in = in;
	return r;
}

int protect_git_dir(struct finder *f, const char *path, const char *worktree, const char *index_dir,
		    unsigned int how)
{
	_cleanup_close_ int fd = -1;
	struct statx stx = { .stx_mask = 0 };
	const char *in;
	size_t n;
	int r;

	for (n = 0; n < f->n_git_dirs; n++) {
		if (strcmp(f->git_dirs[n], path) == 0)
			return worktree ? reach(f, n, worktree, index_dir, how) : 0;
	}
	if (f->n_git_dirs == LIMIT_GIT_DIRS)
		return too_many(f, path);
	f->git_dirs[n] = arena_strdup(f->policy->arena, path); /* as above */
	if (!f->git_dirs[f->n_git_dirs++])
		return protect_oom(f);
	fd = protect_open(AT_FDCWD, path, &stx);
	if (fd < 0)
		return protect_closed(f, path, fd);
	in = f->in;
	f->in = f->git_dirs[n];
	r = protect_rows(f, fd, path, POLICY_IN_GIT);
	if (r == 0 && (how & PROTECT_SHARED))
		r = protect_rows(f, fd, path, POLICY_IN_SHARED);
	if (r == 0 && (how & PROTECT_WORKSPACE))
		r = own_config(f, path, "config");
	if (r == 0 && (how & PROTECT_WORKSPACE))
		r = own_config(f, path, "config.worktree");
	/* before what the index says, which the command can have filled */
	if (r == 0)
		r = list_below(f, path, "worktrees", on_worktree);
	if (r == 0 && !(how & PROTECT_SHARED))
		r = list_below(f, path, "modules", on_module);
	f->in = in;
	return r == 0 ? reach(f, n, worktree, index_dir, how) : r;
}

/* Whether the directory @path belongs to the caller, and looks like a git directory. */
static const char *why_not_git_dir(const struct finder *f, const char *path)
{
	static const char *const parts[] = { "HEAD", "objects", "refs", "config" };
	char part[LIMIT_PATH];
	struct stat st;
	size_t i;

	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return "it is no directory";
	if (st.st_uid != f->pr->owner)
		return "it belongs to somebody else";
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!protect_join(part, path, parts[i]) || lstat(part, &st) < 0)
			return "it is no git directory";
	}
	return NULL;
}

/*
 * What the .git file of @dir names, @git_dir (resolved), names @dir back. *ret_shared: what is to be given. Return: NULL, or why not.
 */
static const char *names_back(struct finder *f, const char *dir, const char *git_dir,
			      char *ret_shared)
{
	char path[LIMIT_PATH], entry[LIMIT_PATH], text[16];
	struct config_answer a = { .hash = 20 };
	struct stat st;
	char *slash;

	if (!protect_join(entry, dir, ".git") || lstat(git_dir, &st) < 0)
		return "it is not there";
	if (st.st_uid != f->pr->owner)
		return "it belongs to somebody else";
	memcpy(ret_shared, git_dir, strlen(git_dir) + 1);
	if (!protect_join(path, git_dir, "commondir"))
		return "its name is too long";
	if (lstat(path, &st) == 0) {
		/* a worktree: DIR/worktrees/NAME */
		if (!read_path(git_dir, "gitdir", path) || strcmp(path, entry) != 0)
			return "its file 'gitdir' does not name this workspace";
		if (!protect_join(path, git_dir, "commondir") ||
		    read_file(path, text, sizeof(text)) < 0 ||
		    (strcmp(text, "../..\n") != 0 && strcmp(text, "../..") != 0))
			return "its file 'commondir' is not '../..'";
		slash = strrchr(ret_shared, '/');
		*slash = '\0';
		slash = strrchr(ret_shared, '/');
		if (!slash || slash == ret_shared || strcmp(slash, "/worktrees") != 0)
			return "it is not in a directory 'worktrees'";
		*slash = '\0';
		return why_not_git_dir(f, ret_shared);
	}
	/* a submodule, or a repository whose git directory is kept elsewhere */
	if (!protect_join(path, git_dir, "config") || read_config(f, path, NULL, 0, &a) < 0 ||
	    strcmp(a.worktree, dir) != 0)
		return "its configuration does not name this workspace (core.worktree)";
	return why_not_git_dir(f, ret_shared);
}

static int refuse(struct finder *f, const char *git_dir, const char *why)
{
	char text[512];

	(void)snprintf(
		text, sizeof(text),
		"the workspace's .git names it, but %s: not given to be written (--allow-write gives it)",
		why);
	return protect_note(f, git_dir, text, true);
}

/* The git directory of the workspace @dir lies outside. */
static int give(struct finder *f, const char *dir, const char *git_dir)
{
	char shared[LIMIT_PATH], origin[LIMIT_PATH + 64];
	const char *why = names_back(f, dir, git_dir, shared);
	enum policy_state state;
	struct stat st;
	int r;

	if (why)
		return refuse(f, git_dir, why);
	state = policy_eval(f->policy, shared).state;
	if (state != POLICY_SHOW_RW && state != POLICY_SHOW_RO && state != POLICY_IS_PRIVATE)
		return refuse(f, git_dir, "a rule hides it");
	if (path_covers(shared, dir))
		return refuse(f, git_dir, "it holds the workspace");
	/* what is gone or is a link now was not looked at */
	if (lstat(shared, &st) < 0 || !S_ISDIR(st.st_mode))
		return refuse(f, git_dir, "it changed meanwhile");
	(void)snprintf(origin, sizeof(origin), "built-in: the git directory that '%s/.git' names",
		       dir);
	if (policy_copy(f->policy, dir))
		return policy_add_copy(f->policy, POLICY_BUILTIN, shared, origin, f->e);
	r = policy_add(f->policy, POLICY_ALLOW_WRITE, POLICY_BUILTIN, shared, origin, f->e);
	if (r == 0)
		r = protect_add_root(f, arena_strdup(&f->scratch, shared));
	return r < 0 ? r :
		       protect_git_dir(f, shared, dir, git_dir,
				       PROTECT_SHARED | PROTECT_REACH | PROTECT_WORKSPACE);
}

/* @entry is the .git file of @dir. */
static int follow_pointer(struct finder *f, const char *dir, const char *entry, unsigned int how)
{
	char text[LIMIT_PATH + 16], norm[LIMIT_PATH], git_dir[LIMIT_PATH], shared[LIMIT_PATH];
	long n = read_file(entry, text, sizeof(text));
	char *path = n < 0 ? NULL : git_pointer(text, (size_t)n);
	int r = 0;

	if (!path || path[0] == '~' || path_normalize(path, dir, NULL, norm, NULL) < 0 ||
	    (jail_host_physical(dir, path, git_dir) < 0 &&
	     jail_host_resolve(norm, true, git_dir) < 0))
		return protect_note(f, entry, "not understood as the name of a git directory",
				    false);
	if (!protect_inside(f, git_dir)) {
		if ((how & PROTECT_WORKSPACE) && !f->pr->git_only)
			return give(f, dir, git_dir);
		return protect_note(
			f, git_dir,
			"a .git file names it; only a workspace's own is given to be written",
			false);
	}
	if (read_path(git_dir, "commondir", shared) && protect_inside(f, shared))
		r = protect_git_dir(f, shared, dir, git_dir, how);
	/* names are looked for also in what is only the worktree's half of a git directory */
	return r < 0 ? r : protect_git_dir(f, git_dir, dir, NULL, how);
}

int protect_git_entry(struct finder *f, const char *dir, unsigned int how)
{
	const struct policy_protected *row = policy_protected_next(POLICY_IN_ANY, NULL);
	char entry[LIMIT_PATH], real[LIMIT_PATH];
	struct statx stx = { .stx_mask = 0 };
	int r, fd;

	if (!protect_join(entry, dir, row->name))
		return 0;
	fd = protect_open(AT_FDCWD, entry, &stx);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : protect_closed(f, entry, fd);
	(void)close(fd);
	if (S_ISDIR(stx.stx_mode))
		return protect_git_dir(f, entry, dir, NULL, how);
	if (S_ISREG(stx.stx_mode)) {
		r = protect_add(f, entry, row, &stx);
		return r < 0 ? r : follow_pointer(f, dir, entry, how);
	}
	if (!S_ISLNK(stx.stx_mode))
		return 0;
	r = protect_follow(f, entry, row);
	if (r < 0 || jail_host_resolve(entry, true, real) < 0 || !protect_inside(f, real))
		return r;
	fd = protect_open(AT_FDCWD, real, &stx);
	if (fd >= 0)
		(void)close(fd);
	if (fd >= 0 && S_ISDIR(stx.stx_mode))
		return protect_git_dir(f, real, dir, NULL, how);
	return fd >= 0 && S_ISREG(stx.stx_mode) ? follow_pointer(f, dir, real, how) : 0;
}

int protect_git_copy(struct finder *f, const char *dir)
{
	const struct policy_protected *row = policy_protected_next(POLICY_IN_ANY, NULL);
	char entry[LIMIT_PATH], text[LIMIT_PATH + 16], norm[LIMIT_PATH], git_dir[LIMIT_PATH], *path;
	struct stat st;
	long n;

	if (!protect_join(entry, dir, row->name) || lstat(entry, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	n = read_file(entry, text, sizeof(text));
	path = n < 0 ? NULL : git_pointer(text, (size_t)n);
	if (!path || path[0] == '~' || path_normalize(path, dir, NULL, norm, NULL) < 0 ||
	    jail_host_resolve(norm, true, git_dir) < 0)
		return protect_note(f, entry, "not understood as the name of a git directory",
				    false);
	if (policy_copy(f->policy, git_dir) || protect_inside(f, git_dir))
		return 0; /* given already */
	return give(f, dir, git_dir);
}
