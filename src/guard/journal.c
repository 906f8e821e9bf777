/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. open/ID says of a run what its sweep needs to know: the rules, and what was there at the start. It is locked as long as
 * the run's bailey lives, and removed after the sweep; an unlocked one belongs to a bailey that was killed (PID 1, and everything in the
 * sandbox, died with it), and whoever comes next sweeps in its place. Two that come at once: the lock decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store.h"

#define DIR_NAME "open"
#define VERSION "bailey-open 5"
#define KIND_COPY 100 /* in the place of POLICY_ALLOW_WRITE: what is written is a copy */

static void put_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s) + 1);
}

static void put_int(struct buf *b, int64_t v)
{
	buf_printf(b, "%lld%c", (long long)v, 0);
}

static void describe(struct buf *b, pid_t pid1, const struct jail_plan *plan,
		     const struct policy *policy, const struct jail_protect *pr,
		     const struct guard_pattern *patterns)
{
	const struct guard_pattern *p;
	size_t i, n = 0;

	put_str(b, VERSION);
	put_int(b, pid1);
	put_int(b, pr->whole);
	put_int(b, pr->allow_git_config);
	put_int(b, pr->owner);
	put_str(b, pr->home ? pr->home : "");
	put_int(b, (int64_t)pr->n_workspaces);
	for (i = 0; i < pr->n_workspaces; i++)
		put_str(b, pr->workspaces[i]);
	put_int(b, pr->git_only);
	put_int(b, (int64_t)policy->n);
	for (i = 0; i < policy->n; i++) {
		put_int(b, policy->rules[i].copy ? KIND_COPY : (int64_t)policy->rules[i].kind);
		put_int(b, policy->rules[i].layer);
		put_str(b, policy->rules[i].path);
	}
	put_int(b, (int64_t)pr->n_found);
	for (i = 0; i < pr->n_found; i++) {
		put_str(b, pr->found[i].path);
		put_str(b, pr->found[i].in ? pr->found[i].in : "");
	}
	put_int(b, (int64_t)plan->n_absent);
	for (i = 0; i < plan->n_absent; i++) {
		put_str(b, plan->absent[i].path);
		put_str(b, plan->absent[i].origin);
	}
	for (p = patterns; p; p = p->next)
		n++;
	put_int(b, (int64_t)n);
	for (p = patterns; p; p = p->next) {
		put_int(b, p->kind);
		put_int(b, p->layer);
		put_str(b, p->glob.base);
		put_int(b, (int64_t)p->glob.n);
		for (i = 0; i < p->glob.n; i++)
			put_str(b, p->glob.part[i]);
	}
	put_str(b, "end");
}

static int64_t ns(const struct timespec *ts)
{
	return ts->tv_sec * 1000000000 + ts->tv_nsec;
}

/*
 * The start of a run as file systems stamp it: the journal's own time of change. Such times come from a coarse clock, but never run behind
 * one that was handed out before; a file that is changed after its time was asked for gets a fine one (Linux 6.13). So whatever was stamped before is
 * older, and what comes later is not. Earlier kernels leave the tick of the start (4 ms) in doubt, and doubt counts as later.
 */
static int write_stamped(int fd, const struct buf *b, int64_t *ret)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = fd_write_all(fd, b->data, b->len);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0)
		*ret = ns(&st.st_mtim);
	return r;
}

static int64_t stamp(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &ts); /* can't fail for this clock */
	return ns(&ts);
}

static int create(struct guard *g, pid_t pid1, const struct jail_plan *plan,
		  const struct policy *policy, const struct jail_protect *protect,
		  const struct guard_pattern *patterns)
{
	_cleanup_close_ int dir = -1, fd = -1;
	struct buf b = BUF_INIT(LIMIT_JOURNAL);
	int r;

	if (mkdirat(g->state, DIR_NAME, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = openat(g->state, DIR_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	fd = dir < 0 ? -1 : openat(dir, g->id, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* locked before there is anything in it: an empty one is nobody's to heal */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	describe(&b, pid1, plan, policy, protect, patterns);
	r = b.failed ? -ENOMEM : write_stamped(fd, &b, &g->start);
	buf_done(&b);
	if (r < 0)
		(void)unlinkat(dir, g->id, 0); /* the disk is full: what is cut is of no use */
	else
		g->journal = TAKE_FD(fd);
	return r;
}

void guard_begin(struct guard *g, const char *state_dir, pid_t pid1, const struct jail_plan *plan,
		 const struct policy *policy, const struct jail_protect *protect,
		 const struct guard_pattern *patterns)
{
	*g = (struct guard)GUARD_INIT;
	g->start = stamp();
	if (store_id(g->id) < 0)
		memset(g->id, '0', GUARD_ID); /* only a name, when there is no journal */
	g->state = store_open(state_dir, NULL, true);
	if (g->state >= 0)
		(void)create(g, pid1, plan, policy, protect, patterns); /* as the header says */
}

static void forget(int state, const char *id)
{
	char path[sizeof(DIR_NAME) + GUARD_ID + 1];

	(void)snprintf(path, sizeof(path), DIR_NAME "/%s", id);
	(void)unlinkat(state, path, 0); /* a sweep that comes twice finds nothing */
}

void guard_drop(struct guard *g)
{
	if (g->journal >= 0)
		forget(g->state, g->id);
	cleanup_close(&g->journal);
	cleanup_close(&g->state);
	cleanup_close(&g->watch); /* after the journal has gone: the watcher would sweep again */
	*g = (struct guard)GUARD_INIT;
}

int guard_end(struct guard *g, const struct jail_plan *plan, const struct policy *policy,
	      const struct jail_protect *protect, struct guard_report *ret, struct err *e)
{
	const bool watched = g->watch >= 0;
	unsigned int passes = 0;
	size_t passed;
	int r;

	guard_unwatch(g);
	/* what is found has a bound, so until nothing is */
	do {
		passed = ret->passed;
		r = sweep(&(struct sweep_of){ .state = g->state,
					      .run = g->id,
					      .start = g->start,
					      .plan = plan,
					      .policy = policy,
					      .protect = protect },
			  ret, e);
	} while (r == 0 && ret->passed > passed && passes++ < GUARD_PASSES);
	if (watched)
		quarantine_add_to(g->state, g->id, g->start, ret);
	if (r < 0) { /* the journal stays */
		cleanup_close(&g->journal);
		g->journal = -1;
	}
	guard_drop(g);
	return r;
}

/* What describe() wrote. Return: 0, -EBADMSG, -ENOMEM. */
static int read_rules(struct fields *f, struct policy *policy)
{
	int64_t n = fields_int(f), kind, layer;
	bool copy;
	const char *path;

	if (n < 0 || n > LIMIT_RULES)
		return -EBADMSG;
	for (; n > 0; n--) {
		kind = fields_int(f);
		layer = fields_int(f);
		copy = kind == KIND_COPY;
		if (copy)
			kind = POLICY_ALLOW_WRITE;
		path = fields_next(f);
		if (kind < 0 || kind >= POLICY_KIND_NUM || layer < 0 || layer >= POLICY_LAYER_NUM ||
		    !path || path[0] != '/' || strlen(path) >= LIMIT_PATH)
			return -EBADMSG;
		if (policy_add(policy, (enum policy_kind)kind, (enum policy_layer)layer, path,
			       "an earlier run", NULL) < 0)
			return -EBADMSG;
		policy->rules[policy->n - 1].copy = copy;
	}
	return 0;
}

static int read_found(struct fields *f, struct arena *a, struct jail_protect *pr)
{
	int64_t n = fields_int(f);
	const char *path, *in;

	if (n < 0 || n > LIMIT_PROTECTED)
		return -EBADMSG;
	pr->found = arena_alloc(a, (size_t)(n + 1) * sizeof(*pr->found));
	if (!pr->found)
		return -ENOMEM;
	for (; n > 0; n--) {
		path = fields_next(f);
		in = fields_next(f);
		if (!in)
			return -EBADMSG;
		pr->found[pr->n_found++] =
			(struct jail_protected){ .path = path, .in = *in ? in : NULL };
	}
	return 0;
}

static int read_absent(struct fields *f, struct arena *a, struct jail_plan *plan)
{
	int64_t n = fields_int(f);
	const char *path, *origin;

	if (n < 0 || n > LIMIT_RULES)
		return -EBADMSG;
	plan->absent = arena_alloc(a, (size_t)(n + 1) * sizeof(*plan->absent));
	if (!plan->absent)
		return -ENOMEM;
	for (; n > 0; n--) {
		path = fields_next(f);
		origin = fields_next(f);
		if (!origin || path[0] != '/' || strlen(path) >= LIMIT_PATH)
			return -EBADMSG;
		plan->absent[plan->n_absent++] =
			(struct jail_absent){ .path = path, .origin = origin };
	}
	return 0;
}

static int read_patterns(struct fields *f, struct arena *a, const struct guard_pattern **ret)
{
	int64_t n = fields_int(f), kind, layer, parts;
	struct guard_pattern *p;

	*ret = NULL;
	if (n < 0 || n > LIMIT_RULES)
		return -EBADMSG;
	for (; n > 0; n--) {
		p = arena_alloc(a, sizeof(*p));
		if (!p)
			return -ENOMEM;
		kind = fields_int(f);
		layer = fields_int(f);
		*p = (struct guard_pattern){ .glob.base = fields_next(f), .next = *ret };
		parts = fields_int(f);
		if (kind < 0 || kind >= POLICY_KIND_NUM || layer < 0 || layer >= POLICY_LAYER_NUM ||
		    !p->glob.base || p->glob.base[0] != '/' || parts < 0 ||
		    parts > LIMIT_GLOB_PARTS)
			return -EBADMSG;
		p->kind = (enum policy_kind)kind;
		p->layer = (enum policy_layer)layer;
		for (; parts > 0; parts--) {
			p->glob.part[p->glob.n] = fields_next(f);
			if (!p->glob.part[p->glob.n++])
				return -EBADMSG;
		}
		*ret = p;
	}
	return 0;
}

static int read_workspaces(struct fields *f, struct arena *a, struct jail_protect *pr)
{
	int64_t n = fields_int(f), i;
	const char **list;

	if (n < 0 || n > LIMIT_WORKSPACES)
		return -EBADMSG;
	list = arena_alloc(a, (size_t)(n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		list[i] = fields_next(f);
		if (!list[i] || list[i][0] != '/' || strlen(list[i]) >= LIMIT_PATH)
			return -EBADMSG;
	}
	pr->workspaces = list;
	pr->n_workspaces = (size_t)n;
	return 0;
}

static int parse(const char *data, size_t n, struct jail_plan *plan, struct policy *policy,
		 struct jail_protect *pr, pid_t *ret_pid1, const struct guard_pattern **ret)
{
	struct fields f = { .at = data, .end = data + n };
	const char *word = fields_next(&f), *home;
	int64_t pid1, whole, config, owner, git_only;
	int r;

	if (!word || strcmp(word, VERSION) != 0)
		return -EBADMSG;
	pid1 = fields_int(&f);
	whole = fields_int(&f);
	config = fields_int(&f);
	owner = fields_int(&f);
	home = fields_next(&f);
	if (pid1 <= 0 || pid1 > INT32_MAX || whole < 0 || config < 0 || owner < 0 || !home)
		return -EBADMSG;
	*ret_pid1 = (pid_t)pid1;
	*pr = (struct jail_protect){ .home = *home ? home : NULL,
				     .owner = (uid_t)owner,
				     .allow_git_config = config,
				     .whole = whole };
	r = read_workspaces(&f, policy->arena, pr);
	git_only = r == 0 ? fields_int(&f) : 0;
	pr->git_only = git_only > 0;
	if (git_only < 0)
		r = -EBADMSG;
	if (r == 0)
		r = read_rules(&f, policy);
	if (r == 0)
		r = read_found(&f, policy->arena, pr);
	if (r == 0)
		r = read_absent(&f, policy->arena, plan);
	if (r == 0)
		r = read_patterns(&f, policy->arena, ret);
	word = fields_next(&f);
	return r < 0 ? r : word && strcmp(word, "end") == 0 ? 0 : -EBADMSG;
}

int journal_read(int fd, struct jail_plan *plan, struct policy *policy, struct jail_protect *pr,
		 int64_t *ret_start, pid_t *ret_pid1, const struct guard_pattern **patterns)
{
	struct buf b = BUF_INIT(LIMIT_JOURNAL);
	struct stat st;
	char *kept;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = fd_read_all(fd, &b);
	if (r == 0 && !b.data)
		r = -ENODATA;
	if (r == 0) {
		kept = arena_alloc(policy->arena, b.len + 1); /* paths point into it */
		r = kept ? 0 : -ENOMEM;
		if (kept)
			memcpy(kept, b.data, b.len);
		if (kept)
			r = parse(kept, b.len, plan, policy, pr, ret_pid1, patterns);
	}
	if (r == 0) {
		policy_seal(policy);
		*ret_start = ns(&st.st_mtim);
	}
	buf_done(&b);
	return r;
}

/*
 * PID 1 of the run was killed with its bailey, but all that it takes with it is gone only when it is. A number that is somebody else's by now
 * costs a moment, no more.
 */
static void await_end(pid_t pid1)
{
	struct pollfd p = { .fd = (int)sys_call(SYS_pidfd_open, pid1, 0, 0, 0, 0),
			    .events = POLLIN };

	if (p.fd < 0)
		return;
	(void)poll(&p, 1, 1000);
	(void)close(p.fd);
}

static int heal_one(int state, int dir, const char *id, struct guard_report *ret, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, id, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct jail_plan plan = { .n_absent = 0 };
	const struct guard_pattern *patterns;
	struct jail_protect pr;
	struct policy policy;
	pid_t pid1 = 0;
	int64_t start;
	struct stat st;
	int r;

	/* alive; or swept by another one between listing and lock */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0)
		return 0;
	policy_init(&policy, &arena);
	r = journal_read(fd, &plan, &policy, &pr, &start, &pid1, &patterns);
	if (r == 0) {
		await_end(pid1);
		r = sweep(&(struct sweep_of){ .state = state,
					      .run = id,
					      .start = start,
					      .plan = &plan,
					      .policy = &policy,
					      .protect = &pr },
			  ret, e);
	} else if (r == -ENODATA) {
		r = 0; /* it was killed before it wrote this, and so before any command started */
	} else if (r == -EBADMSG) {
		r = err_set(
			e, ERR_SYSTEM, r,
			"the record of an earlier run is damaged: what it made was not looked at");
	}
	if (r == 0 || r == -EBADMSG)
		forget(state, id);
	arena_done(&arena);
	return r;
}

int guard_heal(const char *state_dir, struct guard_report *ret, struct err *e)
{
	_cleanup_close_ int dir = store_open(state_dir, DIR_NAME, false), state = -1;
	SYS_DIRENT_ALIGN char buf[4096];
	const struct sys_dirent *d;
	struct err own;
	long n, o;
	int r = 0, one;

	if (dir < 0)
		/* somebody else's state (root of a container's, seen from another user namespace) is not ours to heal */
		return dir == -ENOENT || dir == -EACCES || dir == -EPERM ?
			       0 :
			       err_sys(e, dir, "%s/" DIR_NAME, state_dir);
	while ((n = sys_getdents(dir, buf, sizeof(buf))) > 0) {
		for (o = 0; (d = sys_dirent_next(buf, n, &o));) {
			if (!store_id_ok(d->name))
				continue;
			if (state < 0)
				state = store_open(state_dir, NULL, false);
			if (state < 0)
				return err_sys(e, state, "%s", state_dir);
			/* one that can't be swept keeps no other from it; the first is told of */
			own = (struct err)ERR_INIT;
			one = heal_one(state, dir, d->name, ret, &own);
			if (one < 0 && r == 0) {
				r = one;
				*e = own;
			}
		}
	}
	return r;
}
