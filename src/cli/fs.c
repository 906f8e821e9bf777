/* SPDX-License-Identifier: Apache-2.0 */
/* Names inside a sandbox that stays. The work is done inside (init/fs.h), by the sandbox's rights; here its lines are checked and shown. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "inside.h"
#include "sandbox.h"

#define FAILED 1 /* our exit status when it can't be done inside */
#define BUSY 4   /* and when the sandbox lets nobody in */

struct fs_options {
	const char *user, *depth;
	bool json, all;
};

#define ROWS 5

static void fill(struct fs_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_STRING("user", &o->user, NULL, "USER[:GROUP]",
			   "Do it as this user of the sandbox; default: agent",
			   "As for exec: root needs a sandbox that has one.", OPT_LETTER('u')),
		OPT_FLAG("recursive", &o->all, NULL, "Of rm and watch: all that is below, too",
			 "Directories that come later are watched as well; links are not followed.",
			 OPT_LETTER('r')),
		OPT_STRING("depth", &o->depth, NULL, "N", "Of ls: how many levels; default: 1",
			   "From 1 to 128. Each directory stands before what is in it."),
		OPT_FLAG(
			"json", &o->json, NULL, "Print an object a line",
			"Of stat, ls, mkdir and mv: path, name, type (file, directory, symlink, fifo, socket, char, block), size, mode (octal), uid, gid, modified (ns since 1970), "
			"target (of a link); and attributes (those of the user that are text), but not of ls. "
			"Of watch: event (start, create, write, remove, rename, attributes, overflow) and path."),
		OPT_END,
	};

	*o = (struct fs_options){ .user = NULL };
	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == ROWS, "say how many rows there are");
}

static const struct opt *options(void)
{
	static struct fs_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words fs_words = {
	.about =
		"Looks at and changes names inside a sandbox that stays, which is started if it does not run, without any program of it:\n"
		"stat PATH, ls DIR, mkdir DIR (with those that lead there), mv FROM TO, rm PATH (a directory must be empty, or --recursive), watch DIR.\n\n"
		"Everything is done inside, by the rights of the sandbox's user. A PATH that is relative begins where commands of the sandbox begin. "
		"watch prints what changes until it is interrupted; a new directory may be told twice what is in it. "
		"rename is said of the name that is no more, and create of the new one. To read and write files: bailey cp.",
	.options = options,
	.examples = { { "bailey fs box ls .", "what is in the workspace" },
		      { "bailey fs --json box stat /etc/hosts", "for scripts" },
		      { "bailey fs -r box watch src", "tell what changes below src" } },
	.statuses = { { "0", "done" },
		      { "1", "it could not be done inside; one line says why" },
		      { "2", "wrong options or names; nothing was done" },
		      { "3", "there is no such sandbox" },
		      { "4",
			"it is paused, and only 'bailey resume' may wake it; or it is being stopped" },
		      { "125", "the sandbox can't be started" } },
};

struct operation {
	const char *name, *word; /* here; inside */
	int operands;
	bool all;   /* may be recursive */
	bool depth; /* has levels */
	bool waits; /* until it is interrupted */
};

static const struct operation *find(const char *name, struct err *e)
{
	static const struct operation all[] = {
		{ "stat", INIT_FS_STAT, 1, false, false, false },
		{ "ls", INIT_FS_LIST, 1, false, true, false },
		{ "mkdir", INIT_FS_MAKE, 1, false, false, false },
		{ "mv", INIT_FS_MOVE, 2, false, false, false },
		{ "rm", INIT_FS_REMOVE, 1, true, false, false },
		{ "watch", INIT_FS_WATCH, 1, true, false, true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(name, all[i].name) == 0)
			return &all[i];
	}
	(void)err_set(
		e, ERR_USAGE, -EINVAL,
		"'%.60s' is none of stat, ls, mkdir, mv, rm, watch: bailey fs SANDBOX stat PATH",
		name);
	return NULL;
}

/* @argv: SANDBOX OPERATION PATH…; @words: four places, what is said inside */
static int read_words(const struct fs_options *o, char *const *argv, char **words,
		      const struct operation **ret, struct err *e)
{
	const struct operation *op;
	unsigned long depth;
	char *end;
	int n = 0;

	if (!argv[0] || !argv[1])
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"name a sandbox, what to do, and a path: bailey fs SANDBOX stat|ls|mkdir|mv|rm|watch PATH");
	op = find(argv[1], e);
	if (!op)
		return -EINVAL;
	while (argv[2 + n])
		n++;
	if (n != op->operands)
		return err_set(e, ERR_USAGE, -EINVAL, "%s: %s: bailey fs SANDBOX %s", op->name,
			       op->operands == 1 ? "name one path" : "name two paths",
			       op->operands == 1 ? "PATH" : "FROM TO");
	for (n = 0; n < op->operands; n++) {
		if (!*argv[2 + n] || strlen(argv[2 + n]) >= LIMIT_PATH)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "%s: the path is empty, or longer than %d bytes", op->name,
				       LIMIT_PATH - 1);
	}
	if (o->all && !op->all)
		return err_set(e, ERR_USAGE, -EINVAL, "--recursive is for rm and watch");
	if (o->depth && !op->depth)
		return err_set(e, ERR_USAGE, -EINVAL, "--depth is for ls");
	depth = o->depth ? strtoul(o->depth, &end, 10) : 1;
	if (o->depth && (*end || o->depth[0] < '0' || o->depth[0] > '9' || depth < 1 ||
			 depth > LIMIT_SCAN_DEPTH))
		return err_set(e, ERR_USAGE, -EINVAL, "--depth: '%.30s' is no number from 1 to %d",
			       o->depth, LIMIT_SCAN_DEPTH);
	words[0] = (char *)(uintptr_t)op->word;
	words[1] = argv[2];
	words[2] = argv[3];
	if (op->depth)
		words[2] = (char *)(uintptr_t)(o->depth ? o->depth : "1");
	if (op->all)
		words[2] = o->all ? (char *)(uintptr_t)INIT_FS_ALL : NULL;
	words[3] = NULL;
	*ret = op;
	return 0;
}

static char kind(const char *type)
{
	/* letters of ls; the others begin with theirs: directory, socket, char, block */
	if (strcmp(type, "file") == 0)
		return '-';
	if (strcmp(type, "symlink") == 0)
		return 'l';
	if (strcmp(type, "fifo") == 0)
		return 'p';
	return type[0];
}

/* Of a number; 0 when it is none. */
static long long number(const struct json_node *v, const char *key)
{
	const char *text = json_text(v, key);

	return text ? strtoll(text, NULL, 10) : 0;
}

/* As ls -l does, but for names of users, which are the sandbox's. */
static void show(const struct json_node *v, struct buf *out)
{
	const char *mode = json_text(v, "mode"), *target = json_text(v, "target");
	const char *type = json_text(v, "type"), *path = json_text(v, "path");
	const unsigned long bits = mode ? strtoul(mode, NULL, 8) : 0;
	const time_t at = (time_t)(number(v, "modified") / 1000000000);
	char when[32] = "";
	struct tm tm;
	int i;

	buf_printf(out, "%c", type ? kind(type) : '?');
	for (i = 8; i >= 0; i--)
		buf_printf(out, "%c", bits >> i & 1 ? "xwr"[i % 3] : '-');
	if (localtime_r(&at, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	buf_printf(out, " %lld:%lld %lld %s ", number(v, "uid"), number(v, "gid"),
		   number(v, "size"), when);
	buf_quote(out, path ? path : "");
	if (target) {
		buf_puts(out, " -> ");
		buf_quote(out, target);
	}
	buf_puts(out, "\n");
}

static void show_event(const struct json_node *v, struct buf *out)
{
	const char *event = json_text(v, "event"), *path = json_text(v, "path");

	if (!event || strcmp(event, "start") == 0)
		return;
	buf_quote(out, event);
	buf_puts(out, " ");
	buf_quote(out, path ? path : "");
	buf_puts(out, "\n");
}

struct shown {
	const struct operation *op;
	bool json;
};

static void show_line(void *arg, const struct json_node *v, struct buf *out)
{
	const struct shown *s = arg;

	if (s->json) {
		json_write(v, out);
		buf_puts(out, "\n");
	} else if (s->op->waits) {
		show_event(v, out);
	} else {
		show(v, out);
	}
}

int fs_main(char **argv)
{
	struct fs_options o;
	struct opt table[ROWS];
	struct named n = { .state = -1, .runtime = -1 };
	struct inside w = INSIDE_INIT;
	struct err e = ERR_INIT;
	struct shown s = { .op = NULL };
	char *words[4] = { NULL };
	bool begun = false, busy;
	int held = -1, r;

	(void)signal(SIGPIPE, SIG_IGN); /* an end is an error as any other */
	fill(&o, table);
	r = opt_parse_all(table, argv, &e);
	if (r == 0)
		r = read_words(&o, argv, words, &s.op, &e);
	s.json = o.json;
	if (r == 0)
		r = named_open(&n, &e);
	if (r == 0)
		r = client_connect(&n, argv[0], &w.sock, &e);
	begun = r == 0;
	if (r == 0)
		r = inside_begin(&w, words, o.user, INSIDE_WRITES,
				 s.op && s.op->waits ? &held : NULL, argv[0], &e);
	if (r == 0)
		r = inside_lines(&w, show_line, &s, argv[0], &e);
	cleanup_close(&held);
	busy = w.busy;
	inside_done(&w);
	named_done(&n);
	if (r < 0 && begun)
		return (void)cli_fail(&e), busy ? BUSY : FAILED;
	return r < 0 ? cli_fail(&e) : r;
}
