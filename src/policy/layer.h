/* SPDX-License-Identifier: Apache-2.0 */
/* Who says something: the layers of a policy, once for files and network (docs/adr/0004). */
#ifndef BAILEY_POLICY_LAYER_H
#define BAILEY_POLICY_LAYER_H

/* Lowest first. */
enum policy_layer {
	POLICY_BUILTIN,
	POLICY_MANAGED,
	POLICY_USER,
	POLICY_PROJECT,
	POLICY_UNTRUSTED, /* a project that nobody has trusted: its denials count as a project's, grants it has none */
	POLICY_COMMAND,
	POLICY_LIVE,
	POLICY_LAYER_NUM
};

/** policy_layer_name() - "built-in", "managed" … */
const char *policy_layer_name(enum policy_layer l);

#endif
