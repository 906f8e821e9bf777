/* SPDX-License-Identifier: Apache-2.0 */
/* `bailey service`: what its files share. */
#ifndef BAILEY_CLI_SERVICE_H
#define BAILEY_CLI_SERVICE_H

#include "client.h"
#include "service-def.h"

/** service_add() - keep @d with the sandbox @word; one that runs starts it. Return: as named_get(). */
int service_add(struct named *n, const char *word, const struct service_def *d, struct err *e);

/** service_remove() - the other way; it has ended then. Return: as named_get(). */
int service_remove(struct named *n, const char *word, const char *name, struct err *e);

/** service_find() - the object of @list (JSON, or what is kept) whose name is @name. Return: it, or NULL. */
const struct json_node *service_find(const struct json_node *list, const char *name);

/* What is said of a service. */
struct service_now {
	bool failed;
	char error[256]; /* why it does not run, or "" */
};

/**
 * service_wait() - until @name is where it shall be: started, or waiting; or not there.
 * @sock: to the supervisor, borrowed
 * Return: 0 or negative errno with @e.
 */
int service_wait(int sock, const char *box, const char *name, struct service_now *ret,
		 struct err *e);

#endif
