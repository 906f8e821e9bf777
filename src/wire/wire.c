/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message is a header and a payload whose size its type fixes, all numbers little-endian:
 *
 *	0  u16 version   2  u16 type   4  u32 bytes of payload   8  u32 session   12  u32 zero
 *
 * There is one encoding of each message: what decodes is what encode would have made, byte for byte, so nothing travels unseen.
 */
#include "wire.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define WHERE sizeof(((struct err *)0)->where)
#define TEXT sizeof(((struct err *)0)->msg)

static const struct row {
	enum wire_type type;
	enum wire_side from;
	size_t size;
	unsigned int fds; /* how many may come with it: bits 1 << n */
} rows[] = {
	{ WIRE_READY, WIRE_FROM_INIT, 4, 1u << 0 | 1u << 3 | 1u << 6 },
	{ WIRE_FAILED, WIRE_FROM_INIT, 8 + WHERE + TEXT, 1u << 0 },
	{ WIRE_STARTED, WIRE_FROM_INIT, 4, 1u << 0 | 1u << 1 },
	{ WIRE_STOPPED, WIRE_FROM_INIT, 4, 1u << 0 },
	{ WIRE_ENDED, WIRE_FROM_INIT, 12, 1u << 0 },
	{ WIRE_LISTENER, WIRE_FROM_INIT, 0, 1u << 1 | 1u << 2 },
	{ WIRE_NETWORK, WIRE_FROM_INIT, 0, 1u << 4 },
	{ WIRE_SIGNAL, WIRE_FROM_SUPERVISOR, 8, 1u << 0 },
	{ WIRE_CONTINUE, WIRE_FROM_SUPERVISOR, 4, 1u << 0 },
	{ WIRE_SPAWN, WIRE_FROM_SUPERVISOR, 0, 1u << 1 | 1u << 4 },
	{ WIRE_STOP, WIRE_FROM_SUPERVISOR, 4, 1u << 0 },
	{ WIRE_STATE, WIRE_FROM_INIT, 40, 1u << 0 },
	{ WIRE_ASK, WIRE_FROM_SUPERVISOR, 0, 1u << 0 },
	{ WIRE_PAUSE, WIRE_FROM_SUPERVISOR, 0, 1u << 0 },
	{ WIRE_RESUME, WIRE_FROM_SUPERVISOR, 0, 1u << 0 },
	{ WIRE_EXTEND, WIRE_FROM_SUPERVISOR, 4, 1u << 0 },
	{ WIRE_PORT, WIRE_FROM_INIT, 28, 1u << 0 },
	{ WIRE_LEAVING, WIRE_FROM_INIT, 4, 1u << 0 },
	{ WIRE_LOGGED, WIRE_FROM_INIT, 8 + WIRE_ID, 1u << 0 },
	{ WIRE_NO_NETWORK, WIRE_FROM_INIT, 0, 1u << 0 },
	{ WIRE_MEMORY, WIRE_FROM_INIT, 8, 1u << 0 },
	{ WIRE_PORT_ASK, WIRE_FROM_SUPERVISOR, 4, 1u << 0 },
	{ WIRE_PUBLISH, WIRE_FROM_SUPERVISOR, 24, 1u << 0 },
	{ WIRE_SESSION, WIRE_FROM_INIT, 16, 1u << 0 },
	{ WIRE_SESSIONS, WIRE_FROM_INIT, 0, 1u << 1 },
	{ WIRE_OPEN, WIRE_FROM_SUPERVISOR, 8 + WIRE_WORD,
	  1u << 1 | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6 },
	{ WIRE_ATTACH, WIRE_FROM_SUPERVISOR, 12 + WIRE_WORD, 1u << 1 | 1u << 2 },
	{ WIRE_RESIZE, WIRE_FROM_SUPERVISOR, 8, 1u << 0 },
	{ WIRE_LIST, WIRE_FROM_SUPERVISOR, 0, 1u << 0 },
	{ WIRE_KILL, WIRE_FROM_SUPERVISOR, 4 + WIRE_WORD, 1u << 0 },
	{ WIRE_BROKEN, WIRE_FROM_SUPERVISOR, 4, 1u << 0 },
	{ WIRE_COPY, WIRE_FROM_SUPERVISOR, 0, 1u << 4 },
	{ WIRE_SERVICES, WIRE_FROM_INIT, 0, 1u << 1 },
	{ WIRE_SERVICE, WIRE_FROM_SUPERVISOR, 0, 1u << 4 },
	{ WIRE_SERVICES_ASK, WIRE_FROM_SUPERVISOR, 0, 1u << 0 },
	{ WIRE_SERVICES_SET, WIRE_FROM_SUPERVISOR, 0, 1u << 1 },
	{ WIRE_SERVICE_ORDER, WIRE_FROM_SUPERVISOR, 8 + WIRE_WORD, 1u << 0 },
};

static const struct row *find(unsigned int type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].type == type)
			return &rows[i];
	}
	return NULL;
}

static void put(unsigned char *p, size_t n, uint64_t v)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void put_place(unsigned char *p, const struct wire_place *v)
{
	put(p, 2, v->host);
	put(p + 2, 2, v->inside);
	memcpy(p + 4, v->at, sizeof(v->at));
}

static void get_place(struct wire_place *ret, const unsigned char *p)
{
	ret->host = (uint16_t)get(p, 2);
	ret->inside = (uint16_t)get(p + 2, 2);
	memcpy(ret->at, p + 4, sizeof(ret->at));
}

static int32_t get_int(const unsigned char *p)
{
	return (int32_t)(uint32_t)get(p, 4);
}

/* Ends in a NUL, and nothing stands behind that. */
static bool is_text(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	if (n == size)
		return false;
	for (; n < size; n++) {
		if (s[n])
			return false;
	}
	return true;
}

static bool is_signal(int32_t sig)
{
	return sig > 0 && sig < _NSIG;
}

/* A wait status of what has ended. Bit by bit: for musl's macros a stopped one is killed by a signal that there is not. */
static bool is_end(int status)
{
	const int sig = status & 0x7f;

	return sig == 0 ? (status & ~0xff00) == 0 : (status & ~0xff) == 0 && is_signal(sig);
}

/* Of a terminal, as the kernel has them. */
static bool is_size(uint32_t lines, uint32_t columns)
{
	return lines <= UINT16_MAX && columns <= UINT16_MAX;
}

/* Of is_valid(): what concerns a sandbox that stays as a whole. */
static bool is_valid_life(const struct wire_msg *m)
{
	switch (m->type) {
	case WIRE_STOP:
		return m->stop.grace_ms <= WIRE_GRACE_MAX;
	case WIRE_LEAVING:
		return m->leaving.why >= WIRE_WHY_ASKED && m->leaving.why <= WIRE_WHY_MEMORY;
	case WIRE_EXTEND:
		return m->extend.ms > 0 && m->extend.ms <= WIRE_EXTEND_MAX;
	case WIRE_PORT:
		return m->port.chosen <= (m->port.place.host > 0 ? 1u : 0u);
	case WIRE_PUBLISH:
		return m->publish.place.inside > 0 &&
		       m->publish.remove <= (m->publish.place.host > 0);
	case WIRE_STATE:
		return m->state.left_ms >= -1 &&
		       (m->state.state == WIRE_STATE_RUNS || m->state.state == WIRE_STATE_PAUSED) &&
		       m->state.pid > 0 && m->state.pid <= INT32_MAX;
	case WIRE_SERVICE_ORDER:
		return m->service.order >= WIRE_ORDER_START &&
		       m->service.order <= WIRE_ORDER_RESTART &&
		       m->service.grace_ms <= WIRE_GRACE_MAX && is_text(m->service.word, WIRE_WORD);
	default:
		return true;
	}
}

/* Whether the values of @m are such that its receiver can use them. */
static bool is_valid(const struct wire_msg *m)
{
	switch (m->type) {
	case WIRE_FAILED:
		/* one that is none would make a success of what never ran */
		return m->failed.sys >= 0 && m->failed.code > ERR_NONE &&
		       m->failed.code < ERR_NUM && m->failed.code != ERR_HELP &&
		       is_text(m->failed.where, WHERE) && is_text(m->failed.msg, TEXT);
	case WIRE_STARTED:
		return m->session != WIRE_SANDBOX && m->started.pid > 0 &&
		       m->started.pid <= INT32_MAX;
	case WIRE_STOPPED:
		return m->session != WIRE_SANDBOX && is_signal(m->stopped.signal);
	case WIRE_ENDED:
		return m->session != WIRE_SANDBOX && m->ended.offset >= -1 &&
		       is_end(m->ended.status);
	case WIRE_SIGNAL:
		return m->session != WIRE_SANDBOX && is_signal(m->signal.signal) &&
		       (m->signal.flags & ~WIRE_SIGNAL_GROUP) == 0;
	case WIRE_CONTINUE:
		return m->session != WIRE_SANDBOX &&
		       (m->cont.flags & ~WIRE_CONTINUE_FOREGROUND) == 0;
	case WIRE_SPAWN:
	case WIRE_COPY:
	case WIRE_SERVICE:
	case WIRE_NO_NETWORK:
	case WIRE_MEMORY:
		return m->session != WIRE_SANDBOX;
	case WIRE_STOP:
	case WIRE_ASK:
	case WIRE_PAUSE:
	case WIRE_RESUME:
	case WIRE_PORT:
	case WIRE_PORT_ASK:
	case WIRE_PUBLISH:
	case WIRE_LEAVING:
	case WIRE_EXTEND:
	case WIRE_STATE:
	case WIRE_SERVICE_ORDER:
		return m->session == WIRE_SANDBOX && is_valid_life(m);
	case WIRE_SESSION:
		return m->session != WIRE_SANDBOX && m->which.number > 0 &&
		       (m->which.flags &
			~(WIRE_SESSION_TERMINAL | WIRE_SESSION_ENDED | WIRE_SESSION_INPUT)) == 0 &&
		       m->which.history <= INT64_MAX;
	case WIRE_READY:
	case WIRE_LISTENER:
	case WIRE_NETWORK:
	case WIRE_SESSIONS:
	case WIRE_LIST:
	case WIRE_SERVICES:
	case WIRE_SERVICES_ASK:
	case WIRE_SERVICES_SET:
		return m->session == WIRE_SANDBOX;
	case WIRE_LOGGED:
		return m->session != WIRE_SANDBOX && is_text(m->logged.id, WIRE_ID) &&
		       *m->logged.id && !m->logged.id[strspn(m->logged.id, "0123456789abcdef")];
	case WIRE_BROKEN:
		return m->session != WIRE_SANDBOX && m->broken.which <= 1;
	case WIRE_OPEN:
		return m->session != WIRE_SANDBOX &&
		       (m->open.flags & ~(WIRE_OPEN_HELD | WIRE_OPEN_INPUT | WIRE_OPEN_SPLIT)) ==
			       0 &&
		       (m->open.flags & WIRE_OPEN_HELD || !m->open.flags) &&
		       m->open.alone_ms <= INT32_MAX && is_text(m->open.name, WIRE_WORD);
	case WIRE_ATTACH:
		return m->session != WIRE_SANDBOX &&
		       (m->attach.flags & ~(WIRE_ATTACH_READ_ONLY | WIRE_ATTACH_FOLLOW |
					    WIRE_ATTACH_TERMINAL)) == 0 &&
		       is_size(m->attach.rows, m->attach.cols) &&
		       is_text(m->attach.word, WIRE_WORD);
	case WIRE_RESIZE:
		return m->session != WIRE_SANDBOX && is_size(m->resize.rows, m->resize.cols);
	case WIRE_KILL:
		return m->session != WIRE_SANDBOX && is_signal(m->end.signal) &&
		       is_text(m->end.word, WIRE_WORD);
	}
	return false;
}

/* Of what a sandbox that stays and its clients say to each other. */
static void put_life(const struct wire_msg *m, unsigned char *p)
{
	switch (m->type) {
	case WIRE_STOP:
		put(p, 4, m->stop.grace_ms);
		break;
	case WIRE_LEAVING:
		put(p, 4, m->leaving.why);
		break;
	case WIRE_BROKEN:
		put(p, 4, m->broken.which);
		break;
	case WIRE_LOGGED:
		put(p, 8, m->logged.since);
		memcpy(p + 8, m->logged.id, WIRE_ID);
		break;
	case WIRE_RESIZE:
		put(p, 4, m->resize.rows);
		put(p + 4, 4, m->resize.cols);
		break;
	case WIRE_MEMORY:
		put(p, 8, m->memory.limit);
		break;
	case WIRE_EXTEND:
		put(p, 4, m->extend.ms);
		break;
	case WIRE_PORT_ASK:
		put(p, 4, m->port_ask.number);
		break;
	case WIRE_PORT:
		put(p, 4, m->port.total);
		put_place(p + 4, &m->port.place);
		put(p + 24, 4, m->port.chosen);
		break;
	case WIRE_PUBLISH:
		put(p, 4, m->publish.remove);
		put_place(p + 4, &m->publish.place);
		break;
	case WIRE_STATE:
		put(p, 4, m->state.state);
		put(p + 4, 4, m->state.pid);
		put(p + 8, 4, m->state.clients);
		put(p + 12, 4, m->state.connections);
		put(p + 16, 8, m->state.up);
		put(p + 24, 8, m->state.down);
		put(p + 32, 8, (uint64_t)m->state.left_ms);
		break;
	case WIRE_SERVICE_ORDER:
		put(p, 4, m->service.order);
		put(p + 4, 4, m->service.grace_ms);
		memcpy(p + 8, m->service.word, WIRE_WORD);
		break;
	default:
		break;
	}
}

static void put_payload(const struct wire_msg *m, unsigned char *p)
{
	switch (m->type) {
	case WIRE_READY:
		put(p, 4, m->ready.lost);
		break;
	case WIRE_FAILED:
		put(p, 4, (uint32_t)m->failed.sys);
		put(p + 4, 4, (uint32_t)m->failed.code);
		memcpy(p + 8, m->failed.where, WHERE);
		memcpy(p + 8 + WHERE, m->failed.msg, TEXT);
		break;
	case WIRE_STARTED:
		put(p, 4, m->started.pid);
		break;
	case WIRE_STOPPED:
		put(p, 4, (uint32_t)m->stopped.signal);
		break;
	case WIRE_ENDED:
		put(p, 4, (uint32_t)m->ended.status);
		put(p + 4, 8, (uint64_t)m->ended.offset);
		break;
	case WIRE_SIGNAL:
		put(p, 4, (uint32_t)m->signal.signal);
		put(p + 4, 4, m->signal.flags);
		break;
	case WIRE_CONTINUE:
		put(p, 4, m->cont.flags);
		break;
	case WIRE_STOP:
	case WIRE_LEAVING:
	case WIRE_BROKEN:
	case WIRE_LOGGED:
	case WIRE_MEMORY:
	case WIRE_RESIZE:
	case WIRE_EXTEND:
	case WIRE_PORT_ASK:
	case WIRE_PUBLISH:
	case WIRE_PORT:
	case WIRE_STATE:
	case WIRE_SERVICE_ORDER:
		put_life(m, p);
		break;
	case WIRE_SESSION:
		put(p, 4, m->which.number);
		put(p + 4, 4, m->which.flags);
		put(p + 8, 8, m->which.history);
		break;
	case WIRE_OPEN:
		put(p, 4, m->open.flags);
		put(p + 4, 4, m->open.alone_ms);
		memcpy(p + 8, m->open.name, WIRE_WORD);
		break;
	case WIRE_ATTACH:
		put(p, 4, m->attach.flags);
		put(p + 4, 4, m->attach.rows);
		put(p + 8, 4, m->attach.cols);
		memcpy(p + 12, m->attach.word, WIRE_WORD);
		break;
	case WIRE_KILL:
		put(p, 4, (uint32_t)m->end.signal);
		memcpy(p + 4, m->end.word, WIRE_WORD);
		break;
	case WIRE_LISTENER:
	case WIRE_NETWORK:
	case WIRE_NO_NETWORK:
	case WIRE_SPAWN:
	case WIRE_ASK:
	case WIRE_PAUSE:
	case WIRE_RESUME:
	case WIRE_SESSIONS:
	case WIRE_LIST:
	case WIRE_COPY:
	case WIRE_SERVICE:
	case WIRE_SERVICES:
	case WIRE_SERVICES_ASK:
	case WIRE_SERVICES_SET:
		break;
	}
}

static void get_life(struct wire_msg *m, const unsigned char *p)
{
	switch (m->type) {
	case WIRE_STOP:
		m->stop.grace_ms = (uint32_t)get(p, 4);
		break;
	case WIRE_LEAVING:
		m->leaving.why = (uint32_t)get(p, 4);
		break;
	case WIRE_BROKEN:
		m->broken.which = (uint32_t)get(p, 4);
		break;
	case WIRE_LOGGED:
		m->logged.since = get(p, 8);
		memcpy(m->logged.id, p + 8, WIRE_ID);
		break;
	case WIRE_RESIZE:
		m->resize.rows = (uint32_t)get(p, 4);
		m->resize.cols = (uint32_t)get(p + 4, 4);
		break;
	case WIRE_MEMORY:
		m->memory.limit = get(p, 8);
		break;
	case WIRE_EXTEND:
		m->extend.ms = (uint32_t)get(p, 4);
		break;
	case WIRE_PORT_ASK:
		m->port_ask.number = (uint32_t)get(p, 4);
		break;
	case WIRE_PORT:
		m->port.total = (uint32_t)get(p, 4);
		get_place(&m->port.place, p + 4);
		m->port.chosen = (uint32_t)get(p + 24, 4);
		break;
	case WIRE_PUBLISH:
		m->publish.remove = (uint32_t)get(p, 4);
		get_place(&m->publish.place, p + 4);
		break;
	case WIRE_STATE:
		m->state.state = (uint32_t)get(p, 4);
		m->state.pid = (uint32_t)get(p + 4, 4);
		m->state.clients = (uint32_t)get(p + 8, 4);
		m->state.connections = (uint32_t)get(p + 12, 4);
		m->state.up = get(p + 16, 8);
		m->state.down = get(p + 24, 8);
		m->state.left_ms = (int64_t)get(p + 32, 8);
		break;
	case WIRE_SERVICE_ORDER:
		m->service.order = (uint32_t)get(p, 4);
		m->service.grace_ms = (uint32_t)get(p + 4, 4);
		memcpy(m->service.word, p + 8, WIRE_WORD);
		break;
	default:
		break;
	}
}

static void get_payload(struct wire_msg *m, const unsigned char *p)
{
	switch (m->type) {
	case WIRE_READY:
		m->ready.lost = (uint32_t)get(p, 4);
		break;
	case WIRE_FAILED:
		m->failed.sys = get_int(p);
		m->failed.code = (enum err_code)get(p + 4, 4);
		memcpy(m->failed.where, p + 8, WHERE);
		memcpy(m->failed.msg, p + 8 + WHERE, TEXT);
		break;
	case WIRE_STARTED:
		m->started.pid = (uint32_t)get(p, 4);
		break;
	case WIRE_STOPPED:
		m->stopped.signal = get_int(p);
		break;
	case WIRE_ENDED:
		m->ended.status = get_int(p);
		m->ended.offset = (int64_t)get(p + 4, 8);
		break;
	case WIRE_SIGNAL:
		m->signal.signal = get_int(p);
		m->signal.flags = (uint32_t)get(p + 4, 4);
		break;
	case WIRE_CONTINUE:
		m->cont.flags = (uint32_t)get(p, 4);
		break;
	case WIRE_STOP:
	case WIRE_LEAVING:
	case WIRE_BROKEN:
	case WIRE_LOGGED:
	case WIRE_MEMORY:
	case WIRE_RESIZE:
	case WIRE_EXTEND:
	case WIRE_PORT_ASK:
	case WIRE_PUBLISH:
	case WIRE_PORT:
	case WIRE_STATE:
	case WIRE_SERVICE_ORDER:
		get_life(m, p);
		break;
	case WIRE_SESSION:
		m->which.number = (uint32_t)get(p, 4);
		m->which.flags = (uint32_t)get(p + 4, 4);
		m->which.history = get(p + 8, 8);
		break;
	case WIRE_OPEN:
		m->open.flags = (uint32_t)get(p, 4);
		m->open.alone_ms = (uint32_t)get(p + 4, 4);
		memcpy(m->open.name, p + 8, WIRE_WORD);
		break;
	case WIRE_ATTACH:
		m->attach.flags = (uint32_t)get(p, 4);
		m->attach.rows = (uint32_t)get(p + 4, 4);
		m->attach.cols = (uint32_t)get(p + 8, 4);
		memcpy(m->attach.word, p + 12, WIRE_WORD);
		break;
	case WIRE_KILL:
		m->end.signal = get_int(p);
		memcpy(m->end.word, p + 4, WIRE_WORD);
		break;
	case WIRE_LISTENER:
	case WIRE_NETWORK:
	case WIRE_NO_NETWORK:
	case WIRE_SPAWN:
	case WIRE_ASK:
	case WIRE_PAUSE:
	case WIRE_RESUME:
	case WIRE_SESSIONS:
	case WIRE_LIST:
	case WIRE_COPY:
	case WIRE_SERVICE:
	case WIRE_SERVICES:
	case WIRE_SERVICES_ASK:
	case WIRE_SERVICES_SET:
		break;
	}
}

size_t wire_encode(const struct wire_msg *m, unsigned char out[WIRE_MAX])
{
	const struct row *row = find(m->type);
	struct wire_msg copy = *m;

	if (!row)
		return 0;
	if (m->type == WIRE_FAILED) {
		/* what stood behind the texts stays here */
		memset(copy.failed.where, 0, WHERE);
		memset(copy.failed.msg, 0, TEXT);
		memcpy(copy.failed.where, m->failed.where, strnlen(m->failed.where, WHERE - 1));
		memcpy(copy.failed.msg, m->failed.msg, strnlen(m->failed.msg, TEXT - 1));
	}
	if (!is_valid(&copy))
		return 0;
	put(out, 2, WIRE_VERSION);
	put(out + 2, 2, (uint64_t)m->type);
	put(out + 4, 4, row->size);
	put(out + 8, 4, m->session);
	put(out + 12, 4, 0);
	put_payload(&copy, out + WIRE_HEADER);
	return WIRE_HEADER + row->size;
}

int wire_decode(const void *p, size_t n, enum wire_side from, struct wire_msg *ret,
		size_t *ret_used)
{
	struct wire_msg m = { .session = 0 };
	const unsigned char *b = p;
	const struct row *row;

	if (n >= 2 && get(b, 2) != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (n < WIRE_HEADER)
		return -EAGAIN;
	row = find((unsigned int)get(b + 2, 2));
	if (!row || row->from != from || get(b + 4, 4) != row->size || get(b + 12, 4) != 0)
		return -EBADMSG;
	if (n < WIRE_HEADER + row->size)
		return -EAGAIN;
	m.type = row->type;
	m.session = (uint32_t)get(b + 8, 4);
	get_payload(&m, b + WIRE_HEADER);
	if (!is_valid(&m))
		return -EBADMSG;
	*ret = m;
	*ret_used = WIRE_HEADER + row->size;
	return 0;
}

bool wire_fds_ok(enum wire_type t, size_t n)
{
	const struct row *row = find(t);

	return row && n <= WIRE_FDS && (row->fds >> n & 1);
}

int wire_order_step(enum wire_order *order, enum wire_type t)
{
	switch (*order) {
	case WIRE_BUILDING:
	case WIRE_WIRED:
	case WIRE_HEARD:
		if (t == WIRE_NETWORK && *order == WIRE_BUILDING) {
			*order = WIRE_WIRED;
			return 0;
		}
		if (t == WIRE_LISTENER && *order != WIRE_HEARD) {
			*order = WIRE_HEARD;
			return 0;
		}
		if (t != WIRE_READY && t != WIRE_FAILED)
			return -EPROTO;
		*order = t == WIRE_READY ? WIRE_IS_READY : WIRE_OVER;
		return 0;
	case WIRE_IS_READY:
		if (t != WIRE_STARTED && t != WIRE_FAILED && t != WIRE_ENDED)
			return -EPROTO;
		*order = t == WIRE_STARTED ? WIRE_RUNNING : WIRE_OVER;
		return 0;
	case WIRE_RUNNING:
		if (t != WIRE_STOPPED && t != WIRE_ENDED)
			return -EPROTO;
		*order = t == WIRE_ENDED ? WIRE_OVER : WIRE_RUNNING;
		return 0;
	case WIRE_SERVING:
		return t == WIRE_STARTED || t == WIRE_STOPPED || t == WIRE_ENDED ||
				       t == WIRE_FAILED ?
			       0 :
			       -EPROTO;
	case WIRE_OVER:
		break;
	}
	return -EPROTO;
}

int wire_send(int sock, const struct wire_msg *m, const int *fds, size_t n_fds, bool wait)
{
	unsigned char bytes[WIRE_MAX];
	size_t n = wire_encode(m, bytes);
	ssize_t r;

	if (n == 0 || !wire_fds_ok(m->type, n_fds))
		return -EINVAL;
	if (n_fds > 0)
		return fd_send(sock, bytes, n, fds, n_fds, wait ? 0 : MSG_DONTWAIT);
	do {
		r = send(sock, bytes, n, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int wire_recv(int sock, enum wire_side from, struct wire_msg *m, int fds[WIRE_FDS])
{
	unsigned char bytes[WIRE_MAX];
	size_t used = 0, n_fds = 0, i;
	int got[8], r;
	ssize_t n;

	for (i = 0; i < WIRE_FDS; i++)
		fds[i] = -1;
	/* ECONNRESET: the peer ended with something unread; it comes before what the peer said last */
	do {
		n = fd_recv(sock, bytes, sizeof(bytes), got, MSG_DONTWAIT);
	} while (n == -ECONNRESET);
	if (n < 0)
		return (int)n;
	while (n_fds < ARRAY_SIZE(got) && got[n_fds] >= 0)
		n_fds++;
	if (n == 0)
		r = n_fds ? -EBADMSG : 0; /* an empty datagram looks like the end, too */
	else
		r = wire_decode(bytes, (size_t)n, from, m, &used);
	if (n > 0 && r == -EAGAIN)
		r = -EBADMSG; /* a datagram is whole */
	if (n > 0 && r == 0)
		r = used == (size_t)n && wire_fds_ok(m->type, n_fds) ? 1 : -EBADMSG;
	for (i = 0; i < n_fds; i++) {
		if (r == 1)
			fds[i] = got[i];
		else
			(void)close(got[i]);
	}
	return r;
}
