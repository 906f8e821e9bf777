/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other proxies that srt's settings name, and how refusals are worded.
 *
 * parentProxy, else the caller's variables: the proxy that dials what bailey has judged. httpProxyPort and socksProxyPort: proxies on this machine that
 * judge in bailey's place; mitmProxy: one at a unix socket that is handed what its domains cover. None of them may be lost on the way: what can't be
 * used is an error, never a direct connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "srt.h"

static const struct gateway_style style = {
	.words = {
		[GATEWAY_OTHERWISE] = { .header = "X-Proxy-Error: blocked-by-sandbox-runtime" },
		[GATEWAY_BY_RULE] = { .phrase = "{reason}",
				      .header = "X-Proxy-Error: blocked-by-allowlist",
				      .body = "Connection blocked by network allowlist",
				      .reason = "host is on the deny list" },
		[GATEWAY_NO_RULE] = { .phrase = "{reason}",
				      .header = "X-Proxy-Error: blocked-by-allowlist",
				      .body = "Connection blocked by network allowlist",
				      .reason = "host is not on the allow list" },
		[GATEWAY_ADDRESS] = { .phrase = "{reason}",
				      .header = "X-Proxy-Error: blocked-by-sandbox-runtime",
				      .body = "Connection to {host} blocked: {reason}" },
		[GATEWAY_OWN_ADDRESS] = { .phrase = "{reason}",
					  .header = "X-Proxy-Error: blocked-by-sandbox-runtime",
					  .body = "Connection to {host} blocked: {reason}" },
	},
	.classes = {
		[NET_CLASS_PUBLIC] = "resolved to an address that is not allowed",
		[NET_CLASS_PRIVATE] = "resolved to a private address",
		[NET_CLASS_LOOPBACK] = "resolved to a loopback address",
		[NET_CLASS_LINK_LOCAL] = "resolved to a link-local address",
		[NET_CLASS_METADATA] = "resolved to a cloud metadata address",
		[NET_CLASS_MULTICAST] = "resolved to a multicast address",
		[NET_CLASS_UNSPECIFIED] = "resolved to an unspecified address",
		[NET_CLASS_RESERVED] = "resolved to a reserved address",
	},
	.listed = "resolved to a listed address",
	.own = "resolved to one of this host's addresses",
	.ssh = true,
};

/* The first variable that is there, empty or not. */
static const char *either(const char *upper, const char *lower)
{
	const char *v = getenv(upper);

	return v ? v : getenv(lower);
}

/* One of parentProxy, or of the variables that stand for it. */
static int parent(const struct srt *s, const char *key, const char *upper, const char *lower,
		  struct upstream_proxy *ret, struct err *e)
{
	const struct json_node *v = srt_node(s->settings.network.parent_proxy, key);
	char where[LIMIT_WHERE];

	if (!v)
		return upstream_proxy_parse(ret, upper, either(upper, lower), e);
	(void)snprintf(where, sizeof(where), "%s:%u:%u: network.parentProxy.%s", s->source.path,
		       v->line, v->column, key);
	return upstream_proxy_parse(ret, where, v->text, e);
}

static int parents(struct srt *s, struct err *e)
{
	const struct json_node *no = srt_node(s->settings.network.parent_proxy, "noProxy");
	struct upstream *u = &s->upstream;
	int r = parent(s, "http", "HTTP_PROXY", "http_proxy", &u->http, e);

	if (r == 0)
		r = parent(s, "https", "HTTPS_PROXY", "https_proxy", &u->https, e);
	if (r < 0)
		return r;
	if (!u->https.port)
		u->https = u->http;
	upstream_no_parse(u, no ? no->text : either("NO_PROXY", "no_proxy"));
	return 0;
}

static int bad_domain(const struct srt *s, const struct json_node *k, const char *why,
		      struct err *e)
{
	return err_set(e, ERR_POLICY, -EINVAL, "%s:%u:%u: network.mitmProxy.domains: '%.100s': %s",
		       s->source.path, k->line, k->column, k->text, why);
}

int srt_handed(struct srt *s, struct err *e)
{
	const struct json_node *mitm = s->settings.network.mitm_proxy, *k;
	const struct json_node *list = srt_node(mitm, "domains");
	char text[SRT_NET_TEXT], path[LIMIT_PATH];
	struct err own = ERR_INIT;
	size_t n = 0;

	if (!mitm)
		return 0;
	for (k = list->first; k; k = k->next)
		n++;
	if (n > LIMIT_NET_HANDED)
		return bad_domain(s, list->first, "there are too many", e);
	s->network.handed = arena_alloc(s->arena, (n + 1) * sizeof(*s->network.handed));
	if (!s->network.handed)
		return sandbox_oom(e);
	for (k = list->first; k; k = k->next) {
		/* as of a denial: what is not understood would be dialled past that proxy */
		if (srt_net_host(k->text, text) < 0 ||
		    net_rule_parse(&s->network.handed[s->network.n_handed], text, false, false,
				   true, POLICY_COMMAND, s->source.path, NULL, s->arena, &own) < 0)
			return bad_domain(s, k, *own.msg ? own.msg : "no host can have that name",
					  e);
		s->network.n_handed++;
	}
	if (path_normalize(srt_node(mitm, "socketPath")->text, s->cwd, s->home, path, e) < 0)
		return err_wrap(e, -EINVAL, "%s: network.mitmProxy.socketPath", s->source.path);
	s->network.socket = arena_strdup(s->arena, path);
	return s->network.socket ? 0 : sandbox_oom(e);
}

int srt_routes(struct srt *s, struct sandbox_front *front, struct err *e)
{
	const struct srt_network *n = &s->settings.network;
	int r;

	if (!srt_has_network(s))
		return 0;
	r = parents(s, e);
	if (r == 0)
		r = srt_handed(s, e);
	front->network = s->network;
	front->upstream = &s->upstream;
	front->external_http = (uint16_t)n->http_proxy_port;
	front->external_socks = (uint16_t)n->socks_proxy_port;
	front->style = &style;
	front->settings =
		arena_strdup(s->arena, strcmp(s->source.path, SRT_DEFAULTS) == 0 ?
					       "the settings" :
					       s->source.path); /* it can be a word of argv */
	if (r == 0 && !front->settings)
		r = sandbox_oom(e);
	return r;
}
