/* SPDX-License-Identifier: Apache-2.0 */
#define TAP_NO_MAIN
#include "tap.h"

#include "policy/policy.h"

static const struct row {
	const char *name, *value;
	bool secret;
	const char *todo;
} rows[] = {
	/* by name */
	{ "GITHUB_TOKEN", "x", true, NULL },
	{ "NPM_TOKEN", "", true, NULL },
	{ "TOKEN", "x", true, NULL },
	{ "MY_TOKEN_FILE", "x", true, NULL },
	{ "github_token", "x", true, NULL },
	{ "ANTHROPIC_API_KEY", "x", true, NULL },
	{ "OPENAI_APIKEY", "x", true, NULL },
	{ "STRIPE_KEY", "x", true, NULL },
	{ "SIGNING_KEYS", "x", true, NULL },
	{ "CLIENT_SECRET", "x", true, NULL },
	{ "secret_base", "x", true, NULL },
	{ "PGPASSWORD", "x", true, NULL },
	{ "MYSQL_PWD", "x", true, NULL },
	{ "DB_PASSWD", "x", true, NULL },
	{ "SMTP_PASS", "x", true, NULL },
	{ "GPG_PASSPHRASE", "x", true, NULL },
	{ "AWS_ACCESS_KEY_ID", "x", true, NULL },
	{ "AWS_SECRET_ACCESS_KEY", "x", true, NULL },
	{ "AWS_SESSION_TOKEN", "x", true, NULL },
	{ "AWS_SECURITY_TOKEN", "x", true, NULL },
	{ "AWS_PROFILE", "x", true, NULL },
	{ "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "x", true, NULL },
	{ "AWS_WEB_IDENTITY_TOKEN_FILE", "x", true, NULL },
	{ "AZURE_CLIENT_ID", "x", true, NULL },
	{ "GOOGLE_APPLICATION_CREDENTIALS", "/x", true, NULL },
	{ "SSH_AUTH_SOCK", "/tmp/x", true, NULL },
	{ "SSH_AGENT_PID", "12", true, NULL },
	{ "GPG_AGENT_INFO", "x", true, NULL },
	{ "DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus", true, NULL },
	{ "XAUTHORITY", "/x", true, NULL },
	{ "DOCKER_HOST", "unix:///x", true, NULL },
	{ "KUBECONFIG", "/x", true, NULL },
	{ "DATABASE_URL", "sqlite:x", true, NULL },
	{ "SENTRY_DSN", "x", true, NULL },
	{ "GH_PAT", "x", true, NULL },
	{ "NPM_CONFIG__AUTH", "x", true, NULL },
	{ "SESSION_COOKIE", "x", true, NULL },
	{ "GCP_CREDS", "x", true, NULL },
	{ "BAILEY_SOMETHING", "x", true, NULL },
	{ "bailey_x", "x", true, NULL },
	/* by value */
	{ "X", "sk-ant-abc", true, NULL },
	{ "X", "ghp_abc", true, NULL },
	{ "X", "github_pat_abc", true, NULL },
	{ "X", "glpat-abc", true, NULL },
	{ "X", "xoxb-1", true, NULL },
	{ "X", "AKIAIOSFODNN7EXAMPLE", true, NULL },
	{ "X", "npm_abc", true, NULL },
	{ "X", "hf_abc", true, NULL },
	{ "X", "-----BEGIN OPENSSH PRIVATE KEY-----\n", true, NULL },
	{ "X", "https://u:p@host/", true, NULL },
	{ "X", "redis://:p@host:6379/0", true, NULL },
	{ "X", "postgres://u:p@ss@host/db", true, NULL },
	{ "HTTPS_PROXY", "http://u:p@proxy:3128", true, NULL },
	{ "PIP_EXTRA_INDEX_URL", "https://a/simple https://u:p@b/simple", true,
	  "only the first URL of a value is looked at" },
	{ "REPO", "https://ghp_abc@github.com/x", true,
	  "a token before the @ of a URL, without a colon" },
	/* may pass */
	{ "PATH", "/usr/bin:/bin", false, NULL },
	{ "HOME", "/home/u", false, NULL },
	{ "PWD", "/w", false, NULL },
	{ "OLDPWD", "/w", false, NULL },
	{ "USER", "u", false, NULL },
	{ "LANG", "C.UTF-8", false, NULL },
	{ "TERM", "xterm-256color", false, NULL },
	{ "SHELL", "/bin/bash", false, NULL },
	{ "EDITOR", "vi", false, NULL },
	{ "DISPLAY", ":0", false, NULL },
	{ "AWS_REGION", "eu-west-1", false, NULL },
	{ "AWS_DEFAULT_REGION", "eu-west-1", false, NULL },
	{ "KEYBOARD", "us", false, NULL },
	{ "MONKEY", "x", false, NULL },
	{ "COMPASS", "x", false, NULL },
	{ "PATTERN", "x", false, NULL },
	{ "AUTHOR", "x", false, NULL },
	{ "NODE_ENV", "test", false, NULL },
	{ "NVM_DIR", "/home/u/.nvm", false, NULL },
	{ "HTTP_PROXY", "http://proxy:3128", false, NULL },
	{ "X", "https://host:8080/a?u:p@h", false, NULL },
	{ "X", "https://host/u:p@h", false, NULL },
	{ "X", "ssh://git@host/x", false, NULL },
	{ "X", "a task-sk-", false, NULL },
	{ "X", "://", false, NULL },
	{ "X", "", false, NULL },
	{ "", "", false, NULL },
};

static void check_row(const void *arg)
{
	const struct row *r = arg;
	const char *what = policy_env_secret(r->name, r->value);

	CHECK(!what == !r->secret);
	CHECK(!what || *what); /* --explain prints it */
}

static void check_long_name(__attribute__((unused)) const void *arg)
{
	char name[400];

	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	CHECK(!policy_env_secret(name, "x"));
	name[255] = 'a';
	name[256] = '\0';
	CHECK(policy_env_secret(name, "x"));
	name[256] = 'a';
	name[399] = '\0';
	CHECK(policy_env_secret(name, "x"));
	memcpy(name + 240, "_TOKEN", 7);
	CHECK(policy_env_secret(name, "x"));
}

int main(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		tap_run(check_row, &rows[i], rows[i].todo, "env: %s %s",
			*rows[i].name ? rows[i].name : "(no name)",
			rows[i].secret ? "is a secret" : "may pass");
	tap_run(check_long_name, NULL, NULL,
		"env: a name that is too long to be judged is a secret");
	return tap_done();
}
