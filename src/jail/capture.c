/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. `local default dev lo` makes every address one of this namespace, so what nobody listens to is refused by the kernel at
 * once, and nothing can leave. The first packet of each connection that is not for loopback or the namespace's own address is given to one
 * transparent listener; that socket then has the real target as its own name, and the kernel finds it for all later packets by itself.
 * There is no address translation and no connection tracking.
 *
 * Loopback is the sandbox's own, but for ports of the host that were asked for: their connections go the same way.
 *
 * DNS comes to one socket on port 53, whatever server it is for. Ping: an address of ours answers, which says only that its name is
 * allowed; all others are unreachable.
 */
#include "capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/util.h"

#define LOOPBACK_INDEX 1 /* in every network namespace */
#define MANGLE_PRIORITY (-150)
#define TRANSPARENT_V4 \
	19 /* IP_TRANSPARENT, IPV6_TRANSPARENT: linux/in.h can't be included beside libc's headers */
#define TRANSPARENT_V6 75
#define FREEBIND_V6 78 /* IPV6_FREEBIND */
#define ICMP_ECHO 8
#define ICMP_ADMIN 13 /* "communication administratively prohibited"; of IPv6: 1 */
#define ICMP6_ECHO 128
#define ICMP6_ADMIN 1
#define BACKLOG 1024

static const unsigned char own4[4] = { JAIL_NET_OWN4 };
static const unsigned char own6[16] = { JAIL_NET_OWN6 };

static int add_address(unsigned char family, const unsigned char *addr, size_t n)
{
	struct ifaddrmsg m = { .ifa_family = family,
			       .ifa_prefixlen = (unsigned char)(8 * n),
			       .ifa_flags = IFA_F_NODAD,
			       .ifa_index = LOOPBACK_INDEX };
	struct nl nl = NL_INIT;

	nl_begin(&nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_ACK, &m, sizeof(m));
	nl_put(&nl, IFA_LOCAL, addr, n);
	nl_put(&nl, IFA_ADDRESS, addr, n);
	nl_end(&nl);
	return nl_talk(&nl, NETLINK_ROUTE);
}

struct family {
	struct nft nft;
	uint32_t target; /* where the destination stands in the network header */
	size_t n;        /* bytes of an address */
	unsigned char icmp, echo, admin;
	const unsigned char *own, *local, *local_mask; /* loopback */
	const unsigned char *names, *names_mask;       /* the range of allowed names */
};

static void is_target(struct nl *nl, const struct family *f, const unsigned char *mask,
		      const unsigned char *value)
{
	nft_payload(nl, NFT_PAYLOAD_NETWORK_HEADER, f->target, (uint32_t)f->n);
	if (mask)
		nft_mask(nl, mask, f->n);
	nft_is(nl, value, f->n);
}

/* The first packet of a connection; @port: only to that one (network order), or NULL. */
static void add_capture(struct nl *nl, struct family *f, const uint16_t *port)
{
	static const unsigned char tcp = IPPROTO_TCP, syn_ack = 0x12, syn = 0x02;

	nft_rule(nl, &f->nft);
	nft_meta(nl, NFT_META_L4PROTO);
	nft_is(nl, &tcp, sizeof(tcp));
	nft_payload(nl, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
	nft_mask(nl, &syn_ack, sizeof(syn_ack));
	nft_is(nl, &syn, sizeof(syn));
	if (port) {
		nft_payload(nl, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
		nft_is(nl, port, sizeof(*port));
	}
	nft_tproxy(nl, &f->nft, JAIL_NET_CAPTURE_PORT);
	nft_accept(nl);
	nft_rule_end(nl, &f->nft);
}

static void add_accept(struct nl *nl, struct family *f, const unsigned char *mask,
		       const unsigned char *value)
{
	nft_rule(nl, &f->nft);
	is_target(nl, f, mask, value);
	nft_accept(nl);
	nft_rule_end(nl, &f->nft);
}

/* Nobody but allowed names answers a ping. */
static void add_no_echo(struct nl *nl, struct family *f)
{
	nft_rule(nl, &f->nft);
	nft_meta(nl, NFT_META_L4PROTO);
	nft_is(nl, &f->icmp, 1);
	nft_payload(nl, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
	nft_is(nl, &f->echo, 1);
	nft_reject(nl, f->admin);
	nft_rule_end(nl, &f->nft);
}

/* Send what there is, and begin anew. */
static int send_rules(struct nl *nl)
{
	int r;

	nft_end(nl);
	r = nl_talk(nl, NETLINK_NETFILTER);
	nl->len = nl->message = 0;
	nl->asked = 0;
	nl->full = false;
	nft_begin(nl);
	return r;
}

static int add_rules(struct family *f, const uint16_t *host_ports)
{
	static const uint16_t dns = 0x3500; /* 53 in network order */
	struct nl nl = NL_INIT;

	nft_begin(&nl);
	nft_table(&nl, &f->nft);
	nft_chain(&nl, &f->nft, NF_INET_PRE_ROUTING, MANGLE_PRIORITY, "filter");
	add_capture(&nl, f, &dns); /* a resolver may be anywhere, on loopback, too */
	if (*host_ports) {         /* as much as there is room for in one */
		int r = send_rules(&nl);

		for (; *host_ports; host_ports++)
			add_capture(&nl, f, host_ports);
		r = r < 0 ? r : send_rules(&nl);
		if (r < 0)
			return r;
	}
	add_accept(&nl, f, f->local_mask, f->local);
	add_accept(&nl, f, NULL, f->own);
	add_capture(&nl, f, NULL);
	add_accept(&nl, f, f->names_mask, f->names);
	add_no_echo(&nl, f);
	nft_end(&nl);
	return nl_talk(&nl, NETLINK_NETFILTER);
}

static int capture4(const uint16_t *host_ports)
{
	static const unsigned char local[4] = { 127 }, local_mask[4] = { 255 },
				   names[4] = { 198, 18 }, names_mask[4] = { 255, 254 };
	struct family f = { .nft = { .family = NFPROTO_IPV4, .table = "bailey", .chain = "in" },
			    .target = 16,
			    .n = 4,
			    .icmp = IPPROTO_ICMP,
			    .echo = ICMP_ECHO,
			    .admin = ICMP_ADMIN,
			    .own = own4,
			    .local = local,
			    .local_mask = local_mask,
			    .names = names,
			    .names_mask = names_mask };

	return add_rules(&f, host_ports);
}

static int capture6(const uint16_t *host_ports)
{
	static const unsigned char local[16] = { [15] = 1 }, names[16] = { JAIL_NET_NAMES6 },
				   half[16] = { 255, 255, 255, 255, 255, 255, 255, 255 };
	struct family f = { .nft = { .family = NFPROTO_IPV6, .table = "bailey", .chain = "in" },
			    .target = 24,
			    .n = 16,
			    .icmp = IPPROTO_ICMPV6,
			    .echo = ICMP6_ECHO,
			    .admin = ICMP6_ADMIN,
			    .own = own6,
			    .local = local,
			    .names = names,
			    .names_mask = half };

	return add_rules(&f, host_ports);
}

static int set(int fd, int level, int option, int value)
{
	return (int)sys_call(SYS_setsockopt, fd, level, option, &value, sizeof(value));
}

/* @v6: of both families. Return: a socket, or negative errno. */
static int open_socket(bool v6, int type)
{
	int fd = (int)sys_call(SYS_socket, v6 ? AF_INET6 : AF_INET,
			       type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0, 0);

	if (fd >= 0 && v6)
		(void)set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0); /* the default, but for a sysctl */
	return fd;
}

static int bind_any(int fd, bool v6, uint16_t port)
{
	struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in at4 = { .sin_family = AF_INET, .sin_port = htons(port) };

	return v6 ? (int)sys_call(SYS_bind, fd, &at6, sizeof(at6), 0, 0) :
		    (int)sys_call(SYS_bind, fd, &at4, sizeof(at4), 0, 0);
}

/* Whatever is captured. */
static int open_listener(bool v6)
{
	int fd = open_socket(v6, SOCK_STREAM), r = fd;

	if (r >= 0)
		r = set(fd, SOL_IP, TRANSPARENT_V4, 1);
	if (r >= 0 && v6)
		r = set(fd, IPPROTO_IPV6, TRANSPARENT_V6, 1);
	if (r >= 0)
		r = bind_any(fd, v6, JAIL_NET_CAPTURE_PORT);
	if (r >= 0)
		r = (int)sys_call(SYS_listen, fd, BACKLOG, 0, 0, 0);
	if (r < 0 && fd >= 0)
		(void)sys_close(fd);
	return r < 0 ? r : fd;
}

/* Questions for any server; the address that was asked comes with each. */
static int open_dns(bool v6)
{
	int fd = open_socket(v6, SOCK_DGRAM), r = fd;

	if (r >= 0)
		r = set(fd, SOL_IP, IP_PKTINFO, 1);
	if (r >= 0 && v6)
		r = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	/* IPv6 answers only from configured addresses else: a route is not enough, as it is for IPv4 */
	if (r >= 0 && v6)
		r = set(fd, IPPROTO_IPV6, FREEBIND_V6, 1);
	if (r >= 0)
		r = bind_any(fd, v6, 53);
	if (r < 0 && fd >= 0)
		(void)sys_close(fd);
	return r < 0 ? r : fd;
}

/* A proxy's port on loopback. */
static int open_local(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = open_socket(false, SOCK_STREAM), r = fd;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (r >= 0)
		r = (int)sys_call(SYS_bind, fd, &at, sizeof(at), 0, 0);
	if (r >= 0)
		r = (int)sys_call(SYS_listen, fd, BACKLOG, 0, 0, 0);
	if (r < 0 && fd >= 0)
		(void)sys_close(fd);
	return r < 0 ? r : fd;
}

int capture_make(struct capture *c, const uint16_t *host_ports)
{
	bool v6;
	size_t i;
	int r;

	c->step = "address";
	r = add_address(AF_INET, own4, sizeof(own4));
	if (r < 0)
		return r;
	c->step = "route";
	r = nl_local_default(AF_INET, own4, sizeof(own4));
	if (r < 0)
		return r;
	/* a kernel without IPv6, or with it switched off, has one family less */
	v6 = add_address(AF_INET6, own6, sizeof(own6)) == 0 &&
	     nl_local_default(AF_INET6, own6, sizeof(own6)) == 0;
	c->lost = capture4(host_ports);
	if (c->lost == 0 && v6)
		c->lost = capture6(host_ports);
	c->step = "sockets";
	c->sock[JAIL_NET_TCP] = open_listener(v6);
	c->sock[JAIL_NET_DNS] = open_dns(v6);
	c->sock[JAIL_NET_HTTP] = open_local(JAIL_NET_HTTP_PORT);
	c->sock[JAIL_NET_SOCKS] = open_local(JAIL_NET_SOCKS_PORT);
	for (i = 0; i < JAIL_NET_NUM; i++) {
		if (c->sock[i] < 0)
			return c->sock[i];
	}
	return 0;
}

/* A setting of the namespace. What can't be set stays as the kernel has it. */
static void put(int dir, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		return; /* nothing is lost but what the callers say */
}

void capture_settings(int sysctl, gid_t first, gid_t last)
{
	_cleanup_close_ int dir = sysctl;
	char text[32];

	(void)snprintf(text, sizeof(text), "%u %u\n", first, last);
	put(dir, "net/ipv4/ping_group_range", text);
	/* the host may have one that paces (bbr): a timer for every packet, on a way that is all memory */
	put(dir, "net/ipv4/tcp_congestion_control", "reno\n");
}
