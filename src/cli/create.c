/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "egress.h"
#include "events.h"
#include "kept-words.h"
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

/* What is said of the making, beside what it makes. */
struct create_options {
	bool replace;
	struct life_options life;
};

#define CREATE_ROWS 2

/* @table: CREATE_ROWS + LIFE_OPTIONS places. life_options_done() of what is in @o. */
static void fill(struct create_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("The sandbox"),
		OPT_FLAG(
			"replace", &o->replace, NULL,
			"Give the sandbox NAME, which is there, these options and workspaces",
			"They take the place of all that it had ('bailey inspect --command NAME' prints those); the sandbox must be stopped. Its ID, its home, what is in its volumes, its services, its logs, what "
			"'bailey network' has changed and the changes in its overlay workspaces stay. What would lose such changes is refused."),
	};

	_Static_assert(ARRAY_SIZE(rows) == CREATE_ROWS, "CREATE_ROWS is how many there are");
	o->replace = false;
	memcpy(table, rows, sizeof(rows));
	life_options(&o->life, table + CREATE_ROWS);
}

static const struct opt *options(void)
{
	static struct create_options o;
	static struct opt table[CREATE_ROWS + LIFE_OPTIONS];
	size_t i, n = 0;

	fill(&o, table);
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
			"it uses no processor when nobody uses it" },
		      { "bailey create --replace -p 8081:80 box ~/src",
			"other options for it; what is in it stays" } },
	.statuses = { { "0", "made; its ID is printed" },
		      { "3", "with --replace: there is none of that name" },
		      { "4",
			"there is one of that name; with --replace: it runs, or has changes in overlay workspaces that it would not have any more" },
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

/* The first words of a sandbox: variables of now. */
static int keep_variables(struct kept_words *w, struct err *e)
{
	static const struct opt row = { .name = "host-env" };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && environ[i]; i++) {
		if (is_kept(environ[i]))
			r = kept_words_add(w, &row, environ[i], e);
	}
	return r == 0 ? start_env_keep(w, e) : r;
}

static int keep_word(void *arg, const struct opt *o, const char *value, struct err *e)
{
	return strcmp(o->name, "replace") == 0 ? 0 : kept_words_add(arg, o, value, e);
}

/*
 * The words that describe the sandbox: variables, options, wherever they stand before "--", and workspaces. What is left in @argv is the name and the workspaces.
 * @ret_replace: of one that is there
 */
static int keep_words(struct kept_words *w, char **argv, bool *ret_replace, struct err *e)
{
	struct create_options o;
	struct opt table[CREATE_ROWS + LIFE_OPTIONS];
	size_t i = 0, n = 0, used = 0;
	bool dashes = false;
	int r = keep_variables(w, e);

	fill(&o, table);
	while (r == 0) {
		r = opt_each(table, argv + i, keep_word, w, &used, &dashes, e);
		if (r < 0)
			break;
		for (i += used; argv[i];) {
			argv[n++] = argv[i++];
			if (!dashes)
				break; /* the next word may be an option */
		}
		if (!argv[i])
			break;
	}
	*ret_replace = o.replace;
	life_options_done(&o.life);
	if (r < 0 && strstr(e->msg, "unknown option '--name"))
		(void)err_set(e, ERR_USAGE, r,
			      "the name is a word: bailey create [OPTIONS] NAME [WORKSPACE...]");
	if (r < 0)
		return r;
	argv[n] = NULL;
	for (i = 1; r == 0 && i < n; i++)
		r = kept_words_workspace(w, argv[i], e);
	return r;
}

/* Of that alone that lists show; what holds are the words. */
static void describe_life(struct json *j, const struct life_policy *p, long timeout_ms)
{
	const struct {
		const char *key;
		long ms; /* 0: never */
	} intervals[] = { { "timeout", timeout_ms },
			  { "freeze", p->freeze_ms },
			  { "stop", p->stop_ms } };
	size_t i;

	json_bool(j, "restart", p->restart != LIFE_RESTART_NO);
	for (i = 0; i < ARRAY_SIZE(intervals); i++) {
		if (intervals[i].ms)
			json_int(j, intervals[i].key, intervals[i].ms);
		else /* one that is there may have had it */
			json_str(j, intervals[i].key, NULL);
	}
}

/* @name: of a new one; @old: of one that is there, all else of which stays */
static void describe(struct buf *b, const char *name, const struct named_box *old,
		     char *const *words, const struct sandbox *s, const struct life_policy *life,
		     const char *cwd)
{
	struct json j = { .out = b };
	size_t i;

	json_open(&j, NULL, '{');
	if (old) {
		json_raw(&j, "generation", old->generation);
	} else {
		json_str(&j, "name", name);
		json_str(&j, "isolation", "process");
		json_str(&j, "template", "host");
	}
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

/* Could it be started as it is? @old: what is there of it, or NULL. @ret_moved: with its home in another place, which its words must say. Return: 0 or negative errno with @e. */
static int try_words(char *const *words, const struct named_box *old, struct sandbox *s,
		     struct life_policy *life, bool *ret_moved, struct err *e)
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
	o.sandbox.box = old ? old->id : NULL;
	o.sandbox.changes = old ? old->changes : NULL;
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
static int keep(struct named *n, const char *name, const struct stay *stay, const struct buf *what,
		struct err *e)
{
	char *const add[] = { (char *)(uintptr_t) "add", NULL };
	struct buf id = BUF_INIT(256);
	int r = volumes_need(n, stay, e);

	if (r == 0)
		r = named_store(n, add, what, &id, e);
	if (r == 0 && id.len > 1) {
		id.data[id.len - 1] = '\0'; /* it was a line */
		named_dir(n, id.data);
		events_add(n->state,
			   &(struct event){
				   .what = "created", .id = id.data, .name = name, .status = -1 });
		id.data[id.len - 1] = '\n';
		r = cli_print(&id);
	}
	buf_done(&id);
	return r;
}

/*
 * What is in its home belongs to the user that it had: as root, an id that follows from the words and from the owner of the first workspace. Whether it is that owner because a mount
 * can't be mapped is found by a start alone (sandbox_identify() with @owner), so this is no reason to refuse.
 */
static int check_home(const struct named *n, const struct named_box *old, const struct sandbox *s,
		      struct err *e)
{
	char path[64];
	struct stat st, workspace;

	(void)snprintf(path, sizeof(path), "sandboxes/%s/home", old->id);
	if (geteuid() != 0 || !s->stay->block ||
	    fstatat(n->state, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid == s->id.host_uid ||
	    stat(s->workspaces[0], &workspace) < 0 || st.st_uid == workspace.st_uid)
		return 0;
	return err_set(
		e, ERR_USAGE, -EBUSY,
		"the home of sandbox '%s' belongs to uid %u, and with these words its user would be uid %u of the host%s%s; use a first workspace of the same owner and the options that it had about its root (bailey inspect --command %s), or first: bailey reset %s, which empties the home",
		old->name, (unsigned int)st.st_uid, (unsigned int)s->id.host_uid,
		*s->stay->why ? ", without a root inside: " : "", s->stay->why, old->name,
		old->name);
}

/* Give it these words. What it has beside them must go with them. Return: as named_get(). */
static int replace(struct named *n, const struct named_box *old, struct sandbox *s,
		   const struct buf *what, struct err *e)
{
	struct buf id = BUF_INIT(256);
	_cleanup_close_ int lock = named_lock_stopped(n, old, e);
	const char *generation;
	int r = lock < 0 ? lock : check_home(n, old, s, e);

	if (r == 0)
		r = overlay_keeps(s, old, e);
	if (r == 0)
		r = volumes_need(n, s->stay, e);
	if (r == 0)
		r = named_set(n, old, what, &generation, e);
	if (r == -ESTALE)
		return err_set(e, ERR_USAGE, -EBUSY,
			       "sandbox '%s' was changed meanwhile by another command: try again",
			       old->name);
	if (r != 0)
		return r;
	named_changed(n, old->id);
	events_add(n->state,
		   &(struct event){
			   .what = "replaced", .id = old->id, .name = old->name, .status = -1 });
	buf_printf(&id, "%s\n", old->id);
	r = cli_print(&id);
	buf_done(&id);
	return r;
}

/* What it will not have, before anybody wonders. @old: as in try_words() */
static void say_user(const struct stay *stay, const struct named_box *old, bool moved)
{
	const char *before = old ? life_home(old->options) : NULL;
	struct buf b = BUF_INIT(4096);

	before = old && !before ? STAY_HOME : before;
	if (before && strcmp(before, stay->agent.home) != 0)
		buf_printf(&b,
			   "bailey: notice: its home is %s now, and was %s: paths in it change\n",
			   stay->agent.home, before);

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

/* Everything of `bailey create` that an end must free. */
struct create {
	struct named named;
	struct named_box box;
	const struct named_box *old; /* &box, of --replace; or NULL */
	struct stay stay;
	struct sandbox s;
	struct arena arena;
	struct kept_words words;
	struct life_policy life;
	struct buf what; /* for the store */
	bool moved;
	char soft[512]; /* a notice of soft limits */
};

/* What the words say, as the store has it. Return: as named_get(). */
static int make(struct create *c, char **argv, struct err *e)
{
	char cwd[LIMIT_PATH];
	const char *name;
	bool replaces = false;
	int r = 0;

	if (!getcwd(cwd, sizeof(cwd)))
		r = err_sys(e, -errno, "the current directory");
	c->words = (struct kept_words){ .arena = &c->arena, .cwd = cwd };
	if (r == 0)
		r = keep_words(&c->words, argv, &replaces, e);
	name = argv[0];
	if (r == 0 && !name)
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "there is no name: bailey create [OPTIONS] NAME [WORKSPACE...]");
	if (r == 0 && replaces) {
		r = named_open(&c->named, e);
		if (r == 0)
			r = named_get(&c->named, name, &c->box, e);
		c->old = &c->box;
		name = c->box.name;
	}
	if (r != 0)
		return r;
	stay_init(&c->stay, name, NULL,
		  c->old && c->old->ids ? (unsigned int)strtoul(c->old->ids, NULL, 10) : 0);
	r = try_words(c->words.v, c->old, &c->s, &c->life, &c->moved, e);
	if (r == 0)
		r = try_limits(&c->s, c->soft, sizeof(c->soft), e);
	/* as it is now, whatever else is shown there later */
	if (r == 0 && !c->words.workspace)
		r = kept_words_workspace(&c->words, ".", e);
	if (r == 0 && c->moved)
		r = kept_words_add(&c->words, &(struct opt){ .name = "home" }, c->stay.home, e);
	if (r == 0 && c->stay.balanced)
		r = kept_words_add(&c->words, &(struct opt){ .name = "preset" }, STAY_PRESET, e);
	if (r == 0)
		r = check_kept(c->words.v, cwd, e);
	if (r < 0)
		return r;
	describe(&c->what, name, c->old, c->words.v, &c->s, &c->life, cwd);
	if (!replaces)
		r = named_open(&c->named, e);
	return r < 0  ? r :
	       c->old ? replace(&c->named, c->old, &c->s, &c->what, e) :
			keep(&c->named, name, &c->stay, &c->what, e);
}

int create_main(char **argv)
{
	struct create c = { .named = { .state = -1, .runtime = -1 },
			    .s = { .arena = ARENA_INIT(LIMIT_ARENA), .id = { .lock = -1 } },
			    .arena = ARENA_INIT(LIMIT_SPAWN),
			    .what = BUF_INIT(LIMIT_SPAWN) };
	struct err e = ERR_INIT;
	int r;

	c.s.stay = &c.stay;
	r = make(&c, argv, &e);
	if (r == 0) {
		sandbox_say_notices(&c.s); /* what a start says is in a log */
		start_env_say();
		(void)fd_write_all(2, c.soft, strlen(c.soft)); /* a notice */
		say_user(&c.stay, c.old, c.moved);
	}
	sandbox_done(&c.s);
	buf_done(&c.what);
	named_done(&c.named);
	arena_done(&c.arena);
	return c.old && r == -EBUSY ? (cli_fail(&e), 4) : r < 0 ? cli_fail(&e) : r;
}
