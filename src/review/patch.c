/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints changes: as a patch that `git apply` takes, in counts, by name, as JSON. What a patch can't say (directories, modes beside the executable bit, marks,
 * bytes that are no text, names that git takes nothing for, and what builds on these) stands in lines that begin with "#", which git passes over. Names are quoted as git does, so no byte of one reaches a terminal; contents are made
 * visible there, and are what they are in a pipe.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walk.h"

#define CONTEXT 3ul
#define BINARY_LOOK 8000 /* bytes in which git, too, looks for a NUL */
#define FLUSH 65536

/* Both sides of one change, as far as they are text. */
struct sides {
	struct buf old_data, new_data;
	struct review_text old, new;
	struct review_edit *edits;
	long n;
	bool binary; /* or too large, or it can't be read, or it is special: no lines are known */
	long added, gone;
};

struct printer {
	const struct review *r;
	struct review_changes *c;
	const struct review_print *p;
	struct walk_tree t;
	struct buf b;
	struct err *e;
	bool aside; /* what is printed is no part of the patch: each line is a comment */
	const char *
		off; /* a name whose removal is none, so that nothing below it can be added; in off_tree */
	size_t off_tree;
	size_t git_shown; /* bytes of the path of the git directory that was summed up last; with its tree */
	const char *git_path;
	size_t git_tree;
	/* what sides_load() read last, for the next who asks for the same: first whether a patch can say it, then the patch */
	struct sides last;
	const struct review_change *last_of;
	bool last_old, last_new;
};

void review_visible(struct buf *b, const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str, *end = s + n;
	unsigned char one[5];
	size_t len;

	for (; s < end; s += len) {
		len = (size_t)(end - s) < 4 ? (size_t)(end - s) : 4;
		memset(one, 0, sizeof(one));
		memcpy(one, s, len);
		len = buf_utf8_len(one);
		if (len > (size_t)(end - s))
			len = 0;
		if (len == 0) {
			buf_printf(b, "<%02X>", *s);
			len = 1;
		} else if (*s == '\t' || *s == '\n' || (*s >= 0x20 && *s < 0x7f)) {
			buf_add(b, s, 1);
		} else if (len == 1) {
			buf_printf(b, "^%c", *s ^ 0x40);
		} else if (*s == 0xc2 && s[1] < 0xa0) {
			buf_printf(b, "<%02X>", s[1]); /* C1 */
		} else if (len == 3 && *s == 0xe2 &&
			   ((s[1] == 0x80 &&
			     ((s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae))) ||
			    (s[1] == 0x81 && s[2] >= 0xa0 && s[2] <= 0xaf))) {
			/* no width, other directions: text that is not what it looks like */
			buf_printf(b, "<U+%04X>", (*s & 15) << 12 | (s[1] & 63) << 6 | (s[2] & 63));
		} else {
			buf_add(b, s, len);
		}
	}
}

/* As git with core.quotePath; @prefix stands inside the quotes. */
static void quote(struct buf *b, const char *prefix, const char *path)
{
	const unsigned char *s = (const unsigned char *)path;
	bool odd = false;

	for (; *s; s++)
		odd = odd || *s < 0x20 || *s >= 0x7f || *s == '"' || *s == '\\';
	if (!odd) {
		buf_printf(b, "%s%s", prefix, path);
		return;
	}
	buf_printf(b, "\"%s", prefix);
	for (s = (const unsigned char *)path; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if (*s == '\n')
			buf_puts(b, "\\n");
		else if (*s == '\t')
			buf_puts(b, "\\t");
		else if (*s < 0x20 || *s >= 0x7f)
			buf_printf(b, "\\%03o", *s);
		else
			buf_add(b, s, 1);
	}
	buf_puts(b, "\"");
}

static void colour(struct printer *pr, const char *code)
{
	if (pr->p->colour)
		buf_printf(&pr->b, "\033[%sm", code);
}

/* Where a line of a file's difference begins. */
static void begin_line(struct printer *pr)
{
	if (pr->aside)
		buf_puts(&pr->b, "# ");
}

static int flush(struct printer *pr, size_t least)
{
	if (pr->b.failed)
		return err_set(pr->e, ERR_SYSTEM, -ENOMEM, "out of memory for the difference");
	return pr->b.len >= least && pr->b.len ? pr->p->put(&pr->b) : 0;
}

/* The contents of one side. Return: false: not to be shown as text. */
static bool load(int root, const char *path, mode_t mode, off_t size, struct buf *b)
{
	_cleanup_close_ int fd = -1;
	char target[LIMIT_PATH];
	ssize_t n;

	if (S_ISLNK(mode)) {
		fd = walk_at(root, path, O_PATH | O_NOFOLLOW);
		n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target));
		if (n > 0)
			buf_add(b, target, (size_t)n);
		return n >= 0;
	}
	if (!S_ISREG(mode))
		return S_ISDIR(mode);
	if (size > LIMIT_REVIEW_TEXT)
		return false;
	fd = walk_file(root, path);
	return fd >= 0 && fd_read_all(fd, b) == 0 &&
	       !(b->data && memchr(b->data, 0, b->len < BINARY_LOOK ? b->len : BINARY_LOOK));
}

static void sides_done(struct sides *s)
{
	review_text_done(&s->old);
	review_text_done(&s->new);
	buf_done(&s->old_data);
	buf_done(&s->new_data);
	free(s->edits);
	*s = (struct sides){ .n = 0 };
}

static int sides_read(struct printer *pr, const struct review_change *c, bool with_old,
		      bool with_new, struct sides *s)
{
	const char *old_path = c->from ? c->from->path : c->path;
	long i;

	*s = (struct sides){ .old_data = BUF_INIT(LIMIT_REVIEW_TEXT + 1),
			     .new_data = BUF_INIT(LIMIT_REVIEW_TEXT + 1) };
	if (c->kind == REVIEW_MODE || c->kind == REVIEW_RENAMED)
		return 0; /* the bytes are the same */
	s->binary =
		(with_old && !load(pr->t.host, old_path, c->old_mode, c->old_size, &s->old_data)) ||
		(with_new && (c->refused ||
			      !load(pr->t.upper, c->path, c->new_mode, c->new_size, &s->new_data)));
	if (s->binary)
		return 0;
	if (review_text_split(&s->old, s->old_data.data ? s->old_data.data : "", s->old_data.len) <
		    0 ||
	    review_text_split(&s->new, s->new_data.data ? s->new_data.data : "", s->new_data.len) <
		    0 ||
	    (s->n = review_lines(&s->old, &s->new, &s->edits)) < 0)
		return err_set(pr->e, ERR_SYSTEM, -ENOMEM, "out of memory for the difference");
	for (i = 0; i < s->n; i++) {
		if (s->edits[i].op == '-')
			s->gone += (long)s->edits[i].n;
		else if (s->edits[i].op == '+')
			s->added += (long)s->edits[i].n;
	}
	return 0;
}

/*
 * @with_old, @with_new: which sides there are; a change of type is shown as a removal and an addition.
 * Return: 0 or negative errno with pr->e. @ret: until the next call
 */
static int sides_load(struct printer *pr, const struct review_change *c, bool with_old,
		      bool with_new, const struct sides **ret)
{
	int r;

	*ret = &pr->last;
	if (pr->last_of == c && pr->last_old == with_old && pr->last_new == with_new)
		return 0;
	sides_done(&pr->last);
	r = sides_read(pr, c, with_old, with_new, &pr->last);
	pr->last_of = r == 0 ? c : NULL;
	pr->last_old = with_old;
	pr->last_new = with_new;
	return r;
}

static int print_lines(struct printer *pr, const struct review_text *t, char op, size_t from,
		       size_t n)
{
	size_t i, len;
	int r = 0;

	for (i = from; r == 0 && i < from + n; i++) {
		const char *line = t->line[i];

		len = (size_t)(t->line[i + 1] - line);
		begin_line(pr);
		if (op != ' ')
			colour(pr, op == '+' ? "32" : "31");
		buf_add(&pr->b, &op, 1);
		if (len && line[len - 1] == '\n')
			len--;
		if (pr->p->terminal)
			review_visible(&pr->b, line, len);
		else
			buf_add(&pr->b, line, len);
		if (op != ' ')
			colour(pr, "0");
		buf_puts(&pr->b, "\n");
		if (line + len == t->line[i + 1]) {
			begin_line(pr);
			buf_puts(&pr->b, "\\ No newline at end of file\n");
		}
		r = flush(pr, FLUSH);
	}
	return r;
}

static void range(struct buf *b, char sign, size_t from, size_t n)
{
	/* an empty range names the line before it */
	buf_printf(b, " %c%zu", sign, n ? from + 1 : from);
	if (n != 1)
		buf_printf(b, ",%zu", n);
}

/* One hunk: the edits from @first up to @last, with what is around them. */
static int print_hunk(struct printer *pr, const struct sides *s, long first, long last)
{
	const struct review_edit *e = s->edits;
	size_t before = first > 0 && e[first - 1].op == ' ' ?
				(e[first - 1].n < CONTEXT ? e[first - 1].n : CONTEXT) :
				0;
	size_t after =
		last < s->n && e[last].op == ' ' ? (e[last].n < CONTEXT ? e[last].n : CONTEXT) : 0;
	size_t old_from = e[first].old - before, new_from = e[first].new - before;
	size_t old_n = before + after, new_n = old_n;
	long i;
	int r;

	for (i = first; i < last; i++) {
		old_n += e[i].op == '+' ? 0 : e[i].n;
		new_n += e[i].op == '-' ? 0 : e[i].n;
	}
	begin_line(pr);
	colour(pr, "36");
	buf_puts(&pr->b, "@@");
	range(&pr->b, '-', old_from, old_n);
	range(&pr->b, '+', new_from, new_n);
	buf_puts(&pr->b, " @@");
	colour(pr, "0");
	buf_puts(&pr->b, "\n");
	r = print_lines(pr, &s->old, ' ', old_from, before);
	for (i = first; r == 0 && i < last; i++)
		r = e[i].op == '+' ? print_lines(pr, &s->new, '+', e[i].new, e[i].n) :
				     print_lines(pr, &s->old, e[i].op, e[i].old, e[i].n);
	return r == 0 && after ? print_lines(pr, &s->old, ' ', e[last].old, after) : r;
}

static int print_hunks(struct printer *pr, const struct sides *s)
{
	long i = 0, last;
	int r = 0;

	while (r == 0 && i < s->n) {
		if (s->edits[i].op == ' ') {
			i++;
			continue;
		}
		/* edits whose contexts touch are one hunk */
		for (last = i + 1; last < s->n; last++) {
			if (s->edits[last].op == ' ' &&
			    (s->edits[last].n > 2 * CONTEXT || last + 1 == s->n))
				break;
		}
		r = print_hunk(pr, s, i, last);
		i = last;
	}
	return r;
}

static unsigned int git_mode(mode_t mode)
{
	if (S_ISLNK(mode))
		return 0120000;
	return mode & 0100 ? 0100755 : 0100644;
}

static void print_mark(struct printer *pr, const struct review_change *c, const char *what,
		       const char *why)
{
	colour(pr, "33");
	buf_printf(&pr->b, "# %s%s%s: ", what, why ? ": " : "", why ? why : "");
	quote(&pr->b, "", c->path);
	colour(pr, "0");
	buf_puts(&pr->b, "\n");
}

static void print_side(struct printer *pr, const char *before, bool there, const char *prefix,
		       const char *path)
{
	begin_line(pr);
	buf_puts(&pr->b, before);
	if (there)
		quote(&pr->b, prefix, path);
	else
		buf_puts(&pr->b, "/dev/null");
	buf_puts(&pr->b, "\n");
}

static void print_mode(struct printer *pr, const char *before, mode_t mode)
{
	begin_line(pr);
	buf_printf(&pr->b, "%s mode %o\n", before, git_mode(mode));
}

static void print_header(struct printer *pr, const struct review_change *c, bool with_old,
			 bool with_new, bool lines)
{
	const char *old = c->from ? c->from->path : c->path;
	const mode_t old_mode = c->from ? c->from->old_mode : c->old_mode;

	begin_line(pr);
	colour(pr, "1");
	buf_puts(&pr->b, "diff --git ");
	quote(&pr->b, "a/", old);
	buf_puts(&pr->b, " ");
	quote(&pr->b, "b/", c->path);
	buf_puts(&pr->b, "\n");
	if (!with_old) {
		print_mode(pr, "new file", c->new_mode);
	} else if (!with_new) {
		print_mode(pr, "deleted file", old_mode);
	} else if (git_mode(old_mode) != git_mode(c->new_mode)) {
		print_mode(pr, "old", old_mode);
		print_mode(pr, "new", c->new_mode);
	}
	if (c->kind == REVIEW_RENAMED) {
		begin_line(pr);
		buf_puts(&pr->b, "similarity index 100%\n");
		print_side(pr, "rename from ", true, "", old);
		print_side(pr, "rename to ", true, "", c->path);
	}
	if (lines) {
		print_side(pr, "--- ", with_old, "a/", old);
		print_side(pr, "+++ ", with_new, "b/", c->path);
	}
	colour(pr, "0");
}

/* What is no text: a line that is no part of the patch. */
static void print_binary(struct printer *pr, const struct review_change *c, bool with_old,
			 bool with_new)
{
	const off_t size = with_new ? c->new_size : c->old_size;
	const mode_t mode = with_new ? c->new_mode : c->old_mode;
	const char *what = size > LIMIT_REVIEW_TEXT ? "large" : "binary";
	const bool changed = with_old && with_new;
	char text[96];
	int n;

	if (with_new && c->refused)
		return; /* that was said */
	if (!S_ISREG(mode) && !S_ISLNK(mode))
		what = "special";
	n = snprintf(text, sizeof(text), "%s%s file%s", with_old ? "" : "new ", what,
		     !with_old ? "" :
		     with_new  ? " changed" :
				 " removed");
	/* any other change of its mode has a line already */
	if (changed && git_mode(c->old_mode) != git_mode(c->new_mode))
		(void)snprintf(text + n, sizeof(text) - (size_t)n, ", mode %o, was %o",
			       (unsigned int)c->new_mode & 07777,
			       (unsigned int)c->old_mode & 07777);
	print_mark(pr, c, text, NULL);
}

/* One file in the form of git: @with_old, @with_new as in sides_load(). */
static int print_file(struct printer *pr, const struct review_change *c, bool with_old,
		      bool with_new)
{
	const struct sides *s;
	int r = sides_load(pr, c, with_old, with_new, &s);

	if (r == 0 && s->binary) {
		print_binary(pr, c, with_old, with_new);
	} else if (r == 0) {
		if (pr->aside)
			print_mark(pr, c, "not in the patch", NULL);
		print_header(pr, c, with_old, with_new, s->n > 0);
		r = print_hunks(pr, s);
	}
	return r;
}

/* --- what git takes --- */

/* git's own rule, with what other systems take for the same name: of no name in a patch a component may be ".git". @s: a component, or what follows a backslash */
static bool is_dot_git(const char *s)
{
	if (strncasecmp(s, ".git", 4) == 0)
		s += 4;
	else if (strncasecmp(s, "git~1", 5) == 0)
		s += 5;
	else
		return false;
	s += strspn(s, ". ");
	return !*s || strchr("/\\:", *s);
}

/* Links that git takes for the list of submodules, and others whose short names look like it. */
static bool is_modules(const char *s)
{
	return strncasecmp(s, ".gitmodules", 11) == 0 ||
	       (strncasecmp(s, "gi", 2) == 0 && strchr(s, '~'));
}

static bool name_ok(const char *path, mode_t mode)
{
	for (; path; path = strpbrk(path, "/\\")) {
		path += *path == '/' || *path == '\\';
		if (is_dot_git(path) || (S_ISLNK(mode) && is_modules(path)))
			return false;
	}
	return true;
}

/* Whether a patch can say these sides of a change; of a git directory that is a tree of its own it has no names. Return: 1, 0 or negative errno with pr->e. */
static int can_say(struct printer *pr, const struct review_change *c, bool with_old, bool with_new)
{
	const mode_t old_mode = c->from ? c->from->old_mode : c->old_mode;
	const struct sides *s;
	int r;

	if (pr->r->record.trees[c->tree].git || !name_ok(c->path, with_old ? old_mode : 0) ||
	    !name_ok(c->path, with_new ? c->new_mode : 0) ||
	    (c->from && !name_ok(c->from->path, old_mode)))
		return 0;
	r = sides_load(pr, c, with_old, with_new, &s);
	if (r == 0)
		r = !s->binary;
	return r;
}

/* The same of everything that a directory had, which is a file now. */
static int can_say_below(struct printer *pr, const struct review_change *c)
{
	const struct review_change *v;
	int r = 1;

	for (v = c + 1; r == 1 && v < pr->c->v + pr->c->n && v->tree == c->tree &&
			path_covers(c->path, v->path);
	     v++) {
		if (v->old_mode && !S_ISDIR(v->old_mode))
			r = can_say(pr, v, true, false);
	}
	return r;
}

/*
 * Whether a patch can say the change: all of it, for of one half git would make nothing. @old, @new: whether there is a file of that side.
 * Return: as can_say().
 */
static int patch_says(struct printer *pr, const struct review_change *c, bool old, bool new)
{
	int r;

	if (pr->off && pr->off_tree == c->tree && path_covers(pr->off, c->path))
		return 0;
	if (c->kind != REVIEW_TYPE)
		return can_say(pr, c, old, new);
	r = old ? can_say(pr, c, true, false) : can_say_below(pr, c);
	if (r == 1 && new)
		return can_say(pr, c, false, true);
	if (r == 0 && !new) {
		pr->off = c->path;
		pr->off_tree = c->tree;
	}
	return r;
}

/* A change of a file, in one or two steps. @old, @new: as for patch_says() */
static int print_files(struct printer *pr, const struct review_change *c, bool old, bool new)
{
	const bool twice = c->kind == REVIEW_TYPE && old && new;
	int r = patch_says(pr, c, old, new);

	if (r < 0)
		return r;
	pr->aside = r == 0;
	r = print_file(pr, c, old, new && !twice);
	if (r == 0 && twice)
		r = print_file(pr, c, false, true);
	pr->aside = false;
	return r;
}

static void print_marks(struct printer *pr, const struct review_change *c)
{
	if (c->row && c->row->class == POLICY_PROTECT)
		print_mark(pr, c, "protected (applied only with --yes)",
			   policy_protected_what(c->row));
	else if (c->row)
		print_mark(pr, c, "flag", policy_protected_what(c->row));
	if (c->conflict)
		print_mark(pr, c, "conflict", c->conflict);
	if (c->refused)
		print_mark(pr, c, "can't be applied", c->refused);
}

/* Whether the next change lies in the directory @c, so that the directory needs no line. */
static bool has_more(const struct printer *pr, const struct review_change *c)
{
	const struct review_change *next = c + 1;

	return next < pr->c->v + pr->c->n && next->tree == c->tree &&
	       path_covers(c->path, next->path);
}

static void print_dir(struct printer *pr, const struct review_change *c)
{
	char text[64];

	if (c->kind == REVIEW_MODE) {
		(void)snprintf(text, sizeof(text), "mode of a directory %o, was %o",
			       (unsigned int)c->new_mode & 07777,
			       (unsigned int)c->old_mode & 07777);
		print_mark(pr, c, text, NULL);
	} else if (!has_more(pr, c)) {
		print_mark(pr, c,
			   c->kind == REVIEW_DELETED ? "empty directory removed" :
						       "new empty directory",
			   NULL);
	}
}

static int print_patch(struct printer *pr, const struct review_change *c)
{
	const bool old = c->old_mode && !S_ISDIR(c->old_mode),
		   new = c->new_mode && !S_ISDIR(c->new_mode);
	char text[64];
	int r = 0;

	print_marks(pr, c);
	if ((c->kind == REVIEW_MODE || c->kind == REVIEW_MODIFIED) && !S_ISDIR(c->new_mode) &&
	    git_mode(c->old_mode) == git_mode(c->new_mode) &&
	    (c->old_mode & 07777) != (c->new_mode & 07777)) {
		(void)snprintf(text, sizeof(text), "mode %o, was %o",
			       (unsigned int)c->new_mode & 07777,
			       (unsigned int)c->old_mode & 07777);
		print_mark(pr, c, text, NULL);
		if (c->kind == REVIEW_MODE)
			return 0;
	}
	if (!old && !new) {
		print_dir(pr, c);
		return 0;
	}
	r = print_files(pr, c, old || c->kind == REVIEW_RENAMED, new);
	if (r == 0 && c->kind == REVIEW_TYPE && S_ISDIR(c->new_mode))
		print_dir(pr, c);
	return r;
}

static void mark_text(struct buf *b, const struct review_change *c)
{
	if (c->row)
		buf_printf(b, "  [%s: %s]", c->row->class == POLICY_PROTECT ? "protected" : "flag",
			   policy_protected_what(c->row));
	if (c->conflict)
		buf_printf(b, "  [conflict: %s]", c->conflict);
	if (c->refused)
		buf_printf(b, "  [can't be applied: %s]", c->refused);
}

static int print_stat(struct printer *pr, const struct review_change *c)
{
	bool old = c->old_mode != 0, new = c->new_mode != 0;
	const struct sides *s;
	int r = sides_load(pr, c, old, new, &s);

	if (r == 0) {
		buf_printf(&pr->b, "%-8s ", review_kind_name(c->kind));
		if (c->from) {
			quote(&pr->b, "", c->from->path);
			buf_puts(&pr->b, " => ");
		}
		quote(&pr->b, "", c->path);
		if (S_ISDIR(c->new_mode ? c->new_mode : c->old_mode))
			buf_puts(&pr->b, "/");
		else if (s->binary)
			buf_puts(&pr->b, "  binary");
		else if (s->added || s->gone)
			buf_printf(&pr->b, "  +%ld -%ld", s->added, s->gone);
		if (old && new && (c->old_mode & 07777) != (c->new_mode & 07777))
			buf_printf(&pr->b, "  mode %o => %o", (unsigned int)c->old_mode & 07777,
				   (unsigned int)c->new_mode & 07777);
		mark_text(&pr->b, c);
		buf_puts(&pr->b, "\n");
	}
	return r;
}

static void mode_json(struct json *j, const char *key, mode_t mode)
{
	char text[16];

	/* of a link nobody's mode is asked, and git has none */
	(void)snprintf(text, sizeof(text), "%06o",
		       S_ISLNK(mode) ? git_mode(mode) : (unsigned int)mode);
	json_str(j, key, mode ? text : NULL);
}

static int print_json(struct printer *pr, const struct review_change *c, struct json *j)
{
	const struct policy_protected *row = c->row;
	const struct sides *s;
	int r = sides_load(pr, c, c->old_mode != 0, c->new_mode != 0, &s);

	if (r == 0) {
		json_open(j, NULL, '{');
		json_str(j, "path", c->path);
		json_str(j, "tree", pr->r->record.trees[c->tree].path);
		json_str(j, "change", review_kind_name(c->kind));
		json_str(j, "from", c->from ? c->from->path : NULL);
		mode_json(j, "old_mode", c->from ? c->from->old_mode : c->old_mode);
		mode_json(j, "new_mode", c->new_mode);
		json_str(j, "flag",
			 row && row->class == POLICY_FLAG ? policy_protected_what(row) : NULL);
		json_str(j, "protect",
			 row && row->class == POLICY_PROTECT ? policy_protected_what(row) : NULL);
		json_str(j, "conflict", c->conflict);
		json_str(j, "refused", c->refused);
		json_bool(j, "git", c->git != 0);
		json_bool(j, "binary", s->binary);
		json_int(j, "additions", s->added);
		json_int(j, "deletions", s->gone);
		json_close(j, '}');
	}
	return r;
}

/* The insides of a git directory are one line; but what the host would execute of them is shown. Return: whether @c is dealt with. */
static bool in_summary(struct printer *pr, const struct review_change *c)
{
	size_t i = (size_t)(c - pr->c->v), n = 0;

	if (!c->git || pr->p->all || pr->p->form == REVIEW_JSON ||
	    (c->row && c->row->class == POLICY_PROTECT))
		return false;
	if (pr->git_path && pr->git_tree == c->tree &&
	    (pr->r->record.trees[c->tree].git ||
	     (pr->git_shown == c->git && memcmp(pr->git_path, c->path, c->git) == 0)))
		return true;
	pr->git_path = c->path;
	pr->git_tree = c->tree;
	pr->git_shown = c->git;
	for (; i < pr->c->n && pr->c->v[i].tree == c->tree; i++) {
		const struct review_change *v = &pr->c->v[i];

		n += v->git &&
		     (pr->r->record.trees[c->tree].git ||
		      (v->git == c->git && memcmp(v->path, c->path, c->git) == 0)) &&
		     !(v->row && v->row->class == POLICY_PROTECT);
	}
	if (pr->p->form != REVIEW_NAMES) {
		colour(pr, "33");
		buf_printf(&pr->b, "# git directory: %zu change%s (--all prints them): ", n,
			   n == 1 ? "" : "s");
	}
	if (pr->r->record.trees[c->tree].git) {
		quote(&pr->b, "", pr->r->record.trees[c->tree].path);
	} else {
		char path[LIMIT_PATH];

		memcpy(path, c->path, c->git);
		path[c->git] = '\0';
		quote(&pr->b, "", path);
	}
	if (pr->p->form == REVIEW_NAMES)
		buf_puts(&pr->b, "/");
	else
		colour(pr, "0");
	buf_puts(&pr->b, "\n");
	return true;
}

static int print_one(struct printer *pr, const struct review_change *c, struct json *j)
{
	if (c->moved || in_summary(pr, c))
		return 0;
	switch (pr->p->form) {
	case REVIEW_PATCH:
		return print_patch(pr, c);
	case REVIEW_STAT:
		return print_stat(pr, c);
	case REVIEW_NAMES:
		quote(&pr->b, "", c->path);
		if (S_ISDIR(c->new_mode ? c->new_mode : c->old_mode))
			buf_puts(&pr->b, "/");
		buf_puts(&pr->b, "\n"); /* names alone: what reads them takes each line as one */
		return 0;
	case REVIEW_JSON:
		break;
	}
	return print_json(pr, c, j);
}

int review_diff(const struct review *r, struct review_changes *c, const struct review_print *p,
		struct err *e)
{
	struct printer pr = { .r = r,
			      .c = c,
			      .p = p,
			      .t = { .upper = -1, .host = -1 },
			      .b = BUF_INIT(LIMIT_REVIEW_ARENA),
			      .e = e };
	struct json j = { .out = &pr.b };
	size_t i, tree = (size_t)-1;
	int ret = 0;

	if (p->form == REVIEW_JSON)
		json_open(&j, NULL, '[');
	for (i = 0; ret == 0 && i < c->n; i++) {
		if (c->v[i].tree != tree) {
			walk_close(&pr.t);
			tree = c->v[i].tree;
			ret = walk_open(r, tree, &pr.t, e);
			if (ret == 0 && r->record.n_trees > 1 && p->form != REVIEW_JSON) {
				buf_puts(&pr.b, "# in ");
				quote(&pr.b, "", r->record.trees[tree].path);
				buf_puts(&pr.b, "\n");
			}
		}
		if (ret == 0)
			ret = print_one(&pr, &c->v[i], &j);
		if (ret == 0)
			ret = flush(&pr, FLUSH);
	}
	if (ret == 0 && p->form == REVIEW_JSON) {
		json_close(&j, ']');
		buf_puts(&pr.b, "\n");
	}
	if (ret == 0)
		ret = flush(&pr, 0);
	walk_close(&pr.t);
	sides_done(&pr.last);
	buf_done(&pr.b);
	return ret;
}
