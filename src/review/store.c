/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A record is a directory whose name says what it is: ".new-ID" is being made, "ID" is whole, ".gone-ID" is being removed. Each
 * step from one to the next is one rename, so a command that is killed leaves one of the three, and the next command removes what is
 * no record (heal()). The lock on the directory (flock) is the run's as long as bailey or PID 1 lives, and a verb's that changes the record.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "journal.h"
#include "remove.h"
#include "review.h"

#define NEW ".new-"
#define GONE ".gone-"
#define FILE_RUN "run"
#define FILE_KEPT \
	"kept" /* its end was seen, and there is something to review: a mode, when nothing else */
#define LAYER_UPPER "upper"
#define LAYER_WORK "work"

#define LOOK_MS 200
#define WAIT_MS 5

static int open_dir(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool review_is_id(const char *word)
{
	size_t n = strspn(word, "0123456789abcdef");

	return !word[n] && n >= REVIEW_ID_LEAST && n <= REVIEW_ID;
}

/* Whether the command of the record @dir has written nothing at all. */
static bool untouched(int dir)
{
	char path[32];
	size_t i, n;
	DIR *d;
	int fd;

	if (faccessat(dir, FILE_KEPT, F_OK, 0) == 0)
		return false;
	for (i = 0; i < LIMIT_REVIEW_TREES; i++) {
		(void)snprintf(path, sizeof(path), "%zu/" LAYER_UPPER, i);
		fd = open_dir(dir, path);
		if (fd == -ENOENT)
			return i > 0;
		d = fd < 0 ? NULL : fdopendir(fd);
		if (!d) {
			cleanup_close(&fd);
			return false;
		}
		n = 0;
		while (readdir(d))
			n++;
		(void)closedir(d);
		if (n > 2)
			return false;
	}
	return true;
}

/* Whether there is something to mend, before it is locked: a lock that is not needed could be in somebody's way. */
static bool to_heal(const char *name, int dir)
{
	if (strncmp(name, GONE, strlen(GONE)) == 0 || strncmp(name, NEW, strlen(NEW)) == 0)
		return true;
	return review_is_id(name) && strlen(name) == REVIEW_ID &&
	       (faccessat(dir, JOURNAL, F_OK, 0) == 0 || untouched(dir));
}

/* Remove what is no record any more. */
static int remove_rest(const struct review_store *s, const char *name)
{
	const int r = remove_tree(s->fd, name);

	return (r == -EACCES || r == -EPERM) && s->remove ? s->remove(s->fd, name) : r;
}

static int remove_record(const struct review_store *s, const char *id)
{
	char gone[40];
	int i, r = -EEXIST;

	/* a sandbox has its ID for ever: of an earlier record of it something may still be there */
	for (i = 0; i < 100 && (r == -EEXIST || r == -ENOTEMPTY); i++) {
		(void)snprintf(gone, sizeof(gone), GONE "%s-%d", id, i);
		r = renameat(s->fd, id, s->fd, gone) < 0 ? -errno : 0;
	}
	return r < 0 ? r : remove_rest(s, gone);
}

/* Something in the store that nobody holds. Return: 0 or negative errno. */
static int heal_one(const struct review_store *s, const char *name, int dir)
{
	if (strncmp(name, GONE, strlen(GONE)) == 0 || strncmp(name, NEW, strlen(NEW)) == 0)
		return remove_rest(s, name);
	if (faccessat(dir, JOURNAL, F_OK, 0) == 0)
		return journal_heal(dir);
	if (!untouched(dir)) /* now that it can't be written any more */
		return 0;
	return remove_record(s, name);
}

/* What interrupted commands left. What can't be mended now is left for the next time. */
static void heal(const struct review_store *s)
{
	int fd = open_dir(s->fd, "."), dir;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *en;

	if (!d) {
		cleanup_close(&fd);
		return;
	}
	while ((en = readdir(d))) {
		if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
			continue;
		dir = open_dir(s->fd, en->d_name);
		if (dir >= 0 && to_heal(en->d_name, dir) && flock(dir, LOCK_EX | LOCK_NB) == 0)
			(void)heal_one(s, en->d_name, dir);
		cleanup_close(&dir);
	}
	(void)closedir(d);
}

int review_store_open(struct review_store *s, const char *path, struct err *e)
{
	struct stat st;

	s->fd = -1;
	if (snprintf(s->path, sizeof(s->path), "%s", path) >= (int)sizeof(s->path))
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the path of the state is too long");
	s->fd = open_dir(AT_FDCWD, path);
	if (s->fd == -ENOENT) {
		s->fd = -1;
		return 0;
	}
	if (s->fd < 0)
		return err_sys(e, s->fd, "%s", path);
	if (fstat(s->fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		review_store_done(s);
		return err_set(e, ERR_POLICY, -EPERM,
			       "%s: others could write it: it must be yours, with mode 700", path);
	}
	heal(s);
	return 0;
}

void review_store_done(struct review_store *s)
{
	cleanup_close(&s->fd);
	s->fd = -1;
}

static int make_id(char *id)
{
	unsigned char raw[REVIEW_ID / 2];
	size_t i;

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -errno;
	for (i = 0; i < sizeof(raw); i++)
		(void)snprintf(id + 2 * i, 3, "%02x", raw[i]);
	return 0;
}

static int own_layers(int layers, uid_t owner, gid_t group)
{
	if (owner == (uid_t)-1)
		return 0;
	return fchownat(layers, LAYER_WORK, owner, group, AT_SYMLINK_NOFOLLOW) < 0 ||
			       fchown(layers, owner, group) < 0 ?
		       -errno :
		       0;
}

/* The layers of one tree. The upper one is what the root of the overlay looks like, so it has owner and mode of the tree. */
static int make_layers(int dir, size_t i, const char *tree, uid_t owner, gid_t group)
{
	_cleanup_close_ int fd = -1, upper = -1;
	char name[24];
	struct stat st;
	int r;

	(void)snprintf(name, sizeof(name), "%zu", i);
	if (lstat(tree, &st) < 0 || mkdirat(dir, name, 0700) < 0)
		return -errno;
	fd = open_dir(dir, name);
	if (fd < 0)
		return fd;
	if (mkdirat(fd, LAYER_WORK, 0700) < 0 || mkdirat(fd, LAYER_UPPER, 0700) < 0)
		return -errno;
	upper = open_dir(fd, LAYER_UPPER);
	if (upper < 0)
		return upper;
	/* the overlay's own notes are attributes of this kind; without them it would mount, and mix up what was removed */
	if (fsetxattr(upper, "user.bailey", "", 0, 0) < 0 || fremovexattr(upper, "user.bailey") < 0)
		return -errno;
	r = own_layers(fd, owner, group);
	if (r < 0)
		return r;
	if (geteuid() == 0 && fchown(upper, st.st_uid, st.st_gid) < 0)
		return -errno;
	return fchmod(upper, st.st_mode & 01777) < 0 ? -errno : 0;
}

/*
 * The start is the time that the kernel gives to the file itself. No clock that a program can ask will do: what was changed before could seem to be later
 * (multigrain times, Linux 6.13), and what is changed later to be earlier.
 */
static int write_run(int dir, struct review_record *r)
{
	_cleanup_close_ int fd =
		openat(dir, FILE_RUN, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct buf b = BUF_INIT(LIMIT_REVIEW_RECORD);
	struct stat st;
	int ret;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r->start = st.st_ctim;
	review_record_print(&b, r);
	ret = b.failed ? -E2BIG : fd_write_all(fd, b.data, b.len);
	buf_done(&b);
	return ret;
}

/* Who only looks has it for a moment. Return: 0, or negative errno: somebody else works with it. */
static int lock_alone(int dir)
{
	int waited;

	for (waited = 0; flock(dir, LOCK_EX | LOCK_NB) < 0; waited += WAIT_MS) {
		if (errno != EWOULDBLOCK || waited >= LOOK_MS)
			return -errno;
		(void)usleep(WAIT_MS * 1000);
	}
	return 0;
}

/* Everything under the name that says that it is not whole yet, then its own: record.id. */
static int make(const struct review_store *s, struct review_run *run, uid_t owner, gid_t group)
{
	struct review_record *r = &run->record;
	char name[32];
	size_t i;
	int ret = 0;

	(void)snprintf(name, sizeof(name), NEW "%s", r->id);
	if (mkdirat(s->fd, name, 0700) < 0)
		return -errno;
	run->lock = open_dir(s->fd, name);
	if (run->lock < 0)
		return run->lock;
	if (flock(run->lock, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	for (i = 0; ret == 0 && i < r->n_trees; i++)
		ret = make_layers(run->lock, i, r->trees[i].path, owner, group);
	if (ret == 0)
		ret = write_run(run->lock, r);
	if (ret == 0 && renameat(s->fd, name, s->fd, r->id) < 0)
		ret = -errno;
	if (ret < 0) {
		(void)remove_tree(s->fd, name); /* the next command would */
		cleanup_close(&run->lock);
		run->lock = -1;
	}
	return ret;
}

/* @r: of making or taking it. Return: that, with @e where it is a failure. */
static int begun(const struct review_store *s, struct review_run *run, int r, struct err *e)
{
	if (r == -EOPNOTSUPP)
		return err_set(
			e, ERR_LAYER, r,
			"'%s' is on a file system without user attributes, so it can't keep what an overlay workspace "
			"changes; set XDG_STATE_HOME to a directory of an ordinary local file system",
			s->path);
	if (r == -E2BIG)
		return err_set(e, ERR_USAGE, r,
			       "the command line is too long for the record of a run");
	if (r < 0)
		return err_sys(e, r, "record of the run in '%s'", s->path);
	run->begun = true;
	return 0;
}

int review_begin(const struct review_store *s, struct review_run *run, uid_t owner, gid_t group,
		 struct err *e)
{
	int tries, r = -ENOENT;

	run->lock = -1;
	/* somebody who tidies up may take a directory for an abandoned one before it is locked */
	for (tries = 0; tries < 3 && (r == -ENOENT || r == -EEXIST || r == -EWOULDBLOCK); tries++) {
		r = make_id(run->record.id);
		if (r == 0)
			r = make(s, run, owner, group);
	}
	return begun(s, run, r, e);
}

int review_layer(const struct review_store *s, const struct review_run *run, size_t i, char *out)
{
	int n = snprintf(out, LIMIT_PATH, "%s/%s/%zu", s->path, run->record.id, i);

	return n < LIMIT_PATH ? 0 : -ENAMETOOLONG;
}

static void sync_record(const struct review_store *s, const struct review_run *run)
{
	_cleanup_close_ int fd = openat(run->lock, FILE_RUN, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		(void)fsync(fd);
	(void)fsync(run->lock);
	(void)fsync(s->fd);
}

void review_keep(const struct review_store *s, struct review_run *run)
{
	const int kept =
		openat(run->lock, FILE_KEPT, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* it was not worth the wait before the start; what the command wrote is as safe as what it writes elsewhere */
	cleanup_close(&kept);
	sync_record(s, run);
	cleanup_close(&run->lock);
	run->lock = -1;
	run->begun = false;
}

void review_drop(const struct review_store *s, struct review_run *run)
{
	if (run->begun)
		(void)remove_record(s, run->record.id); /* the next command would */
	cleanup_close(&run->lock);
	run->lock = -1;
	run->begun = false;
}

/* Read "run" of the open record. What is wrong is no failure: such a record can still be removed. */
static void read_run(struct review *r, const char *id)
{
	struct buf b = BUF_INIT(LIMIT_REVIEW_RECORD + 1);
	struct err e = ERR_INIT;
	_cleanup_close_ int fd =
		openat(r->dir, FILE_RUN, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int ret = fd < 0 ? err_sys(&e, -errno, FILE_RUN) : fd_read_all(fd, &b);

	if (ret == 0)
		ret = review_record_parse(b.data ? b.data : "", b.len, &r->arena, &r->record, &e);
	if (ret == 0 && strcmp(r->record.id, id) != 0)
		ret = err_set(&e, ERR_SYSTEM, -EBADMSG, "it is the record of another run");
	buf_done(&b);
	if (ret == 0)
		return;
	r->record = (struct review_record){ .n_trees = 0 };
	(void)snprintf(r->record.id, sizeof(r->record.id), "%s", id);
	(void)snprintf(r->why, sizeof(r->why), "%.190s", e.msg);
	r->state = REVIEW_BROKEN;
}

int review_open(struct review *r, const struct review_store *s, const char *id, bool change,
		struct err *e)
{
	*r = (struct review)REVIEW_INIT;
	r->store = s;
	r->dir = s->fd < 0 ? -ENOENT : open_dir(s->fd, id);
	if (r->dir < 0)
		return err_set(e, ERR_USAGE, r->dir,
			       "there is no record of a run '%s' (bailey runs lists them)", id);
	r->locked = change && lock_alone(r->dir) == 0;
	if (!r->locked && (change || flock(r->dir, LOCK_SH | LOCK_NB) < 0))
		r->state = REVIEW_LIVE;
	else if (!change)
		(void)flock(r->dir, LOCK_UN); /* can't fail for a lock that we hold */
	if (change && !r->locked)
		return err_set(
			e, ERR_USAGE, -EBUSY,
			"run %s still lives, or another command works on its record: try again when that is over",
			id);
	read_run(r, id);
	return 0;
}

void review_done(struct review *r)
{
	cleanup_close(&r->dir);
	r->dir = -1;
	r->locked = false;
	arena_done(&r->arena);
}

bool review_same_trees(const struct review_record *a, const struct review_record *b)
{
	size_t i;

	for (i = 0; i < a->n_trees && i < b->n_trees; i++) {
		if (strcmp(a->trees[i].path, b->trees[i].path) != 0 ||
		    a->trees[i].git != b->trees[i].git)
			return false;
	}
	return a->n_trees == b->n_trees;
}

/* What the kernel left in the directory that it works in is of a mount that is gone. */
static int renew_work(int dir, size_t i, uid_t owner, gid_t group)
{
	char name[24];
	_cleanup_close_ int fd = -1;
	int r;

	(void)snprintf(name, sizeof(name), "%zu", i);
	fd = open_dir(dir, name);
	if (fd < 0)
		return fd;
	r = remove_tree(fd, LAYER_WORK);
	if (r == 0 && mkdirat(fd, LAYER_WORK, 0700) < 0)
		r = -errno;
	return r < 0 ? r : own_layers(fd, owner, group);
}

/* Go on with the record @r, which is ours alone. */
static int take_up(struct review_run *run, struct review *r, uid_t owner, gid_t group,
		   struct err *e)
{
	size_t i;
	int ret = 0;

	if (r->state == REVIEW_BROKEN)
		return err_set(
			e, ERR_USAGE, -EBADMSG,
			"what the sandbox changed in its overlay workspace can't be read (%s); first: bailey discard %s",
			r->why, r->record.id);
	if (!review_same_trees(&run->record, &r->record))
		return err_set(
			e, ERR_USAGE, -EBUSY,
			"the sandbox has other overlay workspaces than it had (a git worktree?); first: bailey apply %s, or bailey discard %s",
			r->record.id, r->record.id);
	for (i = 0; ret == 0 && i < r->record.n_trees; i++)
		ret = renew_work(r->dir, i, owner, group);
	if (ret < 0)
		return err_sys(e, ret, "record of the sandbox");
	memcpy(run->record.id, r->record.id, sizeof(run->record.id));
	run->record.start = r->record.start;
	run->lock = TAKE_FD(r->dir);
	run->begun = true;
	return 0;
}

/* Whether the directory that we hold is still the record of that name. */
static bool is_still(const struct review_store *s, const struct review *r, const char *id)
{
	struct stat held, there;

	return fstat(r->dir, &held) == 0 && fstatat(s->fd, id, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == there.st_ino;
}

int review_resume(const struct review_store *s, struct review_run *run, const char *id, uid_t owner,
		  gid_t group, struct err *e)
{
	struct err own = ERR_INIT;
	struct review r;
	int ret = -EAGAIN, tries;

	run->lock = -1;
	for (tries = 0; ret == -EAGAIN && tries < 3; tries++) {
		ret = review_open(&r, s, id, true, &own);
		if (ret == 0)
			ret = is_still(s, &r, id) ? take_up(run, &r, owner, group, e) : -EAGAIN;
		else if (ret == -EBUSY)
			ret = err_set(
				e, ERR_SYSTEM, ret,
				"another command works on what the sandbox changed in its overlay workspace: try again when that is over");
		review_done(&r);
		if (ret != -ENOENT)
			continue;
		(void)snprintf(run->record.id, sizeof(run->record.id), "%s", id);
		ret = make(s, run, owner, group);
		if (ret == -EEXIST || ret == -ENOENT || ret == -EWOULDBLOCK)
			ret = -EAGAIN;
		else
			ret = begun(s, run, ret, e);
		if (ret == 0) /* it lives long */
			sync_record(s, run);
	}
	return ret == -EAGAIN ? err_set(e, ERR_SYSTEM, -EBUSY, "record of the sandbox: try again") :
				ret;
}

/* Of all records: for their order. */
struct listed {
	char id[REVIEW_ID + 1];
	struct timespec start;
};

struct listing {
	struct listed *v;
	size_t n, size;
};

static int listed_compare(const void *va, const void *vb)
{
	const struct listed *a = va, *b = vb;

	if (a->start.tv_sec != b->start.tv_sec)
		return a->start.tv_sec < b->start.tv_sec ? -1 : 1;
	if (a->start.tv_nsec != b->start.tv_nsec)
		return a->start.tv_nsec < b->start.tv_nsec ? -1 : 1;
	return strcmp(a->id, b->id);
}

static int list_add(struct listing *l, const struct review_store *s, const char *id)
{
	struct err e = ERR_INIT;
	struct listed *v;
	struct review r;

	if (l->n == l->size) {
		v = realloc(l->v, (l->size * 2 + 64) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->size = l->size * 2 + 64;
	}
	if (review_open(&r, s, id, false, &e) == 0) {
		l->v[l->n].start = r.record.start;
		(void)snprintf(l->v[l->n++].id, REVIEW_ID + 1, "%s", id);
	}
	review_done(&r);
	return 0;
}

static int list_all(const struct review_store *s, struct listing *l, struct err *e)
{
	int fd = open_dir(s->fd, "."), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *en;

	if (!d) {
		cleanup_close(&fd);
		return err_sys(e, -errno, "%s", s->path);
	}
	while (r == 0 && (en = readdir(d))) {
		if (review_is_id(en->d_name) && strlen(en->d_name) == REVIEW_ID)
			r = list_add(l, s, en->d_name);
	}
	(void)closedir(d);
	if (r < 0)
		return err_set(e, ERR_SYSTEM, r, "out of memory for the records");
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), listed_compare);
	return 0;
}

int review_list(const struct review_store *s,
		int (*each)(void *arg, struct review *r, struct err *e), void *arg, struct err *e)
{
	struct listing l = { .v = NULL };
	struct err gone = ERR_INIT;
	struct review r;
	size_t i;
	int ret = s->fd < 0 ? 0 : list_all(s, &l, e);

	for (i = 0; ret == 0 && i < l.n; i++) {
		/* one that is removed meanwhile is no failure */
		if (review_open(&r, s, l.v[i].id, false, &gone) == 0)
			ret = each(arg, &r, e);
		review_done(&r);
	}
	free(l.v);
	return ret;
}

struct find {
	const char *word, *cwd;
	char *id;
	size_t n;
};

static int find_one(void *arg, struct review *r, struct err *e)
{
	struct find *f = arg;
	size_t i;

	(void)e;
	if (f->word) {
		if (strncmp(r->record.id, f->word, strlen(f->word)) != 0)
			return 0;
		memcpy(f->id, r->record.id, REVIEW_ID + 1);
		f->n++;
		return 0;
	}
	for (i = 0; i < r->record.n_trees; i++) {
		if (!path_covers(r->record.trees[i].path, f->cwd))
			continue;
		memcpy(f->id, r->record.id, REVIEW_ID + 1);
		f->n = 1;
		return 0;
	}
	return 0;
}

int review_find(const struct review_store *s, const char *word, const char *cwd, char *id,
		struct err *e)
{
	struct find f = { .word = word, .cwd = cwd, .id = id };
	int r = review_list(s, find_one, &f, e);

	if (r < 0 || f.n == 1)
		return r;
	if (f.n > 1)
		return err_set(e, ERR_USAGE, -EEXIST,
			       "'%s' begins the IDs of %zu runs (bailey runs lists them)", word,
			       f.n);
	if (word)
		return err_set(e, ERR_ABSENT, -ENOENT,
			       "there is no record of a run '%s' (bailey runs lists them)", word);
	return err_set(
		e, ERR_ABSENT, -ENOENT,
		"no run has left changes of '%s'; a run does with --workspace DIR:overlay (bailey runs lists all)",
		cwd);
}

int review_remove(struct review *r, struct err *e)
{
	int ret = remove_record(r->store, r->record.id);

	return ret < 0 ? err_sys(e, ret, "record of run %s", r->record.id) : 0;
}
