/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_CLI_LISTENING_H
#define BAILEY_CLI_LISTENING_H

#include <stdbool.h>
#include <sys/types.h>

/** listening_on() - whether a socket of the network namespace of @pid listens on TCP port @port, whoever's it is. What can't be seen does not. */
bool listening_on(pid_t pid, unsigned int port);

/** listening_in() - the same, of the text of /proc/PID/net/tcp. */
bool listening_in(const char *text, unsigned int port);

#endif
