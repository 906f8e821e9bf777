/* SPDX-License-Identifier: Apache-2.0 */
/* What a service of a sandbox that stays is (docs/adr/0037): as the store keeps it, and what it may be. Pure. */
#ifndef BAILEY_CLI_SERVICE_DEF_H
#define BAILEY_CLI_SERVICE_DEF_H

#include "policy/policy.h"
#include "util/util.h"

/* When it is started again. */
enum service_restart { SERVICE_ALWAYS, SERVICE_ON_FAILURE, SERVICE_NEVER, SERVICE_RESTARTS };

struct service_def {
	const char *name;
	char **argv, **env, **needs; /* NULL-terminated; env: NAME=VALUE */
	const char *dir, *user;      /* or NULL */
	unsigned int port; /* where it listens when it is ready; 0: nobody waits for that */
	enum service_restart restart;
};

/** service_restart_name() - as it is written. */
const char *service_restart_name(enum service_restart r);

/** service_restart_parse() - the other way. Return: 0 or -EINVAL with @e. */
int service_restart_parse(const char *word, enum service_restart *ret, struct err *e);

/** service_check() - what can be said of @d alone. Return: 0, or -EINVAL, -E2BIG with @e, which names the option. */
int service_check(const struct service_def *d, struct err *e);

/** service_write() - @d as an object. */
void service_write(const struct service_def *d, struct json *j);

/** service_read() - the other way, checked. @ret: owned by @a. Return: 0 or negative errno with @e. */
int service_read(const struct json_node *v, struct arena *a, struct service_def *ret,
		 struct err *e);

/** services_check() - whether these can be the @n services of one sandbox: names and ports are theirs alone, what they need is there, none needs itself by others. Return: 0, -EEXIST, -ENOENT, -ELOOP, -E2BIG with @e. */
int services_check(const struct service_def *all, size_t n, struct err *e);

/** services_read() - all of the list @v (NULL: none), checked. @ret: LIMIT_SERVICES places; what they have is @a's. Return: 0 or negative errno with @e. */
int services_read(const struct json_node *v, struct arena *a, struct service_def *ret,
		  size_t *ret_n, struct err *e);

#endif
