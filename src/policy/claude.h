/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claude Code's settings files: the keys about its sandbox and its permission rules, as values of a native policy. Hosts of sandbox.network and of
 * WebFetch(domain:HOST) are network rules; one that denies and can't be read is an error, as leaving it out would open something. What else can't be said is
 * a note with key and reason. Unknown keys are passed over, as Claude Code does. Paths mean other things here and there:
 *  sandbox.filesystem  /x or //x absolute, ~/x, ./x or x: below the root of the settings (the user's: ~/.claude)
 *  permissions         //x absolute, /x below the root of the settings, ~/x, ./x or x: below the current directory; patterns as in .gitignore
 */
#ifndef BAILEY_POLICY_CLAUDE_H
#define BAILEY_POLICY_CLAUDE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;

/* A value of a native policy. */
struct claude_value {
	const char *key;   /* "filesystem.allowWrite" … */
	const char *value; /* of environment.set "NAME=VALUE" */
	bool literal;      /* no character of the path is special */
	unsigned int line, column;
	struct claude_value *next;
};

/* Something that could not be said. */
struct claude_note {
	const char *key; /* "sandbox.network.allowedDomains" */
	const char *why;
	unsigned int line, column;
	struct claude_note *next;
};

struct claude_settings {
	struct claude_value *values; /* in the order of the file; owned by the arena, as all */
	struct claude_note *notes;
};

/* Where a settings file stands. Absolute, normalised. */
struct claude_places {
	const char *root; /* of paths of sandbox.filesystem that are relative */
	const char *cwd;
};

/**
 * claude_settings_read() - read a whole file.
 * @name: of the file, for messages
 * @text: @len bytes, and a NUL behind them that does not count
 * Return: 0, or negative errno with @e saying file, line, column, key and what was expected.
 */
int claude_settings_read(struct claude_settings *ret, const char *name, const char *text,
			 size_t len, const struct claude_places *places, struct arena *a,
			 struct err *e);

#endif
