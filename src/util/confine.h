/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process of ours gives up before it reads hostile bytes.
 *
 *	confine_streams(); confine_memory(); … open what is needed …
 *	confine(&(struct confine_plan){ .who = "gateway", .uid = uid, .gid = gid, .calls = calls, .n = ARRAY_SIZE(calls) }, &e);
 */
#ifndef BAILEY_UTIL_CONFINE_H
#define BAILEY_UTIL_CONFINE_H

#include <linux/filter.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

struct confine_plan {
	const char *who; /* for messages */
	uid_t uid;       /* (uid_t)-1: the caller's */
	gid_t gid;
	const unsigned short *calls; /* allowed, whatever their arguments */
	size_t n;
	/* steps behind these, which get the number of the call and leave it where they don't decide; then mmap() and mprotect() without PROT_EXEC are allowed, and all
	 * else ends the process */
	const struct sock_filter *more;
	size_t n_more;
};

/* Steps of a filter. */
#define CONFINE_STEP(code, k) (struct sock_filter) BPF_STMT((code), (k))
#define CONFINE_JUMP(k, t, f) \
	(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (t), (f))
#define CONFINE_ARG(i)                         \
	CONFINE_STEP(BPF_LD | BPF_W | BPF_ABS, \
		     offsetof(struct seccomp_data, args) + sizeof(__u64) * (i))
#define CONFINE_ALLOW CONFINE_STEP(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define CONFINE_ERRNO(e) CONFINE_STEP(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (e))
/* socket(AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM, 0); others fail, as on a kernel without them. */
#define CONFINE_INET_SOCKET                                                                      \
	CONFINE_JUMP(SYS_socket, 0, 11), CONFINE_ARG(0), CONFINE_JUMP(AF_INET, 1, 0),            \
		CONFINE_JUMP(AF_INET6, 0, 7), CONFINE_ARG(1),                                    \
		CONFINE_STEP(BPF_ALU | BPF_AND | BPF_K, 0xf /* without flags */),                \
		CONFINE_JUMP(SOCK_STREAM, 1, 0), CONFINE_JUMP(SOCK_DGRAM, 0, 3), CONFINE_ARG(2), \
		CONFINE_JUMP(0, 0, 1), CONFINE_ALLOW, CONFINE_ERRNO(EAFNOSUPPORT)
#define CONFINE_KILL CONFINE_STEP(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

/** confine_streams() - 0-2 lead nowhere from here on: one of them may be a terminal, which can be read. Return: 0 or negative errno. */
int confine_streams(void);

/** confine_memory() - forget the caller's words and environment, which may hold secrets. */
void confine_memory(void);

/**
 * confine() - become nobody who matters: ids, no capabilities, not dumpable, and a filter of system calls. The steps and their order stand in confine.c.
 * Should be the last before hostile bytes are read. Mustn't be followed by anything that opens a file.
 * Return: 0 or negative errno with @e; then the process must end.
 */
int confine(const struct confine_plan *plan, struct err *e);

#endif
