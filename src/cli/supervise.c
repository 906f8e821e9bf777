/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor of a one-shot run. One poll loop: reports of PID 1, signals to pass on, the time-out.
 * PID 1 dies with this process (its death signal), and with PID 1 everything in the sandbox.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define KILL_AFTER_MS 2000 /* between the time-out's SIGTERM and SIGKILL */

/* What PID 1 reads, written before it is told to go on. The description's memory follows. */
struct shared {
	struct sandbox sandbox;
	struct jail_spec spec;
	struct init_command cmd;
	_Alignas(16) unsigned char memory[];
};

#define SHARED_SIZE (sizeof(struct shared) + LIMIT_ARENA)

static int enter(void *arg, int *ret_status, struct err *e)
{
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL); /* can't fail with these arguments */
	(void)setsid(); /* out of the launcher's process group, so that a signal to that comes once; can't fail in a new process */
	return init_run(arg, ret_status, e);
}

static long now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* can't fail for this clock */
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	struct pollfd p = { .fd = 2, .events = POLLOUT };
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* a notice; whoever does not read must not keep us from the time-out */
	if (n > 0 && poll(&p, 1, 100) == 1)
		(void)fd_write_all(2, line,
				   (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void say_line(const char *line)
{
	say("bailey: %s\n", line);
}

static void say_lost(unsigned int lost)
{
	const struct jail_layer_info *info;
	size_t i;

	for (i = 0; i < JAIL_LAYER_NUM; i++) {
		info = jail_layer_info((enum jail_layer)i);
		if (lost & (1u << i))
			say("bailey: running without the layer '%s': %s\n", info->name, info->lost);
	}
}

/* The time-out has come: first ask, then end. Return: whether it is over. */
static bool time_out(struct run *run)
{
	if (!run->timed_out) {
		run->timed_out = true;
		run->deadline = now_ms() + KILL_AFTER_MS;
		(void)kill(run->jail.pid, SIGTERM); /* PID 1 passes it on */
		return false;
	}
	(void)kill(run->jail.pid, SIGKILL);
	return true;
}

static void pass_signal(struct run *run)
{
	struct signalfd_siginfo si;

	union sigval to = { .sival_int = 0 };

	if (read(run->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	/* the kernel's own (Ctrl-C at a terminal) are meant for a whole process group; PID 1 may be gone this moment */
	if (si.ssi_code > 0)
		to.sival_int = INIT_SIGNAL_GROUP;
	(void)sigqueue(run->jail.pid, (int)si.ssi_signo, to);
}

static int exit_status(const struct run *run, int status)
{
	if (run->timed_out)
		return 124;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Return: -EAGAIN: go on; an exit status; or negative errno with @e. */
static int take_message(struct run *run, bool dry_run, struct err *e)
{
	struct jail_msg msg;
	int r = jail_recv(&run->jail, &msg);

	if (r == -EAGAIN)
		return r;
	if (r < 0)
		return err_sys(e, r, "report of the sandbox");
	if (r == 0) {
		if (run->timed_out)
			return 124;
		return err_set(e, ERR_SYSTEM, -EPIPE,
			       "the sandbox ended without a report (PID 1 was killed)");
	}
	switch (msg.type) {
	case JAIL_MSG_READY:
		say_lost(msg.lost | run->jail.lost);
		if (!dry_run)
			run->late = jail_late(&run->jail, &run->shared->sandbox.plan,
					      &run->shared->sandbox.protect,
					      &run->shared->sandbox.policy);
		if (run->late < 0)
			say("bailey: the rest of a large workspace can't be searched for sockets and protected paths: %s\n",
			    strerror(-run->late));
		return -EAGAIN;
	case JAIL_MSG_ENDED:
		if (dry_run)
			say("bailey: the sandbox was built and verified; nothing was run\n");
		if (msg.offset >= 0)
			(void)lseek(0, msg.offset, SEEK_SET); /* stdin may have been closed on us */
		return dry_run ? 0 : exit_status(run, msg.status);
	case JAIL_MSG_FAILED:
		*e = msg.err;
		return e->sys ? -e->sys : -EIO;
	default:
		return err_set(e, ERR_SYSTEM, -EBADMSG, "report of the sandbox: unknown type %u",
			       msg.type);
	}
}

static int loop(struct run *run, bool dry_run, struct err *e)
{
	int r;

	for (;;) {
		struct pollfd p[2] = { { .fd = run->jail.sock, .events = POLLIN },
				       { .fd = run->signals, .events = POLLIN } };
		long wait = -1;

		if (run->deadline) {
			wait = run->deadline - now_ms();
			if (wait <= 0 && time_out(run))
				return 124;
			if (wait < 0)
				wait = 0;
		}
		if (poll(p, 2, (int)wait) < 0 && errno != EINTR)
			return err_sys(e, -errno, "poll");
		if (p[1].revents & POLLIN)
			pass_signal(run);
		if (p[0].revents) {
			r = take_message(run, dry_run, e);
			if (r != -EAGAIN)
				return r;
		}
	}
}

static void say_identity(const struct sandbox *s)
{
	if (s->id.mode != JAIL_IDS_OWNER)
		return;
	say("bailey: notice: running as uid %u of the host, without capabilities%s\n",
	    (unsigned int)s->id.uid,
	    s->id.host_uid == 0 ? " (no idmapped mounts here)" : ", the workspace's owner");
}

/* Forwarded to the command. SIGTSTP and its like are left alone: job control works on the whole process group. */
static int open_signals(void)
{
	static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };
	sigset_t set;
	size_t i;
	int fd;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static const char *path_of(char *const *env)
{
	for (; *env; env++) {
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	}
	return NULL;
}

int supervise_begin(struct run *run, bool relay, struct err *e)
{
	int r = 0;

	*run = (struct run){ .jail = JAIL_INIT, .signals = -1 };
	run->shared = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (run->shared == MAP_FAILED)
		return err_sys(e, -errno, "shared memory");
	run->shared->sandbox.arena =
		(struct arena){ .max = LIMIT_ARENA, .fixed = run->shared->memory };
	/* a caller that ignores SIGCHLD hands that down: then nobody could be waited for, here and in PID 1 */
	(void)signal(SIGCHLD, SIG_DFL);
	run->signals = open_signals();
	if (run->signals < 0)
		r = err_sys(e, run->signals, "signals");
	if (r == 0 && relay)
		r = relay_start(&run->relay, e);
	if (r == 0)
		r = jail_begin(&run->jail, run->shared, SHARED_SIZE, e);
	if (r < 0)
		supervise_abort(run);
	return r;
}

struct sandbox *supervise_sandbox(struct run *run)
{
	return &run->shared->sandbox;
}

/* PID 1 and its helpers are gone after this. */
static void finish(struct run *run)
{
	jail_abort(&run->jail);
	if (run->late > 0) {
		(void)kill(run->late, SIGKILL); /* our child, not reaped yet */
		while (waitpid(run->late, NULL, 0) < 0 && errno == EINTR)
			;
	}
	relay_finish(&run->relay);
	cleanup_close(&run->signals);
}

int supervise(struct run *run, char *const *argv, bool dry_run, bool *ret_no_block, struct err *e)
{
	struct shared *sh = run->shared;
	const struct sandbox *s = &sh->sandbox;
	int r;

	sh->cmd = (struct init_command){ .argv = argv, .envp = s->env, .path = path_of(s->env) };
	sh->spec = (struct jail_spec){ .plan = &s->plan,
				       .id = &s->id,
				       .cwd = s->cwd,
				       .allow_degraded = s->allow_degraded,
				       .dry_run = dry_run,
				       .entry = enter,
				       .arg = &sh->cmd };
	say_identity(s);
	protect_say_before(s, say_line);
	r = jail_continue(&run->jail, &sh->spec, e);
	*ret_no_block = r == -EOPNOTSUPP && s->id.mode == JAIL_IDS_BLOCK;
	if (r == 0) {
		if (s->timeout_ms)
			run->deadline = now_ms() + s->timeout_ms;
		r = loop(run, dry_run, e);
		if (r >= 0)
			while (waitpid(run->jail.pid, NULL, 0) < 0 && errno == EINTR)
				;
		if (r >= 0)
			run->jail.pid = -1;
		if (r >= 0 && !dry_run)
			protect_say_after(s, r, say_line);
	}
	finish(run);
	return r;
}

void supervise_abort(struct run *run)
{
	finish(run);
}
