/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: bailey-keys, the process that ends TLS and holds secrets (docs/adr/0021, 0022). This header is what the others know of it: the messages between
 * it and a gateway, one per packet of a SOCK_SEQPACKET pair, and the lines between it and the supervisor.
 *
 * Lines, JSON, each at most KEYS_LINE_MAX bytes. The supervisor begins:
 *	{"version":1,"id":RUN,"store":DIR or null,"secrets":[NAME…],"inspect":[RULE…],"own":[HOST…]}
 * and, where they are wanted, "own_store":DIR and "own_secrets":[NAME…] (kept for this sandbox alone: they go before others of their name), "logins":[…] (login.h), "roots":[PEM…] (trusted beside the host's), "java":true, "masks":[…] and "pairs":{…} (mask.h), "handshake":N (ms in which either side must have done its own), "strip":[FIELD…] (that no answer shall have),
 * "ca":{"certificate":FILE,"key":FILE} (instead of one of its own), "uid":N and "gid":N (of root's: what to become); and gets
 *	{"ca":PEM,"env":{VARIABLE:SENTINEL…},"hosts":[HOST…]} (hosts: what the secrets are bound to, to be inspected, too) or {"error":TEXT};
 * with "java" also "java":[TEXT…] (a PKCS#12 store of all roots and the CA, base64 in pieces, password "changeit"). Later
 * lines change things: {"reload":true} reads the secrets again, {"inspect":[…]} replaces the rules, {"pairs":{…}} what signs for AWS; each is answered {"ok":true} or {"error":TEXT}. An
 * answer may have a "notice":TEXT for people, and {"notice":TEXT} may come by itself. When the supervisor's end closes, bailey-keys ends.
 */
#ifndef BAILEY_KEYS_H
#define BAILEY_KEYS_H

#include <stdint.h>

#include "util/util.h"

struct json_node;

#define KEYS_VERSION 2 /* of all that the launcher, the gateway and bailey-keys say to each other */
#define KEYS_LINE_MAX (1u << 20)
#define KEYS_MASKS 64u /* secrets that the first line brings with it, at most */

/*
 * What bailey-keys finds open when it starts: "bailey-keys serve". As "bailey-keys srt-proxy LETTERS [FIELD…]" (docs/adr/0035; fields that no answer has) it has
 * these beside: the two ends of the link with the decider, and what --ca-fd names. Its control socket is not read; it says in one line why it ends: 'f' and the text where it
 * could not begin, else 's' and the text. When that socket's other end closes, it ends.
 */
enum keys_fd {
	KEYS_FD_CONTROL = 3,
	KEYS_FD_GATEWAY = 4,
	KEYS_FD_DECIDER_IN = 5,
	KEYS_FD_DECIDER_OUT = 6,
	KEYS_FD_CA = 7
};

enum keys_kind { KEYS_OFFER = 1, KEYS_REQUEST = 2, KEYS_END = 3, KEYS_DIAL = 4, KEYS_DIALLED = 5 };

#define PX_WORD_NONE '-' /* so that there is a letter */
#define PX_WORD_CA 'c'   /* there is an authority */
#define PX_WORD_OUT 'o'  /* the link's second end is another descriptor */
#define PX_WORD_SET 's'  /* verdicts may set fields of requests without TLS */

/* struct keys_call, between keys and the dialer of `srt proxy` */
enum call_kind {
	CALL_HOST = 1,   /* to the dialer: an entry of the decider's lists; @denied */
	CALL_LISTEN = 2, /* to it: that was all of them, clients may come */
	CALL_CLIENT = 3, /* to keys, with a descriptor: one has come */
	CALL_DIAL = 4,   /* to the dialer: connect to @text at @port */
	CALL_DIALLED =
		5, /* to keys: the answer of that @id: a descriptor, or @text says why not; @denied: by the lists, or for the kind of address */
	CALL_STOP = 6 /* to the dialer: no more clients */
};

#define KEYS_OFFER_TLS \
	1u /* the client's first bytes are a ClientHello; else a request of plain HTTP */

/* Gateway to keys, with two descriptors: the client's side, the server's side; both stream sockets. */
struct keys_offer {
	uint16_t kind, version;
	uint32_t id; /* of the connection; the gateway's, not used again while it lives */
	uint32_t flags;
	uint16_t port;
	char host[254]; /* canonical, with a NUL */
};

#define KEYS_TARGET_MAX 1024u
#define KEYS_WHY_MAX 256u
#define KEYS_RULE_MAX 96u

#define KEYS_DENIED 1u /* a rule or a check refused it */
#define KEYS_CUT 2u    /* its method or target is longer than there is place for */

/* Keys to gateway: one request was judged. Texts end with a NUL and may hold any other byte; the log escapes them. */
struct keys_request {
	uint16_t kind, version;
	uint32_t id;
	uint16_t status; /* that the client was or will be given by us; 0: it went to the server */
	uint16_t flags;
	char method[32];
	char target[KEYS_TARGET_MAX]; /* without secrets: as the client wrote it */
	char why[KEYS_WHY_MAX];       /* the rule, or what was refused; "" */
	char secret[64];              /* the name of the one that was put in; "" */
	char rule[KEYS_RULE_MAX];     /* of what was denied: the entry that denies it; "" */
};

/* Keys to gateway: it is over. */
struct keys_end {
	uint16_t kind, version;
	uint32_t id;
	char why[KEYS_WHY_MAX]; /* "": the peers ended it */
};

/* Keys to gateway: a request of that connection goes elsewhere, because a rule forwards it. It judges and dials that as any other place. */
struct keys_dial {
	uint16_t kind, version;
	uint32_t id;
	uint32_t serial; /* of the question, among those of the connection */
	uint16_t port;
	char host[254]; /* canonical: a name, or an address; with a NUL */
};

/* Gateway to keys: a stream socket that leads there comes with it, or it says why there is none. */
struct keys_dialled {
	uint16_t kind, version;
	uint32_t id, serial;
	char why[KEYS_WHY_MAX]; /* "": there is one */
};

#define CALL_TEXT_MAX 320u

struct keys_call {
	uint16_t kind, version;
	uint32_t id;
	uint16_t port, denied;
	char text[CALL_TEXT_MAX]; /* with a NUL */
};

/* What the words of `bailey secret` say. "bailey-keys secret STATE WORD…": STATE is the launcher's state directory. */
struct secret_options {
	const char *file, *from_env, *command;
	const char *service, *header, *query, *basic, *key, *sandbox;
	bool anywhere, replace, json;
	struct opt_list hosts, variables, regions, aws;
};

#define SECRET_OPTIONS 21u

/** secret_options() - fill the option table, of SECRET_OPTIONS rows; targets are in @o. */
void secret_options(struct secret_options *o, struct opt *table);

/** secret_options_done() - free the lists. */
void secret_options_done(struct secret_options *o);

/**
 * secret_words() - read the words behind "secret": options may stand anywhere.
 * @argv: reordered
 * @ret_word: "set", "ls", "rm", "rotate"; @ret_names: the rest, NULL-terminated
 * Return: 0; -ECANCELED with ERR_HELP; -EINVAL and others with @e.
 */
int secret_words(struct secret_options *o, const struct opt *table, char **argv,
		 const char **ret_word, char ***ret_names, struct err *e);

/**
 * keys_rules_check() - what bailey-keys would say about one rule of "inspect", before it is started.
 * @file: that the rule is from, for messages with its lines; NULL: it is from none
 * Return: 0; -EINVAL, -E2BIG or -ENOMEM with @e naming the key.
 */
int keys_rules_check(const char *file, const struct json_node *n, struct err *e);

#endif
