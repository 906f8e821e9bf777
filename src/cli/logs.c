/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "logs.h"

#define LINE_MAX_BYTES 65536 /* a longer one is printed in parts, with --json */

static void fill(struct logs_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("follow", &o->follow, NULL, "Go on until the session has ended",
			 "What it has left running when its command has ended is not waited for.",
			 OPT_LETTER('f')),
		OPT_FLAG(
			"json", &o->json, NULL, "Print an object for each line",
			"Keys: session (its number), line. What is not UTF-8, and NUL, becomes U+FFFD; what is longer than 64 KiB is several."),
		OPT_FLAG(
			"supervisor", &o->supervisor, NULL,
			"Print what the sandbox's own supervisor has said",
			"Notices of its starts, what was found at its ends, what went wrong between: since it was made, whether it runs or not. With --tail the last lines of that."),
		OPT_STRING("tail", &o->tail, NULL, "N", "Only the last N lines of what is kept",
			   "With --follow, what comes then is printed, too.", OPT_LETTER('n')),
		OPT_END,
	};

	*o = (struct logs_options){ .tail = NULL };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 5

static const struct opt *options(void)
{
	static struct logs_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words logs_words = {
	.about =
		"Prints what a session has written that 'bailey exec -d' or 'bailey exec -t' has started: stdout and stderr, in the order in which they were written, as much as is kept, from the first whole line on. "
		"Without SESSION (a number or a name) the newest without a terminal is meant, if there is one.",
	.options = options,
	.examples = { { "bailey logs box web", "what the session 'web' has written" },
		      { "bailey logs --follow --tail 10 box",
			"the last ten lines of the newest, and what comes" },
		      { "bailey logs --supervisor box", "why it has ended" } },
	.statuses = { { "N", "the command's own, when it has ended" },
		      { "0", "printed, and it runs" },
		      { "3", "there is no such sandbox or session" },
		      { "4", "the sandbox does not run, or nothing of the session is kept" },
		      { "125", "the sandbox has ended, or this client did not read" },
		      { "2", "wrong options" } },
};

struct logs {
	int sock, stream;
	bool json;
	uint32_t number;
	struct buf line; /* that is not whole yet */
};

/* One line, without its end, as JSON. */
static int print_line(struct logs *l)
{
	struct buf b = BUF_INIT((size_t)8 * LINE_MAX_BYTES);
	struct json j = { .out = &b };
	size_t i;
	int r;

	for (i = 0; i < l->line.len; i++) {
		if (!l->line.data[i])
			l->line.data[i] = '\xff'; /* what no text has either */
	}
	json_open(&j, NULL, '{');
	json_int(&j, "session", l->number);
	json_str(&j, "line", l->line.data ? l->line.data : "");
	json_close(&j, '}');
	buf_puts(&b, "\n");
	r = b.failed ? -ENOMEM : fd_write_all(1, b.data, b.len);
	buf_done(&b);
	l->line.len = 0;
	if (l->line.data)
		l->line.data[0] = '\0';
	return r;
}

static int print(struct logs *l, const char *p, size_t n)
{
	size_t len;
	int r = 0;

	if (!l->json)
		return fd_write_all(1, p, n);
	for (; r == 0 && n > 0; p += len, n -= len) {
		const char *end = memchr(p, '\n', n);

		len = end ? (size_t)(end - p) : n;
		if (len > LINE_MAX_BYTES - l->line.len) {
			len = LINE_MAX_BYTES - l->line.len;
			end = NULL;
		}
		buf_add(&l->line, p, len);
		if (end || l->line.len == LINE_MAX_BYTES)
			r = print_line(l);
		len += end != NULL;
	}
	return r;
}

/* Where the last @lines lines begin; the end of the last need not be there. */
static size_t tail_of(const char *p, size_t n, long lines)
{
	size_t at = n;

	if (!lines)
		return n;
	if (at > 0 && p[at - 1] == '\n')
		at--;
	for (; at > 0; at--) {
		if (p[at - 1] == '\n' && --lines == 0)
			break;
	}
	return at;
}

/* What was kept. @tail: -1: all of it */
static int print_kept(struct logs *l, uint64_t history, long tail)
{
	struct buf b = BUF_INIT(LIMIT_SCROLLBACK + 1);
	char part[16384];
	size_t from;
	ssize_t n = 1;
	int r;

	while (b.len < history && n > 0) {
		n = read(l->stream, part,
			 history - b.len < sizeof(part) ? (size_t)(history - b.len) : sizeof(part));
		if (n > 0)
			buf_add(&b, part, (size_t)n);
	}
	from = tail < 0 || !b.len ? 0 : tail_of(b.data, b.len, tail);
	r = b.failed ? -ENOMEM : b.len ? print(l, b.data + from, b.len - from) : 0;
	buf_done(&b);
	return r;
}

static int print_live(struct logs *l)
{
	char part[16384];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(l->stream, part, sizeof(part))) != 0)
		r = n < 0 ? -errno : print(l, part, (size_t)n);
	return r;
}

int logs_show(int sock, const struct logs_options *o, long tail, const char *word, struct err *e)
{
	struct wire_msg m = { .type = WIRE_ATTACH,
			      .session = WIRE_COMMAND,
			      .attach = { .flags = WIRE_ATTACH_READ_ONLY |
						   (o->follow ? WIRE_ATTACH_FOLLOW : 0) } };
	struct logs l = { .sock = sock, .json = o->json, .line = BUF_INIT(LINE_MAX_BYTES + 1) };
	int pair[2], fd, r = word ? client_word(word, m.attach.word, e) : 0;
	bool ended;

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socketpair");
	l.stream = pair[0];
	r = wire_send(sock, &m, &pair[1], 1, true);
	(void)close(pair[1]);
	if (r < 0)
		(void)err_sys(e, r, "the sandbox");
	else
		r = client_hear(sock, &m, &fd, e);
	ended = r == 0 && m.which.flags & WIRE_SESSION_ENDED;
	l.number = m.which.number;
	if (r == 0 && m.type != WIRE_SESSION)
		r = err_set(e, ERR_SYSTEM, -EBADMSG, "the sandbox has said something else");
	if (r == 0) {
		r = print_kept(&l, m.which.history, tail);
		if (r == 0 && o->follow)
			r = print_live(&l);
		if (r == 0 && l.line.len)
			r = print_line(&l);
		if (r < 0)
			(void)err_sys(e, r, "stdout");
	}
	if (r == 0 && (ended || o->follow)) {
		r = client_hear(sock, &m, &fd, e);
		if (r == 0 && m.type == WIRE_ENDED)
			r = WIFSIGNALED(m.ended.status) ? 128 + WTERMSIG(m.ended.status) :
							  WEXITSTATUS(m.ended.status);
	}
	(void)close(l.stream);
	buf_done(&l.line);
	return r;
}

int logs_tail(const char *text, long *ret, struct err *e)
{
	char *end;

	errno = 0;
	*ret = strtol(text, &end, 10);
	if (errno || *end || end == text || *ret < 0 || *text < '0' || *text > '9')
		return err_set(e, ERR_USAGE, -EINVAL, "--tail '%.100s': expected a number of lines",
			       text);
	return 0;
}

/* What the supervisor of @word has said. @tail: as in print_kept() */
static int show_supervisor(struct named *n, const char *word, long tail, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_SCROLLBACK + 1);
	_cleanup_close_ int log = -1;
	struct named_box box;
	char part[16384];
	ssize_t got = 1;
	off_t size;
	int r = named_get(n, word, &box, e);

	if (r != 0)
		return r;
	log = named_log(n, box.id);
	size = log < 0 ? 0 : lseek(log, 0, SEEK_END);
	/* of many lines the last are near the end */
	if (log >= 0)
		(void)lseek(log,
			    tail >= 0 && size > (off_t)LIMIT_SCROLLBACK ?
				    size - (off_t)LIMIT_SCROLLBACK :
				    0,
			    SEEK_SET);
	if (log >= 0 && tail >= 0) {
		r = fd_read_all(log, &b);
		got = b.data ? (ssize_t)tail_of(b.data, b.len, tail) : 0;
		if (r == 0 && b.data)
			r = fd_write_all(1, b.data + got, b.len - (size_t)got);
	}
	while (log >= 0 && tail < 0 && r == 0 && (got = read(log, part, sizeof(part))) != 0)
		r = got < 0 ? -errno : fd_write_all(1, part, (size_t)got);
	buf_done(&b);
	return r < 0 ? err_sys(e, r, "what the supervisor of '%s' has said", box.name) : 0;
}

/* What goes with --supervisor. */
static int check(const struct logs_options *o, char *const *argv, struct err *e)
{
	if (o->supervisor && (o->follow || o->json || argv[1]))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"--supervisor: what it says is no session's: bailey logs --supervisor [--tail N] %.100s",
			argv[0]);
	return 0;
}

int logs_main(char **argv)
{
	struct logs_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	struct named n = { .state = -1, .runtime = -1 };
	long tail = -1;
	int r, sock = -1;

	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0 && (!argv[0] || (argv[1] && argv[2])))
		r = err_set(
			&e, ERR_USAGE, -EINVAL,
			"name the sandbox, and at most one session: bailey logs SANDBOX [SESSION]");
	if (r == 0)
		r = check(&o, argv, &e);
	if (r == 0 && o.tail)
		r = logs_tail(o.tail, &tail, &e);
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0 && o.supervisor)
		r = show_supervisor(&n, argv[0], tail, &e);
	else if (r == 0)
		r = client_reach(&n, argv[0], &sock, &e);
	if (r == 0 && !o.supervisor)
		r = logs_show(sock, &o, tail, argv[1], &e);
	cleanup_close(&sock);
	named_done(&n);
	return r < 0 ? client_fail(&e) : r;
}
