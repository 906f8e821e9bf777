/* SPDX-License-Identifier: Apache-2.0 */
/* The option table of verbs that describe a sandbox, and the values that need more than a copy. */
#include <errno.h>
#include <string.h>

#include "sandbox.h"

/* Groups that stand apart, so that no function is too long. */
#define ENVIRONMENT_ROWS 4
#define NETWORK_ROWS 16
#define INSPECT_ROWS 3
#define SECRET_ROWS 5
#define PROTECT_ROWS 3

/* Limits stand together, before the rest of what concerns the run. Return: how many rows. */
static size_t limit_rows(struct sandbox_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Limits"),
		OPT_STRING(
			"memory", &o->limits[POLICY_LIMIT_MEMORY], "limits.memory", "SIZE",
			"End what uses more memory: 512M, 1.5G",
			"Counts processes, files in the run's private directories and other shared memory together. When it is used up, the kernel "
			"ends the process that uses most; when that is the command, bailey exits with 137 and says so. "
			"Without a cgroup a watchdog looks ten times a second: soft, no boundary against hostile code.",
			OPT_TIGHTENS, limits_memory),
		OPT_STRING(
			"cpus", &o->limits[POLICY_LIMIT_CPUS], "limits.cpus", "N",
			"Use at most N CPUs: 1, 0.5",
			"Without a cgroup the run is bound to so many CPUs, rounded up, which the command can undo: soft.",
			OPT_TIGHTENS, limits_cpus),
		OPT_STRING("pids", &o->limits[POLICY_LIMIT_PIDS], "limits.pids", "N",
			   "Have at most N processes and threads", "One more fails with EAGAIN.",
			   OPT_TIGHTENS, limits_pids),
		OPT_STRING(
			"fsize", &o->limits[POLICY_LIMIT_FSIZE], "limits.fsize", "SIZE",
			"Write no file larger than SIZE",
			"A process that tries gets SIGXFSZ, which ends it, or EFBIG. Files on 0-2 count, too.",
			OPT_TIGHTENS, limits_fsize),
		OPT_STRING("nofile", &o->limits[POLICY_LIMIT_NOFILE], "limits.nofile", "N",
			   "Have at most N open files in a process",
			   "Can't be more than the caller's own hard limit (ulimit -Hn).",
			   OPT_TIGHTENS, limits_nofile),
		OPT_STRING(
			"disk", &o->limits[POLICY_LIMIT_DISK], "limits.disk", "SIZE",
			"Hold at most SIZE in /tmp, /run and other private directories",
			"They share one file system in memory; writing more fails with ENOSPC, and so does making more than SIZE / 2K files. The "
			"default is half of the machine's memory. The workspace is the host's disk and is not counted, and neither is what an overlay workspace changes, which is kept on "
			"the disk of bailey's state.",
			OPT_TIGHTENS, limits_disk),
	};

	memcpy(table, rows, sizeof(rows));
	return ARRAY_SIZE(rows);
}

static size_t environment_rows(struct sandbox_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Environment"),
		OPT_LIST("env", &o->env, "environment.set", "VAR=VALUE", "Set a variable",
			 "Wins over the caller's variable of that name.", OPT_MAP),
		OPT_LIST(
			"pass-env", &o->env, "environment.pass", "VAR",
			"Pass a variable that looks like a secret",
			"Variables whose name or value looks like a secret stay outside; this one comes in.",
			OPT_NAMES),
		OPT_LIST("env-file", &o->env, NULL, "FILE", "Set the variables of FILE",
			 "Lines of NAME=VALUE; NAME alone passes the caller's variable; lines that begin with # and empty lines are left out. "
			 "Values are taken as they are, quotes included. --env wins over it."),
	};

	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == ENVIRONMENT_ROWS, "say how many rows there are");
	return ARRAY_SIZE(rows);
}

/* Return: how many rows. */
static size_t network_rows(struct sandbox_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Network"),
		OPT_STRING(
			"network", &o->network, "network.mode", "none|deny|allow|host",
			"What the network is beyond its rules; default: none",
			"With none there is no network at all. With deny, what a rule allows; that is meant, too, when a rule allows something and nothing else is said. "
			"With allow, every public host that no rule denies. With host, the host's own network, which no rule can filter. "
			"Of several files and the command line the tighter word counts.",
			OPT_CEILING),
		OPT_STRING(
			"preset", &o->preset, "network.preset",
			"closed|balanced|open-minus-private", "Begin with a set of rules",
			"With closed, no host. With balanced, what package managers, git hosts and toolchains need; most of these take uploads, too. "
			"With open-minus-private, every public host. Its rules are built-in: any denial wins over them."),
		OPT_LIST(
			"allow-host", &o->net, "network.allowedDomains", "RULE",
			"Let the command reach a host: NAME, *.NAME, **, [:PORT]",
			"RULE is a name, *.NAME (every name below NAME, not NAME itself), ** (every host) or an IP address (IPv6 in brackets), then :PORT, "
			"then /tcp or /udp. Without a port it is for TLS and HTTP on every port, whose bytes say the name again; other protocols need a rule that names "
			"the port, and so does UDP. A name may lead to a private address only when it is named exactly.",
			OPT_RULES),
		OPT_LIST(
			"deny-host", &o->net, "network.deniedDomains", "RULE",
			"Keep a host out of reach",
			"RULE is as for --allow-host. It wins over every --allow-host, and without a protocol it is for UDP, too.",
			OPT_TIGHTENS | OPT_RULES),
		OPT_LIST(
			"allow-cidr", &o->net, "network.allowedAddresses", "RANGE",
			"Let the command reach addresses: 10.0.0.0/8, [:PORT]",
			"RANGE is an address or a range, IPv6 with a port in brackets ([fd00::/8]:443). What is not public (private, loopback, link-local, metadata "
			"services …) must be meant: the range lies in the range of that kind, so 0.0.0.0/0 is every public IPv4 address.",
			OPT_RULES),
		OPT_LIST("deny-cidr", &o->net, "network.deniedResolvedAddresses", "RANGE",
			 "Keep addresses out of reach, whatever name leads there",
			 "Also for IPv6 addresses that carry one of these IPv4 addresses.",
			 OPT_TIGHTENS | OPT_RULES),
		OPT_LIST("deny-reason", &o->net, "network.deniedDomainReasons", "RULE=TEXT",
			 "Say why RULE of --deny-host denies",
			 "The text is shown where the rule denies something.",
			 OPT_TIGHTENS | OPT_MAP | OPT_WORDS),
		OPT_LIST(
			"allow-host-port", &o->net, "network.allowedHostPorts", "PORT",
			"Let the command reach a port of this machine",
			"As localhost:PORT, and as host.bailey.internal:PORT: both lead to PORT on the loopback of the host, and HTTP requests arrive there for localhost. Only the long name leads to more than 7 ports, to one that --publish has inside, and to 53, 1080 and 3128."),
		OPT_LIST("publish", &o->net, NULL, "[[IP:]HOST:]PORT",
			 "Let this machine connect to PORT of the sandbox",
			 "On 127.0.0.1, or on IP. HOST 0, or none, is any free one, which is said.",
			 OPT_LETTER('p')),
		OPT_LIST("limit-bytes", &o->net, NULL, "RULE=SIZE",
			 "End connections that RULE covers after SIZE bytes",
			 "Of all of them together, both ways, as 100M. RULE is as for --deny-host.",
			 OPT_TIGHTENS),
		OPT_LIST("limit-rate", &o->net, NULL, "RULE=SIZE",
			 "Slow down connections that RULE covers to SIZE bytes a second",
			 "All of them together, both ways, as 1M. RULE is as for --deny-host.",
			 OPT_TIGHTENS),
		OPT_FLAG(
			"ask", &o->ask, NULL, "Ask about hosts that no rule speaks of",
			"The connection waits for one key on the terminal: once, always in this run, never. Without a terminal, for who listens at the control socket; without anyone it is a no. Denials of rules are not asked about."),
		OPT_FLAG(
			"audit-required", &o->audit_required, "network.auditRequired",
			"Refuse connections while the network's log can't be written",
			"Without it connections go on without lines in 'bailey network log'; a notice says so, and the next line counts them.",
			OPT_TIGHTENS),
		OPT_STRING(
			"network-precedence", &o->precedence, "network.precedence",
			"deny-wins|most-specific", "Which of two rules counts; default: deny-wins",
			"With most-specific, an exact name before a wildcard, a longer one before a shorter one, a longer range before a shorter one, with a port "
			"before without. For rules of one layer only, that of the file or the command line which says so; between layers a denial is final."),
		OPT_FLAG(
			"i-know", &o->i_know, "network.allowPublicSuffixes",
			"Accept wildcards below which anybody can have a name",
			"A rule such as *.co.uk or *.github.io allows everybody who has a name there; without this it is refused."),
	};

	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == NETWORK_ROWS, "say how many rows there are");
	return ARRAY_SIZE(rows);
}

/* The rest of the network's. Return: how many rows. */
static size_t inspect_rows(struct sandbox_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_FLAG(
			"open-urls", &o->open_urls, NULL,
			"Let the command ask for a page in your browser, as log-ins do",
			"Inside, xdg-open and BROWSER lead to a question on the terminal that shows the whole URL; with y the host's own BROWSER or xdg-open opens it. Where the URL says that the log-in "
			"comes back to a port of localhost, that port of this machine leads to the sandbox's, for one burst of connections in at most five minutes. Without anyone to ask it is a no. What a "
			"log-in gives is the command's to keep."),
		OPT_LIST("inspect", &o->net, "network.inspect", "HOST",
			 "End TLS of HOST on the way, and judge its requests",
			 "HOST is a name or *.NAME that a rule allows; or a JSON object that also says which requests may pass, as in a policy file. The sandbox trusts a certificate "
			 "authority of this run alone. Every request is in the log.",
			 OPT_INSPECT | OPT_WATCHES),
		OPT_LIST(
			"bypass", &o->net, "network.bypass", "RULE",
			"Never end TLS of a host, whatever --inspect says",
			"For programs that pin certificates, or have some of their own. No secret is put in there.",
			OPT_RULES),
	};

	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == INSPECT_ROWS, "say how many rows there are");
	return ARRAY_SIZE(rows);
}

/* Return: how many rows. */
static size_t secret_rows(struct sandbox_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Secrets"),
		OPT_LIST("secret", &o->secrets, "credentials.secrets", "NAME",
			 "Put a secret into requests that the command makes without it",
			 "NAME is one of bailey secret ls. The command has a stand-in in the variable that it expects; the real one is put in on the way to the hosts that the secret is bound "
			 "to, and nowhere else. These hosts still need a rule that allows them."),
		OPT_LIST(
			"allow-own-credentials", &o->secrets, "credentials.allowOwnCredentials",
			"HOST",
			"Let the command use other credentials at a host that a secret is bound to",
			"Without this they are refused there, because whoever has an account of his own at the same service could send everything to it."),
		OPT_LIST(
			"login", &o->secrets, "credentials.logins", "NAME",
			"Keep the tokens of a log-in at NAME outside",
			"NAME is claude, codex, gemini or github; or a JSON object with name, token (URLs that give tokens) and hosts (where they are used). What these URLs answer is read on the way: the "
			"command gets stand-ins in the place of access, refresh and id tokens, and they are put in again in requests to these hosts. A run forgets them at its end; a sandbox that stays "
			"keeps them, encrypted, until it is removed. These hosts still need a rule that allows them.",
			OPT_LOGIN),
		OPT_LIST(
			"ssh-key", &o->secrets, "credentials.sshKeys", "KEY@HOST",
			"Let the command log in to HOST with a key of your ssh agent",
			"KEY is a fingerprint (ssh-add -l), a comment, or a file with the public key (a path that begins with /, ./ or ~/); HOST is as known_hosts has it, with :PORT where it is not 22, or * for every host that "
			"known_hosts lists. The command gets an agent of its own at SSH_AUTH_SOCK, which signs log-ins there, once the host has proved its key, and nothing else: no commits, no "
			"forwarding. It needs OpenSSH 8.9 or later inside, and a rule that allows the host: --allow-host HOST:22."),
	};

	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == SECRET_ROWS, "say how many rows there are");
	return ARRAY_SIZE(rows);
}

static void run_rows(struct sandbox_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Run"),
		OPT_FLAG(
			"allow-userns", &o->allow_userns, "process.allowNestedUserNamespaces",
			"Let the command make user namespaces, as browsers do",
			"A browser's own sandbox works then. Mounting stays refused, so that what is read-only, hidden or masked stays so. The cost: more of "
			"the kernel can be reached, where most of its holes are. Large workspaces are searched to their end before the start. As root, the command "
			"has uid 1000 inside instead of 0, and extended attributes can't be set."),
		OPT_FLAG(
			"allow-nested-sandbox", &o->allow_nested_sandbox,
			"process.allowNestedSandbox",
			"Let the command set up sandboxes of its own, as bwrap does",
			"As --allow-userns, and in its own namespaces the command can mount. Landlock would refuse that, so it does not judge files in such a "
			"run: the mounts alone keep the host read-only. What is read-only inside a writable directory (protected paths, --deny-write) "
			"can be moved away by a hostile command. A notice says so."),
		OPT_STRING(
			"timeout", &o->timeout, "limits.timeout", "DURATION",
			"End the run after 500ms, 10s, 5m, 1h, 30d; exit status 124",
			"First SIGTERM, two seconds later SIGKILL for everything inside. A number without a unit is seconds.",
			OPT_TIGHTENS, sandbox_duration),
		OPT_FLAG(
			"tty", &o->tty, NULL, "Give the command a terminal on 0-2 in any case",
			"Without it the command gets a terminal of its own in the place of each terminal on its standard streams, and "
			"the others stay what they are. With it all three are that terminal, and standard input and output are copied "
			"to and from it, whatever they are; the end of the input is typed as the end-of-file character (Ctrl-D)."),
		OPT_FLAG("no-tty", &o->no_tty, NULL, "Give the command no terminal, but pipes",
			 "Standard streams that are terminals are copied through pipes, so that the command sees none. The caller's "
			 "own terminal never comes into a sandbox."),
		OPT_LIST(
			"allow-degraded", &o->degraded, NULL, "LAYER",
			"Run although LAYER is missing: overlay, proc, landlock, seccomp, sockets, cgroup, capture",
			"Without it a missing layer is a refusal, exit status 125. What is lost is printed at the start."),
		OPT_OPTIONAL("explain", &o->explain, NULL, "text|json",
			     "Print policy, mount plan and layers; run nothing",
			     "Each line says which rule of which layer it comes from."),
		OPT_OPTIONAL(
			"report", &o->report, NULL, "reads",
			"Say at the end which files were denied, and what would allow them",
			"Names what the command tried to write, make, rename, remove or change and was denied: the path, the rule, the option that would allow "
			"it. With \"=reads\" also what it tried to open for reading; each open costs some microseconds more then. Says what was asked for, and decides "
			"nothing: a hostile command can make it incomplete or untrue, but gains nothing by it. Programs inside can have no seccomp listener of their own."),
		OPT_STRING(
			"audit", &o->audit, "filesystem.audit", "FILE",
			"Log every look at a file, and its verdict, to FILE",
			"A JSON line for each file that the command opens, makes, renames, removes or changes: time, pid, op, path, decision (allow, deny, or none: it "
			"fails without a sandbox, too), state, rule, rule_path, origin. It logs only: everything is allowed and denied as without it. Each open costs some "
			"microseconds more. FILE must lie outside of what the command can write; lines are appended, at most 256 MiB in one run. In a policy file "
			"it begins with / or ~/.",
			OPT_WATCHES),
		OPT_FLAG(
			"report-json", &o->json, NULL,
			"Print what --report, --audit and --strict-protect say as JSON",
			"One object on stderr at the end: complete, denied (op, path, count, state, why, rule, rule_path, origin, option, grant, way), more, unread, not_made "
			"(path, what), audit (file, looks, denied, full). option and grant are what would allow it."),
		OPT_FLAG("dry-run", &o->dry_run, NULL, "Build and verify the sandbox; run nothing",
			 "The whole sandbox is made, verified, and ended."),
		OPT_END,
	};

	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) + POLICY_LIMIT_NUM + 1 + NETWORK_ROWS + INSPECT_ROWS +
				       SECRET_ROWS <=
			       SANDBOX_OPTIONS * 2 / 3,
		       "raise SANDBOX_OPTIONS");
}

/* What the host executes later. Return: how many rows. */
static size_t protect_rows(struct sandbox_options *o, struct opt *table)
{
	const struct opt rows[] = {
		OPT_LIST(
			"unprotect", &o->files, "filesystem.unprotect", "PATH",
			"Let the command change PATH, which the host executes later",
			"What git, shells, editors and agents of the host execute or obey later (git hooks and configuration, .envrc, "
			".vscode/tasks.json …) is read-only where it exists in a writable directory. This lifts that for PATH and for "
			"what lies below; it makes nothing writable that is not writable anyway.",
			OPT_PATHS),
		OPT_FLAG(
			"strict-protect", &o->strict, "filesystem.strictProtect",
			"Let no name come that the host would execute later",
			"Without it such a name (.envrc, .git/hooks …) is moved away milliseconds after the command has made it, or at the end of the run. With it the "
			"call that would make it fails (EROFS): each call that makes or renames a file is done by another process, which takes 0.05 to 0.2 milliseconds. New git "
			"repositories can't be made then, except in private directories such as /tmp. Not with --allow-userns and --allow-nested-sandbox.",
			OPT_TIGHTENS),
		OPT_FLAG("allow-git-config", &o->allow_git_config, "filesystem.allowGitConfig",
			 "Let the command change the workspace's git configuration",
			 "A git configuration can name programs that git runs on the host. New repositories that the command makes are not "
			 "affected: it may always configure those."),
	};

	memcpy(table, rows, sizeof(rows));
	_Static_assert(ARRAY_SIZE(rows) == PROTECT_ROWS, "say how many rows there are");
	return ARRAY_SIZE(rows);
}

void sandbox_options(struct sandbox_options *o, struct opt *table, size_t size)
{
	const struct opt rows[] = {
		OPT_GROUP("Files"),
		OPT_LIST(
			"workspace", &o->files, NULL, "DIR[:ro|overlay]",
			"Give DIR, at the same path; default: the current directory",
			"The command may write DIR, with \":ro\" only read it. With \":overlay\" it writes a copy, and DIR stays as it is: "
			"'bailey diff' shows afterwards what was changed, 'bailey apply' takes it over, 'bailey discard' throws it away. "
			"A word that ends so is never a name: for a directory \"x:ro\" write \"x:ro:rw\". "
			"May be given several times; the command starts in the current directory when a workspace holds that, else in the first workspace."),
		OPT_LIST(
			"allow-write", &o->files, "filesystem.allowWrite", "PATH",
			"Let the command write PATH",
			"PATH must exist. It also lifts built-in denials of PATH and of what lies below. PATH may be a pattern: bailey help run --hide.",
			OPT_PATHS | OPT_GLOBS),
		OPT_LIST(
			"deny-write", &o->files, "filesystem.denyWrite", "PATH",
			"Keep PATH read-only in what is writable",
			"Wins over every --allow-write. The directories on the way to it can't be renamed during the run. Where PATH does not exist, what appears there is moved to the quarantine. PATH may be a pattern: bailey help run --hide.",
			OPT_TIGHTENS | OPT_PATHS | OPT_GLOBS),
		OPT_LIST(
			"allow-read", &o->files, "filesystem.allowRead", "PATH",
			"Show PATH although something hides it",
			"Everything is readable by default but what a rule hides or denies; this shows PATH all the same. PATH must exist. PATH may be a pattern: bailey help run --hide.",
			OPT_PATHS | OPT_GLOBS),
		OPT_LIST(
			"deny-read", &o->files, "filesystem.denyRead", "PATH",
			"Make PATH unreadable",
			"PATH stays visible; opening it is refused (EACCES). PATH may be a pattern: bailey help run --hide.",
			OPT_TIGHTENS | OPT_PATHS | OPT_GLOBS),
		OPT_LIST(
			"hide", &o->files, "filesystem.hide", "PATH", "Make PATH absent",
			"Opening PATH answers ENOENT; where no overlay can be made it stays visible and unreadable. PATH may be a pattern: * stands for any "
			"characters of one name, ? for one, [a-z] and [!a-z] for one of a set or not of it, ** alone between slashes for any number of directories; \\ takes the next "
			"character as it is. Quote it, or the shell replaces it first. What matches at the start is meant, and by denials of reading also what comes later. bailey-policy(5) says more.",
			OPT_TIGHTENS | OPT_PATHS | OPT_GLOBS),
		OPT_LIST(
			"allow-socket", &o->files, "network.allowUnixSockets", "PATH",
			"Let the command connect to the unix socket PATH of the host",
			"PATH must be a socket now, and belong to you, to root, or to the owner of its directory. No other socket comes with it. It is the socket that is there at the start: when its server makes a new one, only the next run has that. "
			"For an ssh agent: --allow-socket \"$SSH_AUTH_SOCK\" --pass-env SSH_AUTH_SOCK.",
			OPT_PATHS),
		OPT_LIST(
			"policy", &o->policies, NULL, "FILE",
			"Read more of these settings from a policy file",
			"FILE has the form of bailey-policy(5) and counts as if its settings were options. May be given several times."),
		OPT_LIST(
			"import-claude-settings", &o->imports, NULL, "FILE",
			"Take what settings of Claude Code say about files and hosts",
			"Its sandbox.filesystem, sandbox.network, sandbox.credentials, and permission rules of Read, Edit and WebFetch. What can't be said is printed."),
	};
	size_t n = ARRAY_SIZE(rows);

	*o = (struct sandbox_options){ .table = table };
	table[0] = (struct opt)OPT_END;
	if (size < SANDBOX_OPTIONS)
		return; /* nobody has less */
	memcpy(table, rows, sizeof(rows));
	n += protect_rows(o, table + n);
	n += environment_rows(o, table + n);
	n += network_rows(o, table + n);
	n += inspect_rows(o, table + n);
	n += secret_rows(o, table + n);
	n += limit_rows(o, table + n);
	run_rows(o, table + n);
	_Static_assert(ARRAY_SIZE(rows) + PROTECT_ROWS + ENVIRONMENT_ROWS <= SANDBOX_OPTIONS / 3,
		       "raise SANDBOX_OPTIONS");
}

static bool is_given(const struct opt *row)
{
	switch (row->type) {
	case OPT_TYPE_FLAG:
		return *(const bool *)row->target;
	case OPT_TYPE_STRING:
	case OPT_TYPE_OPTIONAL:
		return *(const char *const *)row->target != NULL;
	case OPT_TYPE_LIST:
		return ((const struct opt_list *)row->target)->n > 0;
	default:
		return false;
	}
}

const struct opt *sandbox_options_given(const struct sandbox_options *o)
{
	const struct opt *row;

	for (row = o->table; row && row->type != OPT_TYPE_END; row++) {
		if (!is_given(row))
			continue;
		/* several rows share a list: the value knows which one it was */
		return row->type == OPT_TYPE_LIST ?
			       ((const struct opt_list *)row->target)->v[0].opt :
			       row;
	}
	return NULL;
}

void sandbox_options_done(struct sandbox_options *o)
{
	opt_list_done(&o->files);
	opt_list_done(&o->env);
	opt_list_done(&o->net);
	opt_list_done(&o->secrets);
	opt_list_done(&o->degraded);
	opt_list_done(&o->policies);
	opt_list_done(&o->imports);
}

#define DURATION_MOST "36500d" /* in ns, too, a day of now and that fit in 64 bits */
#define DURATION_MOST_MS (36500l * 24 * 3600 * 1000)
_Static_assert(sizeof(long) == 8, "a long has milliseconds of years");

/* "10s" … in milliseconds. A number without a unit is seconds. */
int sandbox_duration_or_zero(const char *s, long *ret_ms, struct err *e)
{
	static const struct {
		const char *unit;
		long ms;
	} units[] = { { "ms", 1 },    { "s", 1000 },    { "", 1000 },
		      { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	long v = 0;
	size_t i;
	const char *p;

	for (p = s; *p >= '0' && *p <= '9' && v <= DURATION_MOST_MS; p++)
		v = v * 10 + (*p - '0');
	for (i = 0; p > s && i < ARRAY_SIZE(units); i++) {
		if (strcmp(p, units[i].unit) == 0 && v <= DURATION_MOST_MS / units[i].ms) {
			*ret_ms = v * units[i].ms;
			return 0;
		}
	}
	return err_set(
		e, ERR_USAGE, -EINVAL,
		"'%.100s': expected a duration such as 500ms, 10s, 5m, 1h, 30d (at most " DURATION_MOST
		")",
		s);
}

int sandbox_duration(const char *s, long *ret_ms, struct err *e)
{
	long ms = 0;
	int r = sandbox_duration_or_zero(s, &ms, e);

	if (r == 0 && ms == 0)
		return err_set(e, ERR_USAGE, -EINVAL, "'%.100s': a duration of 0 can't be had here",
			       s);
	if (r == 0)
		*ret_ms = ms;
	return r;
}

int sandbox_tty(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	if (o->tty && o->no_tty)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "--tty and --no-tty contradict each other: leave one out");
	s->tty = o->tty ? SANDBOX_TTY : o->no_tty ? SANDBOX_NO_TTY : SANDBOX_TTY_AUTO;
	return 0;
}

int sandbox_report(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	if (!o->report)
		return 0;
	if (*o->report && strcmp(o->report, "reads") != 0)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "--report=%.100s: expected --report or --report=reads", o->report);
	s->report = s->reported = *o->report ? JAIL_REPORT_READS : JAIL_REPORT_WRITES;
	return 0;
}

int sandbox_strict(struct sandbox *s, const struct sandbox_options *words, struct err *e)
{
	s->strict = s->options->strict;
	s->json = words->json;
	s->audit_here = words->audit;
	if (s->options->audit)
		s->report = JAIL_REPORT_READS;
	if (s->json && s->report == JAIL_REPORT_NONE && !s->strict)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"--report-json prints what a report says: add --report, --report=reads, --audit FILE or --strict-protect");
	if (!s->strict || !s->nested)
		return 0;
	return err_set(
		e, ERR_USAGE, -EINVAL,
		"--strict-protect and %s contradict each other: in namespaces of its own the command makes names that nobody sees; leave one out",
		s->nested == JAIL_NESTED_USERNS ? "--allow-userns" : "--allow-nested-sandbox");
}

#define LIMIT_NUMBER(name, limit)                                    \
	int name(const char *text, long *ret, struct err *e)         \
	{                                                            \
		uint64_t v;                                          \
		int r = policy_limit_parse((limit), text, &v, e);    \
                                                                     \
		if (r == 0)                                          \
			*ret = (long)v; /* no limit is above 2^50 */ \
		return r;                                            \
	}

LIMIT_NUMBER(limits_memory, POLICY_LIMIT_MEMORY)
LIMIT_NUMBER(limits_cpus, POLICY_LIMIT_CPUS)
LIMIT_NUMBER(limits_pids, POLICY_LIMIT_PIDS)
LIMIT_NUMBER(limits_fsize, POLICY_LIMIT_FSIZE)
LIMIT_NUMBER(limits_nofile, POLICY_LIMIT_NOFILE)
LIMIT_NUMBER(limits_disk, POLICY_LIMIT_DISK)

int sandbox_degraded(const struct opt_list *l, unsigned int *ret, struct err *e)
{
	size_t i;
	int layer;

	for (i = 0; i < l->n; i++) {
		layer = jail_layer_parse(l->v[i].value);
		if (layer < 0)
			return err_set(
				e, ERR_USAGE, layer,
				"--allow-degraded '%.100s': there is no such layer (bailey run --explain lists them)",
				l->v[i].value);
		if (!jail_layer_info((enum jail_layer)layer)->lost)
			return err_set(
				e, ERR_USAGE, -EPERM,
				"--allow-degraded '%s': no sandbox is left without this layer",
				l->v[i].value);
		*ret |= 1u << layer;
	}
	return 0;
}
