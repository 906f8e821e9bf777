/* SPDX-License-Identifier: Apache-2.0 */
/* Where bailey's own files are, and how one is read: opened once, judged by that descriptor, read to its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings.h"

static int judge_owner(const struct stat *st, const char *name, enum settings_owner owner,
		       struct err *e)
{
	bool mine = st->st_uid == 0 || (owner == SETTINGS_CALLER && st->st_uid == geteuid());

	if (!S_ISREG(st->st_mode))
		return err_set(e, ERR_POLICY, -EINVAL, "%s: it must be a regular file", name);
	if (owner == SETTINGS_ANY)
		return 0;
	if (!mine)
		return err_set(
			e, ERR_POLICY, -EPERM,
			"%s: it belongs to uid %u, but must belong to %s: chown it, or remove it",
			name, (unsigned int)st->st_uid, owner == SETTINGS_ROOT ? "root" : "you");
	if (st->st_mode & 022) {
		struct buf word = BUF_INIT(8ul * LIMIT_PATH);

		text_shell(&word, name);
		(void)err_set(e, ERR_POLICY, -EPERM,
			      "%s: others may write it (mode %03o); mend: chmod go-w %s", name,
			      (unsigned int)st->st_mode & 0777, word.failed ? "FILE" : word.data);
		buf_done(&word);
		return -EPERM;
	}
	return 0;
}

int settings_read(int dfd, const char *path, const char *name, enum settings_owner owner,
		  struct buf *b, struct err *e)
{
	/* a FIFO in its place must not hang us, a terminal not become ours */
	_cleanup_close_ int fd =
		openat(dfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		if (errno == ELOOP)
			return err_set(e, ERR_POLICY, -ELOOP,
				       "%s: it is a symlink; it must be a regular file", name);
		return err_set(
			e, ERR_POLICY, -errno,
			"%s: %s: a policy that can't be read is not passed over; make it readable, or remove it",
			name, strerror(errno));
	}
	if (fstat(fd, &st) < 0)
		return err_set(e, ERR_POLICY, -errno, "%s: %s", name, strerror(errno));
	r = judge_owner(&st, name, owner, e);
	if (r < 0)
		return r;
	r = fd_read_all(fd, b);
	if (r == -EFBIG)
		return err_set(e, ERR_POLICY, r, "%s: it is longer than %u bytes", name,
			       (unsigned int)b->max - 1);
	if (r < 0)
		return err_set(e, ERR_POLICY, r, "%s: %s", name, strerror(-r));
	return 1;
}

/* The directory "bailey" in $@variable, else in @below the home. */
static int own_dir(const char *variable, const char *home, const char *below, bool resolve,
		   char *out)
{
	const char *dir = getenv(variable);
	char path[LIMIT_PATH], norm[LIMIT_PATH];
	int n;

	if (dir && dir[0] == '/')
		n = snprintf(path, sizeof(path), "%s/bailey", dir);
	else if (home)
		n = snprintf(path, sizeof(path), "%s/%s/bailey", home, below);
	else
		return -ENOENT;
	if (n >= (int)sizeof(path) || path_normalize(path, "/", NULL, norm, NULL) < 0)
		return -ENAMETOOLONG;
	/* what can't be resolved can't be read either */
	if (!resolve || jail_host_resolve(norm, true, out) < 0)
		memcpy(out, norm, strlen(norm) + 1);
	return 0;
}

int settings_config_dir(const char *home, bool resolve, char *out)
{
	return own_dir("XDG_CONFIG_HOME", home, ".config", resolve, out);
}

int settings_state_dir(const char *home, char *out)
{
	const char *dir = getenv("XDG_STATE_HOME");
	int r;

	if (geteuid() == 0 && (!dir || dir[0] != '/')) {
		memcpy(out, "/var/lib/bailey", sizeof("/var/lib/bailey"));
		return 0;
	}
	r = own_dir("XDG_STATE_HOME", home, ".local/state", true, out);
	/* the machine's settings are there, for everybody to read */
	return r == 0 && path_covers(SETTINGS_MANAGED_DIR, out) ? -EINVAL : r;
}

int settings_make_dirs(const char *path)
{
	char dir[LIMIT_PATH];
	const char *slash = path;

	do {
		slash = strchr(slash + 1, '/');
		(void)snprintf(dir, sizeof(dir), "%.*s",
			       slash ? (int)(slash - path) : (int)strlen(path), path);
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return -errno;
	} while (slash);
	return 0;
}

/*
 * Who works with the home directory as the workspace lets the command write beside bailey's own directories. The built-in rules mask
 * them, but a mask needs something to cover: what is not there, the command could make, and the next run would believe it.
 */
int settings_keep(const struct sandbox *s, struct err *e)
{
	const struct policy_rule *rules = s->policy.rules;
	struct stat st;
	size_t i, k;
	int r;

	for (i = 0; i < s->policy.n; i++) {
		if (rules[i].kind != POLICY_ALLOW_WRITE || !rules[i].path[1])
			continue; /* "/" can't be given (jail/plan.c): nothing will run */
		for (k = 0; k < s->policy.n; k++) {
			if (!policy_rule_covers(&rules[i], rules[k].path, rules[k].len) ||
			    !policy_rule_is_own(&rules[k]) || lstat(rules[k].path, &st) == 0)
				continue;
			r = settings_make_dirs(rules[k].path);
			if (r < 0)
				return err_sys(e, r,
					       "'%s', which the command must not be able to make",
					       rules[k].path);
		}
	}
	return 0;
}
