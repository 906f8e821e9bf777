/* SPDX-License-Identifier: Apache-2.0 */
/* Which variables of a git configuration make git run something, or read more of such variables: git-config(1) and the pages it names. */
#include <string.h>
#include <strings.h>

#include "git.h"

enum when {
	ALWAYS,
	NOT_BOOLEAN, /* true and false choose what git has itself */
	COMMAND,     /* a value that begins with '!' */
	TRANSPORT,   /* a value that names a transport which runs a program */
};

static const struct {
	const char *name; /* as git_config_is() takes it */
	enum when when;
} table[] = {
	{ "include.path", ALWAYS },
	{ "includeif.*.path", ALWAYS },
	{ "alias.*", ALWAYS }, /* also without '!': an alias may hold -c VARIABLE */
	{ "core.fsmonitor", NOT_BOOLEAN },
	{ "core.hookspath", ALWAYS },
	{ "core.sshcommand", ALWAYS },
	{ "core.gitproxy", ALWAYS },
	{ "core.pager", ALWAYS },
	{ "core.editor", ALWAYS },
	{ "core.askpass", ALWAYS },
	{ "core.alternaterefscommand", ALWAYS },
	{ "core.attributesfile", ALWAYS },
	{ "sequence.editor", ALWAYS },
	{ "pager.*", NOT_BOOLEAN },
	{ "interactive.difffilter", ALWAYS },
	{ "filter.*.clean", ALWAYS },
	{ "filter.*.smudge", ALWAYS },
	{ "filter.*.process", ALWAYS },
	{ "diff.external", ALWAYS },
	{ "diff.*.command", ALWAYS },
	{ "diff.*.textconv", ALWAYS },
	{ "merge.*.driver", ALWAYS },
	{ "mergetool.*", NOT_BOOLEAN },
	{ "difftool.*", NOT_BOOLEAN },
	{ "guitool.*", NOT_BOOLEAN },
	{ "gpg.program", ALWAYS },
	{ "gpg.*.program", ALWAYS },
	{ "gpg.ssh.defaultkeycommand", ALWAYS },
	{ "credential.helper", ALWAYS },
	{ "credential.*.helper", ALWAYS },
	{ "init.templatedir", ALWAYS },
	{ "remote.*.uploadpack", ALWAYS },
	{ "remote.*.receivepack", ALWAYS },
	{ "remote.*.vcs", ALWAYS },
	{ "remote.*.url", TRANSPORT },
	{ "remote.*.pushurl", TRANSPORT },
	{ "url.*", ALWAYS }, /* rewrites what every remote is */
	{ "protocol.*", ALWAYS },
	{ "submodule.*.update", COMMAND },
	{ "submodule.*.url", TRANSPORT },
	{ "uploadpack.packobjectshook", ALWAYS },
	{ "uploadarchive.*", NOT_BOOLEAN },
	{ "gc.recentobjectshook", ALWAYS },
	{ "hook.*", ALWAYS },
	{ "trailer.*.command", ALWAYS },
	{ "trailer.*.cmd", ALWAYS },
	{ "tar.*.command", ALWAYS },
	{ "sendemail.*", ALWAYS },
	{ "imap.tunnel", ALWAYS },
	{ "man.*", ALWAYS },
	{ "browser.*", ALWAYS },
	{ "web.browser", ALWAYS },
	{ "instaweb.*", ALWAYS },
	{ "lfs.customtransfer.*", ALWAYS },
	{ "lfs.extension.*", ALWAYS },
	{ "lfs.standalonetransferagent", ALWAYS },
	{ "lfs.*.standalonetransferagent", ALWAYS },
};

static bool boolean(const char *value)
{
	static const char *const words[] = {
		"", "true", "false", "yes", "no", "on", "off", "0", "1"
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(words[i], value) == 0)
			return true;
	}
	return false;
}

/* "ext::COMMAND", "fd::N", "HELPER::…": gitremote-helpers(7). */
static bool transport(const char *value)
{
	const char *colons = strstr(value, "::");

	return colons && strcspn(value, "/@") > (size_t)(colons - value);
}

const char *git_config_executes(const struct git_config *c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (!git_config_is(c, table[i].name))
			continue;
		switch (table[i].when) {
		case NOT_BOOLEAN:
			if (boolean(c->value))
				continue;
			break;
		case COMMAND:
			if (c->value[0] != '!')
				continue;
			break;
		case TRANSPORT:
			if (!transport(c->value))
				continue;
			break;
		case ALWAYS:
			break;
		}
		return c->name;
	}
	return NULL;
}
