/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of srt: its words, settings and defaults, translated into options of the native run (docs/adr/0020).
 *  1. srt_words()      the command line, as srt reads it
 *  2. srt_policy()     settings into values of the option table
 *  3. srt_env()        the command's environment
 *  4. srt_routes()     other proxies; srt_rules() rules, for a run that lives
 *  5. srt.c            joins them, and runs
 */
#ifndef BAILEY_CLI_SRT_H
#define BAILEY_CLI_SRT_H

#include "sandbox.h"

struct srt_words {
	bool debug, version, help;
	const char *settings; /* borrowed, as all; NULL: not given */
	const char *command;  /* of -c; NULL: none */
	int control;          /* --control-fd, or -1 */
	const char **args;    /* the command's words, NULL-terminated; owned by the arena */
	size_t n_args;
};

/**
 * srt_words() - read the command line as srt does: its options count anywhere before "--", what it does not know belongs to the command.
 * @argv: NULL-terminated
 * Return: 0, or -EINVAL, -ENOMEM with @e, the whole message.
 */
int srt_words(struct srt_words *w, char *const *argv, struct arena *a, struct err *e);

/** srt_quote() - append @args so that a shell reads each as one word; as srt writes it. */
void srt_quote(struct buf *b, const char *const *args);

/* What is masked, and what the command gets for it. */
struct srt_masks {
	struct arena arena; /* of memory that no child gets */
	struct sandbox_mask *v;
	size_t n;
	const char **vars; /* "NAME=SENTINEL" */
	size_t n_vars;
	struct sandbox_text *texts;
	struct srt_shown {
		const struct json_node *entry;
	} * shown; /* of each text its entry */
	size_t n_texts;
	/* variables that are masked as a whole, by their places in v, which is gone when the run has begun */
	struct srt_whole {
		const char *name;
		size_t place;
	} * whole;
	size_t n_whole;
	struct sandbox_pairs pairs;
};

#define SRT_DEFAULTS "srt's defaults" /* the path of settings that are in no file */

/* What is translated. */
struct srt {
	struct srt_settings settings;
	struct opt_source source; /* of the settings */
	struct opt_source own;    /* of srt's own rules */
	struct sandbox_options *options;
	struct arena *arena;
	const char *cwd, *home; /* resolved; home may be NULL */
	bool debug;
	const char **roots; /* what is writable */
	size_t n_roots;
	bool control;                         /* settings may change while the command runs */
	struct sandbox_network_rules network; /* handed and socket */
	struct upstream upstream;
	struct srt_masks masks;
};

#define SRT_ROOTS 1024

/** srt_debug() - a line for -d and SRT_DEBUG. */
__attribute__((format(printf, 2, 3))) void srt_debug(const struct srt *s, const char *fmt, ...);

/** srt_say() - a line on stderr. */
__attribute__((format(printf, 1, 2))) void srt_say(const char *fmt, ...);

/** srt_policy() - add values to s->options that say what s->settings say. Return: 0 or negative errno with @e. */
int srt_policy(struct srt *s, struct err *e);

/** srt_denied_write() - @path (normalised) is denied for writing; what is not there only where it could be made. Return: as srt_policy(). */
int srt_denied_write(struct srt *s, const struct opt_source *source, const struct json_node *at,
		     const char *path, struct err *e);

/** srt_network() - values of the network options that say what s->settings say. Return: as srt_policy(). */
int srt_network(struct srt *s, struct err *e);

/** srt_network_deny() - deny the host of the entry @at, too, with that reason. Return: as srt_policy(). */
int srt_network_deny(struct srt *s, const struct json_node *at, const char *reason, struct err *e);

/**
 * srt_masks() - find the values that are to be masked, and what stands for them: s->masks. What can't be masked is denied, and a line says so.
 * Return: as srt_policy(). srt_masks_done() in any case.
 */
int srt_masks(struct srt *s, struct err *e);

/** srt_is_mask() - whether that entry of credentials is to be masked. */
bool srt_is_mask(const struct json_node *entry);

/** srt_random_text() - @prefix and @n letters of the 32 of @alphabet. Return: NULL with @e. */
const char *srt_random_text(struct srt *s, const char *prefix, size_t n, const char *alphabet,
			    struct err *e);

/** srt_sentinel() - what stands for a value, with @n letters. Return: NULL with @e. */
const char *srt_sentinel(struct srt *s, size_t n, struct err *e);

/** srt_pairs_begin() - s->masks.pairs: after the variables, before the files. Sentinels of pairs have the forms that clients look for. Return: as srt_policy(). */
int srt_pairs_begin(struct srt *s, struct err *e);

/**
 * srt_pairs() - which masks of @start sign for AWS together, as the settings of @s say; what can't is said.
 * @ret: of the arena of @s
 * Return: as srt_policy().
 */
int srt_pairs(const struct srt *s, const struct srt_masks *start, struct sandbox_pairs *ret,
	      struct err *e);

/** srt_mask_shown() - whether the file of that entry of credentials.files is shown with sentinels. */
bool srt_mask_shown(const struct srt *s, const struct json_node *entry);

/** srt_masks_hide() - erase the variables that credentials names, once nothing reads them any more. */
void srt_masks_hide(const struct srt *s);

/** srt_masks_done() - erase and free. */
void srt_masks_done(struct srt *s);

/** srt_ends_tls() - whether tlsTerminate holds. */
bool srt_ends_tls(const struct srt *s);

/** srt_tls() - what is inspected, and how; masks and texts for @front. After srt_network(). Return: as srt_policy(). */
int srt_tls(struct srt *s, struct sandbox_front *front, struct err *e);

/** srt_tls_update() - what an update @s can't change of what @start has begun with is closed instead. Return: as srt_policy(). */
int srt_tls_update(struct srt *s, const struct srt *start, struct err *e);

/** srt_has_network() - whether some host is allowed, or could be later, or another proxy decides; else there is no network at all. */
bool srt_has_network(const struct srt *s);

/** srt_rules() - the values that srt_network() has added, as rules of the arena. Return: as srt_policy(). */
int srt_rules(struct srt *s, struct err *e);

/** srt_handed() - s->network: what mitmProxy takes, and where it is. Return: as srt_policy(). */
int srt_handed(struct srt *s, struct err *e);

/** srt_routes() - that, and in @front the other proxies and the words of refusals. Return: as srt_policy(). */
int srt_routes(struct srt *s, struct sandbox_front *front, struct err *e);

/** srt_names() - what srt always denies for writing: names in the current directory and below. Return: as srt_policy(). */
int srt_names(struct srt *s, struct err *e);

/** srt_proxy() - `srt proxy`. @args: behind that word. Return: exit status. */
int srt_proxy(const char *const *args);

/** srt_fail() - print "Error: message". Return: srt's exit status for that. */
int srt_fail(const struct err *e);

/** srt_named_main() - srt_main() for bailey by the name srt. @argv: behind the name. */
int srt_named_main(char **argv);

/** srt_env() - the command's environment. Return: a list owned by the arena; NULL: no memory. */
char **srt_env(const struct srt *s);

struct srt_control {
	int fd;
	struct buf line;             /* what has come of the next one */
	struct sandbox_front *front; /* whose loop waits for fd */
	const struct srt *srt;       /* of the start */
};

/** srt_control_check() - whether config updates can be read from c->fd. Return: 0 or negative errno. */
int srt_control_check(const struct srt_control *c);

/** srt_control_read() - for the loop: take what has come; bad lines are reported. */
int srt_control_read(void *arg, short revents, struct err *e);

#endif
