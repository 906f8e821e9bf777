/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "egress.h"
#include "events.h"
#include "life-options.h"
#include "named.h"
#include "own-secrets.h"
#include "start-env.h"
#include "stay.h"
#include "volumes.h"

/* What says something about one command, not about a sandbox. */
static const char *const of_a_run[] = { "explain", "dry-run", "tty",   "no-tty",
					"ask",     "report",  "audit", "report-json" };

static bool is_of_a_run(const struct opt *row)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(of_a_run) && strcmp(of_a_run[i], row->name) != 0; i++)
		;
	return i < ARRAY_SIZE(of_a_run);
}

static const struct opt *options(void)
{
	static struct life_options o;
	static struct opt table[LIFE_OPTIONS];
	size_t i, n = 0;

	life_options(&o, table);
	for (i = 0; table[i].type != OPT_TYPE_END; i++) {
		if (!is_of_a_run(&table[i]))
			table[n++] = table[i];
	}
	table[n] = table[i];
	return table;
}

const struct command_words create_words = {
	.about =
		"Makes a sandbox that stays, and starts nothing yet: 'bailey exec NAME' does. The options are those of 'bailey run', which hold for every command in it, and those of its life. "
		"Where neither they nor a policy file say anything that opens or closes its network, --preset balanced is one of them: hosts of package managers, git and toolchains. "
		"The workspace is the current directory, unless others are named. Policy files are read anew at each start.\n\n"
		"With ':overlay' behind a WORKSPACE the commands write a copy, which stays with the sandbox: 'bailey diff NAME' shows what they have changed, and once it is stopped "
		"'bailey apply NAME' takes that over, or 'bailey discard NAME' throws it away.",
	.options = options,
	.examples = { { "bailey create box", "the current directory is its workspace" },
		      { "bailey create --allow-host registry.example.org box ~/src ~/lib:ro",
			"two workspaces, and one host" },
		      { "bailey create box .:overlay",
			"its commands write a copy, to be reviewed" },
		      { "bailey create --cache npm,pip box",
			"what npm and pip download is there for other sandboxes, too" },
		      { "bailey create --idle-freeze 10m --idle-stop 8h --restart always box",
			"it uses no processor when nobody uses it" } },
	.statuses = { { "0", "made; its ID is printed" },
		      { "4", "there is one of that name" },
		      { "125", "it could not be built here; one line says why" },
		      { "2", "wrong options, name or policy; nothing was made" } },
};

static bool is_utf8(const char *s)
{
	size_t n;

	for (; *s; s += n) {
		n = (unsigned char)*s < 0x80 ? 1 : buf_utf8_len((const unsigned char *)s);
		if (n == 0)
			return false;
	}
	return true;
}

static int check_given(const struct sandbox_options *o, struct err *e)
{
	/* in the order of of_a_run */
	const bool given[] = { o->explain != NULL, o->dry_run,       o->tty, o->no_tty, o->ask,
			       o->report != NULL,  o->audit != NULL, o->json };
	size_t i;

	_Static_assert(ARRAY_SIZE(given) == ARRAY_SIZE(of_a_run), "each has its name");
	for (i = 0; i < ARRAY_SIZE(given); i++) {
		if (given[i])
			return err_set(e, ERR_USAGE, -EINVAL,
				       "--%s is for one command: 'bailey run' has it", of_a_run[i]);
	}
	return 0;
}

/* What is no secret, and can be kept. */
static bool is_kept(const char *entry)
{
	char name[64];
	const size_t n = strcspn(entry, "=");

	(void)snprintf(name, sizeof(name), "%.*s", (int)n, entry);
	return n < sizeof(name) && stay_keeps(entry) && is_utf8(entry) &&
	       strlen(entry) < LIMIT_PATH && !policy_env_secret(name, strchr(entry, '=') + 1);
}

/* The first words of a sandbox, variables of now, and room for @more, and for a home and a preset that are found. @ret_n: how many. Return: an array, or NULL. */
static char **keep_variables(struct arena *a, size_t more, size_t *ret_n)
{
	size_t i, k = 0, vars = 0;
	char **v;

	while (environ[vars])
		vars++;
	v = arena_alloc(a, (vars + START_ENV_WORDS + more + 4) * sizeof(*v));
	for (i = 0; v && i < vars; i++) {
		if (!is_kept(environ[i]))
			continue;
		v[k] = arena_printf(a, "--host-env=%s", environ[i]);
		v = v[k++] ? v : NULL;
	}
	if (v && !start_env_keep(a, v, &k))
		v = NULL;
	*ret_n = k;
	return v;
}

/*
 * The words that describe the sandbox: variables, options as they were written, wherever they stand before "--", and each workspace as one. What is left in @argv is the
 * name and the workspaces.
 */
static int keep_words(struct arena *a, char **argv, char ***ret, struct err *e)
{
	struct life_options o;
	struct opt table[LIFE_OPTIONS];
	size_t i = 0, k = 0, n = 0, used = 0;
	bool dashes = false;
	char **v;
	int r = 0;

	while (argv[n])
		n++;
	v = keep_variables(a, n, &k);
	life_options(&o, table);
	for (n = 0; v && r == 0;) {
		r = opt_parse(table, argv + i, &used, &dashes, e);
		for (; r == 0 && used > dashes; used--)
			v[k++] = argv[i++];
		i += r == 0 && dashes;
		if (r < 0 || !argv[i])
			break;
		do {
			argv[n++] = argv[i++];
		} while (dashes && argv[i]);
		if (!argv[i])
			break;
	}
	life_options_done(&o);
	if (r < 0 && strstr(e->msg, "unknown option '--name"))
		(void)err_set(e, ERR_USAGE, r,
			      "the name is a word: bailey create [OPTIONS] NAME [WORKSPACE...]");
	if (r < 0)
		return r;
	argv[n] = NULL;
	for (i = 1; v && i < n; i++) {
		v[k] = arena_printf(a, "--workspace=%s", argv[i]);
		v = v[k++] ? v : NULL;
	}
	if (!v)
		return sandbox_oom(e);
	*ret = v;
	return 0;
}

/* Of that alone that lists show; what holds are the words. */
static void describe_life(struct json *j, const struct life_policy *p, long timeout_ms)
{
	json_bool(j, "restart", p->restart != LIFE_RESTART_NO);
	if (timeout_ms)
		json_int(j, "timeout", timeout_ms);
	if (p->freeze_ms)
		json_int(j, "freeze", p->freeze_ms);
	if (p->stop_ms)
		json_int(j, "stop", p->stop_ms);
}

static void describe(struct buf *b, const char *name, char *const *words, const struct sandbox *s,
		     const struct life_policy *life, const char *cwd)
{
	struct json j = { .out = b };
	size_t i;

	json_open(&j, NULL, '{');
	json_str(&j, "name", name);
	json_str(&j, "isolation", "process");
	json_str(&j, "template", "host");
	json_str(&j, "cwd", cwd);
	json_open(&j, "options", '[');
	for (i = 0; words[i]; i++)
		json_str(&j, NULL, words[i]);
	json_close(&j, ']');
	json_open(&j, "workspaces", '[');
	for (i = 0; i < s->n_workspaces; i++)
		json_str(&j, NULL, s->workspaces[i]);
	json_close(&j, ']');
	json_open(&j, "volumes", '[');
	for (i = 0; i < s->stay->n_volumes; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "volume", s->stay->volumes[i].name);
		json_str(&j, "path", s->stay->volumes[i].path);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	describe_life(&j, life, s->timeout_ms);
	json_close(&j, '}');
}

/* What could not be kept. */
static int check_kept(char *const *words, const char *cwd, struct err *e)
{
	size_t i;

	if (!is_utf8(cwd))
		return err_set(e, ERR_USAGE, -EILSEQ,
			       "the current directory's name is not UTF-8, and can't be kept");
	for (i = 0; words[i]; i++) {
		if (!is_utf8(words[i]))
			return err_set(e, ERR_USAGE, -EILSEQ,
				       "'%.100s' is not UTF-8, and can't be kept", words[i]);
	}
	return 0;
}

/* What holds its limits is found by trying, as a start does. @ret: a line about those that are soft, or "" */
static int try_limits(struct sandbox *s, char *ret, size_t size, struct err *e)
{
	int r = 0;

	*ret = '\0';
	if (jail_limits_any(&s->limits)) {
		r = jail_limits_begin(&s->limits, 0, s->allow_degraded, &(unsigned int){ 0 }, e);
		limits_notice(&s->limits, ret, size);
		jail_limits_end(&s->limits, NULL);
	}
	return r;
}

/* Could it be started as it is? @ret_moved: with its home in another place, which its words must say. Return: 0 or negative errno with @e. */
static int try_words(char *const *words, struct sandbox *s, struct life_policy *life,
		     bool *ret_moved, struct err *e)
{
	struct life_options o;
	struct opt table[LIFE_OPTIONS];
	bool dashes;
	size_t rest;
	int r;

	life_options(&o, table);
	r = opt_parse(table, words, &rest, &dashes, e);
	if (r == 0)
		r = check_given(&o.sandbox, e);
	if (r == 0)
		r = life_policy(&o, life, e);
	s->stay->given = &o.volumes;
	s->stay->home = o.home;
	s->stay->host_env = &o.host_env;
	s->stay->created = true;
	if (r == 0)
		r = sandbox_make(s, &o.sandbox, e);
	*ret_moved = r == 0 && s->stay->home != o.home;
	if (r == 0)
		r = overlay_check(s, e);
	if (r == 0)
		r = egress_check(s, e);
	if (r == 0)
		own_secrets_say_missing(s, s->stay->name);
	s->stay->given = s->stay->host_env = NULL;
	life_options_done(&o);
	return r;
}

/* Keep it. The directory is only made before it is needed. Return: as named_get(). */
static int keep(const char *name, const struct stay *stay, const struct buf *what, struct err *e)
{
	char *const add[] = { (char *)(uintptr_t) "add", NULL };
	struct named n = { .state = -1, .runtime = -1 };
	struct buf id = BUF_INIT(256);
	int r = named_open(&n, e);

	if (r == 0)
		r = volumes_need(&n, stay, e);
	if (r == 0)
		r = named_store(&n, add, what, &id, e);
	if (r == 0 && id.len > 1) {
		id.data[id.len - 1] = '\0'; /* it was a line */
		named_dir(&n, id.data);
		events_add(n.state,
			   &(struct event){
				   .what = "created", .id = id.data, .name = name, .status = -1 });
		id.data[id.len - 1] = '\n';
		r = cli_print(&id);
	}
	named_done(&n);
	buf_done(&id);
	return r;
}

/* What it will not have, before anybody wonders. */
static void say_user(const struct stay *stay, bool moved)
{
	struct buf b = BUF_INIT(4096);

	if (*stay->why)
		buf_printf(&b, "bailey: notice: no root inside, and so no sudo: %s\n", stay->why);
	if (moved)
		buf_printf(
			&b,
			"bailey: notice: its home is %s: nothing can be shown below /home, where other file systems are mounted. "
			"To have it there: mkdir -p /home/%s as root, and create it again\n",
			stay->home, stay->agent.name);
	if (b.len && !b.failed)
		(void)fd_write_all(2, b.data, b.len); /* a notice */
	buf_done(&b);
}

int create_main(char **argv)
{
	struct stay stay;
	struct sandbox s = { .arena = ARENA_INIT(LIMIT_ARENA),
			     .id = { .lock = -1 },
			     .stay = &stay };
	struct arena arena = ARENA_INIT(LIMIT_SPAWN);
	struct life_policy life;
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	struct err e = ERR_INIT;
	char cwd[LIMIT_PATH], **words = NULL;
	char soft[512] = "";
	bool moved = false;
	size_t n = 0;
	int r = keep_words(&arena, argv, &words, &e);

	if (r == 0 && !argv[0])
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "there is no name: bailey create [OPTIONS] NAME [WORKSPACE...]");
	if (r == 0 && !getcwd(cwd, sizeof(cwd)))
		r = err_sys(&e, -errno, "the current directory");
	stay_init(&stay, r == 0 ? argv[0] : "", NULL, 0);
	if (r == 0)
		r = try_words(words, &s, &life, &moved, &e);
	if (r == 0)
		r = try_limits(&s, soft, sizeof(soft), &e);
	while (r == 0 && words[n])
		n++;
	if (r == 0 && moved && !(words[n++] = arena_printf(&arena, "--home=%s", stay.home)))
		r = sandbox_oom(&e);
	if (r == 0 && stay.balanced)
		words[n] = (char *)(uintptr_t) "--preset=" STAY_PRESET;
	if (r == 0)
		r = check_kept(words, cwd, &e);
	if (r == 0)
		describe(&b, argv[0], words, &s, &life, cwd);
	if (r == 0)
		r = keep(argv[0], &stay, &b, &e);
	if (r == 0) {
		sandbox_say_notices(&s); /* what a start says is in a log */
		start_env_say();
		(void)fd_write_all(2, soft, strlen(soft)); /* a notice */
		say_user(&stay, moved);
	}
	sandbox_done(&s);
	buf_done(&b);
	arena_done(&arena);
	return r < 0 ? cli_fail(&e) : r;
}
