/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. PID 1 hands out a seccomp listener (docs/adr/0018). A process of its own answers it, since a look into the memory of a
 * hostile process may take as long as that likes, and the supervisor must come to its time-outs. It writes into memory that both share. When the
 * last process of the sandbox has gone, the listener hangs up, and the observer ends; when the observer ends before that, calls that wait for it
 * fail with ENOSYS: nothing runs unseen.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_MS 2000 /* for the observer, once nothing is left to observe */

/* Whether something of that name is there, or it can't be told. */
static bool may_be_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* Cut @path to the directory that it is in. */
static void to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path] = '\0';
}

static bool has_parent(const char *path)
{
	char dir[LIMIT_PATH];

	memcpy(dir, path, strlen(path) + 1);
	to_parent(dir);
	return may_be_there(dir);
}

/* What fails anyway, outside too, is no denial. */
static bool fails_anyway(const struct jail_access *a, size_t i)
{
	const bool needs = a->needs || (a->n == 2 && i == 0); /* of two names the first is moved */
	const bool there = a->at[i].there;

	if (a->makes && there)
		return true;
	if (needs)
		return !there && !may_be_there(a->at[i].path);
	return !there && !has_parent(a->at[i].path);
}

/* Nobody gives a command the whole machine because it tried to write in "/". */
static void find_grant(struct report_entry *x, bool names)
{
	const bool write = x->judged.option && strcmp(x->judged.option, "--allow-write") == 0;

	memcpy(x->grant, x->path, sizeof(x->grant));
	if (!write)
		return;
	if (names)
		to_parent(x->grant);
	while (x->grant[1] && !may_be_there(x->grant))
		to_parent(x->grant);
	if (x->grant[1])
		return;
	x->judged.option = NULL;
	x->judged.way = "let it use a directory that can be given";
}

static void keep(struct report *r, const struct jail_access *a, const char *path,
		 const struct judgement *judged)
{
	struct report_entry *x;
	size_t i;

	for (i = 0; i < r->n; i++) {
		x = &r->entries[i];
		if (x->op == a->op && strcmp(x->path, path) == 0) {
			x->count++;
			return;
		}
	}
	if (r->n == LIMIT_REPORTED) {
		r->more++;
		return;
	}
	x = &r->entries[r->n];
	*x = (struct report_entry){ .op = a->op, .judged = *judged, .count = 1 };
	memcpy(x->path, path, strlen(path) + 1);
	find_grant(x, a->names);
	r->n++;
}

void report_add(struct report *r, const struct sandbox *s, const struct jail_access *a, int audit)
{
	struct judgement judged;
	bool fails;
	size_t i;

	for (i = 0; i < a->n; i++) {
		judged = judge(s, a->write, a->at[i].path);
		fails = !judged.allowed && fails_anyway(a, i);
		if (audit >= 0)
			audit_file_add(r, audit, a, a->at[i].path, &judged, fails);
		if (!judged.allowed && !fails && (a->write || s->reported == JAIL_REPORT_READS))
			keep(r, a, a->at[i].path, &judged);
	}
}

void report_text(const struct report *r, struct buf *b)
{
	size_t i;

	if (!r->whole)
		buf_puts(
			b,
			"bailey: report: not complete: what watched the run was ended before the run\n");
	if (r->unread)
		buf_printf(
			b,
			"bailey: report: not complete: %llu calls could not be looked at (programs that may not be read)\n",
			(unsigned long long)r->unread);
	if (r->n == 0)
		buf_puts(b, "bailey: report: no file was denied\n");
	for (i = 0; i < r->n; i++) {
		const struct report_entry *x = &r->entries[i];

		buf_puts(b, "bailey: report: ");
		if (x->count > 1)
			buf_printf(b, "%llu times ", (unsigned long long)x->count);
		judgement_text(&x->judged, x->op, x->path, x->grant, b);
	}
	if (r->more)
		buf_printf(b, "bailey: report: and %llu more\n", (unsigned long long)r->more);
}

void report_strict_text(const struct report *r, struct buf *b)
{
	size_t i;

	for (i = 0; i < r->n_refused; i++) {
		buf_puts(b, "bailey: '");
		buf_quote(b, r->refused[i].path);
		buf_puts(b, "': not made: the host would use it (");
		buf_quote(b, r->refused[i].what);
		buf_puts(b, "; --strict-protect). To allow it: --unprotect ");
		text_shell(b, r->refused[i].path);
		buf_puts(b, "\n");
	}
	if (r->more_refused)
		buf_printf(b, "bailey: and %zu more names were not made\n", r->more_refused);
	if (r->unmade)
		buf_printf(
			b,
			"bailey: --strict-protect: what makes names was killed inside; %llu calls failed after that\n",
			(unsigned long long)r->unmade);
}

static void keep_refused(struct report *r, const struct jail_access *a)
{
	size_t i;

	for (i = 0; i < r->n_refused; i++) {
		if (strcmp(r->refused[i].path, a->name) == 0)
			return;
	}
	if (r->n_refused == LIMIT_REFUSED) {
		r->more_refused++;
		return;
	}
	memcpy(r->refused[i].path, a->name, sizeof(a->name));
	memcpy(r->refused[i].what, a->what, sizeof(a->what));
	r->n_refused++;
}

static void __attribute__((noreturn))
observe(struct report *r, const struct sandbox *s, struct jail_notify *n, int audit)
{
	static struct jail_access a;
	int got;

	do {
		got = jail_notify_next(n, &a);
		if (got == 1 && a.refused)
			keep_refused(r, &a);
		else if (got == 1)
			report_add(r, s, &a, audit);
		r->unread = n->unread;
		r->unmade = n->unmade;
	} while (got == 1 || got == -EAGAIN);
	r->whole = got == 0;
	_exit(got < 0 ? 1 : 0);
}

/* The observer needs nothing but these: pipes that it held open would keep others waiting. They become 0-2. */
static int close_others(int fds[4])
{
	int i;

	for (i = 0; i < 4; i++) {
		fds[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (i < 2 && fds[i] < 0)
			return -errno;
	}
	(void)close(0);
	(void)close(1);
	(void)close(2);
	return fd_close_others(fds, 4);
}

int report_begin(struct run *run, const struct sandbox *s, int listener, int maker, struct err *e)
{
	_cleanup_close_ int fd = listener, end = -1;
	struct jail_notify n;
	pid_t parent = getpid();
	int pair[2];

	if (run->report || (s->report == JAIL_REPORT_NONE && !s->strict) ||
	    (maker >= 0) != s->strict)
		return err_set(e, ERR_SYSTEM, -EBADMSG,
			       "report of the sandbox: a listener that nobody wants");
	run->report = mmap(NULL, sizeof(*run->report), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (run->report == MAP_FAILED) {
		run->report = NULL;
		return err_sys(e, -errno, "--report: shared memory");
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "--report: pipe");
	run->observer_end = pair[0];
	end = pair[1]; /* closed with the observer, whatever ends it */
	run->observer = fork();
	if (run->observer < 0)
		return err_sys(e, -errno, "--report: fork");
	if (run->observer == 0) {
		int fds[4] = { fd, end, maker, run->audit };

		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
		    close_others(fds) < 0)
			_exit(1);
		jail_notify_init(&n, fds[0], run->jail.pid, s->nested != JAIL_NESTED_NONE, fds[2],
				 s->report == JAIL_REPORT_NONE);
		observe(run->report, s, &n, fds[3]);
	}
	return 0;
}

void report_wait(struct run *run)
{
	struct pollfd p = { .fd = run->observer_end, .events = POLLIN };

	if (run->observer <= 0)
		return;
	if (poll(&p, 1, END_MS) <= 0)
		(void)kill(run->observer, SIGKILL); /* our child, not reaped yet */
	while (waitpid(run->observer, NULL, 0) < 0 && errno == EINTR)
		;
	run->observer = 0;
	cleanup_close(&run->observer_end);
}

static void put_entry(struct json *j, const struct report_entry *x)
{
	json_open(j, NULL, '{');
	json_str(j, "op", x->op);
	json_str(j, "path", x->path);
	json_int(j, "count", (long long)x->count);
	json_str(j, "state", x->judged.state);
	json_str(j, "why", x->judged.why);
	json_str(j, "rule", x->judged.rule ? policy_kind_name(x->judged.rule->kind) : NULL);
	json_str(j, "rule_path", x->judged.rule ? x->judged.rule->path : NULL);
	json_str(j, "origin", x->judged.rule ? x->judged.rule->origin : NULL);
	json_str(j, "option", x->judged.option);
	json_str(j, "grant", x->judged.option ? x->grant : NULL);
	json_str(j, "way", x->judged.way);
	json_close(j, '}');
}

void report_json(const struct report *r, const struct sandbox *s, struct buf *b)
{
	struct json j = { .out = b };
	size_t i;

	json_open(&j, NULL, '{');
	json_bool(&j, "complete", r->whole && !r->unread && !r->more && !r->more_refused);
	json_open(&j, "denied", '[');
	for (i = 0; s->reported != JAIL_REPORT_NONE && i < r->n; i++)
		put_entry(&j, &r->entries[i]);
	json_close(&j, ']');
	json_int(&j, "more", (long long)(s->reported != JAIL_REPORT_NONE ? r->more : 0));
	json_int(&j, "unread", (long long)r->unread);
	json_open(&j, "not_made", '[');
	for (i = 0; i < r->n_refused; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "path", r->refused[i].path);
		json_str(&j, "what", r->refused[i].what);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	if (s->options->audit) {
		json_open(&j, "audit", '{');
		json_str(&j, "file", s->options->audit);
		json_int(&j, "looks", (long long)r->looks);
		json_int(&j, "denied", (long long)r->looks_denied);
		json_bool(&j, "full", r->audit_full);
		json_close(&j, '}');
	}
	json_close(&j, '}');
	buf_puts(b, "\n");
}

/* What ends a run: one object, or lines. */
static void put_all(const struct report *r, const struct sandbox *s, struct buf *b)
{
	if (s->json) {
		report_json(r, s, b);
		return;
	}
	report_strict_text(r, b);
	if (s->reported != JAIL_REPORT_NONE)
		report_text(r, b);
	if (s->options->audit)
		audit_file_text(r, s->options->audit, b);
}

void report_say(struct run *run, const struct sandbox *s, bool quiet)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);

	cleanup_close(&run->audit);
	run->audit = -1;
	if (!run->report)
		return;
	if (!quiet && run->reader.report) {
		run->reader.report(run->reader.arg, run->report, s);
		report_strict_text(run->report, &b);
	} else if (!quiet) {
		put_all(run->report, s, &b);
	}
	if (b.failed)
		(void)fd_write_all(2, "bailey: report: it does not fit\n", 31);
	else
		(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
	(void)munmap(run->report, sizeof(*run->report));
	run->report = NULL;
}
