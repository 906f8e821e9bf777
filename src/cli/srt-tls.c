/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsTerminate of srt's settings, and what they say about requests: bailey-keys ends TLS for every host but those of excludeDomains (docs/adr/0021), and puts in what
 * is masked. What they ask for and can't be had is an error where it would otherwise pass unseen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "srt.h"

#define TUNNELS 256 /* of srt, when it isn't told, and the next */
#define HANDSHAKE_MS 10000
#define ROOTS_MAX (1u << 20)

static bool filled(const struct json_node *list)
{
	return list && list->first;
}

static int bad(const struct srt *s, const struct json_node *at, const char *key, const char *why,
	       struct err *e)
{
	return err_set(e, ERR_POLICY, -EOPNOTSUPP, "%s:%u:%u: network.%s: %s", s->source.path,
		       at->line, at->column, key, why);
}

/* Whether TLS is ended. */
bool srt_ends_tls(const struct srt *s)
{
	const struct srt_network *n = &s->settings.network;

	return n->tls_terminate && srt_has_network(s) && !n->http_proxy_port &&
	       !n->socks_proxy_port;
}

/* What must not pass unseen, where nobody looks. */
static int check(const struct srt *s, struct err *e)
{
	static const char why[] =
		"it needs network.tlsTerminate, and no proxy in the place of bailey's: nobody could keep it";
	const struct srt_network *n = &s->settings.network;
	const struct json_node *strip = n->strip_response_headers;

	if (!srt_ends_tls(s) && n->refuse_opaque)
		return bad(s, n->refuse_opaque_node, "refuseOpaqueTunnels", why, e);
	if (!srt_ends_tls(s) && filled(strip))
		return bad(s, strip, "stripResponseHeaders", why, e);
	if (srt_ends_tls(s) && n->mitm_proxy)
		return bad(s, n->mitm_proxy, "mitmProxy", "it can't be used beside tlsTerminate",
			   e);
	return 0;
}

int srt_tls_update(struct srt *s, const struct srt *start, struct err *e)
{
	const struct json_node *old = srt_node(start->settings.network.tls_terminate,
					       "excludeDomains"),
			       *now = srt_node(s->settings.network.tls_terminate, "excludeDomains"),
			       *k, *m;
	int r = 0;

	if (!srt_ends_tls(start))
		return 0;
	if (s->settings.network.mitm_proxy)
		return bad(s, s->settings.network.mitm_proxy, "mitmProxy",
			   "it can't be used beside tlsTerminate", e);
	for (k = old ? old->first : NULL; r == 0 && k; k = k->next) {
		for (m = now ? now->first : NULL; m && strcmp(m->text, k->text) != 0; m = m->next)
			;
		if (!m)
			r = srt_network_deny(
				s, k, "excludeDomains has it no more: start the run again", e);
	}
	return r;
}

static int value(struct srt *s, struct opt_list *list, const char *option,
		 const struct json_node *at, const char *text, bool literal, struct err *e)
{
	struct opt_value v = { .opt = opt_find(s->options->table, option),
			       .source = &s->source,
			       .line = at->line,
			       .column = at->column,
			       .literal = literal };

	v.value = arena_strdup(s->arena, text);
	return v.value && opt_list_add(list, &v) == 0 ? 0 : sandbox_oom(e);
}

/* What is left alone. With refuseOpaqueTunnels it is denied instead (srt_network()). */
static int excluded(struct srt *s, struct err *e)
{
	const struct srt_network *n = &s->settings.network;
	const struct json_node *list = srt_node(n->tls_terminate, "excludeDomains"), *k;
	char text[SRT_NET_TEXT];
	struct net_rule rule;
	struct err own = ERR_INIT;
	int r = 0;

	for (k = list && !n->refuse_opaque ? list->first : NULL; r == 0 && k; k = k->next) {
		if (srt_net_host(k->text, text) < 0 ||
		    net_rule_parse(&rule, text, false, false, true, POLICY_COMMAND, "", NULL,
				   s->arena, &own) < 0) {
			srt_debug(s, "Skipping excludeDomains entry %s: no host can have that name",
				  k->text);
			continue;
		}
		r = value(s, &s->options->net, "bypass", k, text, false, e);
	}
	return r;
}

/* Append the certificates of @path, and nothing else that is in it. What can't be read is passed over, as srt does: it is trusted less. */
static void add_roots(const struct srt *s, const char *path, struct buf *b)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----",
			  end[] = "-----END CERTIFICATE-----";
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct buf file = BUF_INIT(ROOTS_MAX);
	const char *p, *q;
	struct stat st;
	size_t n = 0;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd_read_all(fd, &file) == 0)
		buf_add(&file, "", 0);
	for (p = file.failed ? NULL : file.data; p && (p = strstr(p, begin)); p = q, n++) {
		q = strstr(p, end);
		if (!q)
			break;
		q += strlen(end);
		buf_add(b, p, (size_t)(q - p));
		buf_puts(b, "\n");
	}
	if (!n)
		srt_debug(s, "extraCaCertPaths: no certificate in %s: passed over", path);
	/* a key may stand beside the certificates */
	if (file.data)
		explicit_bzero(file.data, file.size);
	buf_done(&file);
}

static int authority(struct srt *s, struct sandbox_front *front, struct err *e)
{
	const struct json_node *tls = s->settings.network.tls_terminate,
			       *cert = srt_node(tls, "caCertPath"),
			       *key = srt_node(tls, "caKeyPath"),
			       *extra = srt_node(tls, "extraCaCertPaths"), *k;
	struct buf roots = BUF_INIT(ROOTS_MAX);
	char path[LIMIT_PATH];
	int r = 0;

	if (cert) {
		r = path_normalize(cert->text, s->cwd, s->home, path, e);
		front->ca_certificate = r == 0 ? arena_strdup(s->arena, path) : NULL;
		if (r == 0)
			r = path_normalize(key->text, s->cwd, s->home, path, e);
		front->ca_key = r == 0 ? arena_strdup(s->arena, path) : NULL;
		if (r < 0)
			return err_wrap(e, r, "%s: network.tlsTerminate", s->source.path);
		if (!front->ca_certificate || !front->ca_key)
			return sandbox_oom(e);
		/* whoever has it can be any host to everybody who trusts the certificate */
		if (access(path, F_OK) == 0)
			r = value(s, &s->options->files, "deny-read", key, path, true, e);
	}
	for (k = extra ? extra->first : NULL; r == 0 && k; k = k->next) {
		if (path_normalize(k->text, s->cwd, s->home, path, NULL) == 0)
			add_roots(s, path, &roots);
	}
	if (r == 0 && roots.len) {
		front->roots = roots.failed ? NULL : arena_strdup(s->arena, roots.data);
		r = front->roots ? 0 : sandbox_oom(e);
	}
	buf_done(&roots);
	return r;
}

int srt_tls(struct srt *s, struct sandbox_front *front, struct err *e)
{
	const struct srt_network *n = &s->settings.network;
	const struct json_node *most = srt_node(n->tls_terminate, "maxTunnels"),
			       *ms = srt_node(n->tls_terminate, "handshakeTimeoutMs");
	int r;

	front->secrets = s->masks.arena.fixed;
	front->n_secrets = front->secrets ? s->masks.arena.max : 0;
	front->texts = s->masks.texts;
	front->n_texts = s->masks.n_texts;
	if (!srt_has_network(s))
		return 0;
	r = check(s, e);
	if (r < 0)
		return r;
	if (!srt_ends_tls(s)) {
		if (n->tls_terminate)
			srt_say("bailey: srt: tlsTerminate has no effect beside httpProxyPort and socksProxyPort");
		if (s->masks.n)
			srt_say("bailey: srt: what is masked is put in nowhere: TLS is not ended, and plain text gets no credential");
		return 0;
	}
	front->inspect_all = true;
	front->opaque = !n->refuse_opaque;
	front->tunnels = most ? (size_t)strtod(most->text, NULL) : TUNNELS;
	front->handshake_ms = ms ? (unsigned int)strtod(ms->text, NULL) : HANDSHAKE_MS;
	front->strip = n->strip_response_headers;
	front->masks = s->masks.v;
	front->n_masks = s->masks.n;
	front->pairs = s->masks.pairs;
	r = excluded(s, e);
	return r == 0 ? authority(s, front, e) : r;
}
