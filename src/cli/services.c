/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A service has what is wanted of it (DOWN, UP, AGAIN: down, then up) and what is: nothing, or spawned (PID 1 was asked), then started
 * (PID 1 has said so), then ready (it listens, where that is waited for). services_step() brings the one to the other until nothing moves:
 *
 *	not spawned, UP      → spawned, when its time has come and all that it needs is ready
 *	not spawned, AGAIN   → UP
 *	not spawned, gone    → forgotten
 *	spawned, DOWN, AGAIN → SIGTERM, when nothing that needs it is spawned; SIGKILL when its grace is over
 *	spawned, ends        → DOWN, if that was wanted, or its rule says so; else UP again after its delay
 *
 * The delay is what keeps one that can't run from using a processor: it begins with DELAY_MS and doubles up to DELAY_MAX_MS, and is forgotten when the service has run
 * for as long as that. What needs another waits for it where it begins, and is not ended when the other ends by itself.
 */
#include "services.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "service-def.h"

#define DELAY_MS 100
#define DELAY_MAX_MS 30000
#define LOOK_MS 10 /* between two looks at whether it listens; doubles, too */
#define LOOK_MAX_MS 1000
#define AGAIN_MS 1000 /* between two SIGKILL */

enum want { DOWN, UP, AGAIN };

struct service {
	struct service *next;
	struct service_def def;
	struct arena arena;      /* has it */
	char *text;              /* the same, as JSON; owned */
	struct session *session; /* NULL: it has never been started */
	enum want want;
	bool spawned, started, ready;
	bool asked;  /* SIGTERM was sent */
	bool gone;   /* it is defined no more */
	bool failed; /* it has ended for good, and not well */
	bool hit;    /* of who walks from one to others */
	long at;     /* ms of CLOCK_MONOTONIC: not before that; 0: at once */
	long delay, began, kill_at, grace;
	long look_at, look; /* whether it listens */
	uint32_t restarts;
	int status; /* wait status; -1: it has never ended */
	const char *state;
	long long since; /* ns since 1970: in that state */
	char error[160]; /* why it could not be started */
};

static long long now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* can't fail for this clock */
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void until(long at, long now, long *wait)
{
	const long left = at > now ? at - now : 0;

	if (*wait < 0 || *wait > left)
		*wait = left;
}

static const char *state_of(const struct service *v)
{
	if (v->spawned)
		return v->asked || v->want != UP ? "stopping" :
		       v->started && v->ready    ? "running" :
						   "starting";
	if (v->want == DOWN)
		return v->failed ? "failed" : "stopped";
	return v->at ? "failed" : "starting";
}

/* Whether @v can't be without @other. */
static bool needs(const struct service *v, const struct service *other)
{
	char *const *need;

	for (need = v->def.needs; *need; need++) {
		if (strcmp(*need, other->def.name) == 0)
			return true;
	}
	return false;
}

static struct service *find(const struct services *s, const char *name)
{
	struct service *v;

	for (v = s->first; v && (v->gone || strcmp(v->def.name, name) != 0); v = v->next)
		;
	return v;
}

static struct service *of_session(const struct services *s, const struct session *one)
{
	struct service *v;

	for (v = s->first; v && v->session != one; v = v->next)
		;
	return v;
}

/* --- which there are ------------------------------------------------------------------------------------------------------------------ */

static void forget(struct services *s, struct service *v)
{
	struct service **p;

	for (p = &s->first; *p && *p != v; p = &(*p)->next)
		;
	if (*p)
		*p = v->next;
	if (v->session)
		sessions_release(s->sessions, v->session);
	arena_done(&v->arena);
	free(v->text);
	free(v);
}

/* Return: a new one that @node describes, or NULL with @e. */
static struct service *make(const struct json_node *node, struct err *e)
{
	struct service *v = calloc(1, sizeof(*v));
	struct buf b = BUF_INIT(LIMIT_SPAWN);

	json_write(node, &b);
	if (!v || b.failed) {
		(void)err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		free(v);
		buf_done(&b);
		return NULL;
	}
	*v = (struct service){ .arena = ARENA_INIT(LIMIT_SPAWN), .text = b.data, .status = -1 };
	v->want = UP;
	v->since = now_ns();
	if (service_read(node, &v->arena, &v->def, e) < 0) {
		arena_done(&v->arena);
		free(v->text);
		free(v);
		return NULL;
	}
	return v;
}

static void append(struct services *s, struct service *v)
{
	struct service **p;

	for (p = &s->first; *p; p = &(*p)->next)
		;
	*p = v;
}

/* Those of @list that are not there yet begin; those that are not in it are gone. */
static int replace(struct services *s, const struct json_node *list, struct err *e)
{
	const struct json_node *node;
	struct service *v, *fresh, *new = NULL, *next;

	for (v = s->first; v; v = v->next)
		v->hit = false;
	for (node = list->first; node; node = node->next) {
		fresh = make(node, e);
		if (!fresh) {
			for (; new; new = next) {
				next = new->next;
				arena_done(&new->arena);
				free(new->text);
				free(new);
			}
			return -EINVAL;
		}
		v = find(s, fresh->def.name);
		if (v && strcmp(v->text, fresh->text) == 0) {
			v->hit = true;
			arena_done(&fresh->arena);
			free(fresh->text);
			free(fresh);
			continue;
		}
		fresh->hit = true;
		fresh->next = new;
		new = fresh;
	}
	for (v = s->first; v; v = v->next) {
		if (v->hit || v->gone)
			continue;
		v->gone = true;
		v->want = DOWN;
		v->grace = v->grace ? v->grace : DELAY_MAX_MS / 3;
	}
	while (new) { /* the other way round */
		struct service **p = &new;

		while ((*p)->next)
			p = &(*p)->next;
		v = *p;
		*p = NULL;
		append(s, v);
	}
	return 0;
}

int services_set(struct services *s, const char *text, size_t len, struct err *e)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	const struct json_node *root = NULL, *list = NULL, *generation = NULL;
	struct service_def *all = calloc(LIMIT_SERVICES, sizeof(*all));
	long long number;
	size_t n;
	int r = all ? json_read_kept("services", text, len, &a, &root, e) :
		      err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");

	if (r == 0 && root) {
		list = json_member(root, "services");
		generation = json_member(root, "generation");
		if (!list || list->type != JSON_LIST || !generation ||
		    generation->type != JSON_NUMBER)
			r = err_set(e, ERR_USAGE, -EINVAL,
				    "services: expected a generation and a list");
	}
	if (r == 0)
		r = services_read(list, &a, all, &n, e);
	if (r == 0 && generation) {
		number = strtoll(generation->text, NULL, 10);
		if (number > s->generation) {
			r = replace(s, list, e);
			s->generation = r == 0 ? number : s->generation;
		}
	}
	free(all);
	arena_done(&a);
	return r;
}

/* --- what is wanted of them ----------------------------------------------------------------------------------------------------------- */

/* Hit all that @v needs (@down: that need @v), by others, too. */
static void spread(const struct services *s, struct service *from, bool down)
{
	struct service *v, *w;
	bool more = true;

	for (v = s->first; v; v = v->next)
		v->hit = v == from;
	while (more) {
		more = false;
		for (v = s->first; v; v = v->next) {
			for (w = s->first; w && !v->hit; w = w->next) {
				if (w->hit && (down ? needs(v, w) : needs(w, v)) && !v->gone)
					v->hit = more = true;
			}
		}
	}
}

static void want_up(struct service *v)
{
	if (v->spawned && v->want == UP)
		return;
	v->want = v->spawned ? AGAIN : UP;
	v->at = v->delay = 0;
	v->failed = false;
	v->error[0] = '\0';
}

static void want_down(struct service *v, enum want want, unsigned int grace_ms)
{
	const long kill_at = clock_ms() + (long)grace_ms;

	v->want = want;
	v->at = v->delay = 0;
	v->failed = false;
	v->error[0] = '\0';
	v->grace = (long)grace_ms;
	if (v->asked && v->kill_at > kill_at) /* somebody has less patience */
		v->kill_at = kill_at;
}

int services_order(struct services *s, const struct wire_msg *m, struct err *e)
{
	struct service *from = find(s, m->service.word), *v;

	if (!from)
		return err_set(e, ERR_SYSTEM, -ENOENT, "there is no service '%s'", m->service.word);
	if (m->service.order == WIRE_ORDER_STOP && !from->spawned && from->want == DOWN)
		return err_set(e, ERR_SYSTEM, -ESRCH, "service '%s' does not run", from->def.name);
	if (m->service.order != WIRE_ORDER_START) {
		spread(s, from, true);
		for (v = s->first; v; v = v->next) {
			if (!v->hit || v->want == DOWN)
				continue;
			want_down(v, m->service.order == WIRE_ORDER_STOP ? DOWN : AGAIN,
				  m->service.grace_ms);
		}
	}
	if (m->service.order != WIRE_ORDER_STOP) {
		spread(s, from, false);
		for (v = s->first; v; v = v->next) {
			if (v->hit && v->want != AGAIN)
				want_up(v);
		}
	}
	return 0;
}

void services_stop(struct services *s, unsigned int grace_ms)
{
	struct service *v;

	s->stopping = true;
	for (v = s->first; v; v = v->next)
		want_down(v, DOWN, grace_ms);
}

/* --- from what is to what is wanted --------------------------------------------------------------------------------------------------- */

/* It has ended, or has never run. */
static void over(struct service *v, int status, long now)
{
	const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	v->spawned = v->started = v->ready = false;
	v->status = status;
	if (v->asked || v->want != UP) {
		v->asked = false;
		return;
	}
	if (v->def.restart == SERVICE_NEVER || (v->def.restart == SERVICE_ON_FAILURE && well)) {
		v->want = DOWN;
		v->failed = !well;
		return;
	}
	v->delay = now - v->began >= DELAY_MAX_MS || !v->delay ? DELAY_MS :
		   v->delay * 2 > DELAY_MAX_MS                 ? DELAY_MAX_MS :
								 v->delay * 2;
	v->at = now + v->delay;
	v->restarts++;
}

/* Of one that could not be started, as `bailey exec` ends with. */
static int status_of(const struct err *why)
{
	return err_exit_code(why) << 8;
}

static void cannot(struct service *v, const struct err *why, long now)
{
	(void)snprintf(v->error, sizeof(v->error), "%.150s", why->msg);
	over(v, status_of(why), now);
}

/* Its session: the one that it has had, or a new one. */
static int enter(struct services *s, struct service *v, const struct init_command *cmd,
		 struct err *e)
{
	struct wire_msg m = { .type = WIRE_OPEN,
			      .session = WIRE_COMMAND,
			      .open = { .flags = WIRE_OPEN_HELD } };
	int r;

	if (v->session) {
		sessions_again(s->sessions, v->session);
		return 0;
	}
	(void)snprintf(m.open.name, sizeof(m.open.name), "%s", v->def.name); /* was checked */
	r = sessions_open(s->sessions, &m, cmd, &v->session, e);
	if (r == 0)
		v->session->service = true;
	return r;
}

static void begin(struct services *s, struct service *v, long now)
{
	const struct init_command cmd = {
		.argv = v->def.argv, .envp = v->def.env, .cwd = v->def.dir, .user = v->def.user
	};
	struct err e = ERR_INIT;
	int r = enter(s, v, &cmd, &e);

	v->at = 0;
	v->began = now;
	v->error[0] = '\0';
	v->spawned = true;
	v->asked = v->started = false;
	v->ready = !v->def.port;
	v->look = LOOK_MS;
	v->look_at = now;
	if (r == 0)
		r = s->spawn(s->arg, v->session, &cmd, &e);
	if (r == 0)
		return;
	if (v->session)
		sessions_ended(s->sessions, v->session, status_of(&e));
	cannot(v, &e, now);
}

/* What needs @v, and is there: that ends first. */
static bool is_needed(const struct services *s, const struct service *v)
{
	const struct service *w;

	for (w = s->first; w; w = w->next) {
		if (w->spawned && w->want != UP && w != v && needs(w, v))
			return true;
	}
	return false;
}

static void end(struct services *s, struct service *v, long now, long *wait)
{
	if (!v->asked) {
		if (is_needed(s, v))
			return;
		s->send(s->arg, v->session, v->grace ? SIGTERM : SIGKILL);
		v->asked = true;
		v->kill_at = now + (v->grace ? v->grace : AGAIN_MS);
	} else if (now >= v->kill_at) {
		s->send(s->arg, v->session, SIGKILL);
		v->kill_at = now + AGAIN_MS;
	}
	until(v->kill_at, now, wait);
}

/* What @v waits for. Return: it, or NULL. */
static const char *lacks(const struct services *s, const struct service *v)
{
	const struct service *w;
	char *const *need;

	for (need = v->def.needs; *need; need++) {
		w = find(s, *need);
		if (!w || !w->started || !w->ready || w->want != UP)
			return *need;
	}
	/* one of its name that is gone, and ends */
	for (w = s->first; w && (!w->gone || strcmp(w->def.name, v->def.name) != 0); w = w->next)
		;
	return w ? v->def.name : NULL;
}

static void look(struct services *s, struct service *v, long now, long *wait)
{
	if (now >= v->look_at) {
		v->ready = s->listens(s->arg, v->def.port);
		v->look_at = now + v->look;
		v->look = v->look * 2 > LOOK_MAX_MS ? LOOK_MAX_MS : v->look * 2;
	}
	if (!v->ready)
		until(v->look_at, now, wait);
}

/* Return: whether others may have something to do now. */
static bool step(struct services *s, struct service *v, long now, long *wait)
{
	if (v->spawned) {
		if (v->want != UP)
			end(s, v, now, wait);
		else if (v->started && !v->ready)
			look(s, v, now, wait);
		return false;
	}
	if (v->want == AGAIN)
		v->want = UP;
	if (v->want != UP || s->stopping)
		return false;
	if (now < v->at) {
		until(v->at, now, wait);
		return false;
	}
	/* somebody who follows has not taken yet what the last one has written; who does not read is let go */
	if (v->session && v->session->ended && !v->session->over) {
		until(now + DELAY_MS, now, wait);
		return false;
	}
	if (lacks(s, v))
		return false;
	begin(s, v, now);
	return !v->spawned;
}

void services_step(struct services *s, long *wait)
{
	const long now = clock_ms();
	struct service *v, *next;
	bool ready, more = true;

	while (more) {
		more = false;
		for (v = s->first; v; v = next) {
			next = v->next;
			if (v->gone && !v->spawned) {
				forget(s, v);
				more = true;
				continue;
			}
			ready = v->ready;
			more |= step(s, v, now, wait) || (v->started && v->ready && !ready);
		}
	}
	for (v = s->first; v; v = v->next) {
		const char *state = state_of(v);

		if (v->state != state)
			v->since = now_ns();
		v->state = state;
	}
}

bool services_settled(const struct services *s)
{
	const struct service *v;

	for (v = s->first; v; v = v->next) {
		if (v->spawned && !v->started)
			return false;
	}
	return true;
}

bool services_any(const struct services *s)
{
	const struct service *v;

	for (v = s->first; v && !v->spawned; v = v->next)
		;
	return v;
}

/* --- what PID 1 says ------------------------------------------------------------------------------------------------------------------ */

bool services_started(struct services *s, const struct session *one)
{
	struct service *v = of_session(s, one);

	if (v)
		v->started = true;
	return v;
}

bool services_failed(struct services *s, const struct session *one, const struct err *why)
{
	struct service *v = of_session(s, one);

	if (!v)
		return false;
	sessions_ended(s->sessions, v->session, status_of(why));
	cannot(v, why, clock_ms());
	return true;
}

bool services_ended(struct services *s, const struct session *one, int status)
{
	struct service *v = of_session(s, one);

	if (v)
		over(v, status, clock_ms());
	return v;
}

/* --- what is said of them ------------------------------------------------------------------------------------------------------------- */

/* Why @v is not what it shall be, or NULL. */
static const char *why(const struct services *s, const struct service *v, char *text, size_t size)
{
	const bool waits = !v->spawned && v->want == UP && !v->at;
	const char *need = waits ? lacks(s, v) : NULL;

	if (s->paused && (waits || (v->spawned && v->want != UP)))
		return SERVICES_PAUSED;
	if (!need)
		return *v->error ? v->error : NULL;
	(void)snprintf(text, size, "it waits for '%s'", need);
	return text;
}

static void list_one(const struct services *s, const struct service *v, long now, struct json *j)
{
	char text[160];
	const char *error = why(s, v, text, sizeof(text));

	json_open(j, NULL, '{');
	json_str(j, "name", v->def.name);
	json_str(j, "state", state_of(v));
	if (v->started)
		json_int(j, "pid", v->session->pid);
	json_int(j, "since", v->since);
	json_int(j, "restarts", v->restarts);
	if (v->status >= 0)
		json_int(j, "status",
			 WIFSIGNALED(v->status) ? 128 + WTERMSIG(v->status) :
						  WEXITSTATUS(v->status));
	if (v->session)
		json_int(j, "session", v->session->number);
	if (v->at && v->want == UP && !v->spawned)
		json_int(j, "next_restart", now_ns() + (v->at - now) * 1000000LL);
	if (error)
		json_str(j, "error", error);
	json_close(j, '}');
}

void services_list(const struct services *s, struct buf *b)
{
	struct json j = { .out = b };
	const struct service *v;

	json_open(&j, NULL, '[');
	for (v = s->first; v; v = v->next)
		list_one(s, v, clock_ms(), &j);
	json_close(&j, ']');
}
