/* SPDX-License-Identifier: Apache-2.0 */
/* What the network of a sandbox stands on: each in a network namespace of the try, without a program or a privilege outside. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
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

#include "netlink.h"
#include "tries.h"

#define ELSEWHERE 0xc0000201u /* 192.0.2.1, for documentation (RFC 5737) */
#define ORIGINAL_DST \
	80 /* SO_ORIGINAL_DST of linux/netfilter_ipv4.h, which can't be included beside libc's headers */
#define LOOPBACK_INDEX 1 /* in every network namespace */
#define NAT_PRIORITY (-100)

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* "local default dev lo": every address is one of this machine. */
static int add_anyip(unsigned char family)
{
	struct rtmsg rt = { .rtm_family = family,
			    .rtm_table = RT_TABLE_LOCAL,
			    .rtm_protocol = RTPROT_BOOT,
			    .rtm_scope = RT_SCOPE_HOST,
			    .rtm_type = RTN_LOCAL };
	struct nl nl = NL_INIT;

	nl_begin(&nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, &rt, sizeof(rt));
	nl_u32(&nl, RTA_OIF, LOOPBACK_INDEX);
	nl_end(&nl);
	return nl_talk(&nl, NETLINK_ROUTE);
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
		r = add_anyip(AF_INET);
	if (r < 0)
		return probe_missing(a, r, "local default route for IPv4");
	r = add_anyip(AF_INET6);
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

#define NFT(type) ((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | (type)))

static void batch(struct nl *nl, uint16_t type)
{
	struct nfgenmsg g = { .nfgen_family = AF_UNSPEC,
			      .version = NFNETLINK_V0,
			      .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	nl_begin(nl, type, 0, &g, sizeof(g));
	nl_end(nl);
}

/* Begin the expression @name of a rule. */
static void expression(struct nl *nl, const char *name, size_t nests[2])
{
	nests[0] = nl_nest(nl, NFTA_LIST_ELEM);
	nl_str(nl, NFTA_EXPR_NAME, name);
	nests[1] = nl_nest(nl, NFTA_EXPR_DATA);
}

static void expression_end(struct nl *nl, const size_t nests[2])
{
	nl_nest_end(nl, nests[1]);
	nl_nest_end(nl, nests[0]);
}

static void data_value(struct nl *nl, uint16_t type, const void *p, size_t n)
{
	size_t nest = nl_nest(nl, type);

	nl_put(nl, NFTA_DATA_VALUE, p, n);
	nl_nest_end(nl, nest);
}

/* meta l4proto tcp, redirect to :@port */
static void add_rule(struct nl *nl, const struct nfgenmsg *g, uint16_t port)
{
	const unsigned char tcp = IPPROTO_TCP;
	const uint16_t be_port = htons(port);
	size_t list, x[2];

	nl_begin(nl, NFT(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, g, sizeof(*g));
	nl_str(nl, NFTA_RULE_TABLE, "bailey");
	nl_str(nl, NFTA_RULE_CHAIN, "out");
	list = nl_nest(nl, NFTA_RULE_EXPRESSIONS);
	expression(nl, "meta", x);
	nl_be32(nl, NFTA_META_DREG, NFT_REG_1);
	nl_be32(nl, NFTA_META_KEY, NFT_META_L4PROTO);
	expression_end(nl, x);
	expression(nl, "cmp", x);
	nl_be32(nl, NFTA_CMP_SREG, NFT_REG_1);
	nl_be32(nl, NFTA_CMP_OP, NFT_CMP_EQ);
	data_value(nl, NFTA_CMP_DATA, &tcp, sizeof(tcp));
	expression_end(nl, x);
	expression(nl, "immediate", x);
	nl_be32(nl, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	data_value(nl, NFTA_IMMEDIATE_DATA, &be_port, sizeof(be_port));
	expression_end(nl, x);
	expression(nl, "redir", x);
	nl_be32(nl, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
	expression_end(nl, x);
	nl_nest_end(nl, list);
	nl_end(nl);
}

static int add_redirect(uint16_t port)
{
	struct nfgenmsg g = { .nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0 };
	struct nl nl = NL_INIT;
	size_t hook;

	batch(&nl, NFNL_MSG_BATCH_BEGIN);
	nl_begin(&nl, NFT(NFT_MSG_NEWTABLE), NLM_F_CREATE | NLM_F_ACK, &g, sizeof(g));
	nl_str(&nl, NFTA_TABLE_NAME, "bailey");
	nl_end(&nl);
	nl_begin(&nl, NFT(NFT_MSG_NEWCHAIN), NLM_F_CREATE | NLM_F_ACK, &g, sizeof(g));
	nl_str(&nl, NFTA_CHAIN_TABLE, "bailey");
	nl_str(&nl, NFTA_CHAIN_NAME, "out");
	hook = nl_nest(&nl, NFTA_CHAIN_HOOK);
	nl_be32(&nl, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
	nl_be32(&nl, NFTA_HOOK_PRIORITY, (uint32_t)NAT_PRIORITY);
	nl_nest_end(&nl, hook);
	nl_str(&nl, NFTA_CHAIN_TYPE, "nat");
	nl_end(&nl);
	add_rule(&nl, &g, port);
	batch(&nl, NFNL_MSG_BATCH_END);
	return nl_talk(&nl, NETLINK_NETFILTER);
}

/* A connection to an address of elsewhere ends at our listener, which is told the real target. */
static enum probe_state use_redirect(struct probe_answer *a)
{
	struct sockaddr_in at = address(INADDR_LOOPBACK, 0), to = address(ELSEWHERE, 443), target;
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer = -1;
	_cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof(at);
	int r = loopback_up();

	if (r == 0)
		r = add_anyip(AF_INET);
	if (r < 0)
		return probe_missing(a, r, "local default route");
	if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(listener, 8) < 0 || getsockname(listener, (struct sockaddr *)&at, &n) < 0)
		return probe_missing(a, -errno, "listener");
	r = add_redirect(ntohs(at.sin_port));
	if (r < 0)
		return probe_missing(a, r, "nftables: table, nat chain, redirect rule");
	if (connect(client, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		return probe_missing(a, -errno, "a connection that is redirected");
	n = sizeof(target);
	peer = accept4(listener, (struct sockaddr *)&target, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer < 0)
		return probe_missing(a, -errno, "accept");
	n = sizeof(target);
	if (getsockopt(peer, SOL_IP, ORIGINAL_DST, &target, &n) < 0)
		return probe_missing(a, -errno, "SO_ORIGINAL_DST");
	if (target.sin_addr.s_addr != to.sin_addr.s_addr || target.sin_port != to.sin_port)
		return probe_missing(a, 0, "SO_ORIGINAL_DST is not the real target");
	return PROBE_OK;
}

enum probe_state try_redirect(struct probe_answer *a)
{
	return probe_inside(a, CLONE_NEWNET, use_redirect);
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
