/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "egress.h"
#include "keys.h"
#include "open-urls.h"
#include "sandbox.h"
#include "settings.h"
#include "ssh.h"
#include "stay.h"
#include "volumes.h"

char *sandbox_keep(struct sandbox *s, const char *str)
{
	return arena_strdup(&s->arena, str);
}

/* The command starts where the caller is, when a workspace holds that; else in the first workspace. @gone: it is not there */
static int choose_cwd(struct sandbox *s, const char *cwd, bool gone, struct err *e)
{
	const char *best = s->workspaces[0];
	size_t i;

	for (i = 0; i < s->n_workspaces && !gone; i++) {
		if (path_covers(s->workspaces[i], cwd))
			best = cwd;
	}
	s->cwd = sandbox_keep(s, best);
	return s->cwd ? 0 : sandbox_oom(e);
}

/* What options and files say together. */
static int collect(struct sandbox *s, const struct sandbox_options *o, bool gone, struct err *e)
{
	int r = o->timeout ? sandbox_duration(o->timeout, &s->timeout_ms, e) : 0;

	if (r < 0)
		return err_wrap(e, r, "--timeout");
	r = sandbox_limits(s, o, e);
	if (r == 0)
		r = sandbox_degraded(&o->degraded, &s->allow_degraded, e);
	if (r == 0)
		r = sandbox_paths(s, o, s->base, e);
	return r < 0 ? r : choose_cwd(s, s->base, gone, e);
}

/* Where relative paths begin. */
static int find_base(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	char cwd[LIMIT_PATH];

	if (!o->cwd && (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/'))
		return err_set(e, ERR_USAGE, -ENOENT,
			       "the current directory has no path (was it removed?)");
	s->base = sandbox_keep(s, o->cwd ? o->cwd : cwd);
	return s->base ? 0 : sandbox_oom(e);
}

int sandbox_identify(struct sandbox *s, const struct sandbox_options *o, bool owner, struct err *e)
{
	int r;

	s->id.lock = -1;
	jail_host_init(&s->host, &s->host_ctx, &s->arena, s->mounts);
	policy_init(&s->policy, &s->arena);
	net_policy_init(&s->net, &s->arena);
	r = find_base(s, o, e);
	if (r == 0)
		r = sandbox_tty(s, o, e);
	if (r == 0)
		r = sandbox_report(s, o, e);
	if (r == 0)
		r = sandbox_find_home(s, e);
	if (r == 0)
		r = settings_load(s, o, s->base, e);
	if (r == 0)
		r = sandbox_workspaces(s, o, s->base, e);
	if (r == 0)
		r = settings_projects(s, o, e);
	s->options = o;
	if (r == 0 && s->sources)
		r = settings_merge(s, o, e);
	if (r == 0)
		r = collect(s, s->options, o->cwd != NULL, e);
	if (r == 0)
		r = sandbox_nested(s, o, e);
	if (r == 0)
		r = sandbox_strict(s, o, e);
	if (r == 0)
		r = sandbox_network(s, o, e);
	if (r == 0)
		r = ssh_check(s, e);
	if (r == 0)
		r = s->stay ? stay_identify(s, owner, e) :
		    owner   ? jail_identity_owner(&s->id, s->workspaces[0], e) :
			      jail_identity_choose(&s->id, NULL, s->workspaces[0], e);
	s->limits.nested = s->nested == JAIL_NESTED_SANDBOX;
	s->limits.nested_owner = s->limits.nested && s->id.mode == JAIL_IDS_CALLER;
	s->limits.rooted = jail_identity_rooted(&s->id);
	return r == 0 && s->nested ? jail_identity_nest(&s->id, e) : r;
}

int sandbox_frame(struct sandbox *s, struct err *e)
{
	int r = sandbox_builtins(s, e);

	if (r == 0)
		r = sandbox_protect(s, e);
	if (r == 0 && s->starts)
		r = settings_keep(s, e);
	if (r < 0)
		return r;
	policy_seal(&s->policy);
	sandbox_grants_overruled(s);
	jail_host_for(&s->host, &s->host_ctx, s->id.host_uid,
		      s->id.mode == JAIL_IDS_BLOCK || s->id.mode == JAIL_IDS_KEPT,
		      s->id.mode == JAIL_IDS_KEPT ? s->id.disk_uid : (uid_t)-1);
	s->host.own_files = s->stay;
	s->host.live_sockets = s->options->front && s->options->front->live_sockets;
	r = jail_plan_frame(&s->plan, &s->arena, &s->policy, &s->host, e);
	/* the socket of --open-urls, or bailey itself, may lie where the mounts are staged: both are opened before that */
	if (r == 0 && s->starts && !s->open_urls &&
	    !s->stay) /* whose home makes the host's directory another */
		jail_plan_early(&s->plan, &s->policy);
	return r;
}

/* What comes by the name of @path later is no file with sentinels: it is denied when it is seen. */
static int deny_later(struct sandbox *s, const char *path, struct err *e)
{
	struct guard_pattern *p = arena_alloc(&s->arena, sizeof(*p));
	struct buf b = BUF_INIT(2ul * LIMIT_PATH);
	int r = 0;

	if (!p)
		return sandbox_oom(e);
	policy_glob_escape(&b, path);
	if (b.failed)
		r = sandbox_oom(e);
	else
		r = policy_glob_parse(&p->glob, b.data, "/", s->home, &s->arena, e);
	if (r == 0) {
		p->kind = POLICY_DENY_READ;
		p->layer = POLICY_COMMAND;
		p->next = s->patterns;
		s->patterns = p;
	}
	buf_done(&b);
	return r;
}

/* What a front shows in the place of files. What is hidden stays that. */
static int plan_texts(struct sandbox *s, struct err *e)
{
	const struct sandbox_front *f = s->options->front;
	size_t i;
	int r = 0;

	for (i = 0; f && r == 0 && i < f->n_texts; i++)
		r = jail_plan_text(&s->plan, &s->policy, &s->host, f->texts[i].path,
				   f->texts[i].text, f->texts[i].len, e);
	for (i = 0; f && r == 0 && i < f->n_texts; i++)
		r = deny_later(s, f->texts[i].path, e);
	return r;
}

/* Host names that are written nowhere else: what is none, and what means something already, is left out. */
static bool is_own_name(const char *name)
{
	size_t n = strspn(name, "0123456789-.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return n > 0 && n <= 64 && !name[n] && strcmp(name, "localhost") != 0 &&
	       strcmp(name, NET_HOST_LOCAL) != 0;
}

/* No name server is asked for the machine's own name, which is the host's here: in neither family. The plan borrows the text. */
static int plan_hosts(struct sandbox *s, struct err *e)
{
	const char *text = egress_hosts;
	struct utsname own;

	if (uname(&own) == 0 && is_own_name(own.nodename))
		text = arena_printf(&s->arena, "%s127.0.1.1 %s\n::1 %s\n", egress_hosts,
				    own.nodename, own.nodename);
	return text ? jail_plan_text(&s->plan, &s->policy, &s->host, "/etc/hosts", text,
				     strlen(text), e) :
		      sandbox_oom(e);
}

int sandbox_plan(struct sandbox *s, struct err *e)
{
	int r = jail_plan_rules(&s->plan, &s->policy, &s->host, e);

	if (r == 0 && s->stay)
		r = stay_plan(s, e);
	else if (r == 0 && egress_wanted(s))
		r = plan_hosts(s, e);
	if (r == 0)
		r = plan_texts(s, e);
	if (r == 0)
		r = keys_plan(s, e);
	if (r == 0)
		r = ssh_plan(s, e);
	if (r == 0)
		r = open_urls_plan(s, e);
	if (r == 0 && s->stay)
		r = volumes_plan(s, e); /* which cover nothing of all that */
	sandbox_socket_ops(s);
	return r;
}

int sandbox_make(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	int r = sandbox_identify(s, o, false, e);

	if (r == 0)
		r = sandbox_frame(s, e);
	if (r == 0)
		r = sandbox_plan(s, e);
	return r < 0 ? r : sandbox_env(s, e);
}

void sandbox_done(struct sandbox *s)
{
	const struct sandbox_socket *sock;

	for (sock = s->sockets; sock; sock = sock->next)
		cleanup_close(&sock->fd);
	settings_done(s);
	jail_identity_done(&s->id);
	arena_done(&s->arena);
}
