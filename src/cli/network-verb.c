/* SPDX-License-Identifier: Apache-2.0 */
/* bailey network: what sandboxes may reach, and what they have reached. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network-check.h"
#include "network-named.h"
#include "network-runs.h"
#include "sandbox.h"

#define OWN_OPTIONS 20
#define ALL_OPTIONS (SANDBOX_OPTIONS + OWN_OPTIONS)

struct verb {
	struct sandbox_options sandbox; /* of check */
	struct network_log_options log;
	struct opt_list proxy; /* --block-host … */
	bool json, cidr, quiet, i_know;
	const char *address, *limit, *reason, *format;
};

/* Return: how many rows, without the end. */
static size_t own_rows(struct verb *v, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Output"),
		OPT_FLAG(
			"json", &v->json, NULL, "Print JSON",
			"From check and ls an array, from log a line for each event, of log --verify and policy an object. Of check, each element has the keys \"target\", \"host\", "
			"\"address\", \"port\", \"protocol\", \"allowed\", \"any_protocol\" (bytes other than TLS and HTTP may pass), \"class\" (of an address, or "
			"null), \"rule\" (an object, or null) and \"why\"."),
		OPT_GROUP("log"),
		OPT_FLAG(
			"follow", &v->log.follow, NULL, "Go on until the run ends",
			"New lines are printed as they come. It ends, too, when the sandbox is removed, and its log with it."),
		OPT_FLAG("denied", &v->log.denied, NULL, "Only what was denied",
			 "Refusals, and no more."),
		OPT_FLAG(
			"verify", &v->log.verify, NULL,
			"Print nothing but whether the log is whole",
			"Each line has the hash of the one before, and the last one's is kept elsewhere: lines that were edited, removed, put in another order or cut off are found."),
		OPT_STRING("limit", &v->limit, NULL, "N", "Only the last N lines",
			   "With --denied, the last N refusals."),
		OPT_FLAG("quiet", &v->quiet, NULL, "Print nothing but the lines",
			 "There is never more: this is for scripts that were written for others.",
			 OPT_LETTER('q')),
		OPT_STRING(
			"format", &v->format, NULL, "docker",
			"As Docker's sandboxes print it: of all that stay, or one",
			"Requests alone, and what was not looked into as a CONNECT; with --json one object, whose key is \"entries\"."),
		OPT_GROUP("allow, deny, remove"),
		OPT_FLAG("cidr", &v->cidr, NULL,
			 "RULE is an address or a range, as for --allow-cidr",
			 "Without it RULE is a host, as for --allow-host."),
		OPT_STRING("reason", &v->reason, NULL, "TEXT",
			   "Why, for the log and whoever is refused",
			   "It stands in the log, and is said where the rule denies something."),
		OPT_GROUP("proxy, beside --allow-host, --allow-cidr and --policy allow|deny"),
		OPT_LIST(
			"block-host", &v->proxy, NULL, "RULE", "Deny a host",
			"As deny does. Of the rules that proxy makes the most specific one counts."),
		OPT_LIST("block-cidr", &v->proxy, NULL, "RULE", "Deny an address or a range",
			 "A name that a rule allows by its name may lead there all the same."),
		OPT_LIST(
			"bypass-host", &v->proxy, NULL, "RULE", "Look into no connection to a host",
			"What --inspect of the sandbox asked for is lifted; what a policy file or a secret asks for is not. Rules hold as before."),
		OPT_LIST("bypass-cidr", &v->proxy, NULL, "RULE",
			 "Look into no connection to an address or a range",
			 "Of connections that name an address, not a host."),
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

/* Without those that describe a sandbox, but for the one that allow has, too. */
static void fill_own(struct verb *v, struct opt *table)
{
	const struct opt end[] = {
		OPT_FLAG("i-know", &v->i_know, NULL,
			 "Accept wildcards below which anybody can have a name",
			 "As for a sandbox's --allow-host."),
		OPT_END,
	};
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
		"With check, bailey says whether a sandbox with these options could reach HOST:PORT (behind the port may stand /udp; IPv6 addresses stand in brackets), which "
		"rule decides that, and which option would change it. It runs nothing, asks no server, and takes every option of 'bailey run'.\n\n"
		"ls lists the runs that have used a network, log prints what one of them has reached and what was refused. "
		"policy prints the rules of a run that lives; allow, deny and remove change them at once, for open connections, too. A denial of a file stays final. allow and proxy take --i-know, too. "
		"RUN is an ID of ls or its beginning; for log and policy it may be left out, and the newest of this directory is meant.\n\n"
		"In the place of RUN may stand the name of a sandbox that stays. What is changed is kept with it then, and holds at its next start, too; it need not run. "
		"Its log goes on from start to start. 'check SANDBOX HOST:PORT' takes the options from it. "
		"proxy changes several rules of a sandbox, with the options and the meaning that Docker's command of that name has: the most specific rule counts, and --policy says what happens to hosts that no rule speaks of.",
	.options = options,
	.examples = { { "bailey network check --allow-host '*.example.org' www.example.org:443",
			"could it be reached?" },
		      { "bailey network check --json --preset balanced github.com:22 pypi.org:443",
			"for scripts" },
		      { "bailey network check --allow-host a.org --address 10.0.0.7 a.org:443",
			"a name that leads to a private address" },
		      { "bailey network log --denied", "what the last run was refused" },
		      { "bailey network allow 3f2a example.org:443",
			"let a run that lives reach one more host" },
		      { "bailey network proxy box --policy deny --allow-host '*.example.org'",
			"of a sandbox that stays" } },
	.statuses = { { "0", "done; all are allowed; the log is whole" },
		      { "1", "something is denied; the log was tampered with" },
		      { "2", "wrong options, policy or target" },
		      { "3", "there is no such run or sandbox" } },
};

static const char *const words[] = { "check", "ls",   "log",    "policy",
				     "allow", "deny", "remove", "proxy" };

static const char *find_word(const char *s)
{
	size_t i;

	for (i = 0; s && i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i], s) == 0)
			return words[i];
	}
	return NULL;
}

#define CHANGES_AT_ONCE 256

/* Those of a run one by one, those of a sandbox all or none. */
static int change(const struct verb *v, const char *op, char *const *argv, struct err *e)
{
	struct net_change c[CHANGES_AT_ONCE];
	struct network_named x;
	size_t i, n = 0;
	int r = 0;

	if (!argv[0] || !argv[1])
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"name the run or the sandbox, and the rules: bailey network %s RUN RULE...",
			op);
	for (; argv[n + 1]; n++) {
		if (n == CHANGES_AT_ONCE)
			return err_set(e, ERR_USAGE, -E2BIG, "more than %d rules at once",
				       CHANGES_AT_ONCE);
		c[n] = (struct net_change){ .op = strcmp(op, "allow") == 0 ? NET_CHANGE_ALLOW :
						  strcmp(op, "deny") == 0  ? NET_CHANGE_DENY :
									     NET_CHANGE_REMOVE,
					    .rule = argv[n + 1],
					    .cidr = v->cidr,
					    .risky = v->i_know,
					    .reason = v->reason };
	}
	if (network_named_open(&x, argv[0]) == 1) {
		r = network_named_change(&x, c, n, e);
	} else {
		for (i = 0; r == 0 && i < n; i++)
			r = network_runs_tell(argv[0], &c[i], e);
	}
	network_named_done(&x);
	return r;
}

static void print_rule(struct buf *b, const struct json_node *rule)
{
	const char *action = json_text(rule, "action"), *text = json_text(rule, "rule"),
		   *origin = json_text(rule, "origin"), *reason = json_text(rule, "reason");

	buf_printf(b, "  %-7s ", action ? action : "");
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

static void rules_json(struct json *j, const char *key, const struct json_node *rules)
{
	const struct json_node *rule;

	json_open(j, key, '[');
	for (rule = rules ? rules->first : NULL; rule; rule = rule->next) {
		json_open(j, NULL, '{');
		json_str(j, "action", json_text(rule, "action"));
		json_str(j, "rule", json_text(rule, "rule"));
		json_str(j, "layer", json_text(rule, "layer"));
		json_str(j, "origin", json_text(rule, "origin"));
		json_str(j, "reason", json_text(rule, "reason"));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void policy_json(const struct json_node *answer, struct buf *b)
{
	const struct json_node *layers = json_member_as(answer, "most_specific", JSON_LIST), *k;
	struct json j = { .out = b };

	json_open(&j, NULL, '{');
	json_str(&j, "mode", json_text(answer, "mode"));
	json_open(&j, "most_specific", '[');
	for (k = layers ? layers->first : NULL; k; k = k->next)
		json_str(&j, NULL, k->text);
	json_close(&j, ']');
	rules_json(&j, "rules", json_member_as(answer, "rules", JSON_LIST));
	rules_json(&j, "inspect", json_member_as(answer, "inspect", JSON_LIST));
	json_close(&j, '}');
	buf_puts(b, "\n");
}

static void policy_text(const struct json_node *answer, struct buf *b)
{
	const struct json_node *layers = json_member_as(answer, "most_specific", JSON_LIST),
			       *rules = json_member_as(answer, "rules", JSON_LIST),
			       *inspect = json_member_as(answer, "inspect", JSON_LIST), *k;
	const char *mode = json_text(answer, "mode");

	buf_printf(b, "network %s", mode ? mode : "");
	for (k = layers ? layers->first : NULL; k; k = k->next) {
		buf_puts(b, k == layers->first ? "; the most specific rule counts of: " : ", ");
		buf_quote(b, k->text ? k->text : "");
	}
	buf_puts(b, "\n");
	for (k = rules ? rules->first : NULL; k; k = k->next)
		print_rule(b, k);
	for (k = inspect ? inspect->first : NULL; k; k = k->next)
		print_rule(b, k);
}

static int policy(const struct verb *v, const char *run, struct err *e)
{
	struct arena a = ARENA_INIT(16u << 20);
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	const struct json_node *answer;
	struct network_named x = { .named = { .state = -1, .runtime = -1 } };
	int r = run && network_named_open(&x, run) == 1 ?
			network_named_policy(&x, &answer, e) :
			network_runs_ask(run, "{\"op\":\"policy\"}", &a, &answer, e);

	if (r == 0) {
		if (v->json)
			policy_json(answer, &b);
		else
			policy_text(answer, &b);
		r = cli_print(&b);
	}
	buf_done(&b);
	network_named_done(&x);
	arena_done(&a);
	return r;
}

static int log_or_list(struct verb *v, const char *word, char *const *argv, struct err *e)
{
	char *end = NULL;

	if (argv[0] && argv[1])
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': one RUN at a time", argv[1]);
	if (strcmp(word, "ls") == 0)
		return network_runs_list(argv[0], v->json, e);
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
	if (!v->format)
		return network_runs_log(argv[0], &v->log, e);
	if (strcmp(v->format, "docker") != 0)
		return err_set(e, ERR_USAGE, -EINVAL, "--format '%.100s': expected docker",
			       v->format);
	if (v->log.follow || v->log.verify)
		return err_set(e, ERR_USAGE, -EINVAL, "--%s is no option of --format docker",
			       v->log.follow ? "follow" : "verify");
	return network_docker_log(argv[0], &v->log, e);
}

/* With the options of a sandbox that stays, as if they were ours. */
static int check_named(struct verb *v, struct network_named *x, char *const *targets, struct err *e)
{
	struct network_check c = { .sandbox = &x->options.sandbox,
				   .box = x->box.name,
				   .json = v->json,
				   .address = v->address };
	const struct opt *o = sandbox_options_given(&v->sandbox);

	if (o)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"--%s: sandbox '%s' has options of its own; for others: bailey create --replace %s",
			o->name, x->box.name, x->box.name);
	if (!targets[0])
		return err_set(e, ERR_USAGE, -EINVAL,
			       "say which host: bailey network check %s HOST:PORT", x->box.name);
	return network_named_options(x, e) < 0 ? -EINVAL : network_check(&c, targets, e);
}

static int check(struct verb *v, char *const *argv, struct err *e)
{
	struct network_check c = { .sandbox = &v->sandbox, .json = v->json, .address = v->address };
	struct network_named x = { .named = { .state = -1, .runtime = -1 } };
	int r;

	if (!argv[0])
		return err_set(e, ERR_USAGE, -EINVAL,
			       "say which host: bailey network check HOST:PORT");
	if (!strchr(argv[0], ':') && network_named_open(&x, argv[0]) == 1)
		r = check_named(v, &x, argv + 1, e);
	else
		r = network_check(&c, argv, e);
	network_named_done(&x);
	return r;
}

/* Docker's "*" is every host; ours is "**". */
static const char *docker_host(struct arena *a, const char *host)
{
	return host[0] == '*' && (!host[1] || host[1] == ':') ? arena_printf(a, "*%s", host) : host;
}

static int proxy_rule(struct network_named *x, const struct opt_value *v, bool risky,
		      struct net_change *ret, size_t *n, struct err *e)
{
	static const struct {
		const char *name;
		enum net_change_op op;
		bool cidr;
	} kinds[] = { { "allow-host", NET_CHANGE_ALLOW, false },
		      { "allow-cidr", NET_CHANGE_ALLOW, true },
		      { "block-host", NET_CHANGE_DENY, false },
		      { "block-cidr", NET_CHANGE_DENY, true },
		      { "bypass-host", NET_CHANGE_BYPASS, false },
		      { "bypass-cidr", NET_CHANGE_BYPASS, true } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds) && strcmp(kinds[i].name, v->opt->name) != 0; i++)
		;
	if (i == ARRAY_SIZE(kinds))
		return err_set(e, ERR_USAGE, -EINVAL, "--%s is no option of proxy", v->opt->name);
	if (*n + 2 > CHANGES_AT_ONCE)
		return err_set(e, ERR_USAGE, -E2BIG, "more than %d rules at once", CHANGES_AT_ONCE);
	ret[*n] =
		(struct net_change){ .op = NET_CHANGE_BYPASS,
				     .rule = kinds[i].cidr ? v->value :
							     docker_host(&x->named.arena, v->value),
				     .cidr = kinds[i].cidr,
				     .risky = risky,
				     .specific = true };
	if (!ret[*n].rule)
		return sandbox_oom(e);
	/* a range that is allowed is not bypassed any more */
	if (strcmp(v->opt->name, "allow-cidr") == 0 && network_named_bypassed(x, &ret[*n])) {
		ret[*n + 1] = ret[*n];
		ret[(*n)++].op = NET_CHANGE_REMOVE;
	}
	ret[(*n)++].op = kinds[i].op;
	return 0;
}

/* What `bailey network proxy` has of the options of a sandbox, taken out of them. */
static int proxy(struct verb *v, char *const *argv, struct err *e)
{
	struct net_change c[CHANGES_AT_ONCE];
	struct network_named x = { .named = { .state = -1, .runtime = -1 } };
	struct opt_list *hosts = &v->sandbox.net, *modes = &v->sandbox.policies;
	const bool risky = v->sandbox.i_know;
	const struct opt *o;
	size_t i, n = 0;
	int r = 0;

	if (!argv[0] || argv[1])
		return err_set(e, ERR_USAGE, -EINVAL,
			       "name one sandbox: bailey network proxy SANDBOX OPTION...");
	if (network_named_open(&x, argv[0]) != 1)
		r = err_set(e, ERR_ABSENT, -ENOENT, "there is no sandbox '%.100s'", argv[0]);
	for (i = 0; r == 0 && i < modes->n; i++) {
		c[n] = (struct net_change){ .op = NET_CHANGE_MODE, .specific = true };
		if (strcmp(modes->v[i].value, "allow") != 0 &&
		    strcmp(modes->v[i].value, "deny") != 0)
			r = err_set(e, ERR_USAGE, -EINVAL,
				    "--policy '%.100s': expected allow or deny", modes->v[i].value);
		c[n].mode = modes->v[i].value[0] == 'a' ? NET_MODE_ALLOW : NET_MODE_DENY;
		n = 1; /* the last one counts */
	}
	for (i = 0; r == 0 && i < hosts->n; i++)
		r = proxy_rule(&x, &hosts->v[i], risky, c, &n, e);
	for (i = 0; r == 0 && i < v->proxy.n; i++)
		r = proxy_rule(&x, &v->proxy.v[i], risky, c, &n, e);
	opt_list_done(hosts);
	opt_list_done(modes);
	*hosts = *modes = (struct opt_list){ .n = 0 };
	v->sandbox.i_know = false;
	o = sandbox_options_given(&v->sandbox);
	if (r == 0 && o)
		r = err_set(e, ERR_USAGE, -EINVAL, "--%s is no option of proxy", o->name);
	if (r == 0 && n == 0)
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "nothing is to be changed; 'bailey network policy %s' prints the rules",
			    x.box.name);
	if (r == 0)
		r = network_named_change(&x, c, n, e);
	network_named_done(&x);
	return r;
}

/* What is taken for one of the words would do nothing for another. */
static int check_options(const struct verb *v, const char *word, struct err *e)
{
	static const char changes[] = " allow deny remove ";
	const struct {
		const char *name;
		bool given;
		const char *words;
	} own[] = { { "json", v->json, " check ls log policy " },
		    { "follow", v->log.follow, " log " },
		    { "denied", v->log.denied, " log " },
		    { "verify", v->log.verify, " log " },
		    { "limit", v->limit, " log " },
		    { "format", v->format, " log " },
		    { "quiet", v->quiet, " log " },
		    { "cidr", v->cidr, changes },
		    { "reason", v->reason, changes },
		    { "i-know", v->i_know, " allow " },
		    { v->proxy.n > 0 ? v->proxy.v[0].opt->name : "", v->proxy.n > 0, " proxy " },
		    { "address", v->address, " check " } };
	char between[16];
	size_t i;

	(void)snprintf(between, sizeof(between), " %s ", word); /* fits */
	for (i = 0; i < ARRAY_SIZE(own); i++) {
		if (own[i].given && !strstr(own[i].words, between))
			return err_set(e, ERR_USAGE, -EINVAL, "--%s is no option of %s",
				       own[i].name, word);
	}
	return 0;
}

static int obey(struct verb *v, const char *word, char *const *argv, struct err *e)
{
	int r = check_options(v, word, e);

	if (r < 0)
		return r;
	if (strcmp(word, "check") == 0)
		return check(v, argv, e);
	if (strcmp(word, "proxy") == 0)
		return proxy(v, argv, e);
	if (strcmp(word, "ls") == 0 || strcmp(word, "log") == 0 || strcmp(word, "policy") == 0)
		return log_or_list(v, word, argv, e);
	return change(v, word, argv, e);
}

static int no_word(const char *word, struct err *e)
{
	return word ? err_set(e, ERR_USAGE, -EINVAL,
			      "'%.100s': expected check, ls, log, policy, allow, deny, remove or proxy",
			      word) :
		      err_set(e, ERR_USAGE, -EINVAL,
			      "say what to do: bailey network check, ls, log, policy, allow, deny, remove or proxy");
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
	if (word && strcmp(word, "check") != 0 && strcmp(word, "proxy") != 0) {
		/* again, with the options that it has */
		sandbox_options_done(&v.sandbox);
		opt_list_done(&v.proxy);
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
	opt_list_done(&v.proxy);
	return r < 0 ? cli_fail(&e) : r;
}
