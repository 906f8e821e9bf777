/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A volume is there when the store has it: that is one transaction, which also knows who has it. Its directory follows. Who makes or removes one holds a
 * lock on volumes/ meanwhile, and begins by making the directories what the store says: one that has the name NAMED_AWAY is the rest of a removal that was cut off, and its files
 * must not come back with the name; one that is missing is the rest of a creation. Another that the store lacks is of somebody who may have lost what the store knew: it is
 * said, and stays. A sandbox needs no lock: what it has can't leave the store.
 */
#include "volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"
#include "store/store.h"

static const struct json_node *find(const struct json_node *all, const char *name)
{
	const struct json_node *v;
	const char *text;

	for (v = all->first; v; v = v->next) {
		text = json_text(v, "name");
		if (text && strcmp(text, name) == 0)
			return v;
	}
	return NULL;
}

int volume_list(struct named *n, const struct json_node **ret, struct err *e)
{
	char *const words[] = { (char *)(uintptr_t) "volume", (char *)(uintptr_t) "ls", NULL };
	struct buf out = BUF_INIT(LIMIT_KEPT);
	int r = named_store(n, words, NULL, &out, e);

	if (r == 0)
		r = json_read_kept(STORE_PROGRAM, out.data ? out.data : "", out.len, &n->arena, ret,
				   e);
	if (r == 0 && (*ret)->type != JSON_LIST)
		r = err_set(e, ERR_SYSTEM, -EBADMSG,
			    STORE_PROGRAM ": an answer that is not understood");
	buf_done(&out);
	return r;
}

/* Whatever ids its files have. */
static int remove_files(int dir, const char *name, struct err *e)
{
	struct jail_identity id = { .lock = -1 };
	int r = stay_look(0, &id, e);

	if (r < 0)
		return r;
	r = stay_forget(dir, name, &id);
	return r < 0 ? err_sys(e, r, VOLUMES "/%s", name) : 0;
}

/* @name was being removed, and who did it was killed: that is finished, or undone when the store was not told yet. */
static void finish(int dir, const struct json_node *all, const char *name)
{
	const char *const own = name + strlen(NAMED_AWAY);
	struct err e = ERR_INIT;
	int r;

	if (find(all, own)) {
		(void)unlinkat(dir, own, AT_REMOVEDIR); /* a start has made a new one */
		r = sys_rename_new(dir, name, own);
		if (r < 0)
			(void)err_sys(&e, r, VOLUMES "/%s", name);
	} else {
		r = remove_files(dir, name, &e);
	}
	if (r < 0)
		(void)dprintf(2, "bailey: notice: %s\n", e.msg);
}

/* Files that no volume has were not left by a removal: that takes them out of the way first. They are somebody's, who may have lost what the store knew. */
static void say_unknown(const char *state, const char *name)
{
	(void)dprintf(2,
		      "bailey: notice: %s/" VOLUMES "/%s is of no volume that " STORE_FILE
		      " knows, and stays: put an older " STORE_FILE " back, or move it away\n",
		      state, name);
}

/* The directories are what the store says. @dir: volumes/, locked */
static int heal(const char *state, int dir, const struct json_node *all, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct json_node *v;
	const struct dirent *de;
	const char *name;

	if (!d) {
		r = err_sys(e, -errno, VOLUMES);
		cleanup_close(&fd);
		return r;
	}
	while ((de = readdir(d))) {
		if (strncmp(de->d_name, NAMED_AWAY, strlen(NAMED_AWAY)) == 0)
			finish(dir, all, de->d_name);
		else if (store_name_ok(de->d_name) && !find(all, de->d_name))
			say_unknown(state, de->d_name);
	}
	(void)closedir(d);
	for (v = all->first; r == 0 && v; v = v->next) {
		name = json_text(v, "name");
		/* what stands in the store was checked; a sandbox that starts may be faster */
		if (name && store_name_ok(name) && mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
			r = err_sys(e, -errno, VOLUMES "/%s", name);
	}
	return r;
}

/* Lock them, and heal. @ret: what there is. Return: fd of volumes/; an exit status as @ret_status; or negative errno with @e. */
static int begin(struct named *n, const struct json_node **ret, int *ret_status, struct err *e)
{
	_cleanup_close_ int dir = -1;
	int r;

	*ret_status = 0;
	r = named_kept(n, e);
	if (r < 0)
		return r;
	if (mkdirat(n->state, VOLUMES, 0700) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "%s/" VOLUMES, n->path);
	dir = openat(n->state, VOLUMES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, -errno, "%s/" VOLUMES, n->path);
	while ((r = flock(dir, LOCK_EX)) < 0 && errno == EINTR)
		;
	if (r < 0)
		return err_sys(e, -errno, "%s/" VOLUMES ": lock", n->path);
	r = volume_list(n, ret, e);
	if (r > 0) {
		*ret_status = r;
		return -ECANCELED;
	}
	if (r == 0)
		r = heal(n->path, dir, *ret, e);
	return r < 0 ? r : TAKE_FD(dir);
}

static int ask(const struct named *n, const char *verb, const char *name, struct err *e)
{
	char *const words[] = { (char *)(uintptr_t) "volume", (char *)(uintptr_t)verb,
				(char *)(uintptr_t)name, NULL };

	return named_store(n, words, NULL, NULL, e);
}

int volume_create(struct named *n, const char *name, struct err *e)
{
	const struct json_node *all;
	int status, r = store_name_check(name, e);
	_cleanup_close_ int dir = r < 0 ? -1 : begin(n, &all, &status, e);

	if (r < 0 || dir < 0)
		return r < 0 ? r : status ? status : dir;
	if (!find(all, name) && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, -errno, "%s/" VOLUMES "/%s is in the way", n->path, name);
	r = ask(n, "add", name, e);
	if (r == 0 && mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		r = err_sys(e, -errno, "%s/" VOLUMES "/%s", n->path, name);
	return r;
}

int volume_remove(struct named *n, const char *name, struct err *e)
{
	const struct json_node *all;
	int status, r, moved = -ENOENT;
	_cleanup_close_ int dir = begin(n, &all, &status, e);
	char away[sizeof(NAMED_AWAY) + STORE_NAME_MAX];
	const struct json_node *v, *users;

	if (dir < 0)
		return status ? status : dir;
	(void)snprintf(away, sizeof(away), NAMED_AWAY "%s", name); /* a name of the store fits */
	v = find(all, name);
	users = json_member(v, "sandboxes");
	if (v && !(users && users->first))
		moved = sys_rename_new(dir, name, away);
	if (moved < 0 && moved != -ENOENT)
		return err_sys(e, moved, "%s/" VOLUMES "/%s", n->path, name);
	r = ask(n, "rm", name, e); /* which names those that are there, or who has it */
	if (moved < 0)
		return r;
	if (r != 0) {
		(void)sys_rename_new(dir, away, name); /* it was not removed */
		return r;
	}
	return remove_files(dir, away, e);
}

/* --- prune ---------------------------------------------------------------------------------------------------------------------------- */

static bool is_old(const struct json_node *v, time_t before)
{
	const char *created = json_text(v, "created");
	const struct json_node *users = json_member(v, "sandboxes");

	return created && users && !users->first &&
	       strtoll(created, NULL, 10) / 1000000000 < before;
}

static int ask_user(const struct json_node *all, time_t before, size_t count, struct err *e)
{
	struct buf b = BUF_INIT(1u << 20);
	const struct json_node *v;
	char answer[16];
	ssize_t n;

	if (!isatty(0) || !isatty(2))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"%zu volumes would be removed, and nobody can be asked: add --force, or leave --volumes out",
			count);
	buf_puts(&b, "Volumes to be removed, with their files; no sandbox has them:\n");
	for (v = all->first; v; v = v->next) {
		if (is_old(v, before))
			buf_printf(&b, "  %s\n", json_text(v, "name"));
	}
	buf_printf(&b, "Remove %zu? [y/N] ", count);
	(void)fd_write_all(2, b.data, b.len);
	buf_done(&b);
	n = read(0, answer, sizeof(answer));
	return n > 0 && (answer[0] == 'y' || answer[0] == 'Y') ? 0 : 1;
}

/* Return: as volume_prune(). */
static int prune_old(struct named *n, const struct json_node *all, time_t before, bool force,
		     struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	const struct json_node *v;
	size_t count = 0;
	int r = 0;

	for (v = all->first; v; v = v->next)
		count += is_old(v, before);
	if (count && !force)
		r = ask_user(all, before, count, e);
	for (v = all->first; r == 0 && count && v; v = v->next) {
		if (!is_old(v, before))
			continue;
		n->quiet = true;
		r = volume_remove(n, json_text(v, "name"), e);
		n->quiet = false;
		if (r == 0)
			buf_printf(&b, "removed volume %s\n", json_text(v, "name"));
		else if (r == STORE_EXIT_ABSENT || r == STORE_EXIT_CONFLICT)
			r = 0; /* it was removed, or a sandbox has it by now */
		else if (r > 0)
			r = err_set(
				e, ERR_SYSTEM, -EIO,
				"volume '%s' can't be removed (is the disk full?); 'bailey volume rm %s' says why",
				json_text(v, "name"), json_text(v, "name"));
	}
	if (b.len && cli_print(&b) != 0 && r == 0)
		r = 125;
	buf_done(&b);
	return r;
}

int volume_prune(time_t before, bool force, struct err *e)
{
	struct named n = { .state = -1, .runtime = -1 };
	const struct json_node *all = NULL;
	int status = 0, dir, r = named_open(&n, e);

	if (r == 0) {
		dir = begin(&n, &all, &status, e);
		r = dir < 0 ? (status ? status : dir) : 0;
		cleanup_close(&dir);
	}
	if (r == 0 && all)
		r = prune_old(&n, all, before, force, e);
	named_done(&n);
	return r;
}
