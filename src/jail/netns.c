/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a network namespace takes 0.6-0.7 ms in the kernel and bringing loopback up 0.1 ms, as long as all mounts together; so it
 * happens beside them. The helper is a bare thread: no libc call in it touches errno or any other thread-local storage, which it
 * shares with the main thread. It is there before there is anything to do, and waits at a gate: it would hold the CPU that the launcher plans
 * on, or the one that PID 1 mounts on, and the kernel does not take that back for half a millisecond. The gate opens when the plan is made, or
 * before, when the launcher has so much to search that PID 1 only waits.
 */
#include "netns.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/util.h"

static long raw(long nr, long a, long b, long c)
{
	return sys_call6(nr, a, b, c, 0, 0, 0);
}

static void wait_while(const uint32_t *word, uint32_t value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
		(void)sys_call6(SYS_futex, (long)word, FUTEX_WAIT, value, 0, 0,
				0); /* any return: look again */
}

static int namespace(struct netns *n)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int sock, r;

	n->step = "unshare";
	r = (int)raw(SYS_unshare, CLONE_NEWNET, 0, 0);
	if (r < 0)
		return r;
	n->step = "loopback";
	sock = (int)raw(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return sock;
	ifr.ifr_flags = IFF_UP;
	r = (int)raw(SYS_ioctl, sock, SIOCSIFFLAGS, (long)&ifr);
	if (r == 0) {
		n->step = "namespace fd";
		r = (int)raw(SYS_ioctl, sock, SIOCGSKNS, 0);
	}
	(void)sys_close(sock);
	return r;
}

/* When the gate was opened before it was known what is wanted, the namespace may be for nothing. */
static int make(struct netns *n)
{
	int sock, r = namespace(n);

	wait_while(n->gate, NETNS_BEGIN);
	if (*n->gate == NETNS_NONE) {
		if (r >= 0)
			(void)sys_close(r);
		return -ENODATA;
	}
	if (r >= 0 && *n->gate == NETNS_CAPTURE) {
		sock = r;
		r = capture_make(&n->capture, n->host_ports);
		n->step = n->capture.step;
		r = r < 0 ? r : sock;
	}
	return r;
}

static int thread(void *arg)
{
	struct netns *n = arg;

	wait_while(n->gate, NETNS_CLOSED);
	n->fd = *n->gate == NETNS_NONE ? -ENODATA : make(n);
	return 0;
}

int netns_begin(struct netns *n, const uint32_t *gate, const uint16_t *host_ports, struct err *e)
{
	static _Alignas(16) unsigned char stack[16384];
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;

	n->running = 1;
	n->gate = gate;
	n->host_ports = host_ports;
	n->capture = (struct capture){ .sock = { -1, -1, -1, -1 } };
	n->fd = -EINPROGRESS;
	n->step = "thread";
	n->tid = clone(thread, stack + sizeof(stack), flags, n, NULL, NULL, &n->running);
	if (n->tid < 0) {
		n->running = 0;
		n->fd = -errno;
		return err_sys(e, n->fd, "helper thread");
	}
	return 0;
}

void netns_open(uint32_t *gate, enum netns_gate how)
{
	__atomic_store_n(gate, how, __ATOMIC_RELEASE);
	(void)sys_call6(SYS_futex, (long)gate, FUTEX_WAKE, 1, 0, 0, 0);
}

int netns_join(struct netns *n, int *ret_fd)
{
	int r;

	wait_while(&n->running, 1);
	if (n->fd == -ENODATA)
		return 0;
	if (n->fd < 0)
		return n->fd;
	n->step = "setns";
	r = (int)raw(SYS_setns, n->fd, CLONE_NEWNET, 0);
	*ret_fd = n->fd;
	return r;
}

void netns_gone(const struct netns *n)
{
	while (n->tid > 0 && sys_call(SYS_tgkill, getpid(), n->tid, 0, 0, 0) == 0)
		(void)sched_yield();
}
