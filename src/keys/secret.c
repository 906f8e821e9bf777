/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb `secret`. Values come in by descriptors, never as words; none is printed, by no message and no listing. The process can't be looked into by others of
 * the same user, leaves no core, and erases what it frees.
 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "erase.h"
#include "keys.h"
#include "policy/policy.h"
#include "store.h"

#define INPUT_MAX ((size_t)2 * SECRET_VALUE_MAX + 4096)

struct verb {
	struct secret_options o;
	struct store store;
	struct arena arena; /* erased */
	struct buf out;
	const char *state;
	bool later; /* what is new is there at the sandbox's next start */
};

static void harden(void)
{
	struct rlimit none = { 0, 0 };

	/* each is a layer of its own; without one the others stand */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	/* what is freed is overwritten: what the C library copies for itself, too */
	(void)mallopt(M_PERTURB, 0xa5);
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

/* --- where a value comes from ----------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped_by;

static void stop(int sig)
{
	stopped_by = sig;
}

/* A terminal that stays without echo is a nuisance: what ends us ends the reading first. */
static void catch_signals(struct sigaction old[3], bool on)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction a = { .sa_handler = stop }; /* without SA_RESTART: read() returns */
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], on ? &a : &old[i], on ? &old[i] : NULL);
}

static int read_terminal(int fd, const char *name, struct buf *b, struct err *e)
{
	struct termios as_it_was, quiet;
	struct sigaction old[3];
	char part[4096];
	ssize_t n;
	int error;

	if (tcgetattr(fd, &as_it_was) < 0)
		return err_sys(e, -errno, "terminal");
	quiet = as_it_was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	quiet.c_cc[VSUSP] = 0; /* stopped it would leave the terminal so */
	catch_signals(old, true);
	if (tcsetattr(fd, TCSAFLUSH, &quiet) < 0) {
		error = errno;
		catch_signals(old, false);
		return err_sys(e, -error, "terminal");
	}
	(void)dprintf(2, "value of %s: ", name); /* nobody is left to tell */
	n = stopped_by ? 0 : read(fd, part, sizeof(part));
	error = errno;
	(void)tcsetattr(fd, TCSAFLUSH, &as_it_was); /* it was possible before */
	(void)dprintf(2, "\n");
	catch_signals(old, false);
	if (n > 0)
		buf_add(b, part, (size_t)n);
	explicit_bzero(part, sizeof(part));
	if (stopped_by)
		(void)raise(stopped_by);
	return n < 0 ? err_sys(e, -error, "terminal") : 0;
}

static int read_fd(int fd, const char *what, struct buf *b, struct err *e)
{
	int r = fd_read_all(fd, b);

	erase_stack();
	if (r == -EFBIG)
		return err_set(e, ERR_USAGE, r, "%s: more than %u bytes", what, SECRET_VALUE_MAX);
	return r < 0 ? err_sys(e, r, "%s", what) : 0;
}

static int read_value_file(const char *path, struct buf *b, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char shown[512];

	(void)snprintf(shown, sizeof(shown), "--file '%.400s'", path);
	if (strcmp(path, "-") == 0)
		return read_fd(0, "stdin", b, e);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_set(e, ERR_USAGE, -errno, "%s: %s", shown, strerror(errno));
	return read_fd(fd, shown, b, e);
}

static int read_env(const char *name, struct buf *b, struct err *e)
{
	char *v = getenv(name);

	if (!v || !*v)
		return err_set(e, ERR_USAGE, -ENOENT, "--from-env %.80s: it is not set", name);
	buf_puts(b, v);
	/* what /proc/PID/environ would show from here on */
	explicit_bzero(v, strlen(v));
	return b->failed ? err_set(e, ERR_USAGE, -EFBIG, "--from-env %.80s: it is too long", name) :
			   0;
}

static int take_value(struct verb *v, struct secret *s, struct err *e)
{
	struct buf b = BUF_INIT(0);
	int r;

	if ((v->o.file != NULL) + (v->o.from_env != NULL) + (v->o.command != NULL) > 1)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "--file, --from-env, --command: the value comes from one of them");
	if (v->o.command) {
		s->command = v->o.command;
		return store_command(s, &v->arena, e);
	}
	s->command = NULL;
	if (!erase_buf_init(&b, INPUT_MAX))
		return no_memory(e);
	if (v->o.file)
		r = read_value_file(v->o.file, &b, e);
	else if (v->o.from_env)
		r = read_env(v->o.from_env, &b, e);
	else if (isatty(0))
		r = read_terminal(0, s->name, &b, e);
	else
		r = read_fd(0, "stdin", &b, e);
	if (r == 0)
		r = secret_set_value(s, b.data, b.len, false, now(), &v->arena, e);
	if (r == 0)
		s->changed = now();
	erase_buf_done(&b);
	return r < 0 ? err_wrap(e, r, "secret '%s'", s->name) : 0;
}

/* --- set -------------------------------------------------------------------------------------------------------------------------- */

/* The canonical form of a rule. */
static const char *canonical(const char *host, struct arena *a, struct err *e)
{
	struct net_rule rule;
	/* that it may not be a public suffix is said below: here no option lifts that */
	int r = net_rule_parse(&rule, host, true, false, true, POLICY_COMMAND, "--host", NULL, a,
			       e);

	if (r < 0) {
		(void)err_wrap(e, r, "--host"); /* NULL says it */
		return NULL;
	}
	if (rule.what == NET_RULE_SUBDOMAINS && net_public_suffix(rule.host)) {
		(void)err_set(
			e, ERR_USAGE, -EINVAL,
			"--host '%.100s': anybody can have a name below '%.100s' (it is a public suffix), and would get the secret; name the hosts",
			host, rule.host);
		return NULL;
	}
	if ((rule.what != NET_RULE_HOST && rule.what != NET_RULE_SUBDOMAINS) || rule.port) {
		(void)err_set(
			e, ERR_USAGE, -EINVAL,
			"--host '%.100s': a secret is bound to a name or *.NAME, without a port",
			host);
		return NULL;
	}
	return rule.what == NET_RULE_HOST ? rule.host : arena_printf(a, "*.%s", rule.host);
}

static int take_list(struct verb *v, const struct opt_list *from, const char *option, bool host,
		     struct secret_list *to, struct err *e)
{
	size_t i;

	if (from->n > SECRET_LIST_MAX)
		return err_set(e, ERR_USAGE, -E2BIG, "%s: more than %u", option, SECRET_LIST_MAX);
	for (i = 0; i < from->n; i++) {
		to->v[i] = host ? canonical(from->v[i].value, &v->arena, e) : from->v[i].value;
		if (!to->v[i])
			return e->code == ERR_NONE ? no_memory(e) : -EINVAL;
	}
	to->n = from->n;
	return 0;
}

static char *lower(struct arena *a, const char *s, size_t n)
{
	char *p = arena_printf(a, "%.*s", (int)n, s), *at;

	for (at = p; at && *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + 32);
	}
	return p;
}

/* NAME, or NAME: TEXT with {} */
static int take_header(struct verb *v, struct secret *s, struct err *e)
{
	const char *h = v->o.header, *colon = strchr(h, ':'), *text;

	s->field = lower(&v->arena, h, colon ? (size_t)(colon - h) : strlen(h));
	if (!s->field)
		return no_memory(e);
	for (text = colon ? colon + 1 : ""; *text == ' '; text++)
		;
	if (colon)
		s->format = text;
	else
		s->format = strcmp(s->field, "authorization") == 0 ? "Bearer {}" : "{}";
	return 0;
}

static int take_carrier(struct verb *v, struct secret *s, struct err *e)
{
	const struct secret_options *o = &v->o;
	int n = (o->header != NULL) + (o->query != NULL) + (o->basic != NULL) + o->anywhere;

	if (s->service) {
		s->carrier = secret_service(s->service)->ways[0].carrier;
		return n == 0 ?
			       0 :
			       err_set(e, ERR_USAGE, -EINVAL,
				       "the service %s says how it is used: without --header, --query, --basic, --anywhere",
				       s->service);
	}
	if (n != 1)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"say how it is used, by one of --header, --query, --basic, --anywhere; or for which service: --service");
	s->carrier = o->header ? SECRET_HEADER :
		     o->query  ? SECRET_QUERY :
		     o->basic  ? SECRET_BASIC :
				 SECRET_ANYWHERE;
	s->field = o->query ? o->query : o->basic;
	if (o->anywhere && o->variables.n == 0)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"--anywhere: the sandbox needs the sentinel in a variable: --env VAR");
	return o->header ? take_header(v, s, e) : 0;
}

static int take_service(const struct verb *v, struct secret *s, struct err *e)
{
	const char *name = v->o.service;
	struct nearest near = NEAREST_INIT(name ? name : s->name, strlen(name ? name : s->name));
	const struct secret_service *k;

	for (k = secret_services; k->name; k++)
		nearest_offer(&near, k->name);
	if (!name && (v->o.header || v->o.query || v->o.basic || v->o.anywhere))
		return 0;
	k = secret_service(name ? name : s->name);
	if (!k)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"'%.80s' is no service that is known%s%s%s; for any other: --host HOST --header NAME (or --query, --basic, --anywhere)",
			name ? name : s->name, near.best ? " (did you mean " : "",
			near.best ? near.best : "", near.best ? "?)" : "");
	s->service = k->name;
	return 0;
}

static int describe(struct verb *v, struct secret *s, struct err *e)
{
	int r = secret_name_check(s->name, e);

	if (r == 0)
		r = take_service(v, s, e);
	if (r == 0)
		r = take_carrier(v, s, e);
	if (r == 0)
		r = take_list(v, &v->o.hosts, "--host", true, &s->hosts, e);
	if (r == 0)
		r = take_list(v, &v->o.variables, "--env", false, &s->variables, e);
	if (r == 0)
		r = take_list(v, &v->o.regions, "--region", false, &s->regions, e);
	if (r == 0)
		r = take_list(v, &v->o.aws, "--aws-service", false, &s->aws, e);
	if (r == 0) {
		/* all but the value is checked before anybody is asked for it */
		s->command = "true";
		r = secret_check(s, e);
		s->command = NULL;
	}
	return r;
}

static int key_kind(const struct verb *v, enum store_key *ret, struct err *e)
{
	*ret = STORE_KEY_ANY;
	if (!v->o.key)
		return 0;
	if (strcmp(v->o.key, "file") == 0)
		*ret = STORE_KEY_FILE;
	else if (strcmp(v->o.key, "keyring") == 0)
		*ret = STORE_KEY_RING;
	else
		return err_set(e, ERR_USAGE, -EINVAL, "--key '%.40s': expected file or keyring",
			       v->o.key);
	return 0;
}

static void say_list(struct buf *b, const struct secret_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		buf_printf(b, "%s%s", i ? ", " : "", l->v[i]);
}

static void say_kept(struct verb *v, const char *did, const struct secret *s)
{
	struct secret_list hosts = secret_hosts(s), variables = secret_variables(s);

	buf_printf(&v->out, "%s %s", did, s->name);
	if (v->o.sandbox)
		buf_printf(&v->out, " of sandbox %s", v->o.sandbox);
	buf_puts(&v->out, ", for ");
	say_list(&v->out, &hosts);
	if (variables.n) {
		buf_puts(&v->out, "; in a sandbox: ");
		say_list(&v->out, &variables);
	}
	buf_puts(&v->out, "\n");
}

static int is_there(const char *name, struct err *e)
{
	return err_set(
		e, ERR_USAGE, -EEXIST,
		"there is a secret '%s' already: bailey secret rotate %s changes its value, --replace all of it",
		name, name);
}

static int set(struct verb *v, char **names, struct err *e)
{
	struct secret s = { .name = names[0] };
	enum store_key key;
	bool new;
	int r;

	if (!names[0])
		return err_set(e, ERR_USAGE, -EINVAL, "say which: bailey secret set NAME");
	if (names[1])
		return err_set(
			e, ERR_USAGE, -E2BIG,
			"one word too many behind '%.80s': a value is never given as a word, which others could read; it comes from stdin, --file, --from-env or --command",
			names[0]);
	r = key_kind(v, &key, e);
	if (r == 0)
		r = describe(v, &s, e);
	if (r < 0)
		return r;
	r = store_open(&v->store, v->state, false, e);
	if (r == 0 && store_has(&v->store, s.name) && !v->o.replace)
		r = is_there(s.name, e);
	store_done(&v->store);
	if (r < 0 && r != -ENOENT)
		return r;
	/* the lock isn't held while somebody types */
	r = take_value(v, &s, e);
	if (r == 0)
		r = store_open(&v->store, v->state, true, e);
	if (r == 0 && store_has(&v->store, s.name) && !v->o.replace)
		r = is_there(s.name, e);
	s.created = s.changed = now();
	new = r == 0 && !store_has(&v->store, s.name);
	if (r == 0)
		r = store_write(&v->store, &s, key, e);
	if (r == 0)
		say_kept(v, "kept", &s);
	if (r == 0 && new && v->later && v->o.sandbox)
		buf_printf(&v->out,
			   "sandbox %s runs: it has it from its next start on: bailey stop %s\n",
			   v->o.sandbox, v->o.sandbox);
	return r;
}

/* --- rotate, rm, ls --------------------------------------------------------------------------------------------------------------- */

/* Options that are only for set. */
static int only_value(const struct verb *v, const char *word, struct err *e)
{
	const struct secret_options *o = &v->o;
	bool source = o->file || o->from_env || o->command;

	if (o->service || o->header || o->query || o->basic || o->key || o->anywhere ||
	    o->replace || o->hosts.n + o->variables.n + o->regions.n + o->aws.n > 0 ||
	    (source && strcmp(word, "rotate") != 0))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "%s: one of its options is for bailey secret set alone", word);
	return 0;
}

static int no_such(const struct verb *v, const char *name, struct err *e)
{
	if (v->o.sandbox)
		return err_set(
			e, ERR_ABSENT, -ENOENT,
			"sandbox '%.80s' has no secret '%.80s' of its own (bailey secret ls --sandbox %.80s)",
			v->o.sandbox, name, v->o.sandbox);
	return err_set(e, ERR_ABSENT, -ENOENT, "there is no secret '%.80s' (bailey secret ls)",
		       name);
}

static int rotate(struct verb *v, char **names, struct err *e)
{
	struct secret s = { .name = NULL }, again;
	struct arena other = ARENA_INIT(0);
	struct err ignored = ERR_INIT;
	int r;

	if (!names[0] || names[1])
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"say which, and nothing else: bailey secret rotate NAME; the value comes from stdin, --file, --from-env or --command");
	r = store_open(&v->store, v->state, false, e);
	if (r == -ENOENT || (r == 0 && secret_name_check(names[0], &ignored) == 0 &&
			     !store_has(&v->store, names[0])))
		return no_such(v, names[0], e);
	if (r == 0)
		r = store_read(&v->store, names[0], &v->arena, &s, e);
	store_done(&v->store);
	if (r < 0)
		return r;
	if (s.command && !v->o.file && !v->o.from_env && !v->o.command)
		r = store_command(&s, &v->arena, e);
	else
		r = take_value(v, &s, e);
	if (r == 0)
		r = store_open(&v->store, v->state, true, e);
	if (r == -ENOENT || (r == 0 && !store_has(&v->store, s.name)))
		return no_such(v, names[0], e);
	/* it may have been replaced meanwhile: what it is for is what stands there now */
	if (r == 0 && !erase_arena_init(&other, SECRET_MEMORY))
		r = no_memory(e);
	if (r == 0)
		r = store_read(&v->store, names[0], &other, &again, e);
	if (r == 0 && (again.carrier == SECRET_AWS) != (s.carrier == SECRET_AWS))
		r = err_set(e, ERR_POLICY, -EAGAIN, "secret '%s' was replaced meanwhile", s.name);
	if (r == 0) {
		again.value = s.value;
		again.id = s.id;
		again.token = s.token;
		again.command = s.command;
		again.expires = s.expires;
		again.changed = now();
		r = store_write(&v->store, &again, STORE_KEY_ANY, e);
	}
	if (r == 0)
		say_kept(v, "rotated", &again);
	erase_arena_done(&other);
	return r;
}

static int rm(struct verb *v, char **names, struct err *e)
{
	char **n;
	int r;

	if (!names[0])
		return err_set(e, ERR_USAGE, -EINVAL, "say which: bailey secret rm NAME...");
	for (n = names; *n; n++) {
		r = secret_name_check(*n, e);
		if (r < 0)
			return r;
	}
	r = store_open(&v->store, v->state, false, e);
	store_done(&v->store);
	if (r == -ENOENT)
		return no_such(v, names[0], e);
	if (r == 0)
		r = store_open(&v->store, v->state, true, e);
	for (n = names; r == 0 && *n; n++) { /* all are known before one is touched */
		if (!store_has(&v->store, *n))
			r = no_such(v, *n, e);
	}
	for (n = names; r == 0 && *n; n++) {
		r = store_remove(&v->store, *n, e);
		if (r == 0)
			buf_printf(&v->out, "removed %s\n", *n);
	}
	return r;
}

static void say_time(struct buf *b, int64_t t)
{
	char text[32] = "-";
	time_t at = (time_t)t;
	struct tm tm;

	if (t > 0 && gmtime_r(&at, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_puts(b, text);
}

static void json_list(struct json *j, const char *key, const struct secret_list *l)
{
	size_t i;

	json_open(j, key, '[');
	for (i = 0; i < l->n; i++)
		json_str(j, NULL, l->v[i]);
	json_close(j, ']');
}

static void json_time(struct json *j, const char *key, int64_t t)
{
	struct buf b = BUF_INIT(64);

	say_time(&b, t);
	json_str(j, key, t > 0 ? b.data : NULL);
	buf_done(&b);
}

/* @s: NULL when it can't be read. */
static void list_json(struct json *j, const char *name, const char *sandbox, const char *state,
		      const struct secret *s)
{
	struct secret_list none = { .n = 0 };
	struct secret_list hosts = s ? secret_hosts(s) : none,
			   variables = s ? secret_variables(s) : none;

	json_open(j, NULL, '{');
	json_str(j, "name", name);
	json_str(j, "sandbox", sandbox);
	json_str(j, "state", state);
	json_str(j, "service", s ? s->service : NULL);
	json_str(j, "carrier", s && !s->service ? secret_carrier_name(s->carrier) : NULL);
	json_str(j, "field", s ? s->field : NULL);
	json_list(j, "hosts", &hosts);
	json_list(j, "variables", &variables);
	json_str(j, "source", !s ? NULL : s->command ? "command" : "value");
	json_time(j, "expires", s ? s->expires : 0);
	json_time(j, "created", s ? s->created : 0);
	json_time(j, "changed", s ? s->changed : 0);
	json_close(j, '}');
}

static void list_line(struct buf *b, const char *name, const char *state, const struct secret *s)
{
	struct secret_list hosts;

	buf_printf(b, "%s: %s", name, state);
	if (s) {
		hosts = secret_hosts(s);
		buf_printf(b, ", %s%s, ", s->service ? s->service : secret_carrier_name(s->carrier),
			   s->command ? " by a command" : "");
		say_list(b, &hosts);
		buf_puts(b, ", changed ");
		say_time(b, s->changed);
		if (s->expires) {
			buf_puts(b, ", expires ");
			say_time(b, s->expires);
		}
	}
	buf_puts(b, "\n");
}

static int list_one(struct verb *v, struct json *j, const char *name, struct err *e)
{
	struct arena a = ARENA_INIT(0);
	struct err why = ERR_INIT;
	const char *state = "ready";
	struct secret s;
	int r;

	if (!erase_arena_init(&a, SECRET_MEMORY))
		return no_memory(e);
	r = store_read(&v->store, name, &a, &s, &why);
	if (r < 0)
		state = "unreadable";
	else if (s.expires && s.expires <= now())
		state = "expired";
	if (r != -ENOENT && v->o.json)
		list_json(j, name, v->o.sandbox, state, r == 0 ? &s : NULL);
	else if (r != -ENOENT)
		list_line(&v->out, name, state, r == 0 ? &s : NULL);
	erase_arena_done(&a);
	return 0;
}

static int ls(struct verb *v, char **names, struct err *e)
{
	struct json j = { .out = &v->out };
	const char **all = NULL;
	int r, i, n = 0;

	if (names[0])
		return err_set(e, ERR_USAGE, -EINVAL, "ls takes no name");
	r = store_open(&v->store, v->state, false, e);
	if (r == 0)
		n = store_list(&v->store, &v->arena, &all, e);
	if ((r < 0 && r != -ENOENT) || n < 0)
		return n < 0 ? n : r;
	if (v->o.json)
		json_open(&j, NULL, '[');
	for (r = 0, i = 0; r == 0 && i < n; i++)
		r = list_one(v, &j, all[i], e);
	if (v->o.json) {
		json_close(&j, ']');
		buf_puts(&v->out, "\n");
	}
	return r;
}

/* --- main ------------------------------------------------------------------------------------------------------------------------- */

static int fail(const struct err *e)
{
	struct buf b = BUF_INIT(4096);

	buf_puts(&b, "bailey: ");
	buf_quote(&b, e->msg);
	buf_puts(&b, "\n");
	(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
	return err_exit_code(e);
}

static int obey(struct verb *v, const char *word, char **names, struct err *e)
{
	int r = 0;

	if (strcmp(word, "set") != 0)
		r = only_value(v, word, e);
	if (r == 0 && v->o.json && strcmp(word, "ls") != 0)
		r = err_set(e, ERR_USAGE, -EINVAL, "--json is for ls");
	if (r < 0)
		return r;
	return strcmp(word, "set") == 0    ? set(v, names, e) :
	       strcmp(word, "rotate") == 0 ? rotate(v, names, e) :
	       strcmp(word, "rm") == 0     ? rm(v, names, e) :
					     ls(v, names, e);
}

int secret_verb(char **argv, bool later)
{
	struct verb v = { .store = STORE_INIT, .out = BUF_INIT(LIMIT_OUTPUT), .later = later };
	struct opt table[SECRET_OPTIONS];
	struct err e = ERR_INIT;
	const char *word = NULL;
	char **names = NULL;
	int r = 0;

	harden();
	secret_options(&v.o, table);
	v.state = argv[0];
	if (!v.state || v.state[0] != '/')
		r = err_set(&e, ERR_USAGE, -EINVAL, "this program is for bailey: bailey secret");
	if (r == 0 && !erase_arena_init(&v.arena, 2 * SECRET_MEMORY))
		r = no_memory(&e);
	if (r == 0)
		r = secret_words(&v.o, table, argv + 1, &word, &names, &e);
	if (r == 0)
		r = obey(&v, word, names, &e);
	store_done(&v.store);
	erase_arena_done(&v.arena);
	erase_stack();
	if (v.out.len && fd_write_all(1, v.out.data, v.out.len) < 0 && r == 0)
		r = err_sys(&e, -EIO, "stdout");
	buf_done(&v.out);
	secret_options_done(&v.o);
	return r < 0 ? fail(&e) : 0;
}
