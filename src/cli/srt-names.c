/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What srt denies for writing without being asked: names that shells, editors, git and agents obey, in the current directory whether they are
 * there or not, and below it where they are, as deep as mandatoryDenySearchDepth says. Names are compared without regard to case, and
 * node_modules is passed over, as srt's own search does it. A search that would not end is a refusal, not a gap.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "srt.h"

static const char *const files[] = { ".gitconfig",    ".gitmodules", ".bashrc",
				     ".bash_profile", ".zshrc",      ".zprofile",
				     ".profile",      ".ripgreprc",  ".mcp.json" };
static const char *const dirs[] = { ".vscode", ".idea", ".claude/commands", ".claude/agents" };

struct search {
	struct srt *s;
	size_t entries;
	struct err *e;
};

static int deny(struct srt *s, const char *dir, const char *name, struct err *e)
{
	char path[LIMIT_PATH];

	if (snprintf(path, sizeof(path), "%s/%s", dir[1] ? dir : "", name) >= (int)sizeof(path))
		return 0; /* the kernel takes no such path */
	return srt_denied_write(s, &s->own, NULL, path, e);
}

static int deny_git(struct srt *s, const char *dir, const char *dot_git, struct err *e)
{
	char name[300];
	int r;

	(void)snprintf(name, sizeof(name), "%.255s/hooks", dot_git);
	r = deny(s, dir, name, e);
	(void)snprintf(name, sizeof(name), "%.255s/config", dot_git);
	return r < 0 || s->settings.allow_git_config ? r : deny(s, dir, name, e);
}

/* In a directory @depth names below the current one: @name, spelled as it is there. */
static int on_name(struct search *q, const char *dir, const char *name, bool is_dir, long depth)
{
	char below[LIMIT_PATH];
	struct stat st;
	size_t i;
	int r = 0;

	for (i = 0; !is_dir && i < ARRAY_SIZE(files); i++) {
		if (strcasecmp(files[i], name) == 0 && depth < q->s->settings.search_depth)
			return deny(q->s, dir, name, q->e);
	}
	/* srt looks for directories one level less deep */
	if (depth + 1 >= q->s->settings.search_depth && depth > 0)
		return 0;
	for (i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++) {
		size_t n = strcspn(dirs[i], "/");

		if (strncasecmp(dirs[i], name, n) != 0 || name[n])
			continue;
		if (snprintf(below, sizeof(below), "%s%s", name, dirs[i] + n) < (int)sizeof(below))
			r = deny(q->s, dir, below, q->e);
	}
	if (r == 0 && is_dir && strcasecmp(name, ".git") == 0 &&
	    snprintf(below, sizeof(below), "%s/%s/HEAD", dir, name) < (int)sizeof(below) &&
	    stat(below, &st) == 0)
		r = deny_git(q->s, dir, name, q->e);
	return r;
}

/* Search the directory @dfd (taken) named @path. */
static int search(struct search *q, int dfd, const char *path, long depth)
{
	SYS_DIRENT_ALIGN char buf[8192];
	_cleanup_close_ int fd = dfd;
	const struct sys_dirent *d;
	char child[LIMIT_PATH];
	long n, o;
	int r = 0, cfd;

	while (r == 0 && (n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		o = 0;
		while (r == 0 && (d = sys_dirent_next(buf, n, &o))) {
			struct stat st;
			bool dir = d->type == DT_DIR;

			if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
				continue;
			if (++q->entries > LIMIT_GLOB_ENTRIES)
				return err_set(
					q->e, ERR_POLICY, -E2BIG,
					"more than %d names would have to be looked at below '%s'; set mandatoryDenySearchDepth to less",
					LIMIT_GLOB_ENTRIES, q->s->cwd);
			if (d->type == DT_UNKNOWN)
				dir = fstatat(fd, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				      S_ISDIR(st.st_mode);
			if (d->name[0] == '.')
				r = on_name(q, path, d->name, dir, depth);
			if (r < 0 || !dir || depth + 1 >= q->s->settings.search_depth ||
			    strcmp(d->name, "node_modules") == 0 ||
			    snprintf(child, sizeof(child), "%s/%s", path[1] ? path : "", d->name) >=
				    (int)sizeof(child))
				continue;
			cfd = openat(fd, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (cfd >= 0)
				r = search(q, cfd, child, depth + 1);
			else if (errno == EACCES) /* what is in it is not known */
				r = srt_denied_write(q->s, &q->s->own, NULL, child, q->e);
		}
	}
	return r;
}

int srt_names(struct srt *s, struct err *e)
{
	struct search q = { .s = s, .e = e };
	char path[LIMIT_PATH];
	struct stat st;
	size_t i;
	int r = 0, fd;

	for (i = 0; i < s->n_roots; i++) {
		if (path_covers(s->roots[i], s->cwd) || path_covers(s->cwd, s->roots[i]))
			break;
	}
	if (i == s->n_roots)
		return 0; /* nothing here is writable */
	for (i = 0; r == 0 && i < ARRAY_SIZE(files); i++)
		r = deny(s, s->cwd, files[i], e);
	for (i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = deny(s, s->cwd, dirs[i], e);
	if (r == 0 && snprintf(path, sizeof(path), "%s/.git", s->cwd) < (int)sizeof(path) &&
	    lstat(path, &st) == 0)
		r = S_ISDIR(st.st_mode) ? deny_git(s, s->cwd, ".git", e) :
					  deny(s, s->cwd, ".git", e);
	fd = open(s->cwd, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r < 0 || fd < 0 ? r : search(&q, fd, s->cwd, 0);
}
