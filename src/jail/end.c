/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's side once PID 1 has been told everything: what it reports, and the end of it. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail.h"

void jail_abort(struct jail *jail)
{
	if (jail->pid > 0) {
		(void)kill(jail->pid, SIGKILL); /* our child, not reaped yet */
		while (waitpid(jail->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	jail_done(jail);
	jail->pid = -1;
}

int jail_recv(struct jail *jail, struct wire_msg *msg, int *ret_fd)
{
	int fds[WIRE_FDS], r = wire_recv(jail->sock, WIRE_FROM_INIT, msg, fds);
	bool known;
	size_t i;

	if (r <= 0)
		return r;
	known = msg->session == WIRE_SANDBOX || msg->session == WIRE_COMMAND ||
		jail->order == WIRE_SERVING;
	r = known ? wire_order_step(&jail->order, msg->type) : -EPROTO;
	if (r == 0 && msg->type == WIRE_READY) {
		for (i = 0; i < JAIL_NS_NUM; i++)
			jail->ns[i] = TAKE_FD(fds[i]);
		for (i = 0; i < JAIL_WATCH_NUM; i++)
			jail->watch[i] = TAKE_FD(fds[JAIL_NS_NUM + i]);
	}
	for (i = 0; r == 0 && msg->type == WIRE_NETWORK && i < JAIL_NET_NUM; i++)
		jail->net[i] = TAKE_FD(fds[i]);
	if (r == 0 && msg->type == WIRE_LISTENER)
		jail->maker = TAKE_FD(fds[1]);
	*ret_fd = r == 0 && (msg->type == WIRE_STARTED || msg->type == WIRE_LISTENER) ?
			  TAKE_FD(fds[0]) :
			  -1;
	for (i = 0; i < WIRE_FDS; i++)
		cleanup_close(&fds[i]);
	return r < 0 ? r : 1;
}

/*
 * The last reference to a mount namespace unmounts it, and each overlay in it waits for a grace period of RCU: 0.5 ms in all, for nobody. A
 * file that is reachable from nowhere but its own socket's queue is dropped by the kernel's collector instead, in a worker (unix(7),
 * Linux 6.9; earlier kernels collect at once, which is no slower than a close). Until jail_done() the socket is ours, too: were the file
 * dropped while PID 1 lives, PID 1 would have the last reference.
 */
void jail_settle(struct jail *jail)
{
	int fds[2];

	if (jail->ns[JAIL_NS_MNT] < 0 || jail->drop[0] >= 0 ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, jail->drop) < 0)
		return;
	fds[0] = jail->drop[1];
	fds[1] = jail->ns[JAIL_NS_MNT];
	(void)fd_send(jail->drop[0], "", 1, fds, 2, 0); /* else its close is the last, as usual */
}

void jail_done(struct jail *jail)
{
	/* the watcher may want the namespace until then; the last is a socket: its close is what starts the collector */
	int *fds[] = { &jail->sock,
		       &jail->ns[JAIL_NS_USER],
		       &jail->ns[JAIL_NS_MNT],
		       &jail->ns[JAIL_NS_NET],
		       &jail->watch[0],
		       &jail->watch[1],
		       &jail->watch[2],
		       &jail->net[0],
		       &jail->net[1],
		       &jail->net[2],
		       &jail->net[3],
		       &jail->maker,
		       &jail->drop[1],
		       &jail->drop[0] };
	size_t i;

	jail_settle(jail);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		cleanup_close(fds[i]);
		*fds[i] = -1;
	}
}
