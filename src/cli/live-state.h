/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor of a sandbox that stays has: live.c and live-main.c. */
#ifndef BAILEY_CLI_LIVE_STATE_H
#define BAILEY_CLI_LIVE_STATE_H

#include "life.h"
#include "live.h"
#include "services.h"
#include "sessions.h"

struct client {
	struct live *live;
	struct loop_source *source;
	int fd;                  /* -1: nobody is here */
	struct session *session; /* of its command, or that it is attached to; NULL: it has none */
	struct view *view;       /* what it sees of that, or NULL */
	bool attached;           /* it has not started it */
	uint64_t logged;         /* the last line of the network log when it came */
	unsigned long tried;     /* no_network_count(), then */
	unsigned long long killed; /* jail_limits_killed(), then */
	int ends[2]; /* the other ends of its command's pipes, which it reads; or -1 */
};

struct live {
	struct run *run;
	struct life life;
	const char *id;
	int listener, status;
	struct loop_source *source;
	char socket[LIVE_SOCKET];
	const char *name;
	const struct opt_list *volumes; /* of its words */
	const struct opt_list *host_env;
	const char *home;
	char dir[LIMIT_PATH]; /* what is kept of it */
	unsigned int block;   /* of ids */
	int runtime;
	bool begun;           /* the sandbox is complete, and its services begin */
	bool ready, stopping; /* stopping: PID 1 was told, or is when the services have ended */
	bool told;
	bool signalled;            /* our end was asked for by a signal */
	long kill_at;              /* ms of CLOCK_MONOTONIC */
	long tell_at;              /* when services have had time enough */
	unsigned long long killed; /* jail_limits_killed(), when the last command began or ended */
	struct sessions sessions;
	struct services services;
	struct client clients[LIMIT_CLIENTS + LIMIT_ASKING];
};

/** live_services() - what its services are made of. */
void live_services(struct live *l);

/* Between live.c, live-told.c and live-questions.c. */

/** live_note() - what happens in the sandbox from now on @c is told of at the end of its command: it has come. */
void live_note(struct client *c);

/** live_tell() - its command ends: tell it, so that it can say what may have been the reason. Return: whether @c is still here. */
bool live_tell(struct client *c);

/** live_tell_leaving() - who waits for a command hears why it ends, before it does. */
void live_tell_leaving(struct live *l);

/** live_answer() - say @m, with @fd or -1, borrowed. Return: whether @c is still here. */
bool live_answer(struct client *c, const struct wire_msg *m, int fd);

/** live_refuse() - the same, why not; and let it go. */
void live_refuse(struct client *c, const struct err *e);

/** live_attached() - how many clients wait for a command of it. */
unsigned int live_attached(const struct live *l);

/** live_list() - answer with its sessions. */
void live_list(struct client *c);

/** live_question() - of the sandbox itself. */
void live_question(struct client *c, const struct wire_msg *m);

/** live_service_question() - of its services. @fds: what came with @m */
void live_service_question(struct client *c, const struct wire_msg *m, const int fds[WIRE_FDS]);

#endif
