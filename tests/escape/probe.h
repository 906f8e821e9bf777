/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes of the escape suite: one static program, one attack per name.
 *
 * Build (never sanitized: a sanitizer's runtime makes calls of its own):
 *	musl-gcc -static -O1 -Wall -Wextra -Werror -o probe main.c fs.c fdops.c setid.c proc.c calls.c net.c limits.c nested.c
 *
 * A probe returns 0 when the attack worked and -errno when it was refused. It never does lasting harm where it
 * works, because every probe also runs outside the sandbox as its own control.
 */
#ifndef PROBE_H
#define PROBE_H

#include <sys/types.h>

struct probe {
	const char *name;
	int args;                          /* fewest arguments after the name */
	int (*run)(int argc, char **argv); /* argv[0] is the first argument after the name */
};

extern const struct probe fs_probes[];
extern const struct probe fdops_probes[];
extern const struct probe setid_probes[];
extern const struct probe proc_probes[];
extern const struct probe call_probes[];
extern const struct probe net_probes[];
extern const struct probe limit_probes[];
extern const struct probe nested_probes[];

/* Runs the probe named by the first word; ends the program when there is none, or it wants more. */
int probe_run(int argc, char **argv);
/* Number in any base of strtoul; ends the program when it is none. */
unsigned long num(const char *s);
/* errno of a call that answered -1, as a negative number; 0 otherwise. */
int result(long ret);
/* Writes a remark that follows the verdict on the same line. Borrows @text until exit. */
void remark(const char *text);
/* Runs @fn(@arg) in a child and passes its result on, so that it can't change the probe itself. */
int in_child(int (*fn)(void *arg), void *arg);
/* Sleeps @ms milliseconds. */
void nap(unsigned int ms);

#endif
