/* SPDX-License-Identifier: Apache-2.0 */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "sandbox.h"

#define LINE_MAX_BYTES (1u << 20)
#define SAID_MAX 65536u /* bytes of what it says; a pipe holds no more */

/* For a signal that comes while we may wait anywhere. */
static struct {
	int sock;
	size_t len;
	char text[256];
} quiet = { .sock = -1 };

static void on_quiet(int sig)
{
	(void)sig;
	if (quiet.sock >= 0 && client_unread(quiet.sock))
		(void)!write(2, quiet.text, quiet.len); /* nobody is left to tell */
}

/* Who waits for long for the supervisor at @sock knows why, once. */
static void expect_answer(int sock, const char *box)
{
	const struct sigaction a = { .sa_handler = on_quiet, .sa_flags = SA_RESTART };
	int n = snprintf(quiet.text, sizeof(quiet.text), CLIENT_QUIET, box, box);

	if (n <= 0 || n >= (int)sizeof(quiet.text) || sigaction(SIGALRM, &a, NULL) < 0)
		return;
	quiet.len = (size_t)n;
	quiet.sock = sock;
	(void)alarm(CLIENT_QUIET_MS / 1000);
}

int inside_begin(struct inside *w, char *const *argv, const char *user, enum inside_way way,
		 int *ret_held, const char *box, struct err *e)
{
	static char *none[] = { NULL };
	const struct init_command cmd = { .argv = argv, .envp = none, .user = user };
	const struct wire_msg m = { .type = WIRE_COPY, .session = WIRE_COMMAND };
	const bool reads = way == INSIDE_READS;
	_cleanup_close_ int packed = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int data[2] = { -1, -1 }, said[2] = { -1, -1 }, held[2] = { -1, -1 }, fds[4], r;

	if (null < 0 || pipe2(data, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0 ||
	    (ret_held && pipe2(held, O_CLOEXEC) < 0)) {
		r = err_sys(e, -errno, "pipe");
	} else {
		packed = init_pack(&cmd, e);
		fds[0] = packed;
		fds[1] = reads ? data[0] : ret_held ? held[0] : null;
		fds[2] = reads ? null : data[1];
		fds[3] = said[1];
		r = packed < 0 ? packed : wire_send(w->sock, &m, fds, 4, true);
		if (packed >= 0 && r < 0)
			(void)err_sys(e, r, "sandbox '%s'", box);
		if (r == 0)
			expect_answer(w->sock, box);
	}
	w->data = data[reads ? 1 : 0];
	w->said = said[0];
	if (ret_held)
		*ret_held = held[1];
	cleanup_close(&data[reads ? 0 : 1]);
	cleanup_close(&said[1]);
	cleanup_close(&held[0]);
	return r;
}

/* How it ended. Return: its exit status, or negative errno with @e. */
static int wait_ended(struct inside *w, struct err *e)
{
	struct pollfd p = { .fd = w->sock, .events = POLLIN };
	struct wire_msg m;
	int fds[WIRE_FDS], r;
	size_t i;

	for (;;) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return err_sys(e, -errno, "poll");
		r = wire_recv(w->sock, WIRE_FROM_INIT, &m, fds);
		if (r == -EAGAIN)
			continue;
		if (r <= 0)
			return named_gone(r, e);
		for (i = 0; i < WIRE_FDS; i++)
			cleanup_close(&fds[i]);
		if (m.type == WIRE_FAILED) {
			*e = m.failed;
			w->busy = e->sys == EBUSY;
			return e->sys ? -e->sys : -EIO;
		}
		if (m.type == WIRE_ENDED)
			return WIFEXITED(m.ended.status) ? WEXITSTATUS(m.ended.status) : 128;
	}
}

/* Its lines: notices, and the one that says what failed. @out: that, or "" */
static void hear(const struct inside *w, char *out, size_t size)
{
	struct buf b = BUF_INIT(SAID_MAX), line = BUF_INIT(4096);
	char *p, *nl;

	*out = '\0';
	(void)fd_read_all(w->said, &b); /* what does not fit is of nobody we know */
	for (p = b.data; p && *p; p = nl + 1) {
		nl = strchr(p, '\n');
		if (!nl)
			break;
		*nl = '\0';
		line.len = 0;
		if (strncmp(p, INIT_COPY_NOTICE, strlen(INIT_COPY_NOTICE)) == 0) {
			buf_puts(&line, "bailey: ");
			buf_quote(&line, p);
			buf_puts(&line, "\n");
			if (!line.failed)
				(void)fd_write_all(2, line.data, line.len); /* nobody to tell */
		} else {
			(void)snprintf(out, size, "%s", p);
		}
	}
	buf_done(&b);
	buf_done(&line);
}

int inside_end(struct inside *w, char *said, size_t size, struct err *e)
{
	int r = wait_ended(w, e);

	*said = '\0';
	if (r >= 0)
		hear(w, said, size);
	return r;
}

struct lines {
	struct buf in, out;
};

/* Show the whole lines. Return: 0 or negative errno with @e. */
static int show_whole(struct lines *l,
		      void (*show)(void *arg, const struct json_node *v, struct buf *out),
		      void *arg, struct err *e)
{
	char *from = l->in.data, *nl;
	int r = 0;

	while (r == 0 && (nl = memchr(from, '\n', l->in.len - (size_t)(from - l->in.data)))) {
		struct arena a = ARENA_INIT(8ul * LINE_MAX_BYTES);
		const struct json_node *v;

		*nl = '\0';
		r = json_read("", from, (size_t)(nl - from), &a, &v, e);
		if (r == 0 && v->type == JSON_OBJECT)
			show(arg, v, &l->out);
		arena_done(&a);
		from = nl + 1;
	}
	if (r < 0)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "it says what can't be read");
	memmove(l->in.data, from, l->in.len - (size_t)(from - l->in.data));
	l->in.len -= (size_t)(from - l->in.data);
	r = l->out.failed ? -ENOMEM : fd_write_all(1, l->out.data, l->out.len);
	l->out.len = 0;
	return r < 0 ? err_sys(e, r, "stdout") : 0;
}

int inside_lines(struct inside *w,
		 void (*show)(void *arg, const struct json_node *v, struct buf *out), void *arg,
		 const char *box, struct err *e)
{
	struct lines l = { .in = BUF_INIT(LINE_MAX_BYTES), .out = BUF_INIT(LIMIT_OUTPUT) };
	struct err own = ERR_INIT;
	char part[65536], said[512];
	int ours = 0, theirs;
	ssize_t n;

	while (ours == 0 && (n = read(w->data, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ours = err_sys(&own, -errno, "sandbox '%s'", box);
			break;
		}
		buf_add(&l.in, part, (size_t)n);
		ours = l.in.failed ? err_set(&own, ERR_SYSTEM, -E2BIG,
					     "it says a line that is too long") :
				     show_whole(&l, show, arg, &own);
	}
	buf_done(&l.in);
	buf_done(&l.out);
	cleanup_close(&w->data); /* its end, if it still writes */
	w->data = -1;
	if (ours < 0)
		return err_set(e, ERR_SYSTEM, ours, "sandbox '%s': %s", box, own.msg);
	theirs = inside_end(w, said, sizeof(said), e);
	if (theirs <= 0)
		return theirs;
	return err_set(e, ERR_SYSTEM, theirs < 128 ? -theirs : -EIO, "sandbox '%s': %s", box,
		       *said ? said : "it was ended");
}

void inside_done(struct inside *w)
{
	(void)alarm(0);
	quiet.sock = -1;
	cleanup_close(&w->sock);
	cleanup_close(&w->data);
	cleanup_close(&w->said);
	*w = (struct inside)INSIDE_INIT;
}
