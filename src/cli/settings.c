/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Files and command line say the same things in the same table's words. Each file becomes a source: option values with
 * their places. To merge, the table is made once more with other targets, and filled: the values of the files, lowest layer first, then those of
 * the command line. Lists grow; of a limit the smallest value stays; of a flag the tighter one. So no part behind this one knows about files but by
 * opt_value.source, which says to which layer a rule belongs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sandbox.h"
#include "settings.h"

const char *sandbox_where(const struct opt_value *v, char *out)
{
	if (v->source)
		(void)snprintf(out, LIMIT_WHERE, "%s:%u:%u: %s", v->source->path, v->line,
			       v->column, v->opt->key);
	else
		(void)snprintf(out, LIMIT_WHERE, "--%s", v->opt->name);
	return out;
}

const char *sandbox_origin(struct sandbox *s, const struct opt_value *v)
{
	if (v->source)
		return arena_printf(&s->arena, "%s:%u", v->source->path, v->line);
	return arena_printf(&s->arena, "--%s", v->opt->name);
}

void sandbox_notice(struct sandbox *s, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!s->notices)
		s->notices = arena_alloc(&s->arena, LIMIT_NOTICES * sizeof(*s->notices));
	/* the lines are also what --explain says, at length; a run is not refused for want of room to print */
	if (s->notices && s->n_notices < LIMIT_NOTICES &&
	    (s->notices[s->n_notices] = sandbox_keep(s, line)))
		s->n_notices++;
}

void sandbox_say_notices(const struct sandbox *s)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	size_t i;

	for (i = 0; i < s->n_notices; i++) {
		buf_puts(&b, "bailey: notice: ");
		buf_quote(&b, s->notices[i]);
		buf_puts(&b, "\n");
	}
	if (b.data && !b.failed)
		(void)fd_write_all(2, b.data, b.len); /* beside an answer; nobody is left to tell */
	buf_done(&b);
}

int sandbox_ignore(struct sandbox *s, const struct opt_value *v, const char *why, struct err *e)
{
	struct sandbox_ignored *n = arena_alloc(&s->arena, sizeof(*n)), **end = &s->ignored;

	if (!n)
		return sandbox_oom(e);
	*n = (struct sandbox_ignored){ .key = sandbox_keep(s, v->opt->key),
				       .origin = sandbox_origin(s, v),
				       .why = why };
	if (!n->key || !n->origin)
		return sandbox_oom(e);
	while (*end)
		end = &(*end)->next;
	*end = n;
	return 0;
}

static int append(struct sandbox *s, struct opt_source *src, struct err *e)
{
	struct opt_source **end = &s->sources;
	size_t n = 0;

	for (; *end; end = &(*end)->next)
		n++;
	if (n == LIMIT_POLICY_FILES)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %zu policy files", n);
	*end = src;
	return 0;
}

/* Read one file into a new source. Return: 1 with @ret, 0 when it is not there, negative errno with @e. */
static int load(struct sandbox *s, const struct sandbox_options *o, const char *path,
		const char *base, enum policy_layer layer, enum settings_owner owner,
		struct buf *text, struct opt_source **ret, struct err *e)
{
	struct opt_source *src;
	size_t i;
	int r = settings_read(AT_FDCWD, path, path, owner, text, e);

	if (r <= 0)
		return r;
	src = arena_alloc(&s->arena, sizeof(*src));
	if (!src || !(src->path = sandbox_keep(s, path)) || !(src->base = sandbox_keep(s, base)))
		return sandbox_oom(e);
	src->layer = layer;
	src->state = policy_layer_name(layer);
	r = policy_file_parse(&src->file, src->path, text->data ? text->data : "", text->len,
			      o->table, &s->arena, e);
	if (r < 0)
		return r;
	for (i = 0; i < src->file.n; i++)
		src->file.values[i].source = src;
	r = append(s, src, e);
	if (r < 0)
		return r;
	*ret = src;
	return 1;
}

int settings_load(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		  struct err *e)
{
	char dir[LIMIT_PATH], path[LIMIT_PATH], norm[LIMIT_PATH];
	struct buf b = BUF_INIT(LIMIT_POLICY_FILE + 1);
	struct opt_source *src;
	size_t i;
	int r;

	r = load(s, o, SETTINGS_MANAGED, cwd, POLICY_MANAGED, SETTINGS_ROOT, &b, &src, e);
	if (r >= 0 && !o->front && settings_config_dir(s->home, false, dir) == 0 &&
	    snprintf(path, sizeof(path), "%s/policy.json", dir) < (int)sizeof(path)) {
		b.len = 0;
		r = load(s, o, path, cwd, POLICY_USER, SETTINGS_CALLER, &b, &src, e);
	}
	for (i = 0; r >= 0 && i < o->policies.n; i++) {
		b.len = 0;
		r = path_normalize(o->policies.v[i].value, cwd, s->home, norm, e);
		if (r == 0)
			r = load(s, o, norm, cwd, POLICY_COMMAND, SETTINGS_ANY, &b, &src, e);
		if (r == 0)
			r = err_set(e, ERR_USAGE, -ENOENT, "'%s': no such file", norm);
		if (r < 0)
			r = err_wrap(e, r, "--policy");
	}
	for (i = 0; r >= 0 && i < o->imports.n; i++) {
		r = settings_import(s, o, o->imports.v[i].value, cwd, &src, e);
		if (r == 0)
			r = append(s, src, e);
		if (r < 0)
			r = err_wrap(e, r, "--import-claude-settings");
	}
	buf_done(&b);
	return r < 0 ? r : 0;
}

/* @path for a line that somebody may paste. */
static const char *shell_word(struct sandbox *s, const char *path)
{
	struct buf b = BUF_INIT(8ul * LIMIT_PATH);
	const char *word;

	text_shell(&b, path);
	word = b.data && !b.failed ? sandbox_keep(s, b.data) : NULL;
	buf_done(&b);
	return word ? word : "DIRECTORY";
}

/* Whether the file may loosen; if not, which of its settings stay out, in one line. */
static int judge_project(struct sandbox *s, struct opt_source *src, const struct buf *text,
			 struct err *e)
{
	const struct opt *last = NULL;
	unsigned int line = 0;
	char list[512] = "";
	size_t i, n = 0, len = 0;
	int r;

	for (i = 0; i < src->file.n; i++)
		n += policy_file_loosens(&src->file.values[i]);
	if (n == 0)
		return 0; /* nothing that trust could add */
	r = trust_look(s->home, src->base, text, e);
	if (r < 0)
		return r;
	if (r == TRUST_SAME) {
		src->state = "project, trusted";
		return 0;
	}
	src->layer = POLICY_UNTRUSTED;
	src->state = r == TRUST_CHANGED ? "project, changed since it was trusted" :
					  "project, not trusted";
	for (i = 0; r >= 0 && i < src->file.n; i++) {
		const struct opt_value *v = &src->file.values[i];

		if (!policy_file_loosens(v))
			continue;
		/* a list gives a value for each of its items */
		if (len < sizeof(list) - 80 && (len == 0 || v->opt != last || v->line != line))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%.50s (line %u)",
						len ? ", " : "", v->opt->key, v->line);
		last = v->opt;
		line = v->line;
		r = sandbox_ignore(s, v, src->state, e);
	}
	sandbox_notice(s, "%s: %s; ignored: %s. To allow what it says now: bailey trust %s",
		       src->path, src->state + sizeof("project, ") - 1, list,
		       shell_word(s, src->base));
	return r < 0 ? r : 0;
}

/* Whether @dir/@name is there; @own: and the caller's own. */
static bool has(const char *dir, const char *name, bool own)
{
	char path[LIMIT_PATH];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/%s", dir[1] ? dir : "", name) < (int)sizeof(path) &&
	       lstat(path, &st) == 0 && (!own || st.st_uid == geteuid());
}

/*
 * A project's file is that of the workspace. In a directory below it the project's is not read (its denials speak of what is there), and whoever has
 * written it should know. Up to the top of the repository, or below the home directory.
 */
static void say_above(struct sandbox *s, const char *workspace)
{
	char dir[LIMIT_PATH];
	char *slash;
	size_t i;

	memcpy(dir, workspace, strlen(workspace) + 1);
	while (!has(dir, SETTINGS_PROJECT, false) && !has(dir, ".git", false)) {
		slash = strrchr(dir, '/');
		if (!slash || slash == dir)
			return;
		*slash = '\0';
		if (s->home && strcmp(dir, s->home) == 0)
			return;
	}
	if (strcmp(dir, workspace) == 0 || !has(dir, SETTINGS_PROJECT, true))
		return;
	for (i = 0; i < s->n_workspaces; i++) {
		if (strcmp(s->workspaces[i], dir) == 0)
			return;
	}
	sandbox_notice(
		s, "'%s/%s' is not read, because the workspace is '%s'; to use it: --workspace %s",
		dir, SETTINGS_PROJECT, workspace, shell_word(s, dir));
}

int settings_projects(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_POLICY_FILE + 1);
	struct opt_source *src = NULL;
	char path[LIMIT_PATH];
	size_t i, k;
	int r = 0;

	/* a front has settings of its own; what the machine's administrator denies holds there, too */
	for (i = 0; r >= 0 && !o->front && i < s->n_workspaces; i++) {
		for (k = 0; k < i && strcmp(s->workspaces[k], s->workspaces[i]) != 0; k++)
			;
		if (k < i || snprintf(path, sizeof(path), "%s/%s", s->workspaces[i],
				      SETTINGS_PROJECT) >= (int)sizeof(path))
			continue;
		b.len = 0;
		r = load(s, o, path, s->workspaces[i], POLICY_PROJECT, SETTINGS_ANY, &b, &src, e);
		if (r == 1 && src)
			r = judge_project(s, src, &b, e);
		if (r == 0)
			say_above(s, s->workspaces[i]);
	}
	buf_done(&b);
	return r < 0 ? r : 0;
}

/* Of two limits the smaller stays; @now is NULL when there was none. */
static void merge_limit(struct sandbox *s, const struct opt_value **now, const struct opt_value *v)
{
	char where[LIMIT_WHERE];
	long a = 0, b = 0;

	/* files were checked when they were read; a bad word of the command line stays, so that it is reported */
	if (*now && v->opt->number((*now)->value, &a, NULL) == 0 &&
	    v->opt->number(v->value, &b, NULL) == 0 && a < b) {
		if (!v->source)
			sandbox_notice(s, "--%s %s: %s says %s, and the smaller one counts",
				       v->opt->name, v->value, sandbox_where(*now, where),
				       (*now)->value);
		return;
	}
	*now = v;
}

/* Of two files' presets the one that opens less; a bad word stays, so that it is reported. */
static const struct opt_value *merge_preset(struct sandbox *s, const struct opt_value *a,
					    const struct opt_value *b)
{
	const int ranks[] = { net_policy_preset_rank(a->value), net_policy_preset_rank(b->value) };
	const struct opt_value *stays = ranks[1] < ranks[0] ? b : a, *dropped = stays == a ? b : a;
	char where[2][LIMIT_WHERE];

	if (ranks[0] != ranks[1])
		sandbox_notice(s, "%s '%s': %s says %s, and the tighter one counts",
			       sandbox_where(dropped, where[0]), dropped->value,
			       sandbox_where(stays, where[1]), stays->value);
	return stays;
}

/*
 * Who may not loosen. A front's settings say all that its command gets, and have their own words for it: of the administrator's file, the only one
 * that counts beside them, what takes away and what looks on stays.
 */
static bool is_left_out(const struct sandbox_options *o, const struct opt_source *src,
			const struct opt_value *v)
{
	if (!policy_file_loosens(v))
		return false;
	return src->layer == POLICY_UNTRUSTED || (o->front && !(v->opt->flags & OPT_WATCHES));
}

/* One scalar option: the values of all files, then the command line's. */
static int merge_scalar(struct sandbox *s, const struct sandbox_options *o, const struct opt *from,
			const struct opt *to, struct err *e)
{
	const struct opt_value *now = NULL;
	const char *word = from->type == OPT_TYPE_FLAG ? NULL : *(const char **)from->target;
	bool flag = from->type == OPT_TYPE_FLAG && *(bool *)from->target, final = false;
	char where[LIMIT_WHERE];
	struct opt_value command = { .opt = from, .value = word };
	const struct opt_source *src;
	size_t i;

	for (src = s->sources; src; src = src->next) {
		for (i = 0; i < src->file.n; i++) {
			const struct opt_value *v = &src->file.values[i];

			if (v->opt != from || is_left_out(o, src, v))
				continue;
			if (from->number)
				merge_limit(s, &now, v);
			else if (from->type == OPT_TYPE_FLAG)
				now = now && !policy_file_loosens(now) ? now : v;
			else if (now && strcmp(from->name, "preset") == 0)
				now = merge_preset(s, now, v);
			else if (!now)
				now = v; /* can't be compared: the more authoritative file's */
		}
	}
	if (from->type == OPT_TYPE_FLAG) {
		bool value = now && strcmp(now->value, "true") == 0;

		final = now && !policy_file_loosens(now);
		if (final && flag && !value)
			return err_set(e, ERR_POLICY, -EPERM, "--%s: %s says false, which is final",
				       from->name, sandbox_where(now, where));
		*(bool *)to->target = value || flag;
		return 0;
	}
	/* what the administrator looks at is looked at there */
	if (word && now && (from->flags & OPT_WATCHES) && now->source->layer == POLICY_MANAGED &&
	    strcmp(now->value, word) != 0)
		return err_set(e, ERR_POLICY, -EPERM, "--%s: %s says '%.200s', which is final",
			       from->name, sandbox_where(now, where), now->value);
	if (word && from->number)
		merge_limit(s, &now, &command);
	else if (word)
		now = &command;
	*(const char **)to->target = now ? now->value : NULL;
	return 0;
}

/* The rows of a table that share a list: files first, then the command line; pointers to rows go over to the new table. */
static int merge_list(const struct sandbox *s, const struct sandbox_options *o,
		      const struct opt *from, const struct opt *to, size_t row, struct err *e)
{
	const struct opt_list *words = from[row].target;
	const struct opt_source *src;
	struct opt_value v;
	size_t i;
	int r = 0;

	for (i = 0; i < row; i++) {
		if (from[i].type == OPT_TYPE_LIST && from[i].target == words)
			return 0; /* done with that row */
	}
	for (src = s->sources; src; src = src->next) {
		for (i = 0; r == 0 && i < src->file.n; i++) {
			v = src->file.values[i];
			if (v.opt->type != OPT_TYPE_LIST || v.opt->target != words ||
			    is_left_out(o, src, &v))
				continue;
			v.opt = to + (v.opt - from);
			r = opt_list_add(to[row].target, &v);
		}
	}
	for (i = 0; r == 0 && i < words->n; i++) {
		v = words->v[i];
		v.opt = to + (v.opt - from);
		r = opt_list_add(to[row].target, &v);
	}
	return r < 0 ? sandbox_oom(e) : 0;
}

/* Options of a run that has policy files; it has a table of its own, whose targets are here. */
struct merged {
	struct sandbox_options options; /* first: s->options points to it */
	struct opt table[SANDBOX_OPTIONS];
};

int settings_merge(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	struct merged *m = arena_alloc(&s->arena, sizeof(*m));
	const struct opt *from = o->table;
	size_t i;
	int r = 0;

	if (!m)
		return sandbox_oom(e);
	sandbox_options(&m->options, m->table, ARRAY_SIZE(m->table));
	m->options.front = o->front;
	m->options.box = o->box;
	s->options = &m->options;
	s->merged = true;
	/* @o's table may be a longer one, of a sandbox that stays (life.h): no policy file has those rows */
	for (i = 0; r == 0 && m->table[i].type != OPT_TYPE_END; i++) {
		if (from[i].type == OPT_TYPE_LIST)
			r = merge_list(s, o, from, m->table, i, e);
		else if (from[i].type != OPT_TYPE_GROUP)
			r = merge_scalar(s, o, &from[i], &m->table[i], e);
	}
	return r;
}

void settings_done(struct sandbox *s)
{
	if (s->merged)
		sandbox_options_done((struct sandbox_options *)(uintptr_t)s->options);
	s->merged = false;
}

void sandbox_grants_overruled(struct sandbox *s)
{
	size_t i;

	for (i = 0; (s->sources || s->sockets) && i < s->policy.n; i++) {
		const struct policy_rule *rule = &s->policy.rules[i], *by = NULL;
		struct policy_verdict v;

		if (rule->layer != POLICY_COMMAND || !policy_grants(rule->kind))
			continue;
		v = policy_eval(&s->policy, rule->path);
		if (rule->kind == POLICY_SOCKET)
			by = policy_eval_socket(&s->policy, rule);
		else if (rule->kind == POLICY_ALLOW_WRITE && v.state != POLICY_SHOW_RW)
			by = v.write_rule;
		else if (rule->kind == POLICY_ALLOW_READ && v.state != POLICY_SHOW_RW &&
			 v.state != POLICY_SHOW_RO)
			by = v.read_rule;
		if (by && (rule->kind == POLICY_SOCKET ||
			   (by->layer != POLICY_COMMAND && by->layer != POLICY_BUILTIN)))
			sandbox_notice(s, "%s '%s' has no effect: %s '%s' of %s is final",
				       rule->origin, rule->path, policy_kind_name(by->kind),
				       by->path, by->origin);
	}
}
