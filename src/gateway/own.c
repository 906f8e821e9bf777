/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/util.h"

int own_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

bool own_has(int fd, const struct net_addr *a)
{
	static uint32_t seq;
	bool v4 = net_addr_is_v4(a);
	struct {
		struct nlmsghdr h;
		struct rtmsg m;
		struct rtattr to;
		unsigned char addr[16];
	} q = { .h = { .nlmsg_type = RTM_GETROUTE,
		       .nlmsg_flags = NLM_F_REQUEST,
		       .nlmsg_seq = ++seq },
		.m = { .rtm_family = v4 ? AF_INET : AF_INET6, .rtm_dst_len = v4 ? 32 : 128 },
		.to = { .rta_type = RTA_DST } };
	union {
		struct nlmsghdr h;
		unsigned char b[4096];
	} reply;
	struct rtmsg m;
	size_t n = v4 ? 4 : 16;
	ssize_t got;

	memcpy(q.addr, a->b + 16 - n, n);
	q.to.rta_len = (unsigned short)(sizeof(q.to) + n);
	q.h.nlmsg_len = (uint32_t)(sizeof(q) - sizeof(q.addr) + n);
	if (send(fd, &q, q.h.nlmsg_len, MSG_NOSIGNAL) < 0)
		return false;
	/* the answer is there when the question was sent; what an earlier one left behind is passed over */
	do {
		got = recv(fd, &reply, sizeof(reply), MSG_DONTWAIT);
	} while (got >= (ssize_t)sizeof(reply.h) && reply.h.nlmsg_seq != seq);
	if (got < (ssize_t)NLMSG_LENGTH(sizeof(m)) || reply.h.nlmsg_type != RTM_NEWROUTE)
		return false; /* there is no way to it: connecting says so */
	memcpy(&m, reply.b + NLMSG_HDRLEN, sizeof(m));
	return m.rtm_type == RTN_LOCAL;
}

bool own_allowed(const struct net_policy *p, const struct net_addr *a, uint16_t port,
		 enum net_proto proto)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct net_rule *r = &p->rules[i];

		if (r->allow && r->what == NET_RULE_CIDR && r->prefix == 128 &&
		    (r->proto & proto) && (!r->port || r->port == port) &&
		    memcmp(&r->addr, a, sizeof(*a)) == 0)
			return true;
	}
	return false;
}
