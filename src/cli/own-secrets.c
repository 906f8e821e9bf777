/* SPDX-License-Identifier: Apache-2.0 */
#include "own-secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"
#include "sandbox.h"
#include "settings.h"

#define SUFFIX ".secret"
#define OWN_MAX 64 /* more than bailey-keys takes, which says so */

bool own_secrets_named(const struct sandbox *s, const char *name)
{
	const struct opt_list *l = &s->options->secrets;
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].opt->name, "secret") == 0 && strcmp(l->v[i].value, name) == 0)
			return true;
	}
	return false;
}

/* Of a file's name the secret's, into @out of 256 bytes. */
static bool name_of(const char *file, char *out)
{
	size_t n = strlen(file), k = strlen(SUFFIX);

	if (*file == '.' || n <= k || n - k > 255 || strcmp(file + n - k, SUFFIX) != 0)
		return false;
	memcpy(out, file, n - k);
	out[n - k] = '\0';
	return true;
}

static int by_name(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static int read_names(struct sandbox *s, int dir, struct err *e)
{
	SYS_DIRENT_ALIGN char entries[4096];
	const struct sys_dirent *d;
	char name[256];
	long n = 0, o;

	s->own_secrets = arena_alloc(&s->arena, OWN_MAX * sizeof(*s->own_secrets));
	while (s->own_secrets && (n = sys_getdents(dir, entries, sizeof(entries))) > 0) {
		for (o = 0; (d = sys_dirent_next(entries, n, &o));) {
			if (!name_of(d->name, name) || own_secrets_named(s, name) ||
			    s->n_own_secrets == OWN_MAX)
				continue;
			s->own_secrets[s->n_own_secrets] = sandbox_keep(s, name);
			if (!s->own_secrets[s->n_own_secrets++])
				return sandbox_oom(e);
		}
	}
	if (!s->own_secrets)
		return sandbox_oom(e);
	if (n < 0)
		return err_sys(e, (int)n, "%s/secrets", s->own_store);
	qsort(s->own_secrets, s->n_own_secrets, sizeof(*s->own_secrets), by_name);
	return 0;
}

int own_secrets_find(struct sandbox *s, struct err *e)
{
	char state[LIMIT_PATH], path[LIMIT_PATH + 16];
	_cleanup_close_ int dir = -1;

	if (!s->options->box)
		return 0;
	if (settings_state_dir(s->home, state) < 0)
		return err_set(e, ERR_SYSTEM, -ENOENT, "there is no directory for bailey's state");
	s->own_store = arena_printf(&s->arena, "%s/sandboxes/%s", state, s->options->box);
	if (!s->own_store)
		return sandbox_oom(e);
	(void)snprintf(path, sizeof(path), "%s/secrets",
		       s->own_store); /* a path that is too long is none */
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", path);
	return read_names(s, dir, e);
}

/* Whether the secret @name may be kept in @state: not when there is no such file. */
static bool may_be_in(const char *state, const char *name)
{
	char path[LIMIT_PATH + 16];

	return snprintf(path, sizeof(path), "%s/secrets/%s" SUFFIX, state, name) >=
		       (int)sizeof(path) ||
	       access(path, F_OK) == 0 || errno != ENOENT;
}

void own_secrets_say_missing(struct sandbox *s, const char *box)
{
	const struct opt_list *l = &s->options->secrets;
	char state[LIMIT_PATH];
	size_t i;

	if (!keys_wanted(s) || settings_state_dir(s->home, state) < 0)
		return;
	for (i = 0; i < l->n; i++) {
		const char *name = l->v[i].value;

		if (strcmp(l->v[i].opt->name, "secret") == 0 && !may_be_in(state, name) &&
		    !(s->own_store && may_be_in(s->own_store, name)))
			sandbox_notice(
				s,
				"there is no secret '%.100s' yet, and without it nothing starts: bailey secret set %.100s, or for this sandbox alone: bailey secret set --sandbox %s %.100s",
				name, name, box, name);
	}
}

bool own_secrets_place(const struct sandbox *s, char *path)
{
	if (!s->own_store || snprintf(path, LIMIT_PATH, "%s/secrets", s->own_store) >= LIMIT_PATH)
		return false;
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}
