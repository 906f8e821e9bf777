/* SPDX-License-Identifier: Apache-2.0 */
/* Rules over several keys of srt's settings: credentials that could never be used, denials that could never match. */
#include <errno.h>
#include <string.h>

#include "srt-read.h"

static size_t count(const struct json_node *v)
{
	return v ? v->n : 0;
}

static const struct json_node *items(const struct json_node *v)
{
	return v ? v->first : NULL;
}

/* A pattern behind which a slash stands matches nothing: as a denial that would be a hole. */
static int check_slash(const struct srt_reader *r, const struct json_node *v, const char *path)
{
	size_t n = strlen(path);

	if (!n || path[n - 1] != '/' || !srt_glob_special(path) ||
	    (path[0] != '/' && path[0] != '~'))
		return 0;
	return srt_bad(
		r, v,
		"'%.100s': a denial that ends with '/' can match no path; write it without the '/', or with \"/**\"",
		path);
}

static int check_slashes(const struct srt_reader *r, const struct json_node *list)
{
	const struct json_node *k;
	int ret = 0;

	for (k = items(list); ret == 0 && k; k = k->next) {
		if (k->type == JSON_STRING)
			ret = check_slash(r, k, k->text);
	}
	return ret;
}

/* Whether some entry of @list covers @pattern. */
static bool covered(const struct json_node *list, const char *pattern)
{
	const struct json_node *k;

	for (k = items(list); k; k = k->next) {
		if (srt_domain_covers(k->text, pattern))
			return true;
	}
	return false;
}

/* The host of an entry without its port, as far as coverage goes: an entry covers itself. */
static bool all_covered(const struct json_node *allowed, const struct json_node *exclude)
{
	const struct json_node *k, *x;
	char host[512];
	size_t n;

	for (k = items(allowed); k; k = k->next) {
		const char *colon = strrchr(k->text, ':');

		n = strlen(k->text);
		if (*k->text == '[')
			return false; /* no excluded pattern has brackets */
		if (colon && strchr(k->text, ':') == colon)
			n = (size_t)(colon - k->text);
		if (n >= sizeof(host))
			return false;
		memcpy(host, k->text, n);
		host[n] = '\0';
		for (x = items(exclude); x && !srt_domain_covers(x->text, host); x = x->next)
			;
		if (!x)
			return false;
	}
	return count(allowed) > 0;
}

static bool is_mask(const struct json_node *entry)
{
	return strcmp(srt_node(entry, "mode")->text, "mask") == 0;
}

static int check_hosts(const struct srt_reader *r, const struct json_node *entry,
		       const struct json_node *network)
{
	const struct json_node *hosts = srt_node(entry, "injectHosts"), *k;
	const struct json_node *allowed = srt_node(network, "allowedDomains");
	const struct json_node *exclude =
		srt_node(srt_node(network, "tlsTerminate"), "excludeDomains");

	for (k = items(hosts); k; k = k->next) {
		if (!covered(allowed, k->text))
			return srt_bad(r, k, "'%.100s' is not in network.allowedDomains", k->text);
	}
	if (!is_mask(entry))
		return 0;
	for (k = items(hosts); count(exclude) && k; k = k->next) {
		if (covered(exclude, k->text))
			return srt_bad(
				r, k,
				"'%.100s' is in network.tlsTerminate.excludeDomains, too: it would never get the credential",
				k->text);
	}
	if (!hosts && count(exclude) && all_covered(allowed, exclude))
		return srt_bad(
			r, entry,
			"network.tlsTerminate.excludeDomains has every allowed domain: no host would ever get the credential");
	if (hosts && hosts->n == 0)
		return srt_bad(r, hosts,
			       "the list is empty: no host would ever get the credential");
	return 0;
}

static int check_claims(const struct srt_reader *r, const struct json_node *entry)
{
	const struct json_node *claims = srt_node(entry, "maskClaims");

	if (claims && !srt_node(entry, "decode"))
		return srt_bad(r, claims, "it needs 'decode', which says what the claims are in");
	if (claims && claims->n == 0)
		return srt_bad(r, claims, "the list is empty: nothing would be masked");
	return 0;
}

static int check_secret(const struct srt_reader *r, const struct json_node *entry,
			const struct json_node *network)
{
	int ret = check_hosts(r, entry, network);

	return ret < 0 ? ret : check_claims(r, entry);
}

static int check_file(const struct srt_reader *r, const struct json_node *entry, bool enforced)
{
	const struct json_node *path = srt_node(entry, "path");
	size_t n = strlen(path->text);

	if (is_mask(entry) && path->text[n - 1] == '/')
		return srt_bad(r, path,
			       "only a single file can be masked; a directory can be denied");
	return enforced && !is_mask(entry) ? check_slash(r, path, path->text) : 0;
}

/* A name in a pair of AWS credentials: of a variable that is masked as a whole, and in no other place. */
static int check_pair_name(const struct srt_reader *r, const struct json_node *name,
			   const struct json_node *pairs, const struct json_node *vars)
{
	const struct json_node *pair, *k;

	for (pair = pairs->first; pair; pair = pair->next) {
		for (k = pair->first; k; k = k->next) {
			if (k == name)
				goto first;
			if (strcmp(k->text, name->text) == 0)
				return srt_bad(r, name, "'%.60s' stands in two places", name->text);
		}
	}
first:
	for (k = items(vars); k && strcmp(srt_node(k, "name")->text, name->text) != 0; k = k->next)
		;
	if (!k || !is_mask(k))
		return srt_bad(r, name, "'%.60s' is no variable of envVars with the mode mask",
			       name->text);
	if (srt_node(k, "extract") || srt_node(k, "decode"))
		return srt_bad(r, name, "'%.60s' has 'extract' or 'decode', but is needed whole",
			       name->text);
	return 0;
}

static int check_pairs(const struct srt_reader *r, const struct json_node *creds)
{
	const struct json_node *pairs = srt_node(creds, "awsPairs"), *pair, *k;
	int ret = 0;

	for (pair = items(pairs); ret == 0 && pair; pair = pair->next) {
		for (k = pair->first; ret == 0 && k; k = k->next)
			ret = check_pair_name(r, k, pairs, srt_node(creds, "envVars"));
	}
	return ret;
}

int srt_refine(const struct srt_reader *r, const struct json_node *root)
{
	const struct json_node *network = srt_node(root, "network"),
			       *fs = srt_node(root, "filesystem"),
			       *creds = srt_node(root, "credentials"),
			       *tls = srt_node(network, "tlsTerminate"),
			       *range = srt_node(srt_node(root, "windows"), "proxyPortRange"), *k;
	const struct json_node *disabled = srt_node(fs, "disabled"),
			       *plain = srt_node(creds, "allowPlaintextInject");
	bool enforced = !disabled || !disabled->value, masked = false;
	int ret = 0;

	if (tls && !srt_node(tls, "caCertPath") != !srt_node(tls, "caKeyPath"))
		return srt_bad(r, tls, "caCertPath and caKeyPath must be given together");
	if (range) {
		double lo = strtod(range->first->text, NULL),
		       hi = strtod(range->first->next->text, NULL);

		if (lo > hi || hi - lo > 64)
			return srt_bad(r, range, "expected LOW, HIGH, at most 64 apart");
	}
	if (enforced)
		ret = check_slashes(r, srt_node(fs, "denyRead"));
	if (ret == 0 && enforced)
		ret = check_slashes(r, srt_node(fs, "denyWrite"));
	for (k = items(srt_node(creds, "envVars")); ret == 0 && k; k = k->next) {
		masked = masked || is_mask(k);
		ret = check_secret(r, k, network);
	}
	for (k = items(srt_node(creds, "files")); ret == 0 && k; k = k->next) {
		masked = masked || is_mask(k);
		ret = check_secret(r, k, network);
		if (ret == 0)
			ret = check_file(r, k, enforced);
	}
	if (ret == 0)
		ret = check_pairs(r, creds);
	if (ret == 0 && masked && !tls && !(plain && plain->value))
		ret = srt_bad(r, creds,
			      "masking needs network.tlsTerminate (or allowPlaintextInject)");
	return ret;
}
