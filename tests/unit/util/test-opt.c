/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <errno.h>

static bool flag;
static const char *string, *optional;
static struct opt_list list;

static const struct opt opts[] = {
	OPT_GROUP("Files"),
	OPT_LIST("allow-write", &list, NULL, "PATH", "Let the command write PATH", ""),
	OPT_LIST("hide", &list, NULL, "PATH", "Make PATH absent", ""),
	OPT_GROUP("Run"),
	OPT_STRING("timeout", &string, NULL, "DURATION", "End the run", ""),
	OPT_OPTIONAL("explain", &optional, NULL, "json", "Print the policy", ""),
	OPT_FLAG("dry-run", &flag, NULL, "Run nothing", ""),
	OPT_END,
};

static size_t rest;
static bool dashes;
static struct err e;

#define PARSE(...) \
	opt_parse(opts, (char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL }, &rest, &dashes, &e)
#define W(s) ((char *)(s))

TEST(nothing)
{
	CHECK(PARSE() == 0);
	CHECK(rest == 0 && !dashes);
}

TEST(options_among_operands)
{
	char *none[] = { NULL },
	     *mixed[] = { W("one"), W("--timeout"), W("5s"),     W("two"),   W("--dry-run"),
			  W("-"),   W("--"),        W("--hide"), W("three"), NULL },
	     *wrong[] = { W("one"), W("--nothing"), NULL };

	CHECK(opt_parse_all(opts, none, &e) == 0 && !none[0]);
	REQUIRE(opt_parse_all(opts, mixed, &e) == 0);
	CHECK(flag && list.n == 0);
	CHECK_STR(string, "5s");
	CHECK_STR(mixed[0], "one");
	CHECK_STR(mixed[1], "two");
	CHECK_STR(mixed[2], "-");
	CHECK_STR(mixed[3], "--hide"); /* behind "--" all are operands */
	CHECK_STR(mixed[4], "three");
	CHECK(!mixed[5]);
	CHECK(opt_parse_all(opts, wrong, &e) == -EINVAL && strstr(e.msg, "--nothing"));
}

static char heard[256];

static int hear(void *arg, const struct opt *o, const char *value, struct err *why)
{
	const size_t n = strlen(heard);

	CHECK(arg == heard);
	(void)snprintf(heard + n, sizeof(heard) - n, "%s=%s;", o->name, value ? value : "-");
	return value && strcmp(value, "no") == 0 ? err_set(why, ERR_USAGE, -EPERM, "no") : 0;
}

TEST(each_is_heard_of)
{
	char *words[] = { W("--hide"),    W("/a"),          W("--dry-run"),
			  W("--explain"), W("--explain=x"), W("--hide="),
			  W("one"),       W("--hide=/b"),   NULL },
	     *refused[] = { W("--hide=no"), W("--dry-run"), NULL },
	     *wrong[] = { W("--hide=/c"), W("--nothing"), NULL };

	REQUIRE(opt_each(opts, words, hear, heard, &rest, &dashes, &e) == 0);
	CHECK(rest == 6 && !dashes && flag && list.n == 2);
	CHECK_STR(heard, "hide=/a;dry-run=-;explain=-;explain=x;hide=;");
	flag = false;
	CHECK(opt_each(opts, refused, hear, heard, &rest, &dashes, &e) == -EPERM && !flag);
	*heard = '\0';
	CHECK(opt_each(opts, wrong, hear, heard, &rest, &dashes, &e) == -EINVAL);
	CHECK_STR(heard, "hide=/c;");
}

TEST(every_type)
{
	CHECK(PARSE(W("--hide"), W("/a"), W("--dry-run"), W("--timeout=5s"), W("--explain"),
		    W("--allow-write=/b"), W("--hide"), W("--odd"), W("--"), W("--hide")) == 0);
	CHECK(rest == 9 && dashes);
	CHECK(flag);
	CHECK_STR(string, "5s");
	CHECK_STR(optional, "");
	REQUIRE(list.n == 3);
	CHECK_STR(list.v[0].opt->name, "hide");
	CHECK_STR(list.v[0].value, "/a");
	CHECK_STR(list.v[1].opt->name, "allow-write");
	CHECK_STR(list.v[1].value, "/b");
	CHECK_STR(list.v[2].value, "--odd");
	opt_list_done(&list);
	CHECK(!list.v && list.n == 0);
}

TEST(values)
{
	CHECK(PARSE(W("--timeout="), W("--explain=json"), W("--timeout"), W("a=b")) == 0);
	CHECK_STR(string, "a=b"); /* the last one counts */
	CHECK_STR(optional, "json");
	CHECK(PARSE(W("--timeout=a=b")) == 0);
	CHECK_STR(string, "a=b");
	CHECK(PARSE(W("--explain"), W("json")) == 0);
	CHECK(rest == 1); /* an optional value is never the next word */
	CHECK_STR(optional, "");
	CHECK(PARSE(W("--timeout=")) == 0);
	CHECK_STR(string, "");
}

TEST(ends_at_the_first_word)
{
	CHECK(PARSE(W("--dry-run"), W("ls"), W("--hide")) == 0);
	CHECK(rest == 1 && !dashes);
	CHECK(PARSE(W("-"), W("--dry-run")) == 0);
	CHECK(rest == 0 && !dashes);
	CHECK(PARSE(W(""), W("--dry-run")) == 0);
	CHECK(rest == 0);
	CHECK(PARSE(W("--"), W("--nonsense")) == 0);
	CHECK(rest == 1 && dashes);
}

static void says(int r, const char *text)
{
	CHECK(r == -EINVAL);
	CHECK(e.code == ERR_USAGE);
	CHECK_STR(e.msg, text);
}

TEST(errors_name_option_and_value)
{
	rest = 77;
	says(PARSE(W("--dry-run=yes")), "--dry-run takes no value; leave '=yes' out");
	says(PARSE(W("--timeout")), "--timeout needs a value: --timeout DURATION");
	says(PARSE(W("--hide")), "--hide needs a value: --hide PATH");
	says(PARSE(W("-x")),
	     "unknown option '-x'; options are long (--name), and --help lists them");
	says(PARSE(W("--completely-different")),
	     "unknown option '--completely-different'; --help lists the options");
	says(PARSE(W("--=x")), "unknown option '--=x'; --help lists the options");
	CHECK(PARSE(W("--Files")) == -EINVAL); /* a group is no option */
	CHECK(rest == 77);                     /* outputs are written on success only */
}

TEST(suggestions)
{
	says(PARSE(W("--tiemout"), W("x")),
	     "unknown option '--tiemout'; did you mean '--timeout'?");
	says(PARSE(W("--hied"), W("x")), "unknown option '--hied'; did you mean '--hide'?");
	says(PARSE(W("--time-out"), W("x")),
	     "unknown option '--time-out'; did you mean '--timeout'?");
	says(PARSE(W("--dryrun")), "unknown option '--dryrun'; did you mean '--dry-run'?");
	says(PARSE(W("--allow-writ")),
	     "unknown option '--allow-writ'; did you mean '--allow-write'?");
	says(PARSE(W("--allow-write-everything-everywhere-and-a-name-that-is-far-too-long")),
	     "unknown option '--allow-write-everything-everywhere-and-a-name-that-is-far-too-long'; --help lists the options");
}

TEST(suggestions_look_at_the_name_only)
{
	says(PARSE(W("--hied=/some/path")),
	     "unknown option '--hied=/some/path'; did you mean '--hide'?");
}

TEST(suggestions_resemble_the_word)
{
	says(PARSE(W("--x")), "unknown option '--x'; --help lists the options");
	says(PARSE(W("--foo")), "unknown option '--foo'; --help lists the options");
	says(PARSE(W("--Files")), "unknown option '--Files'; --help lists the options");
}

TEST(the_cap_of_a_list)
{
	size_t i;
	int r = 0;

	for (i = 0; i < LIMIT_RULES && r == 0; i++)
		r = PARSE(W("--hide=/x"));
	CHECK(r == 0 && list.n == LIMIT_RULES);
	CHECK(PARSE(W("--hide=/x")) == -E2BIG);
	CHECK(e.code == ERR_USAGE);
	CHECK(list.n == LIMIT_RULES);
	opt_list_done(&list);
}

TEST(a_forgotten_value_does_not_eat_the_dashes)
{
	says(PARSE(W("--hide"), W("--"), W("ls")), "--hide needs a value: --hide PATH");
	says(PARSE(W("--timeout"), W("--"), W("ls")),
	     "--timeout needs a value: --timeout DURATION");
	CHECK(PARSE(W("--timeout=--"), W("--"), W("ls")) == 0);
	CHECK(rest == 2 && dashes);
	CHECK_STR(string, "--");
}

TEST(help_is_asked_for_before_the_dashes_only)
{
	CHECK(PARSE(W("--help")) == -ECANCELED && e.code == ERR_HELP);
	CHECK(PARSE(W("--dry-run"), W("-h")) == -ECANCELED && e.code == ERR_HELP);
	CHECK(PARSE(W("--timeout"), W("--help")) == 0);
	CHECK_STR(string, "--help"); /* a value */
	CHECK(PARSE(W("--"), W("--help")) == 0);
	CHECK(PARSE(W("ls"), W("--help")) == 0);
	CHECK(PARSE(W("--help=x")) == -EINVAL);
}

TEST(help_lists_every_option_once)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);

	opt_help(opts, false, &b);
	CHECK_STR(b.data, "\nFiles\n"
			  "  --allow-write PATH         Let the command write PATH\n"
			  "  --hide PATH                Make PATH absent\n"
			  "\nRun\n"
			  "  --timeout DURATION         End the run\n"
			  "  --explain[=json]           Print the policy\n"
			  "  --dry-run                  Run nothing\n"
			  "  --help                     Show this help\n");
	buf_done(&b);
}

TEST(a_long_name_has_a_line_of_its_own)
{
	static const struct opt wide[] = {
		OPT_GROUP("One"),
		OPT_LIST("a-name-that-needs-space", &list, NULL, "VALUE", "It is long", ""),
		OPT_END,
	};
	struct buf b = BUF_INIT(LIMIT_OUTPUT);

	opt_help(wide, true, &b);
	CHECK_STR(b.data, "\n\033[1mOne\033[0m\n"
			  "  --a-name-that-needs-space VALUE\n"
			  "                             It is long\n"
			  "  --help                     Show this help\n");
	buf_done(&b);
}

TEST(letters)
{
	static bool in, tty;
	static const char *dir;
	static struct opt_list env;
	static const struct opt table[] = {
		OPT_FLAG("interactive", &in, NULL, "In", NULL, OPT_LETTER('i')),
		OPT_FLAG("tty", &tty, NULL, "Terminal", NULL, OPT_LETTER('t')),
		OPT_STRING("workdir", &dir, NULL, "DIR", "Where", NULL, OPT_LETTER('w')),
		OPT_LIST("env", &env, NULL, "NAME=VALUE", "Set", NULL, OPT_LETTER('e')),
		OPT_END,
	};
	char *const words[] = { W("-it"), W("-e"),    W("A=b"), W("-eC=d"), W("-tw"),
				W("/x"),  W("--tty"), W("-"),   W("-i"),    NULL };
	char *const unknown[] = { W("-ix"), NULL }, *const forgotten[] = { W("-w"), W("--"), NULL };
	char left[40];

	CHECK(opt_parse(table, words, &rest, &dashes, &e) == 0);
	CHECK(rest == 7 && !dashes && in && tty);
	CHECK_STR(dir, "/x");
	REQUIRE(env.n == 2);
	CHECK_STR(env.v[0].value, "A=b");
	CHECK_STR(env.v[1].value, "C=d");
	opt_list_done(&env);
	says(opt_parse(table, unknown, &rest, &dashes, &e),
	     "unknown option '-ix'; options are long (--name), and --help lists them");
	says(opt_parse(table, forgotten, &rest, &dashes, &e),
	     "--workdir needs a value: --workdir DIR");
	opt_left(&table[2], left, sizeof(left));
	CHECK_STR(left, "-w, --workdir DIR");
}

TEST(rows_are_found_and_shown)
{
	char left[80];

	CHECK(opt_find(opts, "hide") == &opts[2]);
	CHECK(!opt_find(opts, "Files") && !opt_find(opts, "hid") && !opt_find(opts, ""));
	opt_left(&opts[5], left, sizeof(left));
	CHECK_STR(left, "--explain[=json]");
}
