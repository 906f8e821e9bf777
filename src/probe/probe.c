/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A try is a process in a process group of its own: it may hang, crash or be killed by a filter, and all of it is ended before its answer
 * is read. Whatever it mounts, it mounts in a namespace that ends with it.
 */
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tries.h"

bool probe_required(const struct probe_fact *f)
{
	return !f->feature;
}

const char *probe_state_name(enum probe_state s)
{
	static const char *const names[PROBE_STATE_NUM] = {
		[PROBE_OK] = "ok",
		[PROBE_DEGRADED] = "degraded",
		[PROBE_MISSING] = "missing",
		[PROBE_UNKNOWN] = "unknown",
	};

	return names[s];
}

int probe_begin(struct probe *p, struct err *e)
{
	*p = (struct probe){ .answers = NULL };
	(void)probe_facts(&p->n);
	p->asked = calloc(p->n, sizeof(*p->asked));
	p->answers = mmap(NULL, p->n * sizeof(*p->answers), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->answers == MAP_FAILED)
		p->answers = NULL;
	if (!p->asked || !p->answers) {
		probe_end(p);
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	}
	/* a caller that ignores SIGCHLD hands that down: then no try could be waited for */
	(void)signal(SIGCHLD, SIG_DFL);
	return 0;
}

void probe_end(struct probe *p)
{
	free(p->asked);
	if (p->answers)
		(void)munmap(p->answers, p->n * sizeof(*p->answers));
	*p = (struct probe){ .answers = NULL };
}

static __attribute__((noreturn)) void try_main(const struct probe_fact *f, struct probe_answer *a)
{
	(void)setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		_exit(1);
	a->state = f->try(a);
	_exit(0);
}

/* Until @pid has ended, at most PROBE_SECONDS; it stays a zombie, so that its number and its group stay its own. */
static bool ended_in_time(pid_t pid)
{
	struct timespec nap = { .tv_nsec = 200000 };
	struct timespec now, end;
	siginfo_t si;

	(void)clock_gettime(CLOCK_MONOTONIC, &end); /* can't fail for this clock */
	end.tv_sec += PROBE_SECONDS;
	for (;;) {
		si.si_pid = 0;
		if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT | WNOHANG) < 0 &&
		    errno != EINTR)
			return false;
		if (si.si_pid == pid)
			return true;
		(void)clock_gettime(CLOCK_MONOTONIC, &now); /* as above */
		if (now.tv_sec > end.tv_sec ||
		    (now.tv_sec == end.tv_sec && now.tv_nsec > end.tv_nsec))
			return false;
		(void)nanosleep(&nap, NULL); /* a signal only makes it shorter */
		if (nap.tv_nsec < 5000000)
			nap.tv_nsec *= 2;
	}
}

static void run(const struct probe_fact *f, struct probe_answer *a)
{
	bool in_time;
	pid_t pid;
	int status;

	a->state = PROBE_UNKNOWN;
	pid = fork();
	if (pid == 0)
		try_main(f, a);
	if (pid < 0) {
		a->sys = errno;
		(void)snprintf(a->detail, sizeof(a->detail), "not tried: fork: %s",
			       strerror(errno));
		return;
	}
	(void)setpgid(pid, pid); /* whoever of the two comes first */
	in_time = ended_in_time(pid);
	(void)kill(
		-pid,
		SIGKILL); /* what it left running; the leader is not reaped, so the group is ours */
	status = probe_wait(pid);
	if (in_time && status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	a->state = PROBE_UNKNOWN;
	if (!in_time)
		(void)snprintf(a->detail, sizeof(a->detail), "no answer in %d seconds",
			       PROBE_SECONDS);
	else
		(void)snprintf(a->detail, sizeof(a->detail), "the try was ended by signal %d",
			       status >= 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static size_t find(const char *id)
{
	size_t i, n;
	const struct probe_fact *facts = probe_facts(&n);

	for (i = 0; i < n && strcmp(facts[i].id, id) != 0; i++)
		;
	return i;
}

/* The command that this caller can type. */
static void finish(const struct probe_fact *f, struct probe_answer *a)
{
	char command[sizeof(a->mend)];

	if (a->state == PROBE_OK || (a->state == PROBE_UNKNOWN && !a->mend[0] && !a->advice[0])) {
		a->mend[0] = a->advice[0] = '\0';
		return;
	}
	if (!a->mend[0] && !a->advice[0]) {
		(void)snprintf(a->mend, sizeof(a->mend), "%s", f->mend ? f->mend : "");
		(void)snprintf(a->advice, sizeof(a->advice), "%s", f->advice ? f->advice : "");
	}
	if (a->mend[0] && geteuid() != 0) {
		memcpy(command, a->mend, sizeof(command));
		(void)snprintf(a->mend, sizeof(a->mend), "sudo %.*s", (int)sizeof(a->mend) - 6,
			       command);
	}
}

const struct probe_answer *probe_ask(struct probe *p, size_t i)
{
	size_t n, need = i;
	const struct probe_fact *f = &probe_facts(&n)[i];
	struct probe_answer *a = &p->answers[i];
	const struct probe_answer *first;

	if (p->asked[i])
		return a;
	p->asked[i] = true;
	if (f->needs)
		need = find(f->needs);
	if (need != i && need < n) {
		first = probe_ask(p, need);
		if (first->state == PROBE_MISSING || first->state == PROBE_UNKNOWN) {
			a->state = PROBE_UNKNOWN;
			(void)snprintf(a->detail, sizeof(a->detail), "not tried: %s is %s",
				       f->needs, probe_state_name(first->state));
			return a;
		}
	}
	run(f, a);
	finish(f, a);
	return a;
}

/* The errno's text behind the words, when there is one. */
__attribute__((format(printf, 3, 0))) static void describe(struct probe_answer *a, int r,
							   const char *fmt, va_list ap)
{
	size_t n;

	(void)vsnprintf(a->detail, sizeof(a->detail), fmt, ap);
	a->sys = r < 0 ? -r : 0;
	if (r < 0) {
		n = strlen(a->detail);
		(void)snprintf(a->detail + n, sizeof(a->detail) - n, ": %s", strerror(-r));
	}
}

enum probe_state probe_ok(struct probe_answer *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	describe(a, 0, fmt, ap);
	va_end(ap);
	return PROBE_OK;
}

enum probe_state probe_missing(struct probe_answer *a, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	describe(a, r, fmt, ap);
	va_end(ap);
	return PROBE_MISSING;
}

enum probe_state probe_degraded(struct probe_answer *a, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	describe(a, r, fmt, ap);
	va_end(ap);
	return PROBE_DEGRADED;
}

void probe_mend(struct probe_answer *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->mend, sizeof(a->mend), fmt, ap);
	va_end(ap);
}

void probe_advise(struct probe_answer *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->advice, sizeof(a->advice), fmt, ap);
	va_end(ap);
}
