/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor of a one-shot run. One poll loop: reports of PID 1, signals to pass on, the command's terminal, the time-out.
 * PID 1 dies with this process (its death signal), and with PID 1 everything in the sandbox. Once the command runs, all that PID 1 says may be
 * a lie: it can end the run, and nothing else.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "egress.h"
#include "job.h"
#include "keys.h"
#include "live.h"
#include "no-network.h"
#include "open-urls.h"
#include "report.h"
#include "ssh.h"
#include "stay.h"
#include "terminal.h"
#include "watched.h"

#define KILL_AFTER_MS 2000 /* between the time-out's SIGTERM and SIGKILL */
/* Before the rest of a large workspace is searched, which takes longer than this: a command that is over by then need not wait for its end. */
#define LATE_MS 5

/* What PID 1 reads, written before it is told to go on. The description's memory follows. */
struct shared {
	struct jail_shared jail;
	struct sandbox sandbox;
	struct jail_spec spec;
	struct guard_names names;
	struct jail_strict strict;
	struct init_command cmd;
	_Alignas(16) unsigned char memory[];
};

#define SHARED_SIZE (sizeof(struct shared) + LIMIT_ARENA)

static int enter(void *arg, int sock, int *ret_status, struct err *e)
{
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL); /* can't fail with these arguments */
	(void)setsid(); /* out of the launcher's process group, so that a signal to that comes once; can't fail in a new process */
	return init_run(arg, sock, ret_status, e);
}

/* The same of a sandbox that stays. */
static int enter_serving(void *arg, int sock, int *ret_status, struct err *e)
{
	const struct init_command *cmd = arg;
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL); /* can't fail with these arguments */
	(void)setsid();                             /* can't fail in a new process */
	return init_serve(cmd->envp, cmd->agent, sock, ret_status, e);
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
		run->deadline = clock_ms() + KILL_AFTER_MS;
		job_signal(run, SIGTERM, false);
		job_continue(run); /* a stopped command can't end */
		return false;
	}
	(void)kill(run->jail.pid, SIGKILL);
	return true;
}

static int on_signal(void *arg, short revents, struct err *e)
{
	struct run *run = arg;
	struct signalfd_siginfo si;
	int sig;

	(void)revents;
	(void)e;
	if (read(run->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return -EAGAIN;
	sig = (int)si.ssi_signo;
	if (sig == SIGWINCH && run->terminal)
		terminal_resize(run->terminal);
	else if (sig == SIGCONT)
		job_continued(run);
	else if (sig == SIGTSTP)
		job_stop(run);
	else if (sig != SIGWINCH && run->live)
		live_signal(run, sig);
	else if (sig != SIGWINCH && run->ended)
		return run->status; /* only output is left, and nobody wants to wait for that */
	else if (sig != SIGWINCH)
		/* the kernel's own (Ctrl-C at a terminal) are meant for a whole process group */
		job_signal(run, sig, si.ssi_code > 0);
	return -EAGAIN;
}

static int exit_status(const struct run *run, int status)
{
	if (run->timed_out)
		return 124;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Limits that PID 1 has taken: say what is soft, begin to watch. */
static int begin_watch(struct run *run, struct err *e)
{
	const struct jail_limits *l = &run->shared->sandbox.limits;
	char line[512];

	limits_notice(l, line, sizeof(line));
	if (*line)
		say("%s", line);
	if (l->by[POLICY_LIMIT_MEMORY] != JAIL_BY_WATCHDOG)
		return 0;
	if (run->jail.watch[0] < 0 || run->jail.watch[1] < 0 || run->jail.watch[2] < 0)
		return err_set(e, ERR_SYSTEM, -EBADMSG, "memory can't be watched");
	run->watch = clock_ms() + JAIL_WATCH_MS;
	return 0;
}

/* Between two polls. @wait: until the next poll must end, -1: never. Return: whether the run was ended. */
static bool watch(struct run *run, long *wait)
{
	const long now = clock_ms();

	if (now >= run->watch) {
		if (limits_exceeded(&run->shared->sandbox.limits, &run->jail)) {
			run->events.killed++;
			if (run->live)
				live_exceeded(run);
			(void)kill(run->jail.pid, SIGKILL);
			return true;
		}
		run->watch = clock_ms() + JAIL_WATCH_MS; /* a long look must not be all we do */
	}
	if (*wait < 0 || *wait > run->watch - now)
		*wait = run->watch - now;
	return false;
}

static void on_ready(struct run *run, unsigned int lost)
{
	say_lost(lost | run->jail.lost);
	if (run->guarded)
		watched_begin(run);
	if (!run->dry_run && jail_late_pending(&run->jail, &run->shared->sandbox.protect))
		run->late_at = clock_ms() + LATE_MS;
	else if (!run->guarded) /* whoever watches needs the namespaces */
		jail_settle(&run->jail);
	if (run->live)
		live_ready(run);
}

/* The searches are done: a sandbox may live for months, and shall not keep their process as long. */
static int on_late_end(void *arg, short revents, struct err *e)
{
	struct run *run = arg;

	(void)revents;
	(void)e;
	if (waitpid(run->late, NULL, WNOHANG) == run->late) {
		run->late = 0;
		cleanup_close(&run->late_end->fd);
		run->late_end->fd = -1;
		run->late_end->events = 0;
	}
	return -EAGAIN;
}

/* Between two polls: finish the searches when it is time. @wait: until the next poll must end, -1: never. */
static void start_late(struct run *run, long *wait)
{
	const long left = run->late_at - clock_ms();
	int fd;

	if (left > 0) {
		if (*wait < 0 || *wait > left)
			*wait = left;
		return;
	}
	run->late_at = 0;
	run->late = jail_late(&run->jail, &run->shared->sandbox.plan, &run->shared->sandbox.protect,
			      &run->shared->sandbox.policy);
	if (run->late < 0)
		say("bailey: the rest of a large workspace can't be searched for sockets and protected paths: %s\n",
		    strerror(-run->late));
	if (run->late > 0) {
		/* an old kernel has none: then it is reaped at the end */
		fd = (int)syscall(SYS_pidfd_open, run->late, 0);
		run->late_end = loop_add(&run->loop, fd, fd < 0 ? 0 : POLLIN, on_late_end, run);
		if (!run->late_end)
			cleanup_close(&fd);
	}
}

/* A report of PID 1. Return: -EAGAIN: go on; an exit status; or negative errno with @e. */
static int on_report(void *arg, short revents, struct err *e)
{
	struct run *run = arg;
	struct wire_msg msg;
	int fd = -1, r = jail_recv(&run->jail, &msg, &fd);

	(void)revents;
	if (r == -EAGAIN)
		return r;
	if (r < 0)
		return err_sys(e, r == -EPROTO ? -EBADMSG : r, "report of the sandbox");
	if (r == 0) {
		if (run->timed_out)
			return 124;
		if (run->live && live_stopping(run))
			return 0;
		if (run->live)
			live_lost(run);
		return err_set(e, ERR_SYSTEM, -EPIPE,
			       "the sandbox ended without a report (PID 1 was killed)");
	}
	if (run->jail.order == WIRE_SERVING && msg.session != WIRE_COMMAND &&
	    msg.session != WIRE_SANDBOX) {
		live_report(run, &msg, fd);
		return -EAGAIN;
	}
	switch (msg.type) {
	case WIRE_READY:
		on_ready(run, msg.ready.lost);
		egress_ready(run);
		no_network_ready(run);
		ssh_ready(run);
		open_urls_ready(run);
		r = begin_watch(run, e);
		return r < 0 ? r : -EAGAIN;
	case WIRE_NETWORK:
		r = egress_begin(run, e);
		return r < 0 ? r : -EAGAIN;
	case WIRE_LISTENER:
		r = report_begin(run, &run->shared->sandbox, fd, run->jail.maker, e);
		cleanup_close(&run->jail.maker);
		run->jail.maker = -1;
		return r < 0 ? r : -EAGAIN;
	case WIRE_STARTED:
		if (!run->terminal)
			cleanup_close(&fd);
		r = run->terminal ? terminal_start(run->terminal, &run->loop, fd, e) :
				    err_set(e, ERR_SYSTEM, -EBADMSG,
					    "report of the sandbox: a terminal that nobody wants");
		return r < 0 ? r : -EAGAIN;
	case WIRE_STOPPED:
		if (msg.stopped.signal != SIGSTOP || !watched_stops(run))
			job_stopped(run, msg.stopped.signal);
		return -EAGAIN;
	case WIRE_ENDED:
		if (run->dry_run)
			say("bailey: the sandbox was built and verified; nothing was run\n");
		if (msg.ended.offset >= 0)
			(void)lseek(0, msg.ended.offset,
				    SEEK_SET); /* stdin may have been closed on us */
		run->ended = true;
		run->status = run->dry_run ? 0 : exit_status(run, msg.ended.status);
		run->reports->events = 0;
		return -EAGAIN;
	case WIRE_FAILED:
		*e = msg.failed;
		return e->sys ? -e->sys : -EIO;
	default:
		return err_set(e, ERR_SYSTEM, -EBADMSG, "report of the sandbox: type %d",
			       (int)msg.type);
	}
}

static int loop(struct run *run, struct err *e)
{
	int r;

	for (;;) {
		long wait = -1;

		/* what the command wrote last is still on its way through its terminal */
		if (run->ended && (!run->terminal || terminal_drained(run->terminal)))
			return run->status;
		if (run->deadline) {
			wait = run->deadline - clock_ms();
			if (wait <= 0 && time_out(run))
				return 124;
			if (wait < 0)
				wait = 0;
		}
		if (run->watch && !(run->live && live_paused(run)) && watch(run, &wait))
			return 128 + SIGKILL;
		if (run->late_at && !run->ended)
			start_late(run, &wait);
		if (run->live && live_step(run, &wait))
			return 0;
		watched_step(run, &wait);
		open_urls_step(run, &wait);
		r = loop_wait(&run->loop, wait > INT_MAX ? INT_MAX : (int)wait, e);
		if (r != -EAGAIN)
			return r;
	}
}

/* Where not every id is mapped: a container's ids are other ids of the machine. */
static bool in_user_namespace(void)
{
	_cleanup_close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	struct buf b = BUF_INIT(256);
	bool yes =
		fd >= 0 && fd_read_all(fd, &b) == 0 && b.data && !strstr(b.data, " 4294967295\n");

	buf_done(&b);
	return yes;
}

static void say_identity(const struct sandbox *s)
{
	if (s->stay && *s->stay->why)
		say("bailey: notice: no root inside: %s\n", s->stay->why);
	if (s->id.mode != JAIL_IDS_OWNER)
		return;
	say("bailey: notice: running as uid %u of the %s, without capabilities%s\n",
	    (unsigned int)s->id.host_uid, in_user_namespace() ? "container" : "host",
	    s->id.host_uid == 0 ? " (no idmapped mounts here)" : ", the workspace's owner");
}

/* Taken in the loop: those that go to the command, and those of terminals and job control. */
static int open_signals(void)
{
	static const int taken[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				     SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH };
	sigset_t set;
	size_t i;
	int fd;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
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

int supervise_begin(struct run *run, bool given, unsigned int relay, struct err *e)
{
	int r = 0;

	*run = (struct run){ .jail = JAIL_INIT,
			     .signals = -1,
			     .counters = -1,
			     .observer_end = -1,
			     .audit = -1,
			     .guard = GUARD_INIT,
			     .store = { .fd = -1 } };
	run->shared = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (run->shared == MAP_FAILED)
		return err_sys(e, -errno, "shared memory");
	run->shared->sandbox.arena =
		(struct arena){ .max = LIMIT_ARENA, .fixed = run->shared->memory };
	run->limits = &run->shared->sandbox.limits;
	run->shared->sandbox.mounts = &run->shared->jail.mounts;
	run->shared->sandbox.gate = &run->shared->jail.gate;
	/* a caller that ignores SIGCHLD hands that down: then nobody could be waited for, here and in PID 1 */
	(void)signal(SIGCHLD, SIG_DFL);
	run->signals = open_signals();
	if (run->signals < 0)
		r = err_sys(e, run->signals, "signals");
	if (r == 0 && relay)
		r = relay_start(&run->relay, relay, e);
	if (r == 0)
		r = jail_begin(&run->jail, given, &run->shared->jail, SHARED_SIZE, e);
	if (r < 0)
		supervise_abort(run);
	return r;
}

struct sandbox *supervise_sandbox(struct run *run)
{
	return &run->shared->sandbox;
}

static bool has_block(const struct jail_identity *id)
{
	return id->mode == JAIL_IDS_BLOCK || id->mode == JAIL_IDS_KEPT;
}

int supervise_identify(struct run *run, bool *ret_no_block, struct err *e)
{
	const struct jail_identity *id = &run->shared->sandbox.id;
	int r = jail_identify(&run->jail, id, e);

	guard_say_heal(&run->shared->sandbox, say_line);
	*ret_no_block = r == -EOPNOTSUPP && has_block(id);
	return r;
}

int supervise_early(struct run *run, struct err *e)
{
	return jail_early(&run->jail, &run->shared->sandbox.plan, e);
}

/* PID 1 and its helpers are gone after this. */
static void finish(struct run *run)
{
	terminal_finish(run->terminal);
	run->terminal = NULL;
	jail_abort(&run->jail);
	if (run->late > 0) {
		(void)kill(run->late, SIGKILL); /* our child, not reaped yet */
		while (waitpid(run->late, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (run->late_end)
		cleanup_close(&run->late_end->fd);
	watched_end(run, say_line);
	report_wait(run);
	relay_finish(&run->relay, run->timed_out);
	jail_limits_end(&run->shared->sandbox.limits, &run->events);
	overlay_end(run, say_line);
	cleanup_close(&run->signals);
}

/* What the limits had to do with it. */
static int end_of_limits(struct run *run, int status, struct err *e)
{
	const struct jail_limits *l = &run->shared->sandbox.limits;
	char lines[512];
	int r = limits_verdict(l, &run->events, status, lines, sizeof(lines));

	if (*lines)
		say("%s", lines);
	if (r >= 0)
		*e = (struct err)ERR_INIT;
	return r;
}

/* The table is empty, so there is room. */
static void add_sources(struct run *run)
{
	struct sandbox_front *front = run->shared->sandbox.options->front;

	run->reports = loop_add(&run->loop, run->jail.sock, POLLIN, on_report, run);
	(void)loop_add(&run->loop, run->signals, POLLIN, on_signal, run);
	if (front && front->watch >= 0) {
		front->run = run;
		/* what it says is about the network: where there is one, not before it is there */
		front->source = loop_add(&run->loop, front->watch,
					 egress_wanted(&run->shared->sandbox) ? 0 : POLLIN,
					 front->on_watch, front->arg);
	}
}

void supervise_memory(const struct run *run, void **ret, size_t *ret_size)
{
	*ret = run->shared;
	*ret_size = SHARED_SIZE;
}

int supervise_build(struct run *run, bool dry_run, bool *ret_no_block, struct err *e)
{
	struct shared *sh = run->shared;
	const struct sandbox *s = &sh->sandbox;
	int r;

	sh->names = (struct guard_names){ .policy = &s->policy,
					  .protect = &s->protect,
					  .plan = &s->plan };
	sh->strict = (struct jail_strict){ .refuses = guard_refuses, .arg = &sh->names };
	sh->spec = (struct jail_spec){ .plan = &s->plan,
				       .id = &s->id,
				       .cwd = s->cwd,
				       .allow_degraded = s->allow_degraded,
				       .nested = s->nested,
				       .network = egress_kind(s),
				       .report = s->report,
				       .strict = s->strict ? &sh->strict : NULL,
				       .hostname = s->stay ? s->stay->name : NULL,
				       .dry_run = dry_run,
				       .large = s->protect.large,
				       .unprotected = !s->protect.whole,
				       .limits = jail_limits_grouped(&s->limits) ?
							 &sh->sandbox.limits :
							 NULL,
				       .held = run->record.begun ? run->record.lock : -1,
				       .entry = run->live ? enter_serving : enter,
				       .arg = &sh->cmd };
	say_identity(s);
	protect_say_before(s, say_line);
	egress_host_ports(s, sh->jail.host_ports);
	r = jail_continue(&run->jail, &sh->spec, e);
	*ret_no_block = r == -EOPNOTSUPP && has_block(&s->id);
	if (r == 0 && !dry_run)
		guard_begin_run(run, s);
	return r;
}

int supervise(struct run *run, char *const *argv, struct err *e)
{
	struct shared *sh = run->shared;
	const struct sandbox *s = &sh->sandbox;
	int r;

	run->argv = argv;
	sandbox_say_notices(s);
	sh->cmd = (struct init_command){ .argv = argv,
					 .envp = s->env,
					 .path = path_of(s->env),
					 .agent = s->stay ? &s->stay->agent : NULL };
	r = s->tty == SANDBOX_NO_TTY ?
		    0 :
		    terminal_find(s->tty == SANDBOX_TTY, &run->terminal, &sh->cmd.tty, e);
	open_urls_supervise(run);
	if (r == 0)
		r = jail_go(&run->jail, &sh->spec, e);
	if (r == 0) {
		if (s->timeout_ms && !run->live)
			run->deadline = clock_ms() + s->timeout_ms;
		run->dry_run = sh->spec.dry_run;
		add_sources(run);
		keys_supervise(run);
		ssh_supervise(run);
		r = run->live ? live_add(run, e) : 0;
		if (r == 0)
			r = loop(run, e);
		if (run->live)
			live_over(run);
	}
	finish(run); /* PID 1 is on its way out, or says so: it is not waited for, but ended */
	report_say(run, s, r < 0 || run->dry_run);
	egress_end(run, say_line);
	ssh_end(run, r < 0 ? NULL : say_line);
	open_urls_end(run);
	keys_end(run);
	guard_say_end(run, s, say_line);
	if (r >= 0 && !run->dry_run)
		protect_say_after(s, r, say_line);
	no_network_say(run, r, say_line);
	return sh->spec.limits ? end_of_limits(run, r, e) : r;
}

void supervise_abort(struct run *run)
{
	finish(run);
	report_say(run, &run->shared->sandbox, true);
	egress_end(run, say_line);
	ssh_end(run, NULL);
	open_urls_end(run);
	keys_end(run);
	if (run->guarded)
		guard_drop(&run->guard);
}
