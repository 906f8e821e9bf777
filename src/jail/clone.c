/* SPDX-License-Identifier: Apache-2.0 */
#include "clone.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jail.h"
#include "plan-apply.h"
#include "probe/probe.h"

/* PID 1 makes the others (privs.c). */
#define CLONE_FLAGS (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)

static long clone_once(void)
{
	struct clone_args args = { .flags = CLONE_FLAGS, .exit_signal = SIGCHLD };
	long pid = sys_clone3(&args);

	if (pid ==
	    -ENOSYS) /* some container engines' filters; nothing is lost. FIXME: drop when none does */
		pid = sys_call(SYS_clone, CLONE_FLAGS | SIGCHLD, 0, 0, 0, 0);
	return pid;
}

long clone_all(void)
{
	long pid = clone_once();

	return pid == -EPERM && jail_leave_chroot() == 0 ? clone_once() : pid;
}

/* No user namespace, or none with rights: @why knows the cause. @e says what failed. */
static int userns_lost(void (*why)(struct probe_answer *, int), int r, struct err *e)
{
	struct probe_answer a = { .mend = "" };
	char cause[sizeof(e->msg)];

	why(&a, r);
	memcpy(cause, e->msg, sizeof(cause));
	(void)snprintf(e->where, sizeof(e->where), "%s", jail_layer_info(JAIL_LAYER_USERNS)->name);
	return err_set(e, ERR_LAYER, -EPERM, "layer '%s' is missing: %.120s. Mend: %s%s", e->where,
		       cause, geteuid() != 0 && *a.mend ? "sudo " : "",
		       *a.mend ? a.mend : a.advice);
}

int clone_without_rights(int r, struct err *e)
{
	return userns_lost(probe_userns_rights_why, r, e);
}

/* The clone asks for all namespaces at once; which of them was refused is only asked when it matters. */
static enum jail_layer layer_refused(void)
{
	static const struct {
		unsigned int flag;
		enum jail_layer layer;
	} kinds[] = { { CLONE_NEWNS, JAIL_LAYER_MOUNTNS }, { CLONE_NEWPID, JAIL_LAYER_PIDNS } };
	size_t i;

	for (i = 0; probe_namespace(CLONE_NEWUSER) == 0 && i < ARRAY_SIZE(kinds); i++) {
		if (probe_namespace(CLONE_NEWUSER | kinds[i].flag) < 0)
			return kinds[i].layer;
	}
	return JAIL_LAYER_USERNS;
}

int clone_refused(int r, struct err *e)
{
	const enum jail_layer layer = layer_refused();
	unsigned int lost = 0;

	(void)err_sys(e, r, "clone into new namespaces");
	if (layer != JAIL_LAYER_USERNS)
		return jail_layer_lost(layer, 0, &lost, e);
	return userns_lost(probe_userns_why, r, e);
}
