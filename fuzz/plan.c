/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any rules on any small host: the plan, carried out in thought, gives every path of the host the state that the policy gives it. Bytes:
 * how many entries, then their paths and types, then rules as in rules.h.
 */
#include "../tests/unit/jail/fake-host.h"
#include "policy-reference.h"
#include "rules.h"

/* What the operations make of @path: the deepest that covers it decides, of equals the last. */
static const struct jail_op *shown_by(const struct jail_plan *p, const char *path)
{
	const struct jail_op *best = NULL;
	int depth = -1, reach;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct jail_op *op = &p->ops[i];

		reach = ref_reach(op->path, path);
		if (op->type == JAIL_OP_UPPER || reach < depth || reach < 0)
			continue;
		best = op;
		depth = reach;
	}
	return best;
}

/* What a block of plan.table would say. */
static void dump(const struct fake_host *f, const struct policy *p, const struct jail_plan *plan)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		const struct fake_entry *en = &f->entries[i];

		fprintf(stderr, "host %s type %d%s%s%s%s\n", en->path, (int)en->type,
			en->mount ? " mount" : "", en->empty ? " empty" : "",
			en->closed ? " closed" : "", en->unlisted ? " unlisted" : "");
	}
	for (i = 0; i < p->n; i++)
		fprintf(stderr, "%s %s %s\n", policy_layer_name(p->rules[i].layer),
			policy_kind_name(p->rules[i].kind), p->rules[i].path);
	for (i = 0; i < plan->n; i++)
		fprintf(stderr, "> %s %s flags %#x\n", jail_op_type_name(plan->ops[i].type),
			plan->ops[i].path, plan->ops[i].flags);
}

/* Behind a directory that the command can't search, and in nothing that it is given: it can't begin there either. */
static bool out_of_reach(struct fake_host *f, const struct jail_plan *plan, const char *path)
{
	const char *slash = path;
	char dir[16];
	bool closed = false;

	while ((slash = strchr(slash + 1, '/'))) {
		const struct fake_entry *en;
		const struct jail_op *op;

		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		en = fake_find(f, dir);
		op = shown_by(plan, dir);
		if (op && (op->flags & JAIL_OP_MAPPED || op->type == JAIL_OP_BIND ||
			   op->type == JAIL_OP_COPY))
			return false;
		closed |= en && en->type == JAIL_DIR && en->closed;
	}
	return closed;
}

static void check_path(struct fake_host *f, const struct policy *p, const struct jail_plan *plan,
		       const char *path)
{
	enum policy_state want = ref_eval(p, path);
	const struct jail_op *op = shown_by(plan, path);
	bool good = false;

	FUZZ_REQUIRE(op != NULL);
	if (op->flags & JAIL_OP_SOCKET) {
		FUZZ_REQUIRE(op->rule->kind == POLICY_SOCKET && ref_socket(p, op->rule) &&
			     strcmp(op->rule->path, op->path) == 0);
		return;
	}
	/* only a directory can be replaced by a private one */
	if (want == POLICY_IS_PRIVATE &&
	    fake_type(f, policy_eval(p, path).read_rule->path) != JAIL_DIR)
		return;
	switch (op->type) {
	case JAIL_OP_WHITEOUT:
	case JAIL_OP_MASK:
		good = want == POLICY_IS_HIDDEN || want == POLICY_IS_DENIED;
		break;
	case JAIL_OP_PRIVATE:
		/* what is denied there is not there: the host's is out of sight */
		good = want == POLICY_IS_PRIVATE || want == POLICY_IS_HIDDEN ||
		       want == POLICY_IS_DENIED;
		break;
	case JAIL_OP_BIND:
		good = want == (op->flags & JAIL_OP_WRITABLE ? POLICY_SHOW_RW : POLICY_SHOW_RO);
		break;
	case JAIL_OP_COPY:
		good = want == POLICY_SHOW_RW;
		break;
	default:
		good = want == POLICY_SHOW_RO;
		break;
	}
	if ((want == POLICY_IS_HIDDEN || want == POLICY_IS_DENIED) && out_of_reach(f, plan, path))
		good = true;
	if (!good) {
		dump(f, p, plan);
		fprintf(stderr, "%s is %s by the policy, but shown by %s %s\n", path,
			policy_state_name(want), jail_op_type_name(op->type), op->path);
		abort();
	}
}

static void check_shape(const struct jail_plan *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct jail_op *op = &p->ops[i];
		const struct jail_op *on =
			op->region == JAIL_NO_REGION ? NULL : &p->ops[op->region];

		FUZZ_REQUIRE(op->len == strlen(op->path));
		FUZZ_REQUIRE(!on || (op->region < i && ref_reach(on->path, op->path) >= 0));
		FUZZ_REQUIRE(op->type != JAIL_OP_WHITEOUT ||
			     (on && on->type == JAIL_OP_OVERLAY && on->flags & JAIL_OP_LOWERED &&
			      op->len > on->len));
		FUZZ_REQUIRE(!(op->flags & JAIL_OP_INSIDE) || (on && op->len > on->len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "dir",       "file",        "dir mount",
					     "dir empty", "dir closed",  "unreachable",
					     "symlink",   "dir unlisted" };
	struct arena a = ARENA_INIT(LIMIT_ARENA);
	static struct fake_host fake;
	struct jail_host host;
	struct jail_plan plan;
	struct err e = ERR_INIT;
	struct policy p;
	char path[16], text[64];
	size_t n, i;

	if (size < 1 || size > 128)
		return 0;
	memset(&fake, 0, sizeof(fake));
	(void)fake_put(&fake, "/"); /* there is room */
	n = data[0] % 32;
	for (i = 1; i + 1 < size && n > 0; i += 2, n--) {
		fuzz_path(data[i], path);
		snprintf(text, sizeof(text), "%s %s", path, types[data[i + 1] % ARRAY_SIZE(types)]);
		if (!fake_find(&fake, path))
			(void)fake_add(&fake, text); /* a full host is a host, too */
	}
	fake_host(&fake, &host);
	fuzz_rules(&p, &a, data + i, i < size ? size - i : 0);
	if (jail_plan_make(&plan, &a, &p, &host, &e) < 0) {
		FUZZ_REQUIRE(e.msg[0] && e.code == ERR_POLICY);
	} else {
		check_shape(&plan);
		for (i = 0; i < fake.n; i++) {
			if (fake.entries[i].path[1] && fake.entries[i].type != JAIL_UNREACHABLE)
				check_path(&fake, &p, &plan, fake.entries[i].path);
		}
	}
	arena_done(&a);
	return 0;
}
