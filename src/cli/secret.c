/* SPDX-License-Identifier: Apache-2.0 */
/* bailey secret: checks the words, and becomes bailey-keys, which alone sees secrets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "keys-program.h"
#include "keys/keys.h"
#include "named.h"
#include "sandbox.h"
#include "settings.h"

static const struct opt *options(void)
{
	static struct secret_options o;
	static struct opt table[SECRET_OPTIONS];

	secret_options(&o, table);
	return table;
}

const struct command_words secret_words_of = {
	.about =
		"Keeps secrets that a sandbox can use and never has: it sees a sentinel, and bailey puts the secret in its place, over TLS, in requests to the hosts that the secret is bound "
		"to. set keeps one, rotate changes its value and rm removes it, both in runs that live, too, ls lists them without their values. A value comes from stdin, a file, a variable or a command, never "
		"from the command line. Secrets are encrypted, and hidden in every sandbox.\n\n"
		"Services need nothing but a value: anthropic, openai, github (API and git over HTTPS), google, aws (the value is ID:SECRET, or ID:SECRET:TOKEN, or what 'aws configure "
		"export-credentials' prints), groq, mistral, xai, openrouter, npm, pypi. For any other, --host says where the secret goes, and one of --header, --query, --basic "
		"and --anywhere how.\n\n"
		"With --sandbox all of this is about the secrets of one sandbox that stays ('bailey create'): it alone has them, and 'bailey rm' removes them with it.",
	.options = options,
	.examples = { { "bailey secret ls", "what is kept" },
		      { "bailey secret ls --json", "for scripts" },
		      { "printenv GH_TOKEN | bailey secret set github", "keep a token of GitHub" },
		      { "bailey secret set own --host api.example.org --header X-Key --file key",
			"one of a service that bailey doesn't know" },
		      { "bailey secret rotate github --file token", "give it a new value" },
		      { "bailey secret set --sandbox box github --file token",
			"another token for one sandbox" } },
	.statuses = { { "0", "done" },
		      { "3", "there is no such sandbox or secret" },
		      { "2", "wrong options or value; there is such a secret already" },
		      { "125", "it could not be kept; nothing has changed" } },
};

/* "bailey-keys secret STATE" and the words as they came; the first but one may become "secret-later". */
static char **make_argv(char *const *argv, const char *state)
{
	size_t n = 0, i;
	char **v;

	while (argv[n])
		n++;
	v = calloc(n + 4, sizeof(*v));
	if (!v)
		return NULL;
	v[0] = (char *)(uintptr_t) "bailey-keys";
	v[1] = (char *)(uintptr_t) "secret";
	v[2] = (char *)(uintptr_t)state;
	for (i = 0; i < n; i++)
		v[3 + i] = argv[i];
	return v;
}

/* Whether --secret NAME is one of the words that it was made with: then its own takes the other's place at once. */
static bool is_named(const struct named_box *box, const char *name)
{
	static const char option[] = "--secret";
	const struct json_node *v;
	bool before = false;

	for (v = box->options->first; v; v = v->next) {
		if (strncmp(v->text, option, sizeof(option) - 1) == 0 &&
		    v->text[sizeof(option) - 1] == '=' &&
		    strcmp(v->text + sizeof(option), name) == 0)
			return true;
		if (before && strcmp(v->text, name) == 0)
			return true;
		before = strcmp(v->text, option) == 0;
	}
	return false;
}

/*
 * Where the secrets of the sandbox @word are: its own directory, which is removed with it. @ret_later: whether it runs, and gets a new one of the name @name at
 * its next start. Return: as named_get().
 */
static int find_own(const char *word, const char *name, char *state, bool *ret_later, struct err *e)
{
	struct named n = { .state = -1, .runtime = -1 };
	_cleanup_close_ int lock = -1;
	struct named_box box;
	bool new;
	char dir[64];
	int r = named_open(&n, e);

	if (r == 0)
		r = named_get(&n, word, &box, e);
	if (r == 0) {
		(void)snprintf(dir, sizeof(dir), "sandboxes/%s", box.id);
		/* one that lives has it; else the lock makes it, or gives back what a removal has left */
		lock = named_lock(&n, box.id, &new);
		if (lock < 0 && lock != -EWOULDBLOCK)
			r = err_sys(e, lock, "%s/%s", n.path, dir);
		else if (snprintf(state, LIMIT_PATH, "%s/%s", n.path, dir) >= LIMIT_PATH)
			r = err_set(e, ERR_SYSTEM, -ENAMETOOLONG,
				    "the path of the state is too long");
		*ret_later = name && lock == -EWOULDBLOCK && !is_named(&box, name);
	}
	named_done(&n);
	return r;
}

static int find_state(char *state, struct err *e)
{
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } };
	int r = sandbox_find_home(&s, e);

	if (r == 0 && settings_state_dir(s.home, state) < 0)
		r = err_set(e, ERR_USAGE, -ENOENT,
			    "there is no state directory: HOME and XDG_STATE_HOME say where it is");
	sandbox_done(&s);
	return r;
}

int secret_main(char **argv)
{
	struct opt table[SECRET_OPTIONS];
	char state[LIMIT_PATH] = "", **words = NULL, **names;
	_cleanup_close_ int fd = -1;
	struct secret_options o;
	struct err e = ERR_INIT;
	const char *word;
	bool later = false;
	int r = 0;

	/* a copy: the words are read anew by who obeys them */
	if (!(words = make_argv(argv, state)))
		r = sandbox_oom(&e);
	secret_options(&o, table);
	if (r == 0)
		r = secret_words(&o, table, argv, &word, &names, &e);
	secret_options_done(&o);
	if (r == 0)
		r = o.sandbox ? find_own(o.sandbox, names[0], state, &later, &e) :
				find_state(state, &e);
	if (r == 0 && later)
		words[1] = (char *)(uintptr_t) "secret-later";
	if (r == 0) {
		r = fd = keys_program_open(false, &e);
		if (r >= 0)
			r = keys_program_exec(fd, words, &e); /* it comes back only with an error */
	}
	free(words);
	return r < 0 ? cli_fail(&e) : r;
}
