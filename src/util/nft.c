/* SPDX-License-Identifier: Apache-2.0 */
#include "nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#define NFT(type) ((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | (type)))

static void batch(struct nl *nl, uint16_t type)
{
	struct nfgenmsg g = { .nfgen_family = AF_UNSPEC,
			      .version = NFNETLINK_V0,
			      .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	nl_begin(nl, type, 0, &g, sizeof(g));
	nl_end(nl);
}

void nft_begin(struct nl *nl)
{
	batch(nl, NFNL_MSG_BATCH_BEGIN);
}

void nft_end(struct nl *nl)
{
	batch(nl, NFNL_MSG_BATCH_END);
}

static void message(struct nl *nl, const struct nft *t, uint16_t type, uint16_t flags)
{
	struct nfgenmsg g = { .nfgen_family = t->family, .version = NFNETLINK_V0 };

	nl_begin(nl, NFT(type), (uint16_t)(NLM_F_CREATE | NLM_F_ACK | flags), &g, sizeof(g));
}

void nft_table(struct nl *nl, const struct nft *t)
{
	message(nl, t, NFT_MSG_NEWTABLE, 0);
	nl_str(nl, NFTA_TABLE_NAME, t->table);
	nl_end(nl);
}

void nft_chain(struct nl *nl, const struct nft *t, uint32_t hook, int32_t priority,
	       const char *type)
{
	size_t nest;

	message(nl, t, NFT_MSG_NEWCHAIN, 0);
	nl_str(nl, NFTA_CHAIN_TABLE, t->table);
	nl_str(nl, NFTA_CHAIN_NAME, t->chain);
	nest = nl_nest(nl, NFTA_CHAIN_HOOK);
	nl_be32(nl, NFTA_HOOK_HOOKNUM, hook);
	nl_be32(nl, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	nl_nest_end(nl, nest);
	nl_str(nl, NFTA_CHAIN_TYPE, type);
	nl_end(nl);
}

void nft_rule(struct nl *nl, struct nft *t)
{
	message(nl, t, NFT_MSG_NEWRULE, NLM_F_APPEND);
	nl_str(nl, NFTA_RULE_TABLE, t->table);
	nl_str(nl, NFTA_RULE_CHAIN, t->chain);
	t->list = nl_nest(nl, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct nl *nl, struct nft *t)
{
	nl_nest_end(nl, t->list);
	nl_end(nl);
}

struct expression {
	size_t outer, inner;
};

static struct expression expression(struct nl *nl, const char *name)
{
	struct expression x = { .outer = nl_nest(nl, NFTA_LIST_ELEM) };

	nl_str(nl, NFTA_EXPR_NAME, name);
	x.inner = nl_nest(nl, NFTA_EXPR_DATA);
	return x;
}

static void expression_end(struct nl *nl, struct expression x)
{
	nl_nest_end(nl, x.inner);
	nl_nest_end(nl, x.outer);
}

static void data_value(struct nl *nl, uint16_t type, const void *p, size_t n)
{
	size_t nest = nl_nest(nl, type);

	nl_put(nl, NFTA_DATA_VALUE, p, n);
	nl_nest_end(nl, nest);
}

void nft_meta(struct nl *nl, uint32_t key)
{
	struct expression x = expression(nl, "meta");

	nl_be32(nl, NFTA_META_DREG, NFT_REG_1);
	nl_be32(nl, NFTA_META_KEY, key);
	expression_end(nl, x);
}

void nft_payload(struct nl *nl, uint32_t base, uint32_t offset, uint32_t n)
{
	struct expression x = expression(nl, "payload");

	nl_be32(nl, NFTA_PAYLOAD_DREG, NFT_REG_1);
	nl_be32(nl, NFTA_PAYLOAD_BASE, base);
	nl_be32(nl, NFTA_PAYLOAD_OFFSET, offset);
	nl_be32(nl, NFTA_PAYLOAD_LEN, n);
	expression_end(nl, x);
}

void nft_mask(struct nl *nl, const void *mask, size_t n)
{
	static const unsigned char zero[16];
	struct expression x = expression(nl, "bitwise");

	nl_be32(nl, NFTA_BITWISE_SREG, NFT_REG_1);
	nl_be32(nl, NFTA_BITWISE_DREG, NFT_REG_1);
	nl_be32(nl, NFTA_BITWISE_LEN, (uint32_t)n);
	data_value(nl, NFTA_BITWISE_MASK, mask, n);
	data_value(nl, NFTA_BITWISE_XOR, zero, n);
	expression_end(nl, x);
}

void nft_is(struct nl *nl, const void *value, size_t n)
{
	struct expression x = expression(nl, "cmp");

	nl_be32(nl, NFTA_CMP_SREG, NFT_REG_1);
	nl_be32(nl, NFTA_CMP_OP, NFT_CMP_EQ);
	data_value(nl, NFTA_CMP_DATA, value, n);
	expression_end(nl, x);
}

void nft_tproxy(struct nl *nl, const struct nft *t, uint16_t port)
{
	const uint16_t be_port = htons(port);
	struct expression x = expression(nl, "immediate");

	nl_be32(nl, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	data_value(nl, NFTA_IMMEDIATE_DATA, &be_port, sizeof(be_port));
	expression_end(nl, x);
	x = expression(nl, "tproxy");
	nl_be32(nl, NFTA_TPROXY_FAMILY, t->family);
	nl_be32(nl, NFTA_TPROXY_REG_PORT, NFT_REG_1);
	expression_end(nl, x);
}

void nft_reject(struct nl *nl, uint8_t code)
{
	struct expression x = expression(nl, "reject");

	nl_be32(nl, NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
	nl_put(nl, NFTA_REJECT_ICMP_CODE, &code, sizeof(code));
	expression_end(nl, x);
}

void nft_accept(struct nl *nl)
{
	struct expression x = expression(nl, "immediate");
	size_t data, verdict;

	nl_be32(nl, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nl_nest(nl, NFTA_IMMEDIATE_DATA);
	verdict = nl_nest(nl, NFTA_DATA_VERDICT);
	nl_be32(nl, NFTA_VERDICT_CODE, NF_ACCEPT);
	nl_nest_end(nl, verdict);
	nl_nest_end(nl, data);
	expression_end(nl, x);
}
