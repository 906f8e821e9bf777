/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a bridge share.
 *  bridge.c     the loop, messages, frames
 *  streams.c    what goes through a descriptor, and when it ends
 *  ends.c       which descriptor becomes what
 */
#ifndef BAILEY_WIRE_BRIDGE_PARTS_H
#define BAILEY_WIRE_BRIDGE_PARTS_H

#include <sys/stat.h>
#include <unistd.h>

#include "mux.h"

#define BRIDGE_SOFT 131072u /* bytes to be sent, beyond which nothing is read here */

/* What stands at this end of a channel. */
struct stream {
	int fd;
	uint32_t number;
	uint32_t session; /* whose it is */
	uint32_t events;  /* that epoll waits for */
	bool watched;     /* by epoll */
	bool steady;      /* a file or a device, always ready, which epoll knows nothing of */
	bool socket, terminal;
	bool ours; /* nobody else has this end of it: it may be shut down */
	bool foreign; /* a pipe whose description is somebody's, who may want to wait: that must not be changed */
	bool last;              /* nothing more comes */
	unsigned char *pending; /* what the descriptor did not take yet; owned */
	size_t at, n;           /* of it */
	uint32_t taken;         /* bytes that were not credited yet */
	size_t owed;            /* bytes that are to be sent before the end of its session */
};

#define BRIDGE_OWED_ALL SIZE_MAX /* all that is there */

/* The end of a session, which comes behind what the session has written. */
struct parked {
	struct wire_msg msg;
	struct parked *next;
};

/* A message of ours on its way; others wait, so that the order stays. */
struct sending {
	bool active;
	struct wire_msg msg;
	int fds[WIRE_FDS];
	off_t at; /* of the file */
};

struct bridge {
	int sock, in, out, epoll;
	enum wire_side us, them;
	bool gone; /* one side; nothing new is begun */
	bool deaf; /* who is here hears nothing any more, but may have said something */
	long until;
	struct buf queue; /* to be written to the stream */
	size_t queued_at;
	struct sending sending;
	int file; /* what FILE frames have brought, or -1 */
	size_t file_n;
	bool stopped; /* a message waits for room in the socket */
	bool crowded; /* the end of a session does */
	struct parked *parked;
	int tube[2]; /* a pipe of our own, always empty: what goes through a foreign one goes through this */
	struct stream *streams[2 * MUX_SLOTS];
	size_t n_streams, n_steady;
	struct mux mux;
	size_t heard;
	unsigned char bytes[2 * (MUX_HEADER + MUX_BODY)];
};

static inline void shut(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

static inline struct mux_channel *channel_of(struct bridge *b, const struct stream *s)
{
	return &b->mux.channels[s->number];
}

static inline size_t bridge_queued(const struct bridge *b)
{
	return b->queue.len - b->queued_at;
}

static inline bool bridge_is_full(const struct bridge *b)
{
	return bridge_queued(b) > BRIDGE_SOFT;
}

/** bridge_say() - a frame for the other end. One that does not fit, or may not be said, makes the queue fail, which the loop sees. */
void bridge_say(struct bridge *b, const struct mux_frame *f);

/** stream_add() - what stands at @fd, which is taken also when it fails; it is not yet waited for. @mode: its st_mode. Return: it, or NULL. */
struct stream *stream_add(struct bridge *b, int fd, enum mux_way way, uint32_t number, mode_t mode);

/** stream_drop() - close and free it. */
void stream_drop(struct bridge *b, struct stream *s);

/** stream_settle() - wait for what concerns it now; free it when nothing does any more. */
void stream_settle(struct bridge *b, struct stream *s);

/** stream_ready() - it can be read or written. @events: of epoll. It may be gone afterwards. */
void stream_ready(struct bridge *b, struct stream *s, uint32_t events);

/** stream_owe() - the end of @session was heard: what it has written by now is owed. */
void stream_owe(struct bridge *b, uint32_t session);

/** stream_pay() - read what it owes, as far as that may be. It may be gone afterwards. Return: whether nothing is owed any more. */
bool stream_pay(struct bridge *b, struct stream *s);

/** stream_may_read() - whether there would be room for what it has. */
bool stream_may_read(struct bridge *b, const struct stream *s);

/** stream_heard() - what BYTES, END or GONE of the other end do to it. It may be gone afterwards. Return: 0 or -ENOMEM. */
int stream_heard(struct bridge *b, struct stream *s, const struct mux_frame *f);

/**
 * ends_give() - make a channel of descriptor @i of the message that is sent, which is closed or becomes a stream.
 * @st: of the ones before
 * Return: 0; -EBADMSG: nothing that could be carried; other negative errno.
 */
int ends_give(struct bridge *b, size_t i, struct mux_said *said, struct stat st[WIRE_FDS]);

/** ends_get() - make descriptor @i of a message of the other end. @ret: closed by the caller. Return: 0; -EPROTO or another negative errno. */
int ends_get(struct bridge *b, const struct mux_said *said, size_t i, int ret[WIRE_FDS]);

#endif
