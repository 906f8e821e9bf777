/* SPDX-License-Identifier: Apache-2.0 */
#include "sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PTMX makedev(5, 2)
#define KILL_AFTER_MS 10000 /* between SIGTERM and SIGKILL for who has been alone for too long */

int sessions_begin(struct sessions *s)
{
	size_t i;

	s->next = 1;
	s->budget = (struct ring_budget){ .max = LIMIT_SCROLLBACKS };
	for (i = 0; i < LIMIT_DRAINS; i++)
		s->drains[i] = (struct watched){ .kind = WATCHED_DRAIN, .fd = -1 };
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	return s->epoll < 0 ? -errno : 0;
}

uint32_t sessions_wire(const struct session *one)
{
	return one->number +
	       WIRE_COMMAND; /* what is said of WIRE_COMMAND itself is PID 1's own end */
}

struct session *sessions_by_wire(const struct sessions *s, uint32_t id)
{
	struct session *one;

	for (one = s->first; one && sessions_wire(one) != id; one = one->next)
		;
	return one;
}

/* Whether @a is meant before @b where none is named. */
static bool is_better(const struct session *a, const struct session *b, bool terminal)
{
	if (!b)
		return true;
	if (a->terminal != b->terminal)
		return a->terminal == terminal;
	return terminal && b->ended && !a->ended;
}

struct session *sessions_find(const struct sessions *s, const char *word, bool terminal)
{
	struct session *one, *best = NULL;
	char number[16];

	for (one = s->first; one && *word; one = one->next) {
		if (strcmp(one->name, word) == 0)
			return one;
	}
	for (one = s->first; one; one = one->next) {
		(void)snprintf(number, sizeof(number), "%u", one->number);
		if (*word ? strcmp(number, word) == 0 :
			    one->held && (one->terminal || !terminal) &&
				    is_better(one, best, terminal))
			best = one;
	}
	return best;
}

unsigned int sessions_read_ends(const struct session *one)
{
	return (one->output.fd >= 0) + (one->errors.fd >= 0);
}

uint64_t sessions_oldest(const struct session *one, bool line)
{
	const uint64_t oldest = line ? ring_oldest_line(&one->ring) : ring_oldest(&one->ring);

	return oldest > one->turns.known ? oldest : one->turns.known;
}

static bool may_forget(const struct session *one)
{
	return one->ended && one->over && !sessions_read_ends(one) && !one->clients &&
	       !one->service;
}

/* The oldest of those that may be forgotten. */
static struct session *oldest(const struct sessions *s)
{
	struct session *one, *found = NULL;

	for (one = s->first; one; one = one->next) {
		if (may_forget(one))
			found = one;
	}
	return found;
}

/* So many that have ended, and so much of what they have written, is remembered. */
static void forget(struct sessions *s)
{
	const struct session *one;
	struct session *old;
	size_t n = 0;

	for (one = s->first; one; one = one->next)
		n += one->ended;
	while (n > LIMIT_ENDED || s->budget.used + LIMIT_SCROLLBACK > s->budget.max) {
		old = oldest(s);
		if (!old)
			return;
		sessions_drop(s, old);
		n--;
	}
}

/* Whole words, as many as fit. Return: JSON, to be freed, or NULL. */
static char *list_words(char *const *argv)
{
	struct buf b = BUF_INIT((size_t)8 * LIMIT_LISTED_WORDS);
	struct json j = { .out = &b };
	size_t left = LIMIT_LISTED_WORDS, len;

	json_open(&j, NULL, '[');
	for (; *argv; argv++) {
		len = strlen(*argv) + 1;
		if (len > left)
			break;
		left -= len;
		json_str(&j, NULL, *argv);
	}
	if (*argv)
		json_str(&j, NULL, "…");
	json_close(&j, ']');
	if (b.failed)
		buf_done(&b);
	return b.data;
}

static int check_new(const struct sessions *s, const char *name, bool held, struct err *e)
{
	const struct session *one;
	size_t running = 0, writing = 0;

	for (one = s->first; one; one = one->next) {
		if (*name && (!one->ended || one->service) && strcmp(one->name, name) == 0)
			return err_set(
				e, ERR_SYSTEM, -EEXIST,
				one->service ?
					"--name: there is a service '%s', whose session has that name" :
					"--name: there is a session '%s', and it runs",
				name);
		running += !one->ended;
		writing += one->held && (!one->ended || sessions_read_ends(one));
	}
	if (running >= LIMIT_SERVED)
		return err_set(e, ERR_SYSTEM, -EAGAIN,
			       "%d commands run in this sandbox, and no more can", LIMIT_SERVED);
	if (held && writing >= LIMIT_HELD)
		return err_set(
			e, ERR_SYSTEM, -EAGAIN,
			"the output of %d sessions of this sandbox is kept, and no more can be",
			LIMIT_HELD);
	return 0;
}

int sessions_open(struct sessions *s, const struct wire_msg *m, const struct init_command *cmd,
		  struct session **ret, struct err *e)
{
	const bool held = m->open.flags & WIRE_OPEN_HELD;
	struct session *one, *same;
	struct timespec ts;
	int r = check_new(s, m->open.name, held, e);

	if (r < 0)
		return r;
	forget(s);
	one = calloc(1, sizeof(*one));
	if (one)
		one->words = list_words(cmd->argv);
	if (!one || !one->words ||
	    (m->open.flags & WIRE_OPEN_SPLIT && turns_begin(&one->turns) < 0)) {
		if (one)
			free(one->words);
		free(one);
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	/* a name is that of the last who had it */
	for (same = s->first; same && *m->open.name; same = same->next) {
		if (strcmp(same->name, m->open.name) == 0)
			same->name[0] = '\0';
	}
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	one->output = (struct watched){ .kind = WATCHED_OUTPUT, .fd = -1 };
	one->errors = (struct watched){ .kind = WATCHED_ERRORS, .fd = -1 };
	one->input = (struct watched){ .kind = WATCHED_INPUT, .fd = -1 };
	one->split = m->open.flags & WIRE_OPEN_SPLIT;
	one->takes_input = m->open.flags & WIRE_OPEN_INPUT;
	one->number = s->next++;
	if (s->next >= UINT32_MAX - 1) /* after four thousand million commands */
		s->next = 1;
	one->created = one->last = ts.tv_sec * 1000000000LL + ts.tv_nsec;
	one->held = held;
	one->terminal = cmd->tty.fds != 0;
	one->alone_ms = (long)m->open.alone_ms;
	memcpy(one->name, m->open.name, sizeof(one->name));
	ring_init(&one->ring, LIMIT_SCROLLBACK, &s->budget);
	one->next = s->first;
	s->first = one;
	*ret = one;
	return 0;
}

void sessions_again(struct sessions *s, struct session *one)
{
	struct timespec ts;

	/* what the last one has left running must neither wait nor be told that nobody reads */
	watch_for(s, &one->output, 0);
	if (one->output.fd >= 0)
		sessions_drain(s, TAKE_FD(one->output.fd));
	one->output.fd = -1;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	one->created = ts.tv_sec * 1000000000LL + ts.tv_nsec;
	one->ended = one->over = false;
	one->pid = 0;
	one->left[0] = 0;
}

/* A pipe that @w is to be read from. @ret: its other end */
static int open_pipe(struct watched *w, int *ret)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	w->fd = p[0];
	*ret = p[1];
	return fcntl(p[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* What the command reads. */
static int open_input(struct session *one, int *ret)
{
	int p[2];

	if (!one->takes_input) {
		*ret = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return *ret < 0 ? -errno : 0;
	}
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	one->input.fd = p[1];
	*ret = p[0];
	return fcntl(p[1], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int sessions_streams(struct session *one, const int *fds, int give[4], size_t *n, int own[3])
{
	int r;

	give[0] = fds[0];
	*n = 1;
	if (one->terminal)
		return 0;
	*n = 4;
	if (!one->held) {
		memcpy(give + 1, fds + 1, 3 * sizeof(*give));
		return 0;
	}
	r = open_input(one, own);
	if (r == 0)
		r = open_pipe(&one->output, own + 1);
	if (r == 0 && one->split)
		r = open_pipe(&one->errors, own + 2);
	give[1] = own[0];
	give[2] = own[1];
	give[3] = one->split ? own[2] : own[1];
	return r;
}

int sessions_started(struct sessions *s, struct session *one, uint32_t pid, int master)
{
	unsigned int number;
	struct stat st;
	int flags = master < 0 ? 0 : fcntl(master, F_GETFL);

	one->pid = pid;
	if (!one->terminal) {
		cleanup_close(&master);
		views_settle(s, one);
		return 0;
	}
	if (master < 0 || fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != PTMX ||
	    flags < 0 || (flags & O_ACCMODE) != O_RDWR || ioctl(master, TIOCGPTN, &number) < 0 ||
	    fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0) {
		cleanup_close(&master);
		return -EBADMSG;
	}
	one->output.fd = master;
	views_settle(s, one);
	return 0;
}

/* What is in the pipe @fd; -1: there is none. */
static size_t unread(int fd)
{
	int n = 0;

	return fd >= 0 && ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

void sessions_ended(struct sessions *s, struct session *one, int status)
{
	if (one->ended)
		return;
	one->ended = true;
	one->status = status;
	one->alone_ms = 0;
	watch_close(s, &one->input);
	one->choked = false;
	/* of a pipe: what is in it now; a terminal has been hung up by the kernel, and this is more than it holds */
	one->left[0] = one->terminal ? LIMIT_SCROLLBACK : unread(one->output.fd);
	one->left[1] = unread(one->errors.fd);
	views_drain(s, one);
}

void sessions_drop(struct sessions *s, struct session *one)
{
	struct session **p;
	struct view *v, *next;

	for (v = s->views; v; v = next) {
		next = v->next;
		if (v->session == one)
			s->done(v->client, NULL, false);
	}
	for (p = &s->first; *p && *p != one; p = &(*p)->next)
		;
	if (*p)
		*p = one->next;
	watch_close(s, &one->output);
	watch_close(s, &one->errors);
	watch_close(s, &one->input);
	ring_done(&one->ring);
	turns_done(&one->turns);
	free(one->words);
	free(one);
}

void sessions_enter(struct session *one)
{
	one->clients++;
	one->alone_at = one->kill_at = 0;
}

void sessions_leave(struct session *one)
{
	if (--one->clients == 0)
		one->alone_at = clock_ms();
}

static void list_one(const struct session *one, struct json *j)
{
	json_open(j, NULL, '{');
	json_int(j, "session", one->number);
	json_str(j, "name", *one->name ? one->name : NULL);
	json_raw(j, "command", one->words);
	json_str(j, "state", one->ended ? "ended" : "running");
	if (one->ended)
		json_int(j, "status",
			 WIFSIGNALED(one->status) ? 128 + WTERMSIG(one->status) :
						    WEXITSTATUS(one->status));
	json_bool(j, "tty", one->terminal);
	json_bool(j, "kept", one->held);
	json_bool(j, "input", one->terminal ? !one->ended : one->input.fd >= 0);
	json_bool(j, "split", one->split);
	json_int(j, "clients", one->clients);
	json_int(j, "pid", one->pid);
	json_int(j, "created", one->created);
	json_int(j, "last_output", one->last);
	json_int(j, "written", (long long)one->ring.total);
	json_int(j, "scrollback", (long long)(one->ring.total - sessions_oldest(one, false)));
	json_close(j, '}');
}

/* The list is kept the other way round. */
static void list_from(const struct session *one, struct json *j)
{
	const struct session *last = NULL, *at;

	while (last != one) {
		for (at = one; at->next != last; at = at->next)
			;
		list_one(at, j);
		last = at;
	}
}

void sessions_list(const struct sessions *s, struct buf *b)
{
	struct json j = { .out = b };

	json_open(&j, NULL, '[');
	if (s->first)
		list_from(s->first, &j);
	json_close(&j, ']');
}

/* A command that may not run alone. */
static void end_alone(struct session *one, long now, long *wait,
		      void (*send)(void *, const struct session *, int), void *arg)
{
	const long at = one->kill_at ? one->kill_at : one->alone_at + one->alone_ms;

	if (!one->alone_ms || one->ended || !one->pid || (!one->alone_at && !one->kill_at))
		return;
	if (at > now) {
		if (*wait < 0 || *wait > at - now)
			*wait = at - now;
		return;
	}
	send(arg, one, one->kill_at ? SIGKILL : SIGTERM);
	one->kill_at = now + KILL_AFTER_MS;
	if (*wait < 0 || *wait > KILL_AFTER_MS)
		*wait = KILL_AFTER_MS;
}

/* From @since to @now nothing has run: what has begun before ends so much later. */
static void lengthen(struct session *one, long since, long now)
{
	if (one->alone_at)
		one->alone_at += now - (one->alone_at > since ? one->alone_at : since);
	if (one->kill_at)
		one->kill_at += now - since;
}

void sessions_step(struct sessions *s, bool still, long *wait,
		   void (*send)(void *arg, const struct session *one, int sig), void *arg)
{
	const long now = clock_ms(), since = s->still_since;
	struct session *one;

	s->still_since = !still ? 0 : since ? since : now;
	for (one = s->first; one; one = one->next) {
		if (one->ended && !one->over)
			views_drain(s, one); /* it may have waited for a client that has gone */
		if (since && !still)
			lengthen(one, since, now);
		if (!still)
			end_alone(one, now, wait, send, arg);
	}
	if (s->views)
		views_late(s, now, wait);
}
