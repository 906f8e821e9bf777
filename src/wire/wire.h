/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: what the supervisor of a sandbox and its PID 1 say to each other.
 *  1. wire_encode(), wire_decode()   one message and its bytes; pure, for datagrams and for byte streams
 *  2. wire_order_step()              whether PID 1 may say this now
 *  3. wire_send(), wire_recv()       the same over a socket that carries descriptors
 * Once a command runs, PID 1 shares no trust: each byte, number and descriptor from there is checked before it is used.
 */
#ifndef BAILEY_WIRE_H
#define BAILEY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/util.h"

/*
 * Every message carries the number, and an end speaks one version: of another it reads nothing (-EPROTONOSUPPORT), answers in its own, and what it says is what can
 * be done (docs/adr/0027). Sizes of a type never change: a type that must say more gets a new number. Types come without a new version until the first release.
 */
#define WIRE_VERSION 1

enum wire_type {
	/* PID 1 says */
	WIRE_READY =
		1, /* the sandbox is complete; with its user and mount namespace, then what the memory watchdog needs; or the first two; or none */
	WIRE_FAILED = 2, /* nothing of the command was started, and nothing will be */
	WIRE_STARTED =
		3, /* the command runs; with the master of its terminal, if it has one. In a run nothing is said without one: it would wake you for nothing */
	WIRE_STOPPED = 4, /* the command was stopped by a signal; said of those with a terminal */
	WIRE_ENDED = 5,   /* the command has ended and nothing of it is left */
	WIRE_LISTENER =
		6, /* calls stop until they are answered through the seccomp listener that comes with it, and, in a strict run, who makes names; said before READY */
	WIRE_NETWORK =
		7, /* the sockets that the sandbox sends everything to (enum jail_net); said first by those with a gateway */
	/* a supervisor of a sandbox that stays says to a client; PID 1 never does */
	WIRE_SESSION = 8,  /* which session was meant, and how much of its output is kept */
	WIRE_SESSIONS = 9, /* all of them, as JSON in a file of memory that comes with it */
	/* the supervisor of a sandbox that stays answers its clients */
	WIRE_STATE = 16, /* how the sandbox is; to ASK, PAUSE, RESUME, EXTEND */
	WIRE_PORT = 17,  /* one of its published ports; to PORT_ASK, PUBLISH */
	WIRE_SERVICES =
		18, /* its services as they are now, as JSON in a file of memory that comes with it; to SERVICES_ASK, SERVICES_SET, SERVICE_ORDER */
	WIRE_LEAVING =
		19, /* the sandbox ends now, and the command of this client with it; ENDED follows */
	WIRE_LOGGED =
		20, /* the network log has lines since the command of this client began, or it was attached; ENDED follows */
	WIRE_NO_NETWORK =
		21, /* the network was tried meanwhile, of which this sandbox has none; ENDED follows */
	WIRE_MEMORY =
		22, /* processes of the sandbox were killed meanwhile, because it had used more memory than it may; ENDED follows, or LEAVING, when all of them were */
	/* the supervisor says */
	WIRE_SIGNAL = 33,   /* send a signal to the command */
	WIRE_CONTINUE = 34, /* let the command go on, if it was stopped */
	WIRE_SPAWN =
		35, /* of a sandbox that stays: start one more command; with what it is (spawn.h), or that and its 0-2 */
	WIRE_STOP =
		36, /* of a client, to the supervisor of a sandbox that stays: end the sandbox */
	WIRE_COPY =
		57, /* of a sandbox that stays: files in or out, or names below, as one more command; with what to do (init.h, INIT_COPY_OUT, INIT_FS_STAT) and its 0-2 */
	WIRE_SERVICE =
		59, /* of a sandbox that stays: as SPAWN with 0-2; and with its first process ends all of the process group */
	/* the same; each is answered by STATE, or FAILED */
	WIRE_ASK = 45,   /* how is it? That changes nothing: it wakes nobody, and is no use of it */
	WIRE_PAUSE = 46, /* let nothing run */
	WIRE_RESUME = 47,   /* go on */
	WIRE_EXTEND = 48,   /* do not time out before that */
	WIRE_PORT_ASK = 49, /* which is the published port of that number? Answered by PORT */
	WIRE_PUBLISH =
		50, /* have the host's programs connect to one more port, or to one less. Answered by PORT */
	/* the rest is said by a client, to the supervisor of a sandbox that stays */
	WIRE_OPEN =
		37, /* start a command as a session; with what it is, then nothing, or a stream for its output and what is typed, or its 0-2, and the other ends of those that are pipes of the client's: when that has gone, they are read and what comes is thrown away */
	WIRE_ATTACH =
		38, /* the same stream, of a session that is there; and another one, for what it writes on 2 if that is kept apart. To shut down the first one for writing is the end of its input */
	WIRE_RESIZE = 39, /* the client's terminal has this size now */
	WIRE_LIST = 40,   /* which sessions are there? */
	WIRE_KILL = 41,   /* send a signal to a session */
	WIRE_BROKEN =
		42, /* nobody takes what comes out of a pipe of OPEN: who writes there shall know */
	/* each is answered by SERVICES, or FAILED */
	WIRE_SERVICES_ASK = 60,
	WIRE_SERVICES_SET = 61, /* these are defined now: JSON in a file of memory */
	WIRE_SERVICE_ORDER = 62,
};

enum wire_side { WIRE_FROM_INIT, WIRE_FROM_SUPERVISOR };

#define WIRE_GRACE_MAX 600000u      /* ms */
#define WIRE_EXTEND_MAX 2000000000u /* ms */

/* What a sandbox that stays does. */
enum wire_state { WIRE_STATE_RUNS = 1, WIRE_STATE_PAUSED };

/* Why one ends. */
enum wire_why {
	WIRE_WHY_ASKED = 1,
	WIRE_WHY_TIMEOUT,
	WIRE_WHY_IDLE,
	WIRE_WHY_SIGNAL,
	WIRE_WHY_MEMORY
};

#define WIRE_SIGNAL_GROUP 1u /* for the command's whole process group, as a terminal's are */

#define WIRE_CONTINUE_FOREGROUND \
	1u /* the command may use its terminal; without: it is in the background there */

#define WIRE_ID 16u   /* bytes of the id of a sandbox, with its NUL: lowercase hexadecimal digits */
#define WIRE_WORD 64u /* bytes of a session's name or number, as text, with its NUL */

#define WIRE_OPEN_HELD 1u /* the supervisor keeps what the command writes */
/* the rest only with HELD, of a command without a terminal */
#define WIRE_OPEN_INPUT 2u /* its stdin is kept open: who attaches types there */
#define WIRE_OPEN_SPLIT 4u /* 1 and 2 are kept apart */

#define WIRE_ATTACH_READ_ONLY 1u /* what the client says is not typed */
#define WIRE_ATTACH_FOLLOW 2u    /* until the session has ended; without: what is kept now */
#define WIRE_ATTACH_TERMINAL 4u  /* where no session is named, one with a terminal is meant */

/* What a service shall do. */
enum wire_order_word { WIRE_ORDER_START = 1, WIRE_ORDER_STOP, WIRE_ORDER_RESTART };

#define WIRE_SESSION_TERMINAL 1u /* it has one */
#define WIRE_SESSION_ENDED 2u    /* ENDED follows, when everything was written */
#define WIRE_SESSION_INPUT 4u    /* it has no terminal, but takes what is typed */

/* Sessions. A command with all it starts is one. */
#define WIRE_SANDBOX 0u /* what concerns the sandbox as a whole */
#define WIRE_COMMAND 1u /* the first command, which a run has only */

/* A published port. */
struct wire_place {
	uint16_t host, inside;
	unsigned char at[16]; /* address on the host; IPv4 as ::ffff:a.b.c.d */
};

struct wire_msg {
	enum wire_type type;
	uint32_t session;
	union {
		struct {
			uint32_t lost; /* layers that are missing, as bits */
		} ready;
		struct err failed;
		struct {
			uint32_t pid; /* as the sandbox sees it */
		} started;
		struct {
			int32_t signal;
		} stopped;
		struct {
			int32_t status; /* wait status; exited or killed */
			int64_t offset; /* where stdin was read up to, when it is a regular file; else -1 */
		} ended;
		struct {
			int32_t signal;
			uint32_t flags;
		} signal;
		struct {
			uint32_t flags;
		} cont;
		struct {
			uint32_t grace_ms; /* between SIGTERM and SIGKILL */
		} stop;
		struct {
			uint32_t why; /* enum wire_why */
		} leaving;
		struct {
			uint64_t since;   /* the number of the last line before */
			char id[WIRE_ID]; /* of the log */
		} logged;
		struct {
			uint64_t limit; /* bytes */
		} memory;
		struct {
			uint32_t ms;
		} extend;
		struct {
			uint32_t number; /* from 0 */
		} port_ask;
		struct {
			uint32_t total; /* how many there are; 0, or as many as the number that was asked for: what follows is zero */
			struct wire_place place;
			uint32_t chosen; /* 1: the host's port was, by the system */
		} port;
		struct {
			uint32_t remove; /* 0 or 1: that very one, which PORT has described */
			struct wire_place place; /* host 0: any that is free */
		} publish;
		struct {
			uint32_t state;       /* enum wire_state */
			uint32_t pid;         /* PID 1, as the supervisor's /proc has it */
			uint32_t clients;     /* that wait for a command */
			uint32_t connections; /* open at the gateway */
			uint64_t up, down;    /* bytes that went through it */
			int64_t left_ms;      /* until it times out, or -1 */
		} state;
		struct {
			uint32_t number, flags;
			uint64_t history; /* bytes of the stream that were written before now */
		} which;
		struct {
			uint32_t flags;
			uint32_t alone_ms; /* how long it may run without a client; 0: for ever */
			char name[WIRE_WORD];
		} open;
		struct {
			uint32_t flags;
			uint32_t rows, cols; /* 0: no terminal */
			char word[WIRE_WORD];
		} attach;
		struct {
			uint32_t rows, cols;
		} resize;
		struct {
			int32_t signal;
			char word[WIRE_WORD];
		} end;
		struct {
			uint32_t which; /* the first or the second */
		} broken;
		struct {
			uint32_t order;    /* enum wire_order_word */
			uint32_t grace_ms; /* between SIGTERM and SIGKILL */
			char word[WIRE_WORD];
		} service;
	};
};

#define WIRE_HEADER 16u
#define WIRE_MAX \
	(WIRE_HEADER + 8u + sizeof(((struct err *)0)->where) + sizeof(((struct err *)0)->msg))
#define WIRE_FDS 6u /* descriptors of one message */

/** wire_encode() - the bytes of @m. Return: how many, at most WIRE_MAX; 0 when @m is no message. */
size_t wire_encode(const struct wire_msg *m, unsigned char out[WIRE_MAX]);

/**
 * wire_decode() - the message at the beginning of @n bytes.
 * @from: who says it
 * @ret_used: its bytes
 * Return: 0; -EAGAIN: more bytes are needed; -EPROTONOSUPPORT: another version; -EBADMSG.
 */
int wire_decode(const void *p, size_t n, enum wire_side from, struct wire_msg *ret,
		size_t *ret_used);

/** wire_fds_ok() - whether @n descriptors may come with a message of type @t. */
bool wire_fds_ok(enum wire_type t, size_t n);

/*
 * What PID 1 has said of a session so far:
 *
 *	BUILDING  NETWORK → WIRED, LISTENER → HEARD, READY → READY, FAILED → OVER
 *	WIRED     LISTENER → HEARD, READY → READY, FAILED → OVER
 *	HEARD     READY → READY, FAILED → OVER
 *	READY     STARTED → RUNNING, FAILED → OVER, ENDED → OVER
 *	RUNNING   STOPPED → RUNNING, ENDED → OVER
 *	SERVING   STARTED, STOPPED, ENDED, FAILED → SERVING: of sessions, which the supervisor knows by their numbers
 *	OVER      nothing
 *
 * The supervisor of a sandbox that stays puts SERVING in the place of READY.
 */
enum wire_order {
	WIRE_BUILDING,
	WIRE_WIRED,
	WIRE_HEARD,
	WIRE_IS_READY,
	WIRE_RUNNING,
	WIRE_SERVING,
	WIRE_OVER
};

/** wire_order_step() - PID 1 says @t. Return: 0, or -EPROTO when it may not now; @order is unchanged then. */
int wire_order_step(enum wire_order *order, enum wire_type t);

/**
 * wire_send() - send @m with @n_fds descriptors over a SOCK_SEQPACKET socket.
 * @wait: whether to wait for room; without, -EAGAIN when there is none. A message with descriptors always waits.
 * Return: 0 or negative errno.
 */
int wire_send(int sock, const struct wire_msg *m, const int *fds, size_t n_fds, bool wait);

/**
 * wire_recv() - receive one message; does not wait.
 * @fds: WIRE_FDS places; the caller owns what it gets; others become -1
 * Return: 1; 0 when the peer has gone; -EAGAIN; other negative errno, and nothing was received.
 */
int wire_recv(int sock, enum wire_side from, struct wire_msg *m, int fds[WIRE_FDS]);

#endif
