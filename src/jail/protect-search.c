/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for names of the table, breadth first, a few levels deep and in a bounded number of directories (docs/adr/0007).
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
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
};

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
	dir = arena_strdup(&f->scratch, path);
	if (!dir)
		return protect_oom(f);
	if (first) {
		*first = dir;
		return 0;
	}
	f->queue[f->n_queue] = dir;
	f->depth[f->n_queue++] = (unsigned char)depth;
	return 0;
}

static int on_entry(struct finder *f, const char *name, unsigned char type, void *arg)
{
	const struct policy_protected *row = NULL;
	struct listing *l = arg;
	size_t n;
	int r = 0;

	if (name[0] != '.') {
		l->head = l->head || strcmp(name, "HEAD") == 0;
		l->objects = l->objects || strcmp(name, "objects") == 0;
		l->refs = l->refs || strcmp(name, "refs") == 0;
		l->commondir = l->commondir || strcmp(name, "commondir") == 0;
		return type == DT_DIR ? push(f, l->dir, name, l->depth + 1) : 0;
	}
	if (strcmp(name, ".git") == 0) /* what is writable itself was looked at first */
		return l->depth > 0 ? protect_git_entry(f, l->dir, 0) : 0;
	n = strlen(name);
	/* every name of the table begins with a dot (a test sees to it) */
	while (r == 0 && !f->pr->git_only && (row = policy_protected_next(POLICY_IN_ANY, row))) {
		if (strncmp(row->name, name, n) == 0 && (row->name[n] == '/' || !row->name[n]))
			r = protect_name(f, l->fd, l->dir, row);
	}
	return r == 0 && type == DT_DIR ? push(f, l->dir, name, l->depth + 1) : r;
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
static int ask(struct finder *f, const struct listing *l)
{
	const struct policy_protected *row = NULL;
	int r = may_be_there(l->fd, ".git") ? protect_git_entry(f, l->dir, 0) : 0;

	/* git takes it for a repository by these, also when they are links */
	if (r == 0 && may_be_there(l->fd, "HEAD") &&
	    ((may_be_there(l->fd, "objects") && may_be_there(l->fd, "refs")) ||
	     may_be_there(l->fd, "commondir")))
		r = protect_git_dir(f, l->dir, NULL, NULL, 0);
	while (r == 0 && !f->pr->git_only && (row = policy_protected_next(POLICY_IN_ANY, row))) {
		if (!row->dir && !strchr(row->name, '/') && strcmp(row->name, ".git") != 0 &&
		    may_be_there(l->fd, row->name))
			r = protect_name(f, l->fd, l->dir, row);
	}
	return r;
}

static int search_one(struct finder *f, size_t i)
{
	struct listing l = { .dir = f->queue[i], .depth = f->depth[i] };
	_cleanup_close_ int fd = sys_openat2(AT_FDCWD, l.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
					     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	size_t n_queue = f->n_queue;
	struct stat st;
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : protect_closed(f, l.dir, fd);
	l.fd = fd;
	/* a directory has a link from each subdirectory, where it has such links at all; 4096: a block, up to about a hundred entries */
	if (fstat(fd, &st) < 0)
		return protect_note(f, l.dir, strerror(errno), false);
	f->bytes += (uint64_t)st.st_size;
	if (l.depth > 0 && st.st_nlink == 2 && st.st_size > 4096)
		return ask(f, &l);
	r = protect_list(f, fd, l.dir, on_entry, &l);
	if (r == 0 && l.head && ((l.objects && l.refs) || l.commondir)) {
		f->n_queue = n_queue; /* what is in it has its own table */
		r = protect_git_dir(f, l.dir, NULL, NULL, 0);
	}
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
