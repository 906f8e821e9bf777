/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A table says for each key what becomes of it: paths of a list, rules of a list, or a note when its value asks for
 * something that a native policy can't give. A denial that can't be said exactly is said more broadly; a grant is left out, with a note.
 */
#include "claude.h"

#include <errno.h>
#include <string.h>

#include "glob.h"
#include "policy.h"
#include "srt-read.h"

struct reader {
	struct srt_reader at;
	const struct claude_places *places;
	struct arena *arena;
	struct claude_value **value_end;
	struct claude_note **note_end;
};

static int oom(const struct reader *r)
{
	return err_set(r->at.e, ERR_SYSTEM, -ENOMEM, "out of memory for settings");
}

static int note(struct reader *r, const struct json_node *at, const char *why)
{
	struct claude_note *n = arena_alloc(r->arena, sizeof(*n));
	char key[160];

	json_key_path(at, key, sizeof(key));
	if (!n)
		return oom(r);
	*n = (struct claude_note){ .key = arena_strdup(r->arena, key),
				   .why = why,
				   .line = at->line,
				   .column = at->column };
	*r->note_end = n;
	r->note_end = &n->next;
	return n->key ? 0 : oom(r);
}

static int put(struct reader *r, const struct json_node *at, const char *key, const char *value,
	       bool literal)
{
	struct claude_value *v = arena_alloc(r->arena, sizeof(*v));

	if (!v || !value)
		return oom(r);
	*v = (struct claude_value){ .key = key,
				    .value = value,
				    .literal = literal,
				    .line = at->line,
				    .column = at->column };
	*r->value_end = v;
	r->value_end = &v->next;
	return 0;
}

static int want(const struct reader *r, const struct json_node *v, enum json_type type)
{
	return v->type == type ? 0 :
				 srt_bad(&r->at, v, "expected %s, found %s", json_type_name(type),
					 json_type_name(v->type));
}

static bool grants(const char *key)
{
	return strstr(key, ".allow") != NULL;
}

/* Without a "/" and "**" at the end: a directory with what is in it. */
static const char *stem(struct reader *r, const char *path)
{
	size_t n = strlen(path);
	char *s = arena_strdup(r->arena, path);

	if (s && n >= 3 && strcmp(s + n - 3, "/**") == 0)
		s[n -= 3] = '\0';
	while (s && n > 1 && s[n - 1] == '/')
		s[--n] = '\0';
	return s && !*s ? "/" : s;
}

/* @rest below @base, which is a directory's name even where @rest is a pattern; "" and "/": @rest is all. */
static const char *join(struct reader *r, const char *base, const char *rest, bool pattern)
{
	struct buf b = BUF_INIT(2ul * LIMIT_PATH);
	const char *s;

	if (!base[0] || !base[1])
		return rest;
	if (pattern)
		policy_glob_escape(&b, base);
	else
		buf_puts(&b, base);
	buf_puts(&b, strcmp(rest, "/") == 0 ? "" : rest);
	s = b.failed ? NULL : arena_strdup(r->arena, b.data);
	buf_done(&b);
	return s;
}

static bool is_root(const char *base, const char *rest)
{
	return (!base[0] || !base[1]) && strcmp(rest, "/") == 0;
}

/* The root directory itself must stay: what is in it is denied. */
static int put_root(struct reader *r, const struct json_node *v, const char *key)
{
	return grants(key) ? note(r, v, "the root directory as a whole can't be given") :
			     put(r, v, key, "/*", false);
}

/* A path of sandbox.filesystem, in srt's words. */
static int sandbox_entry(struct reader *r, const struct json_node *v, const char *key)
{
	const char *text = v->text, *base = "", *rest, *globs[SRT_GLOBS] = { NULL };
	int n, i, ret = want(r, v, JSON_STRING);

	if (ret < 0)
		return ret;
	if (!*text)
		return srt_bad(&r->at, v, "the path is empty");
	if (strncmp(text, "//", 2) == 0) {
		rest = text + 1;
	} else if (*text == '/' || strcmp(text, "~") == 0 || strncmp(text, "~/", 2) == 0) {
		rest = text;
	} else {
		base = r->places->root;
		rest = arena_printf(r->arena, "/%s", text + (strncmp(text, "./", 2) == 0 ? 2 : 0));
	}
	rest = rest ? stem(r, rest) : NULL;
	if (!rest)
		return oom(r);
	if (is_root(base, rest))
		return put_root(r, v, key);
	if (!srt_glob_special(rest))
		return put(r, v, key, join(r, base, rest, false), true);
	if (grants(key) && strstr(key, "Write"))
		return note(r, v, "a pattern makes nothing writable on Linux");
	n = srt_glob(rest, r->arena, globs);
	if (n < 0)
		return srt_bad(&r->at, v,
			       "the pattern can't be enforced: write \"**\" alone between slashes");
	for (i = 0; ret == 0 && i < n; i++)
		ret = put(r, v, key, join(r, base, globs[i], true), false);
	return ret;
}

static int entries(struct reader *r, const struct json_node *list, const char *key)
{
	const struct json_node *k;
	int ret = want(r, list, JSON_LIST);

	for (k = list->first; ret == 0 && k; k = k->next)
		ret = sandbox_entry(r, k, key);
	return ret;
}

/* The path of a permission rule: @text, up to the ")" at @end. */
static int rule_path(struct reader *r, const struct json_node *v, const char *key, const char *text,
		     size_t n)
{
	char *path = arena_printf(r->arena, "%.*s", (int)n, text);
	const char *base = "", *rest;
	bool special;

	if (!path)
		return oom(r);
	if (*path == '!')
		return note(r, v, "a rule that takes another one back can't be said");
	if (strncmp(path, "//", 2) == 0) {
		rest = path + 1;
	} else if (*path == '/') {
		base = r->places->root;
		rest = path;
	} else if (*path == '~') {
		rest = path;
	} else {
		base = r->places->cwd;
		rest = path + (strncmp(path, "./", 2) == 0 ? 2 : 0);
		/* a name alone stands at any depth, as in .gitignore; a grant means the one right here */
		if (!strchr(stem(r, rest) ? stem(r, rest) : "", '/') && !grants(key) &&
		    rest == path)
			rest = arena_printf(r->arena, "/**/%s", rest);
		else
			rest = arena_printf(r->arena, "/%s", rest);
	}
	rest = rest ? stem(r, rest) : NULL;
	if (!rest)
		return oom(r);
	if (is_root(base, rest))
		return put_root(r, v, key);
	special = policy_glob_special(rest);
	if (special && grants(key))
		return note(r, v, "a pattern makes nothing writable on Linux");
	return put(r, v, key, join(r, base, rest, special), !special);
}

static bool is_loopback(const struct net_rule *r)
{
	if (r->what == NET_RULE_CIDR)
		return net_addr_class(&r->addr) == NET_CLASS_LOOPBACK;
	return r->host && strcmp(r->host, "localhost") == 0;
}

/* What becomes of the rules of a tool. */
static const struct tool {
	const char *name;
	const char *allow, *deny; /* keys; NULL: nothing is needed */
	const char *why;          /* it is a note instead */
} tools[] = {
	{ "Read", NULL, "filesystem.denyRead", NULL },
	{ "Edit", "filesystem.allowWrite", "filesystem.denyWrite", NULL },
	{ "Write", "filesystem.allowWrite", "filesystem.denyWrite", NULL },
	{ "MultiEdit", "filesystem.allowWrite", "filesystem.denyWrite", NULL },
	{ "NotebookEdit", "filesystem.allowWrite", "filesystem.denyWrite", NULL },
	{ "WebFetch", "network.allowedDomains", "network.deniedDomains", NULL },
	{ "Bash", NULL, NULL, "which commands are called is no matter of a sandbox" },
};

/*
 * A host of a network list, @n bytes. There as here *.NAME is what is below NAME, and a denial wins. What is meant by a grant that can't be read is
 * left out; a denial must not be.
 */
static int host(struct reader *r, const struct json_node *v, const char *key, const char *text,
		size_t n)
{
	char rule_text[SRT_NET_TEXT];
	const char *entry = arena_printf(r->arena, "%.*s", (int)n, text);
	bool grant = grants(key);
	struct err why = ERR_INIT;
	struct net_rule rule;

	if (!entry)
		return oom(r);
	if (grant && *entry == '*' && (!entry[1] || entry[1] == ':'))
		return note(
			r, v,
			"every host can't be given by a settings file; --network allow is every public one");
	if (!*entry)
		return srt_bad(&r->at, v, "the host is empty");
	if (srt_net_host(entry, rule_text) < 0 ||
	    net_rule_parse(&rule, rule_text, grant, /* cidr= */ false, /* risky= */ false,
			   POLICY_COMMAND, "", NULL, r->arena, &why) < 0) {
		if (!grant)
			return srt_bad(&r->at, v, "%s", why.msg[0] ? why.msg : "expected a host");
		entry = arena_strdup(r->arena, why.msg[0] ? why.msg : "expected a host");
		return entry ? note(r, v, entry) : oom(r);
	}
	if (grant && is_loopback(&rule))
		return note(
			r, v,
			"the loopback inside is the sandbox's own; one port of this machine is --allow-host-port PORT");
	return put(r, v, key, arena_strdup(r->arena, rule_text), false);
}

/* "WebFetch(domain:HOST)" */
static int fetch(struct reader *r, const struct json_node *v, const char *key, const char *text,
		 size_t n)
{
	static const char prefix[] = "domain:";
	const size_t len = sizeof(prefix) - 1;

	if (n < len || memcmp(text, prefix, len) != 0)
		return note(r, v, "only a rule of a domain can be said: WebFetch(domain:NAME)");
	return host(r, v, key, text + len, n - len);
}

static int rule(struct reader *r, const struct json_node *v, bool allow)
{
	size_t n, i, len;
	const char *key;
	int ret = want(r, v, JSON_STRING);

	if (ret < 0)
		return ret;
	n = strcspn(v->text, "(");
	len = strlen(v->text);
	for (i = 0; i < ARRAY_SIZE(tools); i++) {
		if (strlen(tools[i].name) == n && memcmp(tools[i].name, v->text, n) == 0)
			break;
	}
	if (i == ARRAY_SIZE(tools))
		return note(r, v, "rules of this tool are no matter of a sandbox");
	if (tools[i].why)
		return note(r, v, tools[i].why);
	key = allow ? tools[i].allow : tools[i].deny;
	if (!key)
		return 0; /* everything can be read */
	if (n == len || strcmp(v->text + n, "(*)") == 0 || strcmp(v->text + n, "(**)") == 0)
		return note(r, v,
			    strncmp(key, "network", 7) == 0 ?
				    "only a rule of a domain can be said: WebFetch(domain:NAME)" :
				    "a rule without a path would be about the whole machine");
	if (v->text[len - 1] != ')' || len - n < 3)
		return srt_bad(&r->at, v, "expected TOOL(PATH)");
	return (strncmp(key, "network", 7) == 0 ? fetch : rule_path)(r, v, key, v->text + n + 1,
								     len - n - 2);
}

static int rules(struct reader *r, const struct json_node *list, bool allow)
{
	const struct json_node *k;
	int ret = want(r, list, JSON_LIST);

	for (k = list->first; ret == 0 && k; k = k->next)
		ret = rule(r, k, allow);
	return ret;
}

/* permissions.additionalDirectories */
static int directories(struct reader *r, const struct json_node *list)
{
	const struct json_node *k;
	int ret = want(r, list, JSON_LIST);

	for (k = list->first; ret == 0 && k; k = k->next) {
		ret = want(r, k, JSON_STRING);
		if (ret < 0)
			return ret;
		ret = put(r, k, "filesystem.allowWrite",
			  k->text[0] == '/' || k->text[0] == '~' ?
				  stem(r, k->text) :
				  stem(r, arena_printf(r->arena, "%s/%s", r->places->cwd, k->text)),
			  true);
	}
	return ret;
}

static int secret_file(struct reader *r, const struct json_node *entry)
{
	const struct json_node *path, *mode;
	int ret = want(r, entry, JSON_OBJECT);

	if (ret < 0)
		return ret;
	path = srt_node(entry, "path");
	mode = srt_node(entry, "mode");
	if (!path || !mode)
		return srt_bad(&r->at, entry, "expected 'path' and 'mode'");
	ret = want(r, mode, JSON_STRING);
	if (ret == 0)
		ret = sandbox_entry(r, path, "filesystem.denyRead");
	if (ret == 0 && strcmp(mode->text, "mask") == 0)
		ret = note(r, entry,
			   "it is denied: nothing in this release could put the real value in");
	return ret;
}

static int secret_var(struct reader *r, const struct json_node *entry)
{
	const struct json_node *name;
	int ret = want(r, entry, JSON_OBJECT);

	if (ret < 0)
		return ret;
	name = srt_node(entry, "name");
	if (!name || name->type != JSON_STRING || srt_check_variable(name->text))
		return srt_bad(&r->at, entry, "expected 'name', the name of a variable");
	if (policy_env_secret(name->text, ""))
		return 0; /* it stays outside by its name */
	ret = put(r, name, "environment.set", arena_printf(r->arena, "%s=", name->text), false);
	return ret < 0 ? ret : note(r, entry, "the variable is empty inside, not absent");
}

static int each(struct reader *r, const struct json_node *list,
		int (*fn)(struct reader *, const struct json_node *))
{
	const struct json_node *k;
	int ret = want(r, list, JSON_LIST);

	for (k = list->first; ret == 0 && k; k = k->next)
		ret = fn(r, k);
	return ret;
}

/* Keys whose value may ask for what a policy can't say. A list or object asks when it is not empty, a bool when it is @asks. */
static const struct missing {
	const char *group, *key;
	bool asks;
	const char *why;
} missing[] = {
	{ "sandbox", "enabled", false, "a run is always in a sandbox" },
	{ "sandbox", "allowUnsandboxedCommands", true, "no command leaves the sandbox" },
	{ "sandbox", "excludedCommands", true, "no command leaves the sandbox" },
	{ "sandbox", "enableWeakerNestedSandbox", true,
	  "that is an option: --allow-degraded=proc" },
	{ "sandbox", "allowNestedUserNamespaces", true, "that can't be given by a file" },
	{ "network", "allowAllUnixSockets", true,
	  "sockets are given one by one: --allow-socket PATH" },
	{ "network", "allowUnixSockets", true,
	  "it has no effect on Linux; --allow-socket PATH gives one" },
	{ "network", "allowMachLookup", true, "it has no effect on Linux" },
	{ "network", "allowManagedDomainsOnly", true,
	  "the layers of policy files decide that (bailey-policy(5))" },
	{ "network", "httpProxyPort", true,
	  "the proxy inside is bailey's own; one of yours is used when http_proxy and https_proxy name it" },
	{ "network", "socksProxyPort", true,
	  "the proxy inside is bailey's own; one of yours is used when http_proxy and https_proxy name it" },
	{ "network", "tlsTerminate", true, "TLS is judged by its server name, and not ended" },
	{ "filesystem", "disabled", true, "the file system is always under rules" },
	{ "filesystem", "allowManagedReadPathsOnly", true,
	  "the layers of policy files decide that (bailey-policy(5))" },
	{ "permissions", "ask", true, "nobody is asked during a run" },
	{ "permissions", "defaultMode", true,
	  "which calls are asked for is no matter of a sandbox" },
	{ "permissions", "blockReadsOutsideWorkingDirectories", true,
	  "deny what must not be read: --deny-read, --hide" },
};

static bool asks(const struct json_node *v, bool when)
{
	switch (v->type) {
	case JSON_BOOL:
		return v->value == when;
	case JSON_LIST:
	case JSON_OBJECT:
		return v->n > 0;
	case JSON_NULL:
		return false;
	case JSON_NUMBER:
	case JSON_STRING:
		break;
	}
	return true;
}

static int say_missing(struct reader *r, const char *group, const struct json_node *object)
{
	const struct json_node *v;
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < ARRAY_SIZE(missing); i++) {
		v = strcmp(missing[i].group, group) == 0 ? srt_node(object, missing[i].key) : NULL;
		if (v && asks(v, missing[i].asks))
			ret = note(r, v, missing[i].why);
	}
	return ret;
}

static int read_filesystem(struct reader *r, const struct json_node *fs)
{
	static const char *const lists[][2] = { { "allowWrite", "filesystem.allowWrite" },
						{ "denyWrite", "filesystem.denyWrite" },
						{ "allowRead", "filesystem.allowRead" },
						{ "denyRead", "filesystem.denyRead" } };
	const struct json_node *v;
	size_t i;
	int ret = fs ? want(r, fs, JSON_OBJECT) : 0;

	for (i = 0; ret == 0 && i < ARRAY_SIZE(lists); i++) {
		v = srt_node(fs, lists[i][0]);
		if (v)
			ret = entries(r, v, lists[i][1]);
	}
	return ret < 0 ? ret : say_missing(r, "filesystem", fs);
}

static int domains(struct reader *r, const struct json_node *list, const char *key)
{
	const struct json_node *k;
	int ret = want(r, list, JSON_LIST);

	for (k = list->first; ret == 0 && k; k = k->next) {
		ret = want(r, k, JSON_STRING);
		if (ret == 0)
			ret = host(r, k, key, k->text, strlen(k->text));
	}
	return ret;
}

static int read_network(struct reader *r, const struct json_node *network)
{
	const struct json_node *v;
	int ret = network ? want(r, network, JSON_OBJECT) : 0;

	if (ret == 0 && (v = srt_node(network, "allowedDomains")))
		ret = domains(r, v, "network.allowedDomains");
	if (ret == 0 && (v = srt_node(network, "deniedDomains")))
		ret = domains(r, v, "network.deniedDomains");
	return ret < 0 ? ret : say_missing(r, "network", network);
}

static int read_sandbox(struct reader *r, const struct json_node *box)
{
	const struct json_node *creds, *v;
	int ret = box ? want(r, box, JSON_OBJECT) : 0;

	if (ret < 0)
		return ret;
	creds = srt_node(box, "credentials");
	ret = say_missing(r, "sandbox", box);
	if (ret == 0)
		ret = read_filesystem(r, srt_node(box, "filesystem"));
	if (ret == 0)
		ret = read_network(r, srt_node(box, "network"));
	if (ret == 0 && creds)
		ret = want(r, creds, JSON_OBJECT);
	v = srt_node(creds, "files");
	if (ret == 0 && v)
		ret = each(r, v, secret_file);
	v = srt_node(creds, "envVars");
	return ret == 0 && v ? each(r, v, secret_var) : ret;
}

static int read_permissions(struct reader *r, const struct json_node *p)
{
	const struct json_node *v;
	int ret = p ? want(r, p, JSON_OBJECT) : 0;

	if (ret == 0 && (v = srt_node(p, "allow")))
		ret = rules(r, v, true);
	if (ret == 0 && (v = srt_node(p, "deny")))
		ret = rules(r, v, false);
	if (ret == 0 && (v = srt_node(p, "additionalDirectories")))
		ret = directories(r, v);
	return ret < 0 ? ret : say_missing(r, "permissions", p);
}

int claude_settings_read(struct claude_settings *ret, const char *name, const char *text,
			 size_t len, const struct claude_places *places, struct arena *a,
			 struct err *e)
{
	struct claude_settings s = { .values = NULL };
	struct reader r = { .at = { .name = name, .e = e },
			    .places = places,
			    .arena = a,
			    .value_end = &s.values,
			    .note_end = &s.notes };
	const struct json_node *root = NULL;
	int n = json_read(name, text, len, a, &root, e);

	if (n == 0)
		n = want(&r, root, JSON_OBJECT);
	if (n == 0)
		n = read_sandbox(&r, srt_node(root, "sandbox"));
	if (n == 0)
		n = read_permissions(&r, srt_node(root, "permissions"));
	if (n == 0)
		*ret = s;
	return n;
}
