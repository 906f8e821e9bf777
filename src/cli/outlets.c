/* SPDX-License-Identifier: Apache-2.0 */
#include "outlets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_WRITE 256 /* what a terminal that poll(2) calls writable takes without waiting */
#define SPLICE_MOST (1u << 20)

/* Return: whether a pipe has to stand for @fd. */
static bool is_carried(int fd, struct stat *st, struct outlet *o)
{
	if (fstat(fd, st) < 0)
		return false;
	if (S_ISFIFO(st->st_mode))
		o->kind = OUTLET_PIPE;
	else if (S_ISREG(st->st_mode))
		o->kind = OUTLET_FILE;
	else if (fd_is_terminal(fd))
		o->kind = OUTLET_TERMINAL;
	else
		return false;
	return true;
}

int outlets_begin(struct outlets *o, struct err *e)
{
	struct stat st[2];
	int fd, p[2];

	for (fd = 1; fd <= 2; fd++) {
		struct outlet *one = &o->of[o->n];

		o->give[fd - 1] = fd;
		*one = (struct outlet){ .all = o, .in = -1, .out = fd };
		if (!is_carried(fd, &st[fd - 1], one))
			continue;
		/* "2>&1": what is written to both stays in its order */
		if (fd == 2 && o->n && st[0].st_dev == st[1].st_dev &&
		    st[0].st_ino == st[1].st_ino) {
			o->give[1] = o->give[0];
			continue;
		}
		one->data = one->kind == OUTLET_PIPE ? NULL : malloc(LIMIT_TTY_OUT);
		if ((one->kind != OUTLET_PIPE && !one->data) || pipe2(p, O_CLOEXEC) < 0) {
			free(one->data);
			return err_sys(e, -errno, "pipe");
		}
		one->in = p[0];
		o->give[fd - 1] = p[1];
		o->n++;
	}
	return 0;
}

static void update(struct outlet *o)
{
	const bool waits = o->kind == OUTLET_PIPE ? o->to_out->events : o->to > o->from;

	o->from_in->fd = o->in;
	o->from_in->events = waits || (o->all->ended && !o->left) ? 0 : POLLIN;
	if (o->kind != OUTLET_PIPE)
		o->to_out->events = o->to > o->from ? POLLOUT : 0;
}

static void took(struct outlet *o, size_t n)
{
	o->left -= n < o->left ? n : o->left;
}

static void close_in(struct outlet *o)
{
	cleanup_close(&o->in);
	o->in = -1;
	o->from = o->to = 0;
	o->to_out->events = 0;
}

/* The command is told by SIGPIPE, as if it had written there itself. */
static void lose(struct outlet *o)
{
	close_in(o);
	o->all->broken(o->all->arg, (size_t)(o - o->all->of));
}

static void carry(struct outlet *o)
{
	/* after the end no more than was there then: what others write then is not ours */
	const size_t most = o->all->ended && o->left < SPLICE_MOST ? o->left : SPLICE_MOST;
	ssize_t n = splice(o->in, NULL, o->out, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n > 0)
		took(o, (size_t)n);
	else if (n == 0)
		close_in(o);
	else if (errno == EAGAIN)
		o->to_out->events = POLLOUT; /* there is something to read, so that is full */
	else if (errno != EINTR)
		lose(o);
}

static int on_in(void *arg, short revents, struct err *e)
{
	struct outlet *o = arg;
	ssize_t n;

	(void)revents;
	(void)e;
	if (o->kind == OUTLET_PIPE) {
		carry(o);
		update(o);
		return -EAGAIN;
	}
	n = read(o->in, o->data,
		 o->all->ended && o->left < LIMIT_TTY_OUT ? o->left : LIMIT_TTY_OUT);
	if (n > 0) {
		took(o, (size_t)n);
		o->from = 0;
		o->to = (size_t)n;
	} else if (n == 0 || errno != EINTR) {
		close_in(o);
	}
	update(o);
	return -EAGAIN;
}

static int on_out(void *arg, short revents, struct err *e)
{
	struct outlet *o = arg;
	size_t len = o->to - o->from;
	ssize_t n;

	(void)e;
	if (o->kind == OUTLET_PIPE) {
		o->to_out->events = 0;
		if (revents & POLLERR)
			lose(o);
		update(o);
		return -EAGAIN;
	}
	if (o->kind == OUTLET_TERMINAL && len > SMALL_WRITE)
		len = SMALL_WRITE;
	n = write(o->out, o->data + o->from, len);
	if (n > 0)
		o->from += (size_t)n;
	else if (n < 0 && errno != EINTR && errno != EAGAIN)
		lose(o);
	update(o);
	return -EAGAIN;
}

static void close_given(struct outlets *o)
{
	int fd;

	for (fd = 1; fd <= 2; fd++) {
		if (o->give[fd - 1] > 2 && (fd == 1 || o->give[1] != o->give[0]))
			(void)close(o->give[fd - 1]);
	}
	o->give[0] = o->give[1] = -1;
}

static int copy(struct outlets *o, struct loop *loop, struct err *e)
{
	size_t i;

	for (i = 0; i < o->n; i++) {
		struct outlet *one = &o->of[i];

		one->from_in = loop_add(loop, one->in, POLLIN, on_in, one);
		one->to_out = loop_add(loop, one->out, 0, on_out, one);
		if (!one->from_in || !one->to_out)
			return err_set(e, ERR_SYSTEM, -ENOSPC, "too many descriptors to wait for");
	}
	return 0;
}

int outlets_given(struct outlets *o, struct loop *loop, struct err *e)
{
	close_given(o);
	return copy(o, loop, e);
}

int outlets_carry(struct outlets *o, int in, int errors, struct loop *loop, struct err *e)
{
	struct stat st;
	size_t i;

	o->n = 2;
	for (i = 0; i < 2; i++) {
		struct outlet *one = &o->of[i];

		*one = (struct outlet){ .all = o, .in = i ? errors : in, .out = (int)i + 1 };
		if (!is_carried(one->out, &st, one))
			one->kind = OUTLET_FILE; /* a socket or a device */
		one->data = one->kind == OUTLET_PIPE ? NULL : malloc(LIMIT_TTY_OUT);
		if (one->kind != OUTLET_PIPE && !one->data)
			o->n = 0;
	}
	if (o->n)
		return copy(o, loop, e);
	for (i = 0; i < 2; i++) {
		cleanup_close(&o->of[i].in);
		free(o->of[i].data);
	}
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

void outlets_end(struct outlets *o)
{
	size_t i;
	int n;

	o->ended = true;
	for (i = 0; i < o->n; i++) {
		struct outlet *one = &o->of[i];

		if (one->in >= 0 && ioctl(one->in, FIONREAD, &n) == 0 && n > 0)
			one->left = (size_t)n;
		update(one);
	}
}

bool outlets_empty(const struct outlets *o)
{
	size_t i;

	for (i = 0; i < o->n; i++) {
		const struct outlet *one = &o->of[i];

		if (one->to > one->from || (one->in >= 0 && one->left))
			return false;
	}
	return true;
}

void outlets_done(struct outlets *o)
{
	size_t i;

	close_given(o);
	for (i = 0; i < o->n; i++) {
		cleanup_close(&o->of[i].in);
		free(o->of[i].data);
	}
}
