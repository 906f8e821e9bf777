/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of a session: what `exec` and `attach` do until it is over. */
#ifndef BAILEY_CLI_CLIENT_H
#define BAILEY_CLI_CLIENT_H

#include "cli.h"
#include "inlet.h"
#include "named.h"
#include "outlets.h"
#include "terminal.h"

struct client {
	struct loop loop;
	struct terminal *terminal; /* owned; or NULL */
	struct outlets outlets;    /* of a command without one */
	struct inlet inlet;        /* the same, attached and typed to */
	struct loop_source *reports;
	const char *name; /* of the sandbox, as messages show it */
	int sock, signals;
	int stream, errors; /* of a session, until they are copied; -1: none */
	int status;
	uint32_t number; /* of the session; 0: not known yet */
	int signal;      /* that was handed on and shall end the command; 0: none */
	long signal_by;  /* ms of CLOCK_MONOTONIC: until when it must have been taken */
	bool detach;     /* it is enough that the command runs */
	bool attached;   /* somebody else has started it: our signals are not for it */
	bool plain;      /* attached, and it has no terminal */
	bool read_only, ended;
	bool input;        /* attached: it is to read our stdin, also without a terminal */
	bool types;        /* somebody is to type at our terminal */
	bool lost;         /* attached: nobody takes what it writes */
	bool told;         /* its user knows that the supervisor does not answer */
	long quiet_from;   /* ms of CLOCK_MONOTONIC: since when an answer is waited for */
	enum wire_why why; /* the sandbox ends; or 0 */
	int state; /* directory of bailey's state, borrowed; -1: nothing is said of the network */
	bool no_network;   /* it has none, and that was tried */
	uint64_t memory;   /* processes were ended, since it had used more than this; or 0 */
	char log[WIRE_ID]; /* of the network, which has something new; or "" */
	uint64_t logged;   /* the last line that is old */
};

/** client_begin() - @sock: to the supervisor, borrowed. Return: 0 or negative errno with @e; client_done() in any case. */
int client_begin(struct client *c, int sock, const char *name, struct err *e);

/** client_stream() - make a stream that a session's bytes go through. @ret: our end. Return: the other end, for the supervisor, or negative errno with @e. */
int client_stream(int *ret, struct err *e);

/**
 * client_wait() - after OPEN or ATTACH was sent, until the session has ended, or we leave it.
 * Return: exit status; 0 as well when it was left; negative errno with @e.
 */
int client_wait(struct client *c, struct err *e);

void client_done(struct client *c);

#define CLIENT_QUIET_MS 15000 /* a slow machine is no hang */
/* What is said then, of a name that stands there twice. */
#define CLIENT_QUIET \
	"bailey: notice: the supervisor of '%s' does not answer; bailey stop %s ends it\n"

/** client_unread() - whether the supervisor at the other end of @sock has not read all that we have said. */
bool client_unread(int sock);

/** client_connect() - to the sandbox @word, which is started if need be. Return: as named_get(). */
int client_connect(struct named *n, const char *word, int *ret_sock, struct err *e);

/** client_reach() - the same, but only if it runs. Return: 0; an exit status > 0, and the reason was said; negative errno with @e, -ESRCH: it does not run. */
int client_reach(struct named *n, const char *word, int *ret_sock, struct err *e);

/** client_word() - a session's name or number, for a message. @out: WIRE_WORD bytes. Return: 0 or -EINVAL with @e. */
int client_word(const char *word, char *out, struct err *e);

/**
 * client_hear() - one message of the supervisor, within some seconds.
 * @ret_fd: what came with it, or -1
 * Return: 0, or negative errno with @e: what FAILED says, too.
 */
int client_hear(int sock, struct wire_msg *ret, int *ret_fd, struct err *e);

/** client_fail() - as cli_fail(), for what a supervisor has refused: there is no such session: 3, it is not so that this can be done: 4. */
int client_fail(const struct err *e);

/** client_list() - send @m (WIRE_LIST, or what is answered by SERVICES), with @fd (borrowed) or -1, and append the list that is answered. Else as client_sessions(). */
int client_list(int sock, const struct wire_msg *m, int fd, const char *name, struct buf *b,
		struct err *e);

/** client_sessions() - append the sessions of the sandbox @name, a JSON array. @sock: to its supervisor, or the negative errno of that; borrowed. Return: 0 or negative errno with @e. */
int client_sessions(int sock, const char *name, struct buf *b, struct err *e);

#endif
