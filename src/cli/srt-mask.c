/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials of srt's settings whose mode is mask: what the command gets in their place, and what bailey-keys puts in for it.
 *
 * Theory of operation. A value is a variable, a file, or the parts of one that `extract` finds; each gets a sentinel. What can't be masked (a value that can't stand in a
 * header, an expression that is not understood, no match) is denied, and a line says why: srt leaves it readable. Values lie in memory that no child
 * gets, and are gone from the environment before there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/keys.h"
#include "srt.h"

#define MEMORY (2u << 20)
#define FILE_MAX_BYTES 65536u
#define LEAST 8u /* a shorter one can't be told from other text */
#define MOST 16384u
#define TOKEN_MOST 4000u /* of what stands for a token */
#define SPANS 256u
#define LETTERS 32u

/* As srt's own of `decode`: what begins as the JSON of a header does. */
static const char jwt_pattern[] = "(eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+)";

bool srt_is_mask(const struct json_node *entry)
{
	return strcmp(srt_node(entry, "mode")->text, "mask") == 0;
}

const char *srt_random_text(struct srt *s, const char *prefix, size_t n, const char *alphabet,
			    struct err *e)
{
	unsigned char bytes[LETTERS];
	char text[LETTERS + 1];
	const char *made;
	size_t i;

	if (getrandom(bytes, n, 0) != (ssize_t)n) {
		(void)err_sys(e, -errno, "random numbers");
		return NULL;
	}
	for (i = 0; i < n; i++)
		text[i] = alphabet[bytes[i] % 32];
	text[n] = '\0';
	made = arena_printf(s->arena, "%s%s", prefix, text);
	if (!made)
		(void)sandbox_oom(e);
	return made;
}

const char *srt_sentinel(struct srt *s, size_t n, struct err *e)
{
	return srt_random_text(s, "bailey-secret-", n, "abcdefghijklmnopqrstuvwxyz234567", e);
}

/* Why @n bytes of @p can't be masked, or NULL. */
static const char *unfit(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && p[i] >= 0x20 && p[i] <= 0x7e; i++)
		;
	if (i < n)
		return "it has bytes that no header can have";
	return n < LEAST ? "it is shorter than 8 bytes, so it can't be told from other text" :
	       n > MOST  ? "it is longer than 16384 bytes" :
			   NULL;
}

/* Hosts as bailey-keys knows them: names and addresses in their normal form, without ports. NULL: no memory. */
static const char **hosts(struct srt *s, const struct json_node *list, size_t *ret_n)
{
	const char **v = arena_alloc(s->arena, (list->n + 1) * sizeof(*v));
	char text[SRT_NET_TEXT], canon[NET_HOST_MAX + 1], *name, *end;
	const struct json_node *k;
	struct net_addr addr;
	size_t skip;

	*ret_n = 0;
	for (k = v ? list->first : NULL; k; k = k->next) {
		if (srt_net_host(k->text, text) < 0)
			continue; /* no host can have that name */
		name = text + (*text == '[');
		end = *text == '[' ? strchr(text, ']') : strchr(text, ':');
		if (end && (*text == '[' || end == strrchr(text, ':')))
			*end = '\0';
		skip = strncmp(name, "*.", 2) == 0 ? 2 : 0;
		if (net_addr_parse(&addr, name, strlen(name)))
			net_addr_text(&addr, canon);
		else if (net_host_canon(name + skip, strlen(name + skip), canon, NULL) < 0)
			continue;
		v[*ret_n] = arena_printf(s->arena, "%s%s", skip ? "*." : "", canon);
		if (!v[(*ret_n)++])
			return NULL;
	}
	return v;
}

/* A copy that is erased. */
static const char *keep(struct srt_masks *m, const char *p, size_t n)
{
	char *copy = arena_alloc(&m->arena, n + 1);

	if (copy)
		memcpy(copy, p, n);
	return copy;
}

/* Return: the new one; NULL with @e. Room was asked for. */
static struct sandbox_mask *add_mask(struct srt *s, const struct json_node *entry, const char *name,
				     const char *p, size_t n, struct err *e)
{
	const struct json_node *list = srt_node(entry, "injectHosts");
	struct srt_masks *m = &s->masks;
	struct sandbox_mask *k = &m->v[m->n];

	*k = (struct sandbox_mask){ .name = name, .value = keep(m, p, n) };
	k->hosts = hosts(s, list ? list : s->settings.network.allowed, &k->n_hosts);
	if (!k->value || !k->hosts) {
		(void)sandbox_oom(e);
		return NULL;
	}
	m->n++;
	return k;
}

/* --- parts of a text --- */

struct part {
	struct srt_span at;
	const char *fake;
};

static bool same(const char *text, const struct srt_span *a, const struct srt_span *b)
{
	return a->end - a->start == b->end - b->start &&
	       memcmp(text + a->start, text + b->start, a->end - a->start) == 0;
}

static int by_place(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->at.start < y->at.start ? -1 : x->at.start > y->at.start;
}

static int by_length(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	size_t n = x->at.end - x->at.start, m = y->at.end - y->at.start;

	return n > m ? -1 : n < m;
}

/* Where else the values of @parts stand: the longest first, so that none is taken for a part of another. Return: how many there are then; 0: too many. */
static size_t duplicates(struct part *parts, size_t n, const char *text, size_t len)
{
	size_t first = n, i, k, size;
	const char *at;

	qsort(parts, n, sizeof(*parts), by_length);
	for (i = 0; i < first; i++) {
		const char *value = text + parts[i].at.start;

		size = parts[i].at.end - parts[i].at.start;
		for (at = text; (at = memmem(at, len - (size_t)(at - text), value, size)); at++) {
			size_t start = (size_t)(at - text);

			for (k = 0; k < n &&
				    (start + size <= parts[k].at.start || parts[k].at.end <= start);
			     k++)
				;
			if (k < n)
				continue;
			if (n == SPANS)
				return 0;
			parts[n++] = (struct part){ { start, start + size }, parts[i].fake };
		}
	}
	return n;
}

/* The text with its parts replaced. */
static const char *join(struct srt *s, struct part *parts, size_t n, const char *text, size_t len,
			size_t *ret_len)
{
	struct buf b = BUF_INIT(8ul * FILE_MAX_BYTES);
	size_t at = 0, i;
	char *made;

	qsort(parts, n, sizeof(*parts), by_place);
	for (i = 0; i < n; i++) {
		buf_add(&b, text + at, parts[i].at.start - at);
		buf_puts(&b, parts[i].fake);
		at = parts[i].at.end;
	}
	buf_add(&b, text + at, len - at);
	made = b.failed ? NULL : arena_alloc(s->arena, b.len + 1);
	if (made)
		memcpy(made, b.data, b.len);
	*ret_len = b.len;
	buf_done(&b);
	return made;
}

/* Why something is not masked: what the line will say. */
struct why {
	const char *text;
	bool no_match;
};

/* A value's mask, but for its sentinel. Return: as mask_part(). */
static int mask_value(struct srt *s, const struct json_node *entry, const char *name, const char *p,
		      size_t n, struct sandbox_mask **ret, struct why *why, struct err *e)
{
	why->text = unfit(p, n);
	if (!why->text && s->masks.n == KEYS_MASKS)
		why->text = "there are too many values";
	if (why->text)
		return 1;
	*ret = add_mask(s, entry, name, p, n, e);
	return *ret ? 0 : -ENOMEM;
}

/* The claims of a token that are named, each with a mask of its own; the token around them is what stands for it. Return: as mask_part(). */
static int mask_claims(struct srt *s, const struct json_node *entry, const char *name,
		       const char *p, size_t n, const char **ret_fake, struct why *why,
		       struct err *e)
{
	const struct json_node *payload = srt_jwt_payload(p, n, &s->masks.arena), *k, *v;
	struct buf b = BUF_INIT(4ul * SRT_JWT_MAX);
	struct sandbox_mask *mask;
	const char *fake;
	size_t found = 0;
	int r = 0;

	for (k = payload ? srt_node(entry, "maskClaims")->first : NULL; r == 0 && k; k = k->next) {
		v = srt_node(payload, k->text);
		if (!v || v->type != JSON_STRING)
			continue;
		fake = srt_sentinel(s, LETTERS, e);
		r = fake ? mask_value(s, entry, name, v->text, strlen(v->text), &mask, why, e) :
			   -ENOMEM;
		if (r == 0) {
			mask->sentinel = fake;
			found += srt_jwt_set(payload, k->text, fake);
		}
	}
	if (r == 0 && !found) {
		why->text = "a token has none of maskClaims as a text";
		r = 1;
	}
	if (r != 0)
		return r;
	srt_jwt_join(p, n, payload, &b);
	if (!b.failed && b.len > TOKEN_MOST) {
		why->text = "a token is too long";
		r = 1;
	}
	*ret_fake = b.failed ? NULL : arena_strdup(s->arena, b.data);
	buf_done(&b);
	return r == 0 && !*ret_fake ? sandbox_oom(e) : r;
}

/* One part's mask, or that of an equal one before it. Return: 0; 1: @why; negative with @e. */
static int mask_part(struct srt *s, const struct json_node *entry, const char *name,
		     struct part *parts, size_t i, const char *text, struct why *why, struct err *e)
{
	const char *p = text + parts[i].at.start, *fake;
	size_t n = parts[i].at.end - parts[i].at.start, k;
	bool jwt = srt_node(entry, "decode");
	struct sandbox_mask *mask;
	int r;

	for (k = 0; k < i; k++) {
		if (same(text, &parts[k].at, &parts[i].at)) {
			parts[i].fake = parts[k].fake;
			return 0;
		}
	}
	if (jwt && !srt_is_jwt(p, n, &s->masks.arena)) {
		why->text = "what was found is no JSON Web Token";
		return 1;
	}
	r = mask_value(s, entry, name, p, n, &mask, why, e);
	if (r != 0)
		return r;
	fake = srt_sentinel(s, LETTERS, e);
	if (fake && srt_node(entry, "maskClaims")) {
		r = mask_claims(s, entry, name, p, n, &fake, why, e);
		if (r != 0)
			return r;
	} else if (fake && jwt) {
		struct buf b = BUF_INIT(1024);

		srt_fake_jwt(fake, &b);
		fake = b.failed ? NULL : arena_strdup(s->arena, b.data);
		buf_done(&b);
	}
	mask->sentinel = parts[i].fake = fake;
	return fake ? 0 : sandbox_oom(e);
}

/* What stands for @text. @file: of a file, else of a variable. Return: 0 with *@ret_fake; 1: it is to be denied, @why; negative with @e. */
static int make_fake(struct srt *s, const struct json_node *entry, bool file, const char *name,
		     const char *text, size_t len, const char **ret_fake, size_t *ret_len,
		     struct why *why, struct err *e)
{
	const struct json_node *extract = srt_node(entry, "extract"),
			       *decode = srt_node(entry, "decode"),
			       *twice = srt_node(entry, "maskDuplicates");
	const char *pattern = extract ? extract->text : jwt_pattern;
	struct srt_span spans[SPANS];
	struct part parts[SPANS];
	size_t i, n = 1;
	int r;

	*why = (struct why){ .text = NULL };
	if (file ? extract || decode : extract && !decode) {
		r = srt_extract(pattern, text, len, spans, SPANS);
		if (r == -ENOMEM)
			return sandbox_oom(e);
		why->no_match = r == 0;
		why->text =
			r == 0 ?
				"extract matches nothing" :
			r == -EOPNOTSUPP ?
				"extract looks around, refers to a group, or names what is not ASCII, which can't be done here" :
			r == -ENODATA ? "extract matches without its group 1" :
			r < 0         ? "extract is too much to do" :
					NULL;
		if (r <= 0)
			return 1;
		n = (size_t)r;
	} else {
		spans[0] = (struct srt_span){ 0, len };
		/* a line's end is none of what it says */
		if (file && len && text[len - 1] == '\n')
			spans[0].end -= len > 1 && text[len - 2] == '\r' ? 2 : 1;
	}
	for (i = 0; i < n; i++)
		parts[i] = (struct part){ .at = spans[i] };
	for (i = 0; i < n; i++) {
		r = mask_part(s, entry, name, parts, i, text, why, e);
		if (r != 0)
			return r;
	}
	if (file && twice && twice->value) {
		n = duplicates(parts, n, text, len);
		why->text = n ? NULL : "its values stand in too many places";
		if (!n)
			return 1;
	}
	*ret_fake = join(s, parts, n, text, len, ret_len);
	return *ret_fake ? 0 : sandbox_oom(e);
}

/* What comes of @r of make_fake(): 0: masked; 1: denied, and said; negative with @e. */
static int settle(struct srt *s, const struct json_node *entry, const char *name, int r,
		  size_t before, const struct why *why, struct err *e)
{
	const struct json_node *otherwise = srt_node(entry, "onExtractNoMatch");
	char key[64];

	if (r <= 0)
		return r;
	s->masks.n = before; /* a part of it is none */
	json_key_path(entry, key, sizeof(key));
	if (why->no_match && otherwise && strcmp(otherwise->text, "error") == 0)
		return err_set(
			e, ERR_POLICY, -EINVAL,
			"%s:%u:%u: %s '%.100s': extract matches nothing (onExtractNoMatch: \"error\")",
			s->source.path, entry->line, entry->column, key, name);
	srt_say("bailey: srt: %s '%.100s' can't be masked, so it is denied: %s", key, name,
		why->text);
	return 1;
}

/* --- variables --- */

/* Whether some entry, or one before this, decides about that variable. */
static bool decided(const struct srt *s, const struct json_node *entry)
{
	const char *name = srt_node(entry, "name")->text;
	const struct json_node *k;
	bool before = true;

	for (k = s->settings.credential_vars->first; k; k = k->next) {
		before = before && k != entry;
		if (k != entry && strcmp(srt_node(k, "name")->text, name) == 0 &&
		    (before || !srt_is_mask(k)))
			return true;
	}
	return false;
}

static int mask_var(struct srt *s, const struct json_node *entry, struct err *e)
{
	const char *name = srt_node(entry, "name")->text, *text = getenv(name), *fake = NULL;
	struct srt_masks *m = &s->masks;
	struct why why = { .text = NULL };
	size_t before = m->n, len = 0;
	int r;

	if (!text || !srt_is_mask(entry) || decided(s, entry))
		return 0;
	r = strlen(text) > FILE_MAX_BYTES ? 1 : 0;
	why.text = "it is too long";
	if (r == 0)
		r = make_fake(s, entry, false, name, text, strlen(text), &fake, &len, &why, e);
	r = settle(s, entry, name, r, before, &why, e);
	if (r != 0)
		return r < 0 ? r : 0;
	m->vars[m->n_vars] = arena_printf(s->arena, "%s=%s", name, fake);
	return m->vars[m->n_vars++] ? 0 : sandbox_oom(e);
}

/* --- files --- */

/* Return: bytes read; -ENOENT: there is no such file, or nothing that could be masked; negative errno. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	while (n < size && (got = read(fd, buf + n, size - n)) != 0) {
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? (size_t)got : 0;
	}
	return n == size ? -EFBIG : (ssize_t)n;
}

static int mask_file(struct srt *s, const struct json_node *entry, struct err *e)
{
	const char *path = srt_node(entry, "path")->text, *base, *name, *fake = NULL;
	char norm[LIMIT_PATH], real[LIMIT_PATH];
	struct srt_masks *m = &s->masks;
	struct why why = { .text = "it can't be read, or is too long" };
	size_t before = m->n, len = 0;
	char *text;
	ssize_t n;
	int r;

	if (!srt_is_mask(entry))
		return 0;
	if (path_normalize(path, s->cwd, s->home, norm, e) < 0)
		return err_wrap(e, -EINVAL, "%s", s->source.path);
	if (jail_host_resolve(norm, true, real) < 0)
		return 0;
	text = arena_alloc(&m->arena, FILE_MAX_BYTES + 1);
	base = strrchr(real, '/');
	name = arena_printf(s->arena, "file %.50s", base ? base + 1 : real);
	if (!text || !name)
		return sandbox_oom(e);
	n = read_file(real, text, FILE_MAX_BYTES + 1);
	if (n == -ENOENT)
		return 0;
	r = n < 0 ? 1 : 0;
	if (r == 0)
		r = make_fake(s, entry, true, name, text, (size_t)n, &fake, &len, &why, e);
	r = settle(s, entry, path, r, before, &why, e);
	if (r != 0)
		return r < 0 ? r : 0;
	m->texts[m->n_texts] = (struct sandbox_text){ arena_strdup(s->arena, real), fake, len };
	m->shown[m->n_texts].entry = entry;
	return m->texts[m->n_texts++].path ? 0 : sandbox_oom(e);
}

bool srt_mask_shown(const struct srt *s, const struct json_node *entry)
{
	size_t i;

	for (i = 0; i < s->masks.n_texts && s->masks.shown[i].entry != entry; i++)
		;
	return i < s->masks.n_texts;
}

/* --- all of them --- */

static bool any(const struct json_node *list)
{
	const struct json_node *k;

	for (k = list ? list->first : NULL; k && !srt_is_mask(k); k = k->next)
		;
	return k;
}

static int begin(struct srt *s, struct err *e)
{
	const struct json_node *vars = s->settings.credential_vars,
			       *files = s->settings.credential_files;
	struct srt_masks *m = &s->masks;
	void *memory =
		mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return sandbox_oom(e);
	m->arena = (struct arena){ .fixed = memory, .max = MEMORY };
	/* no child gets it, whatever this process forks; nor does a core */
	if (madvise(memory, MEMORY, MADV_WIPEONFORK) < 0)
		return err_sys(e, -errno, "memory for credentials");
	(void)madvise(memory, MEMORY, MADV_DONTDUMP); /* the process is not dumpable anyway */
	(void)mlock(memory, MEMORY);                  /* where the limit allows it */
	m->v = arena_alloc(&m->arena, KEYS_MASKS * sizeof(*m->v));
	m->vars = arena_alloc(s->arena, ((vars ? vars->n : 0) + 1) * sizeof(*m->vars));
	m->texts = arena_alloc(s->arena, ((files ? files->n : 0) + 1) * sizeof(*m->texts));
	m->shown = arena_alloc(s->arena, ((files ? files->n : 0) + 1) * sizeof(*m->shown));
	return m->v && m->vars && m->texts && m->shown ? 0 : sandbox_oom(e);
}

int srt_masks(struct srt *s, struct err *e)
{
	const struct json_node *vars = s->settings.credential_vars,
			       *files = s->settings.credential_files, *k;
	int r;

	if (!any(vars) && !any(files))
		return 0;
	r = begin(s, e);
	for (k = vars ? vars->first : NULL; r == 0 && k; k = k->next)
		r = mask_var(s, k, e);
	if (r == 0 && vars)
		r = srt_pairs_begin(s, e);
	for (k = files ? files->first : NULL; r == 0 && k; k = k->next)
		r = mask_file(s, k, e);
	return r;
}

void srt_masks_hide(const struct srt *s)
{
	const struct json_node *k = s->settings.credential_vars;

	for (k = k ? k->first : NULL; k; k = k->next) {
		char *v = getenv(srt_node(k, "name")->text);

		if (v)
			explicit_bzero(v, strlen(v));
	}
}

void srt_masks_done(struct srt *s)
{
	if (s->masks.arena.fixed) {
		explicit_bzero(s->masks.arena.fixed, MEMORY);
		(void)munmap(s->masks.arena.fixed, MEMORY);
	}
	s->masks = (struct srt_masks){ .n = 0 };
}
