/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A sandbox runs or is paused; paused means that l->frozen is there. Only a sandbox that shall do something when it is idle is looked at,
 * four times in that time, and never while somebody waits for a command of it (that is use) or while it is paused (nothing is used then). So a supervisor
 * without such options, and one that is paused, sleeps until somebody comes or its time is over.
 *
 * The watcher of the guard may have frozen the same processes for a moment: a pause takes that over, since who is stopped already would be taken for stopped
 * by itself, and be woken by the watcher.
 *
 * sandboxes/ID/up stands as long as nobody has ended the sandbox on purpose. It says nothing of whether it lives (the lock does): who finds it beside a free
 * lock knows that the sandbox was ended by something else. It is empty until that end is written down; who finds it empty does that.
 */
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egress.h"
#include "events.h"
#include "named.h"

#define LOOKS 4        /* in the time after which it is idle */
#define LOOK_MS 25     /* at least between two of them */
#define BUSY_PERCENT 1 /* of one processor */

static void note(const struct life *l, const char *what, const char *why)
{
	events_add(l->state,
		   &(struct event){
			   .what = what, .id = l->id, .name = l->name, .why = why, .status = -1 });
}

int life_open(struct life *l, const struct life_options *o, int state, const char *id,
	      const char *name, struct err *e)
{
	*l = (struct life){ .state = state, .id = id, .name = name };
	return life_policy(o, &l->policy, e);
}

void life_begin(struct life *l, struct run *run)
{
	const long timeout = supervise_sandbox(run)->timeout_ms;

	l->run = run;
	l->active = clock_ms();
	l->timeout_at = timeout ? l->active + timeout : 0;
	if (named_mark(l->state, l->id, true))
		note(l, "stopped", "lost"); /* which nobody was left to write */
	/* after a power cut, too; who is not brought up needs no such promise */
	if (l->policy.restart == LIFE_RESTART_ON_FAILURE)
		named_sync(l->state, l->id);
	note(l, "started", NULL);
}

static void thaw(struct life *l)
{
	jail_thaw(l->frozen);
	free(l->frozen);
	l->frozen = NULL;
	egress_paused(l->run, false);
}

/* What can't be stopped by signals a cgroup can freeze: say why not, and how to get one. */
static int not_paused(struct life *l, int r, struct err *e)
{
	const char *why = r == -EPERM  ? "it has a process that you may not stop" :
			  r == -E2BIG  ? "it has too many processes" :
			  r == -EAGAIN ? "it starts processes faster than that" :
					 NULL;

	if (!why)
		return err_sys(e, r, "sandbox '%s' can't be paused", l->name);
	if (r != l->unpaused)
		note(l, "pause-failed", why);
	l->unpaused = r;
	return err_set(
		e, ERR_SYSTEM, r,
		"sandbox '%s' can't be paused by signals: %s; nothing of it is stopped. It can where it has a cgroup of version 2: stop it, and start it as root, or so: "
		"systemd-run --user --scope -p Delegate=yes bailey start %s",
		l->name, why, l->name);
}

int life_pause(struct life *l, struct err *e)
{
	struct run *run = l->run;
	struct jail_frozen *f;
	int r = 0;

	if (l->frozen)
		return 0;
	if (run->thaw_at) {
		f = run->frozen;
		run->frozen = NULL;
		run->thaw_at = 0;
	} else {
		f = calloc(1, sizeof(*f));
		r = f ? jail_pause(&l->freezer, f, run->jail.pid, run->limits) : -ENOMEM;
	}
	if (r < 0) {
		free(f);
		return not_paused(l, r, e);
	}
	l->frozen = f;
	egress_paused(run, true);
	note(l, "paused", NULL);
	return 0;
}

void life_resume(struct life *l)
{
	if (!l->frozen)
		return;
	thaw(l);
	l->active = clock_ms();
	l->look_at = 0;
	note(l, "resumed", NULL);
}

int life_wake(struct life *l, enum life_wake by, struct err *e)
{
	if (l->frozen && (l->policy.wake == LIFE_WAKE_NEVER ||
			  (l->policy.wake == LIFE_WAKE_EXEC && by != LIFE_WAKE_EXEC)))
		return err_set(e, ERR_SYSTEM, -EBUSY,
			       "sandbox '%s' is paused; first: bailey resume %s", l->name, l->name);
	life_resume(l);
	return 0;
}

int life_extend(struct life *l, long ms, struct err *e)
{
	const long at = clock_ms() + ms;

	if (!l->timeout_at)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"sandbox '%s' has no --timeout that could be extended: it lives until it is stopped",
			l->name);
	if (l->timeout_at < at)
		l->timeout_at = at;
	return 0;
}

struct wire_msg life_state(const struct life *l, unsigned int clients)
{
	const struct gateway_use use = egress_use(l->run);
	const long left = l->timeout_at - clock_ms();

	return (struct wire_msg){ .type = WIRE_STATE,
				  .state = { .state = l->frozen ? WIRE_STATE_PAUSED :
								  WIRE_STATE_RUNS,
					     .pid = (uint32_t)l->run->jail.pid,
					     .clients = clients,
					     .connections = use.connections,
					     .up = use.up,
					     .down = use.down,
					     .left_ms = !l->timeout_at ? -1 :
							left < 0       ? 0 :
									 left } };
}

static void note_session(const struct life *l, const char *what, uint32_t session,
			 const char *service, int status)
{
	events_add(l->state, &(struct event){ .what = what,
					      .id = l->id,
					      .name = l->name,
					      .service = service,
					      .session = session,
					      .status = status });
}

void life_session(const struct life *l, uint32_t session, const char *service, int status)
{
	note_session(l, status < 0 ? "exec-started" : "exec-ended", session, service, status);
}

void life_failed(const struct life *l, uint32_t session, const char *service, int status)
{
	note_session(l, "exec-failed", session, service, status);
}

/* --- idle ----------------------------------------------------------------------------------------------------------------------------- */

static long interval(const struct life_policy *p)
{
	const long ms = (p->freeze_ms ? p->freeze_ms : p->stop_ms) / LOOKS;

	return ms < LOOK_MS ? LOOK_MS : ms;
}

/* Whether more was used since the last look than what keeps a program waiting. What can't be seen is use. */
static bool was_used(const struct life *l, long long ticks, long now)
{
	const long long ms = (ticks - l->ticks) * 1000 / sysconf(_SC_CLK_TCK);

	return ticks < 0 || l->ticks < 0 || egress_use(l->run).connections > 0 ||
	       ms * 100 > (now - l->looked) * BUSY_PERCENT;
}

static void look(struct life *l, long now)
{
	const long long ticks = jail_family_ticks(l->run->jail.pid);

	if (l->look_at && was_used(l, ticks, now))
		l->active = now;
	l->ticks = ticks;
	l->looked = now;
	l->look_at = now + interval(&l->policy);
}

static void until(long at, long now, long *wait)
{
	const long left = at > now ? at - now : 0;

	if (*wait < 0 || *wait > left)
		*wait = left;
}

/* Return: whether it was idle for so long that it is to be stopped. */
static bool idle(struct life *l, bool attached, long now, long *wait)
{
	const struct life_policy *p = &l->policy;
	struct err e = ERR_INIT;

	if (attached) {
		l->active = now;
		l->look_at = 0;
		return false;
	}
	if (!l->frozen && now >= l->look_at)
		look(l, now);
	if (!l->frozen && p->freeze_ms && now - l->active >= p->freeze_ms && now >= l->retry_at &&
	    life_pause(l, &e) < 0)
		l->retry_at = now + p->freeze_ms; /* not at once again */
	if (p->stop_ms && now - l->active >= p->stop_ms)
		return true;
	if (p->stop_ms)
		until(l->active + p->stop_ms, now, wait);
	if (!l->frozen && p->freeze_ms)
		until(l->active + p->freeze_ms > l->retry_at ? l->active + p->freeze_ms :
							       l->retry_at,
		      now, wait);
	if (!l->frozen)
		until(l->look_at, now, wait);
	return false;
}

bool life_step(struct life *l, bool attached, long *wait)
{
	const long now = clock_ms();

	if (!l->run || l->why)
		return false;
	if (l->timeout_at && now >= l->timeout_at)
		life_ends(l, WIRE_WHY_TIMEOUT);
	else if ((l->policy.freeze_ms || l->policy.stop_ms) && idle(l, attached, now, wait))
		life_ends(l, WIRE_WHY_IDLE);
	if (l->timeout_at)
		until(l->timeout_at, now, wait);
	return l->why;
}

/* --- the end -------------------------------------------------------------------------------------------------------------------------- */

static const char *const whys[] = {
	[0] = "ended", /* by itself */
	[WIRE_WHY_ASKED] = "asked",
	[WIRE_WHY_TIMEOUT] = "timeout",
	[WIRE_WHY_IDLE] = "idle",
	[WIRE_WHY_SIGNAL] = "signal",
	[WIRE_WHY_MEMORY] = "memory",
};

void life_ends(struct life *l, enum wire_why why)
{
	if (l->frozen)
		thaw(l); /* who is stopped can't end */
	if (!l->why)
		l->why = why;
}

/* Whoever wants it up after a failure does not mean these. */
static bool on_purpose(enum wire_why why)
{
	return why && why != WIRE_WHY_SIGNAL && why != WIRE_WHY_MEMORY;
}

void life_end(struct life *l)
{
	if (l->run && on_purpose(l->why))
		(void)named_mark(l->state, l->id, false);
	if (l->run) {
		note(l, "stopped", whys[l->why]);
		named_mark_written(l->state, l->id); /* where the mark stays */
	}
	free(l->frozen);
	jail_freezer_done(&l->freezer);
	cleanup_close(&l->state);
	l->state = -1;
}
