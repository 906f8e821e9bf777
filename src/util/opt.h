/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: one row makes the parser, the policy key, the help, the completion and the paragraph of the man page.
 *
 *	static const struct opt opts[] = {
 *		OPT_GROUP("Files"),
 *		OPT_LIST("hide", &o.hide, "filesystem.hide", "PATH", "Make PATH absent", "Opening PATH answers ENOENT."),
 *		OPT_END };
 */
#ifndef BAILEY_UTIL_OPT_H
#define BAILEY_UTIL_OPT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

enum opt_type {
	OPT_TYPE_END,
	OPT_TYPE_GROUP,
	OPT_TYPE_FLAG,
	OPT_TYPE_STRING,
	OPT_TYPE_OPTIONAL,
	OPT_TYPE_LIST
};

/* What a row says beyond its type, for policy files. A row with none of them is a grant of one string or of a list of strings. */
#define OPT_TIGHTENS 1u /* takes something away: whoever may not loosen may set it */
#define OPT_PATHS 2u    /* values are paths */
#define OPT_GLOBS 4u    /* … or patterns */
#define OPT_MAP 8u      /* "NAME=VALUE" here, an object of names and values in a file */
#define OPT_NAMES 16u   /* names of variables */
#define OPT_RULES 32u   /* network rules: a string, or in a file an object that also has a reason */
#define OPT_CEILING \
	128u /* "a|b|c", the tightest first: a project that is not trusted may say any, which gives nothing, but can take away */
#define OPT_INSPECT \
	256u /* a host whose requests are judged: a name, or (here as JSON, in a file as it is) an object that says how */
#define OPT_LOGIN 512u /* a log-in whose tokens are kept: a name, or an object as above */
#define OPT_WATCHES \
	1024u /* looks at what is done: the administrator's counts also where no grant of theirs does */
#define OPT_WORDS 64u /* "RULE=TEXT", in a file an object, too, whose names are rules */

#define OPT_LETTER(c) ((unsigned int)(c) << 16) /* a short form: -c; flags can be joined */

struct opt_source; /* of a value that is no word of the command line; owned by who reads files */

/* Values of one repeatable option, or of several that share the list so that their order is kept. */
struct opt_value {
	const struct opt *opt;
	const char *value;               /* borrowed from argv, or from who reads files */
	const struct opt_source *source; /* NULL: the command line */
	unsigned int line, column;       /* in the source */
	bool literal;                    /* no character of a path is special */
	const char *reason;              /* of a rule, or NULL */
	const struct json_node *node; /* of an object in a source, whose text is the value; or NULL */
};

struct opt_list {
	struct opt_value *v; /* owned; free with opt_list_done() */
	size_t n;
};

struct opt {
	enum opt_type type;
	const char *name; /* long name, without dashes; title of a group */
	void *target;     /* bool *, const char **, struct opt_list * */
	const char *key; /* in policy files, "group.key"; NULL: a matter of the command line alone */
	const char *
		arg; /* name of the value in the help, which says how to complete it (docs/adr/0011) */
	const char *help;   /* a line */
	const char *man;    /* what the manual page says beyond that: whole sentences */
	unsigned int flags; /* OPT_TIGHTENS … */
	/* a limit: of several values the smallest counts. Return: 0 or -EINVAL with @e; or NULL */
	int (*number)(const char *text, long *ret, struct err *e);
};

/* "man" or "man, flags" or "man, flags, number" at the end of a row. */
#define OPT_TAIL(...) OPT_TAIL_(__VA_ARGS__, 0, NULL, )
#define OPT_TAIL_(man, flags, number, ...) (man), (flags), (number)

#define OPT_GROUP(title)                                                       \
	{                                                                      \
		OPT_TYPE_GROUP, (title), NULL, NULL, NULL, NULL, NULL, 0, NULL \
	}
#define OPT_FLAG(name, target, key, help, ...)                                           \
	{                                                                                \
		OPT_TYPE_FLAG, (name), OPT_CHECK((target), bool *), (key), NULL, (help), \
			OPT_TAIL(__VA_ARGS__)                                            \
	}
#define OPT_STRING(name, target, key, arg, help, ...)                                              \
	{                                                                                          \
		OPT_TYPE_STRING, (name), OPT_CHECK((target), const char **), (key), (arg), (help), \
			OPT_TAIL(__VA_ARGS__)                                                      \
	}
/* "--name" sets "", "--name=value" sets value */
#define OPT_OPTIONAL(name, target, key, arg, help, ...)                                      \
	{                                                                                    \
		OPT_TYPE_OPTIONAL, (name), OPT_CHECK((target), const char **), (key), (arg), \
			(help), OPT_TAIL(__VA_ARGS__)                                        \
	}
#define OPT_LIST(name, target, key, arg, help, ...)                                          \
	{                                                                                    \
		OPT_TYPE_LIST, (name), OPT_CHECK((target), struct opt_list *), (key), (arg), \
			(help), OPT_TAIL(__VA_ARGS__)                                        \
	}
#define OPT_END                                                           \
	{                                                                 \
		OPT_TYPE_END, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL \
	}

/* A target of the wrong type is a compile error, not a memory error. */
#define OPT_CHECK(p, type) \
	__builtin_choose_expr(__builtin_types_compatible_p(__typeof__(p), type), (p), (void)0)

/* What every table has, unsaid. */
extern const struct opt opt_help_row;

/**
 * opt_parse() - read options up to "--" or the first word that is not an option.
 * @argv: words after the verb, NULL-terminated; values are borrowed
 * @ret_rest: index of the first word that is left
 * @ret_dashes: whether "--" ended the options
 * Return: 0; -ECANCELED with ERR_HELP for --help, which every table has; -EINVAL, -E2BIG, -ENOMEM with @e naming the option.
 */
int opt_parse(const struct opt *opts, char *const *argv, size_t *ret_rest, bool *ret_dashes,
	      struct err *e);

/* What is done with one option that was read. @value: NULL: it has none. Return: 0 or negative errno with @e. */
typedef int opt_each_fn(void *arg, const struct opt *o, const char *value, struct err *e);

/** opt_each() - opt_parse() that also calls @each for every option, in their order, once its target is set. Return: as that, or what @each has returned. */
int opt_each(const struct opt *opts, char *const *argv, opt_each_fn *each, void *arg,
	     size_t *ret_rest, bool *ret_dashes, struct err *e);

/**
 * opt_parse_all() - opt_parse() for verbs without a command: options may stand among the operands, too, up to "--".
 * @argv: the operands are moved together at its beginning, in their order, and NULL is behind them
 * Return: as opt_parse(); then @argv is as it was, or has operands moved.
 */
int opt_parse_all(const struct opt *opts, char **argv, struct err *e);

/** opt_help() - append the options as a screen of help; @bold: titles stand out. */
void opt_help(const struct opt *opts, bool bold, struct buf *b);

/** opt_left() - the option with the name of its value, as help and errors show it: "--hide PATH". */
void opt_left(const struct opt *o, char *out, size_t size);

/** opt_find() - the row of that name, or letter. Return: it, or NULL. */
const struct opt *opt_find(const struct opt *opts, const char *name);

/** opt_list_add() - append a copy of @v. Return: 0 or -ENOMEM. */
int opt_list_add(struct opt_list *l, const struct opt_value *v);

/** opt_list_done() - free the list's own memory. */
void opt_list_done(struct opt_list *l);

#endif
