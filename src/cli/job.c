/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The caller's shell sees one job, us; the command is in another session, so a stop must be carried over, both ways.
 *
 *	Ctrl-Z at the command's terminal   its group stops, PID 1 reports it, we give the caller's terminal back and stop our group
 *	Ctrl-Z at the caller's terminal    (pipelines, no terminal of its own) we are told, stop the command, then ourselves
 *	SIGCONT (fg, bg)                   take the caller's terminal again if it is ours to take, let the command go on
 *	SIGTTIN, SIGTTOU of the command    it began in the background: it gets the terminal if we may have it, else we stop as it did
 *
 * A command can stop itself, and so us, whenever it likes; that must be no way round the time-out, so a timer wakes us for that.
 */
#include "job.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "terminal.h"

/* One that does not listen any more will be killed by the time-out; nobody waits for it here. */
static void tell(const struct run *run, const struct wire_msg *m)
{
	(void)wire_send(run->jail.sock, m, NULL, 0, false);
}

void job_signal(const struct run *run, int sig, bool group)
{
	struct wire_msg m = { .type = WIRE_SIGNAL,
			      .session = WIRE_COMMAND,
			      .signal = { .signal = sig, .flags = group ? WIRE_SIGNAL_GROUP : 0 } };

	tell(run, &m);
}

void job_continue(struct run *run)
{
	struct wire_msg m = { .type = WIRE_CONTINUE, .session = WIRE_COMMAND };

	if (run->terminal && terminal_again(run->terminal))
		m.cont.flags = WIRE_CONTINUE_FOREGROUND;
	run->stopped = false;
	tell(run, &m);
}

/* SIGCONT at the deadline, which wakes also who is stopped. */
static bool set_alarm(const struct run *run, timer_t *timer)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT };
	struct itimerspec at = { .it_value = { .tv_sec = run->deadline / 1000,
					       .tv_nsec = run->deadline % 1000 * 1000000 } };

	return run->deadline && timer_create(CLOCK_MONOTONIC, &ev, timer) == 0 &&
	       timer_settime(*timer, TIMER_ABSTIME, &at, NULL) == 0;
}

/*
 * Stop as a job does, until SIGCONT. An orphaned process group does not stop, because nobody could continue it.
 * Return: whether we were stopped; then SIGCONT is pending.
 */
static bool stop(const struct run *run, pid_t whom, int sig)
{
	sigset_t set, pending;
	timer_t timer;
	bool alarm;

	alarm = set_alarm(run, &timer);
	if (run->deadline && !alarm)
		return false; /* better no stop than no time-out */
	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)kill(whom, sig);                      /* 0 or we ourselves */
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* here */
	if (sig == SIGTSTP)
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
	if (alarm)
		(void)timer_delete(timer);
	return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT);
}

void job_stopped(struct run *run, int sig)
{
	struct terminal *t = run->terminal;
	bool asks = sig == SIGTTIN || sig == SIGTTOU;

	if (!t)
		return;
	if (asks)
		terminal_give(t);
	if (asks && terminal_in_foreground(t)) {
		job_continue(run);
		return;
	}
	terminal_take(t);
	/* SIGSTOP would hold us also where nobody could continue us */
	if (stop(run, 0, asks ? sig : SIGTSTP))
		return;
	if (asks)
		terminal_hang_up(t); /* it would ask for ever; an orphan's read fails, too */
	job_continue(run);
}

void job_stop(struct run *run)
{
	if (run->terminal) {
		job_signal(run, SIGTSTP, true); /* job_stopped() does the rest */
		return;
	}
	/* its group is orphaned: SIGTSTP would be thrown away */
	job_signal(run, SIGSTOP, true);
	run->stopped = true;
	if (!stop(run, getpid(), SIGTSTP))
		job_continue(run);
}

void job_continued(struct run *run)
{
	if (run->terminal || run->stopped)
		job_continue(run);
}
