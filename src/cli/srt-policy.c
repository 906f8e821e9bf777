/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. srt's lists become values of --deny-read, --allow-read, --allow-write and --deny-write, all of one layer, where the
 * native precedence is srt's own (docs/adr/0004). What is different is settled here, always to the tighter side:
 *  - a writable path at or below a directory that is denied for reading is shown again (an allow-read of its own);
 *  - credentials can't be shown again by any list: what would do so is left out;
 *  - the root directory stands for what is in it;
 *  - a grant whose name leads through a symlink is none; patterns in allowWrite are names;
 *  - a denial of what is not there: for reading, the name is hidden (an overlay keeps it absent also when the host makes it); for writing, it is
 *    a rule as any other: the plan keeps it, and the guard moves what was made there to the quarantine.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "srt.h"

/* One entry of a list, on its way to a value. */
struct entry {
	const struct json_node *node; /* where it stands, for messages; may be NULL */
	const char *text;             /* as written */
	const char *path; /* without a trailing slash-star-star, absolute; "" when it is a pattern */
	bool glob;
};

static int add(struct srt *s, const char *option, const struct opt_source *source,
	       const struct json_node *at, const char *value, bool literal, struct err *e)
{
	struct opt_value v = { .opt = opt_find(s->options->table, option),
			       .source = source,
			       .line = at ? at->line : 0,
			       .column = at ? at->column : 0,
			       .literal = literal };

	v.value = arena_strdup(s->arena, value);
	if (!v.value || opt_list_add(&s->options->files, &v) < 0)
		return sandbox_oom(e);
	return 0;
}

/* @text as srt reads it. Return: 0, or negative errno with @e. */
static int read_entry(const struct srt *s, struct entry *en, const char *text, bool literal,
		      struct err *e)
{
	char norm[LIMIT_PATH], word[LIMIT_PATH];
	size_t n = strlen(text);

	en->text = text;
	if (n >= sizeof(word))
		return err_set(e, ERR_POLICY, -ENAMETOOLONG, "a path is longer than %d bytes",
			       LIMIT_PATH - 1);
	memcpy(word, text, n + 1);
	if (!literal && n >= 3 && strcmp(word + n - 3, "/**") == 0)
		word[n - 3] = '\0';
	en->glob = !literal && srt_glob_special(word);
	if (path_normalize(word[0] ? word : "/", s->cwd, s->home, norm, e) < 0)
		return err_wrap(e, -EINVAL, "%s", s->source.path);
	en->path = arena_strdup(s->arena, norm);
	return en->path ? 0 : sandbox_oom(e);
}

static int read_node(const struct srt *s, struct entry *en, const struct json_node *node,
		     struct err *e)
{
	const char *text;
	bool literal;

	text = srt_path_entry(node, &literal);
	en->node = node;
	return read_entry(s, en, text, literal, e);
}

/* What is always made anew in a sandbox. */
static bool is_made(const char *path)
{
	return path_covers("/dev", path) || path_covers("/proc", path);
}

/* Call @each for every directory in "/" that is no link and is not made anew. */
static int each_top(struct srt *s, const struct entry *en,
		    int (*each)(struct srt *s, const struct entry *en, const char *path,
				struct err *e),
		    struct err *e)
{
	DIR *dir = opendir("/");
	const struct dirent *d;
	char path[LIMIT_PATH];
	struct stat st;
	int r = 0;

	if (!dir)
		return err_sys(e, -errno, "'/'");
	while (r == 0 && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    snprintf(path, sizeof(path), "/%s", d->d_name) >= (int)sizeof(path))
			continue;
		if (is_made(path) || strcmp(path, "/sys") == 0 || lstat(path, &st) < 0 ||
		    S_ISLNK(st.st_mode))
			continue;
		r = each(s, en, path, e);
	}
	(void)closedir(dir);
	return r;
}

/*
 * Whether the pattern @text covers @path: whether it matches it, or (@exactly: not) a directory above. What can't be told is covered.
 */
static bool glob_covers(const struct srt *s, const char *text, const char *path, bool exactly)
{
	const char *globs[SRT_GLOBS] = { NULL }, *p, *end;
	struct policy_glob g;
	char name[256];
	uint64_t at;
	int n = srt_glob(text, s->arena, globs), i;

	if (n < 0)
		return true;
	for (i = 0; i < n; i++) {
		if (policy_glob_parse(&g, globs[i], s->cwd, s->home, s->arena, NULL) < 0)
			return true;
		if (!path_covers(g.base, path))
			continue;
		if (g.n == 0 && (!exactly || strcmp(g.base, path) == 0))
			return true;
		at = policy_glob_start(&g);
		p = path + (g.base[1] ? strlen(g.base) : 0);
		for (; at && *p; p = end) {
			p++;
			end = p + strcspn(p, "/");
			if (end - p >= (long)sizeof(name))
				return true;
			memcpy(name, p, (size_t)(end - p));
			name[end - p] = '\0';
			at = policy_glob_step(&g, at, name, false);
			if (at && policy_glob_accepts(&g, at) && (!exactly || !*end))
				return true;
		}
	}
	return false;
}

/* Whether the list denies @path, or (@exactly: not) a directory above it. */
static bool denied_by(const struct srt *s, const struct json_node *list, const char *path,
		      bool exactly)
{
	const struct json_node *k;
	char real[LIMIT_PATH];
	struct entry en = { .path = "" };

	for (k = list ? list->first : NULL; k; k = k->next) {
		/* an entry of credentials.files is an object with a path; so is a literal one */
		const struct json_node *mode = k->type == JSON_OBJECT ? srt_node(k, "mode") : NULL;

		if (read_entry(s, &en, k->type == JSON_OBJECT ? srt_node(k, "path")->text : k->text,
			       k->type == JSON_OBJECT && !mode, NULL) < 0)
			return true;
		if (en.glob && glob_covers(s, en.text, path, exactly))
			return true;
		if (strcmp(en.path, path) == 0 || (!exactly && path_covers(en.path, path)))
			return true;
		if (jail_host_resolve(en.path, true, real) == 0 &&
		    (strcmp(real, path) == 0 || (!exactly && path_covers(real, path))))
			return true;
	}
	return false;
}

static bool is_credential(const struct srt *s, const char *path)
{
	return denied_by(s, s->settings.credential_files, path, false);
}

/*
 * The place that a grant names: where its directory really is, and its last name as written. Return: whether that is a name without links.
 */
static bool plain_name(const char *path, char *real)
{
	char full[LIMIT_PATH];

	return jail_host_resolve(path, false, real) == 0 &&
	       jail_host_resolve(path, true, full) == 0 && strcmp(real, full) == 0;
}

static int allow_write(struct srt *s, const struct entry *en, const char *path, struct err *e)
{
	char real[LIMIT_PATH];
	struct stat st;
	bool dir;
	int r;

	if (is_made(path)) {
		srt_debug(s, "Skipping /dev path: %s", path);
		return 0;
	}
	if (stat(path, &st) < 0) {
		srt_debug(s, "Skipping non-existent write path: %s", path);
		return 0;
	}
	if (!plain_name(path, real) || strcmp(real, path) != 0) {
		srt_debug(s, "Skipping symlink write path: %s", path);
		return 0;
	}
	if (s->n_roots == SRT_ROOTS)
		return err_set(e, ERR_POLICY, -E2BIG, "more than %d writable paths", SRT_ROOTS);
	s->roots[s->n_roots] = arena_strdup(s->arena, path);
	if (!s->roots[s->n_roots++])
		return sandbox_oom(e);
	r = add(s, "allow-write", &s->source, en->node, path, true, e);
	dir = S_ISDIR(st.st_mode);
	if (r == 0 && denied_by(s, s->settings.deny_read, path, false) && !is_credential(s, path) &&
	    (dir || !denied_by(s, s->settings.deny_read, path, true)))
		r = add(s, "allow-read", &s->source, en->node, path, true, e);
	return r;
}

static int allow_writes(struct srt *s, struct err *e)
{
	const struct json_node *k;
	struct entry en = { .path = "" };
	struct stat st;
	int r = 0;

	for (k = s->settings.allow_write->first; r == 0 && k; k = k->next) {
		r = read_node(s, &en, k, e);
		if (r < 0)
			return r;
		if (en.glob && lstat(en.path, &st) < 0)
			srt_debug(s, "Skipping glob pattern in allowWrite: %s", en.text);
		else if (!en.path[1])
			r = each_top(s, &en, allow_write, e);
		else
			r = allow_write(s, &en, en.path, e);
	}
	return r;
}

/* What is writable without being asked for. Nobody else's /tmp/claude is. */
static int allow_own(struct srt *s, struct err *e)
{
	static const char *const below_home[] = { ".npm/_logs", ".claude/debug" };
	struct entry en = { .path = "" };
	char path[LIMIT_PATH];
	const struct json_node *k;
	struct stat st;
	size_t i;
	int r = 0;

	if (lstat("/tmp/claude", &st) == 0 && S_ISDIR(st.st_mode)) {
		if (st.st_uid == geteuid())
			r = allow_write(s, &en, "/tmp/claude", e);
		else
			srt_debug(s, "/tmp/claude belongs to uid %u: not writable",
				  (unsigned int)st.st_uid);
	}
	for (i = 0; r == 0 && s->home && i < ARRAY_SIZE(below_home); i++) {
		bool shown;

		if (snprintf(path, sizeof(path), "%s/%s", s->home, below_home[i]) >=
		    (int)sizeof(path))
			continue;
		shown = !denied_by(s, s->settings.deny_read, path, false);
		/* a denial stands, unless something shows the directory again */
		for (k = s->settings.allow_read ? s->settings.allow_read->first : NULL; !shown && k;
		     k = k->next)
			shown = read_node(s, &en, k, NULL) == 0 && !en.glob &&
				path_covers(en.path, path) &&
				denied_by(s, s->settings.deny_read, en.path, false);
		en = (struct entry){ .path = "" };
		if (shown)
			r = allow_write(s, &en, path, e);
	}
	return r;
}

static int allow_read(struct srt *s, const struct entry *en, const char *path, struct err *e)
{
	char real[LIMIT_PATH];

	if (is_credential(s, path)) {
		srt_debug(s, "%s is at or beneath a credential: not shown again", path);
		return 0;
	}
	if (is_made(path) || !plain_name(path, real) || access(real, F_OK) < 0) {
		srt_debug(s, "allowRead of nothing, or of a symlink: %s", path);
		return 0;
	}
	return add(s, "allow-read", &s->source, en->node, real, true, e);
}

/* A pattern, as one or two of ours. */
static int add_globs(struct srt *s, const char *option, const struct entry *en, struct err *e)
{
	const char *globs[SRT_GLOBS] = { NULL };
	int n = srt_glob(en->text, s->arena, globs), i, r = 0;

	if (n < 0)
		return err_set(
			e, ERR_POLICY, n,
			"%s:%u:%u: the pattern '%.100s' can't be enforced here: write \"**\" alone between slashes",
			s->source.path, en->node ? en->node->line : 0,
			en->node ? en->node->column : 0, en->text);
	for (i = 0; r == 0 && i < n; i++)
		r = add(s, option, &s->source, en->node, globs[i], false, e);
	return r;
}

static int allow_reads(struct srt *s, struct err *e)
{
	const struct json_node *k = s->settings.allow_read ? s->settings.allow_read->first : NULL;
	struct entry en = { .path = "" };
	int r = 0;

	for (; r == 0 && k; k = k->next) {
		r = read_node(s, &en, k, e);
		if (r < 0)
			return r;
		if (en.glob && s->settings.credential_files)
			srt_debug(s, "allowRead pattern beside credentials is passed over: %s",
				  en.text);
		else if (en.glob)
			r = add_globs(s, "allow-read", &en, e);
		else if (!en.path[1])
			r = each_top(s, &en, allow_read, e);
		else
			r = allow_read(s, &en, en.path, e);
	}
	return r;
}

/* A path that can't be looked at may be there: the directory that can be is denied instead, so that no command opens the way by a chmod. */
static int deny_read(struct srt *s, const struct entry *en, const char *path, struct err *e)
{
	char at[LIMIT_PATH], *slash;
	struct stat st;
	int r;

	memcpy(at, path, strlen(path) + 1);
	while ((r = lstat(at, &st)) < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP &&
	       errno != ENAMETOOLONG) {
		slash = strrchr(at, '/');
		if (slash == at)
			return 0; /* nobody could get below the root directory */
		*slash = '\0';
	}
	return add(s, r < 0 ? "hide" : "deny-read", &s->source, en->node, at, true, e);
}

static int deny_entry(struct srt *s, const struct entry *en, struct err *e)
{
	if (en->glob)
		return add_globs(s, "deny-read", en, e);
	if (!en->path[1])
		return each_top(s, en, deny_read, e);
	return deny_read(s, en, en->path, e);
}

/* Credentials that are not shown with sentinels. @masked: only those that should have been. */
static int deny_credentials(struct srt *s, bool masked, struct err *e)
{
	const struct json_node *k = s->settings.credential_files;
	struct entry en = { .path = "" };
	int r = 0;

	for (k = k ? k->first : NULL; r == 0 && k; k = k->next) {
		bool mask = strcmp(srt_node(k, "mode")->text, "mask") == 0;

		if (srt_mask_shown(s, k) || (masked && !mask))
			continue;
		en.node = k;
		/* what is masked is one file, whatever characters it has */
		r = read_entry(s, &en, srt_node(k, "path")->text, mask, e);
		if (r == 0)
			r = deny_entry(s, &en, e);
	}
	return r;
}

static int deny_reads(struct srt *s, struct err *e)
{
	const struct json_node *k;
	struct entry en = { .path = "" };
	int r = 0;

	for (k = s->settings.deny_read->first; r == 0 && k; k = k->next) {
		r = read_node(s, &en, k, e);
		if (r == 0)
			r = deny_entry(s, &en, e);
	}
	return r == 0 ? deny_credentials(s, false, e) : r;
}

int srt_denied_write(struct srt *s, const struct opt_source *source, const struct json_node *at,
		     const char *path, struct err *e)
{
	char real[LIMIT_PATH];
	struct stat st;
	size_t i;

	if (is_made(path))
		return 0;
	if (lstat(path, &st) == 0)
		return add(s, "deny-write", source, at, path, true, e);
	if (jail_host_resolve(path, true, real) < 0)
		memcpy(real, path, strlen(path) + 1);
	for (i = 0; i < s->n_roots && !path_covers(s->roots[i], real); i++)
		;
	/* elsewhere nothing can be made */
	return i == s->n_roots ? 0 : add(s, "deny-write", source, at, real, true, e);
}

static int deny_write_top(struct srt *s, const struct entry *en, const char *path, struct err *e)
{
	return srt_denied_write(s, &s->source, en->node, path, e);
}

static int deny_writes(struct srt *s, struct err *e)
{
	const struct json_node *k;
	struct entry en = { .path = "" };
	int r = 0;

	for (k = s->settings.deny_write->first; r == 0 && k; k = k->next) {
		r = read_node(s, &en, k, e);
		if (r < 0)
			return r;
		if (en.glob)
			r = add_globs(s, "deny-write", &en, e);
		else if (!en.path[1])
			r = each_top(s, &en, deny_write_top, e);
		else
			r = srt_denied_write(s, &s->source, k, en.path, e);
	}
	return r;
}

/* The settings of the next run are not this one's to write. */
static int deny_settings(struct srt *s, struct err *e)
{
	const char *const files[] = { s->source.path, "~/.srt-settings.json" };
	char path[LIMIT_PATH];
	size_t i;
	int r = 0;

	for (i = strcmp(files[0], SRT_DEFAULTS) == 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		if (i == 1 && !s->home)
			continue;
		r = path_normalize(files[i], s->cwd, i == 1 ? s->home : NULL, path, e);
		if (r == 0)
			r = srt_denied_write(s, &s->own, NULL, path, e);
	}
	return r;
}

static int switches(struct srt *s, struct err *e)
{
	struct opt_value v = { .opt = opt_find(s->options->table, "allow-degraded"),
			       .value = "proc" };

	s->options->allow_git_config = s->settings.allow_git_config;
	s->options->allow_userns = s->settings.userns;
	if (s->settings.weaker_nested && opt_list_add(&s->options->degraded, &v) < 0)
		return sandbox_oom(e);
	return 0;
}

int srt_policy(struct srt *s, struct err *e)
{
	int r;

	s->roots = arena_alloc(s->arena, SRT_ROOTS * sizeof(*s->roots));
	if (!s->roots)
		return sandbox_oom(e);
	r = switches(s, e);
	if (r == 0 && s->settings.fs_disabled) {
		struct entry en = { .path = "" };

		/* no rules at all: every top-level directory is writable; masks hold all the same */
		r = each_top(s, &en, allow_write, e);
		return r == 0 ? deny_credentials(s, true, e) : r;
	}
	if (r == 0)
		r = allow_own(s, e);
	if (r == 0)
		r = allow_writes(s, e);
	if (r == 0)
		r = allow_reads(s, e);
	if (r == 0)
		r = deny_reads(s, e);
	if (r == 0)
		r = deny_writes(s, e);
	if (r == 0)
		r = deny_settings(s, e);
	if (r == 0)
		r = srt_names(s, e);
	return r;
}
