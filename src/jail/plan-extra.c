/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown beside what the rules say: texts, files and directories of the host at other places, programs, volumes. */
#include <errno.h>
#include <string.h>

#include "plan-own.h"

int jail_plan_text(struct jail_plan *plan, const struct policy *policy,
		   const struct jail_host *host, const char *path, const void *text, size_t len,
		   struct err *e)
{
	struct planner pl = { .plan = plan, .policy = policy, .host = host, .e = e };
	enum policy_state state = policy_eval(policy, path).state;
	int r;

	if ((state != POLICY_SHOW_RO && state != POLICY_SHOW_RW) ||
	    host->type(host->ctx, path) != JAIL_FILE)
		return 0;
	r = plan_add_ruled(&pl, JAIL_OP_TEXT, path, JAIL_OP_FILE, NULL);
	if (r == 0) {
		plan->ops[plan->n - 1].text = text;
		plan->ops[plan->n - 1].text_len = len;
	}
	return r;
}

int jail_plan_shown(struct jail_plan *plan, const struct policy *policy,
		    const struct jail_host *host, const char *path, const char *from, struct err *e)
{
	struct planner pl = { .plan = plan, .policy = policy, .host = host, .e = e };
	const size_t region = plan_region(plan, path);
	int r;

	if (region == JAIL_NO_REGION || plan->ops[region].type != JAIL_OP_PRIVATE)
		return err_set(
			e, ERR_POLICY, -EINVAL,
			"nothing can be shown at '%s': a rule makes it a place of the host's",
			path);
	r = plan_add_ruled(&pl, JAIL_OP_SHOWN, path, JAIL_OP_FILE, NULL);
	if (r == 0)
		plan->ops[plan->n - 1].from = from;
	return r;
}

/* A directory that only this sandbox has, in the layer that hides names; and those on the way to it. */
static int plan_new_dir(struct planner *pl, size_t region, const char *path)
{
	struct jail_plan *p = pl->plan;
	size_t i = p->n;
	int r = plan_uppers(pl, region, path, NULL);

	p->ops[region].flags |= JAIL_OP_LOWERED;
	if (r == 0)
		r = plan_add(pl, JAIL_OP_UPPER, path, 0, region, NULL);
	for (; r == 0 && i < p->n; i++) {
		if (pl->host->type(pl->host->ctx, p->ops[i].path) != JAIL_DIR)
			p->ops[i].mode = 0755;
	}
	return r;
}

int jail_plan_place(struct jail_plan *plan, const struct policy *policy,
		    const struct jail_host *host, const char *path, const char *from, struct err *e)
{
	struct planner pl = { .plan = plan, .policy = policy, .host = host, .e = e };
	const size_t region = plan_region(plan, path);
	const enum jail_op_type on =
		region == JAIL_NO_REGION ? JAIL_OP_ROOT : plan->ops[region].type;
	int r = 0;

	if (host->type(host->ctx, path) != JAIL_DIR && on == JAIL_OP_OVERLAY)
		r = plan_new_dir(&pl, region, path);
	else if (host->type(host->ctx, path) != JAIL_DIR && on != JAIL_OP_PRIVATE &&
		 on != JAIL_OP_EMPTY)
		r = err_set(
			e, ERR_POLICY, -ENOENT,
			"there is no directory '%s' to show the sandbox's own in; make an empty one: mkdir -p %s",
			path, path);
	if (r == 0)
		r = plan_add_ruled(&pl, JAIL_OP_SHOWN, path, JAIL_OP_WRITABLE, NULL);
	if (r == 0)
		plan->ops[plan->n - 1].from = from;
	return r;
}

int jail_plan_program(struct jail_plan *plan, const struct policy *policy,
		      const struct jail_host *host, const char *path, mode_t mode, struct err *e)
{
	struct planner pl = { .plan = plan, .policy = policy, .host = host, .e = e };
	int r;

	if (policy_eval(policy, path).state != POLICY_SHOW_RO ||
	    host->type(host->ctx, path) != JAIL_FILE)
		return 0;
	r = plan_add_ruled(&pl, JAIL_OP_PROGRAM, path, JAIL_OP_FILE, NULL);
	if (r == 0)
		plan->ops[plan->n - 1].mode = mode;
	return r;
}

/* --- volumes -------------------------------------------------------------------------------------------------------------------------- */

static int refuse(const struct jail_volume *v, int error, struct err *e, const char *why)
{
	return err_set(e, ERR_POLICY, error, "volume '%s' can't be shown at '%s': %s", v->name,
		       v->path, why);
}

/* Where programs and settings of the system are, and what the kernel shows. */
static bool is_system(const char *path)
{
	static const char *const dirs[] = { "/usr",   "/etc",    "/bin",  "/sbin", "/lib", "/lib32",
					    "/lib64", "/libx32", "/boot", "/proc", "/sys", "/dev" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (path_covers(dirs[i], path))
			return true;
	}
	return false;
}

/* Whether something that was planned is at @v's place, or would be covered by it: nothing of a policy is lost under a volume. */
static int check_free(const struct planner *pl, const struct jail_volume *v)
{
	const struct jail_plan *p = pl->plan;
	const struct jail_op *op, *needed = NULL;
	size_t i;

	for (i = 0; i < p->n; i++) {
		bool same;

		op = &p->ops[i];
		same = strcmp(op->path, v->path) == 0;
		if (!path_covers(v->path, op->path) || (op->type == JAIL_OP_EMPTY && same) ||
		    ((op->type == JAIL_OP_UPPER || op->type == JAIL_OP_WHITEOUT) && !same))
			continue;
		if (op->flags & JAIL_OP_VOLUME)
			return refuse(v, -EEXIST, pl->e, "another one is there, or below it");
		needed = needed ? needed : op; /* it may be there for a volume that follows */
	}
	if (!needed)
		return 0;
	return err_set(
		pl->e, ERR_POLICY, -EEXIST,
		"volume '%s' can't be shown at '%s': it would cover '%s', which the sandbox needs as it is%s%s; name another place",
		v->name, v->path, needed->path, needed->rule ? ": " : "",
		needed->rule ? needed->rule->origin : "");
}

/* In what the host shows: no link is followed, nothing that is hidden becomes a place. @ret: whether there is a directory of that name */
static int check_way(const struct planner *pl, const struct jail_volume *v, bool *ret)
{
	const struct jail_host *h = pl->host;
	const char *slash = v->path;
	char dir[LIMIT_PATH];
	size_t n;

	*ret = true;
	do {
		slash = strchr(slash + 1, '/');
		n = slash ? (size_t)(slash - v->path) : strlen(v->path);
		memcpy(dir, v->path, n);
		dir[n] = '\0';
		switch (h->type(h->ctx, dir)) {
		case JAIL_DIR:
			break;
		case JAIL_ABSENT:
			*ret = false;
			return 0;
		case JAIL_SYMLINK:
			return err_set(
				pl->e, ERR_POLICY, -ELOOP,
				"volume '%s' can't be shown at '%s': '%s' is a link; name the place that it leads to",
				v->name, v->path, dir);
		case JAIL_FILE:
			return err_set(
				pl->e, ERR_POLICY, -ENOTDIR,
				"volume '%s' can't be shown at '%s': '%s' is not a directory",
				v->name, v->path, dir);
		case JAIL_UNREACHABLE:
			return refuse(v, -EACCES, pl->e, "the way to it is closed");
		}
	} while (slash);
	return 0;
}

/* In the region @op, whose files are the host's. */
static int plan_point(struct planner *pl, size_t region, const struct jail_volume *v)
{
	const struct jail_op *op = region == JAIL_NO_REGION ? NULL : &pl->plan->ops[region];
	bool there;
	int r = check_way(pl, v, &there);

	if (r < 0 || there)
		return r;
	if (op && op->type == JAIL_OP_OVERLAY)
		return plan_new_dir(pl, region, v->path);
	if (op && (op->type == JAIL_OP_BIND || op->type == JAIL_OP_COPY))
		return err_set(
			pl->e, ERR_POLICY, -ENOENT,
			"volume '%s' can't be shown at '%s': there is no such directory in '%s', and none is made on the host; make it: mkdir -p %s",
			v->name, v->path, op->path, v->path);
	return err_set(
		pl->e, ERR_POLICY, -ENOENT,
		"volume '%s' can't be shown at '%s': there is no such directory, and none can be made to appear there; name a place below the home or /tmp, or make an empty one: mkdir -p %s",
		v->name, v->path, v->path);
}

int jail_plan_volume(struct jail_plan *plan, const struct policy *policy,
		     const struct jail_host *host, const struct jail_volume *v, struct err *e)
{
	struct planner pl = { .plan = plan, .policy = policy, .host = host, .e = e };
	const size_t region = plan_region(plan, v->path);
	const struct jail_op *on = region == JAIL_NO_REGION ? NULL : &plan->ops[region];
	const enum policy_state state = policy_eval(policy, v->path).state;
	int r = is_system(v->path) ?
			refuse(v, -EINVAL, e, "it is a place of the system; name another one") :
			check_free(&pl, v);

	if (r < 0)
		return r;
	if (on && on->flags & JAIL_OP_FILE)
		return refuse(v, -ENOTDIR, e, "a file is above it");
	if (on && on->flags & JAIL_OP_VOLUME)
		return refuse(v, -EEXIST, e, "another one is above it");
	if (state == POLICY_IS_HIDDEN || state == POLICY_IS_DENIED ||
	    jail_plan_absent(plan, v->path))
		return refuse(v, -EACCES, e, "a rule hides, denies or protects that place");
	if (!on ||
	    (on->type != JAIL_OP_PRIVATE && on->type != JAIL_OP_SHOWN && on->type != JAIL_OP_EMPTY))
		r = plan_point(&pl, region, v);
	if (r == 0)
		r = plan_add_ruled(&pl, JAIL_OP_SHOWN, v->path,
				   JAIL_OP_VOLUME | (v->mapped ? JAIL_OP_MAPPED : 0) |
					   (v->read_only ? 0 : JAIL_OP_WRITABLE),
				   NULL);
	if (r == 0)
		plan->ops[plan->n - 1].from = v->from;
	return r;
}
