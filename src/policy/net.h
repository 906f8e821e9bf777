/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network rules (docs/adr/0019). Pure, as all of this room.
 *  1. net_host_canon()                     the one parser of host names
 *  2. net_rule_parse(), net_policy_add()   collect rules
 *  3. net_policy_judge()                   whether a sandbox may reach a name or an address, and which rule says so
 *  4. net_policy_judge_answer()            whether an address that an allowed name has may be dialled for it
 *  5. net_policy_pack()                    all of it as bytes, for another process
 */
#ifndef BAILEY_POLICY_NET_H
#define BAILEY_POLICY_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer.h"
#include "util/util.h"

#define NET_HOST_MAX 253u /* bytes of a canonical name */

/* An address of either family; IPv4 as v4-mapped IPv6, so that each address has one form. */
struct net_addr {
	unsigned char b[16];
};

/** net_addr_is_v4() - whether it is an IPv4 address. */
bool net_addr_is_v4(const struct net_addr *a);

/** net_addr_parse() - read strict dotted-quad or RFC 4291 text, @len bytes, no zone, no brackets. Return: whether it is one. */
bool net_addr_parse(struct net_addr *ret, const char *text, size_t len);

#define NET_ADDR_TEXT 46u
/** net_addr_text() - the canonical text (RFC 5952; dotted-quad for IPv4), into NET_ADDR_TEXT bytes. */
void net_addr_text(const struct net_addr *a, char *out);

enum net_class {
	NET_CLASS_PUBLIC,
	NET_CLASS_PRIVATE, /* RFC 1918, unique local, shared (100.64/10), site-local */
	NET_CLASS_LOOPBACK,
	NET_CLASS_LINK_LOCAL,
	NET_CLASS_METADATA, /* of clouds: 169.254.169.254, fd00:ec2::254, 100.100.100.200 … */
	NET_CLASS_MULTICAST,
	NET_CLASS_UNSPECIFIED, /* 0/8, :: */
	NET_CLASS_RESERVED, /* broadcast, 240/4, benchmarking (198.18/15: our own), discard … */
	NET_CLASS_NUM
};

/**
 * net_addr_class() - what kind of address it is. NAT64 (64:ff9b::/96, 64:ff9b:1::/48), 6to4, Teredo, IPv4-compatible and ISATAP-like forms are judged by the
 * IPv4 address they carry when that is worse. Documentation ranges are ordinary addresses.
 */
enum net_class net_addr_class(const struct net_addr *a);

/**
 * net_addr_judge() - the class, and how much of the address it hangs on.
 * @ret_bits: leading bits that all addresses of that range share. A rule with fewer means more than the range (0.0.0.0/0 asks for no loopback).
 */
enum net_class net_addr_judge(const struct net_addr *a, unsigned int *ret_bits);

/** net_addr_covers() - whether the first @bits bits of @net and @a are the same. */
bool net_addr_covers(const struct net_addr *net, unsigned int bits, const struct net_addr *a);

#define NET_EMBEDDED 3u
/** net_addr_embedded() - the IPv4 addresses that @a carries in some other form, into NET_EMBEDDED places. Return: how many. */
size_t net_addr_embedded(const struct net_addr *a, struct net_addr *out);

/** net_class_name() - "public", "private", … */
const char *net_class_name(enum net_class c);

#define NET_QUOTE 104u
/** net_quote() - @text as printable ASCII for messages (a line break is "<0a>"), cut where it is long; @out: NET_QUOTE bytes. Return: @out. */
const char *net_quote(const char *text, size_t len, char *out);

/**
 * net_host_canon() - the canonical form of a host name: LDH labels (an underscore is allowed, too), 1-63 bytes each, lower case, without the final dot.
 * @text: @len bytes that may hold anything
 * @ret: NET_HOST_MAX + 1 bytes
 * What a resolver or another parser could read as an address (only digits and dots, 0x…, a last label of digits) is no name.
 * Return: its length, or -EINVAL with @e saying what is wrong with it (bytes quoted).
 */
int net_host_canon(const char *text, size_t len, char *ret, struct err *e);

enum net_proto { NET_TCP = 1, NET_UDP = 2 };

enum net_what { NET_RULE_HOST, NET_RULE_SUBDOMAINS, NET_RULE_ANY, NET_RULE_CIDR };

/* The host, as the sandbox calls it; no other rule than one of --allow-host-port reaches it. */
#define NET_HOST_LOCAL "host.bailey.internal"

struct net_rule {
	bool allow;
	enum net_what what;
	uint16_t port;      /* 0: any */
	unsigned int proto; /* NET_TCP, NET_UDP or both; neither: it covers nothing */
	enum policy_layer layer;
	bool local; /* of --allow-host-port: a port of the host's loopback, by the name NET_HOST_LOCAL */
	const char *host;     /* canonical, of NET_RULE_SUBDOMAINS without "*." */
	struct net_addr addr; /* of NET_RULE_CIDR */
	unsigned int prefix;  /* 0-128 */
	const char *text;     /* as it was written */
	const char *origin;   /* "--allow-host", "file:line", "preset balanced" */
	const char *reason;   /* or NULL */
};

enum net_mode { NET_MODE_NONE, NET_MODE_DENY, NET_MODE_ALLOW, NET_MODE_HOST, NET_MODE_NUM };

/* How much, and how fast, what a rule covers may take: both ways together. */
struct net_quota {
	struct net_rule rule; /* covers connections; whether it allows is no matter */
	uint64_t bytes;       /* of the sandbox's whole life; 0: no end */
	uint64_t rate;        /* bytes a second; 0: as fast as it goes */
};

struct net_policy {
	struct arena *arena; /* borrowed; owns rules and strings */
	struct net_rule *rules;
	size_t n, size;
	enum net_mode mode;
	const char *mode_origin;
	enum net_mode most; /* what a live change may make of it; files have said that */
	const char *most_origin;
	unsigned int most_specific; /* a bit for each layer that asks for it */
	struct net_quota *quotas;   /* the first that covers a connection counts */
	size_t n_quotas;
	struct net_rule *
		inspects; /* hosts whose connections are looked into (docs/adr/0021); one that denies is a host where nobody looks */
	size_t n_inspects;
	bool inspect_all; /* every connection is, as if a rule of the command line said so; plain HTTP also where one denies */
	struct net_rule *
		forwards; /* where inspection rules send requests (docs/adr/0021); whether they allow is no matter */
	size_t n_forwards;
	struct net_rule *
		handed; /* what they cover is dialled by a proxy at a unix socket; whether they allow is no matter */
	size_t n_handed;
	const char *
		settings; /* a file of srt's settings, or "the settings": what refusals name in the place of options; NULL */
	const char *
		box; /* the name of a sandbox that stays: its rules are changed by a verb; NULL: by options of the next run */
};

struct net_request {
	const char *host; /* canonical, or NULL: only an address is known */
	const struct net_addr *
		addr; /* where @host is NULL; with @host: for net_verdict_text(), the answer that was judged */
	uint16_t port;
	enum net_proto proto;
};

struct net_verdict {
	bool allowed;
	bool names_port; /* an allow rule that covers this names the port: opaque bytes may pass */
	const struct net_rule *rule; /* that decided; NULL: the mode did, or the address class */
	enum net_class cls;          /* of an address */
};

/** net_mode_name() - "none", "deny" … */
const char *net_mode_name(enum net_mode m);

/** net_mode_parse() - Return: enum net_mode, or -EINVAL with @e. */
int net_mode_parse(const char *text, struct err *e);

/** net_policy_init() - an empty policy: mode none. */
void net_policy_init(struct net_policy *p, struct arena *arena);

/**
 * net_rule_parse() - read one rule. Strings of @ret are the arena's.
 * @allow, @layer, @origin: of the rule; @reason: or NULL; copied
 * @cidr: the word is of --allow-cidr or --deny-cidr: PREFIX[:PORT][/proto], IPv6 with a port in brackets
 * @risky: a wildcard over a public suffix is meant
 * Without a protocol a grant is for TCP, a denial for both. A grant of UDP names its port, and one host.
 * Return: 0, or -EINVAL with @e naming what is wrong and what was expected.
 */
int net_rule_parse(struct net_rule *ret, const char *text, bool allow, bool cidr, bool risky,
		   enum policy_layer layer, const char *origin, const char *reason, struct arena *a,
		   struct err *e);

/** net_policy_add() - add a rule (copied; strings borrowed). Return: 0, -E2BIG past LIMIT_NET_RULES (and LIMIT_NET_LIVE of those), -EPERM for a grant of an untrusted layer, -ENOMEM. */
int net_policy_add(struct net_policy *p, const struct net_rule *r, struct err *e);

/** net_policy_preset() - "closed", "balanced", "open-minus-private": add its rules and mode in the built-in layer. Return: 0, -ENOENT, or as net_policy_add(). */
int net_policy_preset(struct net_policy *p, const char *name, struct err *e);

/** net_policy_preset_rank() - how much a preset opens, compared with others. Return: that, or -ENOENT. */
int net_policy_preset_rank(const char *name);

/** net_policy_judge() - Never fails: what is in doubt is denied. Of an address request the class is judged, too. */
struct net_verdict net_policy_judge(const struct net_policy *p, const struct net_request *q);

/** net_request_loopback() - whether it is for loopback, which inside is the sandbox's own, but for ports of the host that were asked for (jail/capture.c). */
bool net_request_loopback(const struct net_request *q);

/**
 * net_policy_judge_answer() - an allowed name has the address @a: may it be dialled?
 * @v: of net_policy_judge() for the name
 * Denials of addresses count, unless a rule for that name stands in the same layer and the layer says most-specific; the class must suit the rule (exact
 * name: private, too), or an allowed CIDR covers it.
 */
struct net_verdict net_policy_judge_answer(const struct net_policy *p, const struct net_request *q,
					   const struct net_verdict *v, const struct net_addr *a);

/** net_policy_inspects() - whether a connection is looked into: a rule of @p->inspects covers it, and none that denies of the same layer or a more authoritative one. */
bool net_policy_inspects(const struct net_policy *p, const struct net_request *q);

/**
 * net_policy_may_hide() - whether a connection to an address that says no name may be meant for a host that is looked into, by its name.
 * @rule: that allows the connection, or NULL. One for that address alone says that it is meant, as does one of @p->inspects that denies.
 */
bool net_policy_may_hide(const struct net_policy *p, const struct net_request *q,
			 const struct net_rule *rule);

/** net_policy_quota() - the quota of a connection. Return: its number, or -1. */
int net_policy_quota(const struct net_policy *p, const struct net_request *q);

/** net_policy_handed() - whether a connection is for the proxy at the unix socket. */
bool net_policy_handed(const struct net_policy *p, const struct net_request *q);

/** net_policy_forwards() - whether an inspection rule may send requests there. */
bool net_policy_forwards(const struct net_policy *p, const struct net_request *q);

/** net_policy_pack() - append mode, rules and what is handed on; no quotas. @b: b->failed when a string is too long, or memory */
void net_policy_pack(const struct net_policy *p, struct buf *b);

/**
 * net_policy_unpack() - the same policy again, made anew.
 * @ret: initialised; its arena owns what is made, also when this fails
 * Return: 0, -EBADMSG: it is none, -ENOMEM, or as net_policy_add(), with @e.
 */
int net_policy_unpack(struct net_policy *ret, const void *p, size_t n, struct err *e);

/** net_request_way() - append the option that would allow @q, or what to write in p->settings. @port: name the port in any case */
void net_request_way(const struct net_policy *p, const struct net_request *q, bool port,
		     struct buf *b);

/** net_verdict_text() - append why, and how to change it: "denied: no rule allows it; --allow-host example.org" */
void net_verdict_text(const struct net_policy *p, const struct net_request *q,
		      const struct net_verdict *v, struct buf *b);

/**
 * net_request_rule() - append the least rule that covers @q: NAME, or the address where no name is known; with :PORT where it is not 80 or 443.
 * @port: with it in any case, as protocols other than TLS and HTTP need it
 */
void net_request_rule(const struct net_request *q, bool port, struct buf *b);

/** net_public_suffix() - whether @host (canonical) is a public suffix itself. */
bool net_public_suffix(const char *host);

#endif
