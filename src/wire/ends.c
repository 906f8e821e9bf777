/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <termios.h>

#include "bridge-parts.h"

/*
 * A pipe has a description of our own, that need not wait: that of @fd is somebody's, who may want to.
 * Return: fd or negative errno.
 */
static int reopen(int fd, int access)
{
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return r < 0 ? -errno : r;
}

/* What @fd, the one at place @i, is to who gets it. Return: 0; -EBADMSG: nothing that could be carried; other negative errno. */
static int classify(int fd, size_t i, enum mux_way *ret, struct stat *st)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, st) < 0)
		return -errno;
	if (S_ISSOCK(st->st_mode))
		*ret = MUX_BOTH;
	else if (S_ISREG(st->st_mode) && i == 0)
		*ret = MUX_WHOLE;
	else if (S_ISCHR(st->st_mode) && isatty(fd))
		*ret = MUX_TERMINAL;
	else if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode) && !S_ISREG(st->st_mode))
		return -EBADMSG;
	else if ((flags & O_ACCMODE) == O_RDWR)
		*ret = i == 1 ? MUX_READ : MUX_WRITE; /* behind the words: 0-2 */
	else
		*ret = (flags & O_ACCMODE) == O_RDONLY ? MUX_READ : MUX_WRITE;
	return 0;
}

int ends_give(struct bridge *b, size_t i, struct mux_said *said, struct stat st[WIRE_FDS])
{
	int *fd = &b->sending.fds[i], own, r = classify(*fd, i, &said->ways[i], &st[i]);
	struct stream *s;
	bool foreign;
	size_t k;

	if (r < 0 || said->ways[i] == MUX_WHOLE)
		return r;
	for (k = 0; k < i; k++) {
		/* one for 1 and 2 stays one, so that what is written there stays in order */
		if (said->ways[k] == said->ways[i] && st[k].st_ino == st[i].st_ino &&
		    st[k].st_dev == st[i].st_dev) {
			said->channels[i] = said->channels[k];
			return 0;
		}
	}
	own = S_ISFIFO(st[i].st_mode) ?
		      reopen(*fd, said->ways[i] == MUX_READ ? O_RDONLY : O_WRONLY) :
		      -EACCES;
	/* another user has made it, and nobody else may open it */
	foreign = own == -EACCES;
	if (own == -EACCES)
		own = TAKE_FD(*fd);
	if (own < 0)
		return own;
	r = mux_open(&b->mux, said->ways[i], &said->channels[i]);
	if (r < 0) {
		shut(&own);
		return r;
	}
	s = stream_add(b, own, said->ways[i], said->channels[i], st[i].st_mode);
	if (s && s->terminal && fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0) {
		stream_drop(b, s);
		s = NULL;
	}
	if (!s) { /* the other end never hears of it */
		b->mux.channels[said->channels[i]] =
			(struct mux_channel){ .in = { .open = false } };
		return -ENOMEM;
	}
	s->session = said->msg.session;
	s->foreign = S_ISFIFO(st[i].st_mode) && foreign;
	return 0;
}

/* A terminal whose other end we are: what is written to one comes out of the other as it is. Return: 0 or negative errno. */
static int make_terminal(int *ret_give, int *ret_own)
{
	_cleanup_close_ int master = -1, slave = -1;
	struct termios t;
	int r = pty_pair(&slave, &master);

	if (r < 0)
		return r;
	if (tcgetattr(slave, &t) < 0)
		return -errno;
	cfmakeraw(&t);
	if (tcsetattr(slave, TCSANOW, &t) < 0)
		return -errno;
	*ret_give = TAKE_FD(master);
	*ret_own = TAKE_FD(slave);
	return 0;
}

/* Both ends of what stands for a channel of that kind. Return: 0 or negative errno. */
static int make_pair(enum mux_way way, int *ret_give, int *ret_own)
{
	int p[2], r = 0;

	if (way == MUX_TERMINAL) {
		r = make_terminal(ret_give, ret_own);
	} else if (way == MUX_BOTH) {
		r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p);
		*ret_give = p[0];
		*ret_own = p[1];
	} else {
		r = pipe2(p, O_CLOEXEC);
		*ret_give = p[way == MUX_WRITE];
		*ret_own = p[way == MUX_READ];
	}
	if (r < 0)
		return way == MUX_TERMINAL ? r : -errno;
	if (fcntl(*ret_own, F_SETFL, O_NONBLOCK) < 0) {
		r = -errno;
		shut(ret_give);
		shut(ret_own);
	}
	return r;
}

int ends_get(struct bridge *b, const struct mux_said *said, size_t i, int ret[WIRE_FDS])
{
	int own = -1, r;
	struct stream *s;
	struct stat st;
	size_t k;

	if (said->ways[i] == MUX_WHOLE) {
		ret[i] = TAKE_FD(b->file);
		b->file = -1;
		return ret[i] < 0 ? -EPROTO : 0;
	}
	for (k = 0; k < i; k++) {
		if (said->ways[k] == said->ways[i] && said->channels[k] == said->channels[i]) {
			ret[i] = fcntl(ret[k], F_DUPFD_CLOEXEC, 0);
			return ret[i] < 0 ? -errno : 0;
		}
	}
	r = mux_opened(&b->mux, said->ways[i], said->channels[i]);
	if (r == 0)
		r = make_pair(said->ways[i], &ret[i], &own);
	if (r < 0)
		return r;
	if (fstat(own, &st) < 0) {
		r = -errno;
		shut(&own);
		return r;
	}
	s = stream_add(b, own, said->ways[i], said->channels[i], st.st_mode);
	if (!s)
		return -ENOMEM;
	s->session = said->msg.session;
	s->ours = true;
	return 0;
}
