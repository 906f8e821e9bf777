/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A pattern becomes rules at the start: the directories below its fixed beginning are read, as far as a name in them
 * could match, and each match is a rule as if it had been named itself. What is found at the start is covered, no more; --explain says how
 * much was looked at. A run looks at LIMIT_GLOB_ENTRIES names at most: beyond that it is refused, since a denial that covers a part is none.
 *
 * Denials go through symlinks where a part of the pattern names the link, as a shell does; `**` never does. Grants take no symlinks at
 * all: an earlier run may have left them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"

struct scan {
	struct sandbox *s;
	const struct sandbox_path *path;
	struct policy_glob glob;
	struct sandbox_scan *count;
	struct err *e;
};

static int scan_dir(struct scan *sc, int dfd, char *path, uint64_t at, int depth);

static int too_many(const struct scan *sc, const char *what)
{
	char where[LIMIT_WHERE];

	return err_set(sc->e, ERR_POLICY, -E2BIG, "%s: '%s': %s; name a narrower place than '%s'",
		       sandbox_where(sc->path->value, where), sc->path->value->value, what,
		       sc->glob.base);
}

/* The name at the end of @path, in the directory @dfd. */
static int scan_entry(struct scan *sc, int dfd, char *path, const char *name, bool link, bool dir,
		      uint64_t at, int depth)
{
	bool grant = policy_grants(sc->path->kind);
	uint64_t next = policy_glob_step(&sc->glob, at, name, link);
	char real[LIMIT_PATH];
	int fd;

	if (!next)
		return 0;
	if (link && grant) {
		sc->count->links++;
		return 0;
	}
	if (policy_glob_accepts(&sc->glob, next)) {
		/* what a link leads to is denied, not the link: /bin may be one, and a grant of /bin means /usr/bin */
		if (link && jail_host_resolve(path, true, real) < 0) {
			sc->count->links++;
			return 0;
		}
		sc->count->matches++;
		/* a rule covers what is below, too */
		return sandbox_place(sc->s, sc->path, link ? real : path, sc->e);
	}
	if (!dir && !link)
		return 0;
	fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (link ? 0 : O_NOFOLLOW));
	if (fd >= 0)
		return scan_dir(sc, fd, path, next, depth + 1);
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return err_sys(sc->e, -errno, "'%s'", path);
	sc->count->unlisted += errno == EACCES;
	return 0;
}

static bool made_anew(const char *path)
{
	/* the sandbox has its own */
	return strcmp(path, "/proc") == 0 || strcmp(path, "/dev") == 0;
}

/* Search the directory @dfd (taken) named @path (LIMIT_PATH bytes, changed and restored; "" is the root). */
static int scan_dir(struct scan *sc, int dfd, char *path, uint64_t at, int depth)
{
	size_t len = strlen(path), n;
	const struct dirent *d;
	struct stat st;
	int r = 0;
	DIR *dir;

	dir = depth < LIMIT_SCAN_DEPTH ? fdopendir(dfd) : NULL;
	if (!dir) {
		(void)close(dfd);
		return too_many(sc, "directories are nested too deep");
	}
	while (r == 0 && (d = readdir(dir))) {
		unsigned char type = d->d_type;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		sc->count->entries++;
		if (++sc->s->scanned > LIMIT_GLOB_ENTRIES) {
			r = too_many(sc, "more than 500000 names would have to be looked at");
			break;
		}
		n = strlen(d->d_name);
		if (len + n + 2 > LIMIT_PATH) {
			r = too_many(sc, "there are longer paths than the kernel takes");
			break;
		}
		path[len] = '/';
		memcpy(path + len + 1, d->d_name, n + 1);
		if (type == DT_UNKNOWN &&
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			type = (unsigned char)IFTODT(st.st_mode);
		if (!made_anew(path))
			r = scan_entry(sc, dirfd(dir), path, d->d_name, type == DT_LNK,
				       type == DT_DIR, at, depth);
		path[len] = '\0';
	}
	(void)closedir(dir);
	return r;
}

/* Names that come later are the watcher's. */
static int keep_pattern(struct sandbox *s, const struct scan *sc)
{
	struct guard_pattern *p;

	if (sc->path->kind != POLICY_DENY_READ && sc->path->kind != POLICY_HIDE)
		return 0;
	p = arena_alloc(&s->arena, sizeof(*p));
	if (!p)
		return sandbox_oom(sc->e);
	*p = (struct guard_pattern){ .kind = sc->path->kind,
				     .layer = sc->path->layer,
				     .glob = sc->glob,
				     .next = s->patterns };
	s->patterns = p;
	return 0;
}

static int scan(struct sandbox *s, const struct sandbox_path *p, struct scan *sc)
{
	struct sandbox_scan **end = &s->scans;
	char path[LIMIT_PATH];
	int fd;

	sc->count = arena_alloc(&s->arena, sizeof(*sc->count));
	if (!sc->count)
		return sandbox_oom(sc->e);
	*sc->count = (struct sandbox_scan){ .pattern = sandbox_keep(s, p->value->value),
					    .origin = p->origin,
					    .base = sc->glob.base };
	if (!sc->count->pattern)
		return sandbox_oom(sc->e);
	while (*end)
		end = &(*end)->next;
	*end = sc->count;
	memcpy(path, sc->glob.base, strlen(sc->glob.base) + 1);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		sc->count->unlisted += errno == EACCES;
		return 0; /* nothing is there, or nothing that the command could reach */
	}
	if (!path[1])
		path[0] = '\0';
	return scan_dir(sc, fd, path, policy_glob_start(&sc->glob), 0);
}

/* What stands before the first name with a special character is a path as any other. */
static int check_beginning(struct sandbox *s, const struct sandbox_path *p, struct err *e)
{
	const char *text = p->value->value;
	char norm[LIMIT_PATH], where[LIMIT_WHERE];
	size_t n = strcspn(text, "*?[\\");
	char *path;
	int r;

	while (n > 0 && text[n - 1] != '/')
		n--;
	if (n == 0)
		return 0;
	path = arena_printf(&s->arena, "%.*s", (int)n, text);
	if (!path)
		return sandbox_oom(e);
	r = sandbox_path(path, p->base, s->home, norm, e);
	return r < 0 ? err_wrap(e, r, "%s", sandbox_where(p->value, where)) : 0;
}

int sandbox_pattern(struct sandbox *s, const struct sandbox_path *p, struct err *e)
{
	struct scan sc = { .s = s, .path = p, .e = e };
	char norm[LIMIT_PATH], where[LIMIT_WHERE];
	bool literal;
	struct stat st;
	int r = check_beginning(s, p, e);

	if (r < 0)
		return r;
	/* "pages/[id]" may be the name of a file; then that is what is meant, and to be safe a denial means what it matches, too */
	literal = sandbox_path(p->value->value, p->base, s->home, norm, NULL) == 0 &&
		  lstat(norm, &st) == 0;
	if (literal) {
		r = sandbox_place(s, p, norm, e);
		if (r < 0 || policy_grants(p->kind))
			return r;
	}
	r = policy_glob_parse(&sc.glob, p->value->value, p->base, s->home, &s->arena, e);
	if (r < 0)
		return literal ? 0 :
				 err_wrap(e, r, "%s: '%s'", sandbox_where(p->value, where),
					  p->value->value);
	if (sc.glob.n == 0)
		return sandbox_place(s, p, sc.glob.base, e);
	r = keep_pattern(s, &sc);
	return r < 0 ? r : scan(s, p, &sc);
}
