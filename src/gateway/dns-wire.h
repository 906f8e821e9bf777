/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing DNS messages share. Names are kept in wire form: labels, each behind its length, and the root's 0. */
#ifndef BAILEY_GATEWAY_DNS_WIRE_H
#define BAILEY_GATEWAY_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns.h"

#define DNS_CLASS_IN 1u
#define DNS_JUMPS 32u /* pointers of one name */

/* flags of the header: its bytes 2 and 3 */
#define DNS_QR 0x8000u
#define DNS_OPCODE 0x7800u
#define DNS_OPCODE_SHIFT 11u
#define DNS_AA 0x0400u
#define DNS_TC 0x0200u
#define DNS_RD 0x0100u
#define DNS_RA 0x0080u
#define DNS_Z 0x0040u
#define DNS_RCODE 0x000fu

struct dns_name {
	unsigned char b[DNS_NAME_MAX];
	size_t len; /* with the root's 0 */
};

/* A record; its data is a part of the message. */
struct dns_record {
	struct dns_name owner;
	uint16_t type, class;
	uint32_t ttl;
	size_t data, size;
};

static inline uint16_t dns_get16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t dns_get32(const unsigned char *p)
{
	return (uint32_t)dns_get16(p) << 16 | dns_get16(p + 2);
}

static inline void dns_put16(unsigned char *p, unsigned int v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static inline void dns_put32(unsigned char *p, uint32_t v)
{
	dns_put16(p, v >> 16);
	dns_put16(p + 2, v & 0xffffu);
}

/**
 * dns_name_read() - read the name at *@pos of a message; *@pos moves behind it.
 * @pointers: whether it may be compressed; each pointer must lead to a name, or the end of one, that lies before the labels that it ends
 * Return: 0 or -EBADMSG.
 */
int dns_name_read(const unsigned char *p, size_t n, size_t *pos, bool pointers,
		  struct dns_name *ret);

/** dns_name_host() - the host name that @name is, canonical, into NET_HOST_MAX + 1 bytes. Return: whether it is one. */
bool dns_name_host(const struct dns_name *name, char *ret);

/** dns_name_make() - the wire form of @host. Return: whether it has one. */
bool dns_name_make(const char *host, struct dns_name *ret);

/** dns_name_same() - whether two names differ at most in upper and lower case. */
bool dns_name_same(const unsigned char *a, size_t a_len, const unsigned char *b, size_t b_len);

/** dns_record_read() - read the record at *@pos; *@pos moves behind it. Its data is not looked at. Return: 0 or -EBADMSG. */
int dns_record_read(const unsigned char *p, size_t n, size_t *pos, bool pointers,
		    struct dns_record *ret);

/** dns_opt_ok() - whether @r is an OPT as it has to be: of the root, its options complete. */
bool dns_opt_ok(const unsigned char *p, const struct dns_record *r);

/** dns_answer_begin() - the header and question of an answer to @q; @flags: beside QR, RD, RA. Return: its length; 0 when it does not fit. */
size_t dns_answer_begin(const struct dns_query *q, unsigned int flags, unsigned int answers,
			unsigned char *out, size_t size);

/** dns_answer_end() - an OPT, when @q has one. @n: length up to here. Return: the length; 0 when it does not fit. */
size_t dns_answer_end(const struct dns_query *q, enum dns_rcode rcode, unsigned char *out, size_t n,
		      size_t size);

#endif
