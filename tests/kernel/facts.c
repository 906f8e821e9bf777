/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins what the project relies on in the kernel: the facts of room probe, a group a program, under the names that `bailey doctor` prints.
 *
 *	kernel-facts GROUP [UID]	TAP; as root, with UID: the same as that ordinary user
 *
 * A required fact must be ok. What only a feature needs may be missing on a machine; then it is a skip with its reason.
 */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "probe/probe.h"

static int report(const struct probe_fact *f, const struct probe_answer *a, int number)
{
	const char *state = probe_state_name(a->state);

	if (a->state == PROBE_OK)
		printf("ok %d - %s: %s%s%s\n", number, f->id, f->what, a->detail[0] ? ": " : "",
		       a->detail);
	else if (!probe_required(f))
		printf("ok %d - %s # SKIP %s: %s (needed for %s)\n", number, f->id, state,
		       a->detail, f->feature);
	else
		printf("not ok %d - %s: %s\n# %s: %s\n", number, f->id, f->what, state, a->detail);
	return a->state != PROBE_OK && probe_required(f);
}

static int become(const char *uid)
{
	char *end;
	unsigned long v = strtoul(uid, &end, 10);

	if (*end || v == 0 || v > 0x7fffffff)
		return -1;
	if (geteuid() != 0) {
		printf("1..0 # SKIP to become uid %s needs root\n", uid);
		exit(0);
	}
	if (setgroups(0, NULL) < 0 || setresgid((gid_t)v, (gid_t)v, (gid_t)v) < 0 ||
	    setresuid((uid_t)v, (uid_t)v, (uid_t)v) < 0)
		return -1;
	/* who changes ids without an exec has a /proc/self that is root's, where no id map can be written */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

int main(int argc, char **argv)
{
	const struct probe_fact *facts;
	struct probe p;
	struct err e = ERR_INIT;
	int number = 0, failed = 0;
	size_t i, n;

	if (argc < 2 || (argc > 2 && become(argv[2]) < 0) || probe_begin(&p, &e) < 0) {
		printf("Bail out! usage: kernel-facts GROUP [UID]: %s\n", e.msg);
		return 1;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* or each try prints it again */
	facts = probe_facts(&n);
	for (i = 0; i < n; i++) {
		if (strcmp(facts[i].group, argv[1]) == 0)
			failed += report(&facts[i], probe_ask(&p, i), ++number);
	}
	printf("1..%d\n", number);
	probe_end(&p);
	return failed || !number;
}
