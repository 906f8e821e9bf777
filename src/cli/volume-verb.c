/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "volumes.h"

struct volume_options {
	bool json, quiet;
	const char *size;
};

static void fill(struct volume_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"json", &o->json, NULL, "Print an array of objects",
			"For ls. Keys: name, created (ns since 1970), sandboxes (those that have it), limit (null)."),
		OPT_FLAG("quiet", &o->quiet, NULL, "Print names alone", "For ls: one in each line.",
			 OPT_LETTER('q')),
		OPT_STRING(
			"size", &o->size, NULL, "SIZE",
			"Refused: nothing here could hold a volume to it",
			"For create. A volume is a directory of the host's file system, and a quota of a directory is root's to give, on some file systems. Rather than a number "
			"that does not hold, there is none. A file system of its own below the state directory's volumes/ holds all of them together."),
		OPT_END,
	};

	*o = (struct volume_options){ .json = false };
	memcpy(table, rows, sizeof(rows));
}

#define ROWS 4

static const struct opt *options(void)
{
	static struct volume_options o;
	static struct opt table[ROWS];

	fill(&o, table);
	return table;
}

const struct command_words volume_words = {
	.about =
		"Keeps directories that outlive sandboxes, and that several sandboxes may have at a time: 'bailey create --volume NAME:PATH' shows one at PATH inside. "
		"create makes one, ls lists them, inspect prints what is known of some as JSON (with path: where the files are on the host), rm removes them with their files, and refuses while a sandbox has one. " NAMED_SEVERAL
		"\n\n"
		"What is in a volume was written by sandboxes, and may be hostile: look before you run or follow it. Whoever shares one with a sandbox reads what that writes.",
	.options = options,
	.examples = { { "bailey volume create deps", "an empty one" },
		      { "bailey create --volume deps:/srv/deps box", "shown in a sandbox" },
		      { "bailey volume ls", "which there are, and who has them" },
		      { "bailey volume inspect deps", "what is known of it" },
		      { "bailey volume rm deps", "gone, with its files" } },
	.statuses = { { "0", "done" },
		      { "3", "there is no such volume" },
		      { "4", "there is one of that name; or a sandbox has it" },
		      { "2", "wrong options or name" } },
};

static void list_one(const struct json_node *v, bool quiet, struct buf *b)
{
	const char *name = json_text(v, "name"), *created = json_text(v, "created");
	const struct json_node *user = json_member(v, "sandboxes");
	const time_t t = created ? (time_t)(strtoll(created, NULL, 10) / 1000000000) : 0;
	char when[32] = "";
	struct tm tm;

	if (quiet) {
		buf_printf(b, "%s\n", name);
		return;
	}
	if (localtime_r(&t, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	buf_printf(b, "%-24s %-16s ", name, when);
	for (user = user ? user->first : NULL; user; user = user->next)
		buf_printf(b, "%s%s", user->text, user->next ? " " : "");
	buf_puts(b, "\n");
}

static int list(struct named *n, char *const *argv, const struct volume_options *o, struct buf *b,
		struct err *e)
{
	const struct json_node *all = NULL, *v;
	int r = *argv ? err_set(e, ERR_USAGE, -EINVAL,
				"ls takes no names; bailey volume inspect %.100s shows one",
				*argv) :
			volume_list(n, &all, e);

	if (r != 0 || !all)
		return r;
	if (o->json) {
		json_write(all, b);
		buf_puts(b, "\n");
		return 0;
	}
	if (!o->quiet && all->first)
		buf_printf(b, "%-24s %-16s %s\n", "NAME", "CREATED", "SANDBOXES");
	for (v = all->first; v; v = v->next)
		list_one(v, o->quiet, b);
	return 0;
}

static int inspect(struct named *n, char *const *argv, struct buf *b, struct err *e)
{
	const struct json_node *all, *v, *limit;
	struct json j = { .out = b };
	const char *path, *created;
	int status = 0, r = volume_list(n, &all, e);

	json_open(&j, NULL, '[');
	for (; r == 0 && *argv; argv++) {
		for (v = all->first; v && strcmp(json_text(v, "name"), *argv) != 0; v = v->next)
			;
		if (!v) {
			(void)err_set(e, ERR_ABSENT, -ENOENT,
				      "there is no volume '%.100s' (bailey volume ls)", *argv);
			status = cli_fail(e);
			continue; /* to the others, as named_words() */
		}
		path = arena_printf(&n->arena, "%s/" VOLUMES "/%s", n->path, *argv);
		created = json_text(v, "created");
		json_open(&j, NULL, '{');
		json_str(&j, "name", *argv);
		json_int(&j, "created", created ? strtoll(created, NULL, 10) : 0);
		json_str(&j, "path", path ? path : "");
		json_open(&j, "sandboxes", '[');
		for (limit = json_member(v, "sandboxes")->first; limit; limit = limit->next)
			json_str(&j, NULL, limit->text);
		json_close(&j, ']');
		json_close(&j, '}');
	}
	json_close(&j, ']');
	buf_puts(b, "\n");
	return r < 0 ? r : status;
}

static int remove_one(struct named *n, const char *name, const void *arg, struct err *e)
{
	(void)arg;
	return volume_remove(n, name, e);
}

static int act(struct named *n, const char *what, char *const *argv, const struct volume_options *o,
	       struct buf *b, struct err *e)
{
	const bool create = strcmp(what, "create") == 0;

	if ((o->json || o->quiet) && strcmp(what, "ls") != 0)
		return err_set(e, ERR_USAGE, -EINVAL, "--%s is for ls", o->json ? "json" : "quiet");
	if (o->size)
		return err_set(
			e, ERR_USAGE, -EOPNOTSUPP, "--size%s",
			create ?
				": a volume is a directory of the host's file system, and nothing here could hold it to a size; leave it out (bailey help volume --size)" :
				" is for create");
	if (strcmp(what, "ls") == 0)
		return list(n, argv, o, b, e);
	if (!*argv || (create && argv[1]))
		return err_set(e, ERR_USAGE, -EINVAL, "name %s volume: bailey volume %s NAME",
			       create ? "one" : "the", what);
	if (create)
		return volume_create(n, *argv, e);
	return strcmp(what, "rm") == 0 ? named_words(n, argv, remove_one, NULL) :
					 inspect(n, argv, b, e);
}

int volume_main(char **argv)
{
	static const char *const words[] = { "create", "ls", "inspect", "rm" };
	struct named n = { .state = -1, .runtime = -1 };
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct volume_options o;
	struct opt table[ROWS];
	struct err e = ERR_INIT;
	const char *what = "";
	size_t rest = 0, i, skip;
	bool dashes;
	int r;

	fill(&o, table);
	/* options may stand on both sides of the word */
	r = opt_parse(table, argv, &rest, &dashes, &e);
	for (i = 0; r == 0 && argv[rest] && i < ARRAY_SIZE(words); i++) {
		if (strcmp(argv[rest], words[i]) == 0)
			what = words[i];
	}
	if (r == 0 && !*what)
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "say what to do: bailey volume create, ls, inspect or rm");
	if (r == 0) {
		skip = rest + 1;
		r = opt_parse(table, argv + skip, &rest, &dashes, &e);
		if (r == 0)
			r = named_open(&n, &e);
		if (r == 0)
			r = act(&n, what, argv + skip + rest, &o, &b, &e);
	}
	if (r >= 0 && b.len && cli_print(&b) != 0 && r == 0)
		r = 125;
	buf_done(&b);
	named_done(&n);
	return r < 0 ? cli_fail(&e) : r;
}
