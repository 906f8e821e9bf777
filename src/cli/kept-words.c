/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A path becomes absolute by the text, as it is read later (names.c): no symlink is followed here, so that what a word names is still
 * judged at each start. What can't be said absolutely is left as it was written, and is relative to the directory that is kept with the words: a path that is
 * refused anyway, by who checks the words, and a pattern or a path in a directory whose own name would be one.
 */
#include "kept-words.h"

#include <errno.h>
#include <string.h>

#include "life-options.h"
#include "sandbox.h"

#define VARIABLE "--host-env="

/* Options whose values are paths, beside those that policy files have as such. */
static const char *const of_files[] = { "policy", "import-claude-settings", "env-file" };

static bool is_file(const struct opt *o)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(of_files) && strcmp(o->name, of_files[i]) != 0; i++)
		;
	return i < ARRAY_SIZE(of_files);
}

static bool is_relative(const char *path)
{
	return *path && *path != '/' && strcmp(path, "~") != 0 && strncmp(path, "~/", 2) != 0;
}

/* @path of a rule or a workspace. @out: LIMIT_PATH bytes. Return: whether there is an absolute one. */
static bool absolute(const struct kept_words *w, const char *path, char *out)
{
	struct err e = ERR_INIT;

	return is_relative(path) && sandbox_path(path, w->cwd, NULL, out, &e) == 0;
}

/* In a pattern nothing but its beginning changes. */
static const char *pattern(const struct kept_words *w, const char *value)
{
	while (strncmp(value, "./", 2) == 0)
		value += 2 + strspn(value + 2, "/");
	return arena_printf(w->arena, "%s/%s", w->cwd[1] ? w->cwd : "", value);
}

/* Return: @value, or what means the same anywhere; NULL: no memory. */
static const char *anywhere(const struct kept_words *w, const struct opt *o, const char *value)
{
	const bool globs = o->flags & OPT_GLOBS;
	char out[LIMIT_PATH];

	if (strcmp(o->name, "ssh-key") == 0) /* KEY@HOST, where KEY may be a file */
		return strncmp(value, "./", 2) == 0 ? pattern(w, value) : value;
	if (is_file(o))
		return is_relative(value) && path_normalize(value, w->cwd, NULL, out, NULL) == 0 ?
			       arena_strdup(w->arena, out) :
			       value;
	if (!(o->flags & OPT_PATHS) || !is_relative(value) ||
	    (globs && policy_glob_special(w->cwd)))
		return value;
	if (globs && policy_glob_special(value))
		return pattern(w, value);
	return absolute(w, value, out) ? arena_strdup(w->arena, out) : value;
}

static int put(struct kept_words *w, char *word, struct err *e)
{
	const size_t room = w->room ? 2 * w->room : 64;
	char **v;

	if (w->n + 1 >= w->room) {
		v = arena_alloc(w->arena, room * sizeof(*v));
		if (!v)
			return sandbox_oom(e);
		if (w->n)
			memcpy(v, w->v, w->n * sizeof(*v));
		w->v = v;
		w->room = room;
	}
	if (!word)
		return sandbox_oom(e);
	w->v[w->n++] = word;
	w->v[w->n] = NULL;
	return 0;
}

/* The variable of @value is said anew. */
static void forget_variable(struct kept_words *w, const char *value)
{
	const size_t n = strlen(VARIABLE), name = strcspn(value, "=") + 1;
	size_t i, k = 0;

	for (i = 0; i < w->n; i++) {
		if (strncmp(w->v[i], VARIABLE, n) != 0 || strncmp(w->v[i] + n, value, name) != 0)
			w->v[k++] = w->v[i];
	}
	w->n = k;
}

int kept_words_workspace(struct kept_words *w, const char *value, struct err *e)
{
	const size_t n = sandbox_workspace_path(value);
	const char *path = arena_printf(w->arena, "%.*s", (int)n, value), *mode = value + n;
	char out[LIMIT_PATH];

	if (!path)
		return sandbox_oom(e);
	w->workspace = true;
	if (!absolute(w, path, out))
		return put(w, arena_printf(w->arena, "--workspace=%s", value), e);
	if (!*mode && out[sandbox_workspace_path(out)])
		mode = ":rw"; /* the end of a name must not be read as one */
	return put(w, arena_printf(w->arena, "--workspace=%s%s", out, mode), e);
}

int kept_words_add(void *arg, const struct opt *o, const char *value, struct err *e)
{
	struct kept_words *w = arg;

	if (!value)
		return put(w, arena_printf(w->arena, "--%s", o->name), e);
	if (strcmp(o->name, "workspace") == 0)
		return kept_words_workspace(w, value, e);
	if (strcmp(o->name, "host-env") == 0)
		forget_variable(w, value);
	value = anywhere(w, o, value);
	return put(w, value ? arena_printf(w->arena, "--%s=%s", o->name, value) : NULL, e);
}

int kept_words_of(struct kept_words *w, const struct named_box *box, struct err *e)
{
	struct life_options o;
	struct opt table[LIFE_OPTIONS];
	const struct json_node *v;
	char **words = arena_alloc(w->arena, (box->options->n + 1) * sizeof(*words));
	size_t i = 0;
	bool dashes;
	int r;

	if (!words)
		return sandbox_oom(e);
	for (v = box->options->first; v; v = v->next)
		words[i++] = (char *)(uintptr_t)v->text;
	words[i] = NULL;
	life_options(&o, table);
	r = opt_each(table, words, kept_words_add, w, &i, &dashes, e);
	life_options_done(&o);
	/* a release before this one has not kept that */
	if (r == 0 && !w->workspace)
		r = kept_words_workspace(w, ".", e);
	return r < 0 ? err_wrap(e, r, "the words of sandbox '%s'", box->name) : 0;
}

int kept_words_line(struct arena *a, const struct named_box *box, struct buf *b, struct err *e)
{
	struct kept_words w = { .arena = a, .cwd = box->cwd };
	size_t i;
	int r = kept_words_of(&w, box, e);

	if (r < 0)
		return r;
	buf_puts(b, "bailey create --replace");
	for (i = 0; i < w.n; i++) {
		buf_puts(b, " ");
		text_shell(b, w.v[i]);
	}
	buf_printf(b, " %s\n", box->name);
	return 0;
}
