/* SPDX-License-Identifier: Apache-2.0 */
#include "opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "limits.h"
#include "nearest.h"
#include "text.h"

#define HELP_COLUMN 29 /* where the explanations of a help screen begin */

const struct opt opt_help_row = OPT_FLAG("help", (bool *)NULL, NULL, "Show this help", NULL);

static const struct opt *find(const struct opt *opts, const char *name, size_t n)
{
	for (; opts->type != OPT_TYPE_END; opts++) {
		if (opts->type != OPT_TYPE_GROUP && strlen(opts->name) == n &&
		    strncmp(opts->name, name, n) == 0)
			return opts;
	}
	return NULL;
}

static const struct opt *find_letter(const struct opt *opts, char letter)
{
	for (; opts->type != OPT_TYPE_END; opts++) {
		if (opts->type != OPT_TYPE_GROUP && opts->flags >> 16 == (unsigned char)letter)
			return opts;
	}
	return NULL;
}

static int unknown(const struct opt *opts, const char *word, struct err *e)
{
	struct nearest near = NEAREST_INIT(word + 2, strcspn(word + 2, "="));

	for (; opts->type != OPT_TYPE_END; opts++) {
		if (opts->type != OPT_TYPE_GROUP)
			nearest_offer(&near, opts->name);
	}
	if (near.best)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "unknown option '%.200s'; did you mean '--%s'?", word, near.best);
	return err_set(e, ERR_USAGE, -EINVAL, "unknown option '%.200s'; --help lists the options",
		       word);
}

int opt_list_add(struct opt_list *l, const struct opt_value *value)
{
	/* grows by doubling at the powers of two */
	if ((l->n & (l->n - 1)) == 0) {
		struct opt_value *v = realloc(l->v, (l->n ? l->n * 2 : 1) * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
	}
	l->v[l->n++] = *value;
	return 0;
}

/* Who wants to hear of each option, or nobody. */
struct hearer {
	opt_each_fn *each;
	void *arg;
};

static int set(const struct opt *o, const char *value, struct err *e)
{
	switch (o->type) {
	case OPT_TYPE_FLAG:
		if (value)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "--%s takes no value; leave '=%.200s' out", o->name, value);
		*(bool *)o->target = true;
		return 0;
	case OPT_TYPE_OPTIONAL:
		*(const char **)o->target = value ? value : "";
		return 0;
	case OPT_TYPE_STRING:
	case OPT_TYPE_LIST:
		if (!value)
			return err_set(e, ERR_USAGE, -EINVAL, "--%s needs a value: --%s %s",
				       o->name, o->name, o->arg);
		if (o->type == OPT_TYPE_STRING) {
			*(const char **)o->target = value;
			return 0;
		}
		if (((struct opt_list *)o->target)->n >= LIMIT_RULES)
			return err_set(e, ERR_USAGE, -E2BIG, "--%s is given more than %d times",
				       o->name, LIMIT_RULES);
		if (opt_list_add(o->target, &(struct opt_value){ .opt = o, .value = value }) < 0)
			return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
		return 0;
	case OPT_TYPE_END:
	case OPT_TYPE_GROUP:
		break;
	}
	return err_set(e, ERR_USAGE, -EINVAL, "--%s is not an option", o->name);
}

static int take(const struct hearer *h, const struct opt *o, const char *value, struct err *e)
{
	int r = set(o, value, e);

	return r == 0 && h->each ? h->each(h->arg, o, value, e) : r;
}

/* The shortest name that begins so is what was meant, if any is. */
static int no_letter(const struct opt *opts, const char *word, char letter, struct err *e)
{
	const struct opt *o, *best = NULL;

	for (o = opts; o->type != OPT_TYPE_END; o++) {
		if (o->type != OPT_TYPE_GROUP && o->name[0] == letter &&
		    (!best || strlen(o->name) < strlen(best->name)))
			best = o;
	}
	if (best)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "unknown option '%.200s'; did you mean '--%s'?", word, best->name);
	return err_set(e, ERR_USAGE, -EINVAL,
		       "unknown option '%.200s'; options are long (--name), and --help lists them",
		       word);
}

/* "-it", "-eVALUE", "-e VALUE". @i: of the word, moved on when the next one is its value */
static int take_letters(const struct opt *opts, char *const *argv, size_t *i,
			const struct hearer *h, struct err *e)
{
	const char *word = argv[*i], *p;

	for (p = word + 1; *p; p++) {
		const struct opt *o = find_letter(opts, *p);
		const char *value = NULL;
		int r;

		if (!o)
			return no_letter(opts, word, *p, e);
		if (o->type != OPT_TYPE_FLAG && p[1])
			value = p + 1;
		else if ((o->type == OPT_TYPE_STRING || o->type == OPT_TYPE_LIST) && argv[*i + 1] &&
			 strcmp(argv[*i + 1], "--") != 0)
			value = argv[++*i];
		r = take(h, o, value, e);
		if (r < 0 || (value && o->type != OPT_TYPE_FLAG))
			return r;
	}
	return 0;
}

int opt_each(const struct opt *opts, char *const *argv, opt_each_fn *each, void *arg,
	     size_t *ret_rest, bool *ret_dashes, struct err *e)
{
	const struct hearer h = { .each = each, .arg = arg };
	size_t i;
	int r;

	for (i = 0; argv[i]; i++) {
		const char *word = argv[i], *eq, *value = NULL;
		const struct opt *o;

		if (strcmp(word, "--") == 0) {
			*ret_rest = i + 1;
			*ret_dashes = true;
			return 0;
		}
		if (word[0] != '-' || !word[1])
			break;
		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
			return err_set(e, ERR_HELP, -ECANCELED, "help is asked for");
		if (word[1] != '-') {
			r = take_letters(opts, argv, &i, &h, e);
			if (r < 0)
				return r;
			continue;
		}
		eq = strchr(word, '=');
		o = find(opts, word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2));
		if (!o)
			return unknown(opts, word, e);
		if (eq)
			value = eq + 1;
		else if ((o->type == OPT_TYPE_STRING || o->type == OPT_TYPE_LIST) && argv[i + 1] &&
			 strcmp(argv[i + 1], "--") != 0) /* a forgotten value must not eat that */
			value = argv[++i];
		r = take(&h, o, value, e);
		if (r < 0)
			return r;
	}
	*ret_rest = i;
	*ret_dashes = false;
	return 0;
}

int opt_parse(const struct opt *opts, char *const *argv, size_t *ret_rest, bool *ret_dashes,
	      struct err *e)
{
	return opt_each(opts, argv, NULL, NULL, ret_rest, ret_dashes, e);
}

int opt_parse_all(const struct opt *opts, char **argv, struct err *e)
{
	size_t n = 0, i = 0, used = 0;
	bool dashes = false;
	int r;

	for (;;) {
		r = opt_parse(opts, argv + i, &used, &dashes, e);
		if (r < 0)
			return r;
		for (i += used; argv[i];) {
			argv[n++] = argv[i++];
			if (!dashes)
				break; /* the next word may be an option */
		}
		if (!argv[i])
			break;
	}
	argv[n] = NULL;
	return 0;
}

void opt_left(const struct opt *o, char *out, size_t size)
{
	char letter[8] = "";

	if (o->flags >> 16)
		(void)snprintf(letter, sizeof(letter), "-%c, ", (char)(o->flags >> 16));
	switch (o->type) {
	case OPT_TYPE_FLAG:
		(void)snprintf(out, size, "%s--%s", letter, o->name);
		return;
	case OPT_TYPE_OPTIONAL:
		(void)snprintf(out, size, "%s--%s[=%s]", letter, o->name, o->arg);
		return;
	case OPT_TYPE_STRING:
	case OPT_TYPE_LIST:
		(void)snprintf(out, size, "%s--%s %s", letter, o->name, o->arg);
		return;
	case OPT_TYPE_GROUP:
	case OPT_TYPE_END:
		break;
	}
	out[0] = '\0';
}

static void help_line(const struct opt *o, struct buf *b)
{
	char left[80];

	opt_left(o, left, sizeof(left));
	if (strlen(left) > HELP_COLUMN - 3)
		buf_printf(b, "  %s\n%*s", left, HELP_COLUMN, "");
	else
		buf_printf(b, "  %-*s ", HELP_COLUMN - 3, left);
	text_wrap(b, o->help, HELP_COLUMN, HELP_COLUMN);
}

void opt_help(const struct opt *opts, bool bold, struct buf *b)
{
	for (; opts->type != OPT_TYPE_END; opts++) {
		if (opts->type == OPT_TYPE_GROUP) {
			buf_puts(b, "\n");
			text_title(b, opts->name, bold);
		} else {
			help_line(opts, b);
		}
	}
	help_line(&opt_help_row, b);
}

const struct opt *opt_find(const struct opt *opts, const char *name)
{
	return name[0] && !name[1] ? find_letter(opts, name[0]) : find(opts, name, strlen(name));
}

void opt_list_done(struct opt_list *l)
{
	free(l->v);
	l->v = NULL;
	l->n = 0;
}
