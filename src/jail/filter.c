/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include <errno.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "util/util.h"

#include "seccomp-prog.h" /* made by tools/gen-seccomp */

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

int seccomp_install(bool notify)
{
	struct sock_fprog prog = { .len = ARRAY_SIZE(seccomp_run), .filter = (struct sock_filter *)(uintptr_t)seccomp_run };
	unsigned int flags = 0;
	long r;

	if (notify) {
		prog.len = ARRAY_SIZE(seccomp_run_notify);
		prog.filter = (struct sock_filter *)(uintptr_t)seccomp_run_notify;
		/* a signal does not restart a notified call that the launcher is answering */
		flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	}
	r = sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog, 0, 0);
	if (r == -EINVAL && notify) /* FIXME: drop when 5.19 is the baseline */
		r = sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog, 0, 0);
	return (int)r;
}
