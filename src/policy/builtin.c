/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native built-in rules. Each can be lifted by a rule of the same path (or below it) from a layer above: `--allow-read ~/.npmrc`.
 * What is listed holds credentials or records of what the user typed; tool directories (nvm, cargo, pyenv, go …) are not.
 */
#include "policy.h"

#include <errno.h>
#include <string.h>

struct builtin {
	const char *path;
	const char *origin;
};

#define B(path, what)                     \
	{                                 \
		(path), "built-in: " what \
	}

#define OWN "built-in: bailey's own "

bool policy_rule_is_own(const struct policy_rule *rule)
{
	return rule->layer == POLICY_BUILTIN && rule->kind == POLICY_HIDE &&
	       strncmp(rule->origin, OWN, sizeof(OWN) - 1) == 0;
}

/* Below the home directory; hidden. */
static const struct builtin home_hidden[] = {
	B(".config/bailey", "bailey's own policy"),
	B(".local/state/bailey", "bailey's own state"),
	B(".ssh", "SSH keys"),
	B(".gnupg", "GnuPG keys"),
	B(".aws", "AWS credentials"),
	B(".azure", "Azure credentials"),
	B(".config/gcloud", "Google Cloud credentials"),
	B(".boto", "Google Cloud credentials"),
	B(".s3cfg", "S3 credentials"),
	B(".oci", "Oracle Cloud credentials"),
	B(".config/doctl", "DigitalOcean credentials"),
	B(".fly", "Fly.io credentials"),
	B(".config/heroku", "Heroku credentials"),
	B(".wrangler", "Cloudflare credentials"),
	B(".config/.wrangler", "Cloudflare credentials"),
	B(".local/share/com.vercel.cli", "Vercel credentials"),
	B(".config/netlify", "Netlify credentials"),
	B(".terraform.d", "Terraform credentials"),
	B(".config/rclone", "rclone credentials"),
	B(".kube", "Kubernetes credentials"),
	B(".docker", "Docker credentials"),
	B(".config/containers/auth.json", "container registry credentials"),
	B(".vault-token", "Vault token"),
	B(".netrc", "network credentials"),
	B(".git-credentials", "git credentials"),
	B(".config/git/credentials", "git credentials"),
	B(".config/gh", "GitHub CLI credentials"),
	B(".config/glab-cli", "GitLab CLI credentials"),
	B(".config/hub", "GitHub CLI credentials"),
	B(".npmrc", "npm tokens"),
	B(".yarnrc.yml", "yarn tokens"),
	B(".pypirc", "PyPI tokens"),
	B(".config/pip", "pip index credentials"),
	B(".cargo/credentials", "crates tokens"),
	B(".cargo/credentials.toml", "crates tokens"),
	B(".gem/credentials", "RubyGems tokens"),
	B(".m2/settings.xml", "Maven credentials"),
	B(".gradle/gradle.properties", "Gradle credentials"),
	B(".pgpass", "PostgreSQL passwords"),
	B(".my.cnf", "MySQL passwords"),
	B(".mylogin.cnf", "MySQL passwords"),
	B(".password-store", "password store"),
	B(".config/op", "1Password"),
	B(".config/sops", "sops keys"),
	B(".local/share/keyrings", "desktop keyring"),
	B(".local/share/kwalletd", "desktop keyring"),
	B(".pki", "certificate store"),
	B(".Xauthority", "X11 cookie"),
	B(".ICEauthority", "session cookie"),
	B(".mozilla", "browser profile"),
	B(".thunderbird", "mail profile"),
	B(".config/google-chrome", "browser profile"),
	B(".config/chromium", "browser profile"),
	B(".config/BraveSoftware", "browser profile"),
	B(".config/microsoft-edge", "browser profile"),
	B(".var/app", "desktop applications' data"),
	B("snap", "desktop applications' data"),
	B(".claude/.credentials.json", "Claude Code credentials"),
	B(".codex/auth.json", "Codex credentials"),
	B(".gemini/oauth_creds.json", "Gemini credentials"),
	B(".bash_history", "shell history"),
	B(".zsh_history", "shell history"),
	B(".local/share/fish/fish_history", "shell history"),
	B(".history", "shell history"),
	B(".python_history", "shell history"),
	B(".node_repl_history", "shell history"),
	B(".psql_history", "shell history"),
	B(".mysql_history", "shell history"),
	B(".sqlite_history", "shell history"),
	B(".lesshst", "shell history"),
	B(".viminfo", "editor history"),
};

/* Empty, writable, gone with the run. */
static const struct builtin private_dirs[] = {
	B("/tmp", "private temporary files"),
	B("/var/tmp", "private temporary files"),
	B("/run", "private run-time files; services' sockets are there"),
};

/* Denied to everybody who can't mount a /proc anew: the kernel shows the caller's keyrings there, whatever namespace asks. */
static const struct builtin proc_denied[] = {
	B("/proc/keys", "kernel keyrings"),
	B("/proc/key-users", "kernel keyrings"),
};

/* Denied when the command runs as the host's uid 0: file modes don't protect them from it. */
static const struct builtin root_denied[] = {
	B("/etc/shadow", "password hashes"),
	B("/etc/shadow-", "password hashes"),
	B("/etc/gshadow", "password hashes"),
	B("/etc/gshadow-", "password hashes"),
	B("/etc/sudoers", "privilege rules"),
	B("/etc/sudoers.d", "privilege rules"),
	B("/etc/ssh/ssh_host_rsa_key", "host key"),
	B("/etc/ssh/ssh_host_ecdsa_key", "host key"),
	B("/etc/ssh/ssh_host_ed25519_key", "host key"),
	B("/etc/ssl/private", "host keys"),
	B("/etc/krb5.keytab", "host key"),
	B("/etc/wireguard", "VPN keys"),
	B("/etc/NetworkManager/system-connections", "network passwords"),
	B("/etc/machine-id", "host identity"),
	B("/boot", "kernel and boot files"),
	B("/lost+found", "file system"),
	B("/sys/firmware", "firmware"),
	B("/sys/kernel/debug", "kernel debugging"),
	B("/sys/kernel/tracing", "kernel tracing"),
	B("/sys/kernel/security", "security modules"),
	B("/proc/kcore", "kernel memory"),
	B("/proc/kallsyms", "kernel addresses"),
	B("/proc/kmsg", "kernel log"),
	B("/proc/timer_list", "kernel state"),
	B("/proc/slabinfo", "kernel state"),
	B("/proc/vmallocinfo", "kernel state"),
	B("/proc/pagetypeinfo", "kernel state"),
	B("/proc/kpagecount", "kernel memory"),
	B("/proc/kpageflags", "kernel memory"),
	B("/proc/kpagecgroup", "kernel memory"),
	B("/proc/sched_debug", "kernel state"),
	B("/proc/scsi", "devices"),
	B("/proc/acpi", "devices"),
};

static int add_table(struct policy *p, const struct builtin *t, size_t n, enum policy_kind kind,
		     const char *base, struct err *e)
{
	size_t i, base_len = strlen(base);
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		const char *path = t[i].path;

		if (base_len) {
			size_t len = strlen(path);
			char *s = arena_alloc(p->arena, base_len + len + 2);

			if (!s)
				return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
			memcpy(s, base, base_len);
			s[base_len] = '/';
			memcpy(s + base_len + 1, path, len + 1);
			path = s;
		}
		r = policy_add_static(p, kind, POLICY_BUILTIN, path, t[i].origin, e);
	}
	return r;
}

static bool is_private(const char *path)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(private_dirs); i++) {
		if (strcmp(private_dirs[i].path, path) == 0)
			return true;
	}
	return false;
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
		r = policy_add(p, POLICY_HIDE, POLICY_BUILTIN, c->state_dir,
			       "built-in: bailey's own state", e);
	if (r == 0 && c->config_dir)
		r = policy_add(p, POLICY_HIDE, POLICY_BUILTIN, c->config_dir,
			       "built-in: bailey's own policy", e);
	/* the home stays visible also where it lies below a private directory; a home that is one itself does not */
	if (r == 0 && c->home && c->home[1] && !is_private(c->home))
		r = policy_add(p, POLICY_ALLOW_READ, POLICY_BUILTIN, c->home,
			       "built-in: the home directory", e);
	if (r == 0 && c->home && c->home[1])
		r = add_table(p, home_hidden, ARRAY_SIZE(home_hidden), POLICY_HIDE, c->home, e);
	if (r == 0 && !c->own_proc)
		r = add_table(p, proc_denied, ARRAY_SIZE(proc_denied), POLICY_DENY_READ, "", e);
	if (r == 0 && c->host_root)
		r = add_table(p, root_denied, ARRAY_SIZE(root_denied), POLICY_DENY_READ, "", e);
	return r;
}
