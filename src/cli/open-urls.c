/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One request at a time: a connection says one line, a URL, and gets one line, what became of it.
 *
 *	IDLE ── connects ──> READING ── a line that url_parse() takes ──> asked ── yes ──> the port listens, the browser starts ──> IDLE
 *	                        └── anything else, or 2 seconds ──> refused ──> IDLE
 *
 * Who has connected to the socket "open-urls" is asked; else whoever sits at the terminal, and meanwhile the supervisor does nothing else, as with --ask; else it is
 * a no. Everything that fails is a no. Whoever says no is left in peace for some seconds, and a run has so many questions and no more: a command can't
 * ask until somebody errs.
 */
#include "open-urls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "askers.h"
#include "browser.h"
#include "callback.h"
#include "egress.h"
#include "private-dir.h"

#define LINE_MS 2000
#define ANSWER_MS 110000 /* of those at the socket; the terminal has the same */
#define SETTLE_MS 500    /* what is typed when a question comes was not meant for it */
#define PEACE_MS 10000   /* after a no */
#define QUESTIONS 20     /* of one run */

enum state { IDLE, READING, ASKED };

struct open_urls {
	struct run *run;
	char dir[PRIVATE_DIR_MAX]; /* "": its names are gone */
	int listener, client, tty;
	struct loop_source *connects, *says;
	enum state state;
	long end;   /* of READING and ASKED, ms of CLOCK_MONOTONIC */
	long peace; /* until then nobody is asked */
	unsigned int questions;
	bool never, told;
	struct url url;
	size_t n;
	char line[URL_MAX + 2];
	struct browser *browser;
	struct askers *askers;
	pid_t callback, door; /* 0: none */
};

static void reap(pid_t *pid, bool kill_it)
{
	if (*pid <= 0)
		return;
	if (kill_it)
		(void)kill(*pid, SIGKILL); /* our child, not reaped yet */
	while (waitpid(*pid, NULL, kill_it ? 0 : WNOHANG) < 0 && errno == EINTR)
		;
	*pid = 0;
}

/* The one before gives way: a log-in that was begun anew comes back anew. */
static void end_callback(struct open_urls *o)
{
	reap(&o->callback, true);
	reap(&o->door, true);
}

/* --- the end of a request --- */

__attribute__((format(printf, 2, 3))) static void finish(struct open_urls *o, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n > 0 && n < (int)sizeof(text) - 1)
		text[n++] = '\n';
	/* an answer is shorter than any buffer; who has gone needs none */
	(void)send(o->client, text, strlen(text) < (size_t)n ? strlen(text) : (size_t)n,
		   MSG_NOSIGNAL | MSG_DONTWAIT);
	cleanup_close(&o->client);
	o->client = -1;
	o->says->events = 0;
	o->connects->events = POLLIN;
	o->state = IDLE;
	o->n = 0;
}

/* Once in a run: a command that can't ask may be all that somebody sees. */
static void tell_once(struct open_urls *o, const char *why)
{
	char line[300];
	int n = snprintf(line, sizeof(line), "bailey: --open-urls: nothing is opened: %s\n", why);

	if (!o->told)
		(void)fd_write_all(2, line, (size_t)n); /* a notice */
	o->told = true;
}

/* --- yes --- */

/* The sandbox's port is the host's for a while. Return: 0 or negative errno with @e. */
static int begin_callback(struct open_urls *o, struct err *e)
{
	const struct sandbox *s = supervise_sandbox(o->run);
	const int *ns = o->run->jail.ns;
	struct callback c = { .door = -1, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	int r;

	/* with the host's own network it is the host's port */
	if (o->url.back == URL_BACK_NONE || egress_kind(s) == JAIL_NETWORK_HOST)
		return 0;
	end_callback(o);
	r = callback_listen(&c, o->url.back, o->url.port, e);
	if (r < 0)
		return r;
	r = door_start(ns[JAIL_NS_USER], ns[JAIL_NS_NET], &c.door, &o->door, e);
	if (r == 0) {
		supervise_memory(o->run, &c.forget, &c.n_forget);
		if (geteuid() == 0) {
			c.uid = egress_uid(s);
			c.gid = egress_gid(s);
		}
		r = callback_start(&c, &o->callback, e);
	}
	callback_close(&c);
	if (r < 0)
		end_callback(o);
	return r;
}

static void say_yes(struct open_urls *o)
{
	struct err e = ERR_INIT;
	int r = begin_callback(o, &e);

	if (r == 0) {
		r = browser_open(o->browser, o->line, &e);
		if (r < 0)
			end_callback(o);
	}
	if (r < 0)
		finish(o, "%.400s", e.msg);
	else
		finish(o, "opened");
}

static void decided(struct open_urls *o, enum askers_answer answer)
{
	if (answer == ASKERS_ONCE) {
		say_yes(o);
		return;
	}
	o->never |= answer == ASKERS_NEVER;
	o->peace = clock_ms() + PEACE_MS;
	finish(o, answer == ASKERS_GONE ? "nobody answered" : "the answer was no");
}

static void on_answer(void *arg, enum askers_answer answer)
{
	struct open_urls *o = arg;

	if (o->state == ASKED)
		decided(o, answer);
}

/* --- asking --- */

static bool at_terminal(const struct open_urls *o)
{
	/* in the background nobody would see what is asked, and asking would stop us */
	return o->tty >= 0 && tcgetpgrp(o->tty) == getpgrp();
}

static void ask_terminal(struct open_urls *o)
{
	struct buf b = BUF_INIT(URL_MAX + 1024);
	enum askers_answer answer = ASKERS_GONE;
	const char *term = getenv("TERM");
	long until;
	char key;

	/* what the command has printed may have left the terminal with invisible or other letters */
	if (term && *term && strcmp(term, "dumb") != 0)
		buf_puts(&b, "\017\033(B\033[0m");
	/* url_parse() has let no byte through that a terminal obeys */
	buf_printf(
		&b,
		"\r\nbailey: the sandbox wants this opened in your browser, at the host %s:\r\n\r\n",
		o->url.host);
	buf_puts(&b, o->line);
	buf_puts(&b, "\r\n\r\n");
	if (o->url.back != URL_BACK_NONE)
		buf_printf(
			&b,
			"It is a log-in that comes back to port %u of the sandbox: what you log in to is the command's then%s.\r\n",
			o->url.port,
			supervise_sandbox(o->run)->n_logins ?
				", but for the tokens that --login keeps outside" :
				"");
	buf_puts(&b, "Open it? y = yes, n = no, x = no, and don't ask again in this run: ");
	if (b.failed || fd_write_all(o->tty, b.data, b.len) < 0) {
		buf_done(&b);
		decided(o, ASKERS_GONE);
		return;
	}
	buf_done(&b);
	(void)poll(NULL, 0, SETTLE_MS); /* then ask_key() throws away what was typed */
	until = ask_until(o->run, clock_ms());
	do {
		key = ask_key(o->tty, until, NULL, NULL);
		if (key == 'y')
			answer = ASKERS_ONCE;
		else if (key == 'n' || key == 3 || key == 4 || key == 27) /* Ctrl-C, Ctrl-D, Esc */
			answer = ASKERS_NO;
		else if (key == 'x')
			answer = ASKERS_NEVER;
	} while (key && answer == ASKERS_GONE);
	(void)dprintf(o->tty, "%s\r\n",
		      answer == ASKERS_ONCE  ? "yes" :
		      answer == ASKERS_NEVER ? "no, never" :
					       "no");
	decided(o, answer);
}

/* Why nobody is asked; NULL: somebody may be. */
static const char *no_question(const struct open_urls *o)
{
	if (o->never)
		return "the answer was: never in this run";
	if (!o->browser)
		return "the host has no browser for it: neither BROWSER nor xdg-open, where the sandbox can't write";
	if (clock_ms() < o->peace)
		return "the answer was no a moment ago";
	if (o->questions >= QUESTIONS)
		return "this run has asked too often";
	return NULL;
}

static void ask(struct open_urls *o)
{
	struct err e = ERR_INIT;
	const char *why;

	if (url_parse(&o->url, o->line, o->n, &e) < 0) {
		finish(o, "%s", e.msg);
		return;
	}
	why = no_question(o);
	if (why) {
		finish(o, "%s", why);
		return;
	}
	o->questions++;
	o->state = ASKED;
	o->end = clock_ms() + ANSWER_MS;
	if (o->askers && askers_ask(o->askers, o->line, &o->url))
		return; /* on_answer(), or its end, or the time */
	if (at_terminal(o)) {
		ask_terminal(o);
		return;
	}
	o->questions--;
	why = "there is nobody to ask: no terminal in the foreground, and nobody at the run's socket";
	tell_once(o, why);
	finish(o, "%s", why);
}

/* --- a request --- */

static int on_line(void *arg, short revents, struct err *e)
{
	struct open_urls *o = arg;
	char more;
	ssize_t n;
	char *nl;

	(void)revents;
	(void)e;
	if (o->state == ASKED) {
		/* it has said all: what comes is its end */
		n = recv(o->client, &more, 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		askers_forget(o->askers);
		finish(o, "one line, please");
		return -EAGAIN;
	}
	n = recv(o->client, o->line + o->n, sizeof(o->line) - o->n, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0) {
		finish(o, "one line, please");
		return -EAGAIN;
	}
	o->n += (size_t)n;
	nl = memchr(o->line, '\n', o->n);
	if (nl && nl == o->line + o->n - 1) {
		*nl = '\0';
		o->n--;
		ask(o);
	} else if (nl || o->n == sizeof(o->line)) {
		finish(o, "one line, please, of at most %u bytes", URL_MAX);
	}
	return -EAGAIN;
}

static int on_connect(void *arg, short revents, struct err *e)
{
	struct open_urls *o = arg;
	struct sockaddr_un from;
	socklen_t from_size = sizeof(from);
	int fd = accept4(o->listener, (struct sockaddr *)&from, &from_size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)revents;
	(void)e;
	if (fd < 0)
		return -EAGAIN;
	o->client = o->says->fd = fd;
	o->says->events = POLLIN;
	o->connects->events = 0; /* others wait */
	o->state = READING;
	o->n = 0;
	o->end = clock_ms() + LINE_MS;
	return -EAGAIN;
}

void open_urls_step(struct run *run, long *wait)
{
	struct open_urls *o = run->open_urls;
	long left;

	if (!o || o->state == IDLE)
		return;
	left = o->end - clock_ms();
	if (left > 0) {
		if (*wait < 0 || *wait > left)
			*wait = left;
		return;
	}
	if (o->state == READING) {
		finish(o, "no line came");
		return;
	}
	askers_forget(o->askers);
	decided(o, ASKERS_GONE);
}

/* --- with the run --- */

int open_urls_begin(struct run *run, struct err *e)
{
	struct sandbox *s = supervise_sandbox(run);
	struct open_urls *o;
	int r;

	if (!s->open_urls)
		return 0;
	run->open_urls = o = calloc(1, sizeof(*o));
	if (!o)
		return sandbox_oom(e);
	*o = (struct open_urls){ .run = run, .listener = -1, .client = -1, .tty = -1 };
	r = private_dir_make("bailey-open", o->dir, e);
	if (r == 0) {
		o->listener = r = private_dir_socket(o->dir, "open", e);
		s->open_dir = r < 0 ? NULL : sandbox_keep(s, o->dir);
	}
	if (r >= 0 && !s->open_dir)
		return sandbox_oom(e);
	return r < 0 ? err_wrap(e, r, "--open-urls") : 0;
}

int open_urls_plan(struct sandbox *s, struct err *e)
{
	char self[LIMIT_PATH];
	const char *program, *socket;
	ssize_t n;
	int r;

	if (!s->open_urls)
		return 0;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return err_sys(e, -errno, "/proc/self/exe");
	self[n] = '\0';
	program = sandbox_keep(s, self);
	if (!program)
		return sandbox_oom(e);
	r = jail_plan_shown(&s->plan, &s->policy, &s->host, OPEN_URLS_PROGRAM, program, e);
	if (r == 0 && s->open_dir) {
		socket = arena_printf(&s->arena, "%s/open", s->open_dir);
		if (!socket)
			return sandbox_oom(e);
		r = jail_plan_shown(&s->plan, &s->policy, &s->host, OPEN_URLS_SOCKET, socket, e);
	}
	return r < 0 ? err_wrap(e, r, "--open-urls") : 0;
}

void open_urls_supervise(struct run *run)
{
	struct open_urls *o = run->open_urls;

	if (!o)
		return;
	o->browser = browser_find(supervise_sandbox(run));
	if (!o->browser)
		tell_once(o, no_question(o));
	o->tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	o->connects = loop_add(&run->loop, o->listener, POLLIN, on_connect, o);
	o->says = loop_add(&run->loop, -1, 0, on_line, o);
	if (!o->says && o->connects)
		o->connects->events = 0; /* who asks gets no answer */
}

void open_urls_askers(struct run *run, int dir)
{
	if (run->open_urls)
		run->open_urls->askers = askers_begin(&run->loop, dir, on_answer, run->open_urls);
}

void open_urls_unask(struct run *run)
{
	if (!run->open_urls)
		return;
	askers_end(run->open_urls->askers);
	run->open_urls->askers = NULL;
}

void open_urls_ready(struct run *run)
{
	static const char *const names[] = { "open", NULL };

	if (run->open_urls)
		private_dir_gone(run->open_urls->dir, names);
}

void open_urls_end(struct run *run)
{
	struct open_urls *o = run->open_urls;

	if (!o)
		return;
	open_urls_ready(run);
	open_urls_unask(run);
	end_callback(o);
	cleanup_close(&o->client);
	cleanup_close(&o->listener);
	cleanup_close(&o->tty);
	browser_free(o->browser);
	free(o);
	run->open_urls = NULL;
}
