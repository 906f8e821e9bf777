/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_CLI_NETWORK_CHECK_H
#define BAILEY_CLI_NETWORK_CHECK_H

#include "cli.h"

struct network_check {
	const struct sandbox_options *sandbox;
	bool json;
	const char *address; /* that names are taken to have, or NULL */
	const char *box;     /* of a sandbox that stays: its name, or NULL */
};

/**
 * network_check() - say of each HOST:PORT whether it could be reached.
 * Return: 0; 1: something is denied; 125; or negative errno with @e.
 */
int network_check(const struct network_check *o, char *const *words, struct err *e);

#endif
