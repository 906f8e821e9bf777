/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A run that has lasted WATCH_AFTER_MS connects to the user's watcher, or starts one. When the connection ends before the run, the
 * watcher was killed: another one is asked for, which sweeps at once. When the watcher has lost events it asks for a freeze; we do it, since we know the
 * cgroup, and know that the stop that PID 1 reports then is no Ctrl-Z. A watcher that goes, or forgets us, thaws the run.
 */
#include "watched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"

#define WATCH_AFTER_MS 20 /* shorter runs are only swept at their end */
#define WATCH_AGAIN_MS 10
#define WATCH_TRIES 8
#define WATCH_RESTARTS 16
#define SETTLE_MS 1000 /* a stop may be told after the thaw */

void watched_begin(struct run *run)
{
	run->watch_at = clock_ms() + WATCH_AFTER_MS;
}

static void thaw(struct run *run)
{
	if (!run->thaw_at)
		return;
	jail_thaw(run->frozen);
	run->thaw_at = 0;
	run->thawed = clock_ms();
}

static void freeze(struct run *run)
{
	int r = 0;

	if (run->live && live_paused(run)) { /* nothing runs, and nothing will without us */
		guard_answer(&run->guard, true);
		return;
	}
	if (!run->frozen)
		run->frozen = calloc(1, sizeof(*run->frozen));
	if (!run->frozen)
		r = -ENOMEM;
	else if (!run->thaw_at && !run->ended)
		r = jail_freeze(run->frozen, run->jail.pid, run->limits);
	run->thawed = clock_ms(); /* one that failed has stopped some, too */
	if (r < 0) {
		run->unfrozen++;
		run->unfrozen_why = -r;
	} else if (!run->ended) {
		run->thaw_at = clock_ms() + GUARD_FREEZE_MS;
	}
	guard_answer(&run->guard, r == 0);
}

static int on_watcher(void *arg, short revents, struct err *e)
{
	struct run *run = arg;
	int r = guard_hear(&run->guard);

	(void)revents;
	(void)e;
	if (r == GUARD_FREEZE) {
		freeze(run);
	} else if (r == GUARD_THAW) {
		thaw(run);
	} else if (r == 0) {
		thaw(run);
		run->watcher->events = 0;
		run->watcher->fd = -1;
		run->watch_tries = 0;
		if (!run->ended && run->watch_restarts++ < WATCH_RESTARTS)
			run->watch_at = clock_ms();
	}
	return -EAGAIN;
}

/* Ask for the watcher; it takes a moment to start. */
static void ask(struct run *run)
{
	int r = guard_watch(&run->guard, run->jail.ns);

	run->watch_at =
		r == -EAGAIN && ++run->watch_tries < WATCH_TRIES ? clock_ms() + WATCH_AGAIN_MS : 0;
	if (run->guard.watch < 0)
		return;
	if (!run->watcher)
		run->watcher = loop_add(&run->loop, run->guard.watch, POLLIN, on_watcher, run);
	if (!run->watcher)
		return; /* no room: then it is not heard */
	run->watcher->fd = run->guard.watch;
	run->watcher->events = POLLIN;
}

static void until(long at, long *wait)
{
	long left = at - clock_ms();

	left = left < 0 ? 0 : left;
	if (*wait < 0 || *wait > left)
		*wait = left;
}

void watched_step(struct run *run, long *wait)
{
	if (run->thaw_at && clock_ms() >= run->thaw_at)
		thaw(run);
	if (run->watch_at && clock_ms() >= run->watch_at)
		ask(run);
	if (run->thaw_at)
		until(run->thaw_at, wait);
	if (run->watch_at)
		until(run->watch_at, wait);
}

bool watched_stops(const struct run *run)
{
	return run->thaw_at || (run->thawed && clock_ms() - run->thawed < SETTLE_MS);
}

void watched_end(struct run *run, void (*say)(const char *line))
{
	char line[256];

	free(run->frozen);
	run->frozen = NULL;
	run->thaw_at = 0;
	if (run->unfrozen) {
		(void)snprintf(
			line, sizeof(line),
			"names came faster than they could be watched, and the run could not be stopped meanwhile (%s): "
			"what it made could be seen by the host until it was moved",
			strerror(run->unfrozen_why));
		say(line);
	}
	if (run->watch_restarts > WATCH_RESTARTS)
		say("the watcher was ended again and again: what came after that was moved when the run was over");
}
