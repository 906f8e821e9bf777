/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One byte stream in the place of a socket that carries descriptors: frames, and the rules of the channels that stand for descriptors. Pure.
 *
 *	0  u8 kind   1  u8 zero   2  u16 bytes behind the header   4  u32 channel, or zero
 *
 * All numbers are little-endian. A channel's number is 2 * slot, and one more where the supervisor's end has opened it. In each of its directions one end sends BYTES: as
 * many as the window, and more when the other says CREDIT. Who sends says END once, when there is no more, or when it hears GONE. Who takes says GONE once, when nobody
 * reads, or when it has heard END and nothing is kept. With both the direction is over, and with each of them the slot is free: then nothing of it is under way.
 *
 * A MESSAGE opens the channels of its descriptors: u32 how many, for each u32 way and u32 channel, then the bytes of wire_encode(). A descriptor that is a file
 * (the words of a command) has no channel: its bytes came before, in FILE frames, which belong to the next message, unless an empty one takes them back.
 */
#ifndef BAILEY_WIRE_MUX_H
#define BAILEY_WIRE_MUX_H

#include "wire.h"

#define MUX_HEADER 8u
#define MUX_BODY 16384u   /* bytes behind a header, at most */
#define MUX_WINDOW 65536u /* bytes of one direction that may be on their way */
#define MUX_SLOTS 4096u   /* of each end: 0-2 of LIMIT_SERVED commands, and a quarter more */

enum mux_kind { MUX_MESSAGE = 1, MUX_FILE, MUX_BYTES, MUX_END, MUX_GONE, MUX_CREDIT };

/* What a descriptor is to who gets it. */
enum mux_way { MUX_READ = 1, MUX_WRITE, MUX_BOTH, MUX_TERMINAL, MUX_WHOLE };

struct mux_frame {
	enum mux_kind kind;
	uint32_t channel;
	const unsigned char *body; /* borrowed */
	size_t n;
	uint32_t credit; /* of CREDIT */
};

/** mux_frame_put() - the header of @f, and what stands behind it in a CREDIT. Return: bytes; the body of other kinds follows. */
size_t mux_frame_put(const struct mux_frame *f, unsigned char out[MUX_HEADER + 4]);

/**
 * mux_frame_get() - the frame at the beginning of @n bytes.
 * Return: 0, with its bytes in *@ret_used; -EAGAIN: more are needed; -EBADMSG.
 */
int mux_frame_get(const void *p, size_t n, struct mux_frame *ret, size_t *ret_used);

struct mux_said {
	struct wire_msg msg;
	size_t n;
	enum mux_way ways[WIRE_FDS];
	uint32_t channels[WIRE_FDS];
};

#define MUX_SAID (4u + 8u * WIRE_FDS + WIRE_MAX)

/** mux_said_put() - the body of a MESSAGE. Return: its bytes, or 0 when it is none. */
size_t mux_said_put(const struct mux_said *s, unsigned char out[MUX_SAID]);

/** mux_said_get() - the other way. @from: who says it. Return: 0; -EPROTONOSUPPORT or -EBADMSG. */
int mux_said_get(const struct mux_frame *f, enum wire_side from, struct mux_said *ret);

/* One direction. */
struct mux_flow {
	bool open;     /* not over */
	bool ended;    /* END was said */
	bool gone;     /* GONE was said */
	uint32_t room; /* bytes that may still be sent */
};

struct mux_channel {
	struct mux_flow in, out;
};

struct mux {
	enum wire_side us; /* which end this is */
	struct mux_channel channels[2 * MUX_SLOTS];
};

/** mux_channel() - the channel of that number, or NULL when there is none. */
struct mux_channel *mux_channel(struct mux *m, uint32_t number);

/** mux_open() - a channel for a descriptor that goes with a message of ours. @way: what it is to the other end. Return: 0 or -EMFILE. */
int mux_open(struct mux *m, enum mux_way way, uint32_t *ret_number);

/** mux_opened() - the other end has opened one. Return: 0, or -EPROTO when it may not. */
int mux_opened(struct mux *m, enum mux_way way, uint32_t number);

/** mux_heard() - what BYTES, END, GONE and CREDIT of the other end change. Return: 0, or -EPROTO when it may not say that. */
int mux_heard(struct mux *m, const struct mux_frame *f);

/** mux_saying() - the same of what we are about to say. Return: 0, or -EPROTO: a mistake of ours. */
int mux_saying(struct mux *m, const struct mux_frame *f);

#endif
