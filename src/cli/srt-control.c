/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --control-fd: a line is a whole configuration. What changes while a command runs is its network lists, deniedResolvedAddresses, mitmProxy, and what signs for AWS; the rest of
 * a line is checked, so that its writer learns what is wrong with it, and has no effect.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "egress.h"
#include "keys.h"
#include "srt.h"

#define READS 80 /* of a turn: more than the longest line */

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

/* A whole configuration. Return: 0 or negative errno with @e. */
static int apply(const struct srt_control *c, struct srt *s, const char *text, size_t len,
		 struct err *e)
{
	struct sandbox_pairs pairs;
	int r = srt_settings_read(&s->settings, s->source.path, text, len, s->arena, e);

	if (r == 0)
		r = srt_network(s, e);
	if (r == 0)
		r = srt_tls_update(s, c->srt, e);
	if (r == 0)
		r = srt_rules(s, e);
	if (r == 0)
		r = srt_handed(s, e);
	if (r == 0)
		r = srt_pairs(s, &c->srt->masks, &pairs, e);
	if (r == 0)
		r = egress_change(c->front->run, &s->network, e);
	if (r == 0 && c->srt->masks.n_whole > 0)
		keys_pairs(c->front->run, &pairs);
	return r;
}

static void take_line(struct srt_control *c, const char *text, size_t len)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	struct opt table[SANDBOX_OPTIONS];
	struct sandbox_options o;
	struct srt s = { .options = &o,
			 .arena = &a,
			 .cwd = c->srt->cwd,
			 .home = c->srt->home,
			 .debug = c->srt->debug,
			 .control = true };
	struct err e = ERR_INIT;
	char name[32];
	int r;

	if (strspn(text, " \t\r") == len)
		return;
	(void)snprintf(name, sizeof(name), "control fd %d", c->fd);
	s.source = (struct opt_source){ .path = name, .base = s.cwd, .layer = POLICY_COMMAND };
	sandbox_options(&o, table, ARRAY_SIZE(table));
	r = apply(c, &s, text, len, &e);
	if (r == -ENOTCONN)
		say("Config on control fd %d has no effect: %s\n", c->fd, e.msg);
	else if (r < 0)
		say("Invalid config on control fd %d: ignored, previous config still in force (%s)\n",
		    c->fd, e.msg);
	else
		srt_debug(&s, "Config updated from control fd");
	sandbox_options_done(&o);
	arena_done(&a);
}

/* Whether there is something to read now: it may be a descriptor that waits, and it is not ours alone to change that. */
static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Return: whether there may be more. */
static bool read_some(struct srt_control *c)
{
	char buf[4096], *nl;
	ssize_t n = read(c->fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
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
		return false;
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
	return true;
}

int srt_control_read(void *arg, short revents, struct err *e)
{
	struct srt_control *c = arg;
	int i = 0;

	(void)revents;
	(void)e;
	/* what has come whole counts before what the command does next; but a writer without end holds up nobody */
	while (i++ < READS && read_some(c) && readable(c->fd))
		;
	return -EAGAIN;
}
