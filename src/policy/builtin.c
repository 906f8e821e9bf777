/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native built-in rules. Each can be lifted by a rule of the same path (or below it) from a layer above: `--allow-read ~/.npmrc`.
 * What is listed holds credentials or records of what the user typed; tool directories (nvm, cargo, pyenv, go …) are not.
 */
#include "policy.h"

#include <stdio.h>
#include <string.h>

struct builtin {
	const char *path;
	const char *what;
};

/* Below the home directory; hidden. */
static const struct builtin home_hidden[] = {
	{ ".config/bailey", "bailey's own policy" },
	{ ".local/state/bailey", "bailey's own state" },
	{ ".ssh", "SSH keys" },
	{ ".gnupg", "GnuPG keys" },
	{ ".aws", "AWS credentials" },
	{ ".azure", "Azure credentials" },
	{ ".config/gcloud", "Google Cloud credentials" },
	{ ".boto", "Google Cloud credentials" },
	{ ".s3cfg", "S3 credentials" },
	{ ".oci", "Oracle Cloud credentials" },
	{ ".config/doctl", "DigitalOcean credentials" },
	{ ".fly", "Fly.io credentials" },
	{ ".config/heroku", "Heroku credentials" },
	{ ".wrangler", "Cloudflare credentials" },
	{ ".config/.wrangler", "Cloudflare credentials" },
	{ ".local/share/com.vercel.cli", "Vercel credentials" },
	{ ".config/netlify", "Netlify credentials" },
	{ ".terraform.d", "Terraform credentials" },
	{ ".config/rclone", "rclone credentials" },
	{ ".kube", "Kubernetes credentials" },
	{ ".docker", "Docker credentials" },
	{ ".config/containers/auth.json", "container registry credentials" },
	{ ".vault-token", "Vault token" },
	{ ".netrc", "network credentials" },
	{ ".git-credentials", "git credentials" },
	{ ".config/git/credentials", "git credentials" },
	{ ".config/gh", "GitHub CLI credentials" },
	{ ".config/glab-cli", "GitLab CLI credentials" },
	{ ".config/hub", "GitHub CLI credentials" },
	{ ".npmrc", "npm tokens" },
	{ ".yarnrc.yml", "yarn tokens" },
	{ ".pypirc", "PyPI tokens" },
	{ ".config/pip", "pip index credentials" },
	{ ".cargo/credentials", "crates tokens" },
	{ ".cargo/credentials.toml", "crates tokens" },
	{ ".gem/credentials", "RubyGems tokens" },
	{ ".m2/settings.xml", "Maven credentials" },
	{ ".gradle/gradle.properties", "Gradle credentials" },
	{ ".pgpass", "PostgreSQL passwords" },
	{ ".my.cnf", "MySQL passwords" },
	{ ".mylogin.cnf", "MySQL passwords" },
	{ ".password-store", "password store" },
	{ ".config/op", "1Password" },
	{ ".config/sops", "sops keys" },
	{ ".local/share/keyrings", "desktop keyring" },
	{ ".local/share/kwalletd", "desktop keyring" },
	{ ".pki", "certificate store" },
	{ ".Xauthority", "X11 cookie" },
	{ ".ICEauthority", "session cookie" },
	{ ".mozilla", "browser profile" },
	{ ".thunderbird", "mail profile" },
	{ ".config/google-chrome", "browser profile" },
	{ ".config/chromium", "browser profile" },
	{ ".config/BraveSoftware", "browser profile" },
	{ ".config/microsoft-edge", "browser profile" },
	{ ".var/app", "desktop applications' data" },
	{ "snap", "desktop applications' data" },
	{ ".claude/.credentials.json", "Claude Code credentials" },
	{ ".codex/auth.json", "Codex credentials" },
	{ ".gemini/oauth_creds.json", "Gemini credentials" },
	{ ".bash_history", "shell history" },
	{ ".zsh_history", "shell history" },
	{ ".local/share/fish/fish_history", "shell history" },
	{ ".history", "shell history" },
	{ ".python_history", "shell history" },
	{ ".node_repl_history", "shell history" },
	{ ".psql_history", "shell history" },
	{ ".mysql_history", "shell history" },
	{ ".sqlite_history", "shell history" },
	{ ".lesshst", "shell history" },
	{ ".viminfo", "editor history" },
};

/* Empty, writable, gone with the run. */
static const struct builtin private_dirs[] = {
	{ "/tmp", "private temporary files" },
	{ "/var/tmp", "private temporary files" },
	{ "/run", "private run-time files; services' sockets are there" },
};

/* Denied when the command runs as the host's uid 0: file modes don't protect them from it. */
static const struct builtin root_denied[] = {
	{ "/etc/shadow", "password hashes" },
	{ "/etc/shadow-", "password hashes" },
	{ "/etc/gshadow", "password hashes" },
	{ "/etc/gshadow-", "password hashes" },
	{ "/etc/sudoers", "privilege rules" },
	{ "/etc/sudoers.d", "privilege rules" },
	{ "/etc/ssh/ssh_host_rsa_key", "host key" },
	{ "/etc/ssh/ssh_host_ecdsa_key", "host key" },
	{ "/etc/ssh/ssh_host_ed25519_key", "host key" },
	{ "/etc/ssl/private", "host keys" },
	{ "/etc/krb5.keytab", "host key" },
	{ "/etc/wireguard", "VPN keys" },
	{ "/etc/NetworkManager/system-connections", "network passwords" },
	{ "/etc/machine-id", "host identity" },
	{ "/boot", "kernel and boot files" },
	{ "/lost+found", "file system" },
	{ "/sys/firmware", "firmware" },
	{ "/sys/kernel/debug", "kernel debugging" },
	{ "/sys/kernel/tracing", "kernel tracing" },
	{ "/sys/kernel/security", "security modules" },
	{ "/proc/kcore", "kernel memory" },
	{ "/proc/kallsyms", "kernel addresses" },
	{ "/proc/kmsg", "kernel log" },
	{ "/proc/keys", "kernel keyrings" },
	{ "/proc/timer_list", "kernel state" },
	{ "/proc/sched_debug", "kernel state" },
	{ "/proc/scsi", "devices" },
	{ "/proc/acpi", "devices" },
};

static int add_table(struct policy *p, const struct builtin *t, size_t n, enum policy_kind kind,
		     const char *base, struct err *e)
{
	char path[LIMIT_PATH], origin[128];
	size_t i;
	int r;

	if (strlen(base) >= sizeof(path) - 128)
		return 0; /* such a home can't exist: PATH_MAX */
	for (i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s%s%s", base, *base ? "/" : "", t[i].path);
		(void)snprintf(origin, sizeof(origin), "built-in: %s", t[i].what);
		r = policy_add(p, kind, POLICY_BUILTIN, path, origin, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int policy_builtin(struct policy *p, const struct policy_caller *c, struct err *e)
{
	int r;

	r = add_table(p, private_dirs, ARRAY_SIZE(private_dirs), POLICY_PRIVATE, "", e);
	if (r == 0 && c->runtime_dir && c->runtime_dir[1] && !path_covers("/run", c->runtime_dir) &&
	    !path_covers("/tmp", c->runtime_dir))
		r = policy_add(p, POLICY_PRIVATE, POLICY_BUILTIN, c->runtime_dir,
			       "built-in: $XDG_RUNTIME_DIR, services' sockets are there", e);
	if (r == 0 && c->state_dir)
		r = policy_add(p, POLICY_HIDE, POLICY_BUILTIN, c->state_dir, "built-in: bailey's own state", e);
	if (r == 0 && c->home && c->home[1])
		r = add_table(p, home_hidden, ARRAY_SIZE(home_hidden), POLICY_HIDE, c->home, e);
	if (r == 0 && c->host_root)
		r = add_table(p, root_denied, ARRAY_SIZE(root_denied), POLICY_DENY_READ, "", e);
	return r;
}
