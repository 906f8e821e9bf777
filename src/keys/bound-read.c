/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The helper reads the store when it is asked; but for the first time it runs no command then, so that none that fails, or takes a minute, holds up what
 * others were changed to. A command whose value is about to expire is run by a child, one for each secret; what it gives is kept in the store, and told unasked.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bound.h"
#include "erase.h"
#include "store.h"

#define GAP 2          /* seconds between two runs of a command, at least */
#define GAP_MAX 300    /* after failures: twice as many each time, up to this */
#define SLEEP_MAX 30   /* the clock may be set, or have stood still with the machine */
#define REASON_MAX 400 /* bytes of a failure */

/* One secret's command. */
struct job {
	int64_t due;    /* Unix seconds; 0: it has none, or doesn't say how long its value holds */
	int64_t before; /* not before */
	int gap;
	pid_t pid;
	int fd; /* what a child that fails says; -1: none runs */
};

struct reader {
	const struct bound_places *places;
	int fd;
	struct job jobs[BOUND_SECRETS];
};

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------------- */

/* Both stores, as far as they are there. */
struct stores {
	struct store own, shared;
};

static void close_stores(struct stores *s)
{
	store_done(&s->own);
	store_done(&s->shared);
}

static int open_stores(struct stores *s, const struct bound_places *p, struct err *e)
{
	int r = 0;

	*s = (struct stores){ STORE_INIT, STORE_INIT };
	if (p->state)
		r = store_open(&s->shared, p->state, false, e);
	if ((r == 0 || r == -ENOENT) && p->own)
		r = store_open(&s->own, p->own, false, e);
	if (r == 0 || r == -ENOENT)
		return 0;
	close_stores(s);
	return r;
}

/* Where the secret @i is kept. One of the sandbox's own that can't be read is not another's. Return: NULL: there is none. */
static struct store *store_of(struct stores *s, const struct bound_places *p, size_t i)
{
	if (store_has(&s->own, p->names[i]))
		return &s->own;
	return i < p->shared && store_has(&s->shared, p->names[i]) ? &s->shared : NULL;
}

static int read_one(struct stores *stores, const struct bound_places *p, size_t i, bool first,
		    struct buf *out, int64_t *ret_due, struct err *e)
{
	struct store *s = store_of(stores, p, i);
	const char *name = p->names[i];
	struct arena a = ARENA_INIT(0);
	struct secret secret;
	int r;

	*ret_due = 0;
	if (!s)
		return err_set(
			e, ERR_USAGE, -ENOENT,
			"there is no secret '%.80s' (bailey secret ls; bailey secret set %.80s)",
			name, name);
	if (!erase_arena_init(&a, SECRET_MEMORY))
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	r = first ? store_refresh(s, name, &a, &secret, e) : store_read(s, name, &a, &secret, e);
	if (r == 0)
		*ret_due = secret_due(&secret);
	if (r == 0 && !secret.value)
		r = err_set(e, ERR_POLICY, -EAGAIN, "secret '%s': it has no value yet", name);
	if (r == 0) {
		secret_print(&secret, out);
		buf_puts(out, "\n");
	}
	erase_arena_done(&a);
	return r;
}

/* What was read before goes. */
static void put_error(struct buf *out, size_t start, const struct err *e)
{
	if (out->data)
		explicit_bzero(out->data + start, out->len - start);
	out->len = start;
	out->failed = false;
	buf_printf(out, "E%s", e->msg);
}

void bound_read(const struct bound_places *p, struct buf *out)
{
	struct stores s;
	struct err e = ERR_INIT;
	size_t i, start = out->len;
	int64_t due;
	int r = open_stores(&s, p, &e);

	buf_puts(out, "O");
	for (i = 0; r == 0 && i < p->n; i++)
		r = read_one(&s, p, i, true, out, &due, &e);
	close_stores(&s);
	if (r == 0 && out->failed)
		r = err_set(&e, ERR_SYSTEM, -E2BIG, "the secrets are too long together");
	if (r < 0)
		put_error(out, start, &e);
}

/* A line of text that can't be taken for two. */
static void put_reason(struct buf *out, const char *reason)
{
	size_t at = out->len, i;

	buf_printf(out, "!%.*s", REASON_MAX, reason);
	for (i = at; i < out->len; i++) {
		if (out->data[i] == '\n')
			out->data[i] = ' ';
	}
	buf_puts(out, "\n");
}

/* Its next run, when @due says something: never sooner than its last one allows. */
static void plan(struct job *j, int64_t due)
{
	j->due = due == 0 || due > j->before ? due : j->before;
}

/* @due: of each secret; may be NULL. */
static void read_again(const struct bound_places *p, char kind, int64_t *due, struct buf *out)
{
	struct stores s;
	struct err e = ERR_INIT;
	size_t i, start = out->len;
	int64_t unused;
	int r = open_stores(&s, p, &e);

	if (r < 0) {
		put_error(out, start, &e);
		return;
	}
	buf_printf(out, "%c", kind);
	for (i = 0; i < p->n; i++) {
		e = (struct err)ERR_INIT;
		r = read_one(&s, p, i, false, out, due ? &due[i] : &unused, &e);
		if (r == -ENOENT)
			buf_puts(out, "-\n");
		else if (r < 0)
			put_reason(out, e.msg);
	}
	close_stores(&s);
	if (out->failed) {
		(void)err_set(&e, ERR_SYSTEM, -E2BIG, "the secrets are too long together");
		put_error(out, start, &e);
	}
}

void bound_read_again(const struct bound_places *p, struct buf *out)
{
	read_again(p, 'O', NULL, out);
}

/* --- commands --------------------------------------------------------------------------------------------------------------------- */

static void run_command(const struct reader *h, size_t i, int to)
{
	const struct bound_places *p = h->places;
	struct arena a = ARENA_INIT(0);
	struct stores s;
	struct err e = ERR_INIT;
	struct secret secret;
	struct store *store;
	int r = open_stores(&s, p, &e);

	if (r == 0 && !erase_arena_init(&a, SECRET_MEMORY))
		r = err_set(&e, ERR_SYSTEM, -ENOMEM, "out of memory");
	store = r == 0 ? store_of(&s, p, i) : NULL;
	if (store) /* else it was removed just now */
		r = store_refresh(store, p->names[i], &a, &secret, &e);
	erase_arena_done(&a);
	if (r == 0)
		close_stores(&s);
	if (r < 0)
		(void)fd_write_all(to, e.msg, strlen(e.msg)); /* or the helper is gone */
	_exit(r < 0 ? 1 : 0);
}

static void start(struct reader *h, size_t i)
{
	struct job *j = &h->jobs[i];
	int fds[2];

	j->before = now() + j->gap;
	plan(j, j->due);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return; /* again later */
	j->pid = fork();
	if (j->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* nobody would take the value */
		if (fd_close_others(&fds[1], 1) == 0)
			run_command(h, i, fds[1]);
		_exit(1);
	}
	(void)close(fds[1]);
	if (j->pid > 0)
		j->fd = fds[0];
	else
		(void)close(fds[0]);
}

static int send_frame(const struct reader *h, const struct buf *b)
{
	uint32_t len = (uint32_t)b->len;
	int r = fd_write_all(h->fd, &len, sizeof(len));

	return r < 0 ? r : fd_write_all(h->fd, b->data, b->len);
}

/* The store as it is now, asked for ('O') or not ('P'). */
static int tell(struct reader *h, char kind)
{
	int64_t due[BOUND_SECRETS] = { 0 };
	struct buf b = BUF_INIT(0);
	size_t i;
	int r;

	if (!erase_buf_init(&b, BOUND_MAX))
		return -ENOMEM;
	read_again(h->places, kind, due, &b);
	for (i = 0; i < h->places->n; i++)
		plan(&h->jobs[i], due[i]);
	r = send_frame(h, &b);
	erase_buf_done(&b);
	erase_stack();
	return r;
}

/* What was kept of log-ins, or why it can't be read. */
static int tell_logins(const struct reader *h)
{
	struct buf b = BUF_INIT(0), text = BUF_INIT(0);
	struct store s = STORE_INIT;
	struct err e = ERR_INIT;
	int r;

	if (!erase_buf_init(&b, STORE_KEPT + 1) || !erase_buf_init(&text, STORE_KEPT)) {
		erase_buf_done(&b);
		return -ENOMEM;
	}
	r = store_open(&s, h->places->own, false, &e);
	if (r == 0)
		r = store_kept(&s, BOUND_LOGINS, &text, &e);
	store_done(&s);
	if (r < 0 && r != -ENOENT)
		buf_printf(&b, "E%s", e.msg);
	else
		buf_add(&b, "L", 1);
	if (r == 0)
		buf_add(&b, text.data, text.len);
	r = send_frame(h, &b);
	erase_buf_done(&b);
	erase_buf_done(&text);
	return r;
}

static bool read_all(int fd, void *p, size_t n)
{
	char *to = p;
	ssize_t got;

	for (; n > 0; to += got, n -= (size_t)got) {
		got = read(fd, to, n);
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got <= 0)
			return false;
	}
	return true;
}

/* Tokens of log-ins have come. Return: 0, or negative errno: whoever has sent them is gone. */
static int keep_logins(const struct reader *h)
{
	struct buf text = BUF_INIT(0), b = BUF_INIT((size_t)2 * REASON_MAX);
	struct store s = STORE_INIT;
	struct err e = ERR_INIT;
	uint32_t n = 0;
	int r;

	if (!read_all(h->fd, &n, sizeof(n)) || n > STORE_KEPT || !erase_buf_init(&text, n + 1))
		return -EPIPE;
	if (!read_all(h->fd, text.data, n)) {
		erase_buf_done(&text);
		return -EPIPE;
	}
	text.len = n;
	r = h->places->own ? store_open(&s, h->places->own, true, &e) : 0;
	if (r == 0 && h->places->own)
		r = store_keep(&s, BOUND_LOGINS, &text, &e);
	store_done(&s);
	erase_buf_done(&text);
	if (r == 0)
		return 0;
	buf_printf(&b, "N%.*s: the tokens of log-ins are gone when the sandbox ends", REASON_MAX,
		   e.msg);
	r = send_frame(h, &b);
	buf_done(&b);
	return r;
}

static int tell_first(struct reader *h)
{
	struct buf b = BUF_INIT(0);
	int r;

	if (!erase_buf_init(&b, BOUND_MAX))
		return -ENOMEM;
	bound_read(h->places, &b);
	r = send_frame(h, &b);
	erase_buf_done(&b);
	if (r == 0 && h->places->logins)
		r = tell_logins(h);
	/* when they expire; what was read is erased, and nobody waits for this */
	if (r == 0 && erase_buf_init(&b, BOUND_MAX)) {
		int64_t due[BOUND_SECRETS] = { 0 };
		size_t i;

		read_again(h->places, 'O', due, &b);
		for (i = 0; i < h->places->n; i++)
			plan(&h->jobs[i], due[i]);
		erase_buf_done(&b);
	}
	erase_stack();
	return r;
}

/* A child has ended, or says why it will. */
static int end_job(struct reader *h, size_t i)
{
	struct buf b = BUF_INIT((size_t)2 * REASON_MAX);
	struct job *j = &h->jobs[i];
	char why[REASON_MAX];
	int status = 0, r;
	ssize_t n = read(j->fd, why, sizeof(why));

	(void)close(j->fd);
	j->fd = -1;
	while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR)
		;
	j->before = now() + j->gap;
	j->gap = 2 * j->gap < GAP_MAX ? 2 * j->gap : GAP_MAX;
	if (status == 0) {
		r = tell(h, 'P');
		if (j->due == 0 || j->due > j->before) /* else it gives what has expired already */
			j->gap = GAP;
		return r;
	}
	plan(j, j->due);
	buf_printf(&b, "N%.*s; it stays as it was", n > 0 ? (int)n : 0, why);
	r = send_frame(h, &b);
	buf_done(&b);
	return r;
}

/* Begin what is due. Return: how long to wait for the next, for poll(). */
static int begin_jobs(struct reader *h)
{
	int64_t t = now(), wait = -1;
	size_t i;

	for (i = 0; i < h->places->n; i++) {
		struct job *j = &h->jobs[i];

		if (j->due == 0 || j->fd >= 0)
			continue;
		if (j->due <= t)
			start(h, i);
		if (j->fd < 0 && (wait < 0 || j->due - t < wait))
			wait = j->due > t ? j->due - t : 1;
	}
	return wait < 0 ? -1 : (int)(wait < SLEEP_MAX ? wait : SLEEP_MAX) * 1000;
}

void bound_helper(int fd, const struct bound_places *places)
{
	struct reader h = { .places = places, .fd = fd };
	struct pollfd p[1 + BOUND_SECRETS];
	const size_t n = places->n;
	char ask;
	size_t i;
	int r;

	for (i = 0; i < BOUND_SECRETS; i++)
		h.jobs[i] = (struct job){ .gap = GAP, .fd = -1 };
	if (n > BOUND_SECRETS || read(fd, &ask, 1) != 1)
		return;
	r = tell_first(&h);
	while (r == 0) {
		int wait = begin_jobs(&h);

		p[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
		for (i = 0; i < n; i++)
			p[1 + i] = (struct pollfd){ .fd = h.jobs[i].fd, .events = POLLIN };
		if (poll(p, 1 + n, wait) < 0)
			continue;
		for (i = 0; r == 0 && i < n; i++) {
			if (p[1 + i].revents)
				r = end_job(&h, i);
		}
		if (r == 0 && p[0].revents)
			r = read(fd, &ask, 1) != 1 ? -EPIPE :
			    ask == BOUND_ASK       ? tell(&h, 'O') :
			    ask == BOUND_KEEP      ? keep_logins(&h) :
						     -EPIPE;
	}
}
