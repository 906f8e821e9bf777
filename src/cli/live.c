/* SPDX-License-Identifier: Apache-2.0 */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sandbox.h"
#include "settings.h"
#include "stay.h"

#define FIRST_SESSION (WIRE_COMMAND + 1)
#define LIVE_WORDS 4 /* before those of the command line */

struct client {
	struct live *live;
	struct loop_source *source;
	int fd;           /* -1: nobody is here */
	uint32_t session; /* of its command; WIRE_SANDBOX: it has none */
};

struct live {
	struct run *run;
	int listener, status;
	struct loop_source *source;
	char socket[LIVE_SOCKET];
	const char *name;
	char dir[LIMIT_PATH]; /* what is kept of it */
	unsigned int block;   /* of ids */
	int runtime;
	uint32_t next; /* session */
	bool ready, stopping;
	long kill_at; /* ms of CLOCK_MONOTONIC */
	struct client clients[LIMIT_CLIENTS];
};

void live_socket(const char *name, char out[LIVE_SOCKET])
{
	(void)snprintf(out, LIVE_SOCKET, "sandbox-%s", name);
}

static long now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* can't fail for this clock */
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct client *free_place(struct live *l)
{
	size_t i;

	for (i = 0; i < LIMIT_CLIENTS; i++) {
		if (l->clients[i].fd < 0)
			return &l->clients[i];
	}
	return NULL;
}

/* Nobody waits in the queue of a supervisor whose places are all taken. */
static void update(struct live *l)
{
	l->source->events = l->ready && free_place(l) ? POLLIN : 0;
}

static void leave(struct client *c)
{
	cleanup_close(&c->fd);
	c->fd = c->source->fd = -1;
	c->source->events = 0;
	c->session = WIRE_SANDBOX;
	update(c->live);
}

/* Whoever can't take an answer at once has stopped reading: it is let go, its command runs on. */
static bool answer(struct client *c, const struct wire_msg *m, int fd)
{
	if (wire_send(c->fd, m, &fd, fd >= 0, false) == 0)
		return true;
	leave(c);
	return false;
}

static void refuse(struct client *c, int error, const char *why)
{
	struct wire_msg m = { .type = WIRE_FAILED,
			      .session = WIRE_COMMAND,
			      .failed = { .sys = error, .code = ERR_SYSTEM } };

	(void)snprintf(m.failed.msg, sizeof(m.failed.msg), "%s", why);
	if (answer(c, &m, -1))
		leave(c);
}

static void on_spawn(struct client *c, struct wire_msg *m, const int fds[WIRE_FDS])
{
	struct live *l = c->live;
	size_t n = fds[1] >= 0 ? 4 : 1;

	if (l->stopping || c->session != WIRE_SANDBOX) {
		refuse(c, EBUSY,
		       l->stopping ? "the sandbox is being stopped" :
				     "one command for each connection");
		return;
	}
	if (l->next < FIRST_SESSION) /* after four thousand million commands */
		l->next = FIRST_SESSION;
	c->session = m->session = l->next++;
	if (wire_send(l->run->jail.sock, m, fds, n, true) < 0)
		refuse(c, EPIPE, "the sandbox does not listen any more");
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
	if (r <= 0) { /* it has gone; its command runs on */
		leave(c);
		return -EAGAIN;
	}
	if (m.type == WIRE_SPAWN) {
		on_spawn(c, &m, fds);
	} else if (m.type == WIRE_SIGNAL && c->session != WIRE_SANDBOX) {
		m.session = c->session;
		(void)wire_send(c->live->run->jail.sock, &m, NULL, 0, false);
	} else if (m.type == WIRE_STOP) {
		live_stop(c->live->run, m.stop.grace_ms); /* it waits until we are gone */
	}
	for (i = 0; i < WIRE_FDS; i++)
		cleanup_close(&fds[i]);
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
	int fd = c ? accept4(l->listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC) : -1;

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
	c->source->events = POLLIN;
	update(l);
	return -EAGAIN;
}

int live_add(struct run *run, struct err *e)
{
	struct live *l = run->live;
	size_t i;
	bool room;

	l->run = run;
	l->source = loop_add(&run->loop, l->listener, 0, on_connection, l);
	room = l->source != NULL;
	for (i = 0; i < LIMIT_CLIENTS; i++) {
		struct client *c = &l->clients[i];

		*c = (struct client){ .live = l, .fd = -1 };
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
	return stay;
}

void live_ready(struct run *run)
{
	struct live *l = run->live;

	run->jail.order = WIRE_SERVING;
	l->ready = true;
	update(l);
	(void)fd_write_all(l->status, "ok", 2); /* who has started us may have gone */
	cleanup_close(&l->status);
	l->status = -1;
}

void live_report(struct run *run, const struct wire_msg *m, int fd)
{
	struct live *l = run->live;
	struct wire_msg copy = *m;
	size_t i;

	copy.session = WIRE_COMMAND;
	for (i = 0; i < LIMIT_CLIENTS; i++) {
		struct client *c = &l->clients[i];

		if (c->fd < 0 || c->session != m->session)
			continue;
		if (answer(c, &copy, fd) && (m->type == WIRE_ENDED || m->type == WIRE_FAILED))
			leave(c);
	}
	cleanup_close(&fd);
}

void live_stop(struct run *run, unsigned int grace_ms)
{
	struct wire_msg m = { .type = WIRE_STOP, .stop = { .grace_ms = grace_ms } };
	struct live *l = run->live;

	if (!l->stopping || l->kill_at > now_ms() + (long)grace_ms)
		l->kill_at = now_ms() + (long)grace_ms;
	l->stopping = true;
	(void)wire_send(run->jail.sock, &m, NULL, 0, false);
}

bool live_stopping(const struct run *run)
{
	return run->live->stopping;
}

bool live_step(struct run *run, long *wait)
{
	const struct live *l = run->live;
	const long left = l->kill_at - now_ms();

	if (!l->stopping)
		return false;
	if (left <= 0) {
		(void)kill(run->jail.pid, SIGKILL);
		return true;
	}
	if (*wait < 0 || *wait > left)
		*wait = left;
	return false;
}

/* What we were started with. @words: into @b */
static int read_words(struct buf *b, char ***ret, struct err *e)
{
	size_t n = 0, i, at = 0;
	char **words;

	if (fd_read_all(LIVE_FD_WORDS, b) < 0 || b->len == 0 || b->data[b->len - 1])
		return err_set(e, ERR_SYSTEM, -EBADMSG, "the sandbox's words can't be read");
	for (i = 0; i < b->len; i++)
		n += !b->data[i];
	words = calloc(n + 1, sizeof(*words));
	if (!words || n < LIVE_WORDS) {
		free(words);
		return err_set(e, ERR_SYSTEM, -EBADMSG, "the sandbox's words can't be read");
	}
	for (i = 0; i < n; i++) {
		words[i] = b->data + at;
		at += strlen(b->data + at) + 1;
	}
	*ret = words;
	return 0;
}

static int listen_as(struct live *l, const char *name, const char *id, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	char path[LIMIT_PATH];
	struct sockaddr_un a;
	_cleanup_close_ int state = -1;
	socklen_t len;
	int r = sandbox_find_home(&s, e);

	if (r == 0 && settings_state_dir(s.home, path) < 0)
		r = err_set(e, ERR_SYSTEM, -ENOENT, "there is no directory for bailey's state");
	sandbox_done(&s);
	if (r < 0)
		return r;
	state = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l->runtime = state < 0 ? -errno : guard_sockets(state);
	if (l->runtime < 0)
		return err_sys(e, l->runtime, "the directory of sockets below %s", path);
	live_socket(name, l->socket);
	l->name = name;
	if (snprintf(l->dir, sizeof(l->dir), "%s/sandboxes/%s", path, id) >= (int)sizeof(l->dir))
		return err_set(e, ERR_SYSTEM, -ENAMETOOLONG, "the path of the state is too long");
	len = sock_own_address(l->runtime, l->socket, &a);
	l->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	(void)unlinkat(l->runtime, l->socket, 0); /* of one that was killed: we hold the lock */
	if (l->listener < 0 || bind(l->listener, (struct sockaddr *)&a, len) < 0 ||
	    listen(l->listener, 128) < 0)
		return err_sys(e, -errno, "the sandbox's socket");
	return 0;
}

int live_main(void)
{
	struct live l = {
		.listener = -1, .status = LIVE_FD_STATUS, .runtime = -1, .next = FIRST_SESSION
	};
	struct sandbox_options o;
	struct opt table[SANDBOX_OPTIONS];
	struct buf words = BUF_INIT(LIMIT_SPAWN), text = BUF_INIT(4096);
	struct err e = ERR_INIT;
	char **argv = NULL;
	bool dashes;
	size_t rest;
	int r, fd;

	for (fd = LIVE_FD_STATUS; fd <= LIVE_FD_LOCK; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGPIPE, SIG_IGN);
	sandbox_options(&o, table, ARRAY_SIZE(table));
	r = read_words(&words, &argv, &e);
	(void)close(LIVE_FD_WORDS);
	if (r == 0 && argv && chdir(argv[0]) < 0)
		r = err_sys(&e, -errno, "%s, where the sandbox was created", argv[0]);
	if (r == 0 && argv)
		r = opt_parse(table, argv + LIVE_WORDS, &rest, &dashes, &e);
	if (r == 0 && argv)
		r = listen_as(&l, argv[1], argv[2], &e);
	if (r == 0 && argv)
		l.block = (unsigned int)strtoul(argv[3], NULL, 10);
	if (r == 0)
		r = run_live(&o, &l, &e);
	if (l.runtime >= 0)
		(void)unlinkat(l.runtime, l.socket, 0);
	if (r < 0 && l.status >= 0) {
		buf_quote(&text, e.msg);
		(void)fd_write_all(l.status, text.data, text.len);
	}
	sandbox_options_done(&o);
	free(argv);
	buf_done(&words);
	buf_done(&text);
	return r < 0 ? cli_fail(&e) : 0;
}
