/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presets. What they allow stands in the built-in layer: any denial wins over it. "balanced" is what package managers, git hosts and toolchains
 * need: exact names wherever the host is known, because a wildcard also covers what somebody else may put below. Most of these hosts take uploads,
 * too: a preset keeps mistakes and unknown hosts out, it does not keep a secret in.
 */
#include <errno.h>
#include <string.h>

#include "net.h"

struct host {
	const char *name; /* "*.NAME": below it */
	uint16_t port;
};

static const struct host balanced[] = {
	/* JavaScript */
	{ "registry.npmjs.org", 0 },
	{ "registry.yarnpkg.com", 0 },
	{ "repo.yarnpkg.com", 0 },
	{ "nodejs.org", 0 },
	{ "npm.jsr.io", 0 },
	{ "jsr.io", 0 },
	{ "deno.land", 0 },
	{ "dl.deno.land", 0 },
	/* Python */
	{ "pypi.org", 0 },
	{ "files.pythonhosted.org", 0 },
	{ "bootstrap.pypa.io", 0 },
	{ "www.python.org", 0 },
	{ "conda.anaconda.org", 0 },
	{ "repo.anaconda.com", 0 },
	/* Rust */
	{ "crates.io", 0 },
	{ "index.crates.io", 0 },
	{ "static.crates.io", 0 },
	{ "static.rust-lang.org", 0 },
	{ "sh.rustup.rs", 0 },
	/* Go */
	{ "proxy.golang.org", 0 },
	{ "sum.golang.org", 0 },
	{ "go.dev", 0 },
	{ "golang.org", 0 },
	{ "gopkg.in", 0 },
	{ "dl.google.com", 0 },
	/* Java, Kotlin, Scala */
	{ "repo.maven.apache.org", 0 },
	{ "repo1.maven.org", 0 },
	{ "maven.google.com", 0 },
	{ "services.gradle.org", 0 },
	{ "downloads.gradle.org", 0 },
	{ "plugins.gradle.org", 0 },
	{ "plugins-artifacts.gradle.org", 0 },
	/* Ruby, PHP, .NET, Perl, R, Dart, Swift, Haskell, Erlang, OCaml, Julia, Lua, Zig */
	{ "rubygems.org", 0 },
	{ "index.rubygems.org", 0 },
	{ "cache.ruby-lang.org", 0 },
	{ "packagist.org", 0 },
	{ "repo.packagist.org", 0 },
	{ "getcomposer.org", 0 },
	{ "api.nuget.org", 0 },
	{ "www.nuget.org", 0 },
	{ "builds.dotnet.microsoft.com", 0 },
	{ "www.cpan.org", 0 },
	{ "cpan.metacpan.org", 0 },
	{ "fastapi.metacpan.org", 0 },
	{ "cran.r-project.org", 0 },
	{ "cloud.r-project.org", 0 },
	{ "pub.dev", 0 },
	{ "download.swift.org", 0 },
	{ "hackage.haskell.org", 0 },
	{ "downloads.haskell.org", 0 },
	{ "repo.hex.pm", 0 },
	{ "hex.pm", 0 },
	{ "builds.hex.pm", 0 },
	{ "opam.ocaml.org", 0 },
	{ "pkg.julialang.org", 0 },
	{ "julialang-s3.julialang.org", 0 },
	{ "luarocks.org", 0 },
	{ "ziglang.org", 0 },
	/* distributions */
	{ "deb.debian.org", 0 },
	{ "security.debian.org", 0 },
	{ "ftp.debian.org", 0 },
	{ "snapshot.debian.org", 0 },
	{ "archive.ubuntu.com", 0 },
	{ "*.archive.ubuntu.com", 0 },
	{ "security.ubuntu.com", 0 },
	{ "ports.ubuntu.com", 0 },
	{ "ppa.launchpadcontent.net", 0 },
	{ "keyserver.ubuntu.com", 0 },
	{ "dl-cdn.alpinelinux.org", 0 },
	{ "mirrors.fedoraproject.org", 0 },
	{ "dl.fedoraproject.org", 0 },
	{ "geo.mirror.pkgbuild.com", 0 },
	{ "cache.nixos.org", 0 },
	{ "channels.nixos.org", 0 },
	{ "releases.nixos.org", 0 },
	{ "apt.llvm.org", 0 },
	{ "cmake.org", 0 },
	/* git hosts, over ssh, too */
	{ "github.com", 0 },
	{ "github.com", 22 },
	{ "ssh.github.com", 443 },
	{ "api.github.com", 0 },
	{ "codeload.github.com", 0 },
	{ "raw.githubusercontent.com", 0 },
	{ "media.githubusercontent.com", 0 },
	{ "objects.githubusercontent.com", 0 },
	{ "release-assets.githubusercontent.com", 0 },
	{ "gitlab.com", 0 },
	{ "gitlab.com", 22 },
	{ "bitbucket.org", 0 },
	{ "bitbucket.org", 22 },
	{ "api.bitbucket.org", 0 },
	{ "codeberg.org", 0 },
	{ "codeberg.org", 22 },
	{ "git.sr.ht", 0 },
	{ "git.sr.ht", 22 },
	{ "git.kernel.org", 0 },
	{ "go.googlesource.com", 0 },
	/* registries of images */
	{ "registry-1.docker.io", 0 },
	{ "auth.docker.io", 0 },
	{ "index.docker.io", 0 },
	{ "production.cloudflare.docker.com", 0 },
	{ "ghcr.io", 0 },
	{ "pkg-containers.githubusercontent.com", 0 },
	{ "registry.gitlab.com", 0 },
	{ "quay.io", 0 },
	{ "mcr.microsoft.com", 0 },
	{ "registry.k8s.io", 0 },
};

struct preset {
	const char *name, *origin;
	enum net_mode mode;
	const struct host *hosts;
	size_t n;
};

/* What opens less comes first. */
static const struct preset presets[] = {
	{ "closed", "preset closed", NET_MODE_DENY, NULL, 0 },
	{ "balanced", "preset balanced", NET_MODE_DENY, balanced, ARRAY_SIZE(balanced) },
	{ "open-minus-private", "preset open-minus-private", NET_MODE_ALLOW, NULL, 0 },
};

static int add(struct net_policy *p, const struct preset *set, const struct host *h, struct err *e)
{
	bool below = h->name[0] == '*';
	struct net_rule rule = { .allow = true,
				 .what = below ? NET_RULE_SUBDOMAINS : NET_RULE_HOST,
				 .port = h->port,
				 .proto = NET_TCP,
				 .layer = POLICY_BUILTIN,
				 .host = below ? h->name + 2 : h->name,
				 .text = h->name,
				 .origin = set->origin };

	if (h->port)
		rule.text = arena_printf(p->arena, "%s:%u", h->name, h->port);
	if (!rule.text)
		return err_set(e, ERR_SYSTEM, -ENOMEM, "out of memory for rules");
	return net_policy_add(p, &rule, e);
}

int net_policy_preset_rank(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(presets); i++) {
		if (strcmp(presets[i].name, name) == 0)
			return (int)i;
	}
	return -ENOENT;
}

int net_policy_preset(struct net_policy *p, const char *name, struct err *e)
{
	int r = 0, i = net_policy_preset_rank(name);
	size_t k;

	if (i < 0)
		return err_set(e, ERR_USAGE, -ENOENT,
			       "'%.100s': expected closed, balanced or open-minus-private", name);
	for (k = 0; r == 0 && k < presets[i].n; k++)
		r = add(p, &presets[i], &presets[i].hosts[k], e);
	if (r < 0)
		return r;
	p->mode = presets[i].mode;
	p->mode_origin = presets[i].origin;
	return 0;
}
