/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --control-fd: a line is a whole configuration. What can change while a command runs is the network policy; as long as there is no gateway, a line
 * is only checked, so that its writer learns what is wrong with it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "srt.h"

int srt_control_check(const struct srt_control *c)
{
	char none[1];
	struct iovec v = { .iov_base = none, .iov_len = 0 };

	/* asks whether it may be read, and reads nothing */
	return readv(c->fd, &v, 1) < 0 ? -errno : 0;
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[640];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		(void)fd_write_all(2, line,
				   (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void take_line(struct srt_control *c, const char *text, size_t len)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct err e = ERR_INIT;
	struct srt_settings s;

	if (strspn(text, " \t\r") == len)
		return;
	if (srt_settings_read(&s, "control fd", text, len, &a, &e) < 0)
		say("Invalid config on control fd %d: ignored, previous config still in force (%s)\n",
		    c->fd, e.msg);
	arena_done(&a);
}

int srt_control_read(void *arg, short revents, struct err *e)
{
	struct srt_control *c = arg;
	char buf[4096], *nl;
	ssize_t n = read(c->fd, buf, sizeof(buf));

	(void)revents;
	(void)e;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n < 0)
		say("Error reading control fd %d: %s. The control channel is closed; no further updates will be applied.\n",
		    c->fd, strerror(errno));
	if (n <= 0) {
		/* the writer is gone; the command goes on under what was applied last */
		if (c->line.len)
			take_line(c, c->line.data, c->line.len);
		c->line.len = 0;
		c->front->source->events = 0;
		cleanup_close(&c->fd);
		return -EAGAIN;
	}
	buf_add(&c->line, buf, (size_t)n);
	while (!c->line.failed && c->line.len && (nl = memchr(c->line.data, '\n', c->line.len))) {
		size_t len = (size_t)(nl - c->line.data);

		*nl = '\0';
		take_line(c, c->line.data, len);
		c->line.len -= len + 1;
		memmove(c->line.data, nl + 1, c->line.len + 1);
	}
	if (c->line.failed) {
		say("Invalid config on control fd %d: a line is too long\n", c->fd);
		buf_done(&c->line);
		c->line = (struct buf)BUF_INIT(LIMIT_POLICY_FILE + 1);
	}
	return -EAGAIN;
}
