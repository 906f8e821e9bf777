/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink messages, written by hand: a start, and a try of what a kernel can do, need no library and no program. All of it may run in a bare thread
 * (jail/netns.c): no errno, no allocation.
 *
 *	struct nl nl = NL_INIT;
 *	nl_begin(&nl, RTM_NEWROUTE, NLM_F_CREATE, &rtm, sizeof(rtm)); nl_u32(&nl, RTA_OIF, lo); nl_end(&nl);
 *	r = nl_talk(&nl, NETLINK_ROUTE);
 */
#ifndef BAILEY_UTIL_NETLINK_H
#define BAILEY_UTIL_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NL_SIZE 4096u

struct nl {
	_Alignas(8) unsigned char data[NL_SIZE];
	size_t len, message;
	unsigned int asked; /* messages that are to be answered */
	bool full;          /* something did not fit: nothing is sent */
};

#define NL_INIT          \
	{                \
		.len = 0 \
	}

/** nl_begin() - a message of @type with its fixed header; with NLM_F_ACK in @flags it is answered. */
void nl_begin(struct nl *nl, uint16_t type, uint16_t flags, const void *header, size_t n);

/** nl_end() - end it. */
void nl_end(struct nl *nl);

/** nl_put() - an attribute. */
void nl_put(struct nl *nl, uint16_t type, const void *p, size_t n);

/** nl_u32() - an attribute in the machine's order; nl_be32(): in the network's; nl_str(): a string with its NUL. */
void nl_u32(struct nl *nl, uint16_t type, uint32_t v);
void nl_be32(struct nl *nl, uint16_t type, uint32_t v);
void nl_str(struct nl *nl, uint16_t type, const char *s);

/** nl_nest() - begin an attribute that holds others. Return: for nl_nest_end(). */
size_t nl_nest(struct nl *nl, uint16_t type);
void nl_nest_end(struct nl *nl, size_t start);

/** nl_talk() - send all messages at once over @protocol, read all answers. Return: 0, or the first negative errno. */
int nl_talk(struct nl *nl, int protocol);

/**
 * nl_local_default() - "local default dev lo": every address becomes one of this network namespace.
 * @src: that what is sent comes from, or NULL
 * Return: 0 or negative errno.
 */
int nl_local_default(unsigned char family, const unsigned char *src, size_t n);

#endif
