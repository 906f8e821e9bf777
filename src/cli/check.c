/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

#define CHECK_OPTIONS (SANDBOX_OPTIONS + 2)

static void fill(struct sandbox_options *o, bool *json, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Output"),
		OPT_FLAG(
			"json", json, NULL, "Print the verdicts as a JSON array",
			"Each is an object with the keys \"path\", \"access\", \"allowed\", \"state\", \"why\", \"rule\" "
			"(an object, or null) and \"allow\" (the words that would allow it, or null)."),
	};

	*json = false;
	memcpy(table, rows, sizeof(rows));
	sandbox_options(o, table + ARRAY_SIZE(rows), SANDBOX_OPTIONS);
}

static const struct opt *options(void)
{
	static struct sandbox_options o;
	static struct opt table[CHECK_OPTIONS];
	static bool json;

	fill(&o, &json, table);
	return table;
}

const struct command_words check_words = {
	.about =
		"Says whether a sandbox with these options could read or write PATH, what decides that, and what would change it. Runs nothing. "
		"Takes every option of 'bailey run', so that the same words can be tried; those that say nothing about files change nothing.\n\n"
		"The rules, the view of the file system that they lead to, and the modes of the files are judged; access lists are not.",
	.options = options,
	.examples = { { "bailey check write ~/.bashrc", "one path" },
		      { "bailey check --allow-write ~/.cache write ~/.cache", "with an option" },
		      { "bailey check --json read /etc/passwd ~/.ssh", "for scripts" } },
	.statuses = { { "0", "all are allowed" },
		      { "1", "something is denied" },
		      { "2", "wrong options or policy" } },
};

static void answer_json(const struct judgement *judged, bool write, const char *path,
			struct json *j)
{
	json_open(j, NULL, '{');
	json_str(j, "path", path);
	json_str(j, "access", write ? "write" : "read");
	json_bool(j, "allowed", judged->allowed);
	json_str(j, "state", judged->state);
	json_str(j, "why", judged->why);
	if (judged->rule) {
		json_open(j, "rule", '{');
		json_str(j, "rule", policy_kind_name(judged->rule->kind));
		json_str(j, "path", judged->rule->path);
		json_str(j, "layer", policy_layer_name(judged->rule->layer));
		json_str(j, "origin", judged->rule->origin);
		json_close(j, '}');
	} else {
		json_str(j, "rule", NULL);
	}
	if (judged->option) {
		json_open(j, "allow", '[');
		json_str(j, NULL, judged->option);
		json_str(j, NULL, path);
		json_close(j, ']');
	} else {
		json_str(j, "allow", NULL);
	}
	json_close(j, '}');
}

/*
 * The path to judge: links are followed, as open(2) does, but not below /proc and /dev, which are other directories inside. A name that can't be
 * resolved is judged as it is.
 */
static int find(const struct sandbox *s, const char *word, const char *cwd, char *out,
		struct err *e)
{
	char path[LIMIT_PATH];
	int r = sandbox_path(word, cwd, s->home, path, e);

	if (r < 0)
		return r;
	if (path_covers("/proc", path) || path_covers("/dev", path) ||
	    jail_host_resolve(path, true, out) < 0)
		memcpy(out, path, sizeof(path));
	return 0;
}

static int check_paths(const struct sandbox *s, char *const *paths, bool write, bool json,
		       struct err *e)
{
	char cwd[LIMIT_PATH], path[LIMIT_PATH];
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct json j = { .out = &b };
	bool all = true;
	int r = 0;

	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(e, -errno, "current directory");
	if (json)
		json_open(&j, NULL, '[');
	for (; r == 0 && *paths; paths++) {
		struct judgement judged;

		if (strncmp(*paths, "--", 2) == 0) {
			r = err_set(
				e, ERR_USAGE, -EINVAL,
				"'%.100s': options stand before 'read' or 'write' (a file of that name is './%.100s')",
				*paths, *paths);
			break;
		}
		r = find(s, *paths, cwd, path, e);
		if (r < 0)
			break;
		judged = judge(s, write, path);
		if (json)
			answer_json(&judged, write, path, &j);
		else
			judgement_text(&judged, write ? "write" : "read", path, path, &b);
		all = all && judged.allowed;
	}
	if (json) {
		json_close(&j, ']');
		buf_puts(&b, "\n");
	}
	if (r == 0)
		r = cli_print(&b) ? 125 : !all;
	buf_done(&b);
	return r;
}

static int check(char *const *words, const struct sandbox_options *o, bool json, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA) };
	int r;

	if (!words[0])
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"say what to check: bailey check read PATH, or bailey check write PATH");
	if (strcmp(words[0], "read") != 0 && strcmp(words[0], "write") != 0)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "'%.100s': expected read or write: bailey check read|write PATH",
			       words[0]);
	if (!words[1])
		return err_set(e, ERR_USAGE, -EINVAL, "the path is missing: bailey check %s PATH",
			       words[0]);
	r = sandbox_make(&s, o, e);
	if (r == 0)
		r = check_paths(&s, words + 1, strcmp(words[0], "write") == 0, json, e);
	sandbox_done(&s);
	return r;
}

int check_main(char **argv)
{
	struct sandbox_options o;
	struct opt table[CHECK_OPTIONS];
	struct err e = ERR_INIT;
	bool dashes, json;
	size_t rest;
	int r;

	fill(&o, &json, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0)
		r = check(argv + rest, &o, json, &e);
	sandbox_options_done(&o);
	return r < 0 ? cli_fail(&e) : r;
}
