/* SPDX-License-Identifier: Apache-2.0 */
/* bailey-store: a program of libexec, which bailey starts. One call is one transaction. README.md has its words. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store.h"

struct call {
	const char *const *word; /* what follows the verb */
	int words;
	struct store *store; /* NULL: there is none, and the verb makes none */
	struct err *e;
};

/* Return: 0 or negative errno. */
static int print_json(json_t *j, struct err *e)
{
	int r = json_dumpf(j, stdout, JSON_COMPACT | JSON_ENCODE_ANY) < 0 || putchar('\n') == EOF;

	json_decref(j);
	return r ? err_sys(e, -EIO, "standard output") : 0;
}

static int read_input(struct json_t **ret, struct err *e)
{
	struct buf text = BUF_INIT(STORE_INPUT + 2); /* what is more is seen as such */
	int r = fd_read_all(STDIN_FILENO, &text);

	if (r == -EFBIG)
		r = err_set(e, ERR_USAGE, r, "the input has more than %u bytes", STORE_INPUT);
	else if (r < 0)
		r = err_sys(e, r, "standard input");
	else
		r = store_json_parse(text.data ? text.data : "", text.len, ret, e);
	buf_done(&text);
	return r;
}

/* Nothing was ever kept: then every word is one that isn't there. */
static int nothing(const char *what, const char *word, struct err *e)
{
	struct buf quoted = BUF_INIT(1024);
	int r;

	buf_quote(&quoted, word);
	r = err_set(e, ERR_USAGE, -ENOENT, "there is no %s '%.126s'", what,
		    quoted.data ? quoted.data : "");
	buf_done(&quoted);
	return r;
}

static int run_add(const struct call *c)
{
	char id[STORE_ID + 1];
	json_t *o = NULL;
	int r = read_input(&o, c->e);

	if (r == 0)
		r = store_sandbox_add(c->store, o, id, c->e);
	json_decref(o);
	if (r == 0 && printf("%s\n", id) < 0)
		r = err_sys(c->e, -EIO, "standard output");
	return r;
}

static int run_get(const struct call *c)
{
	json_t *o = NULL;
	int r = c->store ? store_sandbox_get(c->store, c->word[0], &o, c->e) :
			   nothing("sandbox", c->word[0], c->e);

	return r < 0 ? r : print_json(o, c->e);
}

static int run_ls(const struct call *c)
{
	json_t *all = NULL;
	int r = 0;

	if (c->store)
		r = store_sandbox_list(c->store, &all, c->e);
	return r < 0 ? r : print_json(all ? all : json_array(), c->e);
}

static int run_rename(const struct call *c)
{
	return c->store ? store_sandbox_rename(c->store, c->word[0], c->word[1], c->e) :
			  nothing("sandbox", c->word[0], c->e);
}

static int run_rm(const struct call *c)
{
	return c->store ? store_sandbox_remove(c->store, c->word[0], c->e) :
			  nothing("sandbox", c->word[0], c->e);
}

static int run_set(const struct call *c)
{
	int64_t generation = 0;
	json_t *o = NULL;
	int r = c->store ? read_input(&o, c->e) : nothing("sandbox", c->word[0], c->e);

	if (r == 0)
		r = store_sandbox_set(c->store, c->word[0], o, &generation, c->e);
	json_decref(o);
	return r < 0 ? r : print_json(json_integer(generation), c->e);
}

static int parse_limit(const char *s, int64_t *ret, struct err *e)
{
	int64_t v = 0;

	for (; *s >= '0' && *s <= '9' && v <= (INT64_MAX - 9) / 10; s++)
		v = v * 10 + (*s - '0');
	if (*s || v == 0)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "field 'limit': it must be a whole number of bytes above 0");
	*ret = v;
	return 0;
}

static int run_volume_add(const struct call *c)
{
	int64_t limit = -1;
	int r = c->words > 1 ? parse_limit(c->word[1], &limit, c->e) : 0;

	return r < 0 ? r : store_volume_add(c->store, c->word[0], limit, c->e);
}

static int run_volume_ls(const struct call *c)
{
	json_t *all = NULL;
	int r = 0;

	if (c->store)
		r = store_volume_list(c->store, &all, c->e);
	return r < 0 ? r : print_json(all ? all : json_array(), c->e);
}

static int run_volume_rm(const struct call *c)
{
	return c->store ? store_volume_remove(c->store, c->word[0], c->e) :
			  nothing("volume", c->word[0], c->e);
}

static const struct verb {
	const char *name, *second; /* NULL: one word is all */
	int (*run)(const struct call *c);
	int least, most; /* words that follow */
	bool makes;      /* the store, when there is none */
} verbs[] = {
	{ "add", NULL, run_add, 0, 0, true },
	{ "get", NULL, run_get, 1, 1, false },
	{ "ls", NULL, run_ls, 0, 0, false },
	{ "rename", NULL, run_rename, 2, 2, false },
	{ "rm", NULL, run_rm, 1, 1, false },
	{ "set", NULL, run_set, 1, 1, false },
	{ "volume", "add", run_volume_add, 1, 2, true },
	{ "volume", "ls", run_volume_ls, 0, 0, false },
	{ "volume", "rm", run_volume_rm, 1, 1, false },
};

/* @words: STATE_DIR VERB WORD… Return: the verb with what follows it in @c, or NULL. */
static const struct verb *find(const char *const *word, int words, struct call *c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct verb *v = &verbs[i];
		int own = v->second ? 3 : 2;

		if (words < own || strcmp(word[1], v->name) != 0 ||
		    (v->second && strcmp(word[2], v->second) != 0))
			continue;
		c->word = word + own;
		c->words = words - own;
		return c->words >= v->least && c->words <= v->most ? v : NULL;
	}
	return NULL;
}

static int run(const struct verb *v, const char *state_dir, struct call *c)
{
	int r = store_db_open(state_dir, v->makes, &c->store, c->e);

	if (r == 0 || (r == -ENOENT && !v->makes))
		r = v->run(c);
	if (r >= 0 && fflush(stdout) != 0)
		r = err_sys(c->e, -errno, "standard output");
	c->store = store_db_close(c->store);
	return r;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct call c = { .e = &e };
	const struct verb *v;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf(STORE_PROGRAM " " BAILEY_VERSION "\n") < 0 || fflush(stdout) != 0;
	v = find((const char *const *)argv + 1, argc - 1, &c);
	if (!v) {
		(void)fprintf(stderr, "bailey: " STORE_PROGRAM " is started by bailey\n");
		return STORE_EXIT_INPUT;
	}
	if (run(v, argv[1], &c) >= 0)
		return STORE_EXIT_GOOD;
	(void)fprintf(stderr, "bailey: %s\n", e.msg);
	return store_exit(&e);
}
