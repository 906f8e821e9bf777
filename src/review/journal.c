/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "remove.h"

/* An entry is "TREE\0DIRECTORY\0NAME\0". One that was cut names nothing that exists: it is written before the name is used. */
size_t review_journal_next(const char *text, size_t n, size_t *ret_tree, const char **ret_dir,
			   const char **ret_name)
{
	const char *part[3], *at = text, *end = text + n, *nul;
	size_t i, tree = 0;

	for (i = 0; i < 3; i++) {
		nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
		if (!nul)
			return 0;
		part[i] = at;
		at = nul + 1;
	}
	for (i = 0; part[0][i]; i++) {
		if (i == 3 || part[0][i] < '0' || part[0][i] > '9')
			return 0;
		tree = tree * 10 + (size_t)(part[0][i] - '0');
	}
	if (i == 0 || strncmp(part[2], JOURNAL_TEMP, strlen(JOURNAL_TEMP)) != 0 ||
	    strchr(part[2], '/') || !part[1][0])
		return 0;
	*ret_tree = tree;
	*ret_dir = part[1];
	*ret_name = part[2];
	return (size_t)(at - text);
}

int journal_begin(struct journal *j, int dir, const char *id)
{
	*j = (struct journal){ .dir = dir, .fd = -1, .touched = -1, .id = id };
	j->touched =
		openat(dir, TOUCHED, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->touched < 0)
		return -errno;
	j->fd = openat(dir, JOURNAL, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return j->fd < 0 ? -errno : 0;
}

int journal_temp(struct journal *j, size_t tree, const char *in, char *out)
{
	char entry[LIMIT_PATH + 64];
	int n, m;

	(void)snprintf(out, 32, JOURNAL_TEMP "%s", j->id);
	if (j->any && j->tree == tree && strcmp(j->at, in) == 0)
		return 0;
	n = snprintf(entry, sizeof(entry), "%zu%c%s", tree, 0, in);
	m = snprintf(entry + n + 1, sizeof(entry) - (size_t)n - 1, "%s", out);
	if ((size_t)(n + m) + 2 > sizeof(entry))
		return -ENAMETOOLONG;
	/* what was noted before has its place by now */
	if (ftruncate(j->fd, 0) < 0)
		return -errno;
	n = fd_write_all(j->fd, entry, (size_t)(n + m) + 2);
	if (n < 0)
		return n;
	j->any = true;
	j->tree = tree;
	memcpy(j->at, in, strlen(in) + 1);
	return 0;
}

static int note(struct journal *j, int host_dir, bool done)
{
	struct walk_touched entry = { .sec = 0 };
	struct stat st;

	if (fstat(host_dir, &st) < 0)
		return -errno;
	entry.dev = st.st_dev;
	entry.ino = st.st_ino;
	if (done) {
		entry.sec = st.st_ctim.tv_sec;
		entry.nsec = st.st_ctim.tv_nsec;
	}
	return fd_write_all(j->touched, &entry, sizeof(entry));
}

int journal_touch(struct journal *j, int host_dir)
{
	return note(j, host_dir, false);
}

void journal_touched(struct journal *j, int host_dir)
{
	(void)note(j, host_dir,
		   true); /* without it the directory is taken for ours, as after a kill */
}

void journal_end(struct journal *j, bool done)
{
	if (j->fd >= 0 && done)
		(void)unlinkat(j->dir, JOURNAL, 0); /* else the next command heals what is healed */
	cleanup_close(&j->fd);
	cleanup_close(&j->touched);
	j->fd = j->touched = -1;
}

/* Only a name of ours, and only what it may be: a file, a link, or a directory that is still empty. */
static int heal_one(const struct review *r, size_t tree, const char *dir, const char *name)
{
	char ours[32];
	_cleanup_close_ int root = -1, fd = -1;

	(void)snprintf(ours, sizeof(ours), JOURNAL_TEMP "%s", r->record.id);
	if (strcmp(name, ours) != 0 || tree >= r->record.n_trees)
		return 0;
	root = sys_openat2(AT_FDCWD, r->record.trees[tree].path, O_PATH | O_DIRECTORY,
			   RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (root < 0)
		return root == -ENOENT ? 0 : root;
	fd = walk_at(root, dir, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
	if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR && unlinkat(fd, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

int journal_heal(int dir)
{
	struct review r = REVIEW_INIT;
	struct buf b = BUF_INIT(LIMIT_REVIEW_JOURNAL), text = BUF_INIT(LIMIT_REVIEW_RECORD + 1);
	_cleanup_close_ int fd = openat(dir, JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int run = openat(dir, "run", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const char *in, *name;
	size_t at = 0, used, tree;
	int ret = fd < 0 || run < 0 ? -errno : fd_read_all(fd, &b);

	if (ret == 0)
		ret = fd_read_all(run, &text);
	if (ret == 0)
		ret = review_record_parse(text.data ? text.data : "", text.len, &r.arena, &r.record,
					  NULL);
	while (ret == 0 && b.data &&
	       (used = review_journal_next(b.data + at, b.len - at, &tree, &in, &name))) {
		ret = heal_one(&r, tree, in, name);
		at += used;
	}
	buf_done(&b);
	buf_done(&text);
	arena_done(&r.arena);
	if (ret == 0 && unlinkat(dir, JOURNAL, 0) < 0)
		ret = -errno;
	return ret;
}

void journal_exempt(int dir, struct walk_exempt *ret)
{
	_cleanup_close_ int fd = openat(dir, TOUCHED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	*ret = (struct walk_exempt){ .v = NULL };
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > LIMIT_REVIEW_ARENA)
		return;
	ret->v = malloc((size_t)st.st_size);
	n = ret->v ? read(fd, ret->v, (size_t)st.st_size) : -1;
	ret->n = n > 0 ? (size_t)n / sizeof(*ret->v) : 0;
}
