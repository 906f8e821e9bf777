/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The command has a terminal of the sandbox's own (init/tty.c), and the caller's terminal never comes in: what is
 * typed there is copied to the master, what comes from the master is copied there. Its line discipline does the work: Ctrl-C, echo, sizes.
 *
 * Two states, which change together (docs/adr/0008):
 *	the command is in the foreground of its terminal   ⇔ the caller's terminal is raw, and read by us
 *	it is in the background                            ⇔ the caller's terminal is as it was, and not read
 * A session's command (terminal_start_session()) knows nothing of ours and is always in front there, so we have the second state only while we are behind ourselves.
 * When all of 0-2 are terminals, it begins in the foreground. In a pipeline it begins in the background, because others may use the
 * caller's terminal, too: `bailey run -- make | less`. When it then reads or sets its terminal, the kernel stops it (SIGTTIN, SIGTTOU), and
 * supervise.c gives it the terminal and lets it go on, or stops us with it when we are in the background ourselves.
 *
 * Nothing here waits: the caller's terminal is opened anew, so that O_NONBLOCK is ours alone, and each direction has one fixed buffer; a full
 * one stops the reading of its source. Must not be used for anything but copying: bytes of the sandbox are never looked at.
 */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef TIOCGDEV
#define TIOCGDEV 0x80045432 /* musl 1.2.3 lacks it */
#endif
#define PTMX makedev(5, 2)
#define SMALL_WRITE 256 /* what a terminal that poll(2) calls writable takes without waiting */

struct stretch {
	char *data;
	size_t size, from, to;
};

struct terminal {
	int tty; /* the caller's terminal, or -1 */
	struct termios as_it_was;
	bool raw;        /* it is in our state now */
	bool unset;      /* the command's is not like it yet: somebody else had it when we began */
	bool wanted;     /* the command has asked for it, or had it from the beginning */
	bool keep_opost; /* others write to it, too, and need their line ends */
	int in, out;     /* what is copied: tty, or 0 and 1 */
	bool deaf;       /* there is nobody left to type to */
	bool may_wait;   /* `out` could not be opened anew: it is not O_NONBLOCK */
	int master;      /* or a stream to it; -1: not there yet, or gone */
	char end;        /* what ends input where only a stream leads */
	bool left;       /* the keys that leave it were typed */
	struct terminal_session session; /* resize is NULL where the master is ours */
	struct detach_keys detach;
	char last; /* what was typed last */
	struct stretch typed, written;
	struct loop_source *from_in, *from_master, *to_out;
	char typed_data[LIMIT_TTY_IN], written_data[LIMIT_TTY_OUT];
};

/* For the handler of signals that end us. */
static struct {
	volatile sig_atomic_t armed;
	int tty;
	struct termios as_it_was;
} rescue;

static bool in_foreground(int tty)
{
	pid_t pgrp = tcgetpgrp(tty);

	return pgrp < 0 ||
	       pgrp == getpgrp(); /* not our controlling terminal: nobody rules who may use it */
}

/* Only system calls: it runs in a signal handler, too. From the background it would be a mess in somebody else's terminal. */
static void restore(int tty, const struct termios *as_it_was)
{
	sigset_t ttou, before;

	if (!in_foreground(tty))
		return;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	(void)sigprocmask(SIG_BLOCK, &ttou, &before);
	(void)tcsetattr(tty, TCSANOW, as_it_was); /* nothing more can be done */
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static void on_fatal(int sig)
{
	if (rescue.armed)
		restore(rescue.tty, &rescue.as_it_was);
	(void)raise(sig); /* SA_RESETHAND: comes when the handler returns, and ends us */
}

/* Signals that would end us with the caller's terminal in our state. Those that supervise.c takes are blocked. */
static void arm_rescue(const struct terminal *t)
{
	static const int fatal[] = { SIGILL,  SIGTRAP, SIGABRT,   SIGBUS,  SIGFPE,
				     SIGSEGV, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU,
				     SIGXFSZ, SIGSYS,  SIGIO,     SIGPWR,  SIGSTKFLT };
	struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND }, old;
	size_t i;

	rescue.tty = t->tty;
	rescue.as_it_was = t->as_it_was;
	if (rescue.armed)
		return;
	for (i = 0; i < ARRAY_SIZE(fatal); i++) {
		if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaction(fatal[i], &sa, NULL); /* can't fail for these */
	}
	rescue.armed = 1;
}

/* Sizes, and who is asked for them, are those of this device; one terminal may have several names. */
static bool same_device(int a, int b)
{
	unsigned int da = 0, db = 1;

	return ioctl(a, TIOCGDEV, &da) == 0 && ioctl(b, TIOCGDEV, &db) == 0 && da == db;
}

/* @fd again, as an open file of our own that never waits. Return: a descriptor, or -1. */
static int open_anew(int fd, int mode)
{
	char path[32];
	int flags = mode | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, new;
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!isatty(fd)) /* a regular file would be read and written from its beginning */
		return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? open(path, flags) : -1;
	new = open(path, flags);
	/* to open a multiplexer makes another terminal; after su(1) only the name /dev/tty can be opened */
	if (new >= 0 && same_device(fd, new))
		return new;
	cleanup_close(&new);
	new = open("/dev/tty", flags);
	if (new >= 0 && same_device(fd, new))
		return new;
	cleanup_close(&new);
	return -1;
}

static int open_tty(struct terminal *t, unsigned int ttys, struct err *e)
{
	int first = ttys & 1 ? 0 : ttys & 2 ? 1 : 2, fd;

	for (fd = first + 1; fd <= 2; fd++) {
		if ((ttys & (1u << fd)) && !same_device(first, fd))
			return err_set(
				e, ERR_USAGE, -EXDEV,
				"fd %d and fd %d are two terminals, the command can have one: use a pipe for the other (… 2>&1 | cat >TTY)",
				first, fd);
	}
	t->tty = open_anew(first, O_RDWR);
	if (t->tty < 0) {
		t->tty = fcntl(first, F_DUPFD_CLOEXEC, 3);
		t->may_wait = true;
	}
	return t->tty < 0 ? err_sys(e, -errno, "the terminal on fd %d", first) : 0;
}

/* What stands on 0 or 1 is copied even though it is no terminal. */
static int open_other(struct terminal *t, int fd, struct err *e)
{
	int new = open_anew(fd, fd == 0 ? O_RDONLY : O_WRONLY);

	if (new < 0) {
		new = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		t->may_wait = t->may_wait || fd == 1;
	}
	return new < 0 ? err_sys(e, -errno, "fd %d", fd) : new;
}

/* As the kernel makes terminals; for a command that gets one though the caller has none, or not now. */
void terminal_default(struct init_tty *tty)
{
	static const cc_t cc[] = { 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0 };

	tty->termios.c_iflag = ICRNL | IXON;
	tty->termios.c_oflag = OPOST | ONLCR;
	tty->termios.c_cflag = B38400 | CS8 | CREAD | HUPCL;
	tty->termios.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	memcpy(tty->termios.c_cc, cc, sizeof(cc));
	tty->size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	tty->fds = 7;
	tty->foreground = true;
}

int terminal_find(bool force, struct terminal **ret, struct init_tty *ret_tty, struct err *e)
{
	struct init_tty tty = { .fds = 0 };
	struct terminal *t;
	unsigned int ttys = 0;
	int fd, r = 0;

	for (fd = 0; fd <= 2; fd++) {
		if (fd_is_terminal(fd))
			ttys |= 1u << fd;
	}
	*ret = NULL;
	if (!ttys && !force)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	t->tty = t->in = t->out = t->master = -1;
	t->typed = (struct stretch){ .data = t->typed_data, .size = sizeof(t->typed_data) };
	t->written = (struct stretch){ .data = t->written_data, .size = sizeof(t->written_data) };
	t->keep_opost = !(ttys & 2);
	if (ttys)
		r = open_tty(t, ttys, e);
	t->in = t->out = t->tty;
	if (r == 0 && force && !(ttys & 1))
		r = t->in = open_other(t, 0, e);
	if (r >= 0 && force && !(ttys & 2))
		r = t->out = open_other(t, 1, e);
	terminal_default(&tty);
	t->unset = ttys && r >= 0 && !in_foreground(t->tty);
	if (ttys && r >= 0 &&
	    (ioctl(t->tty, TIOCGWINSZ, &tty.size) < 0 ||
	     (!t->unset && tcgetattr(t->tty, &tty.termios) < 0)))
		r = err_sys(e, -errno, "the terminal");
	if (r < 0) {
		terminal_finish(t);
		return r;
	}
	t->end = (char)tty.termios.c_cc[VEOF];
	tty.fds = force ? 7 : ttys;
	/* with another input the caller's terminal is left to itself */
	tty.foreground = t->wanted = t->in != t->tty || (ttys == 7 && in_foreground(t->tty));
	*ret_tty = tty;
	*ret = t;
	return 0;
}

static size_t room(const struct stretch *s)
{
	return s->size - (s->to - s->from);
}

static void compact(struct stretch *s)
{
	if (s->from == 0)
		return;
	memmove(s->data, s->data + s->from, s->to - s->from);
	s->to -= s->from;
	s->from = 0;
}

/* Return: bytes; 0 at the end; -EAGAIN; negative errno. */
static ssize_t fill(struct stretch *s, int fd)
{
	ssize_t n;

	compact(s);
	do {
		n = read(fd, s->data + s->to, s->size - s->to);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	s->to += (size_t)n;
	return n;
}

static int empty(struct stretch *s, int fd, size_t most)
{
	size_t len = s->to - s->from;
	ssize_t n;

	do {
		n = write(fd, s->data + s->from, len > most ? most : len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	s->from += (size_t)n;
	if (s->from == s->to)
		s->from = s->to = 0;
	return 0;
}

/* What is wanted of each descriptor now. */
static void update(struct terminal *t)
{
	short master = 0;

	if (!t->from_master)
		return;
	t->from_master->fd = t->master;
	if (t->master >= 0 && room(&t->written))
		master |= POLLIN;
	if (t->master >= 0 && t->typed.to > t->typed.from)
		master |= POLLOUT;
	t->from_master->events = master;
	t->from_in->fd = t->in;
	t->from_in->events = 0;
	if (t->master >= 0 && !t->deaf && (t->raw || t->in != t->tty) &&
	    room(&t->typed) > DETACH_KEYS_MAX + 2)
		t->from_in->events = POLLIN;
	t->to_out->fd = t->out;
	t->to_out->events = t->written.to > t->written.from ? POLLOUT : 0;
}

void terminal_hang_up(struct terminal *t)
{
	cleanup_close(&t->master);
	t->master = -1;
	update(t);
}

/* Nobody reads what the command writes. */
static void lose_out(struct terminal *t)
{
	t->written.from = t->written.to = 0;
	if (t->out != t->tty)
		cleanup_close(&t->out);
	t->out = -1;
	terminal_hang_up(t);
}

static void write_out(struct terminal *t, bool writable)
{
	int r;

	if (t->out < 0 || t->written.from == t->written.to || (t->may_wait && !writable))
		return;
	r = empty(&t->written, t->out, t->may_wait ? SMALL_WRITE : sizeof(t->written_data));
	if (r < 0 && r != -EAGAIN)
		lose_out(t);
}

/* Return: whether there may be more to read. */
static bool read_master(struct terminal *t)
{
	ssize_t n;

	if (t->master < 0 || !room(&t->written))
		return false;
	n = fill(&t->written, t->master);
	if (t->out < 0)
		t->written.from = t->written.to = 0;
	if (n > 0)
		return true;
	if (n != -EAGAIN)
		terminal_hang_up(t); /* EIO: the last program that had it open is gone */
	return false;
}

static int on_master(void *arg, short revents, struct err *e)
{
	struct terminal *t = arg;
	int r = revents & POLLOUT ? empty(&t->typed, t->master, sizeof(t->typed_data)) : 0;

	(void)e;
	if (r < 0 && r != -EAGAIN)
		terminal_hang_up(t);
	if (revents & (POLLIN | POLLHUP | POLLERR)) {
		(void)read_master(t);
		write_out(t, false);
	}
	update(t);
	return -EAGAIN;
}

static int on_out(void *arg, short revents, struct err *e)
{
	struct terminal *t = arg;

	(void)e;
	write_out(t, revents & POLLOUT);
	if (revents & (POLLERR | POLLHUP))
		lose_out(t);
	update(t);
	return -EAGAIN;
}

/* A terminal has no end; a program that reads one takes this character for it. Twice when a line has begun: the first ends that. */
static void type_end(struct terminal *t)
{
	struct termios now;
	char end;

	if (t->session.attached)
		return;
	if (t->session.resize)
		end = t->end;
	else if (tcgetattr(t->master, &now) == 0)
		end = (char)now.c_cc[VEOF];
	else
		return;
	if (t->last && t->last != '\n')
		t->typed.data[t->typed.to++] = end;
	t->typed.data[t->typed.to++] = end;
}

/* What was read from the caller, on its way. */
static void typed(struct terminal *t, const char *data, size_t n)
{
	size_t len;

	/* who may not type leaves by Ctrl-C as well: it is raw, so nothing else would come of that */
	t->left = detach_keys_filter(&t->detach, data, n, t->typed.data + t->typed.to, &len) ||
		  (t->session.read_only && memchr(data, 3, n));
	if (!t->session.read_only)
		t->typed.to += len;
	t->last = data[n - 1];
}

static int on_in(void *arg, short revents, struct err *e)
{
	struct terminal *t = arg;
	char data[LIMIT_TTY_IN];
	ssize_t n;

	(void)revents;
	(void)e;
	compact(&t->typed);
	do {
		n = read(t->in, data, room(&t->typed) - DETACH_KEYS_MAX);
	} while (n < 0 && errno == EINTR);
	n = n < 0 ? -errno : n;
	if (n > 0) {
		typed(t, data, (size_t)n);
	} else if (n != -EAGAIN && t->in == t->tty) {
		terminal_hang_up(t); /* EIO: it was closed */
	} else if (n != -EAGAIN) {
		type_end(t);
		cleanup_close(&t->in);
		t->in = -1;
	}
	update(t);
	return -EAGAIN;
}

static void go_raw(struct terminal *t)
{
	struct termios raw;

	if (t->in != t->tty || t->master < 0 || !in_foreground(t->tty))
		return;
	if (!t->raw && tcgetattr(t->tty, &t->as_it_was) < 0)
		return; /* it was closed: reading will say so */
	if (t->unset && !t->session.resize)
		(void)tcsetattr(t->master, TCSANOW, &t->as_it_was); /* of the other end */
	t->unset = false;
	raw = t->as_it_was;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL |
				   IXON | IXOFF | IXANY | IUCLC);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	if (!t->keep_opost)
		raw.c_oflag &= ~(tcflag_t)OPOST;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	arm_rescue(t);
	/* the background is stopped here, as it should be */
	if (tcsetattr(t->tty, TCSANOW, &raw) == 0)
		t->raw = true;
}

/* Where the bytes of @master go, and come from. */
static int begin(struct terminal *t, struct loop *loop, struct err *e)
{
	t->from_master = loop_add(loop, t->master, 0, on_master, t);
	t->from_in = loop_add(loop, t->in, 0, on_in, t);
	t->to_out = loop_add(loop, t->out, 0, on_out, t);
	if (!t->from_master || !t->from_in || !t->to_out)
		return err_set(e, ERR_SYSTEM, -ENOSPC, "too many descriptors to wait for");
	(void)signal(SIGPIPE, SIG_IGN); /* PID 1 has been cloned already */
	terminal_resize(t);
	if (t->wanted)
		go_raw(t);
	update(t);
	return 0;
}

int terminal_start(struct terminal *t, struct loop *loop, int master, struct err *e)
{
	unsigned int number;
	struct stat st;
	int flags;

	t->master = master;
	flags = fcntl(master, F_GETFL);
	if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != PTMX || flags < 0 ||
	    (flags & O_ACCMODE) != O_RDWR || ioctl(master, TIOCGPTN, &number) < 0 ||
	    fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_set(e, ERR_SYSTEM, -EBADMSG,
			       "the sandbox handed over something that is no terminal");
	return begin(t, loop, e);
}

int terminal_start_session(struct terminal *t, struct loop *loop, int stream,
			   const struct terminal_session *s, struct err *e)
{
	int flags = fcntl(stream, F_GETFL);

	t->master = stream;
	t->session = *s;
	/* its command is in front in a terminal of its own, and never stopped for ours */
	t->wanted = true;
	if (flags < 0 || fcntl(stream, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, -errno, "the session's stream");
	return begin(t, loop, e);
}

void terminal_detach_by(struct terminal *t, const struct detach_keys *keys)
{
	t->detach = *keys;
}

bool terminal_left(const struct terminal *t)
{
	return t->left;
}

void terminal_resize(struct terminal *t)
{
	struct winsize size;

	/* the kernel sends SIGWINCH inside when it is another one */
	if (t->tty < 0 || t->master < 0 || ioctl(t->tty, TIOCGWINSZ, &size) < 0)
		return;
	if (t->session.resize)
		t->session.resize(t->session.arg, &size);
	else
		(void)ioctl(t->master, TIOCSWINSZ, &size); /* hung up: nobody looks */
}

bool terminal_in_foreground(const struct terminal *t)
{
	return t->tty < 0 || in_foreground(t->tty);
}

void terminal_give(struct terminal *t)
{
	t->wanted = true;
	if (!t->raw)
		go_raw(t);
	update(t);
}

/* What can be copied without waiting. */
static void copy_out(struct terminal *t)
{
	size_t before;

	do {
		(void)read_master(t);
		before = t->written.to - t->written.from;
		write_out(t, false);
	} while (before > 0 && t->written.to - t->written.from < before);
}

void terminal_take(struct terminal *t)
{
	copy_out(t);
	if (t->raw)
		restore(t->tty, &t->as_it_was);
	t->raw = false;
	rescue.armed = 0;
	update(t);
}

bool terminal_again(struct terminal *t)
{
	if (t->wanted && terminal_in_foreground(t))
		go_raw(t);
	else
		t->raw = false; /* whoever is in the foreground has set it as they need it */
	terminal_resize(t);
	update(t);
	return t->in != t->tty || t->raw;
}

bool terminal_drained(struct terminal *t)
{
	bool more = true;

	t->deaf = true;
	while (more && room(&t->written)) {
		more = read_master(t);
		write_out(t, false);
	}
	update(t);
	return !more && t->written.from == t->written.to;
}

void terminal_finish(struct terminal *t)
{
	if (!t)
		return;
	terminal_take(t);
	cleanup_close(&t->master);
	if (t->in != t->tty)
		cleanup_close(&t->in);
	if (t->out != t->tty)
		cleanup_close(&t->out);
	cleanup_close(&t->tty);
	free(t);
}
