/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bailey srt`, and bailey when it is called by the name srt. Messages and exit statuses are srt's, as far as there is one for the case: an error
 * of the front is "Error: …" and 1, before anything has run.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "srt.h"

/* What help and completion say; srt_words() reads the words themselves, and more than these. */
static const struct opt *options(void)
{
	static const char *settings, *control;
	static bool debug, version;
	static struct opt table[6];
	const struct opt rows[] = {
		OPT_STRING(
			"settings", &settings, NULL, "FILE",
			"Read srt's settings from FILE (-s); default: ~/.srt-settings.json",
			"A FILE that is named must exist. Without one, everything can be read, nothing written."),
		OPT_FLAG("debug", &debug, NULL, "Say what is made of settings and words (-d)",
			 "The lines begin with [SandboxDebug]. A variable SRT_DEBUG does the same."),
		OPT_STRING(
			"control-fd", &control, NULL, "N",
			"Read updates of the settings from the descriptor N",
			"Each line is a whole configuration. What changes while the command runs, for open connections, too, is its network "
			"lists, deniedResolvedAddresses, mitmProxy, awsPairs and sigv4. A bad line is reported and ignored."),
		OPT_FLAG("version", &version, NULL,
			 "Show the version of srt that this is like, and bailey's (-V)",
			 "For example " SRT_VERSION "+bailey." BAILEY_VERSION "."),
		OPT_END,
	};

	_Static_assert(ARRAY_SIZE(rows) <= ARRAY_SIZE(table), "make the table larger");
	memcpy(table, rows, sizeof(rows));
	return table;
}

const struct command_words srt_verb_words = {
	.about =
		"Does what srt (@anthropic-ai/sandbox-runtime) does: the same options, settings file, defaults and exit statuses. bailey does it, "
		"too, when it is called by the name srt.\n\n"
		"The words of the command are quoted one by one and given to bash; '-c LINE' gives it a line as it is. "
		"srt's options count anywhere before '--', so a command that has some is best put behind it. 'bailey srt proxy' is srt's proxy alone, for a host that runs the command elsewhere. "
		"bailey-srt(1) lists every difference.",
	.options = options,
	.examples = { { "bailey srt -c 'ls | wc -l'", "a line for the shell, with srt's settings" },
		      { "bailey srt -- ls -la", "words, each quoted" } },
	.statuses = { { "N", "the command's own" },
		      { "128+N", "signal N ended the command" },
		      { "1", "bad words or settings, or there is no sandbox; nothing ran" } },
};

static const char usage[] =
	"Usage: srt [options] [command] [command...]\n\n"
	"Run commands in a sandbox with network and filesystem restrictions\n\n"
	"Arguments:\n"
	"  command                      command to run in the sandbox\n\n"
	"Options:\n"
	"  -V, --version                output the version number\n"
	"  -d, --debug                  enable debug logging\n"
	"  -s, --settings <path>        path to config file (default:\n"
	"                               ~/.srt-settings.json)\n"
	"  -c <command>                 run command string directly (like sh -c), no\n"
	"                               escaping applied\n"
	"  --control-fd <fd>            read config updates from an inherited file\n"
	"                               descriptor >= 3 (JSON lines)\n"
	"  -h, --help                   display help for command\n\n"
	"This is bailey " BAILEY_VERSION " in the place of srt " SRT_VERSION
	"; man bailey-srt says what is different.\n";

static void say(const char *line)
{
	struct buf b = BUF_INIT(4ul * LIMIT_PATH);

	buf_puts(&b, line);
	buf_puts(&b, "\n");
	if (!b.failed)
		(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
}

void srt_debug(const struct srt *s, const char *fmt, ...)
{
	char line[1024] = "[SandboxDebug] ";
	size_t n = strlen(line);
	va_list ap;

	if (!s->debug)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	say(line);
}

void srt_say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap); /* cut where it is long */
	va_end(ap);
	say(line);
}

static void say_own(const char *line)
{
	struct buf b = BUF_INIT(4ul * LIMIT_PATH);

	buf_puts(&b, "bailey: ");
	buf_puts(&b, line);
	if (!b.failed)
		say(b.data);
	buf_done(&b);
}

int srt_fail(const struct err *e)
{
	struct buf b = BUF_INIT(4096);
	bool whole = strncmp(e->msg, "error: ", 7) == 0 || strncmp(e->msg, "Error: ", 7) == 0;

	if (!whole)
		buf_puts(&b, "Error: ");
	buf_quote(&b, e->msg);
	if (e->code == ERR_LAYER && e->where[0]) {
		buf_puts(&b, ". See: bailey doctor ");
		buf_quote(&b, e->where);
	}
	if (!b.failed)
		say(b.data);
	buf_done(&b);
	return 1;
}

/* Why nothing runs: falling back to the defaults would drop rules. */
static int refuse(const char *lost)
{
	char line[256];

	(void)snprintf(line, sizeof(line),
		       "Refusing to run with the built-in defaults, which would drop %s.", lost);
	say(line);
	return 1;
}

#define FILE_RULES "this file's rules (its denyRead, allowRead and credential entries included)"

static bool blank(const struct buf *b)
{
	return strspn(b->data, " \t\r\n\v\f") == b->len;
}

/* Read @path as it is named: links, pipes and descriptors of the caller are as good as files. Return: 0, -ENOENT, or negative errno with @e. */
static int read_settings(const char *path, struct buf *b, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : fd_read_all(fd, b);

	if (r == -EFBIG)
		return err_set(e, ERR_POLICY, r, "%.300s is longer than %u bytes.", path,
			       LIMIT_POLICY_FILE);
	if (r < 0)
		return err_set(e, ERR_POLICY, r, "%.300s could not be read (%s).", path,
			       strerror(-r));
	if (b->len == 0)
		buf_add(b, "", 0);
	return 0;
}

/* Fill s->settings. Return: 0; or the exit status, after what was wrong has been said. */
static int load(struct srt *s, const struct srt_words *w)
{
	bool named = w->settings && *w->settings;
	struct buf b = BUF_INIT(LIMIT_POLICY_FILE + 1);
	struct err e = ERR_INIT;
	int r;

	s->source.path =
		named ? w->settings :
			arena_printf(s->arena, "%s/.srt-settings.json", s->home ? s->home : "");
	if (!s->source.path) {
		(void)sandbox_oom(&e);
		return srt_fail(&e);
	}
	r = read_settings(s->source.path, &b, &e);
	if (r == -ENOENT && !named) {
		srt_debug(s, "No config found at %s, using default config", s->source.path);
		srt_settings_default(&s->settings);
		s->source.path = SRT_DEFAULTS;
		buf_done(&b);
		return 0;
	}
	if (r == -ENOENT)
		r = err_set(&e, ERR_POLICY, r, "%.300s does not exist.", s->source.path);
	else if (r == 0 && (!b.data || blank(&b)))
		r = err_set(&e, ERR_POLICY, -EINVAL,
			    "%.300s is empty. Delete it, or put a config in it.", s->source.path);
	else if (r == 0)
		r = srt_settings_read(&s->settings, s->source.path, b.data, b.len, s->arena, &e);
	buf_done(&b);
	if (r == 0)
		return 0;
	(void)srt_fail(&e);
	return refuse(r == -ENOENT ? "the rules --settings asked for" : FILE_RULES);
}

/* HOME, else the password file's, resolved. NULL: there is none. */
static const char *find_home(struct arena *a)
{
	const char *home = getenv("HOME");
	char norm[LIMIT_PATH], real[LIMIT_PATH];
	const struct passwd *pw;

	if (!home || home[0] != '/') {
		pw = getpwuid(geteuid());
		home = pw && pw->pw_dir ? pw->pw_dir : NULL;
	}
	if (!home || home[0] != '/' || path_normalize(home, "/", NULL, norm, NULL) < 0)
		return NULL;
	return arena_strdup(a, jail_host_resolve(norm, true, real) == 0 ? real : norm);
}

/* The first bash in PATH. */
static const char *find_shell(struct arena *a)
{
	const char *p = getenv("PATH"), *end;
	char path[LIMIT_PATH];
	struct stat st;

	for (; p; p = *end ? end + 1 : NULL) {
		end = p + strcspn(p, ":");
		if (*p == '/' &&
		    snprintf(path, sizeof(path), "%.*s/bash", (int)(end - p), p) <
			    (int)sizeof(path) &&
		    stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return arena_strdup(a, path);
	}
	return NULL;
}

/* The run itself, with everything known. Return: exit status. */
static int run(struct srt *s, char *const *argv, int control)
{
	struct srt_control c = { .fd = control, .line = BUF_INIT(LIMIT_POLICY_FILE + 1), .srt = s };
	struct sandbox_front front = { .lawless = s->settings.fs_disabled,
				       .live_sockets = s->settings.network.all_unix_sockets,
				       .watch = control,
				       .on_watch = srt_control_read,
				       .arg = &c };
	struct err e = ERR_INIT;
	int r;

	/* before anything is looked for: what an earlier run left is not there for this one */
	guard_say_heal(&(struct sandbox){ .home = s->home }, say_own);
	r = srt_masks(s, &e);
	front.env = r == 0 ? srt_env(s) : NULL;
	if (r == 0)
		r = front.env ? srt_policy(s, &e) : sandbox_oom(&e);
	if (r == 0)
		r = srt_network(s, &e);
	if (r == 0)
		r = srt_routes(s, &front, &e);
	if (r == 0)
		r = srt_tls(s, &front, &e);
	c.front = &front;
	s->options->front = &front;
	if (r == 0) {
		srt_masks_hide(s);
		r = run_to_end(s->options, argv, NULL, &e);
	}
	srt_masks_done(s);
	buf_done(&c.line);
	s->options->front = NULL;
	return r < 0 ? srt_fail(&e) : r;
}

/* The words after the options: a command for a shell. Return: 0 or negative errno with @e. */
static int make_command(struct srt *s, const struct srt_words *w, const char **ret, struct err *e)
{
	struct buf b = BUF_INIT(1u << 20);

	if (w->command && *w->command) {
		*ret = w->command;
		srt_debug(s, "Command string mode (-c): %s", *ret);
		return 0;
	}
	if (w->n_args == 0)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"Error: No command specified. Use -c <command> or provide command arguments.");
	srt_quote(&b, w->args);
	*ret = b.failed ? NULL : arena_strdup(s->arena, b.data);
	buf_done(&b);
	if (!*ret)
		return err_set(e, ERR_USAGE, -E2BIG, "the command is too long");
	srt_debug(s, "Original command: %s", *ret);
	return 0;
}

/* Before anything is opened: @w->control stays. Return: 0, or the exit status. */
static int keep_control(const struct srt_words *w)
{
	const struct srt_control c = { .fd = w->control };
	struct err e = ERR_INIT;
	int r;

	if (w->control >= 0) {
		r = srt_control_check(&c);
		if (r < 0) {
			(void)err_set(
				&e, ERR_USAGE, r,
				"--control-fd %d is not usable: %s. Refusing to run the command without the control channel it asks for.",
				w->control, strerror(-r));
			return srt_fail(&e);
		}
		(void)fcntl(w->control, F_SETFD, FD_CLOEXEC); /* it is open: that was asked */
	}
	return cli_close_inherited(w->control, &e) < 0 ? srt_fail(&e) : 0;
}

static const char *subcommand(const struct srt_words *w)
{
	static const char *const names[] = { "windows-install", "windows-uninstall", "proxy" };
	size_t i;

	for (i = 0; w->n_args && i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], w->args[0]) == 0)
			return names[i];
	}
	return NULL;
}

static int print(const char *text)
{
	struct buf b = BUF_INIT(8192);
	int r;

	buf_puts(&b, text);
	r = cli_print(&b);
	buf_done(&b);
	return r;
}

static int start(struct srt *s, const struct srt_words *w, struct err *e)
{
	char *argv[] = { NULL, (char *)(uintptr_t) "-c", NULL, NULL };
	const char *command = NULL, *shell;
	char cwd[LIMIT_PATH];
	int r = load(s, w);

	s->control = w->control >= 0;
	if (r == 0)
		r = keep_control(w);
	if (r > 0)
		return r;
	r = make_command(s, w, &command, e);
	if (r < 0)
		return r;
	shell = find_shell(s->arena);
	if (!shell)
		return err_set(e, ERR_USAGE, -ENOENT, "Shell 'bash' not found in PATH");
	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
		return err_set(e, ERR_USAGE, -ENOENT,
			       "the current directory has no path (was it removed?)");
	s->cwd = s->source.base = s->own.base = arena_strdup(s->arena, cwd);
	if (!s->cwd)
		return sandbox_oom(e);
	argv[0] = (char *)(uintptr_t)shell;
	argv[2] = (char *)(uintptr_t)command;
	return run(s, argv, w->control);
}

static int srt(char **argv, bool by_name)
{
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	const char *debug = getenv("SRT_DEBUG");
	struct opt table[SANDBOX_OPTIONS];
	struct sandbox_options o;
	struct srt s = { .arena = &a, .options = &o };
	struct err e = ERR_INIT;
	struct srt_words w;
	const char *sub;
	int r;

	sandbox_options(&o, table, ARRAY_SIZE(table));
	r = srt_words(&w, argv, &a, &e);
	sub = r == 0 ? subcommand(&w) : NULL;
	if (r == 0 && w.version) {
		r = print(SRT_VERSION "+bailey." BAILEY_VERSION "\n");
	} else if (r == 0 && w.help) {
		r = by_name ? print(usage) : help_verb(command_find("srt", &e));
	} else if (sub && strcmp(sub, "proxy") == 0) {
		r = srt_proxy(w.args + 1);
	} else if (sub) {
		r = err_set(&e, ERR_USAGE, -EINVAL, "'srt %s' is not in this release", sub);
	} else if (r == 0) {
		s.debug = w.debug || (debug && *debug);
		s.home = find_home(&a);
		s.source.layer = s.own.layer = POLICY_COMMAND;
		s.own.path = "srt's own rules";
		r = start(&s, &w, &e);
	}
	if (r < 0)
		r = srt_fail(&e);
	sandbox_options_done(&o);
	arena_done(&a);
	return r;
}

int srt_main(char **argv)
{
	return srt(argv, false);
}

int srt_named_main(char **argv)
{
	return srt(argv, true);
}
