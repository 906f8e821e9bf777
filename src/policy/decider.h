/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol between `srt proxy` and the program that decides about its requests (of @anthropic-ai/sandbox-runtime 0.0.83): frames, each a length of four bytes, the
 * most significant first, and that many bytes of one JSON object. Pure.
 *  1. decider_frame()           where a frame ends
 *  2. decider_hello_parse()     what the decider begins with: which hosts may be asked for at all
 *  3. decider_request_write()   a request, to be decided about; decider_body_head() …_tail(): its body
 *  4. decider_verdict_parse()   what it has decided
 *  5. decider_covers(), decider_address()   what the lists of the hello say
 * What two readers could take for two things is refused, and so is every key, null and empty value that the protocol does not have: whoever reads a refusal ends the link.
 */
#ifndef BAILEY_POLICY_DECIDER_H
#define BAILEY_POLICY_DECIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "json.h"
#include "net.h"

#define DECIDER_FRAME (1u << 20) /* bytes of a frame that is read, and of a request's */
#define DECIDER_BODY (32u << 20) /* bytes of a body that can be asked for */
#define DECIDER_FIELDS 190u /* values of the header fields of a request, or that a verdict sets */
#define DECIDER_NAMES 190u  /* that it removes */
#define DECIDER_BYTES (64u << 10) /* of these fields, of these names */
#define DECIDER_TARGET (8u << 10) /* bytes of host, Host, server name and path, each */
#define DECIDER_ID_MAX ((UINT64_C(1) << 53) - 1)

/**
 * decider_frame() - the frame that begins at @p.
 * Return: all its bytes, the length's four with them; 0: more of it must come; -E2BIG: it is too long.
 */
ssize_t decider_frame(const void *p, size_t n);

/* An entry of the lists. */
struct decider_entry {
	const char *text; /* as it was written */
	const char *host; /* without "*."; NULL: an address */
	struct net_addr addr;
	bool below;    /* the names below @host, not that itself */
	uint16_t port; /* 0: any */
};

struct decider_list {
	struct decider_entry *v;
	size_t n;
};

struct decider_hello {
	struct decider_list allowed, denied;
};

/** decider_entry_parse() - NAME, *.NAME or an address, :PORT behind it; strings of @ret are @a's. Return: 0, -EINVAL or -ENOMEM with @e. */
int decider_entry_parse(struct decider_entry *ret, const char *text, struct arena *a,
			struct err *e);

/** decider_hello_parse() - @p: @n bytes of JSON; @ret: owned by @a. Return: 0 or negative errno with @e. */
int decider_hello_parse(struct decider_hello *ret, const char *p, size_t n, struct arena *a,
			struct err *e);

enum decider_action { DECIDER_ALLOW, DECIDER_DENY, DECIDER_NEED_BODY };

struct decider_verdict {
	enum decider_action action;
	uint64_t id;
	/* of an allow, each NULL where it was not given */
	const struct json_node *set;    /* object: name to a list of values */
	const struct json_node *remove; /* list of names */
	const char *class, *credential;
	/* of a deny */
	int status;
	const char *reason; /* or NULL */
	/* of a need_body */
	uint32_t max;
};

/** decider_verdict_parse() - as decider_hello_parse(). */
int decider_verdict_parse(struct decider_verdict *ret, const char *p, size_t n, struct arena *a,
			  struct err *e);

/** decider_folds() - whether two names of fields are one where '-', '_' and '.' are, in any case of letters: servers differ in which they take for the same. */
bool decider_folds(const char *a, size_t n, const char *b, size_t m);

/* Bytes as they came. */
struct decider_bytes {
	const char *p; /* NULL: none */
	size_t n;
};

struct decider_field {
	struct decider_bytes name, value;
};

struct decider_request {
	struct decider_bytes method, host, host_field, sni, target;
	uint16_t port;
	const struct decider_field *fields; /* without Host; bytes of ISO 8859-1 */
	size_t n;
};

/** decider_hello_write() - append the frame that begins the link. */
void decider_hello_write(struct buf *b);

/**
 * decider_request_write() - append a request's frame.
 * Return: NULL; or why the decider can't be asked about it, and nothing was appended; @b may fail.
 */
const char *decider_request_write(struct buf *b, uint64_t id, const struct decider_request *q);

#define DECIDER_BODY_HEAD 64u
/** decider_body_head(), decider_body_tail() - what stands before and behind the base64 of @n bytes of a body; @cut: it has more. Into DECIDER_BODY_HEAD bytes. Return: how many. */
size_t decider_body_head(char *out, uint64_t id, size_t n, bool cut);
size_t decider_body_tail(char *out, bool cut);

/** decider_host() - the form in which hosts are compared: a name of net_host_canon(), or an address as net_addr_text() writes it. @ret: NET_HOST_MAX + 1 bytes. Return: whether it is one. */
bool decider_host(const char *text, size_t n, char *ret);

/** decider_covers() - whether the lists let @host (of decider_host()) be asked for at @port: an entry allows it, and none denies it. */
bool decider_covers(const struct decider_hello *h, const char *host, uint16_t port);

/**
 * decider_address() - may @host, which has the address @a, be reached there? An address itself may, as the lists have named it. Names must not lead to where the public can't
 * go, unless the lists allow just that address; names of loopback lead there and to nothing else.
 * @own: it is one of this host's
 * Return: NULL, or what kind of address it is.
 */
const char *decider_address(const struct decider_hello *h, const char *host, uint16_t port,
			    const struct net_addr *a, bool own);

#endif
