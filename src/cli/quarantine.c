/* SPDX-License-Identifier: Apache-2.0 */
/* bailey quarantine: what runs made that the host would have executed. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sandbox.h"
#include "settings.h"

struct quarantine_options {
	bool json, all;
	const char *to;
};

#define QUARANTINE_OPTIONS 8

static void fill(struct quarantine_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG("all", &o->all, NULL, "Everything that is in the quarantine",
			 "For rm, in the place of IDs."),
		OPT_STRING("to", &o->to, NULL, "PATH", "Restore it as PATH",
			   "For restore of one ID. Without it, it goes back where it was."),
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"Keys: id, run, path, what, time (seconds since 1970), type (f, d, l), size."),
		OPT_END,
	};

	*o = (struct quarantine_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

static const struct opt *options(void)
{
	static struct quarantine_options o;
	static struct opt table[QUARANTINE_OPTIONS];

	fill(&o, table);
	return table;
}

const struct command_words quarantine_words = {
	.about =
		"What the host executes later (git hooks, .envrc, settings of editors and agents) is moved away when a run has made it in a writable "
		"directory, and kept here. ls lists it, show prints it, restore puts it back, rm deletes it. "
		"An ID may be given by its beginning. What was there before a run is never moved: it was read-only.",
	.options = options,
	.examples = { { "bailey quarantine ls", "what there is, the newest first" },
		      { "bailey quarantine ls --json", "for scripts" } },
	.statuses = { { "0", "done" },
		      { "1", "restore: there is something of that name" },
		      { "2", "wrong options" },
		      { "3", "there is no such ID; nothing changed" } },
};

struct verb {
	struct arena arena;
	struct quarantine_options o;
	char state[LIMIT_PATH];
	struct quarantined *all;
	size_t n;
	struct buf out;
};

static const struct quarantined *find(const struct verb *v, const char *id, struct err *e)
{
	const struct quarantined *found = NULL;
	size_t i;

	for (i = 0; i < v->n && strlen(id) >= 4; i++) {
		if (strncmp(v->all[i].id, id, strlen(id)) != 0)
			continue;
		if (found) {
			(void)err_set(e, ERR_USAGE, -ENOTUNIQ,
				      "'%.20s' is the beginning of several ids: write more of it",
				      id);
			return NULL;
		}
		found = &v->all[i];
	}
	if (!found)
		(void)err_set(e, ERR_ABSENT, -ENOENT,
			      "there is nothing with the id '%.100s' (bailey quarantine ls)", id);
	return found;
}

static int list(struct verb *v)
{
	struct json j = { .out = &v->out };
	size_t i;

	if (v->o.json)
		json_open(&j, NULL, '[');
	for (i = 0; i < v->n; i++) {
		const struct quarantined *q = &v->all[i];
		char when[32] = "", type[2] = { q->type, '\0' };
		time_t t = (time_t)q->when;
		struct tm tm;

		if (v->o.json) {
			json_open(&j, NULL, '{');
			json_str(&j, "id", q->id);
			json_str(&j, "run", q->run);
			json_str(&j, "path", q->path);
			json_str(&j, "what", q->what);
			json_int(&j, "time", q->when);
			json_str(&j, "type", type);
			json_int(&j, "size", (long long)q->size);
			json_close(&j, '}');
			continue;
		}
		if (localtime_r(&t, &tm))
			(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
		buf_printf(&v->out, "%s  %s  %-22s  ", q->id, when, q->what);
		buf_quote(&v->out, q->path);
		buf_puts(&v->out, q->type == 'd' ? "/\n" : "\n");
	}
	if (v->o.json) {
		json_close(&j, ']');
		buf_puts(&v->out, "\n");
	}
	return 0;
}

/* Contents on a terminal have nothing that steers it. */
static int show_file(struct verb *v, int fd, struct err *e)
{
	struct buf text = BUF_INIT(LIMIT_OUTPUT / 8);
	int r = fd_read_all(fd, &text);

	if (r < 0) {
		buf_done(&text);
		return err_sys(e, r, "the file");
	}
	if (!isatty(1)) {
		buf_add(&v->out, text.data ? text.data : "", text.len);
	} else {
		review_visible(&v->out, text.data ? text.data : "", text.len);
	}
	buf_done(&text);
	return 0;
}

static int show_dir(struct verb *v, int fd, struct err *e)
{
	SYS_DIRENT_ALIGN char buf[8192];
	const struct sys_dirent *d;
	long n, o;

	while ((n = sys_getdents(fd, buf, sizeof(buf))) > 0) {
		for (o = 0; (d = sys_dirent_next(buf, n, &o));) {
			if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
				continue;
			buf_puts(&v->out, "  ");
			buf_quote(&v->out, d->name);
			buf_puts(&v->out, d->type == DT_DIR ? "/\n" : "\n");
		}
	}
	return n < 0 ? err_sys(e, (int)n, "the directory") : 0;
}

static int show(struct verb *v, const struct quarantined *q, struct err *e)
{
	_cleanup_close_ int fd = quarantine_open(v->state, q->id, e);
	char link[LIMIT_PATH];
	ssize_t n;

	if (fd < 0)
		return fd;
	if (q->type == 'f')
		return show_file(v, fd, e);
	buf_quote(&v->out, q->path);
	if (q->type == 'd') {
		buf_puts(&v->out, "/\n");
		return show_dir(v, fd, e);
	}
	n = readlinkat(fd, "", link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	buf_puts(&v->out, " -> ");
	buf_quote(&v->out, link);
	buf_puts(&v->out, "\n");
	return 0;
}

static int one(struct verb *v, const char *what, const struct quarantined *q, struct err *e)
{
	char cwd[LIMIT_PATH], to[LIMIT_PATH];
	int r = 0;

	if (strcmp(what, "show") == 0)
		return show(v, q, e);
	if (strcmp(what, "rm") == 0)
		return quarantine_remove(v->state, q->id, e);
	if (v->o.to &&
	    (!getcwd(cwd, sizeof(cwd)) || path_normalize(v->o.to, cwd, getenv("HOME"), to, e) < 0))
		return err_set(e, ERR_USAGE, -EINVAL, "--to '%.100s': not a path", v->o.to);
	r = quarantine_restore(v->state, q, v->o.to ? to : NULL, e);
	if (r == 0) {
		buf_puts(&v->out, "restored '");
		buf_quote(&v->out, v->o.to ? to : q->path);
		buf_puts(&v->out, "'\n");
	}
	return r;
}

static int each(struct verb *v, const char *what, char *const *ids, struct err *e)
{
	const struct quarantined *q;
	size_t i;
	int r = 0;

	if (v->o.all && strcmp(what, "rm") == 0 && !*ids) {
		for (i = 0; r == 0 && i < v->n; i++)
			r = one(v, what, &v->all[i], e);
		return r;
	}
	if (!*ids || (v->o.to && (strcmp(what, "restore") != 0 || ids[1])))
		return err_set(e, ERR_USAGE, -EINVAL, "say which: bailey quarantine %s ID%s", what,
			       v->o.to ? " (--to is for restore, of one)" : "");
	for (i = 0; ids[i]; i++) { /* all are known before one is touched */
		if (!find(v, ids[i], e))
			return -ENOENT;
	}
	for (; r == 0 && *ids; ids++) {
		q = find(v, *ids, e);
		r = q ? one(v, what, q, e) : -ENOENT;
	}
	return r;
}

/* What a killed bailey left is moved first, so that the list is whole. */
static int quarantine(struct verb *v, const char *what, char *const *ids, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	struct guard_report rep = { .arena = &v->arena };
	int r = sandbox_find_home(&s, e);

	if (r == 0 && settings_state_dir(s.home, v->state) < 0)
		r = err_set(e, ERR_USAGE, -ENOENT,
			    "there is no state directory: HOME and XDG_STATE_HOME say where it is");
	sandbox_done(&s);
	if (r == 0)
		r = guard_heal(v->state, &rep, e);
	if (r == 0)
		r = quarantine_list(v->state, &v->arena, &v->all, &v->n, e);
	if (r < 0)
		return r;
	if (strcmp(what, "ls") == 0)
		return *ids ? err_set(e, ERR_USAGE, -EINVAL, "ls takes no ID") : list(v);
	return each(v, what, ids, e);
}

int quarantine_main(char **argv)
{
	static const char *const words[] = { "ls", "show", "restore", "rm" };
	struct verb v = { .arena = ARENA_INIT(LIMIT_ARENA), .out = BUF_INIT(LIMIT_OUTPUT) };
	struct opt opts[QUARANTINE_OPTIONS];
	struct err e = ERR_INIT;
	const char *what = NULL;
	bool dashes;
	size_t rest = 0, i, skip;
	int r;

	fill(&v.o, opts);
	/* options may stand on both sides of the word */
	r = opt_parse(opts, argv, &rest, &dashes, &e);
	for (i = 0; r == 0 && argv[rest] && i < ARRAY_SIZE(words); i++) {
		if (strcmp(argv[rest], words[i]) == 0)
			what = words[i];
	}
	if (r == 0 && !what)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "say what to do: bailey quarantine ls, show, restore or rm");
	if (r == 0 && what) {
		skip = rest + 1;
		r = opt_parse(opts, argv + skip, &rest, &dashes, &e);
		if (r == 0)
			r = quarantine(&v, what, argv + skip + rest, &e);
	}
	if (r == 0)
		r = cli_print(&v.out);
	buf_done(&v.out);
	arena_done(&v.arena);
	if (r == -EEXIST) {
		(void)cli_fail(&e);
		return 1;
	}
	return r < 0 ? cli_fail(&e) : r;
}
