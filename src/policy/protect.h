/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a workspace holds that the host executes or obeys later. The one table; rules, --explain and docs/protected-paths.md come from it.
 */
#ifndef BAILEY_POLICY_PROTECT_H
#define BAILEY_POLICY_PROTECT_H

#include <stdbool.h>
#include <stddef.h>

enum policy_class {
	POLICY_PROTECT, /* read-only, where it exists */
	POLICY_FLAG,    /* writable; reports show a change of it */
	POLICY_CLASS_NUM
};

/* Where the name of a row is looked for. */
enum policy_place {
	POLICY_IN_ANY, /* any writable directory that is searched */
	POLICY_IN_GIT, /* a git directory: .git, a submodule's, a bare repository */
	POLICY_IN_SHARED, /* a git directory outside of the workspace, given because a worktree's .git file names it */
	POLICY_IN_WORKTREE, /* worktrees/NAME of a git directory */
	POLICY_IN_CONFIG,   /* not a name: the path that this variable of a git configuration has */
	POLICY_IN_UNSEEN,   /* not a name: a directory that can't be searched */
	POLICY_IN_SELF,     /* not a name: the program that runs */
	POLICY_IN_HOME,     /* the home directory */
	POLICY_IN_DOTFILES, /* the same, and where a link of that name leads to */
	POLICY_PLACE_NUM
};

struct policy_protected {
	enum policy_class class;
	enum policy_place place;
	bool dir;         /* usually a directory */
	const char *name; /* relative to the place; in any case (ADR 7): compared by strcasecmp() */
	const char *origin; /* of the rule: "built-in: protected: git hooks" */
	const char *why;    /* who executes or obeys it: for documents */
};

/** policy_protected() - the table. Rows of one place stand together. */
const struct policy_protected *policy_protected(size_t *ret_n);

/**
 * policy_protected_next() - the row of class `protect` and @place after @row (NULL: the first). Return: NULL after the last.
 */
const struct policy_protected *policy_protected_next(enum policy_place place,
						     const struct policy_protected *row);

/** policy_protected_what() - the origin without its prefix: "git hooks". */
const char *policy_protected_what(const struct policy_protected *row);

/** policy_class_name() - "protect", "flag". */
const char *policy_class_name(enum policy_class c);

/** policy_place_name() - for documents: "any writable directory" … */
const char *policy_place_name(enum policy_place p);

#endif
