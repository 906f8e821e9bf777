/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. srt's parser (commander) takes its own options wherever they stand, until "--". A word that begins with "-" and is
 * unknown begins the second list of words; the command is the first list and then the second. "-h" is looked for in the second list.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "srt.h"

static const struct known {
	char letter; /* 0: none */
	const char *name, *words;
	bool value;
} known[] = {
	{ 'V', "--version", "-V, --version", false },
	{ 'd', "--debug", "-d, --debug", false },
	{ 's', "--settings", "-s, --settings <path>", true },
	{ 'c', NULL, "-c <command>", true },
	{ 0, "--control-fd", "--control-fd <fd>", true },
};

struct parser {
	struct srt_words *w;
	const char **first, **second; /* lists of words; both have room for all */
	size_t n_first, n_second;
	bool unknown; /* words go to the second list */
	struct err *e;
};

static const struct known *by_letter(char c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (c && known[i].letter == c)
			return &known[i];
	}
	return NULL;
}

/* "--name", @n bytes of @word. */
static const struct known *by_name(const char *word, size_t n)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i].name && strlen(known[i].name) == n &&
		    memcmp(known[i].name, word, n) == 0)
			return &known[i];
	}
	return NULL;
}

static int control(struct srt_words *w, const char *value, struct err *e)
{
	const char *p;
	int fd = 0;

	for (p = value; *p >= '0' && *p <= '9' && fd < 10000000; p++)
		fd = fd * 10 + (*p - '0');
	if (*p || p == value || fd < 3)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"error: option '--control-fd <fd>' argument '%.100s' is invalid. must be an integer file descriptor >= 3 "
			"(0-2 are stdin, stdout and stderr).",
			value);
	w->control = fd;
	return 0;
}

static int take(struct parser *p, const struct known *k, const char *value)
{
	if (k->value && !value)
		return err_set(p->e, ERR_USAGE, -EINVAL, "error: option '%s' argument missing",
			       k->words);
	if (k->letter == 'V')
		p->w->version = true;
	else if (k->letter == 'd')
		p->w->debug = true;
	else if (k->letter == 's')
		p->w->settings = value;
	else if (k->letter == 'c')
		p->w->command = value;
	else if (value)
		return control(p->w, value, p->e);
	return 0;
}

static void push(struct parser *p, const char *word)
{
	if (p->unknown)
		p->second[p->n_second++] = word;
	else
		p->first[p->n_first++] = word;
}

/*
 * One word that begins with "-" and more, if it is one of srt's own. @next: the words behind it; moved on when one is a value. @ret_word:
 * what is left of the word, to be read anew, or NULL.
 * Return: 1: it was taken; 0: it is not srt's; negative errno.
 */
static int option(struct parser *p, const char *word, char *const **next, struct arena *a,
		  const char **ret_word)
{
	const struct known *k = word[1] == '-' ? by_name(word, strlen(word)) :
				!word[2]       ? by_letter(word[1]) :
						 NULL;
	size_t n;
	int r;

	*ret_word = NULL;
	if (k) {
		r = take(p, k, k->value ? **next : NULL);
		*next += k->value && r == 0;
		return r < 0 ? r : 1;
	}
	if (word[1] != '-' && word[2]) {
		k = by_letter(word[1]);
		if (!k)
			return 0;
		r = take(p, k, k->value ? word + 2 : NULL);
		if (r == 0 && !k->value) {
			*ret_word = arena_printf(a, "-%s", word + 2);
			if (!*ret_word)
				return sandbox_oom(p->e);
		}
		return r < 0 ? r : 1;
	}
	n = strcspn(word, "=");
	k = word[n] ? by_name(word, n) : NULL;
	if (!k || !k->value)
		return 0;
	r = take(p, k, word + n + 1);
	return r < 0 ? r : 1;
}

/* All words; @next is where they begin. */
static int parse(struct parser *p, char *const *next, struct arena *a)
{
	const char *word = NULL, *rest;
	int r;

	while (word || *next) {
		word = word ? word : *next++;
		if (strcmp(word, "--") == 0) {
			if (p->unknown)
				push(p, word);
			while (*next)
				push(p, *next++);
			return 0;
		}
		r = word[0] == '-' && word[1] ? option(p, word, &next, a, &rest) : 0;
		if (r < 0 || p->w->version)
			return r < 0 ? r : 0;
		if (r == 1) {
			word = rest;
			continue;
		}
		p->unknown = p->unknown || (word[0] == '-' && word[1]);
		push(p, word);
		word = NULL;
	}
	return 0;
}

int srt_words(struct srt_words *w, char *const *argv, struct arena *a, struct err *e)
{
	struct parser p = { .w = w, .e = e };
	size_t n, i;
	int r;

	*w = (struct srt_words){ .control = -1 };
	for (n = 0; argv[n]; n++)
		;
	p.first = arena_alloc(a, (2 * n + 1) * sizeof(*p.first));
	p.second = arena_alloc(a, (n + 1) * sizeof(*p.second));
	if (!p.first || !p.second)
		return sandbox_oom(e);
	r = parse(&p, argv, a);
	if (r < 0)
		return r;
	for (i = 0; i < p.n_second; i++)
		w->help = w->help || strcmp(p.second[i], "-h") == 0 ||
			  strcmp(p.second[i], "--help") == 0;
	memcpy(p.first + p.n_first, p.second, p.n_second * sizeof(*p.second));
	w->args = p.first;
	w->n_args = p.n_first + p.n_second;
	return 0;
}

void srt_quote(struct buf *b, const char *const *args)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@+,-=";
	const char *p;
	size_t i;

	for (i = 0; args[i]; i++) {
		if (i)
			buf_puts(b, " ");
		if (args[i][0] && args[i][0] != '=' && strspn(args[i], plain) == strlen(args[i])) {
			buf_puts(b, args[i]);
			continue;
		}
		buf_puts(b, "'");
		for (p = args[i]; *p; p++) {
			if (*p == '\'')
				buf_puts(b, "'\"'\"'");
			else
				buf_add(b, p, 1);
		}
		buf_puts(b, "'");
	}
}
