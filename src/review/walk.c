/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. An upper layer holds what the command wrote: files, directories on the way to them, a whiteout (a device 0/0) for each name
 * that was removed, and directories marked opaque, behind which nothing of the host shows. So only the upper layer is walked, and of the
 * host what has the same names, what is below whiteouts, and what is in opaque directories. Directories wait in a list, by their paths: depth costs
 * no descriptors and no stack.
 *
 * What is compared is the host now. Whether the host's file is still the one that the command saw is another question, which its time of change
 * answers (ctime can't be set): later than the start of the run, it is a conflict. A directory's ctime changes with every name in it, so a
 * directory is in conflict when it disappears with all that it holds, or when only its ctime has changed: it was moved, and what is in it may be other
 * files, with old times.
 */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "names.h"
#include "origin.h"

#define DOUBTS_MAX 256 /* of what is in doubt beyond that, the doubt stays: a conflict */

#define CHANGED "the host's version was changed after the run began"
#define REMOVED \
	"it was removed on the host after the run began, or the run has moved it here and changed it"
#define DIR_CHANGED "the directory was changed on the host after the run began"

int walk_at(int root, const char *path, int flags)
{
	return sys_openat2(root, path, (uint64_t)(unsigned int)flags,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
				   RESOLVE_NO_XDEV);
}

int walk_parent(int root, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[LIMIT_PATH];

	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		return walk_at(root, ".", O_PATH | O_DIRECTORY);
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	return walk_at(root, dir, O_PATH | O_DIRECTORY);
}

int walk_file(int root, const char *path)
{
	_cleanup_close_ int fd = walk_at(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	return TAKE_FD(fd);
}

static ssize_t read_full(int fd, char *buf, size_t n)
{
	size_t have = 0;
	ssize_t r;

	while (have < n) {
		r = read(fd, buf + have, n - have);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		have += (size_t)r;
	}
	return (ssize_t)have;
}

int walk_same(int a, int b)
{
	char one[32768], two[32768];
	ssize_t n, m;

	do {
		n = read_full(a, one, sizeof(one));
		m = read_full(b, two, sizeof(two));
		if (n < 0 || m < 0)
			return (int)(n < 0 ? n : m);
		if (n != m || memcmp(one, two, (size_t)n) != 0)
			return 0;
	} while (n > 0);
	return 1;
}

int walk_cmp_time(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

int walk_open(const struct review *r, size_t i, struct walk_tree *t, struct err *e)
{
	char name[32];

	*t = (struct walk_tree){ .upper = -1, .host = -1 };
	(void)snprintf(name, sizeof(name), "%zu/upper", i);
	t->upper = openat(r->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->upper < 0)
		return err_sys(e, -errno, "record of run %s: %s", r->record.id, name);
	/* its own name may lead over links and mounts by now: the run's was resolved, and so must this be */
	t->host = sys_openat2(AT_FDCWD, r->record.trees[i].path, O_RDONLY | O_DIRECTORY,
			      RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (t->host < 0) {
		walk_close(t);
		return err_sys(e, t->host, "'%s'", r->record.trees[i].path);
	}
	return 0;
}

void walk_close(struct walk_tree *t)
{
	cleanup_close(&t->upper);
	cleanup_close(&t->host);
	t->upper = -1;
}

/* A directory that waits. */
struct place {
	const char *path;
	enum {
		BOTH,
		OPAQUE,
		ALONE
	} how;                /* merged with the host's, in its place, or where the host has none */
	const char *conflict; /* of everything in it; or NULL */
	const char *covered;  /* OPAQUE: of what only the host has in it */
	struct place *next;
};

struct walker {
	const struct review *r;
	struct review_changes *c;
	struct walk_tree t;
	size_t tree;
	struct walk_exempt exempt;
	size_t *doubts; /* changes: see removed() */
	size_t n_doubts, max_doubts;
	struct place *first, **end;
	struct err *e;
};

static int oom(struct walker *w)
{
	return err_set(w->e, ERR_SYSTEM, -ENOMEM, "out of memory for the changes of a run");
}

static int too_many(struct walker *w)
{
	return err_set(
		w->e, ERR_SYSTEM, -E2BIG,
		"the run has more than %d changes, too many to be reviewed; bailey discard %s throws them away",
		LIMIT_REVIEW_CHANGES, w->r->record.id);
}

static bool later(const struct walker *w, const struct stat *host)
{
	return walk_cmp_time(&host->st_ctim, &w->r->record.start) > 0;
}

static bool exempt(const struct walker *w, const struct stat *host)
{
	const struct walk_touched *v;
	size_t i;

	for (i = w->exempt.v ? w->exempt.n : 0; i > 0; i--) {
		v = &w->exempt.v[i - 1];
		if (v->dev == host->st_dev && v->ino == host->st_ino)
			return v->sec == 0 ||
			       (v->sec == host->st_ctim.tv_sec && v->nsec == host->st_ctim.tv_nsec);
	}
	return false;
}

/* Add a change; either side may be NULL. Return: it, or NULL with w->e. */
static struct review_change *add(struct walker *w, enum review_kind kind, const char *path,
				 const struct stat *host, const struct stat *upper)
{
	struct review_changes *c = w->c;
	struct review_change *v;

	if (c->n == c->size) {
		if (c->n == LIMIT_REVIEW_CHANGES) {
			(void)too_many(w);
			return NULL;
		}
		v = realloc(c->v, (c->size * 2 + 256) * sizeof(*v));
		if (!v) {
			(void)oom(w);
			return NULL;
		}
		c->v = v;
		c->size = c->size * 2 + 256;
	}
	v = &c->v[c->n];
	*v = (struct review_change){ .path = arena_strdup(&c->arena, path),
				     .tree = w->tree,
				     .kind = kind };
	if (!v->path) {
		(void)oom(w);
		return NULL;
	}
	if (host) {
		v->old_mode = host->st_mode;
		v->old_size = host->st_size;
		v->seen = (struct review_seen){ .dev = host->st_dev,
						.ino = host->st_ino,
						.mtime = host->st_mtim,
						.ctime = host->st_ctim };
	}
	if (upper) {
		v->new_mode = upper->st_mode;
		v->new_size = upper->st_size;
		if (!S_ISREG(upper->st_mode) && !S_ISDIR(upper->st_mode) &&
		    !S_ISLNK(upper->st_mode))
			v->refused = S_ISFIFO(upper->st_mode) ? "a FIFO" :
				     S_ISSOCK(upper->st_mode) ? "a socket" :
								"a device";
	}
	c->n++;
	return v;
}

static int push(struct walker *w, const char *path, int how, const char *conflict,
		const char *covered)
{
	struct place *p = arena_alloc(&w->c->arena, sizeof(*p));

	if (!p || !(p->path = arena_strdup(&w->c->arena, path)))
		return oom(w);
	p->how = (__typeof__(p->how))how;
	p->conflict = conflict;
	p->covered = conflict ? conflict : covered;
	*w->end = p;
	w->end = &p->next;
	return 0;
}

static bool join(char *out, const char *dir, const char *name)
{
	size_t a = strcmp(dir, ".") == 0 ? 0 : strlen(dir), b = strlen(name);

	if (a + b + 2 > LIMIT_PATH)
		return false;
	memcpy(out, dir, a);
	if (a)
		out[a++] = '/';
	memcpy(out + a, name, b + 1);
	return true;
}

/* Names of the directory @path. @l: entries_done() in any case. Return: 0 or negative errno. */
static int names_read(int root, const char *path, struct entries *l)
{
	_cleanup_close_ int fd = walk_at(root, path, O_RDONLY | O_DIRECTORY);

	return fd < 0 ? fd : entries_read(fd, LIMIT_REVIEW_CHANGES, l);
}

/*
 * @path of the host is not in the run's version, with everything in it. The list of changes is its own list of what waits: it grows while directories in it
 * are read.
 */
static int deleted(struct walker *w, const char *path, const struct stat *st, const char *conflict)
{
	size_t i = w->c->n, k;
	struct review_change *c = add(w, REVIEW_DELETED, path, st, NULL);
	char below[LIMIT_PATH];
	int r = 0;

	if (!c)
		return -ENOMEM;
	c->conflict = conflict;
	for (; r == 0 && i < w->c->n; i++) {
		struct entries l = { .v = NULL };
		struct stat in;
		int fd;

		c = &w->c->v[i];
		if (!S_ISDIR(c->old_mode)) {
			if (!c->conflict && walk_cmp_time(&c->seen.ctime, &w->r->record.start) > 0)
				c->conflict = CHANGED;
			continue;
		}
		in.st_dev = c->seen.dev;
		in.st_ino = c->seen.ino;
		in.st_ctim = c->seen.ctime;
		if (!c->conflict && walk_cmp_time(&c->seen.ctime, &w->r->record.start) > 0 &&
		    !exempt(w, &in))
			c->conflict = DIR_CHANGED;
		fd = names_read(w->t.host, c->path, &l);
		if (fd < 0 && !c->conflict)
			c->conflict = "it can't be read on the host";
		for (k = 0; r == 0 && k < l.n; k++) {
			const char *dir = w->c->v[i].path, *why = w->c->v[i].conflict;
			struct review_change *new;
			int at;

			if (!join(below, dir, l.v[k])) {
				w->c->v[i].conflict = "it holds names that are too long";
				continue;
			}
			at = walk_at(w->t.host, below, O_PATH | O_NOFOLLOW);
			if (at >= 0 && fstat(at, &in) == 0) {
				new = add(w, REVIEW_DELETED, below, &in, NULL);
				if (new)
					new->conflict = why;
				r = new ? 0 : -ENOMEM;
			} else {
				w->c->v[i].conflict = "it holds what can't be looked at";
			}
			cleanup_close(&at);
		}
		entries_done(&l);
	}
	return r;
}

/* What is in one place on both sides, opened by path only. */
struct pair {
	int upper, host; /* host: -1: absent */
	struct stat up, on;
	const char *path;
};

static bool same_link(const struct pair *p)
{
	char a[LIMIT_PATH], b[LIMIT_PATH];
	ssize_t n = readlinkat(p->upper, "", a, sizeof(a)),
		m = readlinkat(p->host, "", b, sizeof(b));

	return n >= 0 && n == m && memcmp(a, b, (size_t)n) == 0;
}

/* Whether two files of one type have the same contents. Return: 1, 0 or negative errno. */
static int same(const struct walker *w, const struct pair *p)
{
	_cleanup_close_ int a = -1, b = -1;

	if (S_ISLNK(p->up.st_mode))
		return same_link(p);
	if (!S_ISREG(p->up.st_mode))
		return 1;
	if (p->up.st_size != p->on.st_size)
		return 0;
	a = walk_file(w->t.upper, p->path);
	b = walk_file(w->t.host, p->path);
	if (a < 0)
		return a;
	return b < 0 ? 0 : walk_same(a, b); /* what can't be read can't be kept either */
}

static bool readable(const struct walker *w, const char *path)
{
	_cleanup_close_ int fd = walk_file(w->t.upper, path);

	return fd >= 0;
}

#define MODE_BITS 01777 /* set-id bits can't be set inside, and are never taken over */

/* A directory of the host has the name: what is in it goes. The directory itself is the change of type that was added last. */
static int instead_of_dir(struct walker *w, const struct pair *p, const char *conflict)
{
	size_t i = w->c->n - 1;
	int r = deleted(w, p->path, &p->on, conflict);

	if (r < 0)
		return r;
	w->c->v[i].conflict = w->c->v[i + 1].conflict;
	memmove(&w->c->v[i + 1], &w->c->v[i + 2], (w->c->n - i - 2) * sizeof(*w->c->v));
	w->c->n--;
	return 0;
}

/* The conflict of @c is in doubt: see settle_doubts(). */
static int doubt(struct walker *w, struct review_change *c, const char *conflict)
{
	size_t *v;

	c->conflict = conflict;
	if (w->n_doubts == w->max_doubts) {
		v = realloc(w->doubts, (w->max_doubts * 2 + 16) * sizeof(*v));
		if (!v)
			return oom(w);
		w->doubts = v;
		w->max_doubts = w->max_doubts * 2 + 16;
	}
	w->doubts[w->n_doubts++] = (size_t)(c - w->c->v);
	return 0;
}

/*
 * A copy of a file that the host does not have under this name: the command has moved it here, or the host has removed it. Without a change of the host's
 * directory it was the command; otherwise it is in doubt.
 */
static int removed(struct walker *w, const struct place *in, struct review_change *c)
{
	_cleanup_close_ int dir = walk_at(w->t.host, in->path, O_PATH | O_DIRECTORY);
	struct stat st;

	if (dir < 0 || fstat(dir, &st) < 0 || !later(w, &st) || exempt(w, &st))
		return 0;
	return doubt(w, c, REMOVED);
}

static int compare_file(struct walker *w, const struct pair *p, const struct place *in)
{
	bool there = p->host >= 0,
	     same_type = there && (p->up.st_mode & S_IFMT) == (p->on.st_mode & S_IFMT);
	bool mode = same_type && !S_ISLNK(p->up.st_mode) &&
		    (p->up.st_mode & MODE_BITS) != (p->on.st_mode & MODE_BITS);
	const struct stat *on = there ? &p->on : NULL;
	struct review_change *c;
	int eq = same_type ? same(w, p) : 0;

	if (eq == 1 && !mode)
		return 0;
	c = add(w,
		!there     ? REVIEW_ADDED :
		!same_type ? REVIEW_TYPE :
		eq == 1    ? REVIEW_MODE :
			     REVIEW_MODIFIED,
		p->path, on, &p->up);
	if (!c)
		return -ENOMEM;
	if (S_ISREG(p->up.st_mode) && !readable(w, p->path))
		c->refused = "it can't be read: the command took its read permission away";
	if (in->conflict)
		c->conflict = in->conflict;
	else if (!there && S_ISREG(p->up.st_mode) && in->how != ALONE && origin_has(p->upper))
		return removed(w, in, c);
	else if (there && !S_ISDIR(p->on.st_mode) && later(w, &p->on))
		c->conflict = CHANGED;
	return there && S_ISDIR(p->on.st_mode) ? instead_of_dir(w, p, c->conflict) : 0;
}

/* Adding a name to a directory changes both of its times, so a ctime that stands alone is a change of the directory itself: of its mode, or its place. */
static bool touched(const struct walker *w, const struct stat *dir)
{
	return later(w, dir) && walk_cmp_time(&dir->st_ctim, &dir->st_mtim) != 0 && !exempt(w, dir);
}

/* The mode of a directory that is on both sides. */
static int compare_mode(struct walker *w, const struct pair *p, const char *conflict)
{
	struct review_change *c;

	if ((p->up.st_mode & MODE_BITS) == (p->on.st_mode & MODE_BITS))
		return 0;
	c = add(w, REVIEW_MODE, p->path, &p->on, &p->up);
	if (!c)
		return -ENOMEM;
	if (conflict)
		c->conflict = conflict;
	else if (touched(w, &p->on))
		c->conflict = CHANGED;
	return 0;
}

static int compare_dir(struct walker *w, const struct pair *p, const char *conflict)
{
	bool there = p->host >= 0;
	struct review_change *c;
	int r;

	if (there && S_ISDIR(p->on.st_mode)) {
		bool opaque = origin_opaque(p->upper);

		if (!conflict && !opaque && touched(w, &p->on))
			conflict = DIR_CHANGED;
		r = compare_mode(w, p, conflict);
		if (r < 0 || !opaque)
			return r < 0 ? r : push(w, p->path, BOTH, conflict, NULL);
		return push(w, p->path, OPAQUE, conflict,
			    later(w, &p->on) && !exempt(w, &p->on) ? DIR_CHANGED : NULL);
	}
	c = add(w, there ? REVIEW_TYPE : REVIEW_ADDED, p->path, there ? &p->on : NULL, &p->up);
	if (!c)
		return -ENOMEM;
	if (conflict)
		c->conflict = conflict;
	else if (there && later(w, &p->on))
		c->conflict = CHANGED;
	else if (!there && !origin_opaque(p->upper) && origin_has(p->upper))
		c->conflict = REMOVED;
	return push(w, p->path, ALONE, NULL, NULL);
}

/* One name of the upper layer. */
static int visit(struct walker *w, const struct place *in, const char *path)
{
	struct pair p = { .upper = walk_at(w->t.upper, path, O_PATH | O_NOFOLLOW),
			  .host = in->how == ALONE ? -ENOENT :
						     walk_at(w->t.host, path, O_PATH | O_NOFOLLOW),
			  .path = path };
	int r = 0;

	if (p.upper < 0 || fstat(p.upper, &p.up) < 0)
		r = p.upper == -ENOENT ? 0 : /* the run lives, and has removed it this moment */
			    err_sys(w->e, p.upper < 0 ? p.upper : -errno, "record of run %s: '%s'",
				    w->r->record.id, path);
	else if (p.host < 0 && p.host != -ENOENT && p.host != -ENOTDIR)
		r = err_sys(w->e, p.host, "'%s/%s'", w->r->record.trees[w->tree].path, path);
	else if (p.host >= 0 && fstat(p.host, &p.on) < 0)
		r = err_sys(w->e, -errno, "'%s/%s'", w->r->record.trees[w->tree].path, path);
	else if (WHITEOUT(&p.up))
		r = p.host >= 0 ? deleted(w, path, &p.on, in->conflict) : 0;
	else if (S_ISDIR(p.up.st_mode))
		r = compare_dir(w, &p, in->conflict);
	else
		r = compare_file(w, &p, in);
	cleanup_close(&p.upper);
	cleanup_close(&p.host);
	return r;
}

/* What the host has in a directory that the command made anew. */
static int hidden(struct walker *w, const struct place *in, const struct entries *mine)
{
	struct entries l = { .v = NULL };
	char path[LIMIT_PATH];
	struct stat st;
	size_t i;
	int r = 0, fd;

	if (names_read(w->t.host, in->path, &l) < 0)
		r = err_set(w->e, ERR_SYSTEM, -EACCES, "'%s/%s' can't be read",
			    w->r->record.trees[w->tree].path, in->path);
	for (i = 0; r == 0 && i < l.n; i++) {
		if (entries_have(mine, l.v[i]) || !join(path, in->path, l.v[i]))
			continue;
		fd = walk_at(w->t.host, path, O_PATH | O_NOFOLLOW);
		if (fd >= 0 && fstat(fd, &st) == 0)
			r = deleted(w, path, &st, in->covered);
		cleanup_close(&fd);
	}
	entries_done(&l);
	return r;
}

/* A place that can't be looked into is a change that can't be taken over, so that it is not forgotten. */
static int blocked(struct walker *w, const char *path, const char *why)
{
	struct stat st = { .st_mode = S_IFDIR };
	struct review_change *c = add(w, REVIEW_MODIFIED, path, &st, &st);

	if (!c)
		return -ENOMEM;
	c->refused = why;
	return 0;
}

static int walk_place(struct walker *w, const struct place *in)
{
	struct entries l = { .v = NULL };
	char path[LIMIT_PATH];
	size_t i;
	int r = names_read(w->t.upper, in->path, &l);

	if (r == -ENOMEM)
		r = oom(w);
	else if (r == -E2BIG)
		r = too_many(w);
	else if (r == -EACCES)
		r = blocked(w, in->path, "it can't be read: the command took its permissions away");
	else if (r == -ENOENT)
		r = 0; /* the run lives */
	else if (r < 0)
		r = err_sys(w->e, r, "record of run %s: '%s'", w->r->record.id, in->path);
	for (i = 0; r == 0 && i < l.n; i++) {
		if (join(path, in->path, l.v[i]))
			r = visit(w, in, path);
		else
			r = blocked(w, in->path, "it holds names that are too long");
	}
	if (r == 0 && in->how == OPAQUE)
		r = hidden(w, in, &l);
	entries_done(&l);
	return r;
}

static int walk_root(struct walker *w)
{
	struct pair p = { .upper = w->t.upper, .host = w->t.host, .path = "." };
	int r;

	if (fstat(p.upper, &p.up) < 0 || fstat(p.host, &p.on) < 0)
		return err_sys(w->e, -errno, "'%s'", w->r->record.trees[w->tree].path);
	r = compare_mode(w, &p, NULL);
	return r < 0 ? r : push(w, ".", BOTH, NULL, NULL);
}

/* Whether the file @new of the upper layer is what the host has at @old, which the run's version lacks: a copy keeps size and time. */
static bool was(const struct walker *w, const struct review_change *old,
		const struct review_change *new)
{
	_cleanup_close_ int a = -1, b = -1;
	struct stat st;

	if (old->tree != w->tree || !S_ISREG(old->old_mode) || old->old_size != new->new_size)
		return false;
	a = walk_file(w->t.host, old->path);
	b = walk_file(w->t.upper, new->path);
	return a >= 0 && b >= 0 && fstat(b, &st) == 0 &&
	       walk_cmp_time(&st.st_mtim, &old->seen.mtime) == 0 && walk_same(a, b) == 1;
}

/* Changes in doubt are none, when the file is one that has lost its name in the run. There are few, so each looks at all others. */
static void settle_doubts(struct walker *w)
{
	size_t i, k;

	for (i = 0; i < w->n_doubts && i < DOUBTS_MAX; i++) {
		struct review_change *c = &w->c->v[w->doubts[i]];

		for (k = 0; c->conflict && k < w->c->n; k++) {
			if (was(w, &w->c->v[k], c))
				c->conflict = NULL;
		}
	}
	w->n_doubts = 0;
}

static int change_compare(const void *va, const void *vb)
{
	const struct review_change *a = va, *b = vb;

	if (a->tree != b->tree)
		return a->tree < b->tree ? -1 : 1;
	return path_compare(a->path, b->path);
}

int review_walk(const struct review *r, const struct review_host *host, struct review_changes *ret,
		struct err *e)
{
	struct walker w = { .r = r, .c = ret, .e = e };
	const struct place *p;
	int err = 0;

	if (r->state == REVIEW_BROKEN)
		return err_set(
			e, ERR_USAGE, -EBADMSG,
			"the record of run %s can't be read: %s; all that can be done with it is: bailey discard %s",
			r->record.id, r->why, r->record.id);
	*ret = (struct review_changes)REVIEW_CHANGES_INIT;
	journal_exempt(r->dir, &w.exempt);
	for (w.tree = 0; err == 0 && w.tree < r->record.n_trees; w.tree++) {
		err = walk_open(r, w.tree, &w.t, e);
		if (err < 0)
			break;
		w.first = NULL;
		w.end = &w.first;
		err = walk_root(&w);
		for (p = w.first; err == 0 && p; p = p->next)
			err = walk_place(&w, p);
		if (err == 0)
			settle_doubts(&w);
		if (err == 0)
			names_classify(r, w.tree, &w.t, host, ret);
		walk_close(&w.t);
	}
	free(w.exempt.v);
	free(w.doubts);
	if (err == 0 && ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), change_compare);
	return err;
}

void review_changes_done(struct review_changes *c)
{
	free(c->v);
	c->v = NULL;
	c->n = 0;
	arena_done(&c->arena);
}

const char *review_kind_name(enum review_kind k)
{
	static const char *const names[REVIEW_KIND_NUM] = { "added",   "modified", "deleted",
							    "renamed", "mode",     "type" };

	return k < REVIEW_KIND_NUM ? names[k] : "?";
}

int review_path(const struct review *r, const struct review_change *c, char *out)
{
	const char *tree = r->record.trees[c->tree].path;

	if (strcmp(c->path, ".") == 0) {
		memcpy(out, tree, strlen(tree) + 1);
		return 0;
	}
	return snprintf(out, LIMIT_PATH, "%s/%s", tree[1] ? tree : "", c->path) < LIMIT_PATH ?
		       0 :
		       -ENAMETOOLONG;
}
