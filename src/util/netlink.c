/* SPDX-License-Identifier: Apache-2.0 */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "sys.h"

#define LOOPBACK_INDEX 1 /* in every network namespace */
#define ALIGN4(n) (((n) + 3) & ~(size_t)3)

static void add(struct nl *nl, const void *p, size_t n)
{
	if (ALIGN4(n) > sizeof(nl->data) - nl->len) {
		nl->full = true;
		return;
	}
	if (n)
		memcpy(nl->data + nl->len, p, n);
	memset(nl->data + nl->len + n, 0, ALIGN4(n) - n);
	nl->len += ALIGN4(n);
}

void nl_begin(struct nl *nl, uint16_t type, uint16_t flags, const void *header, size_t n)
{
	struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST };

	nl->message = nl->len;
	nl->asked += flags & NLM_F_ACK ? 1 : 0;
	add(nl, &h, sizeof(h));
	add(nl, header, n);
}

void nl_end(struct nl *nl)
{
	uint32_t n = (uint32_t)(nl->len - nl->message);

	if (!nl->full)
		memcpy(nl->data + nl->message, &n, sizeof(n));
}

void nl_put(struct nl *nl, uint16_t type, const void *p, size_t n)
{
	struct nlattr at = { .nla_len = (uint16_t)(sizeof(at) + n), .nla_type = type };

	add(nl, &at, sizeof(at));
	add(nl, p, n);
}

void nl_u32(struct nl *nl, uint16_t type, uint32_t v)
{
	nl_put(nl, type, &v, sizeof(v));
}

void nl_be32(struct nl *nl, uint16_t type, uint32_t v)
{
	nl_u32(nl, type, htonl(v));
}

void nl_str(struct nl *nl, uint16_t type, const char *s)
{
	nl_put(nl, type, s, strlen(s) + 1);
}

size_t nl_nest(struct nl *nl, uint16_t type)
{
	size_t start = nl->len;

	nl_put(nl, type | NLA_F_NESTED, NULL, 0);
	return start;
}

void nl_nest_end(struct nl *nl, size_t start)
{
	uint16_t n = (uint16_t)(nl->len - start);

	if (!nl->full)
		memcpy(nl->data + start, &n, sizeof(n));
}

/* Errors and acknowledgements in one datagram. Return: how many; or the first negative errno. */
static int read_answers(const unsigned char *p, size_t left)
{
	struct nlmsghdr h;
	int error, n = 0;

	while (left >= sizeof(h)) {
		memcpy(&h, p, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > left)
			return -EBADMSG;
		if (h.nlmsg_type == NLMSG_ERROR) {
			if (h.nlmsg_len < sizeof(h) + sizeof(error))
				return -EBADMSG;
			memcpy(&error, p + sizeof(h), sizeof(error));
			if (error)
				return error < 0 ? error : -EPROTO;
			n++;
		}
		left -= ALIGN4(h.nlmsg_len) < left ? ALIGN4(h.nlmsg_len) : left;
		p += ALIGN4(h.nlmsg_len);
	}
	return n;
}

int nl_talk(struct nl *nl, int protocol)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	_Alignas(8) unsigned char in[8192];
	unsigned int got = 0;
	long n;
	int fd, r = 0;

	if (nl->full)
		return -ENOBUFS;
	fd = (int)sys_call(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol, 0, 0);
	if (fd < 0)
		return fd;
	n = sys_call6(SYS_sendto, fd, (long)nl->data, (long)nl->len, 0, (long)&kernel,
		      sizeof(kernel));
	while (n >= 0 && r >= 0 && got < nl->asked) {
		n = sys_call6(SYS_recvfrom, fd, (long)in, sizeof(in), 0, 0, 0);
		r = n < 0 ? 0 : read_answers(in, (size_t)n);
		got += r > 0 ? (unsigned int)r : 0;
	}
	(void)sys_close(fd);
	if (n < 0)
		return (int)n;
	return r < 0 ? r : 0;
}

int nl_local_default(unsigned char family, const unsigned char *src, size_t n)
{
	struct rtmsg m = { .rtm_family = family,
			   .rtm_table = RT_TABLE_LOCAL,
			   .rtm_protocol = RTPROT_BOOT,
			   .rtm_scope = RT_SCOPE_HOST,
			   .rtm_type = RTN_LOCAL };
	struct nl nl = NL_INIT;

	nl_begin(&nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, &m, sizeof(m));
	nl_u32(&nl, RTA_OIF, LOOPBACK_INDEX);
	if (src)
		nl_put(&nl, RTA_PREFSRC, src, n);
	nl_end(&nl);
	return nl_talk(&nl, NETLINK_ROUTE);
}
