/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions of a sandbox that stays, as its supervisor knows them (docs/adr/0032): which there are, what is kept of their output, and who
 * sees it. sessions.c is the table, views.c copies. Sessions whose command has the caller's own streams are only listed.
 */
#ifndef BAILEY_CLI_SESSIONS_H
#define BAILEY_CLI_SESSIONS_H

#include "init/init.h"
#include "turns.h"
#include "util/util.h"
#include "wire/wire.h"

/* A descriptor that epoll asks; which kind it is, who gets the event knows by. */
struct watched {
	enum {
		WATCHED_OUTPUT,
		WATCHED_ERRORS,
		WATCHED_INPUT,
		WATCHED_VIEW,
		WATCHED_VIEW_ERRORS,
		WATCHED_DRAIN
	} kind;
	int fd; /* owned; -1: there is none, or not any more */
	uint32_t events;
};

struct session {
	struct watched output; /* the master of its terminal, or a pipe's end */
	struct watched errors; /* the end of another pipe, when what it writes on 2 is kept apart */
	struct watched
		input; /* the end of a pipe, when it has no terminal and its stdin is kept open */
	struct session *next;
	uint32_t number;
	char name[WIRE_WORD]; /* "": it has none */
	char *words;          /* JSON: an array; owned */
	struct ring ring;
	struct turns turns;      /* which of its bytes are of `errors` */
	long long created, last; /* ns since 1970; last: when something was written */
	long alone_at; /* ms of CLOCK_MONOTONIC: since when it has no client; 0: it has one */
	long alone_ms; /* how long that may be; 0: for ever */
	long kill_at;  /* since when SIGTERM is not enough; 0: it was not sent */
	unsigned int clients;
	size_t left[2]; /* bytes of output and errors that are at most to be read between ended and over */
	uint32_t pid; /* as the sandbox sees it; 0: PID 1 has not said that it runs */
	int status;   /* wait status */
	bool terminal, held;
	bool ended;       /* its first process */
	bool over;        /* and what that had written was read */
	bool choked;      /* it takes no more of what is typed now */
	bool split;       /* errors are kept apart */
	bool takes_input; /* its stdin is to be a pipe that is kept open */
	bool service; /* it may begin again: it is not forgotten, its name stays, and who follows it is not told of an end */
};

/* Who sees a session's output. */
struct view {
	struct watched stream;
	struct watched
		errors; /* what was written on 2, where that is kept apart; -1: `stream` has both */
	struct view *next; /* the one that came before it */
	struct session *session;
	uint64_t at,
		until; /* position of the next byte, and of the end; UINT64_MAX: not known yet */
	uint64_t mark; /* position when the time began that the client has for more */
	long since;    /* ms of CLOCK_MONOTONIC; 0: it is not behind */
	uint32_t rows, cols;
	bool read_only;
	bool silent; /* it types no more */
	void *client;
};

struct sessions {
	struct session *first; /* the newest */
	struct view *views;    /* the newest */
	struct watched drains[LIMIT_DRAINS];
	struct ring_budget budget;
	uint32_t next;    /* number */
	long still_since; /* ms of CLOCK_MONOTONIC: since when nothing runs; 0: it runs */
	int epoll;
	/* @client has everything that it will get of its session: over, or kept; or it was too slow */
	void (*done)(void *client, const struct session *s, bool slow);
	char buffer[LIMIT_TTY_OUT];
};

/** sessions_begin() - no session yet. Return: 0 or negative errno; s->epoll is what a loop must wait for, and sessions_copy() what is done then. */
int sessions_begin(struct sessions *s);

/**
 * sessions_open() - one more session.
 * @cmd: what it runs
 * Return: 0; -EEXIST, -EAGAIN, -ENOMEM with @e.
 */
int sessions_open(struct sessions *s, const struct wire_msg *m, const struct init_command *cmd,
		  struct session **ret, struct err *e);

/** sessions_again() - a service that has ended begins once more; what it has written stays. */
void sessions_again(struct sessions *s, struct session *one);

/** sessions_release() - it will not begin again: from now on it is as any that has ended. */
void sessions_release(struct sessions *s, struct session *one);

/**
 * sessions_streams() - what PID 1 is to be given with the command of @one: its words, and 0-2 but for a terminal.
 * @fds: of who asks for it
 * @give: *@n descriptors, borrowed; those in @own are the caller's to close, whatever is returned
 * Return: 0 or negative errno.
 */
int sessions_streams(struct session *one, const int *fds, int give[4], size_t *n, int own[3]);

/** sessions_oldest() - position of the oldest byte that can be shown; @line: that begins a line, if there is one. */
uint64_t sessions_oldest(const struct session *one, bool line);

/** sessions_read_ends() - what is open of where it writes, of @one: 0, 1 or 2 descriptors. */
unsigned int sessions_read_ends(const struct session *one);

/** sessions_by_wire() - the session that PID 1 calls @id. Return: it, or NULL. sessions_wire(): the other way. */
struct session *sessions_by_wire(const struct sessions *s, uint32_t id);
uint32_t sessions_wire(const struct session *one);

/**
 * sessions_find() - the session that a human calls @word: its name, else its number; "": the newest that is kept; when @terminal, of those with
 * one, and one that runs before one that does not; else one without before one with. Return: it, or NULL.
 */
struct session *sessions_find(const struct sessions *s, const char *word, bool terminal);

/** sessions_started() - it runs, with the terminal @master (or -1), which is taken and not trusted. Return: 0 or -EBADMSG. */
int sessions_started(struct sessions *s, struct session *one, uint32_t pid, int master);

/** sessions_ended() - its first process has ended. */
void sessions_ended(struct sessions *s, struct session *one, int status);

/** sessions_drop() - forget it; its views end. */
void sessions_drop(struct sessions *s, struct session *one);

/** sessions_enter(), sessions_leave() - a client of it has come, or gone. */
void sessions_enter(struct session *one);
void sessions_leave(struct session *one);

/** sessions_list() - append an array of objects: all sessions, the oldest first. */
void sessions_list(const struct sessions *s, struct buf *b);

/**
 * sessions_step() - between two polls: clients that are too slow are let go.
 * @still: nothing of the sandbox runs, and this time does not count
 * @wait: until the next poll must end, -1: never
 * @send: called for sessions that have been alone for too long
 */
void sessions_step(struct sessions *s, bool still, long *wait,
		   void (*send)(void *arg, const struct session *one, int sig), void *arg);

/** sessions_copy() - do what epoll has. */
void sessions_copy(struct sessions *s);

/** sessions_drain() - read @fd (a pipe; taken) until nobody can write there any more, and throw it away. LIMIT_DRAINS at a time; one more is closed. */
void sessions_drain(struct sessions *s, int fd);

/**
 * view_open() - show @one to @client.
 * @stream: a stream socket; taken
 * @errors: another one, for what it writes on 2, or -1; taken
 * @from: position of the first byte, which must be kept
 * @follow: to the end; else what is kept now
 * Return: it, or NULL: out of memory.
 */
struct view *view_open(struct sessions *s, struct session *one, int stream, int errors,
		       uint64_t from, bool follow, void *client);

/** view_show() - copy what there is; later it goes by itself. done() may be called. */
void view_show(struct sessions *s, struct view *v);

/** view_resize() - its terminal has another size. The session's has that of the newest one. */
void view_resize(const struct sessions *s, struct view *v, uint32_t rows, uint32_t cols);

/** view_close() - its client has gone. */
void view_close(struct sessions *s, struct view *v);

/* Between sessions.c and views.c. */

/** views_drain() - read what @one has written, as far as nobody is held up. */
void views_drain(struct sessions *s, struct session *one);

/** views_settle() - ask epoll for what is wanted of @one and its views now. */
void views_settle(struct sessions *s, struct session *one);

/** views_late() - let go who is too slow. @wait: as sessions_step() */
void views_late(struct sessions *s, long now, long *wait);

/** watch_for() - ask epoll for @events; 0: nothing, not even a hang-up. */
void watch_for(const struct sessions *s, struct watched *w, uint32_t events);

/** watch_close() - close it. */
void watch_close(const struct sessions *s, struct watched *w);

#endif
