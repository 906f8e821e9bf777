/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. To trust a project is to keep a copy of its policy file, below bailey's state directory, at the mirror of the
 * project's path. A project is trusted while its file has the same bytes as the copy: nothing stands between what was read and what was
 * agreed to, not even a digest. A changed file is an untrusted one until somebody says so again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"
#include "settings.h"

struct trust_options {
	bool list, revoke, json;
};

#define TRUST_OPTIONS 8

static void fill(struct trust_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("list", &o->list, NULL, "Print the trusted projects",
			 "Each is 'trusted', 'changed' since it was trusted, or 'gone'."),
		OPT_FLAG("revoke", &o->revoke, NULL, "End the trust in DIR",
			 "The project's file can only tighten from then on."),
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: id (the directory), state, grants (how many settings give something)."),
		OPT_END,
	};

	*o = (struct trust_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct trust_options o;
	static struct opt table[TRUST_OPTIONS];

	fill(&o, table);
	return table;
}

const struct command_words trust_words = {
	.about =
		"Lets the policy file " SETTINGS_PROJECT
		" of DIR give as well as take: paths, sockets, variables. Without it such a file can only tighten. "
		"What is trusted are the bytes of the file as they are now; when they change, the file only tightens again.",
	.options = options,
	.examples = { { "bailey trust --list", "what is trusted" },
		      { "bailey trust --list --json", "for scripts" } },
	.statuses = { { "0", "done" },
		      { "2", "DIR has no policy file, or a bad one; nothing changed" } },
};

/*
 * The store, opened; *ret_fd is -1 when there is none. @make: create it. Nobody else may write it: what is in it is believed.
 * @name: LIMIT_PATH bytes, for messages. Return: 0 or negative errno with @e.
 */
static int open_store(const char *home, bool make, char *name, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char dir[LIMIT_PATH];
	struct stat st;

	*ret_fd = -1;
	if (settings_state_dir(home, dir) < 0)
		return err_set(e, ERR_USAGE, -ENOENT, "HOME is not set to an absolute path");
	if (snprintf(name, LIMIT_PATH, "%s/trust", dir) >= LIMIT_PATH)
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the path of the state is too long");
	if (make && settings_make_dirs(name) < 0)
		return err_sys(e, -errno, "%s", name);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT && !make ? 0 : err_sys(e, -errno, "%s", name);
	if (fstat(fd, &st) < 0 || (st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
		return err_set(e, ERR_POLICY, -EPERM,
			       "%s: others could write it: it must be yours, with mode 700", name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The copy of the file of @dir, as a path below the store. */
static int copy_name(const char *dir, char *out, struct err *e)
{
	if (snprintf(out, LIMIT_PATH, "%s%s" SETTINGS_PROJECT, dir + 1, dir[1] ? "/" : "") >=
	    LIMIT_PATH)
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the path is longer than %d bytes",
			       LIMIT_PATH - 1);
	return 0;
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* Compare with the copy in the open store. */
static int compare(int store, const char *store_name, const char *dir, const struct buf *text,
		   struct err *e)
{
	char name[LIMIT_PATH], shown[2 * LIMIT_PATH];
	struct buf copy = BUF_INIT(LIMIT_POLICY_FILE + 1);
	int r = copy_name(dir, name, e);

	if (r < 0)
		return r;
	(void)snprintf(shown, sizeof(shown), "%s/%s", store_name, name);
	r = settings_read(store, name, shown, SETTINGS_CALLER, &copy, e);
	if (r > 0)
		r = same(&copy, text) ? TRUST_SAME : TRUST_CHANGED;
	buf_done(&copy);
	return r < 0 ? r : r == 0 ? TRUST_NONE : r;
}

int trust_look(const char *home, const char *dir, const struct buf *text, struct err *e)
{
	char name[LIMIT_PATH];
	_cleanup_close_ int store = -1;
	int r = open_store(home, false, name, &store, e);

	if (r < 0)
		return r;
	return store < 0 ? TRUST_NONE : compare(store, name, dir, text, e);
}

/* Make the directories of @path (below @dfd), and open the last. */
static int open_parents(int dfd, const char *path)
{
	const char *slash;
	char part[256];
	int at = dup(dfd), next;

	for (; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		next = mkdirat(at, part, 0700) < 0 && errno != EEXIST ?
			       -1 :
			       openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void)close(at);
		at = next;
	}
	return at;
}

/* Written beside and renamed: an interrupted trust leaves the old copy or the new one. */
static int write_copy(int store, const char *name, const struct buf *text)
{
	_cleanup_close_ int dir = open_parents(store, name);
	_cleanup_close_ int fd = -1;
	int r;

	if (dir < 0)
		return -errno;
	(void)unlinkat(dir, SETTINGS_PROJECT ".new", 0);
	fd = openat(dir, SETTINGS_PROJECT ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text->data ? text->data : "", text->len);
	if (r == 0 &&
	    (fsync(fd) < 0 || renameat(dir, SETTINGS_PROJECT ".new", dir, SETTINGS_PROJECT) < 0))
		r = -errno;
	return r;
}

/* One line, or one object, about a project. */
static void say(struct json *j, struct buf *b, const char *dir, const char *state, size_t gives)
{
	if (j) {
		json_open(j, NULL, '{');
		json_str(j, "id", dir);
		json_str(j, "state", state);
		json_int(j, "grants", (long long)gives);
		json_close(j, '}');
		return;
	}
	buf_quote(b, dir);
	buf_printf(b, ": %s", state);
}

struct verb {
	struct sandbox s; /* for its home and memory */
	struct trust_options o;
	struct buf out;
	struct json j;
};

/* What the file gives, printed: who trusts should see to what. */
static void say_grants(struct verb *v, const struct policy_file *f)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		if (!policy_file_loosens(&f->values[i]) || v->o.json)
			continue;
		buf_printf(&v->out, "  line %u: %s: ", f->values[i].line, f->values[i].opt->key);
		buf_quote(&v->out, f->values[i].value);
		buf_puts(&v->out, "\n");
	}
}

/* The settings of a file that give something. Return: how many */
static size_t count_gives(const struct policy_file *f)
{
	size_t i, n = 0;

	for (i = 0; i < f->n; i++)
		n += policy_file_loosens(&f->values[i]);
	return n;
}

/* The file at @path, whose text is @text. Return: 0 or negative errno with @e. */
static int parse(struct verb *v, const char *path, const struct buf *text, struct policy_file *f,
		 struct err *e)
{
	struct sandbox_options *o = arena_alloc(&v->s.arena, sizeof(*o));
	struct opt *table = arena_alloc(&v->s.arena, SANDBOX_OPTIONS * sizeof(*table));

	if (!o || !table)
		return sandbox_oom(e);
	sandbox_options(o, table, SANDBOX_OPTIONS);
	return policy_file_parse(f, path, text->data ? text->data : "", text->len, table,
				 &v->s.arena, e);
}

static int add(struct verb *v, const char *dir, struct err *e)
{
	char path[LIMIT_PATH], name[LIMIT_PATH], store_name[LIMIT_PATH];
	struct buf text = BUF_INIT(LIMIT_POLICY_FILE + 1);
	_cleanup_close_ int store = -1;
	struct policy_file f = { .n = 0 };
	size_t gives;
	int r;

	if (snprintf(path, sizeof(path), "%s/" SETTINGS_PROJECT, dir) >= (int)sizeof(path))
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "'%.100s…': the path is too long", dir);
	r = settings_read(AT_FDCWD, path, path, SETTINGS_ANY, &text, e);
	if (r == 0)
		r = err_set(e, ERR_USAGE, -ENOENT, "%s: no such file: there is nothing to trust",
			    path);
	if (r > 0)
		r = parse(v, path, &text, &f, e);
	if (r == 0)
		r = copy_name(dir, name, e);
	if (r == 0) {
		r = open_store(v->s.home, true, store_name, &store, e);
		if (r == 0) {
			r = write_copy(store, name, &text);
			if (r < 0)
				r = err_sys(e, r, "%s/%s", store_name, name);
		}
	}
	buf_done(&text);
	if (r < 0)
		return r;
	gives = count_gives(&f);
	say(v->o.json ? &v->j : NULL, &v->out, dir, "trusted", gives);
	if (!v->o.json)
		buf_puts(&v->out, gives ? "; it gives\n" : "; it only takes away\n");
	say_grants(v, &f);
	return 0;
}

static int end_trust(struct verb *v, const char *dir, struct err *e)
{
	char name[LIMIT_PATH], store_name[LIMIT_PATH], *slash;
	_cleanup_close_ int store = -1;
	int r = open_store(v->s.home, false, store_name, &store, e);

	if (r == 0)
		r = copy_name(dir, name, e);
	if (r == 0 && (store < 0 || unlinkat(store, name, 0) < 0))
		return err_set(e, ERR_USAGE, -ENOENT, "'%s' is not trusted (bailey trust --list)",
			       dir);
	/* directories that hold nothing any more; the first that does stops it */
	while (r == 0 && (slash = strrchr(name, '/'))) {
		*slash = '\0';
		if (unlinkat(store, name, AT_REMOVEDIR) < 0)
			break;
	}
	say(v->o.json ? &v->j : NULL, &v->out, dir, "revoked", 0);
	if (!v->o.json)
		buf_puts(&v->out, "\n");
	return r;
}

/* A copy was found: how does its project stand to it? */
static int list_one(struct verb *v, int store, const char *store_name, const char *dir,
		    struct err *e)
{
	char path[LIMIT_PATH];
	struct buf text = BUF_INIT(LIMIT_POLICY_FILE + 1);
	struct err ignored = ERR_INIT;
	struct policy_file f = { .n = 0 };
	const char *state = "gone";
	int r;

	(void)snprintf(path, sizeof(path), "%s/" SETTINGS_PROJECT, dir);
	if (settings_read(AT_FDCWD, path, path, SETTINGS_ANY, &text, &ignored) == 1) {
		r = compare(store, store_name, dir, &text, e);
		if (r < 0)
			return r;
		state = r == TRUST_SAME ? "trusted" : "changed";
		if (r == TRUST_SAME && parse(v, path, &text, &f, &ignored) < 0)
			f.n = 0; /* of an older release, which had other words */
	}
	buf_done(&text);
	say(v->o.json ? &v->j : NULL, &v->out, dir, state, count_gives(&f));
	if (!v->o.json)
		buf_puts(&v->out, "\n");
	return 0;
}

/* Walk the store below @dfd (taken); @dir is what it mirrors ("" is the root), LIMIT_PATH bytes, changed and restored. */
static int walk(struct verb *v, int store, const char *store_name, int dfd, char *dir, int depth,
		struct err *e)
{
	DIR *d = fdopendir(dfd);
	size_t len = strlen(dir), n;
	const struct dirent *en;
	int r = 0, fd;

	if (!d) {
		(void)close(dfd);
		return err_sys(e, -errno, "%s%s", store_name, dir);
	}
	while (r == 0 && depth < LIMIT_SCAN_DEPTH && (en = readdir(d))) {
		n = strlen(en->d_name);
		if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0 ||
		    len + n + 2 + sizeof(SETTINGS_PROJECT) > LIMIT_PATH)
			continue;
		fd = openat(dirfd(d), en->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			if (strcmp(en->d_name, SETTINGS_PROJECT) == 0)
				r = list_one(v, store, store_name, len ? dir : "/", e);
			continue;
		}
		dir[len] = '/';
		memcpy(dir + len + 1, en->d_name, n + 1);
		r = walk(v, store, store_name, fd, dir, depth + 1, e);
		dir[len] = '\0';
	}
	(void)closedir(d);
	return r;
}

static int list(struct verb *v, struct err *e)
{
	char store_name[LIMIT_PATH], dir[LIMIT_PATH] = "";
	_cleanup_close_ int store = -1;
	int fd, r = open_store(v->s.home, false, store_name, &store, e);

	if (r < 0 || store < 0)
		return r;
	fd = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "%s", store_name) :
			walk(v, store, store_name, fd, dir, 0, e);
}

static int dirs(struct verb *v, char *const *words, struct err *e)
{
	char cwd[LIMIT_PATH], norm[LIMIT_PATH], real[LIMIT_PATH];
	int r = 0;

	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(e, -errno, "current directory");
	for (; r == 0 && *words; words++) {
		r = path_normalize(*words, cwd, v->s.home, norm, e);
		/* what has gone can be revoked by its name */
		if (r == 0 && jail_host_resolve(norm, true, real) < 0)
			memcpy(real, norm, strlen(norm) + 1);
		if (r == 0)
			r = v->o.revoke ? end_trust(v, real, e) : add(v, real, e);
	}
	return r;
}

static int trust(struct verb *v, char *const *words, struct err *e)
{
	int r = sandbox_find_home(&v->s, e);

	if (r == 0 && v->o.list == (*words != NULL))
		r = err_set(
			e, ERR_USAGE, -EINVAL,
			"say which project: bailey trust [--revoke] DIR, or bailey trust --list");
	if (v->o.json)
		json_open(&v->j, NULL, '[');
	if (r == 0)
		r = v->o.list ? list(v, e) : dirs(v, words, e);
	if (v->o.json) {
		json_close(&v->j, ']');
		buf_puts(&v->out, "\n");
	}
	return r;
}

int trust_main(char **argv)
{
	struct verb v = { .s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } },
			  .out = BUF_INIT(LIMIT_OUTPUT) };
	struct opt opts[TRUST_OPTIONS];
	struct err e = ERR_INIT;
	bool dashes;
	size_t rest = 0;
	int r;

	fill(&v.o, opts);
	v.j.out = &v.out;
	r = opt_parse(opts, argv, &rest, &dashes, &e);
	if (r == 0)
		r = trust(&v, argv + rest, &e);
	if (r == 0)
		r = cli_print(&v.out);
	buf_done(&v.out);
	sandbox_done(&v.s);
	return r < 0 ? cli_fail(&e) : r;
}
