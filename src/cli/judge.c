/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A path is judged in the order in which the kernel would meet the obstacles: what the plan puts in its place, what the
 * policy denies, then the modes of the files for the id that the command will have. The first obstacle is the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static struct judgement yes(const char *state, const char *why)
{
	return (struct judgement){ .allowed = true, .state = state, .why = why };
}

static struct judgement no(const char *state, const char *why, const char *option, const char *way)
{
	return (struct judgement){ .state = state, .why = why, .option = option, .way = way };
}

static const char *allow(bool write)
{
	return write ? "--allow-write" : "--allow-read";
}

/* What the host executes later is not for --allow-write, which speaks of trees. */
static struct judgement protected(const struct sandbox *s, const struct policy_rule *rule,
				  const char *state)
{
	struct judgement j = { .state = state,
			       .rule = rule,
			       .why = "the host executes or obeys it later",
			       .option = "--unprotect" };
	size_t i;

	for (i = 0; i < s->protect.n_configs; i++) {
		if (strcmp(s->protect.configs[i].path, rule->path) == 0)
			j.other = "--allow-git-config";
	}
	return j;
}

/* A rule denies it. */
static struct judgement ruled(const struct policy_rule *rule, const char *state, bool write)
{
	struct judgement j = { .state = state, .rule = rule };

	if (!rule || rule->layer == POLICY_BUILTIN)
		j.option = allow(write);
	else if (rule->layer == POLICY_COMMAND)
		j.way = "leave that rule out";
	else
		j.way = "change it where it is written";
	return j;
}

static struct judgement judge_proc(bool write, const char *path)
{
	const char *name = path + strlen("/proc");

	if (name[0] == '/' && name[1] >= '0' && name[1] <= '9')
		return no("hidden", "the host's processes are not there", NULL, NULL);
	if (write && strncmp(name, "/self", 5) != 0 && strncmp(name, "/thread-self", 12) != 0)
		return no("read-only",
			  "/proc is the sandbox's own, and read-only but for its processes", NULL,
			  NULL);
	return yes("fresh", "/proc is the sandbox's own");
}

static struct judgement judge_dev(bool write, const char *path)
{
	static const char *const names[] = { JAIL_DEV_NODES, "fd",  "stdin", "stdout",
					     "stderr",       "pts", "ptmx",  "shm" };
	const char *name = path + strlen("/dev");
	size_t i, n;

	if (!*name)
		return write ? no("read-only", "/dev is the sandbox's own", NULL, NULL) :
			       yes("fresh", "/dev is the sandbox's own");
	name++;
	n = strcspn(name, "/");
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return yes("fresh", "/dev is the sandbox's own");
	}
	return no("hidden", "/dev is the sandbox's own and has no such entry", NULL, NULL);
}

static struct judgement judge_private(const struct jail_op *op, bool write, const char *path)
{
	struct judgement j;
	struct stat st;

	if (!write && path[op->len] && lstat(path, &st) == 0) {
		j = no("hidden", "the directory is the run's own and empty at the start",
		       "--allow-read", NULL);
	} else {
		j = yes("private", "the directory is the run's own and ends with it");
	}
	j.rule = op->rule;
	return j;
}

/* The least right of @st that the id has. */
static bool mode_allows(const struct stat *st, uid_t uid, gid_t gid, mode_t want)
{
	unsigned int shift = st->st_uid == uid ? 6 : st->st_gid == gid ? 3 : 0;

	return (st->st_mode >> shift & want) == want;
}

/*
 * Root's command has an id of its own without capabilities. Where owners are mapped (a bind, a mapped overlay) it is uid 0 to the files, elsewhere
 * nobody. Access lists are not looked at.
 */
static bool id_may(const struct sandbox *s, const char *path, mode_t want)
{
	const struct jail_op *op = jail_plan_find(&s->plan, path);
	bool mapped = s->id.mode == JAIL_IDS_BLOCK &&
		      (op->type == JAIL_OP_BIND || op->type == JAIL_OP_COPY ||
		       (op->flags & JAIL_OP_MAPPED));
	struct stat st;

	if (op->type == JAIL_OP_PRIVATE || op->type == JAIL_OP_MASK || op->type == JAIL_OP_TEXT ||
	    op->type == JAIL_OP_SHOWN || stat(path, &st) < 0)
		return true; /* staged by us, or not there */
	return mode_allows(&st, mapped ? 0 : s->id.host_uid, mapped ? 0 : s->id.host_gid, want);
}

/* Cut @path to the directory that it is in. */
static void parent(char *path)
{
	char *slash = strrchr(path, '/');

	*(slash == path ? slash + 1 : slash) = '\0';
}

/* Return: 0, or the negative errno with which the file's mode, or its file system, answers. */
static int modes(const struct sandbox *s, bool write, const char *path)
{
	mode_t want = write ? 2 : 4;
	char at[LIMIT_PATH];
	struct stat st;

	memcpy(at, path, strlen(path) + 1);
	while (lstat(at, &st) < 0 && (errno == ENOENT || errno == ENOTDIR) && at[1]) {
		parent(at);
		want = write ? 3 : 1; /* it would have to be made there */
	}
	if (s->id.mode == JAIL_IDS_CALLER)
		return faccessat(AT_FDCWD, at, (int)want, AT_EACCESS) < 0 ? -errno : 0;
	if (!id_may(s, at, want))
		return -EACCES;
	while (at[1]) {
		parent(at);
		if (!id_may(s, at, 1))
			return -EACCES;
	}
	return 0;
}

static struct judgement judge_modes(const struct sandbox *s, bool write, const char *path,
				    struct judgement j)
{
	int r = modes(s, write, path);

	if (r == -EROFS)
		return no("read-only", "its file system is read-only on the host", NULL,
			  "mount that writable");
	if (r < 0 && s->id.mode == JAIL_IDS_CALLER)
		return no("mode", "the file's mode denies it outside, too", NULL, "chmod");
	if (r < 0)
		return no(
			"mode",
			"the command has no right to it: it is nobody to files that were not given",
			s->id.mode == JAIL_IDS_BLOCK ? allow(write) : NULL, NULL);
	return j;
}

struct judgement judge(const struct sandbox *s, bool write, const char *path)
{
	struct policy_verdict v = policy_eval(&s->policy, path);
	const struct jail_op *op = jail_plan_find(&s->plan, path);
	struct judgement j;
	struct stat st;
	bool there = lstat(path, &st) == 0;

	switch (op->type) {
	case JAIL_OP_MASK:
	case JAIL_OP_WHITEOUT:
		return ruled(op->rule, policy_state_name(v.state), write);
	case JAIL_OP_PROC:
		return judge_proc(write, path);
	case JAIL_OP_DEV:
		return judge_dev(write, path);
	case JAIL_OP_PRIVATE:
		return judge_private(op, write, path);
	case JAIL_OP_EMPTY:
		if (path[op->len])
			return no("hidden", "the directory was empty at the start, and stays so",
				  allow(write), NULL);
		break;
	default:
		break;
	}
	/* what is not there can't be taken away from a writable place */
	if ((v.state == POLICY_IS_HIDDEN || v.state == POLICY_IS_DENIED) &&
	    (there || !write || !(op->flags & JAIL_OP_WRITABLE)))
		return ruled(v.read_rule, policy_state_name(v.state), write);
	if (there && S_ISSOCK(st.st_mode) && (op->type != JAIL_OP_BIND || path[op->len]))
		return no("socket", "unix sockets of the host are dead inside", NULL, NULL);
	if (write && !(op->flags & JAIL_OP_WRITABLE)) {
		if (v.write_rule && v.write_rule->layer == POLICY_BUILTIN &&
		    v.write_rule->kind == POLICY_DENY_WRITE)
			return protected(s, v.write_rule, policy_state_name(POLICY_SHOW_RO));
		j = ruled(v.write_rule, policy_state_name(POLICY_SHOW_RO), true);
		j.why = v.write_rule ? NULL : "by default only the workspace is writable";
		return j;
	}
	if (write && jail_plan_absent(&s->plan, path)) {
		j = ruled(v.write_rule, "absent", true);
		j.why = "what appears there is moved away";
		return j;
	}
	j = yes(policy_state_name(op->flags & JAIL_OP_WRITABLE ? POLICY_SHOW_RW : POLICY_SHOW_RO),
		NULL);
	j.rule = write ? v.write_rule : v.read_rule;
	if (write && op->type == JAIL_OP_COPY)
		j.why = "what is written is a copy; the host's stays as it is";
	if (!j.rule)
		j.why = "by default everything is readable";
	return judge_modes(s, write, path, j);
}

void judgement_text(const struct judgement *j, const char *access, const char *path,
		    const char *grant, struct buf *b)
{
	buf_puts(b, access);
	buf_puts(b, " ");
	buf_quote(b, path);
	buf_printf(b, ": %s, %s", j->allowed ? "allowed" : "denied", j->state);
	if (j->rule) {
		buf_printf(b, "; %s ", policy_kind_name(j->rule->kind));
		buf_quote(b, j->rule->path);
		buf_puts(b, " (");
		buf_quote(b, j->rule->origin);
		buf_puts(b, ")");
	}
	if (j->why)
		buf_printf(b, "; %s", j->why);
	if (j->option) {
		buf_printf(b, "; to allow it: %s ", j->option);
		text_shell(b, grant);
		if (j->other)
			buf_printf(b, " (or %s)", j->other);
	} else if (j->way) {
		buf_printf(b, "; to allow it, %s", j->way);
	}
	buf_puts(b, "\n");
}
