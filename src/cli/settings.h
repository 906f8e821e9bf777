/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy files: where they are, who may have written them, and how they join the options of the command line (docs/adr/0006).
 *  1. settings_load(), settings_projects()   read them into s->sources
 *  2. settings_merge()                       options that hold the values of all files and of the command line
 */
#ifndef BAILEY_CLI_SETTINGS_H
#define BAILEY_CLI_SETTINGS_H

#include "cli.h"

#define SETTINGS_MANAGED_DIR "/etc/bailey"
#define SETTINGS_MANAGED SETTINGS_MANAGED_DIR "/policy.json"
#define SETTINGS_PROJECT ".bailey.json"

/* Whose a file must be. */
enum settings_owner {
	SETTINGS_ROOT,   /* root's, and nobody else may write it */
	SETTINGS_CALLER, /* the caller's or root's, and nobody else may write it */
	SETTINGS_ANY,    /* it gives nothing by itself, or was named */
};

/**
 * settings_read() - the whole of a file, opened once and judged by that descriptor.
 * @dfd: where @path begins, or AT_FDCWD
 * @name: for messages
 * @b: a buffer with a cap
 * Return: 1; 0 when there is no such file; negative errno with @e when it is no regular file, another's, too long or unreadable.
 */
int settings_read(int dfd, const char *path, const char *name, enum settings_owner owner,
		  struct buf *b, struct err *e);

/**
 * settings_config_dir() - the directory of the caller's policy file.
 * @resolve: symlinks, because rules compare resolved paths; to open it, the kernel does that
 * @out: LIMIT_PATH bytes
 * Return: 0; -ENOENT without a home, -ENAMETOOLONG.
 */
int settings_config_dir(const char *home, bool resolve, char *out);

/** settings_state_dir() - the directory of bailey's own state, resolved; as settings_config_dir(). -EINVAL where it must not be. */
int settings_state_dir(const char *home, char *out);

/** settings_load() - the managed file, the caller's, and those of --policy. Return: 0 or negative errno with @e. */
int settings_load(struct sandbox *s, const struct sandbox_options *o, const char *cwd,
		  struct err *e);

/**
 * settings_import() - a settings file of Claude Code, as a source that the command line named. @word: its path
 * Return: 0 or negative errno with @e.
 */
int settings_import(struct sandbox *s, const struct sandbox_options *o, const char *word,
		    const char *cwd, struct opt_source **ret, struct err *e);

/** settings_projects() - the file in each workspace. Return: 0 or negative errno with @e. */
int settings_projects(struct sandbox *s, const struct sandbox_options *o, struct err *e);

/** settings_merge() - make s->options one set of options out of files and command line. Return: 0 or negative errno with @e. */
int settings_merge(struct sandbox *s, const struct sandbox_options *o, struct err *e);

/** settings_done() - free what settings_merge() made. */
void settings_done(struct sandbox *s);

/** settings_make_dirs() - make @path and its parents, for nobody else. Return: 0 or negative errno, in errno, too. */
int settings_make_dirs(const char *path);

/** settings_keep() - bailey's own directories exist where the command could otherwise make them. Return: 0 or negative errno with @e. */
int settings_keep(const struct sandbox *s, struct err *e);

enum trust { TRUST_NONE, TRUST_CHANGED, TRUST_SAME };

/**
 * trust_look() - whether the caller has trusted exactly these bytes as the policy of @dir.
 * @dir: resolved
 * Return: enum trust, or negative errno with @e when the store can't be believed.
 */
int trust_look(const char *home, const char *dir, const struct buf *text, struct err *e);

/** env_file() - the variables of a file, as values of --env and --pass-env. Return: 0 or negative errno with @e. */
int env_file(struct sandbox *s, const struct opt_value *v, struct opt_list *out, struct err *e);

/** env_put() - put @word, NAME=VALUE, among the *@n variables @env, which has a place for it: of two with one name the last one is in force. */
void env_put(char **env, size_t *n, const char *word);

#endif
