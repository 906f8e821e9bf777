/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The schema is data: a shape is a list of fields, a field says what its value must be. Unknown keys are passed over, as
 * srt does, but where a shape is strict. The schema nests five deep, so its walk may recurse. docs/adr/0020.
 */
#include "srt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "srt-read.h"

enum kind {
	BOOL,
	STRING,
	INT,
	OBJECT,
	LIST,   /* of field.item */
	RECORD, /* any keys; values are field.item */
	PATH,   /* a string, or {"path", "literal": true} */
	NEVER,  /* can't be said in a file */
};

#define REQUIRED 1u
#define FILLED 2u /* a string or list that is not empty */
#define ABSOLUTE 4u

struct field {
	const char *key;
	enum kind kind;
	unsigned int flags;
	long min,
		max; /* of an INT; max of a STRING in characters; of a LIST: exactly so many items */
	const char *words;                      /* of a STRING: "a|b" */
	const char *(*check)(const char *text); /* of a STRING */
	const struct field *item;               /* of LIST and RECORD */
	const struct shape *shape;              /* of OBJECT */
};

struct shape {
	const struct field *fields; /* the last one has no key */
	bool strict;                /* an unknown key is an error */
};

#define F(name, what, ...)                                   \
	{                                                    \
		.key = (name), .kind = (what), ##__VA_ARGS__ \
	}
#define SHAPE(name, is_strict, ...)                                                   \
	static const struct field name##_fields[] = { __VA_ARGS__, { .key = NULL } }; \
	static const struct shape name = { name##_fields, (is_strict) }

static const struct field text = { .kind = STRING };
static const struct field filled = { .kind = STRING, .flags = FILLED };
static const struct field path = { .kind = PATH };
static const struct field domain = { .kind = STRING, .check = srt_check_domain };
static const struct field allowed = { .kind = STRING, .check = srt_check_allowed_domain };
static const struct field denied = { .kind = STRING, .check = srt_check_denied_domain };
static const struct field address = { .kind = STRING, .check = srt_check_address };
static const struct field mach = { .kind = STRING, .check = srt_check_mach };
static const struct field texts = { .kind = LIST, .item = &text };
static const struct field low_high = { .kind = INT, .min = 1, .max = 65535 };

SHAPE(mitm, false, F("socketPath", STRING, .flags = REQUIRED | FILLED),
      F("domains", LIST, .flags = REQUIRED | FILLED, .item = &domain));
SHAPE(parent, false, F("http", STRING, .check = srt_check_url),
      F("https", STRING, .check = srt_check_url), F("noProxy", STRING));
SHAPE(tls, false, F("caCertPath", STRING, .flags = FILLED), F("caKeyPath", STRING, .flags = FILLED),
      F("excludeDomains", LIST, .item = &domain), F("extraCaCertPaths", LIST, .item = &filled),
      F("maxTunnels", INT, .min = 1, .max = 65536),
      F("handshakeTimeoutMs", INT, .min = 100, .max = 600000));
SHAPE(network, false, F("allowedDomains", LIST, .flags = REQUIRED, .item = &allowed),
      F("deniedDomains", LIST, .flags = REQUIRED, .item = &denied),
      F("deniedDomainReasons", RECORD, .item = &filled), F("strictAllowlist", BOOL),
      F("deniedResolvedAddresses", LIST, .item = &address),
      F("allowUnixSockets", LIST, .item = &text), F("allowAllUnixSockets", BOOL),
      F("allowLocalBinding", BOOL), F("allowMachLookup", LIST, .item = &mach),
      F("httpProxyPort", INT, .min = 1, .max = 65535),
      F("socksProxyPort", INT, .min = 1, .max = 65535), F("mitmProxy", OBJECT, .shape = &mitm),
      F("filterRequest", NEVER), F("allowPlaintextHeaderSet", BOOL),
      F("stripResponseHeaders", LIST, .item = &filled), F("refuseOpaqueTunnels", BOOL),
      F("requireHostMatch", BOOL),
      F("ambiguousRequestTarget", STRING, .words = "refuse|asSpelled|normalize"),
      F("tlsTerminate", OBJECT, .shape = &tls), F("parentProxy", OBJECT, .shape = &parent));
SHAPE(filesystem, false, F("disabled", BOOL), F("denyRead", LIST, .flags = REQUIRED, .item = &path),
      F("allowRead", LIST, .item = &path), F("allowWrite", LIST, .flags = REQUIRED, .item = &path),
      F("denyWrite", LIST, .flags = REQUIRED, .item = &path), F("allowGitConfig", BOOL));
SHAPE(literal, true, F("path", STRING, .flags = REQUIRED | FILLED),
      F("literal", BOOL, .flags = REQUIRED));
SHAPE(secret_file, false, F("path", STRING, .flags = REQUIRED | FILLED),
      F("mode", STRING, .flags = REQUIRED, .words = "deny|mask"),
      F("extract", STRING, .check = srt_check_regex),
      F("onExtractNoMatch", STRING, .words = "warn|deny|error"),
      F("decode", STRING, .words = "jwt"), F("maskClaims", LIST, .item = &filled),
      F("maskDuplicates", BOOL), F("injectHosts", LIST, .item = &domain));
SHAPE(secret_var, false, F("name", STRING, .flags = REQUIRED, .check = srt_check_variable),
      F("mode", STRING, .flags = REQUIRED, .words = "deny|mask"),
      F("extract", STRING, .check = srt_check_regex),
      F("onExtractNoMatch", STRING, .words = "warn|deny|error"),
      F("decode", STRING, .words = "jwt"), F("maskClaims", LIST, .item = &filled),
      F("injectHosts", LIST, .item = &domain));
SHAPE(aws_pair, true, F("accessKeyIdVar", STRING, .flags = REQUIRED, .check = srt_check_variable),
      F("secretAccessKeyVar", STRING, .flags = REQUIRED, .check = srt_check_variable),
      F("sessionTokenVar", STRING, .check = srt_check_variable));
SHAPE(sigv4, true, F("streaming", STRING, .words = "deny|passthrough"),
      F("presigned", STRING, .words = "deny|passthrough"),
      F("sigv4a", STRING, .words = "deny|passthrough"));
static const struct field file_item = { .kind = OBJECT, .shape = &secret_file };
static const struct field var_item = { .kind = OBJECT, .shape = &secret_var };
static const struct field pair_item = { .kind = OBJECT, .shape = &aws_pair };
SHAPE(credentials, true, F("files", LIST, .item = &file_item),
      F("envVars", LIST, .item = &var_item), F("allowPlaintextInject", BOOL),
      F("awsPairs", LIST, .item = &pair_item), F("sigv4", OBJECT, .shape = &sigv4));
SHAPE(ripgrep, false, F("command", STRING, .flags = REQUIRED), F("args", LIST, .item = &text),
      F("argv0", STRING));
SHAPE(seccomp, false, F("applyPath", STRING), F("argv0", STRING));
SHAPE(srt_win, false, F("path", STRING, .flags = REQUIRED | FILLED));
SHAPE(windows, false, F("backend", STRING, .words = "mxc|srt-win"),
      F("sandboxUser", STRING, .flags = FILLED, .max = 20),
      F("sublayerGuid", STRING, .check = srt_check_uuid),
      F("wfpSublayerGuid", STRING, .check = srt_check_uuid),
      F("proxyPortRange", LIST, .max = 2, .item = &low_high),
      F("srtWin", OBJECT, .shape = &srt_win));
SHAPE(git, false, F("safeDirectories", LIST, .item = &text));
SHAPE(top, false, F("network", OBJECT, .flags = REQUIRED, .shape = &network),
      F("filesystem", OBJECT, .flags = REQUIRED, .shape = &filesystem),
      F("credentials", OBJECT, .shape = &credentials),
      F("ignoreViolations", RECORD, .item = &texts), F("enableWeakerNestedSandbox", BOOL),
      F("allowNestedUserNamespaces", BOOL), F("enableWeakerNetworkIsolation", BOOL),
      F("allowAppleEvents", BOOL), F("ripgrep", OBJECT, .shape = &ripgrep),
      F("mandatoryDenySearchDepth", INT, .min = 1, .max = 10), F("allowPty", BOOL),
      F("seccomp", OBJECT, .shape = &seccomp), F("bwrapPath", STRING, .flags = FILLED | ABSOLUTE),
      F("socatPath", STRING, .flags = FILLED | ABSOLUTE),
      F("javaAgentJarPath", STRING, .flags = FILLED | ABSOLUTE),
      F("windows", OBJECT, .shape = &windows), F("git", OBJECT, .shape = &git));

int srt_bad(const struct srt_reader *r, const struct json_node *v, const char *fmt, ...)
{
	char key[128], what[320];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	json_key_path(v, key, sizeof(key));
	return err_set(r->e, ERR_POLICY, -EINVAL, "%s:%u:%u: %s%s%s", json_file_name(r->name),
		       v->line, v->column, key, *key ? ": " : "", what);
}

const struct json_node *srt_node(const struct json_node *object, const char *key)
{
	const struct json_node *k;

	for (k = object ? object->first : NULL; k; k = k->next) {
		if (strcmp(k->key, key) == 0)
			return k;
	}
	return NULL;
}

static int check_shape(const struct srt_reader *r, const struct json_node *v,
		       const struct shape *s);
static int check_value(const struct srt_reader *r, const struct json_node *v,
		       const struct field *f);

static int type(const struct srt_reader *r, const struct json_node *v, enum json_type want)
{
	return v->type == want ? 0 :
				 srt_bad(r, v, "expected %s, found %s", json_type_name(want),
					 json_type_name(v->type));
}

static bool one_of(const char *words, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = words; n > 0 && (p = strstr(p, word)); p++) {
		if ((p == words || p[-1] == '|') && (p[n] == '|' || !p[n]))
			return true;
	}
	return false;
}

/* Length as JavaScript counts: characters beyond the first plane are two. */
static long length(const char *s)
{
	long n = 0;

	for (; *s; s++)
		n += (((unsigned char)*s & 0xc0) != 0x80) + ((unsigned char)*s >= 0xf0);
	return n;
}

#define QUOTED 72u

/* How a message quotes @value: a URL, or what has an '@', may hold a password, and is not. */
static void quote(const char *value, const struct field *f, char out[QUOTED])
{
	*out = '\0';
	if (f->check != srt_check_url && !strchr(value, '@'))
		(void)snprintf(out, QUOTED, "'%.60s': ", value); /* fits */
}

static int check_string(const struct srt_reader *r, const struct json_node *v,
			const struct field *f)
{
	const char *why;
	char quoted[QUOTED];
	int ret = type(r, v, JSON_STRING);

	if (ret < 0)
		return ret;
	if ((f->flags & FILLED) && !*v->text)
		return srt_bad(r, v, "it is empty");
	if (f->max && length(v->text) > f->max)
		return srt_bad(r, v, "it is longer than %ld characters", f->max);
	quote(v->text, f, quoted);
	if ((f->flags & ABSOLUTE) && v->text[0] != '/')
		return srt_bad(r, v, "%sexpected an absolute path", quoted);
	if (f->words && !one_of(f->words, v->text))
		return srt_bad(r, v, "%sexpected one of %s", quoted, f->words);
	why = f->check ? f->check(v->text) : NULL;
	return why ? srt_bad(r, v, "%s%s", quoted, why) : 0;
}

static int check_int(const struct srt_reader *r, const struct json_node *v, const struct field *f)
{
	double d;
	int ret = type(r, v, JSON_NUMBER);

	if (ret < 0)
		return ret;
	d = strtod(v->text, NULL);
	if (!(d >= (double)f->min && d <= (double)f->max) || d != (double)(long)d)
		return srt_bad(r, v, "%.40s: expected a whole number from %ld to %ld", v->text,
			       f->min, f->max);
	return 0;
}

static int check_list(const struct srt_reader *r, const struct json_node *v, const struct field *f)
{
	const struct json_node *k;
	int ret = type(r, v, JSON_LIST);

	if (ret == 0 && (f->flags & FILLED) && v->n == 0)
		ret = srt_bad(r, v, "the list is empty");
	if (ret == 0 && f->max && v->n != (size_t)f->max)
		ret = srt_bad(r, v, "expected a list of %ld values", f->max);
	for (k = v->first; ret == 0 && k; k = k->next)
		ret = check_value(r, k, f->item);
	return ret;
}

static int check_path(const struct srt_reader *r, const struct json_node *v)
{
	int ret;

	if (v->type == JSON_STRING)
		return check_string(r, v, &filled);
	if (v->type != JSON_OBJECT)
		return srt_bad(
			r, v,
			"expected a path, or {\"path\": \"...\", \"literal\": true}, found %s",
			json_type_name(v->type));
	ret = check_shape(r, v, &literal);
	if (ret == 0 && !srt_node(v, "literal")->value)
		ret = srt_bad(r, srt_node(v, "literal"), "it can only be true");
	return ret;
}

static int check_value(const struct srt_reader *r, const struct json_node *v, const struct field *f)
{
	const struct json_node *k;
	int ret;

	switch (f->kind) {
	case BOOL:
		return type(r, v, JSON_BOOL);
	case STRING:
		return check_string(r, v, f);
	case INT:
		return check_int(r, v, f);
	case OBJECT:
		ret = type(r, v, JSON_OBJECT);
		return ret < 0 ? ret : check_shape(r, v, f->shape);
	case LIST:
		return check_list(r, v, f);
	case RECORD:
		ret = type(r, v, JSON_OBJECT);
		for (k = v->first; ret == 0 && k; k = k->next)
			ret = check_value(r, k, f->item);
		return ret;
	case PATH:
		return check_path(r, v);
	case NEVER:
		break;
	}
	return srt_bad(r, v, "a function can't be given in a file");
}

static int check_shape(const struct srt_reader *r, const struct json_node *v, const struct shape *s)
{
	const struct json_node *k;
	const struct field *f;
	int ret = 0;

	for (f = s->fields; ret == 0 && f->key; f++) {
		k = srt_node(v, f->key);
		if (k)
			ret = check_value(r, k, f);
		else if (f->flags & REQUIRED)
			ret = srt_bad(r, v, "the key '%s' is missing", f->key);
	}
	for (k = v->first; ret == 0 && s->strict && k; k = k->next) {
		for (f = s->fields; f->key && strcmp(f->key, k->key) != 0; f++)
			;
		if (!f->key)
			ret = srt_bad(r, k, "unknown key");
	}
	return ret;
}

static bool flag(const struct json_node *object, const char *key)
{
	const struct json_node *v = srt_node(object, key);

	return v && v->value;
}

static long number(const struct json_node *object, const char *key, long otherwise)
{
	const struct json_node *v = srt_node(object, key);

	return v ? (long)strtod(v->text, NULL) : otherwise;
}

static void read_network(struct srt_network *n, const struct json_node *o)
{
	const struct json_node *target = srt_node(o, "ambiguousRequestTarget");

	*n = (struct srt_network){
		.allowed = srt_node(o, "allowedDomains"),
		.denied = srt_node(o, "deniedDomains"),
		.denied_reasons = srt_node(o, "deniedDomainReasons"),
		.denied_addresses = srt_node(o, "deniedResolvedAddresses"),
		.unix_sockets = srt_node(o, "allowUnixSockets"),
		.strip_response_headers = srt_node(o, "stripResponseHeaders"),
		.mitm_proxy = srt_node(o, "mitmProxy"),
		.parent_proxy = srt_node(o, "parentProxy"),
		.tls_terminate = srt_node(o, "tlsTerminate"),
		.refuse_opaque_node = srt_node(o, "refuseOpaqueTunnels"),
		.ambiguous_target = target ? target->text : NULL,
		.http_proxy_port = number(o, "httpProxyPort", 0),
		.socks_proxy_port = number(o, "socksProxyPort", 0),
		.strict = flag(o, "strictAllowlist"),
		.all_unix_sockets = flag(o, "allowAllUnixSockets"),
		.local_binding = flag(o, "allowLocalBinding"),
		.refuse_opaque = flag(o, "refuseOpaqueTunnels"),
		.require_host_match = flag(o, "requireHostMatch"),
		.plaintext_header_set = flag(o, "allowPlaintextHeaderSet"),
	};
}

#define SEARCH_DEPTH 3

void srt_settings_default(struct srt_settings *s)
{
	static const struct json_node none = { .type = JSON_LIST };

	*s = (struct srt_settings){ .network = { .allowed = &none, .denied = &none },
				    .deny_read = &none,
				    .allow_write = &none,
				    .deny_write = &none,
				    .search_depth = SEARCH_DEPTH };
}

int srt_settings_read(struct srt_settings *ret, const char *name, const char *text_, size_t len,
		      struct arena *a, struct err *e)
{
	const struct srt_reader r = { .name = name, .e = e };
	const struct json_node *root = NULL, *fs, *creds;
	int n = json_read(name, text_, len, a, &root, e);

	if (n == 0)
		n = type(&r, root, JSON_OBJECT);
	if (n == 0)
		n = check_shape(&r, root, &top);
	if (n == 0)
		n = srt_refine(&r, root);
	if (n < 0)
		return n;
	fs = srt_node(root, "filesystem");
	creds = srt_node(root, "credentials");
	*ret = (struct srt_settings){
		.deny_read = srt_node(fs, "denyRead"),
		.allow_read = srt_node(fs, "allowRead"),
		.allow_write = srt_node(fs, "allowWrite"),
		.deny_write = srt_node(fs, "denyWrite"),
		.credential_files = srt_node(creds, "files"),
		.credential_vars = srt_node(creds, "envVars"),
		.credentials = creds,
		.safe_directories = srt_node(srt_node(root, "git"), "safeDirectories"),
		.ignored = srt_node(root, "ignoreViolations"),
		.search_depth = number(root, "mandatoryDenySearchDepth", SEARCH_DEPTH),
		.fs_disabled = flag(fs, "disabled"),
		.allow_git_config = flag(fs, "allowGitConfig"),
		.weaker_nested = flag(root, "enableWeakerNestedSandbox"),
		.userns = flag(root, "allowNestedUserNamespaces"),
	};
	read_network(&ret->network, srt_node(root, "network"));
	return 0;
}

const char *srt_path_entry(const struct json_node *entry, bool *ret_literal)
{
	const struct json_node *path_node;

	*ret_literal = entry->type == JSON_OBJECT;
	path_node = *ret_literal ? srt_node(entry, "path") : entry;
	return path_node ? path_node->text : ""; /* the schema asked for it */
}
