/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start can't wait for: large trees are searched to their end by helper processes, and what they find is mounted over in the sandbox
 * that runs. A helper looks at the host first, then joins the sandbox's namespaces, where it has capabilities; there it works on names that the
 * sandbox can change, and follows no link. It dies with the launcher.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail.h"
#include "sockets.h"

struct late {
	const struct jail *jail;
	const struct jail_plan *plan;
	const struct jail_protect *protect;
	const struct policy *policy;
};

/* Return: O_PATH of the sandbox's "/", or negative errno. */
static int enter(const struct jail *jail, pid_t parent)
{
	int root;

	if (setns(jail->ns[JAIL_NS_USER], CLONE_NEWUSER) < 0 ||
	    setns(jail->ns[JAIL_NS_MNT], CLONE_NEWNS) < 0)
		return -errno;
	/* the change of credentials took the death signal away */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return -ESRCH;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

static int late_sockets(const struct late *l, pid_t parent)
{
	struct jail_sockets f = { .paths = NULL, .n = 0 };
	struct err e = ERR_INIT; /* nobody hears of it */
	int root, r = jail_sockets_find_all(l->plan, &f, &e);
	size_t i;

	root = enter(l->jail, parent);
	/* what was found is covered also when the search failed; one that can't be covered is no reason to leave the others */
	for (i = 0; root >= 0 && i < f.n; i++)
		(void)jail_socket_cover(root, f.paths[i]);
	jail_sockets_done(&f);
	return root < 0 ? root : r;
}

static bool known(const struct jail_protect *pr, const char *path)
{
	size_t i;

	for (i = 0; i < pr->n_found; i++) {
		if (strcmp(pr->found[i].path, path) == 0)
			return true;
	}
	return false;
}

/* The writable path that makes @path writable; NULL when it is protected by no rule in force. */
static const char *writable_above(const struct policy *p, const char *path)
{
	struct policy_verdict v = policy_eval(p, path);
	const char *best = NULL;
	size_t i, len = strlen(path);

	if (!v.write_rule || v.write_rule->kind != POLICY_DENY_WRITE ||
	    v.write_rule->layer != POLICY_BUILTIN || v.state != POLICY_SHOW_RO)
		return NULL;
	for (i = 0; i < p->n; i++) { /* parents come first */
		if (p->rules[i].kind == POLICY_ALLOW_WRITE &&
		    policy_rule_covers(&p->rules[i], path, len))
			best = p->rules[i].path;
	}
	return best;
}

static int late_protect(const struct late *l, pid_t parent)
{
	/* what the launcher has is shared memory: this process works on a copy of its own */
	struct arena arena = ARENA_INIT(LIMIT_ARENA);
	struct jail_protect pr = *l->protect;
	struct policy policy;
	struct err e = ERR_INIT;
	size_t i;
	int r = 0, root;

	policy_init(&policy, &arena);
	for (i = 0; r == 0 && i < l->policy->n; i++) {
		const struct policy_rule *rule = &l->policy->rules[i];

		r = policy_add_static(&policy, rule->kind, rule->layer, rule->path, rule->origin,
				      &e);
		if (r == 0)
			policy.rules[policy.n - 1].copy = rule->copy;
	}
	pr.found = NULL;
	pr.notes = NULL;
	pr.configs = NULL;
	pr.n_found = pr.n_notes = pr.n_configs = 0;
	pr.later = false;
	if (r == 0)
		r = jail_protect_find(&pr, &policy, &e);
	policy_seal(&policy);
	root = enter(l->jail, parent);
	for (i = 0; root >= 0 && i < pr.n_found; i++) {
		const char *above = writable_above(&policy, pr.found[i].path);

		if (above && !known(l->protect, pr.found[i].path))
			(void)jail_protect_cover(root, above, pr.found[i].path); /* as above */
	}
	arena_done(&arena);
	return root < 0 ? root : r;
}

/* Return: the pid of a process that runs @fn, or negative errno. */
static int start(int (*fn)(const struct late *, pid_t), const struct late *l)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		_exit(fn(l, parent) < 0 ? 1 : 0);
	}
	return pid;
}

/* Both: one process that waits for the other, so that the launcher has one to end. */
static int late_both(const struct late *l, pid_t parent)
{
	int pid = start(late_protect, l), r = late_sockets(l, parent);

	if (pid < 0)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

bool jail_late_pending(const struct jail *jail, const struct jail_protect *protect)
{
	return !protect->whole || !jail->searched;
}

int jail_late(const struct jail *jail, const struct jail_plan *plan,
	      const struct jail_protect *protect, const struct policy *policy)
{
	const struct late l = { .jail = jail, .plan = plan, .protect = protect, .policy = policy };

	if (protect->whole)
		return jail->searched ? 0 : start(late_sockets, &l);
	return start(jail->searched ? late_protect : late_both, &l);
}
