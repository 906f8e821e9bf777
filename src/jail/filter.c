/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "util/util.h"

#include "seccomp-prog.h" /* made by tools/gen-seccomp */

int seccomp_install(void)
{
	const struct sock_fprog prog = { .len = ARRAY_SIZE(seccomp_run),
					 .filter = (struct sock_filter *)(uintptr_t)seccomp_run };

	return (int)sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog, 0, 0);
}
