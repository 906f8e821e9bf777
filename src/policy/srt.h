/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings file of srt (@anthropic-ai/sandbox-runtime, schema of 0.0.83), validated as srt does it: what srt accepts is accepted, what it
 * refuses is refused, with file, line, column and key. Stricter only where two readers could take one text for two things (json.h).
 *  1. srt_settings_read()   text to values
 *  2. srt_glob()            a path pattern of srt in the words of glob.h
 *  3. srt_check_…()         the checks of single strings, for the schema and for tests
 */
#ifndef BAILEY_POLICY_SRT_H
#define BAILEY_POLICY_SRT_H

#include <stdbool.h>
#include <stddef.h>

#include "json.h"

#define SRT_VERSION "0.0.83" /* what these settings, words and defaults are those of */

/* What a gateway will need. Nodes are lists, or objects as the schema has them; NULL: not given. */
struct srt_network {
	const struct json_node *allowed, *denied;
	const struct json_node *denied_reasons; /* object: entry of denied → text */
	const struct json_node *denied_addresses;
	const struct json_node *unix_sockets;
	const struct json_node *strip_response_headers;
	const struct json_node *mitm_proxy;         /* socketPath, domains */
	const struct json_node *parent_proxy;       /* http, https, noProxy */
	const struct json_node *tls_terminate;      /* caCertPath, caKeyPath, excludeDomains, … */
	const struct json_node *refuse_opaque_node; /* where that stands */
	const char *ambiguous_target;           /* "refuse", "asSpelled", "normalize", or NULL */
	long http_proxy_port, socks_proxy_port; /* 0: none */
	bool strict, all_unix_sockets, local_binding, refuse_opaque, require_host_match,
		plaintext_header_set;
};

struct srt_settings {
	struct srt_network network;
	/* lists of strings or {"path", "literal"}; never NULL, but allow_read */
	const struct json_node *deny_read, *allow_read, *allow_write, *deny_write;
	const struct json_node *credential_files, *credential_vars; /* lists or NULL */
	const struct json_node *credentials;
	const struct json_node *safe_directories;
	const struct json_node *ignored; /* of ignoreViolations */
	long search_depth;               /* mandatoryDenySearchDepth */
	bool fs_disabled, allow_git_config, weaker_nested, userns;
};

/** srt_settings_default() - what holds when there is no settings file: all reads, no writes, no network. */
void srt_settings_default(struct srt_settings *s);

/**
 * srt_settings_read() - read and check a whole file.
 * @name: of the file, for messages
 * @text: @len bytes, and a NUL behind them that does not count
 * @ret: nodes are owned by @a
 * Return: 0, or negative errno with @e saying file, line, column, key and what was expected.
 */
int srt_settings_read(struct srt_settings *ret, const char *name, const char *text, size_t len,
		      struct arena *a, struct err *e);

/** srt_node() - the member @key of an object. Return: NULL when @object is NULL, or has none. */
const struct json_node *srt_node(const struct json_node *object, const char *key);

/** srt_path_entry() - the path of an entry of a list of paths. @ret_literal: no character of it is special. */
const char *srt_path_entry(const struct json_node *entry, bool *ret_literal);

/** srt_glob_special() - whether srt takes @path for a pattern. */
bool srt_glob_special(const char *path);

#define SRT_GLOBS 2 /* patterns that one pattern of srt becomes, at most */

/**
 * srt_glob() - @pattern in the words of glob.h. `**` beside other characters crosses directories there, so one pattern can become two.
 * Return: how many of @ret are set; -EINVAL when it can't be said; -ENOMEM.
 */
int srt_glob(const char *pattern, struct arena *a, const char *ret[SRT_GLOBS]);

/* Each returns NULL, or what is wrong with the text. */
const char *srt_check_domain(const char *text);         /* host, *.host or IP address */
const char *srt_check_allowed_domain(const char *text); /* that, [IPv6], and a port */
const char *srt_check_denied_domain(const char *text);  /* that, and "*" */
const char *srt_check_address(const char *text);        /* IP address or CIDR range */
const char *srt_check_url(const char *text);            /* what new URL() takes */
const char *srt_check_regex(const char *text); /* a JavaScript expression with a capturing group */
const char *srt_check_variable(const char *text);
const char *srt_check_uuid(const char *text);
const char *srt_check_mach(const char *text);

#define SRT_NET_TEXT 320u
/**
 * srt_net_host(), srt_net_range() - an entry that the checks above accept as the text of a rule of net.h; a zone does not count.
 * @out: SRT_NET_TEXT bytes
 * Return: 0; -EINVAL when it is no such entry, or too long. The rule can still be none: hosts are stricter here.
 */
int srt_net_host(const char *entry, char *out);
int srt_net_range(const char *entry, char *out);

/** srt_net_reason() - @text as the reason of a rule: one line without what terminals obey, cut where it is too long. @out: LIMIT_NET_REASON + 1 bytes */
void srt_net_reason(const char *text, char *out);

#define SRT_JWT_MAX 16384u

struct srt_span {
	size_t start, end;
};

/**
 * srt_extract() - group 1 of each match of @pattern, which srt_check_regex() accepts; empty ones are left out.
 * Return: how many of @spans are set; -EOPNOTSUPP: the expression looks around, refers to a group, or names what is not ASCII; -ENODATA: a match without the group; -E2BIG, -ENOMEM.
 */
int srt_extract(const char *pattern, const char *text, size_t len, struct srt_span *spans,
		size_t max);

/** srt_is_jwt() - whether that is a JSON Web Token. @a: for what it holds */
bool srt_is_jwt(const char *p, size_t n, struct arena *a);

/** srt_jwt_payload() - the payload of what srt_is_jwt() accepts, of @a. Return: NULL: it is no object. */
const struct json_node *srt_jwt_payload(const char *p, size_t n, struct arena *a);

/** srt_jwt_set() - the text of the claim @name from now on. Return: whether there is such a text. */
bool srt_jwt_set(const struct json_node *payload, const char *name, const char *text);

/** srt_jwt_join() - append the token @p of @n bytes with @payload instead of its own; its signature is none. */
void srt_jwt_join(const char *p, size_t n, const struct json_node *payload, struct buf *b);

/** srt_fake_jwt() - append what looks like one, with @sentinel (letters, digits and '-') in it, and is never valid. */
void srt_fake_jwt(const char *sentinel, struct buf *b);

/** srt_domain_covers() - whether every host that @pattern can be is one of @entry (a port in it does not count). */
bool srt_domain_covers(const char *entry, const char *pattern);

#endif
