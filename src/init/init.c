/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. All signals are blocked: the kernel protects PID 1 only from those it has no handler for, and a blocked one is queued,
 * whoever sent it. SIGCHLD alone is read, and says nothing but "look who has died". What is to be done comes from the supervisor,
 * over a socket that no process of the sandbox can reach: PID 1 is not dumpable, and the socket closes on exec.
 *
 * A command with all it starts is a session. When the command ends, everything else is killed and reaped before its status is told.
 */
#include "init.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"
#include "tty.h"
#include "wire/wire.h"

struct session {
	uint32_t id;
	pid_t pid; /* of the command, which leads a process group */
	int tty;   /* its controlling terminal, or -1 */
	bool ended;
	int status;
};

struct init {
	int sock, signals;
	struct loop loop;
	struct session sessions[LIMIT_SESSIONS];
	size_t n;
};

/* Reap what is dead, tell what has stopped. Return: -ECHILD when nobody is left. */
static int reap(struct init *in)
{
	struct wire_msg m = { .type = WIRE_STOPPED };
	pid_t pid;
	size_t i;
	int st;

	while ((pid = waitpid(-1, &st, WNOHANG | WUNTRACED)) > 0) {
		for (i = 0; i < in->n; i++) {
			struct session *s = &in->sessions[i];

			if (s->pid != pid || s->ended)
				continue;
			if (!WIFSTOPPED(st)) {
				s->ended = true;
				s->status = st;
				continue;
			}
			if (s->tty < 0)
				continue; /* its own business: it has no Ctrl-Z that could be meant for the caller's shell */
			m.session = s->id;
			m.stopped.signal = WSTOPSIG(st);
			/* no room: it knows already that something has stopped */
			(void)wire_send(in->sock, &m, NULL, 0, false);
		}
	}
	return pid < 0 ? -errno : 0;
}

static int on_signal(void *arg, short revents, struct err *e)
{
	struct init *in = arg;
	struct signalfd_siginfo si;

	(void)revents;
	(void)e;
	if (read(in->signals, &si, sizeof(si)) == (ssize_t)sizeof(si))
		(void)reap(in);
	return in->sessions[0].ended ? 0 : -EAGAIN;
}

static void obey(const struct session *s, const struct wire_msg *m)
{
	/* it may have ended this moment; then its number is not used again before we reap */
	switch (m->type) {
	case WIRE_SIGNAL:
		(void)kill(m->signal.flags & WIRE_SIGNAL_GROUP ? -s->pid : s->pid,
			   m->signal.signal);
		break;
	case WIRE_CONTINUE:
		if (s->tty >= 0)
			tty_foreground(s->tty, s->pid, m->cont.flags & WIRE_CONTINUE_FOREGROUND);
		(void)kill(-s->pid, SIGCONT);
		break;
	default:
		break; /* wire_recv() lets nothing else through */
	}
}

static int on_message(void *arg, short revents, struct err *e)
{
	struct init *in = arg;
	struct wire_msg m;
	int fds[WIRE_FDS], r;
	size_t i;

	(void)revents;
	r = wire_recv(in->sock, WIRE_FROM_SUPERVISOR, &m, fds);
	if (r == -EAGAIN)
		return r;
	if (r <= 0) /* our death signal is on its way */
		return err_set(e, ERR_SYSTEM, -EPIPE, "the supervisor has gone");
	for (i = 0; i < in->n; i++) {
		if (in->sessions[i].id == m.session && !in->sessions[i].ended)
			obey(&in->sessions[i], &m);
	}
	return -EAGAIN;
}

/* The command, and what the supervisor must know of it. */
static int start(struct init *in, const struct init_command *cmd, struct err *e)
{
	struct wire_msg m = { .type = WIRE_STARTED, .session = WIRE_COMMAND };
	struct session *s = &in->sessions[0];
	int master = -1, r = 0;

	*s = (struct session){ .id = WIRE_COMMAND, .pid = -1, .tty = -1 };
	if (cmd->tty.fds)
		r = tty_open(&cmd->tty, &s->tty, &master, e);
	if (r == 0)
		r = spawn(cmd, s->tty, &s->pid, e);
	if (r == 0)
		in->n = 1;
	if (r == 0 && master >= 0) {
		m.started.pid = (uint32_t)s->pid;
		r = wire_send(in->sock, &m, &master, 1, true);
		if (r < 0)
			r = err_sys(e, r, "report to the supervisor");
	}
	if (master >= 0)
		(void)close(master);
	return r;
}

/* Whoever loses its parent in here becomes our child, so nobody is left when we have none. */
static void kill_all(void)
{
	while (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD) {
		(void)kill(
			-1,
			SIGKILL); /* everybody but us; the kernel looks at every process of the host for that */
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
}

int init_run(const struct init_command *cmd, int sock, int *ret_status, struct err *e)
{
	struct init in = { .sock = sock };
	sigset_t child;
	int r;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	in.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (in.signals < 0)
		return err_sys(e, -errno, "signalfd");
	(void)loop_add(&in.loop, in.signals, POLLIN, on_signal, &in); /* the table is empty */
	(void)loop_add(&in.loop, in.sock, POLLIN, on_message, &in);
	r = start(&in, cmd, e);
	if (r < 0)
		return r;
	/* the command's streams are its own: a reader must see their end when the last user is gone */
	(void)close(0);
	(void)close(1);
	(void)close(2);
	do {
		r = loop_wait(&in.loop, -1, e);
	} while (r == -EAGAIN);
	kill_all();
	*ret_status = in.sessions[0].status;
	return r;
}
