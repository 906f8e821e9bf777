/* SPDX-License-Identifier: Apache-2.0 */
#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS 4096u /* bytes of a command line that are shown */

/* A file of a process. @b: with a NUL behind it. Return: whether there is one. */
static bool read_proc(pid_t pid, const char *file, struct buf *b)
{
	char path[64];
	_cleanup_close_ int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && fd_read_all(fd, b) == 0 && b->data;
}

/* The numbers behind "NAME:" at the start of a line. Return: what follows the colon, or NULL. */
static const char *line_of(const char *text, const char *name)
{
	const size_t n = strlen(name);

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (strncmp(text, name, n) == 0 && text[n] == ':')
			return text + n + 1;
	}
	return NULL;
}

static uint64_t number_of(const char *text, const char *name)
{
	const char *at = line_of(text, name);

	return at ? strtoull(at, NULL, 10) : 0;
}

/* What is its own: files that are mapped would be counted for each who maps them. */
static uint64_t memory_of(const char *status)
{
	return (number_of(status, "RssAnon") + number_of(status, "RssShmem")) * 1024;
}

static uint64_t us_of(uint64_t ticks)
{
	return ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* The pid at the @depth-th level of namespaces, from 1. Return: it, or 0. */
static pid_t pid_at(const char *status, int depth)
{
	const char *at = line_of(status, "NSpid");
	char *end;
	long pid = 0;

	for (; at && depth > 0; depth--, at = end) {
		pid = strtol(at, &end, 10);
		if (end == at)
			return 0;
	}
	return (pid_t)pid;
}

/* How many levels of namespaces its line has, up to its own. */
static int depth_of(const char *status)
{
	int depth = 0;

	while (pid_at(status, depth + 1))
		depth++;
	return depth;
}

static int not_said(long n, struct err *e)
{
	return n == -ENOENT ?
		       err_set(e, ERR_SYSTEM, -ENOENT,
			       "the sandbox ends, or this kernel does not say who is whose child") :
		       err_sys(e, (int)n, "/proc");
}

int usage_get(const struct named *n, const struct named_box *box, struct usage *ret, struct err *e)
{
	const struct wire_msg ask = { .type = WIRE_ASK };
	struct proc_stat *members = NULL;
	long count, i;
	int r;

	*ret = (struct usage){ .io = true };
	r = named_ask(n, box, &ask, &ret->state, e);
	ret->lives = r == 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	count = jail_family((pid_t)ret->state.state.pid, &members);
	for (i = 0; i < count; i++) {
		struct buf status = BUF_INIT(65536), io = BUF_INIT(4096);

		ret->cpu_us += us_of(members[i].ticks);
		if (i > 0)
			ret->pids += members[i].threads;
		if (read_proc(members[i].pid, "status", &status))
			ret->memory += memory_of(status.data);
		if (read_proc(members[i].pid, "io", &io)) {
			ret->read += number_of(io.data, "read_bytes");
			ret->written += number_of(io.data, "write_bytes");
		} else if (i > 0) { /* PID 1 keeps itself to itself */
			ret->io = false;
		}
		buf_done(&status);
		buf_done(&io);
	}
	free(members);
	return count < 0 ? not_said(count, e) : 0;
}

static const char *command_of(pid_t pid, const char *status, struct arena *a)
{
	struct buf b = BUF_INIT(WORDS), words = BUF_INIT(1u << 22);
	const char *name = line_of(status, "Name"), *ret;
	size_t i;

	if (read_proc(pid, "cmdline", &words) && words.len > 1) {
		for (i = 0; i < words.len - 1; i++) {
			if (!words.data[i])
				words.data[i] = ' ';
		}
		if (words.len > WORDS / 8)
			words.data[WORDS / 8] = '\0';
		buf_quote(&b, words.data);
	} else if (name) {
		name += strspn(name, "\t ");
		buf_printf(&b, "[%.*s]", (int)strcspn(name, "\n"), name);
	}
	ret = b.data && !b.failed ? arena_strdup(a, b.data) : "?";
	buf_done(&b);
	buf_done(&words);
	return ret;
}

static bool describe(const struct proc_stat *m, int depth, struct arena *a,
		     struct usage_process *ret)
{
	struct buf status = BUF_INIT(65536), parent = BUF_INIT(65536);
	bool there = read_proc(m->pid, "status", &status);

	if (there) {
		*ret = (struct usage_process){ .pid = pid_at(status.data, depth),
					       .state = m->state,
					       .threads = m->threads,
					       .cpu_us = us_of(m->ticks),
					       .memory = memory_of(status.data),
					       .command = command_of(m->pid, status.data, a) };
		if (read_proc((pid_t)number_of(status.data, "PPid"), "status", &parent))
			ret->parent = pid_at(parent.data, depth);
	}
	buf_done(&status);
	buf_done(&parent);
	return there && ret->pid && ret->command;
}

long usage_processes(pid_t pid1, struct arena *a, struct usage_process **ret, struct err *e)
{
	struct buf status = BUF_INIT(65536);
	struct proc_stat *members = NULL;
	long count = jail_family(pid1, &members), found = 0, i;
	const int depth = read_proc(pid1, "status", &status) ? depth_of(status.data) : 0;
	struct usage_process *p = count > 0 ? arena_alloc(a, (size_t)count * sizeof(*p)) : NULL;

	if (count < 0)
		found = not_said(count, e);
	else if (!p)
		found = err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	for (i = 1; p && i < count; i++)
		found += describe(&members[i], depth, a, &p[found]);
	free(members);
	buf_done(&status);
	*ret = p;
	return found;
}
