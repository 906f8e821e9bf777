/* SPDX-License-Identifier: Apache-2.0 */
/* Words about the network that do nothing, which is said. */
#ifndef BAILEY_CLI_OVERRULED_H
#define BAILEY_CLI_OVERRULED_H

#include "sandbox.h"

/** overruled_say() - what of the command line's words has no effect, because of the mode, a denial of a file, or for want of a rule, as notices. */
void overruled_say(struct sandbox *s);

/** overruled_say_secrets() - the same of secrets and log-ins, none of whose hosts is allowed. @bound: a list of {"name", "login", "hosts"}; what is none is passed over */
void overruled_say_secrets(struct sandbox *s, const struct json_node *bound);

#endif
