/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set-id modes that a sandbox with a root inside leaves in the host's directories. What it may write is noted before it runs, in a file whose time is the
 * start; the file goes when they were swept. So a sweep that a kill -9 has kept from happening is done at the next start, or by 'bailey rm'.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stay.h"

#define NOTE "live"
#define MARGIN \
	2 /* s: a file's time is of the last tick, or of another machine's clock that is about right */

static int note_path(const char *dir, char out[LIMIT_PATH])
{
	return snprintf(out, LIMIT_PATH, "%s/" NOTE, dir) < LIMIT_PATH ? 0 : -ENAMETOOLONG;
}

int set_ids_begin(const struct sandbox *s, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	char path[LIMIT_PATH];
	_cleanup_close_ int fd = -1;
	size_t i;
	int r = note_path(s->stay->dir, path);

	if (!jail_identity_rooted(&s->id))
		return 0;
	for (i = 0; i < s->policy.n; i++) {
		if (s->policy.rules[i].kind == POLICY_ALLOW_WRITE)
			buf_add(&b, s->policy.rules[i].path, s->policy.rules[i].len + 1);
	}
	for (i = 0; i < s->stay->n_volumes; i++) {
		const struct jail_volume *v = &s->stay->volumes[i];

		if (!v->read_only)
			buf_add(&b, v->from, strlen(v->from) + 1);
	}
	if (r == 0)
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = r < 0 ? r : fd < 0 ? -errno : b.failed ? -E2BIG : fd_write_all(fd, b.data, b.len);
	buf_done(&b);
	return r < 0 ? err_sys(e, r, "%s", path) : 0;
}

struct sweep {
	const struct buf *dirs;
	int64_t since;
};

static void say(const char *dir, int r, const struct guard_set_ids *found)
{
	struct buf b = BUF_INIT(16ul * LIMIT_PATH);

	if (found->n) {
		buf_printf(&b, "bailey: in '");
		buf_quote(&b, dir);
		buf_printf(
			&b,
			"' %lu %s had a set-user-ID or set-group-ID mode from the sandbox: it was taken away ('",
			found->n, found->n == 1 ? "file" : "files");
		buf_quote(&b, found->first);
		buf_puts(&b, found->n == 1 ? "')\n" : "', …)\n");
	}
	if (found->closed) {
		buf_puts(&b, "bailey: notice: in '");
		buf_quote(&b, dir);
		buf_printf(
			&b,
			"' %lu %s not searched for set-user-ID files of the sandbox, which could not enter it either ('",
			found->closed, found->closed == 1 ? "directory was" : "directories were");
		buf_quote(&b, found->first_closed);
		buf_puts(&b, found->closed == 1 ? "')\n" : "', …)\n");
	}
	if (r < 0) {
		buf_puts(&b, "bailey: '");
		buf_quote(&b, dir);
		buf_printf(
			&b,
			"' could not be searched whole for set-user-ID files of the sandbox: %s\n",
			strerror(-r));
	}
	if (!b.failed && b.len)
		(void)fd_write_all(2, b.data, b.len); /* a notice */
	buf_done(&b);
}

static int sweep(void *arg)
{
	const struct sweep *w = arg;
	size_t at;
	int r, ret = 0;

	for (at = 0; at < w->dirs->len; at += strlen(w->dirs->data + at) + 1) {
		struct guard_set_ids found = { .n = 0 };

		r = guard_set_ids(w->dirs->data + at, w->since, &found);
		say(w->dirs->data + at, r, &found);
		ret = r < 0 ? r : ret;
	}
	return ret;
}

int set_ids_end(const char *dir, const struct jail_identity *id, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	char path[LIMIT_PATH];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = note_path(dir, path);

	if (r == 0)
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return r < 0 || errno == ENOENT ? 0 : err_sys(e, -errno, "%s", path);
	if (fstat(fd, &st) < 0 || fd_read_all(fd, &b) < 0 || (b.len && b.data[b.len - 1]))
		r = err_set(e, ERR_SYSTEM, -EIO, "%s can't be read", path);
	else
		r = jail_within(id, sweep,
				&(struct sweep){ .dirs = &b, .since = st.st_mtime - MARGIN }, e);
	buf_done(&b);
	if (r == 0 && unlink(path) < 0)
		r = -errno;
	return r < 0 && e->code == ERR_NONE ? err_sys(e, r, "%s: sweep", path) : r;
}
