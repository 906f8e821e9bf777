/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The command runs as in `bailey run --report=reads`, with a network that refuses: nothing is loosened to find out what it
 * wants. What was denied becomes the least policy that would have allowed it; of the network that stands in the gateway's log (learn-hosts.c). A report
 * is no evidence (docs/adr/0018): hostile code chooses what it asks for, so what gives away secrets, a home, the machine or a private network never
 * comes in by itself, and a person reads the rest.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "learn-hosts.h"
#include "minimal.h"
#include "report.h"

#define LEARN_OPTIONS (SANDBOX_OPTIONS + 2)

struct learn {
	struct buf files, out, notes; /* out: the policy, which has files in it */
	struct learn_hosts *hosts;
	bool credentials;
};

static void fill(struct sandbox_options *o, bool *credentials, struct opt *table)
{
	const struct opt rows[] = {
		OPT_GROUP("Learning"),
		OPT_FLAG("credentials", credentials, NULL, "Put credentials into the policy, too",
			 "What the built-in rules hide or deny (keys, tokens, password hashes) is named on stderr only. With this it comes into the "
			 "policy, path by path."),
	};

	*credentials = false;
	memcpy(table, rows, sizeof(rows));
	sandbox_options(o, table + ARRAY_SIZE(rows), SANDBOX_OPTIONS);
}

static const struct opt *options(void)
{
	static struct sandbox_options o;
	static struct opt table[LEARN_OPTIONS];
	static bool credentials;

	fill(&o, &credentials, table);
	return table;
}

const struct command_words learn_words = {
	.about =
		"Runs COMMAND as 'bailey run' with these options does, and prints on stdout a policy file that would allow what was denied: for "
		"--policy, after you have read it. What COMMAND prints goes to stderr.\n\n"
		"Hosts are named one by one, with their port where it is not 80 or 443 or something else than TLS and HTTP is spoken; an address only where no "
		"name was used. Where no option and no file says what the network is, it refuses every host; programs stop there, so this takes several "
		"runs. With --network allow every public host is let through and named, and one run is enough. Never a name of a private network, an "
		"address that is not public or is this machine's own, or a wildcard: those are named on stderr.\n\n"
		"Files and directories are named one by one; more than eight of one directory become that directory. Never a home, never \"/\", and no "
		"directory with credentials in it: those, and what no option allows, are named on stderr. A command that stops at the first denial "
		"must be run again with the policy so far. It decides what it asks for: a policy that hostile code taught is what hostile code wants.",
	.options = options,
	.examples = { { "bailey learn -- make install >policy.json",
			"what does this need beyond its workspace?" },
		      { "bailey learn --policy policy.json -- make install",
			"and beyond what was learnt already?" },
		      { "bailey learn --network allow -- npm ci >policy.json",
			"the public hosts of an installation, in one run" } },
	.statuses = { { "N", "the command's own, as of 'bailey run'" },
		      { "125", "there is no sandbox, and nothing ran" },
		      { "2", "wrong options or policy; nothing ran" } },
};

static bool is_secret(const struct policy_rule *rule)
{
	return rule && rule->layer == POLICY_BUILTIN &&
	       (rule->kind == POLICY_HIDE || rule->kind == POLICY_DENY_READ);
}

/* Whether @dir can be given without a home, or anything that the built-in rules keep from the command. */
static bool may(const void *arg, const char *dir)
{
	const struct sandbox *s = arg;
	size_t i;

	if (!dir[1] || (s->home && path_covers(dir, s->home)))
		return false;
	for (i = 0; i < s->policy.n; i++) {
		if (is_secret(&s->policy.rules[i]) && path_covers(dir, s->policy.rules[i].path))
			return false;
	}
	return true;
}

/* JSON has no other bytes. */
static bool is_utf8(const char *s)
{
	size_t n;

	for (; *s; s += n) {
		n = buf_utf8_len((const unsigned char *)s);
		if (n == 0)
			return false;
	}
	return true;
}

/* Why @x is not for a policy; NULL: it is. */
static const char *unfit(const struct learn *l, const struct sandbox *s,
			 const struct report_entry *x, bool write)
{
	/* what only its owner may read on the host, root's command gets by a grant alone */
	const bool owners = strcmp(x->judged.state, "mode") == 0;
	const bool secret = is_secret(x->judged.rule) || owners;

	if (!x->judged.option ||
	    strcmp(x->judged.option, write ? "--allow-write" : "--allow-read") != 0)
		return "";
	if (!is_utf8(x->grant))
		return "its name is not UTF-8";
	if (secret && !l->credentials)
		return owners ? "what only its owner may use is given with --credentials only" :
				"credentials are given with --credentials only";
	if (!secret && !may(s, x->grant))
		return "it would give a home, or credentials; make the file first, or use another directory";
	return NULL;
}

static void put_path(struct buf *b, const char *path, bool first)
{
	struct json j = { .out = b };

	buf_puts(b, first ? "\n      " : ",\n      ");
	if (!strpbrk(path, "*?[\\")) {
		json_str(&j, NULL, path);
		return;
	}
	json_open(&j, NULL, '{');
	json_str(&j, "path", path);
	json_bool(&j, "literal", true);
	json_close(&j, '}');
}

/* One key. Return: whether it has values. */
static bool put_key(struct learn *l, const struct sandbox *s, const struct report *r, bool write,
		    bool first)
{
	const char *paths[LIMIT_REPORTED];
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	size_t i, n = 0;
	int left, k;

	for (i = 0; i < r->n; i++) {
		if (!unfit(l, s, &r->entries[i], write))
			paths[n++] = r->entries[i].grant;
	}
	left = minimal_paths(paths, n, &a, may, s);
	if (left < 0)
		l->files.failed = true;
	if (left > 0) {
		buf_printf(&l->files, "%s\n    \"%s\": [", first ? "" : ",",
			   write ? "allowWrite" : "allowRead");
		for (k = 0; k < left; k++)
			put_path(&l->files, paths[k], k == 0);
		buf_puts(&l->files, "\n    ]");
	}
	arena_done(&a);
	return left > 0;
}

static void put_notes(struct learn *l, const struct sandbox *s, const struct report *r)
{
	struct buf *b = &l->notes;
	size_t i;

	if (!r->whole || r->unread)
		buf_puts(b, "bailey: learn: not everything that was denied was seen\n");
	for (i = 0; i < r->n; i++) {
		const struct report_entry *x = &r->entries[i];
		const bool write =
			x->judged.option && strcmp(x->judged.option, "--allow-write") == 0;
		const char *why = unfit(l, s, x, write);

		if (!why)
			continue;
		buf_puts(b, "bailey: learn: not in the policy");
		buf_printf(b, *why ? " (%s): " : "%s: ", why);
		judgement_text(&x->judged, x->op, x->path, x->grant, b);
	}
	if (r->more)
		buf_printf(
			b,
			"bailey: learn: and %llu more denials; learn again with the policy so far\n",
			(unsigned long long)r->more);
}

static void reported(void *arg, const struct report *r, const struct sandbox *s)
{
	struct learn *l = arg;
	bool any;

	put_notes(l, s, r);
	if (s->net.mode == NET_MODE_HOST)
		buf_puts(
			&l->notes,
			"bailey: learn: nothing of the network: the host's own has no log; --network allow has one\n");
	any = put_key(l, s, r, false, true);
	any = put_key(l, s, r, true, !any) || any;
	buf_puts(&l->files, any ? "\n  }" : "}");
}

static int on_line(void *arg, const struct audit_line *line)
{
	struct learn *l = arg;

	learn_hosts_line(l->hosts, line->text, line->len);
	return 0;
}

/* What the resolvers inside try, as they have the same file. */
static void read_search(struct learn_hosts *h)
{
	_cleanup_close_ int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	struct buf b = BUF_INIT(65536);

	if (fd >= 0 && fd_read_all(fd, &b) == 0 && b.data)
		learn_hosts_search(h, b.data, b.len);
	buf_done(&b);
}

static void networked(void *arg, int dir, int heads, const char *id)
{
	struct learn *l = arg;
	const char *why = NULL;
	struct err e = ERR_INIT;

	read_search(l->hosts);
	if (audit_read(dir, heads, id, on_line, l, NULL, &why, &e) < 0 || why)
		learn_hosts_lost(l->hosts);
}

/* All of it. */
static void put_policy(struct learn *l)
{
	struct buf network = BUF_INIT(LIMIT_OUTPUT);

	buf_puts(&l->out, "{\n  \"filesystem\": {");
	buf_add(&l->out, l->files.data, l->files.len);
	if (learn_hosts_policy(l->hosts, &network)) {
		buf_puts(&l->out, ",\n  ");
		buf_add(&l->out, network.data, network.len);
	}
	buf_puts(&l->out, "\n}\n");
	learn_hosts_notes(l->hosts, &l->notes);
	l->out.failed |= l->files.failed || network.failed;
	buf_done(&network);
}

/* The policy has stdout for itself. Return: stdout, kept from the command; or negative errno. */
static int take_stdout(void)
{
	int fd = fcntl(1, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	if (dup2(2, 1) >= 0)
		return fd;
	(void)close(fd);
	return -errno;
}

static int learn(struct sandbox_options *o, struct learn *l, char *const *argv, struct err *e)
{
	const struct run_reader reader = { .report = reported, .network = networked, .arg = l };
	_cleanup_close_ int out = -1;
	int r;

	if (o->explain || o->dry_run)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "%s runs nothing, and nothing is learnt of that: use bailey run",
			       o->explain ? "--explain" : "--dry-run");
	o->report = "reads";
	o->learn = true;
	l->hosts = learn_hosts_new();
	if (!l->hosts)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	out = take_stdout();
	if (out < 0)
		return err_sys(e, out, "stdout");
	r = run_to_end(o, argv, &reader, e);
	if (r < 0)
		return r;
	put_policy(l);
	if (l->notes.len)
		(void)fd_write_all(2, l->notes.data, l->notes.len); /* nobody is left to tell */
	if (dup2(out, 1) < 0)
		return err_sys(e, -errno, "stdout");
	return cli_print(&l->out) ? 125 : r;
}

int learn_main(char **argv)
{
	struct learn l = { .files = BUF_INIT(LIMIT_OUTPUT),
			   .out = BUF_INIT(LIMIT_OUTPUT),
			   .notes = BUF_INIT(LIMIT_OUTPUT) };
	struct sandbox_options o;
	struct opt table[LEARN_OPTIONS];
	struct err e = ERR_INIT;
	bool dashes;
	size_t rest;
	int r;

	fill(&o, &l.credentials, table);
	r = opt_parse(table, argv, &rest, &dashes, &e);
	if (r == 0 && (!argv[rest] || !dashes))
		r = err_set(&e, ERR_USAGE, -EINVAL,
			    "name the command after '--': bailey learn -- make install");
	if (r == 0)
		r = learn(&o, &l, argv + rest, &e);
	sandbox_options_done(&o);
	r = r < 0 ? cli_fail(&e) : r;
	l.hosts = learn_hosts_free(l.hosts);
	buf_done(&l.files);
	buf_done(&l.out);
	buf_done(&l.notes);
	return r;
}
