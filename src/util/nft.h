/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of nftables as netlink messages: a batch, a table, a base chain, and rules of one register.
 *
 *	nft_begin(&nl); nft_table(&nl, &t); nft_chain(&nl, &t, NF_INET_PRE_ROUTING, -150, "filter");
 *	nft_rule(&nl, &t); nft_meta(&nl, NFT_META_L4PROTO); nft_is(&nl, &tcp, 1); nft_accept(&nl); nft_rule_end(&nl);
 *	nft_end(&nl); r = nl_talk(&nl, NETLINK_NETFILTER);
 */
#ifndef BAILEY_UTIL_NFT_H
#define BAILEY_UTIL_NFT_H

#include <stddef.h>
#include <stdint.h>

#include "netlink.h"

/* Where rules go. */
struct nft {
	unsigned char family; /* NFPROTO_… */
	const char *table, *chain;
	size_t list; /* while a rule is written */
};

/** nft_begin(), nft_end() - what stands around all else; the kernel takes everything between them, or nothing. */
void nft_begin(struct nl *nl);
void nft_end(struct nl *nl);

/** nft_table() - make the table. */
void nft_table(struct nl *nl, const struct nft *t);

/** nft_chain() - make the chain at @hook with @priority, of @type ("filter", "nat"). */
void nft_chain(struct nl *nl, const struct nft *t, uint32_t hook, int32_t priority,
	       const char *type);

/** nft_rule(), nft_rule_end() - a rule; its expressions stand between. */
void nft_rule(struct nl *nl, struct nft *t);
void nft_rule_end(struct nl *nl, struct nft *t);

/** nft_meta() - what is known of the packet: NFT_META_…. */
void nft_meta(struct nl *nl, uint32_t key);

/** nft_payload() - @n bytes of the packet, from @base (NFT_PAYLOAD_…) + @offset. */
void nft_payload(struct nl *nl, uint32_t base, uint32_t offset, uint32_t n);

/** nft_mask() - of that, only these bits. */
void nft_mask(struct nl *nl, const void *mask, size_t n);

/** nft_is() - go on only when it is this. */
void nft_is(struct nl *nl, const void *value, size_t n);

/** nft_tproxy() - give the packet to the transparent socket that listens on @port, whatever the address. */
void nft_tproxy(struct nl *nl, const struct nft *t, uint16_t port);

/** nft_reject() - answer with the ICMP message "unreachable" of @code (of the family's own numbers). */
void nft_reject(struct nl *nl, uint8_t code);

/** nft_accept() - and look at no more rules. */
void nft_accept(struct nl *nl);

#endif
