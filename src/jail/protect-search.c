/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The search for names of the table (docs/adr/0007): breadth first, a few levels deep and in a bounded number of
 * directories. The search before a run keeps what it has learnt of directories that have no such name. The kernel changes a directory's time
 * of change when a name comes or goes in it; so a later search (the sweep of the run, docs/adr/0017) passes over those that have the same one
 * still, and takes their directories from what was kept.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "netns.h"
#include "protect-find.h"

/* Large, generated, and not where people keep settings; as many directories as the search has for everything. */
static const char *const skipped[] = { "node_modules",  "target",      "venv",
				       ".venv",         ".tox",        "__pycache__",
				       "site-packages", ".cache",      ".next",
				       ".gradle",       ".mypy_cache", ".ruff_cache",
				       ".pytest_cache" };

/* The directory that is listed. */
struct listing {
	const char *dir;
	int fd;
	unsigned int depth;
	bool head, objects, refs, commondir; /* what makes it a git directory */
	bool any;                            /* a name of the table, or the first part of one */
	bool unsure; /* a root whose file system may fold names unknown to the kernel: asked by the first name that can tell */
};

void protect_enqueue(struct finder *f, const char *path, unsigned int depth)
{
	f->queue[f->n_queue] = path;
	f->depth[f->n_queue] = (unsigned char)depth;
	if (f->pr->later)
		f->pr->searched[f->n_queue] =
			(struct jail_searched){ .path = depth > 0 ? path : NULL };
	f->n_queue++;
}

static int push(struct finder *f, const char *dir, const char *name, unsigned int depth)
{
	char path[LIMIT_PATH];
	const char **first = depth > LIMIT_PROTECT_DEPTH ? &f->deeper :
			     f->n_queue == f->max_queue  ? &f->full :
							   NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(skipped); i++) {
		if (strcmp(skipped[i], name) == 0)
			return protect_join(path, dir, name) ?
				       protect_note(f, path,
						    "not searched: installed or generated files",
						    false) :
				       0;
	}
	if ((first && *first) || !protect_join(path, dir, name))
		return 0;
	for (i = 0; f->n_roots > 1 && i < f->n_roots; i++) {
		if (strcmp(f->roots[i], path) == 0)
			return 0; /* searched from there */
	}
	dir = arena_strdup(f->pr->later ? f->policy->arena : &f->scratch, path);
	if (!dir)
		return protect_oom(f);
	if (first)
		*first = dir;
	else
		protect_enqueue(f, dir, depth);
	return 0;
}

/* Servers and programs that take a name in any case without the kernel's knowing: to it each spelling is a name of its own, for a mount, too. */
static bool may_fold(int fd)
{
	struct statfs sfs;

	return fstatfs(fd, &sfs) == 0 &&
	       (sfs.f_type == FUSE_SUPER_MAGIC || sfs.f_type == V9FS_MAGIC);
}

/* Whether @name is there in the other case, too, as the same file. *ret_letters: it has any */
static bool folds(int fd, const char *name, bool *ret_letters)
{
	struct stat st, other;
	char swapped[256];
	size_t i;

	*ret_letters = false;
	for (i = 0; name[i] && i + 1 < sizeof(swapped); i++) {
		const bool letter = (name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z';

		swapped[i] = (char)(letter ? name[i] ^ 0x20 : name[i]);
		*ret_letters = *ret_letters || letter;
	}
	swapped[i] = '\0';
	return *ret_letters && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(fd, swapped, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == other.st_dev && st.st_ino == other.st_ino;
}

static int say_folding(struct finder *f, struct listing *l, const char *name)
{
	bool letters;
	const bool same = folds(l->fd, name, &letters);

	l->unsure = !letters;
	if (!same)
		return 0;
	return protect_note(
		f, l->dir,
		"names are the same here in any case, unknown to the kernel: what is protected could be "
		"written by another spelling; an overlay workspace has no such names",
		true);
}

static int on_entry(struct finder *f, const char *name, unsigned char type, void *arg)
{
	const struct policy_protected *row = NULL;
	struct listing *l = arg;
	size_t n;
	int r = 0;

	if (l->unsure)
		r = say_folding(f, l, name);
	if (r < 0)
		return r;
	if (name[0] != '.') {
		l->head = l->head || strcasecmp(name, "HEAD") == 0;
		l->objects = l->objects || strcasecmp(name, "objects") == 0;
		l->refs = l->refs || strcasecmp(name, "refs") == 0;
		l->commondir = l->commondir || strcasecmp(name, "commondir") == 0;
		return type == DT_DIR ? push(f, l->dir, name, l->depth + 1) : 0;
	}
	if (strcasecmp(name, ".git") == 0) { /* what is writable itself was looked at first */
		l->any = true;
		return l->depth > 0 ? protect_git_entry(f, l->dir, 0) : 0;
	}
	n = strlen(name);
	/* every name of the table begins with a dot (a test sees to it) */
	while (r == 0 && !f->pr->git_only && (row = policy_protected_next(POLICY_IN_ANY, row))) {
		if (strncasecmp(row->name, name, n) != 0 || (row->name[n] != '/' && row->name[n]))
			continue;
		l->any = true;
		r = protect_name(f, l->fd, l->dir, row);
	}
	return r == 0 && type == DT_DIR ? push(f, l->dir, name, l->depth + 1) : r;
}

/*
 * Whether the file system of @fd gives a directory a new time of change, by this kernel's clock, whenever a name comes or goes in it, and nobody can
 * choose that time. A server's or FUSE's may be anything.
 */
static bool timed(struct finder *f, int fd, const struct stat *st)
{
	struct statfs sfs;

	if (st->st_dev == f->timed)
		return true;
	if (fstatfs(fd, &sfs) < 0 || (sfs.f_type != EXT4_SUPER_MAGIC &&
				      sfs.f_type != XFS_SUPER_MAGIC && sfs.f_type != TMPFS_MAGIC))
		return false;
	f->timed = st->st_dev;
	return true;
}

static int64_t changed(const struct stat *st)
{
	return st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

/*
 * The directory in the @i-th place of the queue has no name of the table. @st: of before it was searched; @below: where in the queue its
 * directories begin.
 */
static void remember(struct finder *f, size_t i, int fd, const struct stat *st, size_t below)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail for this clock */
	/* times come from a clock of ticks: what is changed in the tick of an earlier change may get the same one */
	if (f->full || st->st_ctim.tv_sec + 1 >= now.tv_sec || !timed(f, fd, st))
		return;
	f->pr->searched[i].dev = st->st_dev;
	f->pr->searched[i].ino = st->st_ino;
	f->pr->searched[i].changed = changed(st);
	f->pr->searched[i].below = (unsigned int)below;
	f->pr->searched[i].n = (unsigned int)(f->n_queue - below);
}

/*
 * Return: what an earlier search has found out about the directory @path, if that is as it was then; or NULL. @i: its place in the queue, which is
 * the same as then unless something has changed.
 */
static const struct jail_searched *remembered(const struct finder *f, size_t i, const char *path)
{
	const struct jail_protect *pr = f->pr;
	const struct jail_searched *s = pr->searched;
	const size_t n = pr->later ? 0 : pr->n_searched;
	struct stat st;
	size_t k;

	if (n == 0 || (i < n && s[i].path && !s[i].changed && strcmp(s[i].path, path) == 0) ||
	    lstat(path, &st) < 0)
		return NULL;
	for (k = 0; k < n; k++) {
		const struct jail_searched *at = &s[(i + k) % n];

		/* a directory that was moved is the same, but those in it have other names */
		if (at->changed && at->path && at->ino == st.st_ino && at->dev == st.st_dev)
			return at->changed == changed(&st) && strcmp(at->path, path) == 0 ? at :
											    NULL;
	}
	return NULL;
}

/* Whether it is worth a look: a name that is absent, as nearly all are, is told so by half of the work of opening it. */
static bool may_be_there(int dfd, const char *name)
{
	struct stat st;

	return fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/*
 * A directory without subdirectories that has many entries: asking for the few names that can matter is cheaper than to list all. (A
 * link to a directory, where the table has names in directories, is not seen there.)
 */
static int ask(struct finder *f, struct listing *l)
{
	const struct policy_protected *row = NULL;
	const bool entry = may_be_there(l->fd, ".git");
	int r = entry ? protect_git_entry(f, l->dir, 0) : 0;

	l->any = entry;
	l->head = may_be_there(l->fd, "HEAD");
	/* git takes it for a repository by these, also when they are links */
	if (r == 0 && l->head &&
	    ((may_be_there(l->fd, "objects") && may_be_there(l->fd, "refs")) ||
	     may_be_there(l->fd, "commondir")))
		r = protect_git_dir(f, l->dir, NULL, NULL, 0);
	while (r == 0 && !f->pr->git_only && (row = policy_protected_next(POLICY_IN_ANY, row))) {
		if (row->dir || strchr(row->name, '/') || strcmp(row->name, ".git") == 0 ||
		    !may_be_there(l->fd, row->name))
			continue;
		l->any = true;
		r = protect_name(f, l->fd, l->dir, row);
	}
	return r;
}

/* Return: 0 or negative errno with @e. @l: with its descriptor. */
static int look_into(struct finder *f, struct listing *l, const struct stat *st)
{
	size_t n_queue = f->n_queue;
	int r;

	/* a directory has a link from each subdirectory, where it has such links at all; 4096: a block, up to about a hundred entries */
	if (l->depth > 0 && st->st_nlink == 2 && st->st_size > 4096)
		return ask(f, l);
	r = protect_list(f, l->fd, l->dir, on_entry, l);
	if (r == 0 && l->head && ((l->objects && l->refs) || l->commondir)) {
		f->n_queue = n_queue; /* what is in it has its own table */
		r = protect_git_dir(f, l->dir, NULL, NULL, 0);
	}
	return r;
}

static int search_one(struct finder *f, size_t i)
{
	struct listing l = { .dir = f->queue[i], .depth = f->depth[i] };
	const struct jail_searched *s = l.depth > 0 ? remembered(f, i, l.dir) : NULL;
	_cleanup_close_ int fd = -1;
	size_t below = f->n_queue, k;
	struct stat st;
	int r;

	for (k = 0; s && k < s->n; k++) {
		if (f->n_queue == f->max_queue) {
			f->full = l.dir;
			break;
		}
		protect_enqueue(f, f->pr->searched[s->below + k].path, l.depth + 1);
	}
	if (s)
		return 0;
	fd = sys_openat2(AT_FDCWD, l.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
			 RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return fd == -ENOENT ? 0 : protect_closed(f, l.dir, fd);
	if (fstat(fd, &st) < 0)
		return protect_note(f, l.dir, strerror(errno), false);
	l.fd = fd;
	l.unsure = l.depth == 0 && may_fold(fd);
	f->bytes += (uint64_t)st.st_size;
	f->unlisted = false;
	r = look_into(f, &l, &st);
	if (r == 0 && f->pr->later && l.depth > 0 && !l.any && !l.head && !f->unlisted)
		remember(f, i, fd, &st, below);
	return r;
}

static long now_us(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts); /* can't fail for these clocks */
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct clocks {
	long passed, own; /* us: for everybody, and of our own time on a CPU */
};

/*
 * Our own time counts: on a busy machine a small tree must not be left to the search beside the run. Waiting for a disk has an end, too. What
 * has passed is asked first, because that is no system call, and our own part of it can't be more.
 */
static bool used_up(const struct clocks *begin)
{
	const long passed = now_us(CLOCK_MONOTONIC) - begin->passed;

	return passed > LIMIT_PROTECT_US &&
	       (passed > LIMIT_PROTECT_WAIT_US ||
		now_us(CLOCK_THREAD_CPUTIME_ID) - begin->own > LIMIT_PROTECT_US);
}

int protect_search(struct finder *f)
{
	const struct clocks begin = { now_us(CLOCK_MONOTONIC), now_us(CLOCK_THREAD_CPUTIME_ID) };
	uint32_t *gate = f->pr->later ? f->pr->gate : NULL;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < f->n_queue; i++) {
		if (gate && now_us(CLOCK_MONOTONIC) - begin.passed > LIMIT_PROTECT_SHORT_US) {
			netns_open(gate, NETNS_BEGIN);
			gate = NULL;
		}
		/* the roots are always searched */
		if (f->pr->later && f->depth[i] > 0 && used_up(&begin)) {
			f->full = f->queue[i];
			break;
		}
		r = search_one(f, i);
	}
	f->pr->whole = !f->late && (!f->full || !f->pr->later);
	f->pr->large = f->bytes > LIMIT_SCAN_BYTES;
	if (r == 0 && f->full && !f->pr->later)
		r = protect_note(f, f->full, "from here on: more than 500 directories", false);
	if (r == 0 && f->deeper)
		r = protect_note(f, f->deeper, "and what else is more than 3 levels deep", false);
	return r;
}
