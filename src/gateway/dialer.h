/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dialer of `srt proxy` (docs/adr/0035): it takes clients for bailey-keys, which reads what they say, and connects to the hosts that it names. It alone knows addresses, and it
 * holds no secret.
 */
#ifndef BAILEY_GATEWAY_DIALER_H
#define BAILEY_GATEWAY_DIALER_H

#include <sys/types.h>

struct err;

/* Descriptors stay the caller's; the dialer has its own copies after the fork. */
struct dialer_setup {
	int listener; /* a bound socket that does not block */
	int keys;     /* of messages to and from bailey-keys. When it closes the dialer ends */
	int tell;     /* gets a byte when clients can come, or a text that says why not */
};

/** dialer_start() - fork it. Return: 0 with its pid, to be reaped; or negative errno with @e. */
int dialer_start(const struct dialer_setup *s, pid_t *ret_pid, struct err *e);

#endif
