/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awsPairs and sigv4 of srt's settings: masks that sign for AWS together. Their values and sentinels are those of the start, because the command has them; which of them
 * sign, and how, may change while it runs.
 */
#include <errno.h>
#include <string.h>

#include "srt.h"

static const char *const usual[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
				     "AWS_SESSION_TOKEN" };

/* The place of the mask of a variable, when the settings mask it as a whole, and did so at the start. */
static size_t find(const struct srt *s, const struct srt_masks *start, const char *name)
{
	const struct json_node *vars = s->settings.credential_vars, *k;
	size_t i;

	for (k = vars ? vars->first : NULL;
	     k && (strcmp(srt_node(k, "name")->text, name) != 0 || !srt_is_mask(k)); k = k->next)
		;
	if (!k || srt_node(k, "extract") || srt_node(k, "decode"))
		return SANDBOX_NO_MASK;
	for (i = 0; i < start->n_whole && strcmp(start->whole[i].name, name) != 0; i++)
		;
	return i < start->n_whole ? start->whole[i].place : SANDBOX_NO_MASK;
}

/* Three names. @asked: somebody has written them down. */
static void pair(const struct srt *s, const struct srt_masks *start, const char *const names[3],
		 bool asked, struct sandbox_pair *v, size_t *n)
{
	struct sandbox_pair p = { find(s, start, names[0]), find(s, start, names[1]),
				  names[2] ? find(s, start, names[2]) : SANDBOX_NO_MASK };

	if (p.id != SANDBOX_NO_MASK && p.value != SANDBOX_NO_MASK)
		v[(*n)++] = p;
	else if (p.value != SANDBOX_NO_MASK)
		srt_say("bailey: srt: credentials: '%s' is masked and '%s' is not, so nothing is signed with it",
			names[1], names[0]);
	else if (asked && s->control && start != &s->masks)
		srt_say("bailey: srt: credentials: '%s' was not masked when the run began, so nothing is signed with it",
			names[1]);
}

static bool passes(const struct srt *s, const char *kind)
{
	const struct json_node *v = srt_node(srt_node(s->settings.credentials, "sigv4"), kind);

	return v && strcmp(v->text, "passthrough") == 0;
}

int srt_pairs(const struct srt *s, const struct srt_masks *start, struct sandbox_pairs *ret,
	      struct err *e)
{
	const struct json_node *list = srt_node(s->settings.credentials, "awsPairs"), *k, *n;
	struct sandbox_pair *v = arena_alloc(s->arena, ((list ? list->n : 0) + 1) * sizeof(*v));
	bool named = false;
	size_t i, found = 0;

	if (!v)
		return sandbox_oom(e);
	for (k = list ? list->first : NULL; k; k = k->next) {
		const struct json_node *token = srt_node(k, "sessionTokenVar");
		const char *names[3] = { srt_node(k, "accessKeyIdVar")->text,
					 srt_node(k, "secretAccessKeyVar")->text,
					 token ? token->text : NULL };

		for (n = k->first; n; n = n->next) {
			for (i = 0; i < ARRAY_SIZE(usual); i++)
				named = named || strcmp(n->text, usual[i]) == 0;
		}
		pair(s, start, names, true, v, &found);
	}
	if (!named)
		pair(s, start, usual, false, v, &found);
	/* what says nothing of credentials changes nothing about who signs, as under srt, but how */
	*ret = (struct sandbox_pairs){ .v = v,
				       .n = found,
				       .stay = !s->settings.credentials && start != &s->masks,
				       .chunks = passes(s, "streaming"),
				       .urls = passes(s, "presigned") };
	return 0;
}

static int replace_var(struct srt *s, const char *name, const char *fake, struct err *e)
{
	size_t i, n = strlen(name);

	for (i = 0; i < s->masks.n_vars; i++) {
		if (strncmp(s->masks.vars[i], name, n) == 0 && s->masks.vars[i][n] == '=')
			s->masks.vars[i] = arena_printf(s->arena, "%s=%s", name, fake);
		if (!s->masks.vars[i])
			return sandbox_oom(e);
	}
	return 0;
}

int srt_pairs_begin(struct srt *s, struct err *e)
{
	const struct json_node *k = s->settings.credential_vars->first;
	struct srt_masks *m = &s->masks;
	size_t i;
	int r;

	m->whole = arena_alloc(s->arena, (m->n + 1) * sizeof(*m->whole));
	if (!m->whole)
		return sandbox_oom(e);
	for (; k; k = k->next) {
		const char *name = srt_node(k, "name")->text;

		if (!srt_is_mask(k) || srt_node(k, "extract") || srt_node(k, "decode"))
			continue;
		for (i = 0; i < m->n && strcmp(m->v[i].name, name) != 0; i++)
			;
		if (i < m->n && m->n_whole < m->n)
			m->whole[m->n_whole++] = (struct srt_whole){ name, i };
	}
	r = srt_pairs(s, m, &m->pairs, e);
	for (i = 0; r == 0 && i < m->pairs.n; i++) {
		struct sandbox_mask *id = &m->v[m->pairs.v[i].id],
				    *value = &m->v[m->pairs.v[i].value];

		/* forms that clients look for */
		id->sentinel =
			srt_random_text(s, "AKIABAILEY", 10, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", e);
		value->sentinel = id->sentinel ? srt_sentinel(s, 26, e) : NULL;
		r = value->sentinel ? replace_var(s, id->name, id->sentinel, e) : -ENOMEM;
		if (r == 0)
			r = replace_var(s, value->name, value->sentinel, e);
	}
	return r;
}
