/* SPDX-License-Identifier: Apache-2.0 */
/* The option table of `bailey secret`: the launcher says and checks it, bailey-keys obeys it. */
#include <errno.h>
#include <string.h>

#include "keys.h"

void secret_options(struct secret_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Whose it is"),
		OPT_STRING(
			"sandbox", &o->sandbox, NULL, "SANDBOX",
			"It is kept for SANDBOX alone, which has it without --secret",
			"SANDBOX is one of bailey create. It goes with it when that is removed, and stays when it is renamed. It goes before another secret of the same name. A new one is there at the "
			"sandbox's next start; new values, and one that takes another's place, at once."),
		OPT_GROUP("Where the value comes from (set, rotate); else from stdin"),
		OPT_STRING("file", &o->file, NULL, "FILE", "The value is what FILE holds",
			   "A line break at its end is not part of it."),
		OPT_STRING("from-env", &o->from_env, NULL, "VAR",
			   "The value is that of the variable VAR", "It is read once, now."),
		OPT_STRING(
			"command", &o->command, NULL, "COMMAND",
			"The value is what COMMAND prints, run anew when it has expired",
			"COMMAND is run by sh, on the host, as you, in the directory / and with the absolute directories of PATH: sandboxes may write where they are started. It prints the value, or an object with \"value\" and, if it is known, \"expires\" (RFC 3339 or Unix seconds) or "
			"\"expires_in\" (seconds). When it doesn't say how long the value is good for, it is run at the start of each sandbox."),
		OPT_GROUP("How it is used (set)"),
		OPT_STRING("service", &o->service, NULL, "SERVICE",
			   "It is for SERVICE, which says all that follows",
			   "Without it, and without --host, NAME is the service."),
		OPT_LIST("host", &o->hosts, NULL, "HOST",
			 "Put it in for HOST, or *.HOST for all below it",
			 "May be given several times. With a service: instead of its own hosts."),
		OPT_STRING(
			"header", &o->header, NULL, "HEADER",
			"It goes into that header: NAME, or NAME: TEXT with {}",
			"The value takes the place of {} in TEXT. Without a text it is 'Bearer {}' in Authorization, and the value alone elsewhere."),
		OPT_STRING("query", &o->query, NULL, "FIELD",
			   "It goes into that field of the query", "As in /search?FIELD=value."),
		OPT_STRING("basic", &o->basic, NULL, "USER",
			   "It is the password of USER, by Basic authentication",
			   "Where git and other clients send a user and a password."),
		OPT_FLAG("anywhere", &o->anywhere, NULL,
			 "It takes the sentinel's place wherever that stands",
			 "In all of the head and of the body of requests: for services that want it somewhere else. Whoever can make a bound host show a request can make it show the "
			 "secret, in a form that is not recognised."),
		OPT_LIST(
			"env", &o->variables, NULL, "VAR",
			"The sandbox gets the sentinel in the variable VAR",
			"May be given several times. Without it, and without a service, the secret is put into every request to its hosts."),
		OPT_LIST("region", &o->regions, NULL, "REGION", "Of AWS: sign for REGION alone",
			 "May be given several times. Without it any region is signed for."),
		OPT_LIST(
			"aws-service", &o->aws, NULL, "NAME",
			"Of AWS: sign for the service NAME alone",
			"Its name in signatures: s3, bedrock, dynamodb. May be given several times."),
		OPT_FLAG("replace", &o->replace, NULL, "There may be one of that name already",
			 "It is replaced as a whole; rotate changes the value alone."),
		OPT_STRING(
			"key", &o->key, NULL, "file|keyring",
			"Where the key of the first secret is kept",
			"All secrets are encrypted with one key, which is in a file beside them that only you can read. In the kernel's keyring it is on no disk, and gone after a restart."),
		OPT_GROUP("Output"),
		OPT_FLAG(
			"json", &o->json, NULL, "From ls, an array of objects",
			"Keys: name, sandbox (null: everybody's), state (ready, expired, unreadable), service, carrier, field, hosts, variables, source (value or command), expires, created, changed."),
		OPT_END,
	};

	_Static_assert(ARRAY_SIZE(rows) == SECRET_OPTIONS, "SECRET_OPTIONS");
	*o = (struct secret_options){ .file = NULL };
	memcpy(table, rows, sizeof(rows));
}

void secret_options_done(struct secret_options *o)
{
	opt_list_done(&o->hosts);
	opt_list_done(&o->variables);
	opt_list_done(&o->regions);
	opt_list_done(&o->aws);
}

int secret_words(struct secret_options *o, const struct opt *table, char **argv,
		 const char **ret_word, char ***ret_names, struct err *e)
{
	static const char *const words[] = { "set", "ls", "rm", "rotate" };
	size_t rest = 0, n = 0, skipped = 0, i;
	bool dashes;
	int r = opt_parse(table, argv, &rest, &dashes, e);

	(void)o; /* the table's targets */
	*ret_word = NULL;
	for (i = 0; r == 0 && argv[rest] && i < ARRAY_SIZE(words); i++) {
		if (strcmp(argv[rest], words[i]) == 0)
			*ret_word = words[i];
	}
	if (r == 0 && !*ret_word)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "%s%.40s%s: bailey secret set, ls, rm or rotate",
			       argv[rest] ? "'" : "", argv[rest] ? argv[rest] : "say what to do",
			       argv[rest] ? "' is none of its words" : "");
	/* options may stand anywhere; what is none is moved to the front */
	for (argv += r == 0 ? rest + 1 : 0; r == 0 && argv[n + skipped];) {
		r = opt_parse(table, argv + n + skipped, &rest, &dashes, e);
		skipped += rest;
		if (r == 0 && argv[n + skipped]) {
			argv[n] = argv[n + skipped];
			n++;
		}
	}
	if (r < 0)
		return r;
	argv[n] = NULL;
	*ret_names = argv;
	return 0;
}
