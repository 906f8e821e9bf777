/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of Claude Code: --import-claude-settings puts them beside policy files, `bailey import-claude-settings` prints a policy file of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"
#include "settings.h"

static const struct opt *options(void)
{
	static const struct opt none[] = { OPT_END };

	return none;
}

const struct command_words claude_words = {
	.about =
		"Prints a policy file that says what the settings files of Claude Code say about files and hosts: sandbox.filesystem, "
		"sandbox.network, sandbox.credentials, and the permission rules of Read, Edit and WebFetch. Lists of several files are joined in the order given. "
		"What can't be said is listed on standard error, each with its key and the reason. "
		"'bailey run --import-claude-settings FILE' uses them at once.\n\n"
		"Relative paths in .claude/settings.json begin at the project, in the user's ~/.claude/settings.json at ~/.claude, as there.",
	.options = options,
	.examples = { { "bailey import-claude-settings .claude/settings.json > .bailey.json",
			"a project's settings, for every bailey" } },
	.statuses = { { "0", "printed, also when something could not be said" },
		      { "2", "a file is not there, or is no settings file" } },
};

/* Where relative paths in the settings file @path begin. @out: LIMIT_PATH bytes. */
static void settings_root(const char *path, const char *home, char *out)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : (size_t)(slash - path);
	char user[LIMIT_PATH];

	memcpy(out, path, n);
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (strcmp(slash, "/.claude") != 0 ||
	    (home && snprintf(user, sizeof(user), "%s/.claude", home) < (int)sizeof(user) &&
	     strcmp(user, out) == 0))
		return;
	out[slash == out ? 1 : slash - out] = '\0';
}

/* Read one file. @ret_path: LIMIT_PATH bytes, its name. Return: 0 or negative errno with @e. */
static int read_file(const char *word, const char *cwd, const char *home, struct arena *a,
		     struct claude_settings *ret, char *ret_path, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_POLICY_FILE + 1);
	char real[LIMIT_PATH], root[LIMIT_PATH];
	struct claude_places places = { .root = root, .cwd = cwd };
	int r = path_normalize(word, cwd, home, ret_path, e);

	/* files of settings are often links to where somebody keeps them */
	if (r == 0 && jail_host_resolve(ret_path, true, real) < 0)
		memcpy(real, ret_path, strlen(ret_path) + 1);
	if (r == 0)
		r = settings_read(AT_FDCWD, real, ret_path, SETTINGS_ANY, &b, e);
	if (r == 0)
		r = err_set(e, ERR_USAGE, -ENOENT, "'%s': no such file", ret_path);
	if (r > 0) {
		settings_root(ret_path, home, root);
		r = claude_settings_read(ret, ret_path, b.data ? b.data : "", b.len, &places, a, e);
	}
	buf_done(&b);
	return r;
}

static const struct opt *row_of(const struct opt *table, const char *key)
{
	for (; table->type != OPT_TYPE_END; table++) {
		if (table->key && strcmp(table->key, key) == 0)
			return table;
	}
	return NULL;
}

/* What could not be said is what has no effect. */
static int ignore(struct sandbox *s, const char *path, const struct claude_note *n, struct err *e)
{
	struct sandbox_ignored *i = arena_alloc(&s->arena, sizeof(*i)), **end = &s->ignored;

	if (!i || !(i->origin = arena_printf(&s->arena, "%s:%u", path, n->line)))
		return sandbox_oom(e);
	i->key = n->key;
	i->why = n->why;
	while (*end)
		end = &(*end)->next;
	*end = i;
	sandbox_notice(s, "%s:%u: %s: %s", path, n->line, n->key, n->why);
	return 0;
}

int settings_import(struct sandbox *s, const struct sandbox_options *o, const char *word,
		    const char *cwd, struct opt_source **ret, struct err *e)
{
	struct opt_source *src = arena_alloc(&s->arena, sizeof(*src));
	struct claude_settings c = { .values = NULL };
	const struct claude_value *v;
	const struct claude_note *n;
	char path[LIMIT_PATH];
	size_t count = 0;
	int r;

	if (!src)
		return sandbox_oom(e);
	r = read_file(word, cwd, s->home, &s->arena, &c, path, e);
	if (r < 0)
		return r;
	for (v = c.values; v; v = v->next)
		count++;
	src->path = sandbox_keep(s, path);
	src->base = sandbox_keep(s, cwd);
	src->layer = POLICY_COMMAND;
	src->state = "imported from Claude Code";
	src->file.values = arena_alloc(&s->arena, (count + 1) * sizeof(*src->file.values));
	if (!src->path || !src->base || !src->file.values)
		return sandbox_oom(e);
	for (v = c.values; v; v = v->next)
		src->file.values[src->file.n++] = (struct opt_value){
			.opt = row_of(o->table, v->key),
			.value = v->value,
			.source = src,
			.line = v->line,
			.column = v->column,
			.literal = v->literal,
		};
	for (n = c.notes; r == 0 && n; n = n->next)
		r = ignore(s, src->path, n, e);
	*ret = src;
	return r;
}

/* --- the verb ---------------------------------------------------------------------------------------------------------------------------- */

static void print_value(struct json *j, const struct claude_value *v)
{
	const char *eq;
	char name[256];

	if (strcmp(v->key, "environment.set") == 0) {
		eq = strchr(v->value, '=');
		(void)snprintf(name, sizeof(name), "%.*s", (int)(eq - v->value), v->value);
		json_str(j, name, eq + 1);
	} else if (v->literal && policy_glob_special(v->value)) {
		json_open(j, NULL, '{');
		json_str(j, "path", v->value);
		json_bool(j, "literal", true);
		json_close(j, '}');
	} else {
		json_str(j, NULL, v->value);
	}
}

/* Whether an earlier value says the same. */
static bool said(const struct claude_value *all, const struct claude_value *v)
{
	for (; all != v; all = all->next) {
		if (strcmp(all->key, v->key) == 0 && strcmp(all->value, v->value) == 0 &&
		    all->literal == v->literal)
			return true;
	}
	return false;
}

static void print_key(struct json *j, const struct claude_value *all, const char *key, bool map)
{
	const struct claude_value *v;
	bool open = false;

	for (v = all; v; v = v->next) {
		if (strcmp(v->key, key) != 0 || said(all, v))
			continue;
		if (!open)
			json_open(j, strchr(key, '.') + 1, map ? '{' : '[');
		open = true;
		print_value(j, v);
	}
	if (open)
		json_close(j, map ? '}' : ']');
}

static bool has_group(const struct claude_value *v, const char *group)
{
	for (; v; v = v->next) {
		if (strncmp(v->key, group, strlen(group)) == 0)
			return true;
	}
	return false;
}

static int print_policy(const struct claude_value *all)
{
	static const char *const keys[] = { "filesystem.allowWrite", "filesystem.denyWrite",
					    "filesystem.allowRead", "filesystem.denyRead" };
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	struct json j = { .out = &b };
	size_t i;
	int r;

	json_open(&j, NULL, '{');
	if (has_group(all, "filesystem.")) {
		json_open(&j, "filesystem", '{');
		for (i = 0; i < ARRAY_SIZE(keys); i++)
			print_key(&j, all, keys[i], false);
		json_close(&j, '}');
	}
	if (has_group(all, "network.")) {
		json_open(&j, "network", '{');
		print_key(&j, all, "network.allowedDomains", false);
		print_key(&j, all, "network.deniedDomains", false);
		json_close(&j, '}');
	}
	if (has_group(all, "environment.")) {
		json_open(&j, "environment", '{');
		print_key(&j, all, "environment.set", true);
		json_close(&j, '}');
	}
	json_close(&j, '}');
	buf_puts(&b, "\n");
	r = cli_print(&b);
	buf_done(&b);
	return r;
}

static void say_note(const char *path, const struct claude_note *n)
{
	struct buf b = BUF_INIT(3ul * LIMIT_PATH);

	buf_puts(&b, "bailey: ");
	buf_quote(&b, path);
	buf_printf(&b, ":%u:%u: ", n->line, n->column);
	buf_quote(&b, n->key);
	buf_printf(&b, ": %s\n", n->why);
	if (!b.failed)
		(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
}

int claude_main(char **argv)
{
	/* only for the home directory */
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA) };
	struct claude_value *all = NULL, **end = &all;
	char cwd[LIMIT_PATH], path[LIMIT_PATH];
	const struct claude_note *n;
	struct err e = ERR_INIT;
	bool dashes;
	size_t i = 0;
	int r = opt_parse(options(), argv, &i, &dashes, &e);

	if (r == 0 && !argv[i])
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "which file? bailey import-claude-settings .claude/settings.json");
	if (r == 0 && (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/'))
		r = err_set(&e, ERR_USAGE, -ENOENT,
			    "the current directory has no path (was it removed?)");
	if (r == 0)
		r = sandbox_find_home(&s, &e);
	for (; r == 0 && argv[i]; i++) {
		struct claude_settings c = { .values = NULL };

		r = read_file(argv[i], cwd, s.home, &s.arena, &c, path, &e);
		for (n = r == 0 ? c.notes : NULL; n; n = n->next)
			say_note(path, n);
		*end = c.values;
		while (*end)
			end = &(*end)->next;
	}
	r = r < 0 ? cli_fail(&e) : print_policy(all);
	arena_done(&s.arena);
	return r;
}
