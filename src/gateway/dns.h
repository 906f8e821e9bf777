/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035, 6891). Pure.
 *  1. dns_query_parse()    a question that a sandbox asks
 *  2. dns_answer_*()       what it is told
 *  3. dns_query_make()     a question that the gateway asks a server of the host
 *  4. dns_reply_parse()    what that says
 *  5. dns_relay()          an answer without addresses, passed on
 */
#ifndef BAILEY_GATEWAY_DNS_H
#define BAILEY_GATEWAY_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_DNAME = 39,
	DNS_OPT = 41,
	DNS_SVCB = 64,
	DNS_HTTPS = 65
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16 /* needs an OPT to be said in */
};

#define DNS_UDP_MAX 1232u /* what we ask for and send at most over UDP */
#define DNS_NAME_MAX 255u /* on the wire */
#define DNS_HEADER 12u
#define DNS_OPT_SIZE 11u    /* an OPT without options */
#define DNS_ANSWER_MAX 560u /* bytes of the longest dns_answer_*() */

struct dns_query {
	uint16_t id;
	unsigned char opcode;
	bool rd;
	bool edns;
	uint16_t payload; /* what the client can take over UDP; 512 without EDNS */
	uint16_t type, class;
	unsigned char name[DNS_NAME_MAX]; /* as asked (upper case kept: 0x20), wire form */
	size_t name_len;                  /* 0: there is no question to repeat */
	char host[NET_HOST_MAX + 1];      /* canonical; "" when the name is no host name */
};

/**
 * dns_query_parse() - read a query: one question of class IN, opcode QUERY, nothing in the answer and authority sections, at most an OPT in
 * the additional one, no compression, nothing behind.
 * Return: 0; -EBADMSG: say nothing (too short, or it is an answer); a positive dns_rcode to answer with (ret->id and the question, as far as
 * there is one, are set).
 */
int dns_query_parse(struct dns_query *ret, const unsigned char *p, size_t n);

/** dns_answer_none() - an answer without records. Return: its length; 0 when it does not fit @size (DNS_ANSWER_MAX always does). */
size_t dns_answer_none(const struct dns_query *q, enum dns_rcode rcode, unsigned char *out,
		       size_t size);

/** dns_answer_addr() - one A or AAAA record, as q->type says. Return: as dns_answer_none(); 0 when @a is not of that type. */
size_t dns_answer_addr(const struct dns_query *q, const struct net_addr *a, uint32_t ttl,
		       unsigned char *out, size_t size);

/** dns_answer_ptr() - one PTR record that names @host. Return: as dns_answer_none(). */
size_t dns_answer_ptr(const struct dns_query *q, const char *host, uint32_t ttl, unsigned char *out,
		      size_t size);

/** dns_ptr_addr() - the address that a PTR question asks for. Return: whether it is one. */
bool dns_ptr_addr(const struct dns_query *q, struct net_addr *ret);

/** dns_query_make() - a question for @host; @edns: with an OPT (old servers want none). Return: its length; 0 when it does not fit. */
size_t dns_query_make(uint16_t id, const char *host, uint16_t type, bool edns, unsigned char *out,
		      size_t size);

#define DNS_ADDRS 16u  /* of one answer; what comes behind them is not looked at */
#define DNS_ALIASES 8u /* CNAMEs of one answer */

struct dns_reply {
	uint16_t id;
	enum dns_rcode rcode;
	bool truncated; /* ask again over TCP; nothing else is set but id and rcode */
	size_t n;
	struct net_addr addrs
		[DNS_ADDRS]; /* of the type that was asked for, at the end of the chain of CNAMEs; none of another type than A and AAAA */
	uint32_t ttl; /* the least of those on the way, seconds; without addresses what the SOA says, or 0 */
	char canonical[NET_HOST_MAX + 1]; /* the last name of the chain; the asked one without */
	char aliases[DNS_ALIASES]
		    [NET_HOST_MAX +
		     1]; /* every name on the way, to be judged, the asked one not among them */
	size_t n_aliases;
};

/**
 * dns_reply_parse() - read a server's answer to the question @host, @type: it must repeat the question exactly (but an error that is only a
 * header, as servers without EDNS send it). Records out of the chain are passed over; pointers only go back; chains longer than DNS_ALIASES,
 * loops, names in the chain that are no host names, two CNAMEs of one name: -EBADMSG. Of an answer with an error nothing but that is taken.
 * Return: 0 or -EBADMSG.
 */
int dns_reply_parse(struct dns_reply *ret, const unsigned char *p, size_t n, const char *host,
		    uint16_t type);

/**
 * dns_relay_check() - whether an answer for SRV, MX or TXT may be passed on to the sandbox: well formed from end to end, complete, without
 * an error (but NXDOMAIN), the question the same as @q but for upper case, and answers of no other type than CNAME and the asked one.
 * Return: 0 or -EBADMSG.
 */
int dns_relay_check(const struct dns_query *q, const unsigned char *p, size_t n);

/**
 * dns_relay() - make of such an answer the one to @q: its id, its spelling, its EDNS, the answers; not what servers add (addresses that nobody
 * has judged). What does not fit @size is left away and the answer marked as truncated.
 * @out: not @p
 * Return: the length; 0 when dns_relay_check() refuses or when @size is too small for an answer without records.
 */
size_t dns_relay(const struct dns_query *q, const unsigned char *p, size_t n, unsigned char *out,
		 size_t size);

#endif
