/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A sandbox is in the store before it has a directory, and leaves the store after its directory has got another name. So a directory that was
 * seen under that name, and whose sandbox is not in a list that was read after that, is nobody's; and a lock that can be had says that nobody works in it. One that has
 * its own name was not left by a removal: it may be of a sandbox that the store has lost, and is removed as those are that exist: after a question.
 */
#include "prune-sandboxes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"
#include "named.h"
#include "stay.h"
#include "store/store.h"

struct pruning {
	struct named n;
	const struct json_node *all;
	struct buf unknown; /* names of directories, each with its NUL */
	time_t before;
};

static const struct json_node *find(const struct pruning *p, const char *id)
{
	const struct json_node *v;

	for (v = p->all->first; v; v = v->next) {
		const char *text = json_text(v, "id");

		if (text && strcmp(text, id) == 0)
			return v;
	}
	return NULL;
}

/* The names in a directory of the state, each in @b with a NUL behind it. */
static int list(const struct named *n, const char *dir, struct buf *b, struct err *e)
{
	int fd = openat(n->state, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d) {
		const int r = -errno;

		cleanup_close(&fd);
		return r == -ENOENT ? 0 : err_sys(e, r, "%s/%s", n->path, dir);
	}
	while ((de = readdir(d))) {
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			buf_add(b, de->d_name, strlen(de->d_name) + 1);
	}
	(void)closedir(d);
	return b->failed ? err_sys(e, -ENOMEM, "%s/%s", n->path, dir) : 0;
}

static void say(const char *what, const char *name)
{
	struct buf b = BUF_INIT(1024);

	buf_printf(&b, "removed %s ", what);
	buf_quote(&b, name);
	buf_puts(&b, "\n");
	(void)cli_print(&b); /* what is done is done */
	buf_done(&b);
}

/* A directory below sandboxes/ that no sandbox has. */
static void remove_dir(const struct named *n, const char *name)
{
	char path[LIMIT_PATH];
	_cleanup_close_ int dir =
		openat(n->state, "sandboxes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int lock = -1;
	struct jail_identity id = { .lock = -1 };
	struct err e = ERR_INIT;

	(void)snprintf(path, sizeof(path), "%s/lock", name);
	lock = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0)
		return; /* somebody works in it */
	if (stay_look(0, &id, &e) == 0 && stay_forget(dir, name, &id) == 0)
		say("directory", name);
}

/* A socket of a sandbox that is not there, or does not live; also by now. */
static void remove_socket(struct pruning *p, const char *name)
{
	const char *const own = name + strlen("sandbox-");
	_cleanup_close_ int lock = -1, listens = named_connect(&p->n, own);
	struct err e = ERR_INIT;
	struct named_box box;
	bool new;
	int r;

	if (listens >= 0)
		return;
	p->n.quiet = true;
	r = named_get(&p->n, own, &box, &e);
	p->n.quiet = false;
	if (r != 0 && r != STORE_EXIT_ABSENT && r != STORE_EXIT_INPUT)
		return;
	/* else no sandbox has that name: it may be the beginning of an id */
	if (r == 0 && strcmp(box.name, own) == 0) {
		lock = named_lock(&p->n, box.id, &new);
		if (lock < 0)
			return;
	}
	if (unlinkat(p->n.runtime, name, 0) == 0)
		say("socket", name);
}

static int prune_left(struct pruning *p, struct err *e)
{
	struct buf dirs = BUF_INIT(1u << 20), sockets = BUF_INIT(1u << 20);
	int r = list(&p->n, "sandboxes", &dirs, e);
	const char *at;

	if (r == 0)
		r = list(&p->n, "run", &sockets, e);
	if (r == 0)
		r = named_list(&p->n, &p->all, e);
	for (at = dirs.data; r == 0 && at && at < dirs.data + dirs.len; at += strlen(at) + 1) {
		if (find(p, at + strspn(at, NAMED_AWAY)))
			continue;
		if (*at == *NAMED_AWAY || *at == '.')
			remove_dir(&p->n, at);
		else
			buf_add(&p->unknown, at, strlen(at) + 1);
	}
	for (at = sockets.data; r == 0 && at && at < sockets.data + sockets.len;
	     at += strlen(at) + 1) {
		if (strncmp(at, "sandbox-", strlen("sandbox-")) == 0)
			remove_socket(p, at);
	}
	buf_done(&dirs);
	buf_done(&sockets);
	return r;
}

/* Whether @v is stopped, and was it for long enough. */
static bool is_old(const struct pruning *p, const struct json_node *v, struct named_box *ret)
{
	const char *created = json_text(v, "created");
	char path[64];
	struct stat st;

	if (!named_box(v, ret) || !created || named_lives(&p->n, ret->id))
		return false;
	(void)snprintf(path, sizeof(path), "sandboxes/%s", ret->id);
	/* what is started or stopped gets or loses a file there */
	if (fstatat(p->n.state, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return st.st_mtime < p->before;
	return strtoll(created, NULL, 10) / 1000000000 < p->before;
}

/* Return: 0: yes; 1: no; negative errno with @e. */
static int ask(const struct buf *names, size_t count, struct err *e)
{
	struct buf b = BUF_INIT(1u << 20);
	char answer[16];
	ssize_t n;

	if (!isatty(0) || !isatty(2))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"%zu sandboxes would be removed, or directories that no sandbox has, and nobody can be asked: add --force, or leave --sandboxes out",
			count);
	buf_printf(&b, "Sandboxes to be removed, with what they have beside their workspaces:\n");
	buf_add(&b, names->data, names->len);
	buf_printf(&b, "Remove %zu? [y/N] ", count);
	(void)fd_write_all(2, b.data, b.len);
	buf_done(&b);
	n = read(0, answer, sizeof(answer));
	return n > 0 && (answer[0] == 'y' || answer[0] == 'Y') ? 0 : 1;
}

/* Return: as named_get(). */
static int remove_box(struct pruning *p, const struct named_box *box)
{
	struct err e = ERR_INIT;
	int r;

	p->n.quiet = true;
	r = named_remove(&p->n, box, false, &e);
	p->n.quiet = false;
	if (r == 0)
		say("sandbox", box->name);
	else if (r == -EBUSY || r == -ENOENT || r == STORE_EXIT_ABSENT)
		r = 0; /* it was started meanwhile, or somebody else has removed it */
	else if (r > 0)
		(void)err_set(
			&e, ERR_SYSTEM, -EIO,
			"sandbox '%s' can't be removed (is the disk full?); 'bailey rm %s' says why",
			box->name, box->name);
	return r == 0 ? 0 : cli_fail(&e);
}

/* What can't be removed is said, and keeps no other from it. Return: as prune_sandboxes(). */
static int prune_old(struct pruning *p, bool force, struct err *e)
{
	struct buf names = BUF_INIT(1u << 20);
	const struct json_node *v;
	struct named_box box;
	const char *at;
	size_t count = 0;
	int r = 0, one;

	for (v = p->all->first; v; v = v->next) {
		if (!is_old(p, v, &box))
			continue;
		buf_printf(&names, "  %s\n", box.name);
		count++;
	}
	for (at = p->unknown.data; at && at < p->unknown.data + p->unknown.len;
	     at += strlen(at) + 1) {
		buf_puts(&names, "  sandboxes/");
		buf_quote(&names, at);
		buf_puts(&names, ", a directory that no sandbox has\n");
		count++;
	}
	if (count && !force)
		r = ask(&names, count, e);
	buf_done(&names);
	if (r != 0)
		return r;
	for (at = p->unknown.data; at && at < p->unknown.data + p->unknown.len;
	     at += strlen(at) + 1)
		remove_dir(&p->n, at);
	for (v = p->all->first; v; v = v->next) {
		one = is_old(p, v, &box) ? remove_box(p, &box) : 0;
		r = r ? r : one;
	}
	return r;
}

int prune_sandboxes(time_t before, bool force, struct err *e)
{
	struct pruning p = { .before = before, .unknown = BUF_INIT(1u << 20) };
	int r = named_open(&p.n, e);

	if (r == 0)
		r = named_kept(&p.n, e);
	if (r == 0)
		r = prune_left(&p, e);
	if (r == 0)
		r = prune_old(&p, force, e);
	buf_done(&p.unknown);
	named_done(&p.n);
	return r;
}
