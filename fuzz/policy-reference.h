/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_eval() a second time, slowly, from the words of docs/adr/0004-policy-layers.md and from nothing in src/policy. Paths are taken
 * apart here, too.
 */
#ifndef FUZZ_POLICY_REFERENCE_H
#define FUZZ_POLICY_REFERENCE_H

#include "policy/policy.h"

/* Number of components of @dir when @path is it or lies below it; -1 when not. */
static inline int ref_reach(const char *dir, const char *path)
{
	int n = 0;

	for (;;) {
		size_t a, b;

		while (*dir == '/')
			dir++;
		while (*path == '/')
			path++;
		if (!*dir)
			return n;
		a = strcspn(dir, "/");
		b = strcspn(path, "/");
		if (a != b || strncmp(dir, path, a) != 0)
			return -1;
		dir += a;
		path += b;
		n++;
	}
}

/* "a built-in is lifted by a rule from a higher layer"; any other denial only by its own layer; how deep the lifting rule must be: */
static inline bool ref_lifted(const struct policy *p, const char *path,
			      const struct policy_rule *deny)
{
	int depth = ref_reach(deny->path, path);
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct policy_rule *r = &p->rules[i];
		int reach = ref_reach(r->path, path);
		bool reads = r->kind == POLICY_ALLOW_READ, writes = r->kind == POLICY_ALLOW_WRITE;

		/* what the built-in layer protects is lifted by a higher layer's unprotect of the path, of what holds it, or of what is in it */
		if (r->kind == POLICY_UNPROTECT && reach >= 0 && deny->kind == POLICY_DENY_WRITE &&
		    deny->layer == POLICY_BUILTIN && r->layer != POLICY_BUILTIN)
			return true;
		if (reach < depth || (!reads && !writes))
			continue;
		if (deny->layer == POLICY_BUILTIN && r->layer != POLICY_BUILTIN) {
			/* the same path or below; writing asks to read; reading does not ask to write */
			if (writes || deny->kind != POLICY_DENY_WRITE)
				return true;
		} else if (deny->layer == r->layer) {
			if (deny->kind == POLICY_DENY_READ && reads)
				return true; /* the longest path wins, of equals allow-read */
			if (deny->kind == POLICY_HIDE && reads && reach == depth)
				return true; /* exactly the same path */
			if (deny->kind == POLICY_PRIVATE)
				return true; /* an allow-read or allow-write below it */
		}
	}
	return false;
}

/* The deepest rule of @kind that stands, as a number of components; -1: none. */
static inline int ref_deepest(const struct policy *p, const char *path, enum policy_kind kind)
{
	bool allow = kind == POLICY_ALLOW_READ || kind == POLICY_ALLOW_WRITE;
	int best = -1;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct policy_rule *r = &p->rules[i];
		int reach = r->kind == kind ? ref_reach(r->path, path) : -1;

		if (reach > best && (allow || !ref_lifted(p, path, r)))
			best = reach;
	}
	return best;
}

static inline enum policy_state ref_eval(const struct policy *p, const char *path)
{
	int hide = ref_deepest(p, path, POLICY_HIDE), deny = ref_deepest(p, path, POLICY_DENY_READ);
	int priv = ref_deepest(p, path, POLICY_PRIVATE);

	if (hide >= 0)
		return POLICY_IS_HIDDEN;
	if (deny >= 0 && deny >= priv)
		return POLICY_IS_DENIED;
	if (priv >= 0)
		return POLICY_IS_PRIVATE;
	if (ref_deepest(p, path, POLICY_DENY_WRITE) >= 0 ||
	    ref_deepest(p, path, POLICY_ALLOW_WRITE) < 0)
		return POLICY_SHOW_RO;
	return POLICY_SHOW_RW;
}

/* Of those whose writes go to a copy, the deepest, as a number of components; -1: @path is in no copy. */
static inline int ref_copy(const struct policy *p, const char *path)
{
	int best = -1;
	size_t i;

	for (i = 0; i < p->n; i++) {
		int reach = p->rules[i].copy ? ref_reach(p->rules[i].path, path) : -1;

		best = reach > best ? reach : best;
	}
	return best;
}

/* A socket is given unless a denial of another layer covers it, or any denial names it. */
static inline bool ref_socket(const struct policy *p, const struct policy_rule *socket)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct policy_rule *r = &p->rules[i];
		bool deny = r->kind == POLICY_DENY_READ || r->kind == POLICY_DENY_WRITE ||
			    r->kind == POLICY_HIDE || r->kind == POLICY_PRIVATE;
		bool there = strcmp(r->path, socket->path) == 0;
		bool liftable = r->layer == POLICY_BUILTIN || r->layer == socket->layer;

		if (deny && ref_reach(r->path, socket->path) >= 0 && (there || !liftable))
			return false;
	}
	return true;
}

#endif
