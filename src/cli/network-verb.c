/* SPDX-License-Identifier: Apache-2.0 */
/* bailey network: what sandboxes may reach, and what they have reached. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "network-check.h"
#include "network-runs.h"

#define OWN_OPTIONS 12
#define ALL_OPTIONS (SANDBOX_OPTIONS + OWN_OPTIONS)

struct verb {
	struct sandbox_options sandbox; /* of check */
	struct network_log_options log;
	bool json, cidr, i_know;
	const char *address, *limit, *reason;
};

/* Return: how many rows, without the end. */
static size_t own_rows(struct verb *v, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Output"),
		OPT_FLAG(
			"json", &v->json, NULL, "Print JSON",
			"check and ls print an array, log a line for each event, policy an object. Of check, each element has the keys \"target\", \"host\", "
			"\"address\", \"port\", \"protocol\", \"allowed\", \"any_protocol\" (bytes other than TLS and HTTP may pass), \"class\" (of an address, or "
			"null), \"rule\" (an object, or null) and \"why\"."),
		OPT_GROUP("log"),
		OPT_FLAG("follow", &v->log.follow, NULL, "Go on until the run ends", NULL),
		OPT_FLAG("denied", &v->log.denied, NULL, "Only what was denied", NULL),
		OPT_FLAG(
			"verify", &v->log.verify, NULL,
			"Print nothing but whether the log is whole",
			"Each line has the hash of the one before, and the last one's is kept elsewhere: lines that were edited, removed, put in another order or cut off are found."),
		OPT_STRING("limit", &v->limit, NULL, "N", "Only the last N lines", NULL),
		OPT_GROUP("allow, deny, remove"),
		OPT_FLAG("cidr", &v->cidr, NULL,
			 "RULE is an address or a range, as for --allow-cidr", NULL),
		OPT_STRING("reason", &v->reason, NULL, "TEXT",
			   "Why, for the log and whoever is refused", NULL),
		OPT_GROUP("check"),
		OPT_STRING("address", &v->address, NULL, "ADDRESS",
			   "Judge also that the name has this address",
			   "No name is looked up, so without it only the name is judged."),
	};

	*v = (struct verb){ .json = false };
	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) <= OWN_OPTIONS, "raise OWN_OPTIONS");
	return ARRAY_SIZE(rows);
}

static void fill(struct verb *v, struct opt *table)
{
	size_t n = own_rows(v, table);

	sandbox_options(&v->sandbox, table + n, SANDBOX_OPTIONS);
}

/* Without those that describe a sandbox. */
static void fill_own(struct verb *v, struct opt *table)
{
	const struct opt end[] = { OPT_END };
	size_t n = own_rows(v, table);

	memcpy(table + n, end, sizeof(end));
}

static const struct opt *options(void)
{
	static struct verb v;
	static struct opt table[ALL_OPTIONS];

	fill(&v, table);
	return table;
}

const struct command_words network_verb_words = {
	.about =
		"check says whether a sandbox with these options could reach HOST:PORT (behind the port may stand /udp; IPv6 addresses stand in brackets), which "
		"rule decides that, and which option would change it. It runs nothing, asks no server, and takes every option of 'bailey run'.\n\n"
		"ls lists the runs that have used a network, log prints what one of them has reached and what was refused. "
		"policy prints the rules of a run that lives; allow, deny and remove change them at once, for open connections, too. A denial of a file stays final. "
		"RUN is an ID of ls or its beginning; for log and policy it may be left out, and the newest of this directory is meant.",
	.options = options,
	.examples = { { "bailey network check --allow-host '*.example.org' www.example.org:443",
			"could it be reached?" },
		      { "bailey network check --json --preset balanced github.com:22 pypi.org:443",
			"for scripts" },
		      { "bailey network check --allow-host a.org --address 10.0.0.7 a.org:443",
			"a name that leads to a private address" },
		      { "bailey network log --denied", "what the last run was refused" },
		      { "bailey network allow 3f2a example.org:443",
			"let a run that lives reach one more host" } },
	.statuses = { { "0", "done; all are allowed; the log is whole" },
		      { "1", "something is denied; the log was tampered with" },
		      { "2", "wrong options, policy or target; there is no such run" } },
};

static const char *const words[] = { "check", "ls", "log", "policy", "allow", "deny", "remove" };

static const char *find_word(const char *s)
{
	size_t i;

	for (i = 0; s && i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i], s) == 0)
			return words[i];
	}
	return NULL;
}

/* {"op":"allow","rule":…} for each rule. */
static int change(const struct verb *v, const char *op, char *const *argv, struct err *e)
{
	int r = 0;

	if (!argv[0] || !argv[1])
		return err_set(e, ERR_USAGE, -EINVAL,
			       "name the run and the rules: bailey network %s RUN RULE...", op);
	for (argv++; r == 0 && argv[0]; argv++) {
		struct arena a = ARENA_INIT(1u << 20);
		struct buf b = BUF_INIT(65536);
		struct json j = { .out = &b };
		const struct json_node *answer;

		json_open(&j, NULL, '{');
		json_str(&j, "op", op);
		json_str(&j, "rule", argv[0]);
		json_bool(&j, "cidr", v->cidr);
		if (v->reason)
			json_str(&j, "reason", v->reason);
		json_close(&j, '}');
		r = b.failed ? err_set(e, ERR_USAGE, -E2BIG, "the rule is too long") : 0;
		if (r == 0)
			r = network_runs_ask(v->address, b.data, &a, &answer, e);
		buf_done(&b);
		arena_done(&a);
	}
	return r;
}

static void print_rule(struct buf *b, const struct json_node *rule)
{
	const char *action = network_text(rule, "action"), *text = network_text(rule, "rule"),
		   *origin = network_text(rule, "origin"), *reason = network_text(rule, "reason");

	buf_printf(b, "  %-6s ", action ? action : "");
	buf_quote(b, text ? text : "");
	buf_puts(b, "  [");
	buf_quote(b, origin ? origin : "");
	buf_puts(b, "]");
	if (reason) {
		buf_puts(b, "  ");
		buf_quote(b, reason);
	}
	buf_puts(b, "\n");
}

static int policy(const struct verb *v, const char *run, struct err *e)
{
	struct arena a = ARENA_INIT(16u << 20);
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	const struct json_node *answer, *n, *rule;
	const char *mode;
	struct json j = { .out = &b };
	int r = network_runs_ask(run, "{\"op\":\"policy\"}", &a, &answer, e);

	if (r == 0) {
		mode = network_text(answer, "mode");
		for (n = answer->first; n && strcmp(n->key, "rules") != 0; n = n->next)
			;
		if (v->json) {
			json_open(&j, NULL, '{');
			json_str(&j, "mode", mode);
			json_open(&j, "rules", '[');
		} else {
			buf_printf(&b, "network %s\n", mode ? mode : "");
		}
		for (rule = n ? n->first : NULL; rule; rule = rule->next) {
			if (!v->json) {
				print_rule(&b, rule);
				continue;
			}
			json_open(&j, NULL, '{');
			json_str(&j, "action", network_text(rule, "action"));
			json_str(&j, "rule", network_text(rule, "rule"));
			json_str(&j, "layer", network_text(rule, "layer"));
			json_str(&j, "origin", network_text(rule, "origin"));
			json_str(&j, "reason", network_text(rule, "reason"));
			json_close(&j, '}');
		}
		if (v->json) {
			json_close(&j, ']');
			json_close(&j, '}');
			buf_puts(&b, "\n");
		}
		r = cli_print(&b);
	}
	buf_done(&b);
	arena_done(&a);
	return r;
}

static int log_or_list(struct verb *v, const char *word, char *const *argv, struct err *e)
{
	char *end = NULL;

	if (argv[0] && (argv[1] || strcmp(word, "ls") == 0))
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': %s", argv[argv[1] ? 1 : 0],
			       strcmp(word, "ls") == 0 ? "ls takes no RUN" : "one RUN at a time");
	if (strcmp(word, "ls") == 0)
		return network_runs_list(v->json, e);
	if (strcmp(word, "policy") == 0)
		return policy(v, argv[0], e);
	v->log.json = v->json;
	if (v->limit) {
		v->log.limit =
			*v->limit >= '1' && *v->limit <= '9' ? strtoul(v->limit, &end, 10) : 0;
		if (!v->log.limit || *end)
			return err_set(e, ERR_USAGE, -EINVAL, "--limit '%.100s': expected a number",
				       v->limit);
	}
	return network_runs_log(argv[0], &v->log, e);
}

static int obey(struct verb *v, const char *word, char *const *argv, struct err *e)
{
	struct network_check c = { .sandbox = &v->sandbox, .json = v->json, .address = v->address };

	if (strcmp(word, "check") == 0) {
		if (!argv[0])
			return err_set(e, ERR_USAGE, -EINVAL,
				       "say which host: bailey network check HOST:PORT");
		return network_check(&c, argv, e);
	}
	if (strcmp(word, "ls") == 0 || strcmp(word, "log") == 0 || strcmp(word, "policy") == 0)
		return log_or_list(v, word, argv, e);
	v->address = argv[0]; /* the run */
	return change(v, word, argv, e);
}

static int no_word(const char *word, struct err *e)
{
	return word ? err_set(e, ERR_USAGE, -EINVAL,
			      "'%.100s': expected check, ls, log, policy, allow, deny or remove",
			      word) :
		      err_set(e, ERR_USAGE, -EINVAL,
			      "say what to do: bailey network check, ls, log, policy, allow, deny or remove");
}

int network_main(char **argv)
{
	struct opt table[ALL_OPTIONS];
	struct err e = ERR_INIT;
	const char *word = NULL;
	size_t rest = 0, n = 0, skipped = 0;
	bool dashes;
	struct verb v;
	int r;

	fill(&v, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	word = r == 0 ? find_word(argv[rest]) : NULL;
	if (r == 0 && !word)
		r = no_word(argv[rest], &e);
	if (word && strcmp(word, "check") != 0) {
		/* again, with the options that it has */
		sandbox_options_done(&v.sandbox);
		fill_own(&v, table);
		r = opt_parse(table, argv, &rest, &dashes, &e);
	}
	/* options may stand anywhere; what is none is moved to the front */
	for (argv += r == 0 ? rest + 1 : 0;
	     r == 0 && argv[n + skipped];) { /* r is 0: there is a word */
		r = opt_parse(table, argv + n + skipped, &rest, &dashes, &e);
		skipped += rest;
		if (r == 0 && argv[n + skipped]) {
			argv[n] = argv[n + skipped];
			n++;
		}
	}
	if (r == 0 && word) {
		argv[n] = NULL;
		r = obey(&v, word, argv, &e);
	}
	sandbox_options_done(&v.sandbox);
	return r < 0 ? cli_fail(&e) : r;
}
