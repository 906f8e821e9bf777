/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A supervisor reads some variables itself: they say where its user's policy is, which proxy leads out, whom it trusts, where an agent of ssh listens.
 * Whoever starts a sandbox has others, or none, so what `create` has kept takes their place. HOME is always kept: words without it are of an older bailey, which kept none of
 * these, and mean what they meant then, the starter's.
 *
 * Two may be the starter's all the same, since they open nothing else: the password of that very proxy, which is not kept, and an agent where the kept one has gone. The keys and
 * hosts of an agent are those of --ssh-key, whichever it is.
 */
#include "start-env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kept-words.h"
#include "sandbox.h"
#include "ssh.h"

enum use { ALSO_OF_COMMANDS, OF_START, PROXY, AGENT };

static const struct {
	const char *name;
	enum use use;
} vars[] = {
	{ "HOME", OF_START },
	{ "XDG_CONFIG_HOME", OF_START },
	{ "XDG_RUNTIME_DIR", OF_START },
	{ "http_proxy", PROXY },
	{ "https_proxy", PROXY },
	{ "HTTPS_PROXY", PROXY },
	{ "no_proxy", OF_START },
	{ "NO_PROXY", OF_START },
	{ "SSH_AUTH_SOCK", AGENT },
	/* stay_keeps() has these */
	{ "PATH", ALSO_OF_COMMANDS },
	{ "SSL_CERT_FILE", ALSO_OF_COMMANDS },
	{ "SSL_CERT_DIR", ALSO_OF_COMMANDS },
	{ "NODE_EXTRA_CA_CERTS", ALSO_OF_COMMANDS },
};

bool start_env_only(const char *entry)
{
	const size_t n = strcspn(entry, "=");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vars); i++) {
		if (vars[i].use != ALSO_OF_COMMANDS && strlen(vars[i].name) == n &&
		    memcmp(vars[i].name, entry, n) == 0)
			return true;
	}
	return false;
}

/* What stands behind USER[:PASSWORD]@ in a proxy's URL; @ret_before: bytes of http:// before that. Return: NULL: there is no such part. */
static const char *behind_password(const char *url, int *ret_before)
{
	const char *scheme = strstr(url, "://"), *at = strrchr(url, '@');

	*ret_before = scheme && scheme < at ? (int)(scheme + 3 - url) : 0;
	return at ? at + 1 : NULL;
}

int start_env_keep(struct kept_words *w, struct err *e)
{
	static const struct opt row = { .name = "host-env" };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(vars); i++) {
		const char *value = getenv(vars[i].name), *host, *entry;
		int before = 0;

		if (vars[i].use == ALSO_OF_COMMANDS || ((!value || !*value) && i > 0))
			continue;
		value = value ? value : "";
		host = vars[i].use == PROXY ? behind_password(value, &before) : NULL;
		entry = arena_printf(w->arena, "%s=%.*s%s", vars[i].name, before, value,
				     host ? host : value);
		r = entry ? kept_words_add(w, &row, entry, e) : sandbox_oom(e);
	}
	return r;
}

void start_env_say(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vars); i++) {
		const char *value = vars[i].use == PROXY ? getenv(vars[i].name) : NULL;

		if (value && behind_password(value, &(int){ 0 }))
			(void)dprintf(
				2,
				"bailey: notice: %s is kept without its user and password: they are taken from the environment of who starts the sandbox, if it has the same proxy there\n",
				vars[i].name); /* a notice */
	}
}

/* The last one counts, as for commands. Return: NULL: it was not kept. */
static const char *kept_value(const struct opt_list *kept, const char *name)
{
	const size_t len = strlen(name);
	size_t i = kept->n;

	while (i-- > 0) {
		if (strncmp(kept->v[i].value, name, len) == 0 && kept->v[i].value[len] == '=')
			return kept->v[i].value + len + 1;
	}
	return NULL;
}

static bool same_proxy(const char *kept, const char *own)
{
	int before;
	const char *host = behind_password(own, &before);

	return host && strncmp(kept, own, (size_t)before) == 0 && strcmp(kept + before, host) == 0;
}

/* Whether the starter's @own stays, where @kept ("": none) was kept. */
static bool stays(size_t i, const char *kept, const char *own)
{
	const char *state = getenv("XDG_STATE_HOME");

	if (vars[i].use == PROXY)
		return *kept && same_proxy(kept, own);
	if (vars[i].use ==
	    ALSO_OF_COMMANDS) /* one that could not be kept: programs of secrets are found by it */
		return !*kept && strcmp(vars[i].name, "PATH") == 0;
	if (vars[i].use == AGENT)
		return !*kept || !ssh_answers(kept);
	/* where the home says where the sandbox itself is kept, who has found it has the right one, also when that was moved */
	return i == 0 && geteuid() != 0 && !(state && state[0] == '/');
}

int start_env_set(const struct opt_list *kept, struct err *e)
{
	size_t i;

	for (i = 0; kept_value(kept, vars[0].name) && i < ARRAY_SIZE(vars); i++) {
		const char *value = kept_value(kept, vars[i].name), *own = getenv(vars[i].name);

		value = value ? value : "";
		if (own && *own && stays(i, value, own))
			continue;
		if (*value ? setenv(vars[i].name, value, 1) < 0 : unsetenv(vars[i].name) < 0)
			return err_sys(e, -errno, "%s", vars[i].name);
	}
	return 0;
}
