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

#define PROGRAM(p)                                                                   \
	{                                                                            \
		.len = ARRAY_SIZE(p), .filter = (struct sock_filter *)(uintptr_t)(p) \
	}

static int install(const struct sock_fprog *prog)
{
	return (int)sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog, 0, 0);
}

int seccomp_listen(enum jail_report what)
{
	const struct sock_fprog writes = PROGRAM(seccomp_writes), reads = PROGRAM(seccomp_reads),
				makes = PROGRAM(seccomp_makes);
	const struct sock_fprog *prog = what == JAIL_REPORT_READS  ? &reads :
					what == JAIL_REPORT_WRITES ? &writes :
								     &makes;
	long fd;

	/* a call that was heard of is not begun anew by every signal (Linux 5.19) */
	fd = sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		      prog, 0, 0);
	if (fd == -EINVAL)
		fd = sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			      SECCOMP_FILTER_FLAG_NEW_LISTENER, prog, 0, 0);
	return (int)fd;
}

int seccomp_install(enum jail_nested nested, bool disk_root, bool rooted)
{
	const struct sock_fprog plain = PROGRAM(seccomp_run), userns = PROGRAM(seccomp_userns),
				sandbox = PROGRAM(seccomp_nested), xattr = PROGRAM(seccomp_xattr),
				stays = PROGRAM(seccomp_stays);
	int r;

	if (nested == JAIL_NESTED_NONE)
		return install(rooted ? &stays : &plain);
	r = install(nested == JAIL_NESTED_USERNS ? &userns : &sandbox);
	return r == 0 && disk_root ? install(&xattr) : r;
}
