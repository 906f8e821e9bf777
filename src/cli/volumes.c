/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The words --volume and --cache are kept with the sandbox and read at each start, as all its words are. What they name is shown last, so that
 * nothing else is covered by it. An ordinary user's files in it have the ids that they have in his sandboxes' homes. Root's sandboxes have a block of ids each: where the
 * file system can show a directory with mapped owners, the files of a volume belong to one block on the disk, that of no process, and each sandbox sees its own ids;
 * elsewhere the volume belongs to the one id of the sandbox that had it first.
 */
#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/probe.h"
#include "sandbox.h"
#include "store/store.h"

#define VOLUMES_MAX 64u /* of one sandbox */
#define CACHE "cache-"

/* Where the tools of its user keep what they have downloaded; relative to the home. */
static const struct {
	const char *name, *path;
} caches[] = {
	{ "npm", ".npm/_cacache" }, /* not what is beside it: npx runs programs from there */
	{ "pip", ".cache/pip" },
	{ "cargo", ".cargo/registry" },
};

static int add(struct sandbox *s, const char *where, const char *name, const char *path,
	       bool read_only, struct err *e)
{
	struct stay *stay = s->stay;
	struct jail_volume *v = &stay->volumes[stay->n_volumes];
	const char *state = stay->dir; /* STATE/sandboxes/ID */
	size_t n = state ? strlen(state) : 0;
	int up;

	if (stay->n_volumes == VOLUMES_MAX)
		return err_set(e, ERR_USAGE, -E2BIG, "%s: a sandbox has at most %u volumes", where,
			       VOLUMES_MAX);
	for (up = 0; up < 2 && n; up++) {
		while (n && state[--n] != '/')
			;
	}
	*v = (struct jail_volume){ .name = sandbox_keep(s, name),
				   .path = sandbox_keep(s, path),
				   .read_only = read_only };
	/* of one that is only described nothing is opened */
	v->from = state ? arena_printf(&s->arena, "%.*s/" VOLUMES "/%s", (int)n, state, name) : "/";
	if (!v->name || !v->path || !v->from)
		return sandbox_oom(e);
	stay->n_volumes++;
	return 0;
}

/* Absolute, and what it says: no name of it means another one. */
static int check_path(const char *path, struct err *e)
{
	char norm[LIMIT_PATH];
	const char *p;

	if (path[0] != '/' || !path[1])
		return err_set(e, ERR_USAGE, -EINVAL,
			       "'%.100s' is no place for a volume: name an absolute path, not '/'",
			       path);
	for (p = path; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "the place of a volume has control characters");
	}
	if (strlen(path) >= sizeof(norm) || path_normalize(path, "/", NULL, norm, e) < 0 ||
	    strcmp(path, norm) != 0)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"'%.100s' is no place for a volume: write it without '.', '..', '//' and a slash at its end",
			path);
	return 0;
}

/* NAME:PATH[:ro] */
static int add_volume(struct sandbox *s, const struct opt_value *v, struct err *e)
{
	const char *path = strchr(v->value, ':'), *mode = path ? strchr(path + 1, ':') : NULL;
	char name[STORE_NAME_MAX + 2], place[LIMIT_PATH];
	const size_t n = path ? (size_t)(path - v->value) : 0;
	const size_t len = path ? (mode ? (size_t)(mode - path) : strlen(path)) - 1 : 0;
	int r;

	if (!path || (mode && strcmp(mode, ":ro") != 0))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "--volume '%.100s': expected NAME:PATH or NAME:PATH:ro", v->value);
	(void)snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1),
		       v->value); /* one byte more than a name has is no name */
	if (len >= sizeof(place))
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "--volume '%.100s': too long",
			       v->value);
	memcpy(place, path + 1, len);
	place[len] = '\0';
	r = store_name_check(name, e);
	if (r == 0)
		r = check_path(place, e);
	return r < 0 ? err_wrap(e, r, "--volume") : add(s, "--volume", name, place, mode, e);
}

static int add_cache(struct sandbox *s, const char *word, size_t n, struct err *e)
{
	char name[STORE_NAME_MAX + 1], path[LIMIT_PATH];
	size_t i;

	if (n == 3 && memcmp(word, "apt", n) == 0)
		return err_set(
			e, ERR_USAGE, -EOPNOTSUPP,
			"--cache apt: apt can't install in a sandbox that shows the host's system directories, so there is nothing to keep; leave it out");
	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		if (strlen(caches[i].name) != n || memcmp(caches[i].name, word, n) != 0)
			continue;
		(void)snprintf(name, sizeof(name), CACHE "%s", caches[i].name); /* it fits */
		if (snprintf(path, sizeof(path), "%s/%s", s->stay->agent.home, caches[i].path) >=
		    (int)sizeof(path))
			return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the home's path is too long");
		return add(s, "--cache", name, path, false, e);
	}
	return err_set(e, ERR_USAGE, -ENOENT,
		       "--cache '%.*s': there is no such cache; there are npm, pip and cargo",
		       (int)(n < 100 ? n : 100), word);
}

static int add_caches(struct sandbox *s, const struct opt_value *v, struct err *e)
{
	const char *word = v->value;
	int r = 0;

	while (r == 0) {
		r = add_cache(s, word, strcspn(word, ","), e);
		word += strcspn(word, ",");
		if (!*word++)
			break;
	}
	return r;
}

/* --- its directory -------------------------------------------------------------------------------------------------------------------- */

/* Nothing is in it. In doubt something is. */
static bool is_empty(int fd)
{
	SYS_DIRENT_ALIGN char buf[4096];
	const struct sys_dirent *d;
	long n, o;

	while ((n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		for (o = 0; (d = sys_dirent_next(buf, n, &o));) {
			if (strcmp(d->name, ".") != 0 && strcmp(d->name, "..") != 0)
				return false;
		}
	}
	return n == 0;
}

/* As root: whose files are in it, so that it can be shown to this sandbox. */
static int own(const struct sandbox *s, struct jail_volume *v, struct err *e)
{
	_cleanup_close_ int fd = open(v->from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct probe_answer a = { .mend = "" };
	struct stat st;
	uid_t uid;
	gid_t gid;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "volume '%s'", v->name);
	v->mapped = st.st_uid >= JAIL_VOLUME_IDS && st.st_uid - JAIL_VOLUME_IDS < JAIL_BLOCK_SIZE;
	if (v->mapped)
		return 0;
	if (!is_empty(fd)) {
		if (st.st_uid == s->id.host_uid)
			return 0;
		return err_set(
			e, ERR_POLICY, -EPERM,
			"volume '%s' has files of uid %u, and this sandbox would act as uid %u: its directory has no idmapped mounts, so it is for sandboxes of one id. Mend: a state directory (XDG_STATE_HOME) on ext4, xfs, btrfs or a tmpfs",
			v->name, (unsigned int)st.st_uid, (unsigned int)s->id.host_uid);
	}
	v->mapped = probe_idmap(&a, v->from) == PROBE_OK;
	uid = v->mapped ? JAIL_VOLUME_IDS + s->stay->agent.uid : s->id.host_uid;
	gid = v->mapped ? JAIL_VOLUME_IDS + s->stay->agent.gid : s->id.host_gid;
	return fchown(fd, uid, gid) < 0 ? err_sys(e, -errno, "volume '%s': owner", v->name) : 0;
}

/* It is in the store, and can't leave it while this sandbox has it: who was killed before its directory was made is no hindrance. */
static int prepare(const struct sandbox *s, struct jail_volume *v, struct err *e)
{
	if (mkdir(v->from, 0755) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "volume '%s'", v->name);
	return geteuid() == 0 ? own(s, v, e) : 0;
}

int volumes_plan(struct sandbox *s, struct err *e)
{
	struct stay *stay = s->stay;
	const struct opt_list *given = stay->given;
	size_t i;
	int r = 0;

	stay->n_volumes = 0;
	if (!given || !given->n)
		return 0;
	stay->volumes = arena_alloc(&s->arena, VOLUMES_MAX * sizeof(*stay->volumes));
	if (!stay->volumes)
		return sandbox_oom(e);
	for (i = 0; r == 0 && i < given->n; i++)
		r = strcmp(given->v[i].opt->name, "cache") == 0 ? add_caches(s, &given->v[i], e) :
								  add_volume(s, &given->v[i], e);
	for (i = 0; r == 0 && i < stay->n_volumes; i++) {
		if (s->starts)
			r = prepare(s, &stay->volumes[i], e);
		if (r == 0)
			r = jail_plan_volume(&s->plan, &s->policy, &s->host, &stay->volumes[i], e);
	}
	return r;
}

/* --- at create ------------------------------------------------------------------------------------------------------------------------ */

static bool is_cache(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		if (strncmp(name, CACHE, strlen(CACHE)) == 0 &&
		    strcmp(name + strlen(CACHE), caches[i].name) == 0)
			return true;
	}
	return false;
}

static bool is_there(const struct json_node *all, const char *name)
{
	const struct json_node *v;
	const char *text;

	for (v = all->first; v; v = v->next) {
		text = json_text(v, "name");
		if (text && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

int volumes_need(struct named *n, const struct stay *stay, struct err *e)
{
	const struct json_node *all = NULL;
	size_t i;
	int r = stay->n_volumes ? volume_list(n, &all, e) : 0;

	for (i = 0; r == 0 && i < stay->n_volumes; i++) {
		const char *name = stay->volumes[i].name;

		if (is_there(all, name))
			continue;
		if (!is_cache(name))
			return err_set(e, ERR_USAGE, -ENOENT,
				       "there is no volume '%s'; make it: bailey volume create %s",
				       name, name);
		n->quiet = true; /* somebody else may make it at the same time */
		r = volume_create(n, name, e);
		n->quiet = false;
		if (r == STORE_EXIT_CONFLICT)
			r = 0;
		else if (r > 0) /* once more, to hear why */
			r = volume_create(n, name, e);
	}
	return r;
}
