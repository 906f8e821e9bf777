/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log of a sandbox's network: JSON lines, each with the hash of the one before it. Audit is not logging: its form is fixed, nothing
 * that a sandbox says is in it unescaped, and what was left out is counted in it.
 *
 * A line is {"seq":N,"time":"…",…,"prev":"HEX","hash":"HEX"}; hash is SHA-256 over all of the line before `,"hash"`. The head, kept elsewhere, has the
 * number and hash of the last line, so that lines cut off at the end are missed, too.
 */
#ifndef BAILEY_GATEWAY_AUDIT_H
#define BAILEY_GATEWAY_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "sha256.h"
#include "util/util.h"

struct audit {
	int log[2], head;  /* borrowed; two files that are written in turn */
	unsigned int at;   /* the one that is written now */
	uint64_t size;     /* of it */
	uint64_t seq;      /* of the last line; 0: none */
	uint64_t start[2]; /* of the first line of each file; 0: none, or not known */
	char prev[2 * SHA256_SIZE + 1];
	uint64_t dropped; /* lines that came too fast, or could not be written */
	uint64_t second;  /* of the clock, and how many lines it has had */
	unsigned int lines;
	bool failing; /* the last line could not be written */
};

struct audit_event {
	const char *
		event; /* "open", "request", "close", "deny", "fail", "change", "dropped", "counted" */
	const char
		*via; /* "captured", "connect", "http", "socks", "dns", "udp"; NULL: none of them */
	const char *host;            /* or NULL */
	const struct net_addr *addr; /* or NULL */
	uint16_t port;               /* 0: none */
	const char *proto;           /* "tcp", "udp", or NULL */
	const char *decision;        /* "allow", "deny", or NULL */
	const char *rule;            /* as written, or NULL */
	const char *origin;
	const char *reason;  /* why, in words; what a sandbox said is in here only quoted */
	const char *missing; /* the rule that alone would have allowed it, or NULL */
	const char *spoken; /* "tls", "http", "opaque": what the client was found to speak, or NULL */
	const char *method, *target; /* of a request that was looked into, or NULL */
	bool cut;                    /* one of these is longer than what is here */
	const char *secret;          /* the name of one that was put into it, or NULL */
	unsigned int status;         /* that it was answered with by us; 0: the server's */
	bool counts;                 /* the following hold */
	uint64_t sent, received;     /* by the sandbox */
	uint64_t ms;
	/* what a gateway has seen in its life and has no lines of its own for: messages that were none, connections beyond the cap, clients that took too long */
	uint64_t garbage, turned_away, timed_out;
};

/** audit_begin() - go on with what is in the files (read from the head). @log, @head: opened for reading and writing, the logs with O_APPEND. Return: 0 or negative errno. */
int audit_begin(struct audit *a, const int log[2], int head);

/** audit_write() - one line. A sandbox can't fill the disk with it: lines are bounded in a second and in all. Return: whether it is in the log. */
bool audit_write(struct audit *a, const struct audit_event *ev);

/** audit_end() - nothing more will be written: say how many lines are missing that no later line counts. */
void audit_end(struct audit *a);

/**
 * audit_open() - the files of the log @id, made when they are not there.
 * @dir: the log's own directory; @heads: where the heads of all logs are
 * Return: 0 or negative errno with @e.
 */
int audit_open(int dir, int heads, const char *id, int ret_log[2], int *ret_head, struct err *e);

#define AUDIT_HEAD 192u /* bytes of the file */

struct audit_head {
	unsigned long long seq;
	unsigned int at;             /* the file that is written */
	unsigned long long start[2]; /* as in struct audit; heads of earlier releases have none */
	char hash[2 * SHA256_SIZE + 1];
};

/** audit_head_read() - Return: 0; -EBADMSG or another negative errno. */
int audit_head_read(int fd, struct audit_head *ret);

/* One line that was read back. */
struct audit_line {
	uint64_t seq;
	const char *text; /* without the newline */
	size_t len;
};

/** audit_line_parse() - the fixed parts of a line, @n bytes without its newline. Return: whether it is one, and its hash is that of its text. */
bool audit_line_parse(const char *p, size_t n, struct audit_line *ret,
		      char prev[2 * SHA256_SIZE + 1], char sum[2 * SHA256_SIZE + 1]);

/**
 * audit_read() - call @each for every line, the oldest first; lines are checked against each other and the head.
 * @dir, @heads, @id: as in audit_open()
 * @each: or NULL; it ends the reading with anything but 0
 * @ret_bad, @ret_why: where the chain is broken (edited, removed, in another order, cut off) and how; *ret_why is NULL when it is whole
 * Return: 0, what @each returned, or negative errno with @e.
 */
int audit_read(int dir, int heads, const char *id,
	       int (*each)(void *arg, const struct audit_line *line), void *arg, uint64_t *ret_bad,
	       const char **ret_why, struct err *e);

#endif
