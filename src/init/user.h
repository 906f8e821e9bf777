/* SPDX-License-Identifier: Apache-2.0 */
/* As whom a command runs in a sandbox that stays: what its own password file says, which is read as its own business, not believed in. */
#ifndef BAILEY_INIT_USER_H
#define BAILEY_INIT_USER_H

#include <sys/types.h>

#include "init.h"

#define USER_GROUPS 64 /* supplementary ones; what /etc/group has more of is left out */
#define USER_TEXT 512

/* The ids of a command, and what it is told of its user. */
struct init_ids {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS];
	size_t n_groups;
	char name[USER_TEXT];        /* "" when there is none */
	char home[USER_TEXT];        /* absolute */
	char env[3][USER_TEXT + 16]; /* room for what says so */
};

/**
 * user_find() - USER[:GROUP], names or numbers; NULL: @agent himself.
 * @agent: the sandbox's user, who needs no password file
 * Return: 0; -ENOENT: there is no such user or group; -EPERM: there is no root inside who could become another one. With @e.
 */
int user_find(const char *word, const struct init_agent *agent, struct init_ids *ret,
	      struct err *e);

#endif
