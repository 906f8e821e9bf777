/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of a sandbox that stays. As init.c says of signals and of what is believed; but commands come and go, and what they leave running
 * runs on. A command is a session, with the number that the supervisor has given it. It is over when its first process has ended; only then
 * its number is forgotten. Everything ends when the supervisor says so: SIGTERM to all (and SIGHUP to who has a terminal), and PID 1 ends when nobody is left; who does
 * not go is killed with PID 1, by the supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copy.h"
#include "init.h"
#include "spawn.h"
#include "tty.h"
#include "user.h"
#include "wire/wire.h"

#define TTY_GROUP 5 /* "tty", as devpts' own default of distributions */

struct served {
	uint32_t id;
	pid_t pid;     /* leads a session */
	bool group;    /* its process group ends with it */
	bool terminal; /* it has one */
	int said;      /* it is about to be executed: what spawn_end() takes; else -1 */
	int master;    /* of its terminal, until the supervisor has that; or -1 */
};

struct server {
	int sock, signals;
	int begun; /* epoll: what is said of those that are about to be executed */
	char *const *envp;
	const struct init_agent *agent;
	struct loop loop;
	struct served *sessions; /* LIMIT_SERVED places */
	size_t n, groups;
	bool stopping;
};

static void tell(const struct server *s, const struct wire_msg *m, int fd)
{
	(void)wire_send(s->sock, m, &fd, fd >= 0, true); /* who has gone will end us */
}

static void say_ended(const struct server *s, uint32_t id, int status)
{
	struct wire_msg m = { .type = WIRE_ENDED,
			      .session = id,
			      .ended = { .status = status, .offset = -1 } };

	tell(s, &m, -1);
}

/*
 * The next that is dead, as waitpid(2). The process group of one whose end is theirs, too, is killed while it is a zombie: until it is reaped no other group
 * has that number. It leads a session, so it can't have left its group.
 */
static pid_t next_dead(const struct server *s, int *st)
{
	siginfo_t dead = { .si_pid = 0 };
	size_t i;

	if (!s->groups)
		return waitpid(-1, st, WNOHANG);
	if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -1;
	if (!dead.si_pid)
		return 0;
	for (i = 0; i < s->n; i++) {
		if (s->sessions[i].pid == dead.si_pid && s->sessions[i].group)
			(void)kill(-dead.si_pid, SIGKILL);
	}
	return waitpid(dead.si_pid, st, 0);
}

static void forget(struct server *s, size_t i)
{
	s->groups -= s->sessions[i].group;
	s->sessions[i] = s->sessions[--s->n];
}

/* What is said of a command that was about to be executed. Return: whether it runs, or has run. */
static bool settle(struct server *s, size_t i)
{
	struct served *one = &s->sessions[i];
	struct wire_msg m = { .type = WIRE_STARTED,
			      .session = one->id,
			      .started = { .pid = (uint32_t)one->pid } };
	struct err e = ERR_INIT;
	_cleanup_close_ int master = TAKE_FD(one->master);
	bool runs;

	/* first: another child that is about to be executed has it, too, so that closing it is no end of it. That it is not among them is no news */
	(void)epoll_ctl(s->begun, EPOLL_CTL_DEL, one->said, NULL);
	runs = spawn_end(TAKE_FD(one->said), &e) == 0;
	if (!runs) {
		m.type = WIRE_FAILED;
		m.failed = e;
		forget(s, i); /* its end is nobody's */
	}
	tell(s, &m, runs ? master : -1);
	return runs;
}

static int on_begun(void *arg, short revents, struct err *e)
{
	struct server *s = arg;
	struct epoll_event ev;
	size_t i;

	(void)revents;
	(void)e;
	if (epoll_wait(s->begun, &ev, 1, 0) != 1)
		return -EAGAIN;
	for (i = 0; i < s->n; i++) {
		if (s->sessions[i].id == ev.data.u32 && s->sessions[i].said >= 0) {
			(void)settle(s, i);
			break;
		}
	}
	return -EAGAIN;
}

/* Reap what is dead. Return: -EAGAIN; 0 when we are to stop and nobody is left. */
static int reap(struct server *s)
{
	pid_t pid;
	size_t i;
	int st;

	while ((pid = next_dead(s, &st)) > 0) {
		for (i = 0; i < s->n && s->sessions[i].pid != pid; i++)
			;
		if (i == s->n || (s->sessions[i].said >= 0 && !settle(s, i)))
			continue;
		say_ended(s, s->sessions[i].id, st);
		forget(s, i);
	}
	return s->stopping && pid < 0 && errno == ECHILD ? 0 : -EAGAIN;
}

static int on_signal(void *arg, short revents, struct err *e)
{
	struct server *s = arg;
	struct signalfd_siginfo si;

	(void)revents;
	(void)e;
	return read(s->signals, &si, sizeof(si)) == (ssize_t)sizeof(si) ? reap(s) : -EAGAIN;
}

static const char *path_of(char *const *envp)
{
	for (; *envp; envp++) {
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	}
	return NULL;
}

/* What stands in both is taken from @added. Return: a vector to be freed, or NULL. */
static char **merge_env(char *const *base, char *const *added)
{
	size_t n = 0, m = 0, i, k, len;
	char **v;

	while (base[n])
		n++;
	while (added[m])
		m++;
	v = malloc((n + m + 1) * sizeof(*v));
	if (!v)
		return NULL;
	for (i = 0, k = 0; i < n; i++) {
		size_t j;

		len = strcspn(base[i], "=");
		for (j = 0; j < m && (strncmp(base[i], added[j], len) != 0 || added[j][len] != '=');
		     j++)
			;
		if (j == m)
			v[k++] = base[i];
	}
	memcpy(v + k, added, (m + 1) * sizeof(*v));
	return v;
}

/* @base, what a command that runs as somebody else is told of him, and @added. Return: a vector to be freed, or NULL. */
static char **make_env(char *const *base, struct init_ids *ids, char *const *added)
{
	char *const whose[] = { ids->env[0], ids->env[1], ids->env[2], NULL };
	char **v, **all;

	(void)snprintf(ids->env[0], sizeof(ids->env[0]), "HOME=%s", ids->home);
	(void)snprintf(ids->env[1], sizeof(ids->env[1]), "USER=%s", ids->name);
	(void)snprintf(ids->env[2], sizeof(ids->env[2]), "LOGNAME=%s", ids->name);
	v = merge_env(base, whose);
	all = v ? merge_env(v, added) : NULL;
	free(v);
	return all;
}

/* Start what @fds bring: the words, and 0-2 but for a terminal. @type: WIRE_SPAWN, WIRE_COPY or WIRE_SERVICE. Return: 0 or negative errno with @e. */
static int start(struct server *s, enum wire_type type, uint32_t id, const int fds[WIRE_FDS],
		 struct err *e)
{
	struct served one = { .id = id, .group = type == WIRE_SERVICE, .said = -1, .master = -1 };
	struct epoll_event ev = { .events = EPOLLIN, .data = { .u32 = id } };
	struct init_command cmd;
	struct init_ids ids;
	int slave = -1, ttys[3], r;
	void *memory = NULL;
	char **envp = NULL;

	r = init_unpack(fds[0], &cmd, &memory);
	if (r < 0)
		return err_sys(e, r, "the command's words");
	if (s->n == LIMIT_SERVED)
		r = err_set(e, ERR_SYSTEM, -EAGAIN,
			    "%d commands run in this sandbox, and no more can", LIMIT_SERVED);
	if (r == 0 && ((cmd.tty.fds == 0) != (fds[1] >= 0) || (type != WIRE_SPAWN && cmd.tty.fds)))
		r = err_set(e, ERR_SYSTEM, -EBADMSG, "the command's streams are missing");
	if (r == 0)
		r = user_find(cmd.user, s->agent, &ids, e);
	if (r == 0 && cmd.tty.fds)
		r = tty_pair(&cmd.tty, &slave, &one.master, e);
	/* as login does; where there is no root inside it is ours already */
	if (r == 0 && slave >= 0 && s->agent->rooted && fchown(slave, ids.uid, TTY_GROUP) < 0)
		r = err_sys(e, -errno, "the command's terminal");
	if (r == 0 &&
	    !(envp = cmd.user ? make_env(s->envp, &ids, cmd.envp) : merge_env(s->envp, cmd.envp)))
		r = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	if (r == 0) {
		ttys[0] = ttys[1] = ttys[2] = slave;
		cmd.envp = envp;
		cmd.path = path_of(envp);
		cmd.ids = s->agent->rooted ? &ids : NULL;
		cmd.streams = slave >= 0 ? ttys : fds + 1;
		one.terminal = slave >= 0;
		r = type == WIRE_COPY ? copy_spawn(&cmd, &one.pid, e) :
					spawn_begin(&cmd, slave, &one.pid, &one.said, e);
	}
	if (r == 0) {
		s->sessions[s->n++] = one;
		s->groups += one.group;
	}
	cleanup_close(&slave);
	free(envp);
	free(memory);
	if (r < 0) {
		cleanup_close(&one.master);
		return r;
	}
	if (one.said < 0)
		tell(s,
		     &(struct wire_msg){ .type = WIRE_STARTED,
					 .session = id,
					 .started = { .pid = (uint32_t)one.pid } },
		     -1);
	else if (epoll_ctl(s->begun, EPOLL_CTL_ADD, one.said, &ev) < 0)
		(void)settle(s, s->n - 1); /* no memory: then it is waited for */
	return 0;
}

static void on_spawn(struct server *s, const struct wire_msg *asked, const int fds[WIRE_FDS])
{
	struct wire_msg m = { .type = WIRE_FAILED, .session = asked->session };
	struct err e = ERR_INIT;

	if (start(s, asked->type, asked->session, fds, &e) == 0)
		return;
	m.failed = e;
	if (m.failed.sys < 0)
		m.failed.sys = -m.failed.sys;
	tell(s, &m, -1);
}

static void signal_one(const struct server *s, const struct wire_msg *m)
{
	const pid_t *pid;
	size_t i;

	for (i = 0; i < s->n; i++) {
		pid = &s->sessions[i].pid;
		/* it may have ended this moment; then its number is not used again before we reap. Before it is executed it may have no group yet */
		if (s->sessions[i].id == m->session &&
		    (!(m->signal.flags & WIRE_SIGNAL_GROUP) || kill(-*pid, m->signal.signal) < 0))
			(void)kill(*pid, m->signal.signal);
	}
}

/* Everybody but us; ESRCH: nobody is there. An interactive shell ignores SIGTERM, and goes when its terminal does: as of one that is closed, its leader is told. */
static void end_all(const struct server *s)
{
	size_t i;

	(void)kill(-1, SIGTERM);
	for (i = 0; i < s->n; i++) {
		if (s->sessions[i].terminal)
			(void)kill(s->sessions[i].pid, SIGHUP);
	}
	(void)kill(-1, SIGCONT);
}

static int on_message(void *arg, short revents, struct err *e)
{
	struct server *s = arg;
	struct wire_msg m;
	int fds[WIRE_FDS], r = wire_recv(s->sock, WIRE_FROM_SUPERVISOR, &m, fds);
	size_t i;

	(void)revents;
	if (r == -EAGAIN)
		return r;
	if (r <= 0) /* our death signal is on its way */
		return err_set(e, ERR_SYSTEM, -EPIPE, "the supervisor has gone");
	r = -EAGAIN;
	if (m.type == WIRE_SPAWN || m.type == WIRE_COPY || m.type == WIRE_SERVICE) {
		on_spawn(s, &m, fds);
	} else if (m.type == WIRE_SIGNAL) {
		signal_one(s, &m);
	} else if (m.type == WIRE_STOP) {
		s->stopping = true;
		end_all(s);
		r = reap(s);
	}
	for (i = 0; i < WIRE_FDS; i++)
		cleanup_close(&fds[i]);
	return r;
}

int init_serve(char *const *envp, const struct init_agent *agent, int sock, int *ret_status,
	       struct err *e)
{
	struct server s = { .sock = sock, .envp = envp, .agent = agent };
	static const struct {
		unsigned long handler, flags, restorer, mask;
	} normal; /* the kernel's struct sigaction, which says SIG_DFL */
	sigset_t child;
	int r, fd, sig;

	/* who has started the sandbox may have ignored some (nohup, a job in the background), and the supervisor ignores SIGPIPE: no command does, unless it wants to */
	for (sig = 1; sig < NSIG; sig++)
		/* not by signal(3), to which libc's own ones are none; all are blocked here, and two can't be changed */
		(void)sys_call(SYS_rt_sigaction, sig, &normal, NULL, sizeof(normal.mask), 0);
	/* who is asked for no streams of its own has none of the supervisor's; and no descriptor that comes is 0, 1 or 2 */
	for (fd = 0; fd <= 2; fd++) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null < 0 || (null != fd && (dup2(null, fd) < 0 || close(null) < 0)))
			return err_sys(e, -errno, "/dev/null");
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	s.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signals < 0)
		return err_sys(e, -errno, "signalfd");
	s.begun = epoll_create1(EPOLL_CLOEXEC);
	if (s.begun < 0)
		return err_sys(e, -errno, "epoll");
	s.sessions = calloc(LIMIT_SERVED, sizeof(*s.sessions));
	if (!s.sessions)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	(void)loop_add(&s.loop, s.signals, POLLIN, on_signal, &s); /* the table is empty */
	(void)loop_add(&s.loop, s.begun, POLLIN, on_begun, &s);
	(void)loop_add(&s.loop, s.sock, POLLIN, on_message, &s);
	do {
		r = loop_wait(&s.loop, -1, e);
	} while (r == -EAGAIN);
	free(s.sessions);
	*ret_status = 0;
	return r;
}
