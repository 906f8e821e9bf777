/* SPDX-License-Identifier: Apache-2.0 */
#include "door.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "gw.h"

#define ANSWER_S 2 /* a door that takes longer is none */

struct request {
	int type;
	bool v6, bind;
	uint16_t port;
	struct net_addr at;
};

/* Return: a socket, or negative errno. */
static int make(const struct request *q)
{
	struct sockaddr_storage at;
	unsigned int size = gw_sockaddr(&q->at, q->port, q->v6, &at);
	int fd;

	/* a raw one sees datagrams of this namespace alone */
	if (q->type != SOCK_STREAM && q->type != SOCK_DGRAM && (q->type != SOCK_RAW || q->bind))
		return -EINVAL;
	fd = socket(q->v6 ? AF_INET6 : AF_INET, q->type | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    q->type == SOCK_RAW ? IPPROTO_UDP : 0);
	if (fd < 0)
		return -errno;
	/* IPv6 takes only configured addresses else: a route is not enough, as it is for IPv4 */
	if (q->bind && q->v6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &(int){ 1 }, sizeof(int)) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	if (q->bind && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
			bind(fd, (struct sockaddr *)&at, size) < 0)) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

static void __attribute__((noreturn)) serve(int sock)
{
	struct request q;
	int fds[8], fd, error;

	for (;;) {
		ssize_t n = fd_recv(sock, &q, sizeof(q), fds, 0);
		size_t i;

		for (i = 0; i < ARRAY_SIZE(fds); i++)
			cleanup_close(&fds[i]); /* nobody has any business to send one */
		if (n != (ssize_t)sizeof(q))
			_exit(0);
		fd = make(&q);
		error = fd < 0 ? fd : 0;
		if (fd_send(sock, &error, sizeof(error), &fd, fd >= 0, 0) < 0)
			_exit(0);
		cleanup_close(&fd);
	}
}

int door_start(int userns, int netns, int *ret_sock, pid_t *ret_pid, struct err *e)
{
	const struct timeval wait = { .tv_sec = ANSWER_S };
	int pair[2];
	sigset_t all;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "door");
	pid = fork();
	if (pid == 0) {
		const int keep[] = { pair[1], userns, netns };

		sigfillset(&all);
		(void)sigprocmask(SIG_SETMASK, &all, NULL); /* can't fail with these arguments */
		(void)prctl(PR_SET_NAME, "bailey-door", 0, 0, 0); /* for people */
		if (fd_close_others(keep, ARRAY_SIZE(keep)) < 0 ||
		    setns(userns, CLONE_NEWUSER) < 0 || setns(netns, CLONE_NEWNET) < 0 ||
		    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			_exit(1);
		confine_memory();
		(void)close(userns);
		(void)close(netns);
		serve(pair[1]);
	}
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return err_sys(e, -errno, "door: fork");
	}
	(void)setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait,
			 sizeof(wait)); /* of a socket of ours it can't fail */
	*ret_sock = pair[0];
	*ret_pid = pid;
	return 0;
}

int door_socket(int sock, int type, bool v6, const struct net_addr *at, uint16_t port)
{
	struct request q = { .type = type, .v6 = v6, .bind = at != NULL, .port = port };
	int fds[8], error = -EIO;
	ssize_t n;

	if (sock < 0)
		return -ENOTCONN;
	if (at)
		q.at = *at;
	n = fd_send(sock, &q, sizeof(q), NULL, 0, 0);
	if (n < 0)
		return (int)n;
	n = fd_recv(sock, &error, sizeof(error), fds, 0);
	if (n == (ssize_t)sizeof(error) && error == 0 && fds[0] >= 0)
		return fds[0];
	cleanup_close(&fds[0]);
	return n < 0 ? (int)n : error < 0 ? error : -EIO;
}
