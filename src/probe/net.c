/* SPDX-License-Identifier: Apache-2.0 */
/* What the network of a sandbox stands on: each in a network namespace of the try, without a program or a privilege outside. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tries.h"

#define ELSEWHERE 0xc0000201u /* 192.0.2.1, for documentation (RFC 5737) */
#define TRANSPARENT \
	19 /* IP_TRANSPARENT of linux/in.h, which can't be included beside libc's headers */
#define LOOPBACK_INDEX 1 /* in every network namespace */
#define MANGLE_PRIORITY (-150)

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

static struct sockaddr_in address(uint32_t host, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	in.sin_addr.s_addr = htonl(host);
	return in;
}

static enum probe_state use_anyip(struct probe_answer *a)
{
	struct sockaddr_in at = address(ELSEWHERE, 53);
	_cleanup_close_ int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = loopback_up();
	char c = 0;

	if (r == 0)
		r = nl_local_default(AF_INET, NULL, 0);
	if (r < 0)
		return probe_missing(a, r, "local default route for IPv4");
	r = nl_local_default(AF_INET6, NULL, 0);
	if (r < 0 && r != -EAFNOSUPPORT && r != -EOPNOTSUPP)
		return probe_missing(a, r, "local default route for IPv6");
	if (server < 0 || client < 0 || bind(server, (struct sockaddr *)&at, sizeof(at)) < 0)
		return probe_missing(a, -errno, "bind to an address of elsewhere");
	if (sendto(client, "x", 1, 0, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    recv(server, &c, 1, MSG_DONTWAIT) != 1)
		return probe_missing(a, -errno, "a datagram to an address of elsewhere");
	/* a port that nobody has is refused at once: nothing hangs */
	at = address(ELSEWHERE, 54);
	if (connect(client, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    send(client, "x", 1, 0) < 0 || recv(client, &c, 1, MSG_DONTWAIT) >= 0 ||
	    errno != ECONNREFUSED)
		return probe_missing(a, 0, "a closed port does not refuse");
	return PROBE_OK;
}

enum probe_state try_anyip(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNET, use_anyip);
}

/* meta l4proto tcp, tproxy to :@port */
static int add_tproxy(uint16_t port)
{
	struct nft t = { .family = NFPROTO_IPV4, .table = "bailey", .chain = "in" };
	const unsigned char tcp = IPPROTO_TCP;
	struct nl nl = NL_INIT;

	nft_begin(&nl);
	nft_table(&nl, &t);
	nft_chain(&nl, &t, NF_INET_PRE_ROUTING, MANGLE_PRIORITY, "filter");
	nft_rule(&nl, &t);
	nft_meta(&nl, NFT_META_L4PROTO);
	nft_is(&nl, &tcp, sizeof(tcp));
	nft_tproxy(&nl, &t, port);
	nft_accept(&nl);
	nft_rule_end(&nl, &t);
	nft_end(&nl);
	return nl_talk(&nl, NETLINK_NETFILTER);
}

/* A connection to an address of elsewhere ends at our listener, whose socket has that address. */
static enum probe_state use_capture(struct probe_answer *a)
{
	struct sockaddr_in at = address(INADDR_ANY, 0), to = address(ELSEWHERE, 443),
			   target = { 0 };
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer = -1;
	_cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof(at);
	int r = loopback_up();

	if (r == 0)
		r = nl_local_default(AF_INET, NULL, 0);
	if (r < 0)
		return probe_missing(a, r, "local default route");
	if (listener < 0 || client < 0 ||
	    setsockopt(listener, SOL_IP, TRANSPARENT, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 8) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &n) < 0)
		return probe_missing(a, -errno, "transparent listener");
	r = add_tproxy(ntohs(at.sin_port));
	if (r < 0)
		return probe_missing(a, r, "nftables: table, filter chain, tproxy rule");
	if (connect(client, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		return probe_missing(a, -errno, "a connection that is captured");
	n = sizeof(target);
	peer = accept4(listener, (struct sockaddr *)&target, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
	n = sizeof(target);
	if (peer < 0 || getsockname(peer, (struct sockaddr *)&target, &n) < 0)
		return probe_missing(a, -errno, "accept");
	if (target.sin_addr.s_addr != to.sin_addr.s_addr || target.sin_port != to.sin_port)
		return probe_missing(a, 0, "the socket's name is not the real target");
	return PROBE_OK;
}

enum probe_state try_capture(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNET, use_capture);
}

static enum probe_state use_tap(struct probe_answer *a)
{
	struct ifreq ifr = { .ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		if (errno == ENODEV)
			probe_mend(a, "modprobe tun");
		else if (errno == EACCES)
			probe_mend(a, "chmod 0666 /dev/net/tun");
		else if (errno == ENOENT) /* one command, since sudo may stand before it */
			probe_mend(
				a,
				"sh -c 'mkdir -p /dev/net && mknod -m 0666 /dev/net/tun c 10 200'");
		return probe_missing(a, -errno, "/dev/net/tun");
	}
	return ioctl(fd, TUNSETIFF, &ifr) < 0 ? probe_missing(a, -errno, "TUNSETIFF") : PROBE_OK;
}

enum probe_state try_tap(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNET, use_tap);
}

/* Every socket bound in this network namespace is listed, ours among them (jail/sockets.c). */
enum probe_state try_sock_diag(struct probe_answer *a)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req req;
	} ask = { .h = { .nlmsg_len = sizeof(ask),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST },
		  .req = { .sdiag_family = AF_UNIX,
			   .udiag_states = ~0u,
			   .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS } };
	struct sockaddr_un automatic = { .sun_family = AF_UNIX };
	_cleanup_close_ int own = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	_Alignas(8) unsigned char in[8192];
	struct nlmsghdr h;
	struct stat st;
	ssize_t n;
	int error;

	if (own < 0 || bind(own, (struct sockaddr *)&automatic, sizeof(automatic.sun_family)) < 0 ||
	    fstat(own, &st) < 0)
		return probe_missing(a, -errno, "unix socket");
	if (fd < 0)
		return probe_missing(a, -errno, "netlink socket");
	ask.req.udiag_ino = (uint32_t)st.st_ino;
	ask.req.udiag_cookie[0] = ask.req.udiag_cookie[1] = ~0u; /* any */
	if (send(fd, &ask, sizeof(ask), 0) < 0)
		return probe_missing(a, -errno, "sock_diag: ask");
	n = recv(fd, in, sizeof(in), 0);
	if (n < (ssize_t)sizeof(h))
		return probe_missing(a, -errno, "sock_diag: answer");
	memcpy(&h, in, sizeof(h));
	if (h.nlmsg_type == NLMSG_ERROR && n >= (ssize_t)(sizeof(h) + sizeof(error))) {
		memcpy(&error, in + sizeof(h), sizeof(error));
		return probe_missing(a, error, "sock_diag");
	}
	return PROBE_OK;
}
