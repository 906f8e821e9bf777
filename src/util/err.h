/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: every function that can fail returns 0 (or a useful non-negative value) or a negative errno, and fills the caller's
 * struct err when it fails. It has no pointers, so it survives a fork and travels through a socket as it is.
 *
 *	struct err e = ERR_INIT;
 *	r = policy_add(p, ..., &e);
 *	if (r < 0)
 *		return err_wrap(&e, r, "--hide '%s'", path);
 */
#ifndef BAILEY_UTIL_ERR_H
#define BAILEY_UTIL_ERR_H

/** enum err_code - what kind of failure, and so which exit code (err_exit_code()). */
enum err_code {
	ERR_NONE,
	ERR_USAGE,    /* the command line is wrong */
	ERR_POLICY,   /* the policy can't be enforced, or contradicts itself */
	ERR_LAYER,    /* a layer of the sandbox is missing: refusal */
	ERR_SYSTEM,   /* a system call failed */
	ERR_NOEXEC,   /* the command can't be executed */
	ERR_NOTFOUND, /* the command was not found */
	ERR_ABSENT,   /* what was named is not there: a sandbox, a run */
	ERR_HELP,     /* no failure: the words ask for help, and nothing else is to be done */
	ERR_NUM
};

struct err {
	int sys; /* errno, positive; 0 when none applies */
	enum err_code code;
	char where[24]; /* stage or layer that failed */
	char msg[480];  /* one line, for people */
};

#define ERR_INIT         \
	{                \
		.sys = 0 \
	}

/**
 * err_set() - describe a failure.
 * @e: filled; may be NULL
 * @code: kind
 * @ret: negative errno, also returned
 * Return: @ret.
 */
__attribute__((format(printf, 4, 5))) int err_set(struct err *e, enum err_code code, int ret,
						  const char *fmt, ...);

/** err_sys() - like err_set() with ERR_SYSTEM; appends the errno's text. */
__attribute__((format(printf, 3, 4))) int err_sys(struct err *e, int ret, const char *fmt, ...);

/** err_wrap() - put "context: " before the message that is there. Return: @ret. */
__attribute__((format(printf, 3, 4))) int err_wrap(struct err *e, int ret, const char *fmt, ...);

/** err_exit_code() - the exit status of bailey for @e (see docs/adr/0005). */
int err_exit_code(const struct err *e);

#endif
