/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The same search as at the start (jail/protect.h), with the same rules: what it finds now and did not find then is new.
 * It passes over directories that had no such name then and are unchanged. A journal does not know them: after kill -9 everything is searched.
 * Where the search at the start did not come to its end, a name counts as new when the file system says so: it was born after the start; or, a
 * file that was moved there, it and its directory were changed after it. A name in a repository that is new itself is judged by what it says
 * (judge.c); every other new name is moved to the quarantine.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store.h"

struct sweep {
	const struct sweep_of *of;
	const struct jail_protect *before;
	const struct policy *policy; /* with rules for what is found now */
	struct guard_report *report;
	struct err *e;
};

static int64_t ns(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

static bool known(const struct jail_protect *pr, const char *path)
{
	size_t i;

	for (i = 0; i < pr->n_found; i++) {
		if (strcmp(pr->found[i].path, path) == 0)
			return true;
	}
	return false;
}

/* Whether @path lies in a writable directory itself: those are always searched at the start. */
static bool in_root(const struct sweep *s, const char *path)
{
	const size_t n = (size_t)(strrchr(path, '/') - path);
	size_t i;

	for (i = 0; i < s->of->policy->n; i++) {
		const struct policy_rule *rule = &s->of->policy->rules[i];

		if (rule->kind == POLICY_ALLOW_WRITE && rule->len == n &&
		    memcmp(rule->path, path, n) == 0)
			return true;
	}
	return false;
}

/* Whether @path, which the start did not find, was not there then. */
static bool is_new(const struct sweep *s, const char *path)
{
	struct statx stx = { .stx_mask = 0 }, above = { .stx_mask = 0 };
	char dir[LIMIT_PATH];

	if (s->before->whole || in_root(s, path))
		return true;
	if (sys_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &stx) < 0)
		return false;
	if ((stx.stx_mask & STATX_BTIME) && ns(&stx.stx_btime) >= s->of->start)
		return true;
	if (S_ISDIR(stx.stx_mode) && (stx.stx_mask & STATX_BTIME))
		return false; /* its time of change says nothing about its name */
	memcpy(dir, path, strlen(path) + 1);
	*strrchr(dir, '/') = '\0';
	return ns(&stx.stx_ctime) >= s->of->start &&
	       sys_statx(AT_FDCWD, *dir ? dir : "/", AT_SYMLINK_NOFOLLOW, &above) == 0 &&
	       ns(&above.stx_mtime) >= s->of->start;
}

/* Whether a directory that can't be looked into was closed after the start. */
static bool was_closed(const struct sweep *s, const char *path)
{
	struct statx stx = { .stx_mask = 0 };

	return s->before->whole || (sys_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &stx) == 0 &&
				    ns(&stx.stx_ctime) >= s->of->start);
}

/* Whether the git directory, or its worktrees/NAME, was not there at the start. */
static bool is_born(const struct sweep *s, const char *in)
{
	size_t i;

	for (i = 0; i < s->before->n_found; i++) {
		if (s->before->found[i].in && strcmp(s->before->found[i].in, in) == 0)
			return false;
	}
	return is_new(s, in);
}

/* Whether a rule of the run keeps the command from @path: what --unprotect lifts may stay. */
static bool in_force(const struct sweep *s, const char *path)
{
	struct policy_verdict v = policy_eval(s->policy, path);
	const size_t len = strlen(path);
	size_t i;

	/* where the run could not write, it is the host's own */
	for (i = 0; i < s->policy->n; i++) {
		const struct policy_rule *rule = &s->policy->rules[i];

		if (rule->kind == POLICY_DENY_WRITE && rule->layer != POLICY_BUILTIN &&
		    rule->len < len && policy_rule_covers(rule, path, len))
			return false;
	}
	return v.state == POLICY_SHOW_RO && v.write_rule &&
	       v.write_rule->kind == POLICY_DENY_WRITE && v.write_rule->layer == POLICY_BUILTIN;
}

/* Whether two small files have the same bytes. */
static bool same_bytes(int a, int b)
{
	struct buf x = BUF_INIT(LIMIT_COPY), y = BUF_INIT(LIMIT_COPY);
	const bool same = fd_read_all(a, &x) == 0 && fd_read_all(b, &y) == 0 && x.len == y.len &&
			  x.len > 0 && memcmp(x.data, y.data, x.len) == 0;

	buf_done(&x);
	buf_done(&y);
	return same;
}

static int open_file(const char *path)
{
	return sys_openat2(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
			   RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static bool ends_with(const char *path, const char *name)
{
	size_t n = strlen(path), len = strlen(name);

	return n > len && strcmp(path + n - len, name) == 0;
}

/*
 * Whether a new file is a copy of one of the same name that was there at the start, and so nothing that the host did not have: `git worktree add` and
 * checkouts make them. *ret_young: it may be one when it is written to its end.
 */
static bool is_copy(const struct sweep *s, const struct jail_protected *p, bool *ret_young)
{
	_cleanup_close_ int fd = -1;
	struct timespec now;
	struct stat st;
	size_t i;

	*ret_young = false;
	if (p->row->place != POLICY_IN_ANY || strcmp(p->row->name, ".git") == 0)
		return false;
	for (i = 0; i < s->before->n_found; i++) {
		const char *path = s->before->found[i].path;
		_cleanup_close_ int old = -1;

		if (!ends_with(path, p->row->name) ||
		    path[strlen(path) - strlen(p->row->name) - 1] != '/')
			continue;
		fd = fd < 0 ? open_file(p->path) : fd;
		old = open_file(path);
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return false;
		if (old >= 0 && lseek(fd, 0, SEEK_SET) == 0 && same_bytes(old, fd))
			return true;
		(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail for this clock */
		*ret_young = (now.tv_sec - st.st_mtim.tv_sec) * 1000 +
				     (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000 <
			     GUARD_YOUNG_MS;
	}
	return false;
}

/* @id: in the quarantine; NULL: it is where it was, because of @error. */
static int note(struct sweep *s, const char *path, const char *what, const char *why,
		const char *id, const char *error)
{
	struct guard_report *rep = s->report;
	struct guard_moved *m;
	size_t i;

	/* what stays is found by every sweep */
	for (i = 0; !id && i < rep->n; i++) {
		if (!rep->moved[i].id && strcmp(rep->moved[i].path, path) == 0)
			return 0;
	}
	if (rep->n == LIMIT_PROTECTED) {
		rep->more++;
		return 0;
	}
	if (!rep->moved)
		rep->moved = arena_alloc(rep->arena, LIMIT_PROTECTED * sizeof(*rep->moved));
	if (!rep->moved)
		return err_set(s->e, ERR_SYSTEM, -ENOMEM, "out of memory");
	m = &rep->moved[rep->n++];
	m->path = arena_strdup(rep->arena, path);
	m->what = arena_strdup(rep->arena, what);
	m->why = why ? arena_strdup(rep->arena, why) : NULL;
	m->id = id ? arena_strdup(rep->arena, id) : NULL;
	m->error = id ? NULL : error;
	return m->path && m->what ? 0 : err_set(s->e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

static int put(struct sweep *s, const char *path, const char *what, const char *why)
{
	char id[GUARD_ID + 1];
	int r;

	if (policy_copy(s->of->policy, path))
		return 0; /* below a copy: not the run's, but the host's own */
	if (s->of->state < 0)
		return note(s, path, what, why, NULL,
			    "bailey has no state directory, see HOME and XDG_STATE_HOME");
	r = quarantine_put(s->of->state, s->of->run, path, what, s->of->lives, id);
	if (r == -ENOENT || (r == -EXDEV && s->of->lives))
		return 0; /* it has gone; it goes at the end */
	if (r == 0)
		s->report->passed++;
	return note(s, path, what, why, r == 0 ? id : NULL,
		    r > 0 ? "a copy is in the quarantine, but it can't be removed here" :
			    strerror(-r));
}

/* The hooks of a new repository: those that git would run. */
static int put_hooks(struct sweep *s, const struct jail_protected *p)
{
	_cleanup_close_ int fd = sys_openat2(AT_FDCWD, p->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
					     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	char path[LIMIT_PATH];
	int r = 0;
	long n, o;

	if (fd < 0) /* a link, or a file */
		return put(s, p->path, policy_protected_what(p->row), NULL);
	while (r == 0 && (n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		for (o = 0; r == 0 && (d = sys_dirent_next(buf, n, &o));) {
			size_t len = strlen(d->name);

			if (d->name[0] == '.' ||
			    (len > 7 && strcmp(d->name + len - 7, ".sample") == 0))
				continue;
			if (snprintf(path, sizeof(path), "%s/%s", p->path, d->name) >=
			    (int)sizeof(path))
				continue;
			r = put(s, path, policy_protected_what(p->row), NULL);
		}
	}
	return r;
}

static int judge_born(struct sweep *s, const struct jail_protected *p)
{
	const char *name = p->row->name;
	char why[512] = "";

	if (p->row->place == POLICY_IN_CONFIG)
		return 0; /* named by a configuration that is judged itself */
	if (strcmp(name, "hooks") == 0)
		return put_hooks(s, p);
	if (strcmp(name, "info/attributes") == 0)
		return 0; /* they choose filters; those of a configuration that stays are the caller's own */
	if (p->row->place == POLICY_IN_WORKTREE && ends_with(p->path, "dir") &&
	    judge_worktree(p->in, name))
		return 0;
	if (ends_with(name, "config") || ends_with(p->path, "/config") ||
	    ends_with(p->path, "/config.worktree")) {
		if (!judge_config(p->path, why))
			return 0;
	}
	return put(s, p->path, policy_protected_what(p->row), *why ? why : NULL);
}

/*
 * On the way of a name that the host obeys: a link that the run has made there is what leads the host to the run's own files, and goes. What it
 * leads to may be anybody's, and stays.
 */
static int look_at_led(struct sweep *s, const struct jail_protected *p)
{
	struct stat st;

	if (lstat(p->path, &st) < 0 || !S_ISLNK(st.st_mode) || !is_new(s, p->path) ||
	    (p->in && is_born(s, p->in)))
		return 0;
	return put(s, p->path, policy_protected_what(p->row), NULL);
}

static int look_at(struct sweep *s, const struct jail_protected *p)
{
	bool young = false;

	if (known(s->before, p->path) || !in_force(s, p->path))
		return 0;
	if (p->led)
		return look_at_led(s, p);
	/* it may be the host's: what is in it can't be told, and nothing is moved on suspicion */
	if (p->row->place == POLICY_IN_UNSEEN)
		return s->of->lives || s->before->git_only || !was_closed(s, p->path) ?
			       0 :
			       note(s, p->path, policy_protected_what(p->row), NULL, NULL,
				    "it can't be looked into");
	if (p->in && is_born(s, p->in))
		return s->of->lives ? 0 : judge_born(s, p);
	if (!is_new(s, p->path) || is_copy(s, p, &young))
		return 0;
	if (young && s->of->lives) {
		s->report->again = true;
		return 0;
	}
	if (strcmp(p->row->name, ".git") == 0 &&
	    (s->of->lives || judge_pointer(s->policy, p->path)))
		return 0;
	return put(s, p->path, policy_protected_what(p->row), NULL);
}

/* An index that can't be read any more: repositories that it alone leads to were not judged. */
static int look_at_note(struct sweep *s, const struct jail_protect_note *n)
{
	size_t i;

	if (!strstr(n->why, "submodules") && !ends_with(n->path, "/index"))
		return 0;
	for (i = 0; i < s->before->n_notes; i++) {
		if (strcmp(s->before->notes[i].path, n->path) == 0)
			return 0;
	}
	return note(s, n->path, "git submodules", NULL, NULL,
		    "it can't be read, so repositories in the workspace were not looked at");
}

/* The part of @path that is there: all of it, or a link on the way, below what is writable. Return: whether there is any. */
static bool stands(const struct sweep *s, const char *path, char out[LIMIT_PATH])
{
	const char *slash;
	size_t i, from = 0;
	struct stat st;

	for (i = 0; i < s->of->policy->n; i++) {
		const struct policy_rule *rule = &s->of->policy->rules[i];

		if (rule->kind == POLICY_ALLOW_WRITE && rule->len < strlen(path) &&
		    policy_rule_covers(rule, path, strlen(path)) && rule->len > from)
			from = rule->len;
	}
	/* what the rule names led through no link when the run began */
	for (slash = path + from; (slash = strchr(slash + 1, '/'));) {
		memcpy(out, path, (size_t)(slash - path));
		out[slash - path] = '\0';
		if (lstat(out, &st) < 0)
			return false;
		if (S_ISLNK(st.st_mode))
			return true;
	}
	memcpy(out, path, strlen(path) + 1);
	return lstat(out, &st) == 0;
}

/* A rule denies it, and it was not there when the run began. */
static int look_at_absent(struct sweep *s, const struct jail_absent *a)
{
	char path[LIMIT_PATH], what[256];

	if (!stands(s, a->path, path))
		return 0;
	(void)snprintf(what, sizeof(what), GUARD_DENIED "%.*s",
		       (int)(sizeof(what) - sizeof(GUARD_DENIED)), a->origin);
	return put(s, path, what, NULL);
}

static int sweep_all(const struct sweep_of *of, struct guard_report *ret, struct err *e)
{
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct jail_protect now = *of->protect;
	struct policy with;
	struct sweep s = { .of = of, .before = of->protect, .policy = &with, .report = ret, .e = e };
	size_t i;
	int r = 0;

	policy_init(&with, &arena);
	for (i = 0; r == 0 && i < of->policy->n; i++) {
		const struct policy_rule *rule = &of->policy->rules[i];

		r = policy_add_static(&with, rule->kind, rule->layer, rule->path, rule->origin, e);
		if (r == 0)
			with.rules[with.n - 1].copy = rule->copy;
	}
	now.found = NULL;
	now.notes = NULL;
	now.missing = NULL;
	now.n_missing = 0;
	now.configs = NULL;
	now.n_found = now.n_notes = now.n_configs = 0;
	now.later = false;
	now.after = true;
	if (r == 0)
		r = jail_protect_find(&now, &with, e);
	policy_seal(&with);
	for (i = 0; r == 0 && i < now.n_found; i++)
		r = look_at(&s, &now.found[i]);
	for (i = 0; r == 0 && !of->lives && i < now.n_notes; i++)
		r = look_at_note(&s, &now.notes[i]);
	for (i = 0; r == 0 && i < of->plan->n_absent; i++)
		r = look_at_absent(&s, &of->plan->absent[i]);
	arena_done(&arena);
	return r;
}

/* A directory that the run may write, and has closed to everybody. */
struct closed {
	int fd;
	mode_t mode; /* that it is given back */
};

static void set_mode(int fd, mode_t mode)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)chmod(path, mode); /* what stays closed is a note of the search */
}

/* Open @path, if it is ours and closed. Return: whether it was. */
static bool open_closed(const char *path, struct closed *c)
{
	struct stat st;

	c->fd = sys_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW,
			    RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (c->fd < 0)
		return false;
	if (fstat(c->fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 0700) == 0700) {
		(void)close(c->fd);
		return false;
	}
	c->mode = st.st_mode & 07777;
	set_mode(c->fd, c->mode | 0700);
	return true;
}

/* When all of the run is dead, none of its directories is closed to us. @ret: of as many as there are rules. Return: how many were. */
static size_t open_all(const struct policy *p, struct closed *ret)
{
	size_t n = 0, before, i;

	do { /* one may hold another */
		before = n;
		for (i = 0; i < p->n && n < p->n; i++)
			n += p->rules[i].kind == POLICY_ALLOW_WRITE && !p->rules[i].copy &&
			     open_closed(p->rules[i].path, &ret[n]);
	} while (n > before && n < p->n);
	return n;
}

int sweep(const struct sweep_of *of, struct guard_report *ret, struct err *e)
{
	struct closed *closed = of->lives ? NULL : calloc(of->policy->n + 1, sizeof(*closed));
	size_t n = closed ? open_all(of->policy, closed) : 0;
	int r = sweep_all(of, ret, e);

	while (n-- > 0) {
		set_mode(closed[n].fd, closed[n].mode);
		(void)close(closed[n].fd);
	}
	free(closed);
	return r;
}
