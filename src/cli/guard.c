/* SPDX-License-Identifier: Apache-2.0 */
/* What a run makes that the host would execute later: begin, end, and the words about it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox.h"
#include "settings.h"

static bool steers(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 127)
			return true;
	}
	return false;
}

static void say_moved(const struct guard_moved *m, void (*say)(const char *line))
{
	struct buf b = BUF_INIT(4ul * LIMIT_PATH);
	bool denied = strncmp(m->what, GUARD_DENIED, strlen(GUARD_DENIED)) == 0;

	buf_puts(&b, "'");
	buf_quote(&b, m->path);
	buf_printf(&b, denied ? "': made during a run, and not to be written (" :
				"': made during a run, and the host would use it (");
	buf_quote(&b, m->what);
	if (m->why) {
		buf_puts(&b, ": ");
		buf_quote(&b, m->why);
	}
	buf_puts(&b, "): ");
	if (m->id && denied) {
		buf_printf(&b, "moved to the quarantine; bailey quarantine show|restore %s", m->id);
	} else if (m->id) {
		buf_printf(
			&b,
			"moved to the quarantine; bailey quarantine show|restore %s. To allow it: --unprotect ",
			m->id);
		if (steers(m->path))
			buf_quote(&b, m->path);
		else
			text_shell(&b, m->path);
	} else {
		buf_printf(
			&b,
			"it is still there, because it can't be moved (%s); look at it before anything uses it",
			m->error ? m->error : "out of memory");
	}
	if (!b.failed)
		say(b.data);
	buf_done(&b);
}

static void say_report(const struct guard_report *rep, int r, const struct err *e,
		       void (*say)(const char *line))
{
	struct buf b = BUF_INIT(4096);
	size_t i;

	for (i = 0; i < rep->n; i++)
		say_moved(&rep->moved[i], say);
	if (rep->more) {
		buf_printf(&b, "and %zu more; 'bailey quarantine ls' lists what was moved",
			   rep->more);
		if (!b.failed)
			say(b.data);
		buf_done(&b);
		b = (struct buf)BUF_INIT(4096);
	}
	if (r < 0) {
		buf_puts(&b, "new protected paths can't be looked for: ");
		buf_quote(&b, e->msg);
		if (!b.failed)
			say(b.data);
	}
	buf_done(&b);
}

/* Whether a directory is given that is still there after the run. */
static bool keeps_something(const struct policy *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->rules[i].kind == POLICY_ALLOW_WRITE && !p->rules[i].copy)
			return true;
	}
	return false;
}

void guard_say_heal(const struct sandbox *s, void (*say)(const char *line))
{
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct guard_report rep = { .arena = &arena };
	struct err e = ERR_INIT;
	char state[LIMIT_PATH];

	if (settings_state_dir(s->home, state) == 0)
		say_report(&rep, guard_heal(state, &rep, &e), &e, say);
	arena_done(&arena);
}

void guard_begin_run(struct run *run, const struct sandbox *s)
{
	char state[LIMIT_PATH];

	if (!keeps_something(&s->policy) || (s->options->front && s->options->front->lawless))
		return;
	if (settings_state_dir(s->home, state) < 0)
		state[0] = '\0'; /* no home: nothing can be kept there */
	guard_begin(&run->guard, state, run->jail.pid, &s->plan, &s->policy, &s->protect,
		    s->patterns);
	run->guarded = true;
}

void guard_say_end(struct run *run, const struct sandbox *s, void (*say)(const char *line))
{
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct guard_report rep = { .arena = &arena };
	struct err e = ERR_INIT;
	int r;

	if (!run->guarded)
		return;
	r = guard_end(&run->guard, &s->plan, &s->policy, &s->protect, &rep, &e);
	say_report(&rep, r, &e, say);
	run->guarded = false;
	arena_done(&arena);
}
