/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces and sandboxes of the command's own (docs/adr/0012): what options and files say together, and what is said about it. */
#include <errno.h>
#include <string.h>

#include "sandbox.h"

const char *nested_name(enum jail_nested nested)
{
	switch (nested) {
	case JAIL_NESTED_USERNS:
		return "userns";
	case JAIL_NESTED_SANDBOX:
		return "sandbox";
	case JAIL_NESTED_NONE:
		break;
	}
	return "none";
}

const char *nested_words(enum jail_nested nested)
{
	switch (nested) {
	case JAIL_NESTED_USERNS:
		return "user namespaces, without mounts: more of the kernel can be reached";
	case JAIL_NESTED_SANDBOX:
		return "user namespaces and mounts: Landlock judges no files, the mounts alone keep the host read-only; "
		       "what is read-only inside a writable directory can be moved away";
	case JAIL_NESTED_NONE:
		break;
	}
	return "none";
}

/* A file's "false" is final; it forbids what includes the thing, too. */
static const struct opt_value *forbidden(const struct sandbox *s, const char *name)
{
	const struct opt_source *src;
	size_t i;

	for (src = s->sources; src; src = src->next) {
		for (i = 0; i < src->file.n; i++) {
			const struct opt_value *v = &src->file.values[i];

			if (strcmp(v->opt->name, name) == 0 && !policy_file_loosens(v))
				return v;
		}
	}
	return NULL;
}

int sandbox_nested(struct sandbox *s, const struct sandbox_options *words, struct err *e)
{
	const struct sandbox_options *o = s->options;
	const struct opt_value *no = o->allow_nested_sandbox ? forbidden(s, "allow-userns") : NULL;
	char where[LIMIT_WHERE];

	if (no && words->allow_nested_sandbox)
		return err_set(
			e, ERR_POLICY, -EPERM,
			"--allow-nested-sandbox: %s says false, which is final, and a nested sandbox needs "
			"user namespaces",
			sandbox_where(no, where));
	if (o->allow_nested_sandbox && !no)
		s->nested = JAIL_NESTED_SANDBOX;
	else if (o->allow_userns)
		s->nested = JAIL_NESTED_USERNS;
	if (s->nested == JAIL_NESTED_SANDBOX)
		sandbox_notice(
			s,
			"--allow-nested-sandbox: Landlock judges no files, the mounts alone keep the host read-only; protected "
			"paths and --deny-write inside a writable directory can be moved away by a hostile command");
	return 0;
}
