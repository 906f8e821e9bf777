/* SPDX-License-Identifier: Apache-2.0 */
/* `bailey events`: what events.c has written, and what is written while we wait. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "events.h"
#include "named.h"
#include "sandbox.h"

struct events_options {
	bool follow, json;
	const char *since;
};

static void fill(struct events_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("follow", &o->follow, NULL, "Print what is written from now on, too",
			 "Until it is interrupted.", OPT_LETTER('f')),
		OPT_FLAG(
			"json", &o->json, NULL, "Print the lines as they are, JSON objects",
			"Keys: time (ns since 1970), event (created, started, paused, pause-failed, resumed, stopped, renamed, replaced, reset, removed, exec-started, exec-ended, exec-failed), id, name (what it was then); "
			"from of renamed (the name before); why of stopped (asked, idle, timeout, signal, memory, ended, lost: it was killed, which the next start writes) and of pause-failed; session of a command, "
			"service whose command it is, and its exit status (137 for what ended with the sandbox); exec-failed: the command of a service can't be executed."),
		OPT_STRING("since", &o->since, NULL, "DURATION",
			   "Leave out what is older: 10s, 5m, 1h",
			   "The default is all that is kept."),
		OPT_END,
	};

	*o = (struct events_options){ .since = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 4

static const struct opt *options(void)
{
	static struct events_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words events_words = {
	.about =
		"Prints what happened to the caller's sandboxes that stay, or to those that are named (under each name that they have had): made, started, paused, resumed, stopped, renamed, removed, and "
		"each command with its exit status. Nothing of a command's words is kept. The last 1 to 2 MiB are there.",
	.options = options,
	.examples = { { "bailey events --since 1h", "what happened within the last hour" },
		      { "bailey events --json box", "of one sandbox, for scripts" } },
	.statuses = { { "0", "printed" },
		      { "3", "there is no such sandbox, and nothing is kept of one" },
		      { "2", "wrong options" } },
};

/* Which one is meant. */
struct wanted {
	const char *word;
	const char *
		id; /* that it has now; NULL: there is none, and what one of that name or id has left is meant */
	bool seen;
};

struct reader {
	const struct events_options *o;
	struct wanted *wanted;
	size_t n;        /* of those; 0: all */
	long long since; /* ns since 1970 */
	struct buf line, out;
};

static bool is_wanted(struct reader *r, const struct json_node *v, const char *id, const char *name)
{
	const char *from = json_text(v, "from");
	bool ret = !r->n;
	size_t i;

	for (i = 0; i < r->n; i++) {
		struct wanted *w = &r->wanted[i];

		if (w->id ? strcmp(w->id, id) == 0 :
			    strcmp(w->word, id) == 0 || strcmp(w->word, name) == 0 ||
				    (from && strcmp(w->word, from) == 0))
			ret = w->seen = true;
	}
	return ret;
}

static void say(struct reader *r, const struct json_node *v, long long ns)
{
	const char *why = json_text(v, "why"), *session = json_text(v, "session"),
		   *status = json_text(v, "status"), *from = json_text(v, "from"),
		   *service = json_text(v, "service");
	const time_t seconds = (time_t)(ns / 1000000000);
	char at[32];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	(void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_printf(&r->out, "%s  %-24s ", at, json_text(v, "name"));
	buf_quote(&r->out, json_text(v, "event"));
	if (session)
		buf_printf(&r->out, " %s", session);
	if (service) {
		buf_puts(&r->out, " of ");
		buf_quote(&r->out, service);
	}
	if (from) {
		buf_puts(&r->out, " from ");
		buf_quote(&r->out, from);
	}
	if (status)
		buf_printf(&r->out, ": exit status %s", status);
	if (why) {
		buf_puts(&r->out, ": ");
		buf_quote(&r->out, why);
	}
	buf_puts(&r->out, "\n");
}

/* One line, which may have been cut by a full disk. */
static void take(struct reader *r)
{
	struct arena a = ARENA_INIT(65536);
	const struct json_node *v;
	const char *id, *name, *at;
	struct err e = ERR_INIT;

	if (json_read("events", r->line.data, r->line.len, &a, &v, &e) == 0 &&
	    (id = json_text(v, "id")) && (name = json_text(v, "name")) &&
	    (at = json_text(v, "time")) && json_text(v, "event") && is_wanted(r, v, id, name) &&
	    strtoll(at, NULL, 10) >= r->since) {
		if (r->o->json)
			buf_printf(&r->out, "%s\n", r->line.data);
		else
			say(r, v, strtoll(at, NULL, 10));
	}
	arena_done(&a);
}

/* What is there, to its end. Return: 0, or an exit status. */
static int drain(struct reader *r, int fd)
{
	char bytes[16384];
	ssize_t n;
	int ret;

	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		const char *at = bytes, *const end = bytes + n;

		while (at < end) {
			const char *nl = memchr(at, '\n', (size_t)(end - at));

			buf_add(&r->line, at, (size_t)((nl ? nl : end) - at));
			at = nl ? nl + 1 : end;
			if (!nl)
				continue;
			if (!r->line.failed && r->line.len)
				take(r);
			buf_done(&r->line);
			r->line = (struct buf)BUF_INIT(8192);
		}
		ret = r->out.len ? cli_print(&r->out) : 0;
		r->out.len = 0;
		if (ret)
			return ret;
	}
	return 0;
}

static int open_log(int state, const char *name)
{
	return openat(state, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* Whether @fd is the file of that name. */
static bool is_current(int state, int fd)
{
	struct stat own, there;

	return fd >= 0 && fstat(fd, &own) == 0 &&
	       fstatat(state, EVENTS_FILE, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       own.st_ino == there.st_ino && own.st_dev == there.st_dev;
}

static int follow(struct reader *r, int state, int *fd, struct err *e)
{
	_cleanup_close_ int notify = inotify_init1(IN_CLOEXEC);
	char path[64], bytes[4096] __attribute__((aligned(8)));
	int ret;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", state);
	if (notify < 0 ||
	    inotify_add_watch(notify, path, IN_MODIFY | IN_CREATE | IN_MOVED_FROM) < 0)
		return err_sys(e, -errno, "inotify");
	for (;;) {
		/* what is renamed has its last lines */
		const bool current = is_current(state, *fd);

		ret = drain(r, *fd);
		if (ret)
			return ret;
		if (!current) {
			const int next = open_log(state, EVENTS_FILE);

			if (next >= 0) {
				cleanup_close(fd);
				*fd = next;
				continue;
			}
		}
		if (read(notify, bytes, sizeof(bytes)) < 0 && errno != EINTR)
			return err_sys(e, -errno, "inotify");
	}
}

static int read_all(struct reader *r, int state, struct err *e)
{
	_cleanup_close_ int old = open_log(state, EVENTS_OLD), fd = open_log(state, EVENTS_FILE);
	int ret = drain(r, old);
	size_t i;

	if (ret == 0)
		ret = drain(r, fd);
	for (i = 0; ret == 0 && i < r->n; i++) {
		if (!r->wanted[i].id && !r->wanted[i].seen)
			return err_set(
				e, ERR_ABSENT, -ENOENT,
				"there is no sandbox '%.100s', and nothing is kept of what happened to one",
				r->wanted[i].word);
	}
	return ret == 0 && r->o->follow ? follow(r, state, &fd, e) : ret;
}

static int find(struct reader *r, struct named *n, char *const *words, struct err *e)
{
	struct named_box box;
	size_t i;

	while (words[r->n])
		r->n++;
	r->wanted = arena_alloc(&n->arena, (r->n + 1) * sizeof(*r->wanted));
	if (!r->wanted)
		return sandbox_oom(e);
	for (i = 0; i < r->n; i++)
		r->wanted[i] =
			(struct wanted){ .word = words[i],
					 .id = named_find(n, words[i], &box) ? box.id : NULL };
	return 0;
}

int events_main(char **argv)
{
	struct events_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	struct reader reader = { .o = &o, .line = BUF_INIT(8192), .out = BUF_INIT(LIMIT_OUTPUT) };
	struct timespec now;
	long ms = 0;
	int r;

	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0 && o.since) {
		r = sandbox_duration(o.since, &ms, &e);
		(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail for this clock */
		reader.since = now.tv_sec * 1000000000LL + now.tv_nsec - ms * 1000000LL;
		if (r < 0)
			r = err_wrap(&e, r, "--since");
	}
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = find(&reader, &n, argv, &e);
	if (r == 0)
		r = read_all(&reader, n.state, &e);
	buf_done(&reader.line);
	buf_done(&reader.out);
	named_done(&n);
	return r < 0 ? cli_fail(&e) : r;
}
