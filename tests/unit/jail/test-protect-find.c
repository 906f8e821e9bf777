/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs protect.table: trees made for real, and what must be found in them, all of it and nothing else. What a table can't say follows.
 *
 *	dir PATH; file PATH [TEXT]; link PATH TARGET; git DIR; bare DIR; index FILE SUBMODULE…; fifo PATH; many DIR COUNT; files DIR COUNT
 *	root PATH		is given to be written (default: w); workspace PATH: the same, as a workspace
 *	= PATH WHAT		found; "given PATH": became writable; "note PATH TEXT": not looked at, for a reason that has TEXT (PATH * is any)
 * \n in TEXT is a newline, %R the directory of the test, \s in a name a space.
 */
#define TAP_NO_MAIN
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"
#include "table.h"

#define LINES 64

struct tree {
	const struct table *table;
	int line;
	char lines[LINES][512];
	size_t n;
	char top[LIMIT_PATH];
	const char *roots[8], *workspaces[8];
	size_t n_roots, n_workspaces;
	struct arena arena;
	struct policy policy;
	struct jail_protect pr;
};

static void complain(const struct tree *t, const char *what, const char *detail)
{
	tap_fail(t->table->name, t->line, "%s: %s", what, detail);
}

/* "%R", "\n" and "\s" in @in. */
static void unfold(const struct tree *t, const char *in, char *out, size_t size)
{
	size_t n = 0;

	for (; *in && n + LIMIT_PATH < size; in++) {
		if (in[0] == '\\' && (in[1] == 'n' || in[1] == 's')) {
			out[n++] = in[1] == 'n' ? '\n' : ' ';
			in++;
		} else if (in[0] == '%' && in[1] == 'R') {
			n += (size_t)snprintf(out + n, size - n, "%s", t->top);
			in++;
		} else {
			out[n++] = *in;
		}
	}
	out[n] = '\0';
}

static void parents(const char *path)
{
	char dir[3 * LIMIT_PATH];
	const char *slash = path;

	while ((slash = strchr(slash + 1, '/'))) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
		(void)mkdir(dir, 0755); /* may be there */
	}
}

static void put_file(const char *path, const char *text)
{
	int fd;

	parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0 && fd_write_all(fd, text, strlen(text)) == 0);
	close(fd);
}

static void put_dir(const char *path, const char *name)
{
	char full[3 * LIMIT_PATH];

	snprintf(full, sizeof(full), "%s%s/", path, name);
	parents(full);
}

/* What git init makes, as far as it matters. */
static void put_git(const char *dir)
{
	static const char *const dirs[] = { "", "/objects", "/refs", "/hooks", "/info" };
	char path[3 * LIMIT_PATH];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		put_dir(dir, dirs[i]);
	snprintf(path, sizeof(path), "%s/HEAD", dir);
	put_file(path, "ref: refs/heads/main\n");
	snprintf(path, sizeof(path), "%s/config", dir);
	put_file(path, "[core]\n\tbare = false\n");
}

/* Version 2, submodules only. */
static void put_index(const char *path, char *names)
{
	unsigned char head[12] = { 'D', 'I', 'R', 'C', 0, 0, 0, 2 }, entry[62 + 256 + 8];
	char *name, *save = names;
	struct buf b = BUF_INIT(1 << 16);
	size_t len;
	int fd;

	for (name = names; *name; name = save) {
		save = name + strcspn(name, " ");
		len = (size_t)(save - name);
		save += strspn(save, " ");
		memset(entry, 0, sizeof(entry));
		entry[26] = 0xe0;
		entry[61] = (unsigned char)len;
		memcpy(entry + 62, name, len);
		buf_add(&b, entry, (62 + len + 8) & ~(size_t)7);
		head[11]++;
	}
	parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	memset(entry, 1, 20);
	REQUIRE(fd >= 0 && fd_write_all(fd, head, 12) == 0 &&
		fd_write_all(fd, b.data, b.len) == 0 && fd_write_all(fd, entry, 20) == 0);
	close(fd);
	buf_done(&b);
}

static void put_many(const char *dir, int count, bool dirs)
{
	char name[32], path[3 * LIMIT_PATH];
	int i;

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "/m%04d", i);
		snprintf(path, sizeof(path), "%s%s", dir, name);
		if (dirs)
			put_dir(dir, name);
		else
			put_file(path, "");
	}
}

static const char *keep(struct tree *t, const char *path)
{
	const char *s = arena_strdup(&t->arena, path);

	REQUIRE(s);
	return s;
}

/* One line that makes something. Return: whether it was one. */
static bool make(struct tree *t, const char *word, const char *path, char *rest)
{
	if (strcmp(word, "dir") == 0)
		put_dir(path, "");
	else if (strcmp(word, "file") == 0)
		put_file(path, rest);
	else if (strcmp(word, "link") == 0) {
		parents(path);
		REQUIRE(symlink(rest, path) == 0);
	} else if (strcmp(word, "git") == 0) {
		char dir[2 * LIMIT_PATH + 8];

		snprintf(dir, sizeof(dir), "%s/.git", path);
		put_git(dir);
	} else if (strcmp(word, "bare") == 0)
		put_git(path);
	else if (strcmp(word, "index") == 0)
		put_index(path, rest);
	else if (strcmp(word, "fifo") == 0) {
		parents(path);
		REQUIRE(mkfifo(path, 0600) == 0);
	} else if (strcmp(word, "many") == 0)
		put_many(path, (int)strtol(rest, NULL, 10), true);
	else if (strcmp(word, "files") == 0)
		put_many(path, (int)strtol(rest, NULL, 10), false);
	else if (strcmp(word, "root") == 0)
		t->roots[t->n_roots++] = keep(t, path);
	else if (strcmp(word, "workspace") == 0)
		t->roots[t->n_roots++] = t->workspaces[t->n_workspaces++] = keep(t, path);
	else if (strcmp(word, "home") == 0)
		t->pr.home = keep(t, path);
	else if (strcmp(word, "front") == 0) {
		t->roots[t->n_roots++] = keep(t, path);
		t->pr.git_only = true;
	} else
		return false;
	return true;
}

static bool found(const struct tree *t, const char *path, const char *what)
{
	size_t i;

	for (i = 0; i < t->pr.n_found; i++) {
		if (strcmp(t->pr.found[i].path, path) == 0)
			return strcmp(policy_protected_what(t->pr.found[i].row), what) == 0;
	}
	return false;
}

static bool noted(const struct tree *t, const char *path, const char *text)
{
	size_t i;

	for (i = 0; i < t->pr.n_notes; i++) {
		if ((strcmp(t->pr.notes[i].path, path) == 0 || path[strlen(path) - 1] == '*') &&
		    strstr(t->pr.notes[i].why, text))
			return true;
	}
	return false;
}

static bool given(const struct tree *t, const char *path)
{
	size_t i;

	for (i = 0; i < t->policy.n; i++) {
		if (t->policy.rules[i].kind == POLICY_ALLOW_WRITE &&
		    t->policy.rules[i].layer == POLICY_BUILTIN &&
		    strcmp(t->policy.rules[i].path, path) == 0)
			return true;
	}
	return false;
}

/* Splits "WORD PATH REST" and unfolds the last two. Return: whether there is a path. */
static bool split(const struct tree *t, const char *line, char *word, char *path, char *rest)
{
	char name[512], text[512];
	int n = 0;

	if (sscanf(line, "%31s %511s%n", word, name, &n) != 2)
		return false;
	line += n;
	line += strspn(line, " ");
	unfold(t, line, rest, 2ul * LIMIT_PATH);
	if (name[0] == '/')
		unfold(t, name, path, 2ul * LIMIT_PATH);
	else {
		snprintf(text, sizeof(text), "%%R/%.500s", name);
		unfold(t, text, path, 2ul * LIMIT_PATH);
	}
	return true;
}

static void expect(struct tree *t, size_t *ret_wanted, size_t *ret_notes)
{
	char word[32], path[2 * LIMIT_PATH], rest[2 * LIMIT_PATH];
	size_t i, k;

	for (i = 0; i < t->n; i++) {
		if (!split(t, t->lines[i], word, path, rest))
			continue;
		if (strcmp(word, "=") == 0) {
			(*ret_wanted)++;
			if (!found(t, path, rest))
				complain(t, "not found", t->lines[i]);
		} else if (strcmp(word, "note") == 0) {
			(*ret_notes)++;
			if (!noted(t, path, rest))
				complain(t, "no such note", t->lines[i]);
		} else if (strcmp(word, "given") == 0 && !given(t, path)) {
			complain(t, "not given", path);
		}
	}
	for (k = 0, i = 0; i < t->policy.n; i++)
		k += t->policy.rules[i].kind == POLICY_DENY_WRITE;
	if (k != t->pr.n_found)
		complain(t, "rules and findings", "differ in number");
}

static void none_given(const struct tree *t)
{
	size_t i, k;

	for (i = 0; i < t->policy.n; i++) {
		bool told = false;

		for (k = 0; k < t->n; k++)
			told = told || strncmp(t->lines[k], "given ", 6) == 0;
		if (t->policy.rules[i].kind == POLICY_ALLOW_WRITE &&
		    t->policy.rules[i].layer == POLICY_BUILTIN && !told)
			complain(t, "given, and should not be", t->policy.rules[i].path);
	}
}

static int remove_one(const char *path, __attribute__((unused)) const struct stat *st, int type,
		      __attribute__((unused)) struct FTW *f)
{
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void run_tree(const void *arg)
{
	struct tree *t = (struct tree *)(uintptr_t)arg;
	char word[32], path[2 * LIMIT_PATH], rest[2 * LIMIT_PATH],
		top[] = "/tmp/bailey-protect-XXXXXX";
	size_t i, wanted = 0, notes = 0;
	struct err e = ERR_INIT;

	REQUIRE(mkdtemp(top) && realpath(top, t->top));
	t->arena = (struct arena)ARENA_INIT(LIMIT_ARENA);
	t->pr.owner = geteuid();
	for (i = 0; i < t->n; i++) {
		if (!split(t, t->lines[i], word, path, rest) ||
		    (!make(t, word, path, rest) && strcmp(word, "=") != 0 &&
		     strcmp(word, "note") != 0 && strcmp(word, "given") != 0))
			complain(t, "not understood", t->lines[i]);
	}
	if (!t->n_roots) {
		snprintf(path, sizeof(path), "%s/w", t->top);
		t->roots[t->n_roots++] = t->workspaces[t->n_workspaces++] = keep(t, path);
		put_dir(path, "");
	}
	policy_init(&t->policy, &t->arena);
	for (i = 0; i < t->n_roots; i++)
		REQUIRE(policy_add(&t->policy, POLICY_ALLOW_WRITE, POLICY_COMMAND, t->roots[i],
				   "test", &e) == 0);
	t->pr.workspaces = t->workspaces;
	t->pr.n_workspaces = t->n_workspaces;
	if (jail_protect_find(&t->pr, &t->policy, &e) < 0)
		complain(t, "failed", e.msg);
	expect(t, &wanted, &notes);
	none_given(t);
	if (t->pr.n_found != wanted || t->pr.n_notes != notes) {
		for (i = 0; i < t->pr.n_found; i++)
			complain(t, "found", t->pr.found[i].path + strlen(t->top));
		for (i = 0; i < t->pr.n_notes; i++) {
			complain(t, "note", t->pr.notes[i].path);
			complain(t, "    ", t->pr.notes[i].why);
		}
	}
	CHECK(t->pr.whole);
	arena_done(&t->arena);
	REQUIRE(nftw(t->top, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void run_table(const char *path)
{
	char title[200] = "";
	struct tree *t = calloc(1, sizeof(*t));
	struct table table;
	char *s;

	REQUIRE(t);
	table_open(&table, path);
	t->table = &table;
	for (;;) {
		s = table_next(&table);
		if (!s || strncmp(s, "==", 2) == 0) {
			if (t->n)
				tap_run(run_tree, t, NULL, "%s:%d %s", table.name, t->line, title);
			if (!s)
				break;
			t->n = 0;
			t->line = table.line;
			snprintf(title, sizeof(title), "%.190s", s + 3);
			continue;
		}
		if (t->n == LINES)
			table_die(&table, "too many lines");
		snprintf(t->lines[t->n++], sizeof(t->lines[0]), "%.510s", s);
	}
	free(t);
}

static void test_replaced(__attribute__((unused)) const void *arg)
{
	char top[] = "/tmp/bailey-protect-XXXXXX", path[64], other[64], dir[64];
	const char *ws = top;
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct jail_protect pr = { .workspaces = &ws, .n_workspaces = 1 };
	struct policy policy;
	struct err e = ERR_INIT;

	REQUIRE(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/.git", top);
	put_git(dir);
	policy_init(&policy, &arena);
	REQUIRE(policy_add(&policy, POLICY_ALLOW_WRITE, POLICY_COMMAND, top, "test", &e) == 0);
	REQUIRE(jail_protect_find(&pr, &policy, &e) == 0 && pr.n_found == 2);
	CHECK_STR(pr.found[0].path + strlen(top), "/.git/config");
	CHECK(!jail_protected_replaced(&pr.found[0]) && !jail_protected_replaced(&pr.found[1]));
	CHECK(pr.n_configs == 1 && !jail_git_dir_changed(&pr.configs[0]));
	/* as git does it */
	snprintf(path, sizeof(path), "%s/.git/config", top);
	snprintf(other, sizeof(other), "%s/.git/config.lock", top);
	put_file(path, "in place\n");
	CHECK(!jail_protected_replaced(&pr.found[0]));
	put_file(other, "new\n");
	CHECK(jail_git_dir_changed(&pr.configs[0]));
	REQUIRE(rename(other, path) == 0);
	CHECK(jail_protected_replaced(&pr.found[0]));
	REQUIRE(unlink(path) == 0);
	CHECK(jail_protected_replaced(&pr.found[0]) && !jail_protected_replaced(&pr.found[1]));
	arena_done(&arena);
	REQUIRE(nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

#define LONG_AGO 3 /* seconds: what has changed since is young */

/* A workspace, searched as before a run and again as after it. */
struct again {
	char top[64];
	const char *ws;
	struct arena arena, arena2;
	struct jail_protect before, after;
};

static const char *below(const struct again *a, const char *name)
{
	static char path[4][LIMIT_PATH];
	static unsigned int next;
	char *p = path[next++ % ARRAY_SIZE(path)];

	snprintf(p, LIMIT_PATH, "%s/%s", a->top, name);
	return p;
}

static void search(const struct again *a, struct jail_protect *pr, struct arena *arena)
{
	struct policy policy;
	struct err e = ERR_INIT;

	policy_init(&policy, arena);
	REQUIRE(policy_add(&policy, POLICY_ALLOW_WRITE, POLICY_COMMAND, a->top, "test", &e) == 0);
	REQUIRE(jail_protect_find(pr, &policy, &e) == 0);
}

static struct jail_searched *searched(const struct again *a, const char *name)
{
	size_t i;

	for (i = 0; i < a->before.n_searched; i++) {
		if (a->before.searched[i].path &&
		    strcmp(a->before.searched[i].path, below(a, name)) == 0)
			return &a->before.searched[i];
	}
	return NULL;
}

/* Whether what was looked for again is @name alone; NULL: nothing. */
static bool found_again(struct again *a, const char *name)
{
	bool r;

	a->after = (struct jail_protect){ .workspaces = &a->ws,
					  .n_workspaces = 1,
					  .searched = a->before.searched,
					  .n_searched = a->before.n_searched };
	a->arena2 = (struct arena)ARENA_INIT(LIMIT_ARENA);
	search(a, &a->after, &a->arena2);
	r = name ? a->after.n_found == 1 && strcmp(a->after.found[0].path, below(a, name)) == 0 :
		   a->after.n_found == 0;
	arena_done(&a->arena2);
	return r;
}

static void make_again(struct again *a)
{
	*a = (struct again){ .top = "/tmp/bailey-protect-XXXXXX" };
	REQUIRE(mkdtemp(a->top));
	a->ws = a->top;
	put_many(below(a, "large"), 300, false);
	put_dir(below(a, "a/b/c"), "");
	put_dir(below(a, "named/.vscode"), "");
	put_file(below(a, "head/HEAD"), "");
}

/* What was made long enough before is old. */
static void begin_again(struct again *a)
{
	put_dir(below(a, "young"), "");
	a->arena = (struct arena)ARENA_INIT(LIMIT_ARENA);
	a->before = (struct jail_protect){ .workspaces = &a->ws, .n_workspaces = 1, .later = true };
	search(a, &a->before, &a->arena);
	REQUIRE(a->before.n_found == 0);
}

static void end_again(struct again *a)
{
	arena_done(&a->arena);
	REQUIRE(nftw(a->top, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static bool times_tell(const struct again *a)
{
	struct statfs sfs;

	REQUIRE(statfs(a->top, &sfs) == 0);
	return sfs.f_type == EXT4_SUPER_MAGIC || sfs.f_type == XFS_SUPER_MAGIC ||
	       sfs.f_type == TMPFS_MAGIC;
}

static bool is_kept(const struct again *a, const char *name)
{
	const struct jail_searched *s = searched(a, name);

	REQUIRE(s);
	return s->changed != 0;
}

static void test_kept(__attribute__((unused)) const void *arg)
{
	struct again a;
	bool tell;

	make_again(&a);
	sleep(LONG_AGO);
	begin_again(&a);
	tell = times_tell(&a);
	CHECK(is_kept(&a, "large") == tell && is_kept(&a, "a") == tell &&
	      is_kept(&a, "a/b") == tell && is_kept(&a, "a/b/c") == tell);
	CHECK(!is_kept(&a, "named"));
	CHECK(!is_kept(&a, "head"));
	CHECK(!is_kept(&a, "young"));
	CHECK(found_again(&a, NULL));
	/* what is kept is believed, and with it what is below: or nothing would be saved */
	put_file(below(&a, "a/b/c/.envrc"), "");
	CHECK(found_again(&a, "a/b/c/.envrc"));
	searched(&a, "a")->n = 0;
	CHECK(found_again(&a, tell ? NULL : "a/b/c/.envrc"));
	end_again(&a);
}

/* Each way in which a name can come, and the path that must be found. */
static const struct {
	const char *script, *path;
} ways[] = {
	{ "echo x > large/.envrc", "large/.envrc" },
	{ "echo x > a/b/.mcp.json", "a/b/.mcp.json" },
	{ "echo x > a/b/c/f; mv a/b/c/f a/b/c/.envrc", "a/b/c/.envrc" },
	{ "mv large/m0000 large/.envrc", "large/.envrc" },
	{ "ln large/m0000 a/b/.envrc", "a/b/.envrc" },
	{ "ln -s nowhere large/.envrc", "large/.envrc" },
	{ "touch -r large t; echo x > large/.envrc; touch -r t large; rm t", "large/.envrc" },
	{ "mkdir a/b/c/.husky", "a/b/c/.husky" },
	{ "mv a/b/c a/b/.husky", "a/b/.husky" },
	{ "mkdir -p large/sub && echo x > large/sub/.envrc", "large/sub/.envrc" },
	{ "mv a z; echo x > z/b/c/.envrc", "z/b/c/.envrc" },
	{ "mv a z; mkdir -p a/b/c; echo x > a/b/c/.envrc", "a/b/c/.envrc" },
	{ "mv large old; cp -R old large; echo x > large/.envrc", "large/.envrc" },
	{ "mv a/b x; mkdir -p a/b; mv x/c a/b/c; echo x > a/b/c/.envrc", "a/b/c/.envrc" },
	{ "mv large/m0000 a/b/c/.envrc; mv a/b/c/.envrc large/.envrc", "large/.envrc" },
	{ "echo x > young/.envrc", "young/.envrc" },
	{ "echo x > named/.vscode/tasks.json", "named/.vscode/tasks.json" },
	{ "mkdir new; echo x > new/.envrc", "new/.envrc" },
};

static bool shell(const char *dir, const char *script)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(dir) == 0)
			(void)execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_ways(__attribute__((unused)) const void *arg)
{
	static struct again all[ARRAY_SIZE(ways)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		make_again(&all[i]);
	sleep(LONG_AGO);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		begin_again(&all[i]);
		if (!shell(all[i].top, ways[i].script) || !found_again(&all[i], ways[i].path))
			tap_fail(__FILE__, __LINE__, "not found: %s", ways[i].script);
		end_again(&all[i]);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	run_table(argv[1]);
	tap_run(test_replaced, NULL, NULL, "what is replaced is noticed");
	tap_run(test_kept, NULL, NULL, "what is known of a directory without such names is kept");
	tap_run(test_ways, NULL, NULL,
		"a name that has come in a directory of which that is known is found");
	return tap_done();
}
