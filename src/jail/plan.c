/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. First the frame that every sandbox has (root in place, proc, dev, overlays over the host's trees), then one
 * operation for each rule that changes the state of its path against its surroundings, parents before children. An operation covers its
 * path until a later, deeper one; the deepest that covers a path is its region, and decides how the path can be changed: in an overlay
 * a name is hidden by a whiteout, in a private or masked directory a mount point must be made first, elsewhere the host's is used.
 */
#include "plan-own.h"

#include <errno.h>
#include <string.h>

static enum jail_type type_of(struct planner *pl, const char *path)
{
	enum jail_type type;

	if (strcmp(pl->dir, path) == 0)
		return JAIL_DIR;
	if (pl->gone[0] && path_covers(pl->gone, path))
		return JAIL_ABSENT;
	type = pl->host->type(pl->host->ctx, path);
	if (type == JAIL_DIR)
		memcpy(pl->dir, path, strlen(path) + 1);
	else if (type == JAIL_ABSENT)
		memcpy(pl->gone, path, strlen(path) + 1);
	return type;
}

int plan_add(struct planner *pl, enum jail_op_type type, const char *path, unsigned int flags,
	     size_t region, const struct policy_rule *rule)
{
	struct jail_plan *p = pl->plan;
	struct jail_op *ops;
	size_t size;

	if (p->n == LIMIT_OPS)
		return err_set(pl->e, ERR_POLICY, -E2BIG,
			       "the mount plan has more than %d operations", LIMIT_OPS);
	if (p->n == p->size) {
		size = p->size ? p->size * 2 : 128;
		ops = arena_alloc(p->arena, size * sizeof(*ops));
		if (!ops)
			return err_set(pl->e, ERR_SYSTEM, -ENOMEM,
				       "out of memory for the mount plan");
		if (p->n)
			memcpy(ops, p->ops, p->n * sizeof(*ops));
		p->ops = ops;
		p->size = size;
	}
	path = arena_strdup(p->arena, path);
	if (!path)
		return err_set(pl->e, ERR_SYSTEM, -ENOMEM, "out of memory for the mount plan");
	p->ops[p->n++] = (struct jail_op){ .type = type,
					   .flags = flags,
					   .path = path,
					   .len = strlen(path),
					   .region = region,
					   .rule = rule };
	return 0;
}

/* What is not there, and must not come to be. */
static int add_absent(struct planner *pl, const char *path, const struct policy_rule *rule)
{
	struct jail_plan *p = pl->plan;
	struct jail_absent *list;
	size_t size = p->absent_size ? p->absent_size * 2 : 16;

	if (p->n_absent == p->absent_size) {
		list = arena_alloc(p->arena, size * sizeof(*list));
		if (!list)
			return err_set(pl->e, ERR_SYSTEM, -ENOMEM,
				       "out of memory for the mount plan");
		if (p->n_absent)
			memcpy(list, p->absent, p->n_absent * sizeof(*list));
		p->absent = list;
		p->absent_size = size;
	}
	p->absent[p->n_absent++] = (struct jail_absent){ .path = path, .origin = rule->origin };
	return 0;
}

/* plan_add(), with the permission bits of the host's directory. */
static int plan_add_moded(struct planner *pl, enum jail_op_type type, const char *path,
			  unsigned int flags, size_t region, const struct policy_rule *rule)
{
	int r = plan_add(pl, type, path, flags, region, rule);

	if (r == 0)
		pl->plan->ops[pl->plan->n - 1].mode = pl->host->mode(pl->host->ctx, path);
	return r;
}

static bool covers(const char *dir, size_t dir_len, const char *path, size_t len)
{
	if (dir_len == 1)
		return true;
	return dir_len <= len && (path[dir_len] == '/' || !path[dir_len]) &&
	       memcmp(dir, path, dir_len) == 0;
}

/* The deepest operation that covers @path; of equals the last. */
size_t plan_region(const struct jail_plan *p, const char *path)
{
	size_t best = JAIL_NO_REGION, best_len = 0, i, len = strlen(path);

	for (i = 0; i < p->n; i++) {
		const struct jail_op *op = &p->ops[i];

		if (op->len < best_len || op->type == JAIL_OP_WHITEOUT ||
		    op->type == JAIL_OP_UPPER || op->type == JAIL_OP_HOST ||
		    !covers(op->path, op->len, path, len))
			continue;
		best = i;
		best_len = op->len;
	}
	return best;
}

static void parent_of(const char *path, char *out)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : (size_t)(slash - path);

	memcpy(out, path, n);
	out[n] = '\0';
}

/* Whether some rule below @path shows the host's files again, so that @path can't just be absent. */
static bool shown_below(const struct planner *pl, const char *path)
{
	size_t i;

	for (i = 0; i < pl->policy->n; i++) {
		const struct policy_rule *r = &pl->policy->rules[i];
		enum policy_state s;

		if (!policy_grants(r->kind) || !path_covers(path, r->path) ||
		    strcmp(path, r->path) == 0)
			continue;
		if (r->kind == POLICY_SOCKET) {
			if (!policy_eval_socket(pl->policy, r))
				return true;
			continue;
		}
		s = policy_eval(pl->policy, r->path).state;
		if (s == POLICY_SHOW_RO || s == POLICY_SHOW_RW)
			return true;
	}
	return false;
}

/*
 * Whether some rule takes something away below @path; then /usr and /etc need an overlay, too: a whiteout needs one, and a mask on the
 * host's own directory would go when the host replaces the file.
 */
static bool hides_below(const struct planner *pl, const char *path)
{
	size_t i, len = strlen(path);

	for (i = 0; i < pl->policy->n; i++) {
		const struct policy_rule *r = &pl->policy->rules[i];

		if ((r->kind == POLICY_HIDE || r->kind == POLICY_DENY_READ) && r->len > len &&
		    covers(path, len, r->path, r->len))
			return true;
	}
	return false;
}

/* Whether the command would be stopped by a directory on the way from @path to something that a rule shows. */
static bool stopped_below(const struct planner *pl, const char *path)
{
	const struct jail_host *h = pl->host;
	size_t i, len = strlen(path), n;
	char dir[LIMIT_PATH];

	for (i = 0; i < pl->policy->n; i++) {
		const struct policy_rule *r = &pl->policy->rules[i];

		if (!policy_grants(r->kind) || !covers(path, len, r->path, r->len))
			continue;
		for (n = len; n <= r->len; n++) {
			if (r->path[n] && r->path[n] != '/')
				continue;
			memcpy(dir, r->path, n);
			dir[n] = '\0';
			if (h->type(h->ctx, dir) == JAIL_DIR && !h->searchable(h->ctx, dir) &&
			    (!h->opens || h->opens(h->ctx, dir)))
				return true;
		}
	}
	return false;
}

/* Show the host directory @path with dead sockets. */
static int plan_show(struct planner *pl, const char *path, bool plain, int depth)
{
	const struct jail_host *h = pl->host;
	struct policy_verdict v = policy_eval(pl->policy, path);
	enum jail_ground ground;
	const char *const *names;
	bool map, below;
	int r;

	if (v.state != POLICY_SHOW_RO)
		return 0; /* a rule of its own covers it */
	ground = h->ground ? h->ground(h->ctx, path) : JAIL_GROUND_LAYER;
	if (strcmp(path, JAIL_STAGE) == 0 && /* it must be covered, or the stage would show */
	    (h->live_sockets || ground != JAIL_GROUND_LAYER || h->mounts_below(h->ctx, path) ||
	     pl->plan->overlays == LIMIT_OVERLAYS))
		return plan_add(pl, JAIL_OP_BIND, path, 0, JAIL_NO_REGION, v.read_rule);
	/* not what is plain: /etc with mapped owners would show root's secrets */
	map = h->block && !plain && stopped_below(pl, path);
	if (h->live_sockets && !map)
		return 0; /* as it is */
	if (!map && !h->searchable(h->ctx, path))
		return 0; /* nobody can reach what is in it */
	below = h->mounts_below(h->ctx, path);
	if (ground == JAIL_GROUND_TRIGGER ? !below : h->empty(h->ctx, path))
		return plan_add(pl, JAIL_OP_EMPTY, path, 0, JAIL_NO_REGION, NULL);
	if (ground == JAIL_GROUND_NO_SOCKETS && !below && !map)
		return 0; /* as it is */
	if (ground == JAIL_GROUND_LAYER && !below && pl->plan->overlays < LIMIT_OVERLAYS) {
		pl->plan->overlays++;
		return plan_add_moded(pl, JAIL_OP_OVERLAY, path, map ? JAIL_OP_MAPPED : 0,
				      JAIL_NO_REGION, NULL);
	}
	names = below && depth < LIMIT_OVERLAY_DEPTH && pl->plan->overlays < LIMIT_OVERLAYS ?
			h->children(h->ctx, path) :
			NULL;
	/* nobody gets through such a directory to mount on its children: with mapped owners it is given as a whole */
	if (map && (!names || !h->searchable(h->ctx, path)))
		return plan_add(pl, JAIL_OP_BIND, path, JAIL_OP_MAPPED, JAIL_NO_REGION, NULL);
	r = plan_add(pl, JAIL_OP_HOST, path, names ? JAIL_OP_SHALLOW : 0, JAIL_NO_REGION, NULL);
	for (; r == 0 && names && *names; names++) {
		char child[LIMIT_PATH];

		if (strlen(path) + strlen(*names) + 2 > sizeof(child))
			continue;
		memcpy(child, path, strlen(path));
		child[strlen(path)] = '/';
		memcpy(child + strlen(path) + 1, *names, strlen(*names) + 1);
		if (h->type(h->ctx, child) == JAIL_DIR)
			r = plan_show(pl, child, plain, depth + 1);
	}
	return r;
}

static int plan_frame(struct planner *pl)
{
	/* what holds programs and settings stays as it is: no sockets live there, and an overlay would cost */
	static const char *const plain[] = { "usr",   "etc",   "bin",    "sbin", "lib",
					     "lib32", "lib64", "libx32", "sys" };
	const struct jail_host *h = pl->host;
	const char *const *names = h->children(h->ctx, "/");
	char path[LIMIT_PATH] = "/";
	size_t i;
	int r;

	r = plan_add(pl, JAIL_OP_ROOT, "/", 0, JAIL_NO_REGION, NULL);
	if (r < 0)
		return r;
	if (!names)
		return err_set(pl->e, ERR_SYSTEM, -EIO, "the root directory can't be listed");
	for (; r == 0 && *names; names++) {
		if (strlen(*names) + 2 > sizeof(path))
			continue;
		memcpy(path + 1, *names, strlen(*names) + 1);
		if (h->type(h->ctx, path) != JAIL_DIR)
			continue;
		if (strcmp(*names, "proc") == 0) {
			r = plan_add(pl, JAIL_OP_PROC, path, 0, JAIL_NO_REGION, NULL);
			continue;
		}
		if (strcmp(*names, "dev") == 0) {
			r = plan_add(pl, JAIL_OP_DEV, path, 0, JAIL_NO_REGION, NULL);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(plain) && strcmp(plain[i], *names) != 0; i++)
			;
		if (i == ARRAY_SIZE(plain) ||
		    ((hides_below(pl, path) || (h->own_files && strcmp(*names, "etc") == 0)) &&
		     !h->mounts_below(h->ctx, path)))
			r = plan_show(pl, path, i < ARRAY_SIZE(plain), 1);
	}
	return r;
}

/*
 * Whether a directory on the way to @path stops the command, so that nothing needs to be taken away there. It does not stop who begins behind it: the command
 * may start in what it is given.
 */
static bool unreachable(const struct planner *pl, const char *path)
{
	const struct jail_host *h = pl->host;
	const char *slash = path;
	char dir[LIMIT_PATH];
	bool closed = false;
	size_t region;

	while ((slash = strchr(slash + 1, '/'))) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		region = plan_region(pl->plan, dir);
		/* what is given, or shown with mapped owners, can be gone through */
		if (region != JAIL_NO_REGION && ((pl->plan->ops[region].flags & JAIL_OP_MAPPED) ||
						 pl->plan->ops[region].type == JAIL_OP_BIND ||
						 pl->plan->ops[region].type == JAIL_OP_COPY))
			return false;
		closed |= h->type(h->ctx, dir) == JAIL_DIR && !h->searchable(h->ctx, dir);
	}
	return closed;
}

/* Adds an operation of a rule. On a private or masked directory the mount point must be made first. */
int plan_add_ruled(struct planner *pl, enum jail_op_type type, const char *path, unsigned int flags,
		   const struct policy_rule *rule)
{
	size_t region = plan_region(pl->plan, path);
	enum jail_op_type on = region == JAIL_NO_REGION ? JAIL_OP_ROOT : pl->plan->ops[region].type;

	if (type == JAIL_OP_MASK && unreachable(pl, path))
		return 0;
	/* what is shown in an empty directory has its own in the place of the host's, in which the mount point is made */
	if (on == JAIL_OP_PRIVATE || on == JAIL_OP_MASK ||
	    (on == JAIL_OP_EMPTY && type == JAIL_OP_SHOWN &&
	     strlen(path) > pl->plan->ops[region].len))
		flags |= JAIL_OP_INSIDE;
	/* also where a mask or a private directory stands between */
	if ((type == JAIL_OP_BIND || type == JAIL_OP_COPY) &&
	    (path_covers("/proc", path) || path_covers("/dev", path)))
		return err_set(pl->e, ERR_POLICY, -EINVAL,
			       "%s '%s': nothing of the host's %s can be shown inside",
			       rule->origin, path, path_covers("/proc", path) ? "/proc" : "/dev");
	return type == JAIL_OP_PRIVATE ? plan_add_moded(pl, type, path, flags, region, rule) :
					 plan_add(pl, type, path, flags, region, rule);
}

static bool has_op(const struct jail_plan *p, enum jail_op_type type, const char *path)
{
	size_t i, len = strlen(path);

	for (i = p->n; i-- > 0;) {
		if (p->ops[i].type == type && p->ops[i].len == len &&
		    memcmp(p->ops[i].path, path, len) == 0)
			return true;
	}
	return false;
}

/* The directories between the overlay @region and @path, as the hiding layer needs them. */
int plan_uppers(struct planner *pl, size_t region, const char *path, const struct policy_rule *rule)
{
	size_t top = strlen(pl->plan->ops[region].path);
	const char *slash = path + top;
	char dir[LIMIT_PATH];
	int r = 0;

	while (r == 0 && (slash = strchr(slash + 1, '/'))) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		if (!has_op(pl->plan, JAIL_OP_UPPER, dir))
			r = plan_add_moded(pl, JAIL_OP_UPPER, dir, 0, region, rule);
	}
	return r;
}

/*
 * What is taken away inside a writable tree stays in its place only if no directory on the way to it can be renamed: each is mounted on
 * itself, and a mount point can't be moved (EBUSY).
 */
static int plan_pins(struct planner *pl, const char *path, const struct policy_rule *rule)
{
	size_t region = plan_region(pl->plan, path);
	const struct jail_op *op = region == JAIL_NO_REGION ? NULL : &pl->plan->ops[region];
	const char *slash;
	char dir[LIMIT_PATH];
	int r = 0;

	if (!op || op->type != JAIL_OP_BIND || !(op->flags & JAIL_OP_WRITABLE))
		return 0;
	slash = path + op->len;
	while (r == 0 && (slash = strchr(slash + 1, '/'))) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		r = plan_add_ruled(pl, JAIL_OP_BIND, dir, JAIL_OP_WRITABLE | JAIL_OP_PIN, rule);
	}
	return r;
}

static int plan_hide(struct planner *pl, const char *name, const struct policy_rule *rule)
{
	const struct jail_host *h = pl->host;
	size_t region = plan_region(pl->plan, name);
	char path[LIMIT_PATH], parent[LIMIT_PATH];
	struct jail_op *over;
	enum jail_type type;
	int r;

	if (region == JAIL_NO_REGION || pl->plan->ops[region].type != JAIL_OP_OVERLAY ||
	    strcmp(pl->plan->ops[region].path, name) == 0 || shown_below(pl, name)) {
		type = h->type(h->ctx, name);
		if (type == JAIL_ABSENT || type == JAIL_UNREACHABLE)
			return 0;
		r = plan_pins(pl, name, rule);
		if (r < 0)
			return r;
		return plan_add_ruled(pl, JAIL_OP_MASK, name,
				      (type == JAIL_DIR ? 0 : JAIL_OP_FILE) | JAIL_OP_NAMED, rule);
	}
	/* where the parent is missing, its missing name is kept missing */
	memcpy(path, name, strlen(name) + 1);
	over = &pl->plan->ops[region];
	for (;;) {
		parent_of(path, parent);
		if (strlen(parent) <= over->len)
			break;
		type = type_of(pl, parent);
		if (type == JAIL_DIR)
			break;
		/* there is nothing below a file, and its own name stays */
		if (type == JAIL_FILE || type == JAIL_SYMLINK)
			return 0;
		memcpy(path, parent, strlen(parent) + 1);
	}
	if (has_op(pl->plan, JAIL_OP_WHITEOUT, path))
		return 0;
	over->flags |= JAIL_OP_LOWERED;
	r = plan_uppers(pl, region, path, rule);
	return r < 0 ? r : plan_add(pl, JAIL_OP_WHITEOUT, path, 0, region, rule);
}

static bool withheld(enum policy_state s)
{
	return s == POLICY_IS_DENIED || s == POLICY_IS_HIDDEN;
}

/* Whether a copy begins at @path: not inside another one, and only if @path is writable at all. */
static bool is_copy(const struct planner *pl, const char *path, const struct policy_verdict *v)
{
	const struct policy_rule *copy =
		v->state == POLICY_SHOW_RW ? policy_copy(pl->policy, path) : NULL;
	char parent[LIMIT_PATH];

	if (!copy || strcmp(copy->path, path) != 0)
		return false;
	parent_of(path, parent);
	return !policy_copy(pl->policy, parent);
}

/* The rule that is named is the copy's own, also where another one makes the same path writable. */
static int plan_copy(struct planner *pl, const char *path)
{
	const struct jail_host *h = pl->host;
	const struct policy_rule *rule = policy_copy(pl->policy, path);
	int r;

	if (h->type(h->ctx, path) != JAIL_DIR)
		return err_set(pl->e, ERR_POLICY, -ENOTDIR, "%s '%s': not a directory",
			       rule->origin, path);
	if (h->mounts_below(h->ctx, path))
		return err_set(
			pl->e, ERR_POLICY, -EINVAL,
			"%s '%s': there are mounts below it, and no overlay can hold those; unmount them, name a "
			"directory without any, or leave ':overlay' out",
			rule->origin, path);
	/* in a direct workspace the way to it stays in its place, too */
	r = plan_pins(pl, path, rule);
	return r < 0 ? r : plan_add_ruled(pl, JAIL_OP_COPY, path, JAIL_OP_WRITABLE, rule);
}

/* A path that is written, in what is not. */
static int plan_writable(struct planner *pl, const char *path, enum jail_type type,
			 const struct policy_rule *rule)
{
	const struct policy_rule *copy = policy_copy(pl->policy, path);

	if (type == JAIL_ABSENT || type == JAIL_UNREACHABLE)
		return err_set(pl->e, ERR_POLICY, -ENOENT, "%s '%s': %s", rule->origin, path,
			       type == JAIL_ABSENT ? "no such file or directory" :
						     "permission denied");
	if (copy)
		return err_set(
			pl->e, ERR_POLICY, -EINVAL,
			"%s '%s': it lies in the overlay workspace '%s', where nothing of the host's is "
			"changed; leave one of them out",
			rule->origin, path, copy->path);
	return plan_add_ruled(pl, JAIL_OP_BIND, path,
			      JAIL_OP_WRITABLE | (type == JAIL_FILE ? JAIL_OP_FILE : 0), rule);
}

/* One path that rules name: what must be mounted so that it has its state? */
static int plan_path(struct planner *pl, const char *path)
{
	const struct jail_host *h = pl->host;
	struct policy_verdict v = policy_eval(pl->policy, path), around;
	char parent[LIMIT_PATH];
	enum jail_type type;
	bool absent;
	int r;

	if (!path[1]) {
		if (v.state == POLICY_SHOW_RO)
			return 0;
		return err_set(pl->e, ERR_POLICY, -EINVAL,
			       "%s '/': the root directory itself can only be read-only",
			       (v.write_rule ? v.write_rule : v.read_rule)->origin);
	}
	parent_of(path, parent);
	if (strcmp(pl->around, parent) != 0) {
		memcpy(pl->around, parent, strlen(parent) + 1);
		pl->around_is = policy_eval(pl->policy, parent);
	}
	around = pl->around_is;
	if (is_copy(pl, path, &v))
		return plan_copy(pl, path);
	if (v.state == around.state ||
	    (withheld(v.state) && around.state != POLICY_SHOW_RO && around.state != POLICY_SHOW_RW))
		return 0;
	if (v.state == POLICY_IS_HIDDEN)
		return plan_hide(pl, path, v.read_rule);
	type = h->type(h->ctx, path);
	absent = type == JAIL_ABSENT || type == JAIL_UNREACHABLE;
	switch (v.state) {
	case POLICY_SHOW_RO:
		if (type == JAIL_ABSENT && around.state == POLICY_SHOW_RW)
			return add_absent(pl, path, v.write_rule);
		if (absent && around.state == POLICY_SHOW_RW)
			return err_set(
				pl->e, ERR_POLICY, -ENOENT,
				"%s '%s': the way to it is closed to the caller, so whether it exists can't be told; only what "
				"can be looked at can be protected: open the way, or leave the rule out",
				v.write_rule->origin, path);
		if (absent)
			return 0;
		r = plan_pins(pl, path, v.write_rule);
		return r < 0 ? r :
			       plan_add_ruled(pl, JAIL_OP_BIND, path,
					      type == JAIL_FILE ? JAIL_OP_FILE : 0,
					      v.write_rule ? v.write_rule : v.read_rule);
	case POLICY_SHOW_RW:
		return plan_writable(pl, path, type, v.write_rule);
	case POLICY_IS_DENIED:
		if (absent)
			return 0;
		r = plan_pins(pl, path, v.read_rule);
		return r < 0 ? r :
			       plan_add_ruled(pl, JAIL_OP_MASK, path,
					      type == JAIL_DIR ? 0 : JAIL_OP_FILE, v.read_rule);
	case POLICY_IS_PRIVATE:
		return type == JAIL_DIR ? plan_add_ruled(pl, JAIL_OP_PRIVATE, path,
							 JAIL_OP_WRITABLE, v.read_rule) :
					  0;
	case POLICY_IS_HIDDEN:
	case POLICY_STATE_NUM:
		break;
	}
	return err_set(pl->e, ERR_POLICY, -EINVAL, "'%s' has no state", path);
}

/* Sockets that are given: files over whatever stands at their places, so they come last. */
static int plan_sockets(struct planner *pl)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < pl->policy->n; i++) {
		const struct policy_rule *rule = &pl->policy->rules[i];

		if (rule->kind == POLICY_SOCKET && !policy_eval_socket(pl->policy, rule) &&
		    !jail_plan_socket(pl->plan, rule->path))
			r = plan_add_ruled(pl, JAIL_OP_BIND, rule->path,
					   JAIL_OP_FILE | JAIL_OP_SOCKET, rule);
	}
	return r;
}

int jail_plan_frame(struct jail_plan *plan, struct arena *arena, const struct policy *policy,
		    const struct jail_host *host, struct err *e)
{
	struct planner pl = { .plan = plan, .policy = policy, .host = host, .e = e };

	*plan = (struct jail_plan){ .arena = arena, .live_sockets = host->live_sockets };
	return plan_frame(&pl);
}

/* Whether a rule at or below @path needs its host directory, or a layer that hides names in it. */
static bool changed_below(const struct policy *policy, const char *path, size_t len)
{
	size_t i;

	for (i = 0; i < policy->n; i++) {
		const struct policy_rule *r = &policy->rules[i];

		if ((r->kind == POLICY_HIDE || policy_grants(r->kind)) &&
		    covers(path, len, r->path, r->len))
			return true;
	}
	return false;
}

void jail_plan_early(struct jail_plan *plan, const struct policy *policy)
{
	struct jail_frame *frame;
	bool any = false;
	size_t i;

	for (i = 0; i < policy->n; i++) {
		if (policy_grants(policy->rules[i].kind) &&
		    path_covers(JAIL_STAGE, policy->rules[i].path))
			return;
	}
	/* the host's own /tmp is shown: a copy of its mount is taken before the stage is there */
	for (i = 0; i < plan->n; i++) {
		if (strcmp(plan->ops[i].path, JAIL_STAGE) == 0)
			return;
	}
	for (i = 0; i < plan->n; i++) {
		struct jail_op *op = &plan->ops[i];

		if ((op->type != JAIL_OP_OVERLAY && op->type != JAIL_OP_EMPTY) ||
		    (op->flags & JAIL_OP_MAPPED) || changed_below(policy, op->path, op->len))
			continue;
		op->flags |= JAIL_OP_EARLY;
		any = true;
	}
	frame = any ? arena_alloc(plan->arena, sizeof(*frame)) : NULL;
	if (!frame)
		return; /* later, then */
	*frame = (struct jail_frame){ .ops = plan->ops, .n = plan->n };
	plan->early = frame;
}

int jail_plan_rules(struct jail_plan *plan, const struct policy *policy,
		    const struct jail_host *host, struct err *e)
{
	struct planner pl = { .plan = plan, .policy = policy, .host = host, .e = e };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < policy->n; i++) {
		if (i > 0 && strcmp(policy->rules[i].path, policy->rules[i - 1].path) == 0)
			continue;
		r = plan_path(&pl, policy->rules[i].path);
	}
	return r == 0 ? plan_sockets(&pl) : r;
}

int jail_plan_make(struct jail_plan *plan, struct arena *arena, const struct policy *policy,
		   const struct jail_host *host, struct err *e)
{
	int r = jail_plan_frame(plan, arena, policy, host, e);

	return r < 0 ? r : jail_plan_rules(plan, policy, host, e);
}

bool jail_plan_socket(const struct jail_plan *plan, const char *path)
{
	size_t i;

	for (i = 0; i < plan->n; i++) {
		if ((plan->ops[i].flags & JAIL_OP_SOCKET) && strcmp(plan->ops[i].path, path) == 0)
			return true;
	}
	return false;
}

const struct jail_absent *jail_plan_absent(const struct jail_plan *plan, const char *path)
{
	size_t i;

	for (i = 0; i < plan->n_absent; i++) {
		if (path_covers(plan->absent[i].path, path))
			return &plan->absent[i];
	}
	return NULL;
}

const struct jail_op *jail_plan_find(const struct jail_plan *plan, const char *path)
{
	const struct jail_op *best = NULL;
	size_t i, len = strlen(path);

	for (i = 0; i < plan->n; i++) {
		const struct jail_op *op = &plan->ops[i];

		if (op->type != JAIL_OP_UPPER && covers(op->path, op->len, path, len) &&
		    (!best || op->len >= best->len))
			best = op;
	}
	return best;
}

const char *jail_op_type_name(enum jail_op_type t)
{
	static const char *const names[JAIL_OP_NUM] = { "root",     "overlay", "empty",  "upper",
							"whiteout", "host",    "proc",   "dev",
							"private",  "bind",    "mask",   "copy",
							"text",     "shown",   "program" };

	return t < JAIL_OP_NUM ? names[t] : "?";
}

bool jail_op_shows_host(const struct jail_op *op)
{
	return (op->type == JAIL_OP_BIND && !(op->flags & JAIL_OP_SOCKET)) ||
	       op->type == JAIL_OP_HOST || op->type == JAIL_OP_ROOT;
}
