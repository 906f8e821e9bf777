/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The sandbox's user has one number inside, whatever id of the host stands behind it, and a home that is kept with the sandbox.
 * Where there are ids for it there is a root, too: sudo and su are shown as copies that belong to it, since the host's belong to nobody in here. Files about
 * users are made of the host's, without its people, and shown over them; nothing of that is written on the host.
 */
#include "stay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "egress.h"
#include "life-options.h"
#include "store/store.h"

#define AGENT "agent"
#define AGENT_ID 1000u
#define OTHER_HOME "/run/" AGENT /* where no overlay can make a directory appear */
#define NO_FILTER "--allow-degraded=seccomp"
#define PEOPLE 1000u /* login.defs: UID_MIN of distributions */
#define NOBODY_ID 65534u
#define FILE_MAX (1u << 20)

static const char sudoers[] =
	"Defaults env_reset, !lecture, secure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n"
	/* the way out and its certificates are the same for root */
	"Defaults env_keep += \"*_proxy *_PROXY SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT TZ BAILEY_SANDBOX\"\n"
	"root ALL=(ALL:ALL) ALL\n" AGENT " ALL=(ALL:ALL) NOPASSWD: ALL\n";

static const char apt[] =
	"#!/bin/sh\n"
	"echo \"bailey: ${0##*/} can't install here: this sandbox shows the host's system directories, read-only. A sandbox with its own "
	"(bailey create --template base) is what it needs; this release has no such template yet\" >&2\n"
	"exit 100\n";

void stay_init(struct stay *stay, const char *name, const char *dir, unsigned int block)
{
	*stay = (struct stay){
		.name = name,
		.dir = dir,
		.block = block,
		.agent = { .uid = AGENT_ID, .gid = AGENT_ID, .name = AGENT, .home = STAY_HOME }
	};
}

/* --- ids ------------------------------------------------------------------------------------------------------------------------------ */

/* A directory of the sandbox's own, as root a given id's. */
static int make_dir(const struct sandbox *s, const char *name, mode_t mode, uid_t uid, gid_t gid,
		    struct err *e)
{
	char path[LIMIT_PATH];

	if (snprintf(path, sizeof(path), "%s/%s", s->stay->dir, name) >= (int)sizeof(path))
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "the path of the state is too long");
	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : err_sys(e, -errno, "%s", path);
	return geteuid() == 0 && chown(path, uid, gid) < 0 ? err_sys(e, -errno, "%s", path) : 0;
}

static void say_rootless(struct stay *stay, const char *option)
{
	(void)snprintf(stay->why, sizeof(stay->why),
		       "%s and a root inside don't go together. Mend: create it without", option);
}

/* As it was asked for, if it was: what may be covered there is some user's home alone. */
static int choose_home(const struct sandbox *s, struct err *e)
{
	static const char parent[] = "/home/";
	struct buf quoted = BUF_INIT(LIMIT_PATH);
	struct stay *stay = s->stay;
	const char *name = stay->home;
	int r = 0;

	if (!name && s->allow_degraded & (1u << JAIL_LAYER_OVERLAY))
		name = OTHER_HOME;
	if (!name)
		return 0;
	stay->agent.home = name;
	if (strcmp(name, OTHER_HOME) == 0)
		return 0;
	name += strncmp(name, parent, strlen(parent)) == 0 ? strlen(parent) : 0;
	if (name == stay->agent.home || !store_name_ok(name)) {
		buf_quote(&quoted, stay->home);
		r = err_set(e, ERR_USAGE, -EINVAL,
			    "--home '%.100s': expected " OTHER_HOME
			    ", or /home/NAME, whose name is " STORE_NAME_RULE,
			    quoted.data ? quoted.data : "");
		buf_done(&quoted);
	}
	return r;
}

/* A run's ids: something else than a root inside was asked for. */
static int identify_as_run(struct sandbox *s, const struct jail_user *user, bool single,
			   const char *option, struct err *e)
{
	int r = single ? jail_identity_owner(&s->id, s->workspaces[0], e) :
			 jail_identity_choose(&s->id, user, s->workspaces[0], e);

	say_rootless(s->stay, option);
	if (s->id.mode == JAIL_IDS_BLOCK || s->id.mode == JAIL_IDS_CALLER) {
		s->id.uid = AGENT_ID;
		s->id.gid = AGENT_ID;
	}
	return r;
}

int stay_identify(struct sandbox *s, bool single, struct err *e)
{
	struct stay *stay = s->stay;
	const struct jail_user user = { .uid = stay->agent.uid,
					.gid = stay->agent.gid,
					.block = stay->block,
					.start = s->starts };
	int r;

	r = choose_home(s, e);
	if (r < 0)
		return r;
	if (s->allow_degraded & (1u << JAIL_LAYER_SECCOMP))
		r = identify_as_run(s, &user, single, NO_FILTER, e);
	else if (s->nested || s->strict)
		r = identify_as_run(s, &user, single,
				    s->strict                       ? "--strict-protect" :
				    s->nested == JAIL_NESTED_USERNS ? "--allow-userns" :
								      "--allow-nested-sandbox",
				    e);
	else
		r = jail_identity_stay(&s->id, &user, s->workspaces[0], single, stay->why, e);
	if (r == 0 && single && !*stay->why)
		(void)snprintf(
			stay->why, sizeof(stay->why),
			"a file system of what it shows has no idmapped mounts. Mend: workspaces on ext4, xfs, btrfs or a tmpfs");
	stay->agent.uid = s->id.uid;
	stay->agent.gid = s->id.gid;
	stay->agent.rooted = jail_identity_rooted(&s->id);
	if (r < 0 || !s->starts)
		return r;
	r = set_ids_end(stay->dir, &s->id, e); /* of one that was killed */
	if (r == 0)
		r = make_dir(s, "home", 0700, s->id.host_uid, s->id.host_gid, e);
	if (r == 0 && stay->agent.rooted)
		r = make_dir(s, "root", 0700, s->id.base, s->id.base_gid, e);
	return r;
}

int stay_look(unsigned int block, struct jail_identity *ret, struct err *e)
{
	const struct jail_user user = { .uid = AGENT_ID, .gid = AGENT_ID, .block = block };
	char why[JAIL_WHY];

	*ret = (struct jail_identity){ .lock = -1 };
	return jail_identity_stay(ret, &user, "/", false, why, e);
}

/* Words that ask for something that goes with no root inside. */
static const char *rootless_word(const struct json_node *options)
{
	static const char *const words[] = { "--strict-protect", "--allow-userns",
					     "--allow-nested-sandbox", NO_FILTER };
	const struct json_node *v;
	size_t i;

	for (v = options ? options->first : NULL; v; v = v->next) {
		for (i = 0; i < ARRAY_SIZE(words); i++) {
			if (v->type == JSON_STRING && strcmp(v->text, words[i]) == 0)
				return words[i];
		}
	}
	return NULL;
}

int stay_describe(const struct json_node *node, struct stay *ret, struct err *e)
{
	const struct jail_user user = { .uid = AGENT_ID, .gid = AGENT_ID };
	struct jail_identity id = { .lock = -1 };
	const struct json_node *workspaces = json_member(node, "workspaces");
	const struct json_node *options = json_member(node, "options");
	const char *word = rootless_word(options), *home;
	int r = 0;

	stay_init(ret, NULL, NULL, 0);
	home = options ? life_home(options) : NULL;
	if (home)
		ret->agent.home = home;
	workspaces = workspaces ? workspaces->first : NULL;
	if (word)
		say_rootless(ret, word);
	else if (workspaces && access(workspaces->text, F_OK) == 0)
		r = jail_identity_stay(&id, &user, workspaces->text, false, ret->why, e);
	ret->agent.rooted = jail_identity_rooted(&id);
	jail_identity_done(&id);
	return r;
}

struct forget {
	int dir;
	const char *name;
};

static int forget(void *arg)
{
	const struct forget *f = arg;

	return tree_remove(f->dir, f->name);
}

int stay_forget(int dir, const char *name, const struct jail_identity *id)
{
	struct err e = ERR_INIT;
	int r = jail_within(id, forget, &(struct forget){ .dir = dir, .name = name }, &e);

	/* without those ids: at least what is the caller's */
	return r < 0 ? tree_remove(dir, name) : r;
}

/* --- files about users ---------------------------------------------------------------------------------------------------------------- */

static int plan_text(struct sandbox *s, const char *path, struct buf *b, mode_t mode, struct err *e)
{
	const size_t n = s->plan.n;
	char *text = b->failed ? NULL : arena_alloc(&s->arena, b->len + 1);
	int r;

	if (!text)
		return sandbox_oom(e);
	memcpy(text, b->data ? b->data : "", b->len);
	r = jail_plan_text(&s->plan, &s->policy, &s->host, path, text, b->len, e);
	if (r == 0 && s->plan.n > n)
		s->plan.ops[n].mode = mode;
	return r;
}

/* The number in the third field of @line, which ends at @end. */
static bool third_number(const char *line, const char *end, unsigned long *ret)
{
	const char *p = memchr(line, ':', (size_t)(end - line));
	unsigned long n = 0;

	p = p ? memchr(p + 1, ':', (size_t)(end - p - 1)) : NULL;
	if (!p || ++p == end || *p < '0' || *p > '9')
		return false;
	for (; p < end && *p >= '0' && *p <= '9' && n < UINT32_MAX; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	*ret = n;
	return p < end && *p == ':';
}

/* Of passwd or group: who comes with the system, without the host's people. @shadow: gets a line for each, without a password */
static void add_system(const char *path, const char *own, const char *rest, struct buf *out,
		       struct buf *shadow)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct buf b = BUF_INIT(FILE_MAX);
	const char *line, *end;
	unsigned long id;
	size_t n = strlen(own);

	if (fd >= 0)
		(void)fd_read_all(fd, &b); /* what can't be read has nobody in it */
	for (line = b.data; line && *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (!third_number(line, end, &id) || (id >= PEOPLE && id != NOBODY_ID) ||
		    (strncmp(line, own, n) == 0 && line[n] == ':'))
			continue;
		buf_add(out, line, (size_t)(end - line));
		buf_puts(out, "\n");
		buf_add(shadow, line, strcspn(line, ":"));
		buf_puts(shadow, rest);
	}
	buf_done(&b);
}

static int plan_users(struct sandbox *s, struct err *e)
{
	static const char no_password[] = ":*:19000:0:99999:7:::\n", no_members[] = ":*::\n";
	const struct init_agent *a = &s->stay->agent;
	struct buf users = BUF_INIT(FILE_MAX), groups = BUF_INIT(FILE_MAX),
		   shadow = BUF_INIT(FILE_MAX), gshadow = BUF_INIT(FILE_MAX);
	int r;

	add_system("/etc/passwd", a->name, no_password, &users, &shadow);
	add_system("/etc/group", a->name, no_members, &groups, &gshadow);
	buf_printf(&users, "%s:x:%u:%u::%s:/bin/bash\n", a->name, (unsigned int)a->uid,
		   (unsigned int)a->gid, a->home);
	buf_printf(&groups, "%s:x:%u:\n", a->name, (unsigned int)a->gid);
	buf_printf(&shadow, "%s%s", a->name, no_password);
	buf_printf(&gshadow, "%s%s", a->name, no_members);
	r = plan_text(s, "/etc/passwd", &users, 0644, e);
	if (r == 0)
		r = plan_text(s, "/etc/group", &groups, 0644, e);
	if (r == 0)
		r = plan_text(s, "/etc/shadow", &shadow, 0600, e);
	if (r == 0)
		r = plan_text(s, "/etc/gshadow", &gshadow, 0600, e);
	buf_done(&users);
	buf_done(&groups);
	buf_done(&shadow);
	buf_done(&gshadow);
	return r;
}

static int plan_string(struct sandbox *s, const char *path, mode_t mode, struct err *e,
		       const char *text)
{
	struct buf b = BUF_INIT(FILE_MAX);
	int r;

	buf_puts(&b, text);
	r = plan_text(s, path, &b, mode, e);
	buf_done(&b);
	return r;
}

static int plan_host(struct sandbox *s, struct err *e)
{
	struct buf b = BUF_INIT(FILE_MAX);
	int r;

	buf_printf(&b, "%s\n", s->stay->name);
	r = plan_text(s, "/etc/hostname", &b, 0644, e);
	b.len = 0;
	buf_printf(&b, "%s127.0.1.1 %s\n", egress_hosts, s->stay->name);
	if (r == 0)
		r = plan_text(s, "/etc/hosts", &b, 0644, e);
	buf_done(&b);
	return r;
}

/* --- sudo ----------------------------------------------------------------------------------------------------------------------------- */

/* sudo takes its parts from files of root's alone. */
static int plan_plugins(struct sandbox *s, const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	const struct dirent *f;
	char path[LIMIT_PATH];
	int r = 0;

	while (r == 0 && d && (f = readdir(d))) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, f->d_name) < (int)sizeof(path) &&
		    strstr(f->d_name, ".so"))
			r = jail_plan_program(&s->plan, &s->policy, &s->host, path, 0644, e);
	}
	if (d)
		(void)closedir(d);
	return r;
}

static int plan_sudo(struct sandbox *s, struct err *e)
{
	int r = jail_plan_program(&s->plan, &s->policy, &s->host, "/usr/bin/sudo", 04755, e);

	if (r == 0)
		r = jail_plan_program(&s->plan, &s->policy, &s->host, "/usr/bin/su", 04755, e);
	if (r == 0)
		r = plan_plugins(s, "/usr/libexec/sudo", e);
	if (r == 0)
		r = plan_plugins(s, "/usr/lib/sudo", e);
	if (r == 0)
		r = plan_string(s, "/etc/sudoers", 0440, e, sudoers);
	return r < 0 ? r : plan_string(s, "/etc/sudo.conf", 0644, e, "");
}

/* --- directories of its own ----------------------------------------------------------------------------------------------------------- */

static bool holds_grant(const struct sandbox *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->policy.n; i++) {
		const struct policy_rule *rule = &s->policy.rules[i];

		if (policy_grants(rule->kind) &&
		    (path_covers(path, rule->path) ||
		     (rule->kind == POLICY_ALLOW_WRITE && path_covers(rule->path, path))))
			return true;
	}
	return false;
}

/* Show the kept directory @name at @path. */
static int place(struct sandbox *s, const char *path, const char *name, struct err *e)
{
	const char *from =
		s->stay->dir ? arena_printf(&s->arena, "%s/%s", s->stay->dir, name) : "/";

	return from ? jail_plan_place(&s->plan, &s->policy, &s->host, path, from, e) :
		      sandbox_oom(e);
}

int stay_plan(struct sandbox *s, struct err *e)
{
	const struct init_agent *a = &s->stay->agent;
	int r = 0;

	/* the caller's own home, or a workspace in it, keeps its place */
	if (holds_grant(s, a->home))
		return err_set(
			e, ERR_POLICY, -EEXIST,
			"%s is the home of the sandbox's user, and can hold no workspace or other directory of the host's; move that elsewhere, or use 'bailey run'",
			a->home);
	r = place(s, a->home, "home", e);
	if (r == -ENOENT && s->stay->created && !s->stay->home) {
		*e = (struct err)ERR_INIT;
		s->stay->home = s->stay->agent.home = OTHER_HOME;
		r = place(s, a->home, "home", e);
	}
	if (r == 0 && a->rooted && !holds_grant(s, "/root"))
		r = place(s, "/root", "root", e);
	if (r == 0)
		r = plan_users(s, e);
	if (r == 0)
		r = plan_host(s, e);
	if (r == 0 && a->rooted)
		r = plan_sudo(s, e);
	if (r == 0)
		r = plan_string(s, "/usr/bin/apt", 0555, e, apt);
	return r < 0 ? r : plan_string(s, "/usr/bin/apt-get", 0555, e, apt);
}

/* --- variables ------------------------------------------------------------------------------------------------------------------------ */

bool stay_keeps(const char *entry)
{
	/* not where tools write (CARGO_HOME, XDG_CACHE_HOME, GOPATH …): they find the home */
	static const char *const names[] = {
		"PATH", "LANG", "LANGUAGE", "TZ", "EDITOR", "VISUAL", "PAGER", "LESS", "MANPATH",
		"INFOPATH", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH",
		/* tools */
		"JAVA_HOME", "GOROOT", "NVM_DIR", "NVM_BIN", "VOLTA_HOME", "FNM_DIR", "ASDF_DIR",
		"SDKMAN_DIR", "RUSTUP_HOME", "PYENV_ROOT", "RBENV_ROOT", "DOTNET_ROOT",
		"ANDROID_HOME", "ANDROID_SDK_ROOT",
		/* authorities that the host trusts */
		"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
		"CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO",
		"PIP_CERT", "DENO_CERT"
	};
	const size_t n = strcspn(entry, "=");
	size_t i;

	if (strncmp(entry, "LC_", 3) == 0)
		return entry[n] == '=';
	for (i = 0; entry[n] && i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) == n && memcmp(names[i], entry, n) == 0)
			return true;
	}
	return false;
}
