/* SPDX-License-Identifier: Apache-2.0 */
/* A kept secret as JSON and as a value. No message quotes a value: messages reach terminals and logs. */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policy/policy.h"

#define TOKEN_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-_"
#define EXPIRES_EARLY 60 /* seconds: a request must still get there */

static const char *const carriers[SECRET_CARRIER_NUM] = {
	[SECRET_HEADER] = "header",     [SECRET_QUERY] = "query", [SECRET_BASIC] = "basic",
	[SECRET_ANYWHERE] = "anywhere", [SECRET_AWS] = "aws",
};

const char *secret_carrier_name(enum secret_carrier c)
{
	return carriers[c];
}

int secret_name_check(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n < 1 || n > SECRET_NAME_MAX || name[strspn(name, TOKEN_CHARS ".")] ||
	    strchr("-_.", name[0]))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"'%.80s' is no name for a secret: 1 to %u of a-z 0-9 . _ -, a letter or digit first",
			name, SECRET_NAME_MAX);
	return 0;
}

static bool printable(const char *s)
{
	const char *at = s;

	for (; *at; at++) {
		if (*at < 0x20 || *at > 0x7e)
			return false;
	}
	return at != s && s[0] != ' ' && at[-1] != ' ';
}

/* What frames, routes or ends at a connection is no place for a secret. */
static bool header_possible(const char *s)
{
	static const char *const taken[] = { "host",
					     "content-length",
					     "transfer-encoding",
					     "connection",
					     "te",
					     "trailer",
					     "upgrade",
					     "expect",
					     "keep-alive",
					     "accept-encoding",
					     "range",
					     "if-range",
					     "content-type",
					     "cookie" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(taken); i++) {
		if (strcmp(s, taken[i]) == 0)
			return false;
	}
	return strncmp(s, "proxy-", 6) != 0 && strncmp(s, "sec-", 4) != 0 && strlen(s) <= 64 &&
	       s[0] && !s[strspn(s, TOKEN_CHARS)];
}

static int check_format(const char *f, struct err *e)
{
	const char *hole = f ? strstr(f, "{}") : NULL;

	if (!hole || strstr(hole + 2, "{}") || !printable(f) || strlen(f) > 128)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"the format of a header is printable text with one {} for the value, as 'Bearer {}'");
	return 0;
}

static int check_carrier(const struct secret *s, struct err *e)
{
	const char *f = s->field ? s->field : "";

	switch (s->carrier) {
	case SECRET_HEADER:
		if (!header_possible(f))
			return err_set(e, ERR_USAGE, -EINVAL,
				       "'%.80s' is no header that could carry a secret", f);
		return check_format(s->format, e);
	case SECRET_QUERY:
		if (!*f || strlen(f) > 64 ||
		    f[strspn(f, TOKEN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ.~")])
			return err_set(e, ERR_USAGE, -EINVAL, "'%.80s' is no field of a query", f);
		return 0;
	case SECRET_BASIC:
		if (!printable(f) || strchr(f, ':') || strlen(f) > 128)
			return err_set(e, ERR_USAGE, -EINVAL,
				       "'%.80s' is no user of Basic authentication", f);
		return 0;
	case SECRET_AWS:
		if (!s->service)
			return err_set(e, ERR_USAGE, -EINVAL, "aws is a service");
		return 0;
	case SECRET_ANYWHERE:
	case SECRET_CARRIER_NUM:
		break;
	}
	return 0;
}

static int check_host(const char *host, struct err *e)
{
	struct arena a = ARENA_INIT(65536);
	struct net_rule rule;
	int r = net_rule_parse(&rule, host, true, false, false, POLICY_COMMAND, "--host", NULL, &a,
			       e);

	if (r == 0 &&
	    ((rule.what != NET_RULE_HOST && rule.what != NET_RULE_SUBDOMAINS) || rule.port))
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "'%.100s': a secret is bound to a name or *.name, without a port",
			    host);
	else if (r == 0 && strcmp(rule.host, host + (rule.what == NET_RULE_HOST ? 0 : 2)) != 0)
		r = err_set(e, ERR_USAGE, -EINVAL, "'%.100s': write it as '%.100s'", host,
			    rule.host);
	arena_done(&a);
	return r;
}

static int check_variable(const char *v, struct err *e)
{
	if (!*v || strlen(v) > 64 || strchr("0123456789", *v) ||
	    v[strspn(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")])
		return err_set(e, ERR_USAGE, -EINVAL, "'%.80s' is no name of a variable", v);
	return 0;
}

static int check_scope(const char *v, struct err *e)
{
	if (!*v || strlen(v) > 64 || v[strspn(v, TOKEN_CHARS)])
		return err_set(e, ERR_USAGE, -EINVAL, "'%.80s' is no region or service of AWS", v);
	return 0;
}

static int check_list(const struct secret_list *l, int (*check)(const char *, struct err *),
		      const char *what, struct err *e)
{
	size_t i, k;
	int r = 0;

	for (i = 0; r == 0 && i < l->n; i++) {
		r = check(l->v[i], e);
		for (k = 0; r == 0 && k < i; k++) {
			if (strcmp(l->v[i], l->v[k]) == 0)
				r = err_set(e, ERR_USAGE, -EINVAL, "'%.100s' stands there twice",
					    l->v[i]);
		}
	}
	return r < 0 ? err_wrap(e, r, "%s", what) : 0;
}

static int check_value(const struct secret *s, struct err *e)
{
	size_t n = s->value ? strlen(s->value) : 0;

	if (!s->value)
		return s->command ? 0 :
				    err_set(e, ERR_USAGE, -EINVAL,
					    "there is neither a value nor a command");
	if (n < SECRET_VALUE_MIN || n > SECRET_VALUE_MAX)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"the value has %zu bytes; at least %u, or it couldn't be told from other text in answers, and at most %u",
			n, SECRET_VALUE_MIN, SECRET_VALUE_MAX);
	if (!printable(s->value) || (s->token && !printable(s->token)))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"the value must be printable ASCII without line breaks, and without blanks at its ends");
	if ((s->carrier == SECRET_AWS) != (s->id != NULL) || (s->token && !s->id))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "only the keys of AWS have an id, and they need it");
	if (s->id && (strlen(s->id) < 16 || strlen(s->id) > 128 ||
		      s->id[strspn(s->id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")]))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "the access key's id must be 16 to 128 of A-Z 0-9 _");
	if (s->token &&
	    (strlen(s->token) < SECRET_VALUE_MIN || strlen(s->token) > SECRET_VALUE_MAX))
		return err_set(e, ERR_USAGE, -EINVAL, "the session token is too short or too long");
	return 0;
}

int secret_check(const struct secret *s, struct err *e)
{
	int r = secret_name_check(s->name, e);

	if (r == 0 && s->service && !secret_service(s->service))
		r = err_set(e, ERR_USAGE, -EINVAL, "'%.80s' is no service that is known",
			    s->service);
	if (r == 0 && !s->service)
		r = check_carrier(s, e);
	if (r == 0 && !s->service && s->hosts.n == 0)
		r = err_set(e, ERR_USAGE, -EINVAL, "a secret is bound to hosts: --host");
	if (r == 0)
		r = check_list(&s->hosts, check_host, "hosts", e);
	if (r == 0)
		r = check_list(&s->variables, check_variable, "variables", e);
	if (r == 0)
		r = check_list(&s->regions, check_scope, "regions", e);
	if (r == 0)
		r = check_list(&s->aws, check_scope, "services", e);
	if (r == 0 && s->carrier != SECRET_AWS && s->regions.n + s->aws.n > 0)
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "only the keys of AWS have regions and services");
	if (r == 0 && s->command && (!*s->command || strlen(s->command) > LIMIT_PATH))
		r = err_set(e, ERR_USAGE, -EINVAL, "the command is empty or too long");
	return r == 0 ? check_value(s, e) : r;
}

struct secret_list secret_hosts(const struct secret *s)
{
	const struct secret_service *service = s->service ? secret_service(s->service) : NULL;
	struct secret_list l = s->hosts;

	for (; service && s->hosts.n == 0 && service->hosts[l.n]; l.n++)
		l.v[l.n] = service->hosts[l.n];
	return l;
}

struct secret_list secret_variables(const struct secret *s)
{
	const struct secret_service *service = s->service ? secret_service(s->service) : NULL;
	struct secret_list l = s->variables;

	for (; service && s->variables.n == 0 && service->variables[l.n]; l.n++)
		l.v[l.n] = service->variables[l.n];
	return l;
}

bool secret_expired(const struct secret *s, int64_t now)
{
	/* a command that doesn't say how long is asked each time */
	return s->command && (!s->value || s->expires <= now + EXPIRES_EARLY);
}

int64_t secret_due(const struct secret *s)
{
	int64_t life = s->expires - s->changed, early = EXPIRES_EARLY;

	if (!s->command || (s->value && s->expires == 0))
		return 0;
	if (!s->value)
		return 1;
	/* of what holds for a minute half is used */
	if (life < 2 * early)
		early = life > 0 ? life / 2 : 0;
	return s->expires - early > 0 ? s->expires - early : 1;
}

/* --- the record ------------------------------------------------------------------------------------------------------------------- */

struct part {
	const char *key;
	enum json_type type;
};

static const struct part parts[] = {
	{ "version", JSON_NUMBER }, { "name", JSON_STRING },    { "service", JSON_STRING },
	{ "carrier", JSON_STRING }, { "field", JSON_STRING },   { "format", JSON_STRING },
	{ "hosts", JSON_LIST },     { "variables", JSON_LIST }, { "regions", JSON_LIST },
	{ "services", JSON_LIST },  { "value", JSON_STRING },   { "id", JSON_STRING },
	{ "token", JSON_STRING },   { "command", JSON_STRING }, { "expires", JSON_NUMBER },
	{ "created", JSON_NUMBER }, { "changed", JSON_NUMBER },
};

/* A whole number that is not negative. Return: -1: it is none. */
static int64_t number(const char *text)
{
	int64_t v = 0;

	if (!text || !*text || text[strspn(text, "0123456789")] || strlen(text) > 15)
		return -1;
	for (; *text; text++)
		v = v * 10 + (*text - '0');
	return v;
}

static int take_list(const struct json_node *o, const char *key, struct secret_list *l,
		     struct err *e)
{
	const struct json_node *list = json_member(o, key), *n;

	if (list && list->n > SECRET_LIST_MAX)
		return err_set(e, ERR_USAGE, -E2BIG, "%s: more than %u", key, SECRET_LIST_MAX);
	for (n = list ? list->first : NULL; n; n = n->next) {
		if (n->type != JSON_STRING)
			return err_set(e, ERR_USAGE, -EINVAL, "%s: expected strings", key);
		l->v[l->n++] = n->text;
	}
	return 0;
}

static int check_parts(const struct json_node *o, struct err *e)
{
	const struct json_node *n;
	size_t i;

	if (o->type != JSON_OBJECT)
		return err_set(e, ERR_USAGE, -EINVAL, "expected an object");
	for (n = o->first; n; n = n->next) {
		for (i = 0; i < ARRAY_SIZE(parts) && strcmp(parts[i].key, n->key) != 0; i++)
			;
		if (i == ARRAY_SIZE(parts))
			return err_set(e, ERR_USAGE, -EINVAL, "'%.40s' is no part of a record",
				       n->key);
		if (n->type != parts[i].type)
			return err_set(e, ERR_USAGE, -EINVAL, "%s: expected %s", n->key,
				       json_type_name(parts[i].type));
		if (n->type == JSON_NUMBER && number(n->text) < 0)
			return err_set(e, ERR_USAGE, -EINVAL, "%s: expected a whole number",
				       n->key);
	}
	if (number(json_text(o, "version")) != 1)
		return err_set(e, ERR_USAGE, -EINVAL, "version: expected 1");
	return 0;
}

static int take_carrier(const struct json_node *o, struct secret *s, struct err *e)
{
	const char *text = json_text(o, "carrier");
	size_t i;

	for (i = 0; text && i < SECRET_CARRIER_NUM; i++) {
		if (strcmp(text, carriers[i]) == 0) {
			s->carrier = (enum secret_carrier)i;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, -EINVAL,
		       "carrier: expected header, query, basic, anywhere or aws");
}

int secret_parse(struct secret *ret, const char *name, const char *text, size_t len,
		 struct arena *a, struct err *e)
{
	struct secret s = { .name = NULL };
	const struct json_node *o = NULL;
	struct err quoted = ERR_INIT;
	int r;

	if (len > SECRET_RECORD_MAX)
		return err_set(e, ERR_USAGE, -E2BIG, "%s: the record is too long", name);
	/* what the reader would say could quote the value */
	r = json_read(name, text, len, a, &o, &quoted);
	if (r < 0)
		return err_set(e, ERR_USAGE, r, "%s: the record is not what was written", name);
	r = check_parts(o, e);
	if (r == 0)
		r = take_carrier(o, &s, e);
	if (r == 0)
		r = take_list(o, "hosts", &s.hosts, e);
	if (r == 0)
		r = take_list(o, "variables", &s.variables, e);
	if (r == 0)
		r = take_list(o, "regions", &s.regions, e);
	if (r == 0)
		r = take_list(o, "services", &s.aws, e);
	if (r < 0)
		return err_wrap(e, r, "%s", name);
	s.name = json_text(o, "name");
	if (!s.name || strcmp(s.name, name) != 0)
		return err_set(e, ERR_USAGE, -EINVAL, "%s: it is the record of another secret",
			       name);
	s.service = json_text(o, "service");
	s.field = json_text(o, "field");
	s.format = json_text(o, "format");
	if (s.service && secret_service(s.service))
		s.carrier = secret_service(s.service)->ways[0].carrier;
	s.value = json_text(o, "value");
	s.id = json_text(o, "id");
	s.token = json_text(o, "token");
	s.command = json_text(o, "command");
	s.expires = number(json_text(o, "expires"));
	s.created = number(json_text(o, "created"));
	s.changed = number(json_text(o, "changed"));
	s.expires = s.expires < 0 ? 0 : s.expires;
	s.created = s.created < 0 ? 0 : s.created;
	s.changed = s.changed < 0 ? 0 : s.changed;
	r = secret_check(&s, e);
	if (r < 0)
		return err_wrap(e, r, "%s", name);
	*ret = s;
	return 0;
}

static void print_list(struct json *j, const char *key, const struct secret_list *l)
{
	size_t i;

	if (l->n == 0)
		return;
	json_open(j, key, '[');
	for (i = 0; i < l->n; i++)
		json_str(j, NULL, l->v[i]);
	json_close(j, ']');
}

static void print_text(struct json *j, const char *key, const char *text)
{
	if (text)
		json_str(j, key, text);
}

void secret_print(const struct secret *s, struct buf *b)
{
	struct json j = { .out = b };

	json_open(&j, NULL, '{');
	json_int(&j, "version", 1);
	json_str(&j, "name", s->name);
	print_text(&j, "service", s->service);
	json_str(&j, "carrier", carriers[s->carrier]);
	print_text(&j, "field", s->field);
	print_text(&j, "format", s->format);
	print_list(&j, "hosts", &s->hosts);
	print_list(&j, "variables", &s->variables);
	print_list(&j, "regions", &s->regions);
	print_list(&j, "services", &s->aws);
	print_text(&j, "value", s->value);
	print_text(&j, "id", s->id);
	print_text(&j, "token", s->token);
	print_text(&j, "command", s->command);
	if (s->expires)
		json_int(&j, "expires", s->expires);
	json_int(&j, "created", s->created);
	json_int(&j, "changed", s->changed);
	json_close(&j, '}');
}

/* --- values ----------------------------------------------------------------------------------------------------------------------- */

/* Exactly @n digits. */
static bool digits(const char **s, size_t n, int *ret)
{
	int v = 0;

	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = v * 10 + (**s - '0');
	}
	*ret = v;
	return true;
}

/* Z, +HH:MM or -HH:MM, to the end. */
static bool zone(const char *s, int64_t *ret)
{
	int h, m, sign = *s == '-' ? -1 : 1;

	*ret = 0;
	if ((*s == 'Z' || *s == 'z') && !s[1])
		return true;
	if (*s != '+' && *s != '-')
		return false;
	s++;
	if (!digits(&s, 2, &h) || *s++ != ':' || !digits(&s, 2, &m) || *s || h > 23 || m > 59)
		return false;
	*ret = (int64_t)sign * (h * 3600 + m * 60);
	return true;
}

int64_t secret_time(const char *text)
{
	struct tm t = { .tm_sec = 0 };
	int64_t v = number(text), off;
	const char *s = text;

	if (v >= 0)
		return v;
	if (!digits(&s, 4, &t.tm_year) || *s++ != '-' || !digits(&s, 2, &t.tm_mon) || *s++ != '-' ||
	    !digits(&s, 2, &t.tm_mday) || (*s != 'T' && *s != 't' && *s != ' '))
		return -1;
	s++;
	if (!digits(&s, 2, &t.tm_hour) || *s++ != ':' || !digits(&s, 2, &t.tm_min) || *s++ != ':' ||
	    !digits(&s, 2, &t.tm_sec))
		return -1;
	if (*s == '.') {
		if (!strspn(s + 1, "0123456789"))
			return -1;
		s += 1 + strspn(s + 1, "0123456789");
	}
	if (t.tm_year < 1970 || t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 ||
	    t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60 || !zone(s, &off))
		return -1;
	t.tm_year -= 1900;
	t.tm_mon--;
	return (int64_t)timegm(&t) - off;
}

static const char *copy(const char *p, size_t n, struct arena *a)
{
	char *s = arena_alloc(a, n + 1);

	if (s)
		memcpy(s, p, n);
	return s;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

/* ID:SECRET[:TOKEN] */
static int take_pair(struct secret *s, const char *text, size_t len, struct arena *a, struct err *e)
{
	const char *first = memchr(text, ':', len), *second;
	size_t left;

	if (!first)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"keys of AWS are given as ID:SECRET[:TOKEN], or as the object that 'aws configure export-credentials' prints");
	left = len - (size_t)(first + 1 - text);
	second = memchr(first + 1, ':', left);
	s->id = copy(text, (size_t)(first - text), a);
	s->value = copy(first + 1, second ? (size_t)(second - first - 1) : left, a);
	s->token = second ? copy(second + 1, len - (size_t)(second + 1 - text), a) : NULL;
	if (!s->id || !s->value || (second && !s->token))
		return no_memory(e);
	return 0;
}

/* Return: 1 for an object that was taken, 0 for text that is none. */
static int take_object(struct secret *s, const char *text, size_t len, int64_t now, struct arena *a,
		       struct err *e)
{
	const struct json_node *o = NULL, *when;
	struct err quoted = ERR_INIT;
	bool aws = s->carrier == SECRET_AWS;
	const char *value;
	int64_t t = 0;

	/* a copy: it must end with a NUL */
	text = copy(text, len, a);
	if (!text)
		return no_memory(e);
	if (json_read("value", text, len, a, &o, &quoted) < 0 || o->type != JSON_OBJECT)
		return aws ? err_set(e, ERR_USAGE, -EINVAL,
				     "the value begins with { and is no JSON object") :
			     0;
	value = json_text(o, aws ? "SecretAccessKey" : "value");
	if (!value || json_member(o, aws ? "SecretAccessKey" : "value")->type != JSON_STRING ||
	    (aws && (!json_member(o, "AccessKeyId") ||
		     json_member(o, "AccessKeyId")->type != JSON_STRING)))
		return err_set(e, ERR_USAGE, -EINVAL, "the object has no %s that is a string",
			       aws ? "AccessKeyId and SecretAccessKey" : "\"value\"");
	when = json_member(o, aws ? "Expiration" : "expires");
	if (when && when->type != JSON_NULL)
		t = when->type == JSON_STRING || when->type == JSON_NUMBER ?
			    secret_time(when->text) :
			    -1;
	when = aws ? NULL : json_member(o, "expires_in");
	if (when && t == 0)
		t = when->type == JSON_NUMBER && number(when->text) >= 0 ?
			    now + number(when->text) :
			    -1;
	if (t < 0)
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"the time at which it expires can't be read: expected RFC 3339 or seconds");
	s->value = value;
	s->expires = t;
	if (aws) {
		const struct json_node *token = json_member(o, "SessionToken");

		s->id = json_text(o, "AccessKeyId");
		s->token = token && token->type == JSON_STRING && *token->text ? token->text : NULL;
	}
	return 1;
}

int secret_set_value(struct secret *s, const char *text, size_t len, bool json, int64_t now,
		     struct arena *a, struct err *e)
{
	struct secret was = *s;
	int r = 0;

	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len > (size_t)2 * SECRET_VALUE_MAX)
		return err_set(e, ERR_USAGE, -E2BIG, "the value has more than %u bytes",
			       SECRET_VALUE_MAX);
	s->value = s->id = s->token = NULL;
	s->expires = 0;
	if (len > 0 && memchr(text, '\0', len))
		r = err_set(e, ERR_USAGE, -EINVAL, "the value has a NUL in it");
	if (r == 0 && (json || s->carrier == SECRET_AWS) && len > 0 && text[0] == '{')
		r = take_object(s, text, len, now, a, e);
	if (r == 0 && s->carrier == SECRET_AWS)
		r = take_pair(s, text, len, a, e);
	else if (r == 0 && !(s->value = copy(text, len, a)))
		r = no_memory(e);
	if (r >= 0)
		r = check_value(s, e);
	if (r < 0)
		*s = was;
	return r;
}
