/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A line is one write to a file that is opened for it, with O_APPEND: lines of several processes stand one behind the other, whole.
 * Who finds the file too long renames it, holding its lock and having looked that it still has its name: so it is renamed once. A line that comes meanwhile
 * is the last of the old file.
 */
#include "events.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/util.h"

static void rotate(int state, int fd)
{
	struct stat own, there;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &own) == 0 &&
	    fstatat(state, EVENTS_FILE, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    own.st_ino == there.st_ino && own.st_dev == there.st_dev)
		(void)renameat(state, EVENTS_FILE, state, EVENTS_OLD);
}

void events_add(int state, const struct event *ev)
{
	struct buf b = BUF_INIT(4096);
	struct json j = { .out = &b };
	_cleanup_close_ int fd = openat(
		state, EVENTS_FILE, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct timespec now;
	struct stat st;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail for this clock */
	json_open(&j, NULL, '{');
	json_int(&j, "time", now.tv_sec * 1000000000LL + now.tv_nsec);
	json_str(&j, "event", ev->what);
	json_str(&j, "id", ev->id);
	json_str(&j, "name", ev->name);
	if (ev->from)
		json_str(&j, "from", ev->from);
	if (ev->why)
		json_str(&j, "why", ev->why);
	if (ev->session)
		json_int(&j, "session", ev->session);
	if (ev->service)
		json_str(&j, "service", ev->service);
	if (ev->status >= 0)
		json_int(&j, "status", ev->status);
	json_close(&j, '}');
	buf_puts(&b, "\n");
	if (fd >= 0 && !b.failed && fd_write_all(fd, b.data, b.len) == 0 && fstat(fd, &st) == 0 &&
	    st.st_size >= LIMIT_EVENTS)
		rotate(state, fd);
	buf_done(&b);
}
