/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a run: from options to values, what is said about them, and what happened to them. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "sandbox.h"

/* The kernel lets nobody raise a limit above the caller's own. */
static int check_hard(enum policy_limit l, int resource, uint64_t v, struct err *e)
{
	struct rlimit own;

	if (v && getrlimit(resource, &own) == 0 && own.rlim_max != RLIM_INFINITY &&
	    v > own.rlim_max)
		return err_set(e, ERR_USAGE, -EPERM,
			       "--%s %" PRIu64
			       ": the caller's own hard limit is %llu, and can only be lowered",
			       policy_limit_name(l), v, (unsigned long long)own.rlim_max);
	return 0;
}

int sandbox_limits(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	uint64_t *v = s->limits.value;
	size_t i;
	int r;

	for (i = 0; i < POLICY_LIMIT_NUM; i++) {
		if (!o->limits[i])
			continue;
		r = policy_limit_parse((enum policy_limit)i, o->limits[i], &v[i], e);
		if (r < 0)
			return err_wrap(e, r, "--%s", policy_limit_name((enum policy_limit)i));
	}
	r = check_hard(POLICY_LIMIT_NOFILE, RLIMIT_NOFILE, v[POLICY_LIMIT_NOFILE], e);
	return r < 0 ? r : check_hard(POLICY_LIMIT_FSIZE, RLIMIT_FSIZE, v[POLICY_LIMIT_FSIZE], e);
}

void limits_explain(const struct sandbox *s, struct json *j)
{
	const struct jail_limits *l = &s->limits;
	size_t i;

	json_open(j, "limits", '{');
	for (i = 0; i < POLICY_LIMIT_NUM; i++) {
		if (!l->value[i])
			continue;
		json_open(j, policy_limit_name((enum policy_limit)i), '{');
		/* CPUs in thousandths: JSON numbers here are whole */
		json_int(j, i == POLICY_LIMIT_CPUS ? "thousandths" : "value",
			 (long long)l->value[i]);
		json_str(j, "mechanism", jail_mechanism_name(l->by[i]));
		json_bool(j, "soft", jail_limit_soft(l, (enum policy_limit)i));
		json_close(j, '}');
	}
	json_close(j, '}');
}

void limits_explain_text(const struct sandbox *s, struct buf *b)
{
	const struct jail_limits *l = &s->limits;
	char text[POLICY_LIMIT_TEXT];
	size_t i;

	if (!jail_limits_any(l) && s->net.n_quotas == 0) {
		buf_puts(b, "\nlimits: none\n");
		return;
	}
	buf_puts(b, "\nlimits\n");
	for (i = 0; i < POLICY_LIMIT_NUM; i++) {
		if (!l->value[i])
			continue;
		buf_printf(b, "  %-9s %s by %s%s\n", policy_limit_name((enum policy_limit)i),
			   policy_limit_format((enum policy_limit)i, l->value[i], text),
			   jail_mechanism_name(l->by[i]),
			   jail_limit_soft(l, (enum policy_limit)i) ?
				   " (soft: no boundary against hostile code)" :
				   "");
	}
	for (i = 0; i < s->net.n_quotas; i++) {
		const struct net_quota *q = &s->net.quotas[i];

		buf_printf(b, "  %-9s %s%s for %s by the gateway  [", "network",
			   policy_limit_format(POLICY_LIMIT_FSIZE, q->bytes ? q->bytes : q->rate,
					       text),
			   q->rate ? " a second" : "", q->rule.text);
		buf_quote(b, q->rule.origin);
		buf_puts(b, "]\n");
	}
	if (l->why[0])
		buf_printf(b, "  no cgroup: %s\n", l->why);
}

void limits_notice(const struct jail_limits *l, char *out, size_t size)
{
	char list[128] = "";
	size_t i, n = 0;

	out[0] = '\0';
	for (i = 0; i < POLICY_LIMIT_NUM; i++) {
		if (l->value[i] && jail_limit_soft(l, (enum policy_limit)i))
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s--%s (%s)",
					      n ? ", " : "",
					      policy_limit_name((enum policy_limit)i),
					      jail_mechanism_name(l->by[i]));
	}
	if (n > 0 && l->why[0])
		(void)snprintf(
			out, size,
			"bailey: notice: soft, no boundary against hostile code: %s; %s. To have it hold: %s\n",
			list, l->why, jail_layer_info(JAIL_LAYER_CGROUP)->mend);
	else if (n > 0)
		(void)snprintf(
			out, size,
			"bailey: notice: soft, no boundary against hostile code: %s; a nested sandbox can mount past it. To have it hold: "
			"leave --allow-nested-sandbox out\n",
			list);
}

bool limits_exceeded(const struct jail_limits *l, const struct jail *jail)
{
	uint64_t used = 0;

	/* a look that fails is one at a sandbox that ends */
	return jail_watch_memory(jail->watch, l->value[POLICY_LIMIT_MEMORY], &used) == 0 &&
	       used > l->value[POLICY_LIMIT_MEMORY];
}

static void add(char *out, size_t size, const struct jail_limits *l, enum policy_limit which,
		const char *what)
{
	size_t n = strlen(out);
	char text[POLICY_LIMIT_TEXT];

	(void)snprintf(out + n, size - n, "bailey: %s: %s limit %s (%s)\n", what,
		       policy_limit_name(which), policy_limit_format(which, l->value[which], text),
		       jail_mechanism_name(l->by[which]));
}

int limits_verdict(const struct jail_limits *l, const struct jail_limit_events *ev, int status,
		   char *out, size_t size)
{
	const int killed = 128 + SIGKILL;

	out[0] = '\0';
	if (ev->killed && status >= 0 && status != killed) {
		add(out, size, l, POLICY_LIMIT_MEMORY, "notice: processes of the run were ended");
	} else if (ev->killed) {
		/* the command; or PID 1, when nothing else was left to be killed */
		add(out, size, l, POLICY_LIMIT_MEMORY, "the run was ended");
		status = killed;
	}
	if (l->value[POLICY_LIMIT_FSIZE] && status == 128 + SIGXFSZ)
		add(out, size, l, POLICY_LIMIT_FSIZE, "the run was ended by SIGXFSZ");
	if (ev->refused)
		add(out, size, l, POLICY_LIMIT_PIDS, "notice: processes could not be made");
	return status;
}
