/* SPDX-License-Identifier: Apache-2.0 */
/* A run without a network, whose command wanted one: programs say that a name was not found, or wait, and seldom why. */
#ifndef BAILEY_CLI_NO_NETWORK_H
#define BAILEY_CLI_NO_NETWORK_H

#include "cli.h"

/** no_network_ready() - the sandbox is complete: keep hold of its counters, when it has no network. */
void no_network_ready(struct run *run);

/** no_network_count() - how often the network was tried so far, of which there is none; 0 where there is one. */
unsigned long no_network_count(const struct run *run);

/** no_network_say() - the command has ended with @status: if it has failed and tried the network, say how to give it one. */
void no_network_say(struct run *run, int status, void (*say)(const char *line));

#endif
