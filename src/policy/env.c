/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the caller's variables are secrets. A sandbox that reads no key file must not be handed the key in its environment. */
#include "policy.h"

#include <string.h>

enum env_match { ENV_EXACT, ENV_PREFIX, ENV_SUFFIX, ENV_PART };

static const struct {
	enum env_match how;
	const char *text;
	const char *what;
} names[] = {
	{ ENV_EXACT, "SSH_AUTH_SOCK", "SSH agent" },
	{ ENV_EXACT, "SSH_AGENT_PID", "SSH agent" },
	{ ENV_EXACT, "GPG_AGENT_INFO", "GnuPG agent" },
	{ ENV_EXACT, "DBUS_SESSION_BUS_ADDRESS", "session bus" },
	{ ENV_EXACT, "XAUTHORITY", "X11 cookie" },
	{ ENV_EXACT, "DOCKER_HOST", "container engine" },
	{ ENV_EXACT, "KUBECONFIG", "Kubernetes credentials" },
	{ ENV_EXACT, "DATABASE_URL", "credentials in a URL" },
	{ ENV_EXACT, "PGPASSWORD", "password" },
	{ ENV_EXACT, "MYSQL_PWD", "password" },
	{ ENV_EXACT, "NETRC", "network credentials" },
	{ ENV_PREFIX, "AWS_ACCESS_KEY", "AWS credentials" },
	{ ENV_PREFIX, "AWS_SE", "AWS credentials" }, /* SECRET_…, SESSION_TOKEN, SECURITY_TOKEN */
	{ ENV_PREFIX, "AWS_CONTAINER_", "AWS credentials" },
	{ ENV_PREFIX, "AWS_WEB_IDENTITY", "AWS credentials" },
	{ ENV_EXACT, "AWS_PROFILE", "AWS credentials" },
	{ ENV_EXACT, "AWS_SHARED_CREDENTIALS_FILE", "AWS credentials" },
	{ ENV_PREFIX, "AZURE_CLIENT_", "Azure credentials" },
	{ ENV_PREFIX, "GOOGLE_APPLICATION_CREDENTIALS", "Google Cloud credentials" },
	{ ENV_PREFIX, "BAILEY_", "bailey's own" },
	{ ENV_SUFFIX, "_PAT", "token" },
	{ ENV_SUFFIX, "_DSN", "credentials in a URL" },
	{ ENV_SUFFIX, "_KEY", "key" },
	{ ENV_SUFFIX, "_KEYS", "keys" },
	{ ENV_SUFFIX, "_KEY_ID", "key" },
	{ ENV_SUFFIX, "_PASS", "password" },
	{ ENV_SUFFIX, "_PWD", "password" },
	{ ENV_SUFFIX, "_AUTH", "credentials" },
	{ ENV_SUFFIX, "_CREDS", "credentials" },
	{ ENV_SUFFIX, "_COOKIE", "session cookie" },
	{ ENV_PART, "TOKEN", "token" },
	{ ENV_PART, "SECRET", "secret" },
	{ ENV_PART, "PASSWORD", "password" },
	{ ENV_PART, "PASSWD", "password" },
	{ ENV_PART, "PASSPHRASE", "password" },
	{ ENV_PART, "CREDENTIAL", "credentials" },
	{ ENV_PART, "APIKEY", "key" },
	{ ENV_PART, "API_KEY", "key" },
	{ ENV_PART, "ACCESS_KEY", "key" },
	{ ENV_PART, "PRIVATE_KEY", "key" },
};

/* Values that say themselves what they are. */
static const struct {
	const char *prefix;
	const char *what;
} values[] = {
	{ "sk-", "API key" },         { "ghp_", "GitHub token" }, { "gho_", "GitHub token" },
	{ "ghs_", "GitHub token" },   { "ghu_", "GitHub token" }, { "github_pat_", "GitHub token" },
	{ "glpat-", "GitLab token" }, { "xoxb-", "Slack token" }, { "xoxp-", "Slack token" },
	{ "AKIA", "AWS key" },        { "ASIA", "AWS key" },      { "AIza", "Google key" },
	{ "npm_", "npm token" },      { "pypi-", "PyPI token" },  { "hf_", "Hugging Face token" },
	{ "ya29.", "Google token" },  { "-----BEGIN ", "key" },
};

static bool name_matches(enum env_match how, const char *upper, size_t n, const char *text)
{
	size_t t = strlen(text);

	switch (how) {
	case ENV_EXACT:
		return n == t && memcmp(upper, text, t) == 0;
	case ENV_PREFIX:
		return n >= t && memcmp(upper, text, t) == 0;
	case ENV_SUFFIX:
		return n >= t && memcmp(upper + n - t, text, t) == 0;
	case ENV_PART:
		break;
	}
	for (; n >= t; upper++, n--) {
		if (upper[0] == text[0] && memcmp(upper, text, t) == 0)
			return true;
	}
	return false;
}

static bool token(const char *v)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		if (strncmp(v, values[i].prefix, strlen(values[i].prefix)) == 0)
			return true;
	}
	return false;
}

/* scheme://user:password@host or scheme://token@host, anywhere in the value: some variables hold several URLs */
static bool url_with_password(const char *v)
{
	const char *p = v, *at, *colon, *end;

	while ((p = strstr(p, "://"))) {
		p += 3;
		end = p + strcspn(p, "/?# ,");
		at = memchr(p, '@', (size_t)(end - p));
		if (!at)
			continue;
		colon = memchr(p, ':', (size_t)(at - p));
		if ((colon && colon + 1 < at) || token(p))
			return true;
	}
	return false;
}

const char *policy_env_secret(const char *name, const char *value)
{
	char upper[256] = "";
	size_t i, n;

	for (i = 0; name[i]; i++) {
		if (i == sizeof(upper) - 1)
			return "an over-long name"; /* nobody needs it, and it can't be judged */
		upper[i] = name[i];
		if (name[i] >= 'a' && name[i] <= 'z')
			upper[i] = (char)(name[i] - 'a' + 'A');
	}
	upper[i] = '\0';
	n = i;
	if (strncmp(upper, "TOKENIZERS_", 11) == 0)
		return NULL; /* settings of a library */
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (name_matches(names[i].how, upper, n, names[i].text))
			return names[i].what;
	}
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		if (strncmp(value, values[i].prefix, strlen(values[i].prefix)) == 0)
			return values[i].what;
	}
	if (url_with_password(value))
		return "credentials in a URL";
	return NULL;
}
