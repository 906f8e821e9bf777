/* SPDX-License-Identifier: Apache-2.0 */
#include "service-def.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 63
#define USER_MAX_BYTES 255

static const char *const restarts[SERVICE_RESTARTS] = {
	[SERVICE_ALWAYS] = "always",
	[SERVICE_ON_FAILURE] = "on-failure",
	[SERVICE_NEVER] = "no",
};

const char *service_restart_name(enum service_restart r)
{
	return restarts[r];
}

int service_restart_parse(const char *word, enum service_restart *ret, struct err *e)
{
	size_t i;

	for (i = 0; i < SERVICE_RESTARTS; i++) {
		if (strcmp(restarts[i], word) == 0) {
			*ret = (enum service_restart)i;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, -EINVAL,
		       "--restart '%.100s': expected always, on-failure or no", word);
}

/* --- one ------------------------------------------------------------------------------------------------------------------------------ */

static bool is_name(const char *s)
{
	const size_t n = strlen(s);

	return n > 0 && n <= NAME_MAX_BYTES && (*s < '0' || *s > '9') &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789_.-")] &&
	       *s != '-' && *s != '.';
}

static bool is_plain(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

/* Of a vector of strings. */
static size_t bytes_of(char *const *v)
{
	size_t n = 0;

	for (; *v; v++)
		n += strlen(*v) + 1;
	return n;
}

static int check_env(char *const *env, struct err *e)
{
	for (; *env; env++) {
		if (**env == '=' || !**env)
			return err_set(e, ERR_USAGE, -EINVAL, "--env '%.100s': expected NAME=VALUE",
				       *env);
		if (!strchr(*env, '='))
			return err_set(
				e, ERR_USAGE, -EINVAL,
				"--env '%.100s': expected NAME=VALUE: what a service has is kept, so no value is taken from here; for keys there is 'bailey secret'",
				*env);
	}
	return 0;
}

int service_check(const struct service_def *d, struct err *e)
{
	char *const *need;

	if (!is_name(d->name))
		return err_set(
			e, ERR_USAGE, -EINVAL,
			"service '%.100s': expected a name of 1 to 63 letters, digits and _ . -, a letter or _ first",
			d->name);
	if (!d->argv[0] || !*d->argv[0])
		return err_set(e, ERR_USAGE, -EINVAL,
			       "service '%s': there is no command: … %s -- COMMAND", d->name,
			       d->name);
	for (need = d->needs; *need; need++) {
		if (!is_name(*need))
			return err_set(e, ERR_USAGE, -EINVAL,
				       "--needs '%.100s': expected the name of a service", *need);
	}
	if (d->dir && (d->dir[0] != '/' || strlen(d->dir) >= LIMIT_PATH))
		return err_set(e, ERR_USAGE, -EINVAL,
			       "--workdir '%.100s': expected an absolute path of the sandbox",
			       d->dir);
	if (d->user && (!*d->user || strlen(d->user) > USER_MAX_BYTES || !is_plain(d->user)))
		return err_set(e, ERR_USAGE, -EINVAL, "--user '%.100s': expected USER[:GROUP]",
			       d->user);
	if (d->port > 65535)
		return err_set(e, ERR_USAGE, -EINVAL, "--port %u: expected 1 to 65535", d->port);
	if (bytes_of(d->argv) + bytes_of(d->env) + bytes_of(d->needs) > LIMIT_SERVICE)
		return err_set(
			e, ERR_USAGE, -E2BIG,
			"service '%s': its command and variables have more than %d bytes; a file of the workspace can hold them",
			d->name, LIMIT_SERVICE);
	return check_env(d->env, e);
}

static void write_list(struct json *j, const char *key, char *const *v)
{
	json_open(j, key, '[');
	for (; *v; v++)
		json_str(j, NULL, *v);
	json_close(j, ']');
}

void service_write(const struct service_def *d, struct json *j)
{
	json_open(j, NULL, '{');
	json_str(j, "name", d->name);
	write_list(j, "command", d->argv);
	write_list(j, "needs", d->needs);
	write_list(j, "env", d->env);
	json_str(j, "dir", d->dir);
	json_str(j, "user", d->user);
	json_int(j, "port", d->port);
	json_str(j, "restart", service_restart_name(d->restart));
	json_close(j, '}');
}

static int wrong(const struct json_node *v, const char *must, struct err *e)
{
	return err_set(e, ERR_USAGE, -EINVAL, "services: '%.100s' must be %s",
		       v->key ? v->key : "a service", must);
}

static int read_list(const struct json_node *v, struct arena *a, char ***ret, struct err *e)
{
	const struct json_node *item;
	size_t n = 0;
	char **out;

	if (v->type != JSON_LIST)
		return wrong(v, "a list of texts", e);
	out = arena_alloc(a, (v->n + 1) * sizeof(*out));
	for (item = v->first; item && out; item = item->next) {
		if (item->type != JSON_STRING)
			return wrong(v, "a list of texts", e);
		out[n] = arena_strdup(a, item->text);
		if (!out[n++])
			out = NULL;
	}
	if (!out)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
	*ret = out;
	return 0;
}

static int read_text(const struct json_node *v, struct arena *a, const char **ret, struct err *e)
{
	if (v->type == JSON_NULL) {
		*ret = NULL;
		return 0;
	}
	if (v->type != JSON_STRING)
		return wrong(v, "a text", e);
	*ret = arena_strdup(a, v->text);
	return *ret ? 0 : err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory");
}

static int read_member(const struct json_node *v, struct arena *a, struct service_def *d,
		       struct err *e)
{
	const char *word = "";
	int r;

	if (strcmp(v->key, "name") == 0)
		return read_text(v, a, &d->name, e);
	if (strcmp(v->key, "command") == 0)
		return read_list(v, a, &d->argv, e);
	if (strcmp(v->key, "needs") == 0)
		return read_list(v, a, &d->needs, e);
	if (strcmp(v->key, "env") == 0)
		return read_list(v, a, &d->env, e);
	if (strcmp(v->key, "dir") == 0)
		return read_text(v, a, &d->dir, e);
	if (strcmp(v->key, "user") == 0)
		return read_text(v, a, &d->user, e);
	if (strcmp(v->key, "port") == 0) {
		if (v->type != JSON_NUMBER || v->text[strspn(v->text, "0123456789")] ||
		    strlen(v->text) > 5)
			return wrong(v, "a port", e);
		d->port = (unsigned int)strtoul(v->text, NULL, 10);
		return 0;
	}
	if (strcmp(v->key, "restart") != 0)
		return wrong(v, "absent: this release does not know it", e);
	r = read_text(v, a, &word, e);
	if (r == 0 && !word)
		return wrong(v, "a text", e);
	return r < 0 ? r : service_restart_parse(word, &d->restart, e);
}

int service_read(const struct json_node *v, struct arena *a, struct service_def *ret, struct err *e)
{
	static char *none[] = { NULL };
	struct service_def d = { .argv = none, .env = none, .needs = none };
	const struct json_node *m;
	int r = 0;

	if (v->type != JSON_OBJECT)
		return wrong(v, "an object", e);
	for (m = v->first; r == 0 && m; m = m->next)
		r = read_member(m, a, &d, e);
	if (r == 0 && !d.name)
		return wrong(v, "an object with a name", e);
	if (r == 0)
		r = service_check(&d, e);
	if (r == 0)
		*ret = d;
	return r;
}

/* --- all ------------------------------------------------------------------------------------------------------------------------------ */

static size_t find(const struct service_def *all, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n && strcmp(all[i].name, name) != 0; i++)
		;
	return i;
}

static int check_alone(const struct service_def *all, size_t n, size_t i, struct err *e)
{
	size_t k;

	if (find(all, n, all[i].name) < i)
		return err_set(e, ERR_SYSTEM, -EEXIST, "there is a service '%s' already",
			       all[i].name);
	for (k = 0; all[i].port && k < i; k++) {
		if (all[k].port == all[i].port)
			return err_set(e, ERR_SYSTEM, -EEXIST,
				       "--port %u: it is the port of the service '%s'", all[i].port,
				       all[k].name);
	}
	return 0;
}

/* Whether all that @d needs is among those that are @done. */
static bool is_met(const struct service_def *all, size_t n, const struct service_def *d,
		   const bool *done)
{
	char *const *need;

	for (need = d->needs; *need; need++) {
		if (!done[find(all, n, *need)])
			return false;
	}
	return true;
}

int services_check(const struct service_def *all, size_t n, struct err *e)
{
	bool done[LIMIT_SERVICES] = { false }, more = true;
	char *const *need;
	size_t i;
	int r;

	if (n > LIMIT_SERVICES)
		return err_set(e, ERR_USAGE, -E2BIG, "a sandbox has at most %d services",
			       LIMIT_SERVICES);
	for (i = 0; i < n; i++) {
		r = check_alone(all, n, i, e);
		if (r < 0)
			return r;
		for (need = all[i].needs; *need; need++) {
			if (find(all, n, *need) == n)
				return err_set(e, ERR_USAGE, -ENOENT,
					       "--needs '%s': there is no service of this name",
					       *need);
		}
	}
	while (more) {
		more = false;
		for (i = 0; i < n; i++) {
			if (!done[i] && is_met(all, n, &all[i], done))
				done[i] = more = true;
		}
	}
	for (i = 0; i < n && done[i]; i++)
		;
	return i == n ? 0 :
			err_set(e, ERR_USAGE, -ELOOP, "--needs: the service '%s' would need itself",
				all[i].name);
}

int services_read(const struct json_node *v, struct arena *a, struct service_def *ret,
		  size_t *ret_n, struct err *e)
{
	const struct json_node *one;
	size_t n = 0;
	int r = 0;

	if (v && v->type != JSON_LIST && v->type != JSON_NULL)
		return err_set(e, ERR_USAGE, -EINVAL, "services: must be a list");
	for (one = v ? v->first : NULL; r == 0 && one; one = one->next) {
		if (n == LIMIT_SERVICES)
			return services_check(ret, n + 1, e);
		r = service_read(one, a, &ret[n++], e);
	}
	if (r == 0)
		r = services_check(ret, n, e);
	*ret_n = n;
	return r;
}
