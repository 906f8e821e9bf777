/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "refusals.h"

#define TAKE_MS 2000    /* as long a supervisor may take for a signal, before that ends us */
#define ANSWER_MS 10000 /* a supervisor that is busy answers later than that to nobody */

/* So that the terminal's size is the session's. */
static void say_size(void *arg, const struct winsize *size)
{
	const struct client *c = arg;
	const struct wire_msg m = { .type = WIRE_RESIZE,
				    .session = WIRE_COMMAND,
				    .resize = { .rows = size->ws_row, .cols = size->ws_col } };

	(void)wire_send(c->sock, &m, NULL, 0, false); /* who does not listen has ended */
}

/* The session runs on without us. */
static int left(const struct client *c, int status)
{
	if (c->terminal)
		terminal_take(c->terminal);
	if (fd_is_terminal(2))
		(void)dprintf(2, "\r\nbailey: detached; 'bailey attach %s %u' comes back\n",
			      c->name, c->number); /* nobody is left to tell */
	return status;
}

bool client_unread(int sock)
{
	int unread = 0;

	return ioctl(sock, SIOCOUTQ, &unread) == 0 && unread;
}

/* Whether the command will hear of c->signal: it runs, and its supervisor has read all that we have said. */
static bool taken(const struct client *c)
{
	return c->number && !client_unread(c->sock);
}

/* Between two waits: who waits for long knows why, once. @wait: until the next one must end, -1: never. Return: the same, or less. */
static int step_quiet(struct client *c, int wait)
{
	const long left = c->quiet_from + CLIENT_QUIET_MS - clock_ms();

	if (c->number || c->ended || c->told)
		return wait;
	if (left > 0)
		return wait < 0 || wait > left ? (int)left : wait;
	c->told = true;
	if (client_unread(c->sock))
		(void)dprintf(2, CLIENT_QUIET, c->name, c->name); /* nobody is left to tell */
	return wait;
}

/* Between two waits. Return: for how long to wait, or an exit status of 128 and more with *@ret_over. */
static int step_signal(struct client *c, bool *ret_over)
{
	long left = c->signal_by - clock_ms();

	*ret_over = false;
	if (!c->signal)
		return -1;
	if (left > 0)
		return (int)left;
	*ret_over = !taken(c);
	if (!*ret_over) {
		c->signal = 0;
		return -1;
	}
	if (c->terminal)
		terminal_take(c->terminal);
	(void)dprintf(
		2,
		"bailey: sandbox '%s' does not answer, so this ends; when it does, its command is told of the signal\n",
		c->name); /* nobody is left to tell */
	return 128 + c->signal;
}

/* Our terminal is to be typed at: as whoever reads one in the background we are stopped, until we are in front. */
static void claim(const struct client *c)
{
	if (c->terminal && c->types && !terminal_in_foreground(c->terminal))
		(void)kill(0, SIGTTIN); /* nobody could continue an orphan: it is not stopped */
}

/* Whose end is in the hands of a supervisor must be able to end without it. */
static void expect_end(struct client *c, int sig)
{
	if (c->signal || sig == SIGUSR1 || sig == SIGUSR2)
		return;
	c->signal = sig;
	c->signal_by = clock_ms() + TAKE_MS;
}

static int on_signal(void *arg, short revents, struct err *e)
{
	struct client *c = arg;
	struct signalfd_siginfo si;
	struct wire_msg m = { .type = WIRE_SIGNAL, .session = WIRE_COMMAND };

	(void)revents;
	(void)e;
	if (read(c->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return -EAGAIN;
	if (si.ssi_signo == SIGWINCH) {
		if (c->terminal)
			terminal_resize(c->terminal);
		return -EAGAIN;
	}
	if (si.ssi_signo == SIGCONT) {
		if (c->terminal)
			(void)terminal_again(c->terminal);
		claim(c);
		return -EAGAIN;
	}
	/* a session with a terminal outlives ours; and what others have started is theirs to end */
	if (c->plain && si.ssi_signo == SIGINT)
		return left(c, 128 + SIGINT);
	if ((c->terminal && si.ssi_signo == SIGHUP) || c->attached)
		return 128 + (int)si.ssi_signo;
	m.signal.signal = (int32_t)si.ssi_signo;
	m.signal.flags = si.ssi_code > 0 ?
				 WIRE_SIGNAL_GROUP :
				 0; /* Ctrl-C of a caller's terminal is meant for a whole group */
	(void)wire_send(c->sock, &m, NULL, 0, false);
	expect_end(c, m.signal.signal);
	return -EAGAIN;
}

/* No keys leave a session without a terminal. */
static void say_plain(const struct client *c)
{
	if (fd_is_terminal(2))
		(void)dprintf(
			2,
			"bailey: notice: session %u has no terminal: Ctrl-C leaves it, and it runs on\n",
			c->number); /* who does not see it may do without */
}

/* Of a session with a terminal. */
static int begin_copy(struct client *c, struct err *e)
{
	const struct terminal_session s = {
		.resize = say_size, .arg = c, .read_only = c->read_only, .attached = c->attached
	};
	int r;

	if (!c->terminal || c->stream < 0)
		return 0;
	r = terminal_start_session(c->terminal, &c->loop, TAKE_FD(c->stream), &s, e);
	if (r == 0)
		claim(c);
	return r;
}

/* Attached to one without: ours stays as it is, and its Ctrl-C is a signal. @flags: of WIRE_SESSION */
static int begin_plain(struct client *c, unsigned int flags, struct err *e)
{
	int in = -1, r;

	c->plain = true;
	terminal_finish(c->terminal);
	c->terminal = NULL;
	if (c->input && !(flags & (WIRE_SESSION_INPUT | WIRE_SESSION_ENDED)))
		return err_set(
			e, ERR_SYSTEM, -EINVAL,
			"--interactive: session %u reads nothing; 'bailey exec -d -i' starts one that does",
			c->number);
	if (!(flags & WIRE_SESSION_ENDED))
		say_plain(c);
	if (c->input && (in = fcntl(c->stream, F_DUPFD_CLOEXEC, 3)) < 0)
		return err_sys(e, -errno, "the session's stream");
	r = outlets_carry(&c->outlets, TAKE_FD(c->stream), TAKE_FD(c->errors), &c->loop, e);
	if (r == 0 && in >= 0)
		return inlet_begin(&c->inlet, in, &c->loop, e);
	cleanup_close(&in);
	return r;
}

static const char *const whys[] = {
	[WIRE_WHY_ASKED] = "was stopped",
	[WIRE_WHY_TIMEOUT] = "was stopped: its --timeout is over",
	[WIRE_WHY_IDLE] = "was stopped: it was idle (--idle-stop)",
	[WIRE_WHY_SIGNAL] = "was stopped: its supervisor was told to end",
};

/* @out: size @size. Return: why the sandbox ends, behind its name. */
static const char *why(const struct client *c, char *out, size_t size)
{
	char limit[POLICY_LIMIT_TEXT];

	if (c->why != WIRE_WHY_MEMORY)
		return whys[c->why];
	(void)snprintf(
		out, size,
		"was ended: it had used more than its --memory %s. 'bailey exec' starts it again; let it do less at a time, or give it more: bailey create --replace",
		policy_limit_format(POLICY_LIMIT_MEMORY, c->memory, limit));
	return out;
}

/* The command will hear of a signal that we have handed on, but not now. Return: -EAGAIN, or an exit status. */
static int on_paused(struct client *c, const struct err *why)
{
	if (!c->signal)
		return -EAGAIN; /* it was not to end anything */
	if (c->terminal)
		terminal_take(c->terminal);
	(void)cli_fail(why);
	return 128 + c->signal;
}

/* What the supervisor says of our session. */
static int on_report(void *arg, short revents, struct err *e)
{
	struct client *c = arg;
	struct wire_msg m;
	int fds[WIRE_FDS], r = wire_recv(c->sock, WIRE_FROM_INIT, &m, fds);
	char text[256];
	size_t i;

	(void)revents;
	if (r == -EAGAIN)
		return r;
	if (r == 0 && c->why)
		return err_set(e, ERR_SYSTEM, -EPIPE, "sandbox '%s' %s", c->name,
			       why(c, text, sizeof(text)));
	if (r <= 0)
		return named_gone(r, e);
	for (i = 0; i < WIRE_FDS; i++)
		cleanup_close(&fds[i]);
	switch (m.type) {
	case WIRE_STARTED:
		c->number = m.session - WIRE_COMMAND;
		if (c->detach)
			return 0;
		r = begin_copy(c, e);
		return r < 0 ? r : -EAGAIN;
	case WIRE_SESSION:
		c->number = m.which.number;
		r = m.which.flags & WIRE_SESSION_TERMINAL ? begin_copy(c, e) :
							    begin_plain(c, m.which.flags, e);
		return r < 0 ? r : -EAGAIN;
	case WIRE_LEAVING:
		c->why = m.leaving.why;
		return -EAGAIN;
	case WIRE_LOGGED:
		memcpy(c->log, m.logged.id, sizeof(c->log));
		c->logged = m.logged.since;
		return -EAGAIN;
	case WIRE_NO_NETWORK:
		c->no_network = true;
		return -EAGAIN;
	case WIRE_MEMORY:
		c->memory = m.memory.limit;
		return -EAGAIN;
	case WIRE_FAILED:
		if (c->number && m.failed.sys == EBUSY)
			return on_paused(c, &m.failed);
		*e = m.failed;
		/* EAGAIN would let the loop go on */
		return e->sys && e->sys != EAGAIN ? -e->sys : -EIO;
	case WIRE_ENDED:
		c->status = WIFSIGNALED(m.ended.status) ? 128 + WTERMSIG(m.ended.status) :
							  WEXITSTATUS(m.ended.status);
		c->ended = true;
		outlets_end(&c->outlets);
		c->reports->events = 0; /* it may hang up now */
		return -EAGAIN;
	default:
		return -EAGAIN;
	}
}

/* The other end of the pipe is the supervisor's, too: it must not keep it open for the command. */
static void say_broken(void *arg, size_t which)
{
	struct client *c = arg;
	const struct wire_msg m = { .type = WIRE_BROKEN,
				    .session = WIRE_COMMAND,
				    .broken = { .which = (uint32_t)which } };

	if (c->attached)
		c->lost = true; /* the session is not ours, and does not hear of it */
	else
		(void)wire_send(c->sock, &m, NULL, 0, false); /* who does not listen has ended */
}

static int open_signals(void)
{
	static const int taken[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				     SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int client_begin(struct client *c, int sock, const char *name, struct err *e)
{
	*c = (struct client){ .sock = sock,
			      .name = name,
			      .signals = open_signals(),
			      .stream = -1,
			      .errors = -1,
			      .state = -1 };
	c->inlet.out = -1;
	c->outlets = (struct outlets){ .give = { -1, -1 }, .broken = say_broken, .arg = c };
	(void)signal(SIGPIPE, SIG_IGN);
	return c->signals < 0 ? err_sys(e, -errno, "signals") : 0;
}

int client_stream(int *ret, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socketpair");
	*ret = pair[0];
	return pair[1];
}

int client_wait(struct client *c, struct err *e)
{
	bool over;
	int r;

	c->reports = loop_add(&c->loop, c->sock, POLLIN, on_report, c); /* there is room */
	(void)loop_add(&c->loop, c->signals, POLLIN, on_signal, c);
	c->quiet_from = clock_ms();
	do {
		if (c->ended && outlets_empty(&c->outlets) &&
		    (!c->terminal || terminal_drained(c->terminal)))
			return c->status;
		if (c->lost)
			return 128 + SIGPIPE;
		if (c->terminal && terminal_left(c->terminal))
			return left(c, 0);
		r = step_signal(c, &over);
		if (over)
			return r;
		r = loop_wait(&c->loop, step_quiet(c, r), e);
	} while (r == -EAGAIN);
	return r;
}

/* The status alone does not say that it was not the command's own end. */
static void say_why(const struct client *c)
{
	char text[256];

	if (c->ended && c->why)
		(void)dprintf(2, "bailey: notice: sandbox '%s' %s\n", c->name,
			      why(c, text, sizeof(text))); /* who does not see it has the status */
}

/* The kernel chooses the process that uses most: it may have been another one than the command itself. */
static void say_memory(const struct client *c)
{
	char limit[POLICY_LIMIT_TEXT];

	if (!c->ended || c->why || !c->status || !c->memory)
		return;
	(void)dprintf(
		2,
		"bailey: notice: %s: '%s' had used more than its --memory %s; let it do less at a time, or give it more: bailey create --replace\n",
		c->status == 128 + SIGKILL ? "the command was ended" :
					     "processes were ended while the command ran",
		c->name,
		policy_limit_format(POLICY_LIMIT_MEMORY, c->memory,
				    limit)); /* who does not see it has the status */
}

static void say_line(const char *line)
{
	(void)dprintf(2, "bailey: %s\n", line);
}

static int open_dir(int at, const char *path)
{
	return openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* While it ran; another command of the sandbox may have been the one. */
static void say_refused(const struct client *c)
{
	_cleanup_close_ int logs = -1, heads = -1, own = -1;

	if (c->ended && c->status && c->no_network)
		(void)dprintf(
			2,
			"bailey: notice: the command tried the network, and '%s' has none: 'bailey network allow %s HOST' says how to give it one\n",
			c->name, c->name);
	if (!c->ended || !*c->log || c->state < 0)
		return;
	logs = open_dir(c->state, "network");
	heads = open_dir(logs, "heads");
	own = open_dir(logs, c->log);
	if (own >= 0)
		refusals_say(own, heads, c->log, c->logged, c->name, say_line);
}

void client_done(struct client *c)
{
	terminal_finish(c->terminal);
	say_why(c);
	say_memory(c);
	say_refused(c);
	outlets_done(&c->outlets);
	inlet_done(&c->inlet);
	cleanup_close(&c->signals);
	cleanup_close(&c->stream);
	cleanup_close(&c->errors);
}

int client_connect(struct named *n, const char *word, int *ret_sock, struct err *e)
{
	const char *name = word;
	struct named_box box;
	int r;

	for (;;) {
		*ret_sock = named_connect(n, name);
		if (*ret_sock >= 0)
			return 0;
		if (*ret_sock != -ENOENT && *ret_sock != -ECONNREFUSED)
			return err_sys(e, *ret_sock, "sandbox '%.100s'", name);
		r = named_start(n, word, &box, e);
		if (r != 0)
			return r;
		name = box.name;
	}
}

int client_reach(struct named *n, const char *word, int *ret_sock, struct err *e)
{
	struct named_box box;
	int r;

	*ret_sock = named_connect(n, word);
	if (*ret_sock >= 0)
		return 0;
	r = named_get(n, word, &box, e);
	if (r != 0)
		return r;
	*ret_sock = named_reach(n, &box);
	if (*ret_sock == -ENOENT)
		return err_set(
			e, ERR_SYSTEM, -ESRCH,
			"sandbox '%s' does not run, so it has no sessions; 'bailey exec %s -- …' starts one",
			box.name, box.name);
	return *ret_sock < 0 ? err_sys(e, *ret_sock, "sandbox '%s'", box.name) : 0;
}

int client_word(const char *word, char *out, struct err *e)
{
	const size_t n = strlen(word);

	memset(out, 0, WIRE_WORD);
	if (!n || n >= WIRE_WORD ||
	    word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789_.-")])
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"session '%.100s': expected a number, or a name of 1 to 63 letters, digits and _ . -",
			word);
	memcpy(out, word, n);
	return 0;
}

int client_hear(int sock, struct wire_msg *ret, int *ret_fd, struct err *e)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int fds[WIRE_FDS], r;
	size_t i;

	do {
		if (poll(&p, 1, ANSWER_MS) <= 0)
			return err_set(e, ERR_SYSTEM, -ETIMEDOUT, "the sandbox does not answer");
		r = wire_recv(sock, WIRE_FROM_INIT, ret, fds);
		if (r <= 0)
			return named_gone(r, e);
	} while (ret->type == WIRE_LEAVING || ret->type == WIRE_LOGGED ||
		 ret->type == WIRE_NO_NETWORK ||
		 ret->type == WIRE_MEMORY); /* and no descriptor comes with them */
	for (i = 1; i < WIRE_FDS; i++)
		cleanup_close(&fds[i]);
	if (ret->type == WIRE_FAILED) {
		cleanup_close(&fds[0]);
		*e = ret->failed;
		return e->sys ? -e->sys : -EIO;
	}
	*ret_fd = fds[0];
	return 0;
}

int client_fail(const struct err *e)
{
	int status = cli_fail(e);

	if (e->code != ERR_SYSTEM)
		return status;
	return e->sys == ENOENT || e->sys == -ENOENT                                       ? 3 :
	       e->sys == EINVAL || e->sys == ESRCH || e->sys == -ESRCH || e->sys == EEXIST ? 4 :
											     status;
}

int client_list(int sock, const struct wire_msg *m, int fd, const char *name, struct buf *b,
		struct err *e)
{
	_cleanup_close_ int list = -1;
	struct wire_msg got = { .type = WIRE_LIST };
	int r = sock < 0 ? sock : wire_send(sock, m, &fd, fd >= 0, true);

	if (r < 0)
		return err_sys(e, r, "sandbox '%.100s'", name);
	r = client_hear(sock, &got, &list, e);
	if (r < 0)
		return r;
	if (got.type != (m->type == WIRE_LIST ? WIRE_SESSIONS : WIRE_SERVICES) || list < 0 ||
	    lseek(list, 0, SEEK_SET) < 0 || fd_read_all(list, b) < 0)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "the sandbox has said something else");
	return 0;
}

int client_sessions(int sock, const char *name, struct buf *b, struct err *e)
{
	return client_list(sock, &(struct wire_msg){ .type = WIRE_LIST }, -1, name, b, e);
}
