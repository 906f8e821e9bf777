/* SPDX-License-Identifier: Apache-2.0 */
#include "opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "limits.h"

static const struct opt *find(const struct opt *opts, const char *name, size_t n)
{
	for (; opts->type != OPT_TYPE_END; opts++) {
		if (opts->type != OPT_TYPE_GROUP && strlen(opts->name) == n &&
		    strncmp(opts->name, name, n) == 0)
			return opts;
	}
	return NULL;
}

size_t opt_distance(const char *a, size_t len, const char *b)
{
	size_t row[64], i, j, n = strlen(b);

	if (n >= sizeof(row) / sizeof(row[0]) || len >= sizeof(row) / sizeof(row[0]))
		return 99;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 1; i <= len; i++) {
		size_t diag = row[0];

		row[0] = i;
		for (j = 1; j <= n; j++) {
			size_t cost = diag + (a[i - 1] != b[j - 1]);

			diag = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[n];
}

static int unknown(const struct opt *opts, const char *word, struct err *e)
{
	const struct opt *best = NULL;
	size_t len = strcspn(word + 2, "="), best_d = len / 2 + 1,
	       d; /* at most half of the letters differ */

	if (best_d > 4)
		best_d = 4;

	for (; opts->type != OPT_TYPE_END; opts++) {
		if (opts->type == OPT_TYPE_GROUP)
			continue;
		d = opt_distance(word + 2, len, opts->name);
		if (d < best_d) {
			best_d = d;
			best = opts;
		}
	}
	if (best)
		return err_set(e, ERR_USAGE, -EINVAL, "unknown option '%s'; did you mean '--%s'?",
			       word, best->name);
	return err_set(e, ERR_USAGE, -EINVAL, "unknown option '%s' (put '--' before the command)",
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

static int take(const struct opt *o, const char *value, struct err *e)
{
	switch (o->type) {
	case OPT_TYPE_FLAG:
		if (value)
			return err_set(e, ERR_USAGE, -EINVAL, "--%s takes no value", o->name);
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

int opt_parse(const struct opt *opts, char *const *argv, size_t *ret_rest, bool *ret_dashes,
	      struct err *e)
{
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
		if (word[1] != '-')
			return err_set(e, ERR_USAGE, -EINVAL,
				       "unknown option '%s' (options are long: --name)", word);
		eq = strchr(word, '=');
		o = find(opts, word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2));
		if (!o)
			return unknown(opts, word, e);
		if (eq)
			value = eq + 1;
		else if ((o->type == OPT_TYPE_STRING || o->type == OPT_TYPE_LIST) && argv[i + 1])
			value = argv[++i];
		r = take(o, value, e);
		if (r < 0)
			return r;
	}
	*ret_rest = i;
	*ret_dashes = false;
	return 0;
}

void opt_help(const struct opt *opts, struct buf *b)
{
	char left[80];

	for (; opts->type != OPT_TYPE_END; opts++) {
		switch (opts->type) {
		case OPT_TYPE_GROUP:
			buf_printf(b, "\n%s:\n", opts->name);
			continue;
		case OPT_TYPE_FLAG:
			(void)snprintf(left, sizeof(left), "--%s", opts->name);
			break;
		case OPT_TYPE_OPTIONAL:
			(void)snprintf(left, sizeof(left), "--%s[=%s]", opts->name, opts->arg);
			break;
		case OPT_TYPE_STRING:
		case OPT_TYPE_LIST:
		case OPT_TYPE_END:
			(void)snprintf(left, sizeof(left), "--%s %s", opts->name, opts->arg);
			break;
		}
		buf_printf(b, "  %-26s %s\n", left, opts->help);
	}
}

void opt_list_done(struct opt_list *l)
{
	free(l->v);
	l->v = NULL;
	l->n = 0;
}
