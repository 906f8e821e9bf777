/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Names that are denied to a run, and sockets, may come after its start. When the watcher has seen one come, the
 * directories that it watches for the run are listed; what the run's rules and patterns withhold there, and every socket, is covered in the
 * sandbox (jail/late-names.c), unless it is what was settled before. A name is the same as long as its inode and time of change are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "late.h"

struct settled {
	char *path; /* owned */
	dev_t dev;
	ino_t ino;
	struct timespec changed;
};

static bool withheld(enum policy_state s)
{
	return s == POLICY_IS_DENIED || s == POLICY_IS_HIDDEN;
}

/* The rules, and one more: what a pattern would have become at the start. */
static bool denied_with(const struct policy *policy, const struct guard_pattern *p,
			const char *path)
{
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct err e = ERR_INIT;
	struct policy with;
	bool denied;
	size_t i;
	int r = 0;

	policy_init(&with, &arena);
	for (i = 0; r == 0 && i < policy->n; i++)
		r = policy_add_static(&with, policy->rules[i].kind, policy->rules[i].layer,
				      policy->rules[i].path, policy->rules[i].origin, &e);
	if (r == 0)
		r = policy_add_static(&with, p->kind, p->layer, path, "", &e);
	policy_seal(&with);
	denied = r < 0 || withheld(policy_eval(&with, path).state);
	arena_done(&arena);
	return denied;
}

/* Whether @path, which is no link but perhaps at its end, is what the pattern names. */
static bool matches(const struct policy_glob *g, const char *path)
{
	uint64_t at = policy_glob_start(g);
	const char *name;
	char part[LIMIT_PATH];
	size_t n;

	if (!path_covers(g->base, path))
		return false;
	name = path + (g->base[1] ? strlen(g->base) : 0);
	while (*name == '/' && at) {
		n = strcspn(++name, "/");
		memcpy(part, name, n);
		part[n] = '\0';
		at = policy_glob_step(g, at, part, false);
		name += n;
	}
	return policy_glob_accepts(g, at);
}

/* Whether a rule, or a pattern, withholds @path. */
static bool denied(const struct late *l, const char *path)
{
	const struct guard_pattern *p;

	if (withheld(policy_eval(l->policy, path).state))
		return true;
	for (p = l->patterns; p; p = p->next) {
		if (matches(&p->glob, path) && denied_with(l->policy, p, path))
			return true;
	}
	return false;
}

/* --allow-socket */
static bool given(const struct late *l, const char *path)
{
	size_t i;

	for (i = 0; i < l->policy->n; i++) {
		if (l->policy->rules[i].kind == POLICY_SOCKET &&
		    strcmp(l->policy->rules[i].path, path) == 0)
			return true;
	}
	return false;
}

bool late_wants(const struct late *l, const char *path)
{
	struct stat st;

	if (l->ns[JAIL_NS_USER] < 0)
		return false;
	if (denied(l, path))
		return true;
	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool is_settled(const struct late *l, const char *path, const struct stat *st)
{
	size_t i;

	for (i = 0; i < l->n_settled; i++) {
		const struct settled *s = &l->settled[i];

		if (s->ino == st->st_ino && s->dev == st->st_dev &&
		    s->changed.tv_sec == st->st_ctim.tv_sec &&
		    s->changed.tv_nsec == st->st_ctim.tv_nsec && strcmp(s->path, path) == 0)
			return true;
	}
	return false;
}

static void forget(struct late *l)
{
	while (l->n_settled > 0)
		free(l->settled[--l->n_settled].path);
}

static void settle(struct late *l, const char *path, const struct stat *st)
{
	if (!l->settled)
		l->settled = calloc(LIMIT_LATE_SETTLED, sizeof(*l->settled));
	if (!l->settled)
		return;
	if (l->n_settled == LIMIT_LATE_SETTLED)
		forget(l); /* they are found again, and are covered already */
	l->settled[l->n_settled].path = strdup(path);
	if (!l->settled[l->n_settled].path)
		return;
	l->settled[l->n_settled].dev = st->st_dev;
	l->settled[l->n_settled].ino = st->st_ino;
	l->settled[l->n_settled++].changed = st->st_ctim;
}

/* "ID PARENT MAJOR:MINOR …" of mountinfo. Return: the device; 0 when it is another mount's line. */
static dev_t device_of(const char *line, uint64_t mount)
{
	char *at;
	unsigned long dev;

	if (strtoul(line, &at, 10) != mount)
		return 0;
	(void)strtoul(at, &at, 10);
	dev = strtoul(at, &at, 10);
	return *at == ':' ? makedev((unsigned int)dev, (unsigned int)strtoul(at + 1, NULL, 10)) : 0;
}

/* The device of the super block that @path is on, which stat(2) need not say (btrfs). Return: it; 0 when it can't be told. */
static dev_t super_of(const char *path, const struct stat *st)
{
	_cleanup_close_ int fd = -1;
	struct statx stx = { .stx_mask = 0 };
	struct buf b = BUF_INIT(4u << 20);
	const char *line = NULL;
	dev_t dev = 0;

	if (major(st->st_dev) != 0)
		return st->st_dev;
	if (syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &stx) < 0 ||
	    !(stx.stx_mask & STATX_MNT_ID))
		return 0;
	fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fd_read_all(fd, &b) == 0)
		line = b.data;
	while (line && !dev) {
		dev = device_of(line, stx.stx_mnt_id);
		line = strchr(line, '\n');
		line = line && line[1] ? line + 1 : NULL;
	}
	buf_done(&b);
	return dev;
}

/* What one look has found. */
struct batch {
	struct late *l;
	size_t n;
	bool failed;
	struct jail_late_name names[JAIL_LATE_NAMES];
	struct stat st[JAIL_LATE_NAMES];
	char path[JAIL_LATE_NAMES][LIMIT_PATH];
};

static void cover(struct batch *b)
{
	size_t i;

	if (b->n && jail_late_cover(b->l->ns, b->names, b->n) < 0)
		b->failed = true;
	for (i = 0; i < b->n; i++) {
		/* what was moved away for a moment is looked at again when it comes back */
		if (b->names[i].done && !b->names[i].gone)
			settle(b->l, b->path[i], &b->st[i]);
		else if (!b->names[i].done)
			b->failed = true;
		b->l->covered += b->names[i].done && !b->names[i].own && !b->names[i].gone;
	}
	b->n = 0;
}

static void look_at(struct batch *b, const char *path)
{
	const struct late *l = b->l;
	bool no = denied(l, path);
	struct stat *st = &b->st[b->n];

	if (lstat(path, st) < 0 || (!no && !S_ISSOCK(st->st_mode)) || is_settled(l, path, st))
		return;
	memcpy(b->path[b->n], path, strlen(path) + 1);
	b->names[b->n] = (struct jail_late_name){ .path = b->path[b->n],
						  .dev = st->st_dev,
						  .fs = super_of(path, st),
						  .ino = st->st_ino,
						  .socket = !no && S_ISSOCK(st->st_mode),
						  .given = !no && given(l, path) };
	if (++b->n == JAIL_LATE_NAMES)
		cover(b);
}

static void look_in(void *arg, const char *dir)
{
	_cleanup_close_ int fd = -1;
	struct batch *b = arg;
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	char path[LIMIT_PATH];
	long n, o;
	size_t i, len = strlen(dir);
	bool below = false;

	for (i = 0; i < b->l->policy->n; i++) {
		const struct policy_rule *rule = &b->l->policy->rules[i];

		below = below || (rule->kind == POLICY_ALLOW_WRITE && rule->len > 1 &&
				  policy_rule_covers(rule, dir, len));
	}
	if (below)
		fd = sys_openat2(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
				 RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	while (fd >= 0 && (n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		for (o = 0; (d = sys_dirent_next(buf, n, &o));) {
			if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0 ||
			    b->l->covered >= LIMIT_LATE_COVERED)
				continue;
			if (snprintf(path, sizeof(path), "%s/%s", dir, d->name) < LIMIT_PATH)
				look_at(b, path);
		}
	}
}

bool late_look(struct late *l, const struct trees *t)
{
	bool failed;
	struct batch *b = l->ns[JAIL_NS_USER] < 0 ? NULL : calloc(1, sizeof(*b));

	if (!b)
		return l->ns[JAIL_NS_USER] < 0;
	b->l = l;
	trees_each(t, look_in, b);
	cover(b);
	failed = b->failed;
	free(b);
	return !failed;
}

void late_done(struct late *l)
{
	size_t i;

	forget(l);
	free(l->settled);
	l->settled = NULL;
	for (i = 0; i < JAIL_NS_NUM; i++) {
		cleanup_close(&l->ns[i]);
		l->ns[i] = -1;
	}
}
