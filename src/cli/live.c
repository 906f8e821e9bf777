/* SPDX-License-Identifier: Apache-2.0 */
#include "live-state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "egress.h"
#include "listening.h"
#include "sandbox.h"
#include "ssh.h"
#include "stay.h"

#define GRACE_MS 10000 /* of a sandbox whose time is over */
#define FULL "%d clients wait for commands of this sandbox, and no more can; 'exec -d' needs none"

void live_socket(const char *name, char out[LIVE_SOCKET])
{
	(void)snprintf(out, LIVE_SOCKET, "sandbox-%s", name);
}

static struct client *free_place(struct live *l)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(l->clients); i++) {
		if (l->clients[i].fd < 0)
			return &l->clients[i];
	}
	return NULL;
}

/* Nobody is let in where all places are taken. */
static void update(struct live *l)
{
	l->source->events = l->ready && free_place(l) ? POLLIN : 0;
}

unsigned int live_attached(const struct live *l)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(l->clients); i++)
		n += l->clients[i].fd >= 0 && l->clients[i].session;
	return n;
}

/*
 * Those of sessions may stay for months, and leave places for those who ask, or stop it. What has a command's pipes has
 * a session, or had one.
 */
static bool is_full(const struct live *l, unsigned int places)
{
	const struct client *c;
	unsigned int n = 0;

	for (c = l->clients; c < l->clients + ARRAY_SIZE(l->clients); c++)
		n += c->fd >= 0 && (c->session || c->ends[0] >= 0 || c->ends[1] >= 0);
	return n >= places;
}

/* It was one of its session's clients. */
static void part(struct client *c)
{
	if (c->view)
		view_close(&c->live->sessions, c->view);
	if (c->session)
		sessions_leave(c->session);
	c->view = NULL;
	c->session = NULL;
}

static void leave(struct client *c)
{
	size_t i;

	part(c);
	/* what its command has left running must not be ended by SIGPIPE, nor wait */
	for (i = 0; i < ARRAY_SIZE(c->ends); i++) {
		if (c->ends[i] >= 0)
			sessions_drain(&c->live->sessions, TAKE_FD(c->ends[i]));
	}
	cleanup_close(&c->fd);
	c->fd = c->source->fd = -1;
	c->source->events = 0;
	update(c->live);
}

/* Whoever can't take an answer at once has stopped reading: it is let go, its command runs on. */
bool live_answer(struct client *c, const struct wire_msg *m, int fd)
{
	if (wire_send(c->fd, m, &fd, fd >= 0, false) == 0)
		return true;
	leave(c);
	return false;
}

void live_refuse(struct client *c, const struct err *e)
{
	struct wire_msg m = { .type = WIRE_FAILED, .session = WIRE_COMMAND, .failed = *e };

	m.failed.sys = e->sys < 0 ? -e->sys : e->sys;
	if (live_answer(c, &m, -1))
		leave(c);
}

__attribute__((format(printf, 3, 4))) static void refuse(struct client *c, int error,
							 const char *fmt, ...)
{
	struct err e = { .sys = error, .code = ERR_SYSTEM };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e.msg, sizeof(e.msg), fmt, ap);
	va_end(ap);
	live_refuse(c, &e);
}

static void say_ended(struct client *c, int status)
{
	struct wire_msg m = { .type = WIRE_ENDED,
			      .session = WIRE_COMMAND,
			      .ended = { .status = status, .offset = -1 } };

	if (live_tell(c) && live_answer(c, &m, -1))
		leave(c);
}

/* A view is at its end (sessions.h). */
static void on_done(void *arg, const struct session *one, bool slow)
{
	struct client *c = arg;

	if (one && slow) {
		refuse(c, EPIPE,
		       "this client has not read for %d seconds, so it was let go; session %u runs on",
		       LIMIT_STALL_MS / 1000, one->number);
	} else if (one && one->over) {
		say_ended(c, one->status);
	} else {
		leave(c); /* it has gone; or it has what is kept, and wanted no more */
	}
}

/* @type: WIRE_SPAWN, WIRE_COPY or WIRE_SERVICE. @fds: the words, and what else sessions_streams() wants. Return: 0 or negative errno with @e. */
static int spawn_in(const struct live *l, struct session *one, enum wire_type type, const int *fds,
		    struct err *e)
{
	struct wire_msg m = { .type = type, .session = sessions_wire(one) };
	int own[3] = { -1, -1, -1 }, give[4], r;
	size_t n, i;

	r = sessions_streams(one, fds, give, &n, own);
	if (r == 0)
		r = wire_send(l->run->jail.sock, &m, give, n, false);
	for (i = 0; i < ARRAY_SIZE(own); i++)
		cleanup_close(&own[i]);
	if (r == -EAGAIN) /* its PID 1 reads nothing, and must not hold us up */
		return err_set(e, ERR_SYSTEM, r, "the sandbox does not answer");
	return r < 0 ? err_sys(e, r, "the sandbox") : 0;
}

/* @m: WIRE_OPEN; @type: what PID 1 is told */
static void on_open(struct client *c, const struct wire_msg *m, enum wire_type type,
		    int fds[WIRE_FDS])
{
	struct live *l = c->live;
	const bool held = m->open.flags & WIRE_OPEN_HELD;
	struct init_command cmd;
	struct session *one = NULL;
	struct err e = ERR_INIT;
	void *memory = NULL;
	int r;

	if (l->stopping || c->session) {
		refuse(c, EBUSY,
		       l->stopping ? "the sandbox is being stopped" :
				     "one command for each connection");
		return;
	}
	/* who has none of its streams goes when it has begun; were all held before that, some places would still be left */
	if (is_full(l, held && fds[1] < 0 ? LIMIT_CLIENTS + LIMIT_ASKING / 2 : LIMIT_CLIENTS)) {
		refuse(c, EAGAIN, FULL, LIMIT_CLIENTS);
		return;
	}
	if (life_wake(&l->life, LIFE_WAKE_EXEC, &e) < 0) {
		live_refuse(c, &e);
		return;
	}
	r = init_unpack(fds[0], &cmd, &memory);
	if (r == 0 && (held != (fds[2] < 0) || (!held && cmd.tty.fds) ||
		       (cmd.tty.fds && m->open.flags & ~WIRE_OPEN_HELD) ||
		       (fds[1] >= 0 && held && !cmd.tty.fds)))
		r = -EBADMSG;
	if (r < 0)
		(void)err_sys(&e, r, "the command's words");
	else
		r = sessions_open(&l->sessions, m, &cmd, &one, &e);
	free(memory);
	if (r == 0) {
		c->session = one;
		live_note(c);
		sessions_enter(one);
		if (held && fds[1] >= 0 &&
		    !(c->view = view_open(&l->sessions, one, TAKE_FD(fds[1]), -1,
					  sessions_oldest(one, false), true, c)))
			r = err_set(&e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	if (r == 0)
		r = spawn_in(l, one, type, fds, &e);
	if (r == 0 && !held) {
		c->ends[0] = TAKE_FD(fds[4]);
		c->ends[1] = TAKE_FD(fds[5]);
	}
	if (r < 0) {
		part(c);
		if (one)
			sessions_drop(&l->sessions, one);
		live_refuse(c, &e);
	}
}

/* The session that a client means by @word; or it is refused. */
static struct session *which(struct client *c, const char *word, bool terminal)
{
	struct session *one = sessions_find(&c->live->sessions, word, terminal);

	if (!one && *word)
		refuse(c, ENOENT, "there is no session '%s'", word);
	else if (!one)
		refuse(c, ENOENT,
		       terminal ?
			       "there is no session with a terminal; name the one that you mean ('bailey sessions' lists them)" :
			       "there is no session whose output is kept");
	return one;
}

/* @from: position of the first byte that the client will get */
static bool say_which(struct client *c, const struct session *one, uint64_t from)
{
	const uint64_t history = one->ring.total - from;
	struct wire_msg m = { .type = WIRE_SESSION,
			      .session = WIRE_COMMAND,
			      .which = { .number = one->number,
					 .flags = (one->terminal ? WIRE_SESSION_TERMINAL : 0) |
						  (one->ended ? WIRE_SESSION_ENDED : 0) |
						  (one->input.fd >= 0 ? WIRE_SESSION_INPUT : 0),
					 .history = history } };

	return live_answer(c, &m, -1);
}

static void on_attach(struct client *c, const struct wire_msg *m, int fds[WIRE_FDS])
{
	struct live *l = c->live;
	struct err e = ERR_INIT;
	struct session *one;
	uint64_t from;

	if (c->session) {
		refuse(c, EBUSY, "one session for each connection");
		return;
	}
	if (is_full(l, LIMIT_CLIENTS)) {
		refuse(c, EAGAIN, FULL, LIMIT_CLIENTS);
		return;
	}
	if (m->attach.flags & WIRE_ATTACH_TERMINAL && life_wake(&l->life, LIFE_WAKE_EXEC, &e) < 0) {
		live_refuse(c, &e);
		return;
	}
	one = which(c, m->attach.word, m->attach.flags & WIRE_ATTACH_TERMINAL);
	if (!one)
		return;
	if (!one->held) {
		refuse(c, EINVAL,
		       "session %u has the streams of its own client: nothing of it is kept",
		       one->number);
		return;
	}
	/* a terminal gets what everybody else has seen; who prints it, whole lines */
	from = sessions_oldest(one, !(m->attach.flags & WIRE_ATTACH_TERMINAL));
	if (!say_which(c, one, from))
		return;
	c->view = view_open(&l->sessions, one, TAKE_FD(fds[0]), TAKE_FD(fds[1]), from,
			    m->attach.flags & WIRE_ATTACH_FOLLOW, c);
	if (!c->view) {
		refuse(c, ENOMEM, "out of memory");
		return;
	}
	c->session = one;
	c->attached = true;
	live_note(c);
	sessions_enter(one);
	c->view->read_only = m->attach.flags & WIRE_ATTACH_READ_ONLY;
	view_resize(&l->sessions, c->view, m->attach.rows, m->attach.cols);
	view_show(&l->sessions, c->view);
}

static void signal_to(void *arg, const struct session *one, int sig)
{
	const struct live *l = arg;
	struct wire_msg m = { .type = WIRE_SIGNAL,
			      .session = sessions_wire(one),
			      .signal = { .signal = sig, .flags = WIRE_SIGNAL_GROUP } };

	(void)wire_send(l->run->jail.sock, &m, NULL, 0, false);
}

/* PID 1 hears of the signal when it runs again: who waits for what comes of it may wait for long. */
static void say_paused(struct client *c)
{
	struct wire_msg m = { .type = WIRE_FAILED,
			      .session = WIRE_COMMAND,
			      .failed = { .sys = EBUSY, .code = ERR_SYSTEM } };

	(void)snprintf(
		m.failed.msg, sizeof(m.failed.msg),
		"sandbox '%s' is paused, and gets the signal when it runs; first: bailey resume %s",
		c->live->name, c->live->name);
	(void)live_answer(c, &m, -1);
}

static void on_kill(struct client *c, const struct wire_msg *m)
{
	const struct session *one = which(c, m->end.word, true);

	if (!one)
		return;
	if (one->ended) {
		refuse(c, ESRCH, "session %u has ended", one->number);
		return;
	}
	signal_to(c->live, one, m->end.signal);
	if (c->live->life.frozen)
		say_paused(c);
	else
		(void)say_which(c, one, sessions_oldest(one, false));
}

static void on_message(struct client *c, struct wire_msg *m, int fds[WIRE_FDS])
{
	struct live *l = c->live;

	switch (m->type) {
	case WIRE_OPEN:
		on_open(c, m, WIRE_SPAWN, fds);
		break;
	case WIRE_COPY:
		on_open(c, &(struct wire_msg){ .type = WIRE_OPEN, .session = WIRE_COMMAND },
			WIRE_COPY, fds);
		break;
	case WIRE_ATTACH:
		on_attach(c, m, fds);
		break;
	case WIRE_RESIZE:
		if (c->view)
			view_resize(&l->sessions, c->view, m->resize.rows, m->resize.cols);
		break;
	case WIRE_SIGNAL:
		if (!c->session || c->attached)
			break;
		m->session = sessions_wire(c->session);
		(void)wire_send(l->run->jail.sock, m, NULL, 0, false);
		if (l->life.frozen)
			say_paused(c);
		break;
	case WIRE_KILL:
		on_kill(c, m);
		break;
	case WIRE_LIST:
		live_list(c);
		break;
	case WIRE_BROKEN:
		cleanup_close(&c->ends[m->broken.which]);
		c->ends[m->broken.which] = -1;
		break;
	case WIRE_STOP:
		live_stop(l->run, m->stop.grace_ms,
			  WIRE_WHY_ASKED); /* it waits until we are gone */
		break;
	case WIRE_ASK:
	case WIRE_PAUSE:
	case WIRE_RESUME:
	case WIRE_EXTEND:
	case WIRE_PORT_ASK:
	case WIRE_PUBLISH:
		live_question(c, m);
		break;
	case WIRE_SERVICES_ASK:
	case WIRE_SERVICES_SET:
	case WIRE_SERVICE_ORDER:
		live_service_question(c, m, fds);
		break;
	default: /* what only a supervisor says */
		leave(c);
	}
}

static int on_client(void *arg, short revents, struct err *e)
{
	struct client *c = arg;
	struct wire_msg m;
	int fds[WIRE_FDS], r = wire_recv(c->fd, WIRE_FROM_SUPERVISOR, &m, fds);
	size_t i;

	(void)revents;
	(void)e;
	if (r == -EAGAIN)
		return r;
	if (r == -EPROTONOSUPPORT) {
		refuse(c, EPROTONOSUPPORT,
		       "this sandbox is of another version of bailey"); /* only the number of it is understood */
		return -EAGAIN;
	}
	if (r <= 0) { /* it has gone; its command runs on */
		leave(c);
		return -EAGAIN;
	}
	on_message(c, &m, fds);
	for (i = 0; i < WIRE_FDS; i++)
		cleanup_close(&fds[i]);
	return -EAGAIN;
}

static int on_sessions(void *arg, short revents, struct err *e)
{
	struct live *l = arg;

	(void)revents;
	(void)e;
	sessions_copy(&l->sessions);
	return -EAGAIN;
}

static int on_connection(void *arg, short revents, struct err *e)
{
	struct live *l = arg;
	struct client *c = free_place(l);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct sockaddr_un from;
	socklen_t size = sizeof(from);
	int fd = c ? accept4(l->listener, (struct sockaddr *)&from, &size,
			     SOCK_CLOEXEC | SOCK_NONBLOCK) :
		     -1;

	(void)revents;
	(void)e;
	if (fd < 0)
		return -EAGAIN;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    (peer.uid != geteuid() && peer.uid != 0)) {
		(void)close(fd);
		return -EAGAIN;
	}
	c->fd = c->source->fd = fd;
	c->attached = false;
	c->source->events = POLLIN;
	update(l);
	return -EAGAIN;
}

const char *live_id(const struct run *run)
{
	return run->live ? run->live->id : NULL;
}

int live_add(struct run *run, struct err *e)
{
	struct live *l = run->live;
	size_t i;
	bool room;

	l->run = run;
	l->source = loop_add(&run->loop, l->listener, 0, on_connection, l);
	l->sessions.done = on_done;
	room = l->source && loop_add(&run->loop, l->sessions.epoll, POLLIN, on_sessions, l);
	for (i = 0; i < ARRAY_SIZE(l->clients); i++) {
		struct client *c = &l->clients[i];

		*c = (struct client){ .live = l, .fd = -1, .ends = { -1, -1 } };
		c->source = loop_add(&run->loop, -1, 0, on_client, c);
		room = room && c->source;
	}
	return room ? 0 : err_set(e, ERR_SYSTEM, -ENOSPC, "too many descriptors to wait for");
}

struct stay *live_stay(struct live *live, struct sandbox *s)
{
	struct stay *stay = arena_alloc(&s->arena, sizeof(*stay)); /* PID 1 reads it */
	const char *name = sandbox_keep(s, live->name), *dir = sandbox_keep(s, live->dir);

	if (!stay || !name || !dir)
		return NULL;
	stay_init(stay, name, dir, live->block);
	stay->given = live->volumes;
	stay->home = live->home;
	stay->host_env = live->host_env;
	return stay;
}

/* Clients are let in. */
static void open_door(struct live *l)
{
	const char *missing = ssh_missing(l->run);
	struct buf text = BUF_INIT(4096);

	l->ready = true;
	update(l);
	buf_puts(&text, "ok");
	if (missing)
		buf_quote(&text, missing);
	(void)fd_write_all(l->status, text.failed ? "ok" : text.data,
			   text.failed ? 2 : text.len); /* who has started us may have gone */
	buf_done(&text);
	cleanup_close(&l->status);
	l->status = -1;
}

void live_ready(struct run *run)
{
	struct live *l = run->live;

	/* PID 1 has those of programs; we hold the streams of many */
	(void)fd_raise_limit(); /* fewer clients, then */
	run->jail.order = WIRE_SERVING;
	life_begin(&l->life, run);
	l->begun = true;
	if (!l->services.first)
		open_door(l);
}

static int spawn_service(void *arg, struct session *one, const struct init_command *cmd,
			 struct err *e)
{
	_cleanup_close_ int words = init_pack(cmd, e);

	return words < 0 ? words : spawn_in(arg, one, WIRE_SERVICE, &words, e);
}

static bool listens(void *arg, unsigned int port)
{
	const struct live *l = arg;

	return listening_on(l->run->jail.pid, port);
}

void live_services(struct live *l)
{
	l->services = (struct services){ .sessions = &l->sessions,
					 .spawn = spawn_service,
					 .send = signal_to,
					 .listens = listens,
					 .arg = l };
}

/* PID 1 says that @one does not run, or has ended: everybody who waits for that hears it. Who has something left to read goes later. */
static void tell_clients(struct live *l, const struct session *one, const struct wire_msg *m)
{
	struct wire_msg copy = *m;
	size_t i;

	copy.session = WIRE_COMMAND;
	for (i = 0; i < ARRAY_SIZE(l->clients); i++) {
		struct client *c = &l->clients[i];

		if (c->fd < 0 || c->session != one || (m->type == WIRE_ENDED && !live_tell(c)) ||
		    !live_answer(c, &copy, -1))
			continue;
		if (c->ends[0] >= 0 || c->ends[1] >= 0)
			part(c);
		else
			leave(c);
	}
}

/* Its number is that by which PID 1 and we know it. */
static void tell_started(struct live *l, const struct session *one, const struct wire_msg *m)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(l->clients); i++) {
		if (l->clients[i].fd >= 0 && l->clients[i].session == one &&
		    !l->clients[i].attached)
			(void)live_answer(&l->clients[i], m, -1);
	}
}

static void on_failed(struct live *l, struct session *one, const struct wire_msg *m)
{
	if (!one->service) /* who follows one waits for its next start */
		tell_clients(l, one, m);
	if (services_failed(&l->services, one, &m->failed))
		life_failed(&l->life, one->number, one->name, err_exit_code(&m->failed));
	else
		sessions_drop(&l->sessions, one);
}

void live_report(struct run *run, const struct wire_msg *m, int fd)
{
	static const struct wire_msg lie = {
		.type = WIRE_FAILED,
		.failed = { .sys = EBADMSG,
			    .code = ERR_SYSTEM,
			    .msg = "the sandbox handed over something that is no terminal" }
	};
	struct live *l = run->live;
	struct session *one = sessions_by_wire(&l->sessions, m->session);
	/* its end may be the end of what we know */
	const uint32_t number = one ? one->number : 0;
	char service[WIRE_WORD] = "";

	if (one && one->service)
		memcpy(service, one->name, sizeof(service));
	if (!one || one->ended || (m->type == WIRE_STARTED && one->pid)) {
		cleanup_close(
			&fd); /* PID 1 is not believed, and knows no number that we have not given */
		return;
	}
	if (m->type == WIRE_STARTED) {
		if (sessions_started(&l->sessions, one, m->started.pid, TAKE_FD(fd)) < 0)
			on_failed(l, one, &lie);
		else
			tell_started(l, one, m);
		(void)services_started(&l->services, one); /* where it is one */
	} else if (m->type == WIRE_FAILED) {
		on_failed(l, one, m);
	} else if (m->type == WIRE_ENDED) {
		if (!one->held)
			tell_clients(l, one, m);
		sessions_ended(&l->sessions, one, m->ended.status);
		(void)services_ended(&l->services, one, m->ended.status); /* where it is one */
		if (!one->held && !*one->name)
			sessions_drop(&l->sessions, one);
	}
	cleanup_close(&fd);
	/* when who waits has the answer */
	if (m->type == WIRE_STARTED)
		life_session(&l->life, number, *service ? service : NULL, -1);
	else if (m->type == WIRE_ENDED)
		life_session(&l->life, number, *service ? service : NULL,
			     WIFSIGNALED(m->ended.status) ? 128 + WTERMSIG(m->ended.status) :
							    WEXITSTATUS(m->ended.status));
}

void live_stop(struct run *run, unsigned int grace_ms, enum wire_why why)
{
	struct live *l = run->live;

	life_ends(&l->life, why);
	if (!l->stopping)
		live_tell_leaving(l);
	if (!l->stopping || l->kill_at > clock_ms() + (long)grace_ms)
		l->kill_at = clock_ms() + (long)grace_ms;
	l->stopping = true;
	l->told = false;
	/* each in its turn, but not longer than the rest can wait */
	l->tell_at = clock_ms() + (long)grace_ms / 2;
	services_stop(&l->services, grace_ms);
}

void live_signal(struct run *run, int sig)
{
	struct live *l = run->live;
	const bool ask = (sig == SIGTERM || sig == SIGHUP) && l->begun && !l->signalled;

	l->signalled = true;
	live_stop(run, ask ? GRACE_MS : 0, WIRE_WHY_SIGNAL);
}

/* Services have ended: now all else does. */
static void end_all(struct live *l, long *wait)
{
	const struct wire_msg m = { .type = WIRE_STOP };
	const long left = l->tell_at - clock_ms();

	if (services_any(&l->services) && left > 0) {
		if (*wait < 0 || *wait > left)
			*wait = left;
		return;
	}
	l->told = true;
	(void)wire_send(l->run->jail.sock, &m, NULL, 0, false);
}

void live_over(struct run *run)
{
	struct live *l = run->live;

	(void)unlinkat(l->runtime, l->socket, 0);
	cleanup_close(&l->listener);
	l->listener = -1;
}

bool live_stopping(const struct run *run)
{
	return run->live->stopping;
}

void live_wake(struct run *run)
{
	struct err e = ERR_INIT;

	(void)life_wake(&run->live->life, LIFE_WAKE_ANY, &e); /* or it is to stay as it is */
}

bool live_paused(const struct run *run)
{
	return run->live->life.frozen;
}

bool live_step(struct run *run, long *wait)
{
	struct live *l = run->live;
	long left;

	sessions_step(&l->sessions, l->life.frozen, wait, signal_to, l);
	if (l->begun && !l->life.frozen) {
		services_step(&l->services, wait);
		if (!l->ready && services_settled(&l->services))
			open_door(l);
	}
	if (life_step(&l->life, live_attached(l) > 0, wait))
		live_stop(run, GRACE_MS, l->life.why);
	if (!l->stopping)
		return false;
	if (!l->told)
		end_all(l, wait);
	left = l->kill_at - clock_ms();
	if (left <= 0) {
		(void)kill(run->jail.pid, SIGKILL);
		return true;
	}
	if (*wait < 0 || *wait > left)
		*wait = left;
	return false;
}
