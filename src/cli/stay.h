/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox that stays has and a run has not: a user of its own, a root where ids can be had, a home, a host name (docs/adr/0031). */
#ifndef BAILEY_CLI_STAY_H
#define BAILEY_CLI_STAY_H

#include "sandbox.h"

#define STAY_HOME "/home/agent" /* where its home is, if nothing is said or in the way */

struct stay {
	const char *name; /* of the sandbox, and so of its host */
	const char *dir; /* of the host, resolved: what is kept of it; NULL: it is only described */
	unsigned int block; /* struct jail_user */
	struct init_agent agent;
	const struct opt_list *given;    /* --volume, --cache, or NULL */
	const char *home;                /* --home, or NULL */
	const struct opt_list *host_env; /* --host-env, or NULL */
	bool created;  /* now: a home may be found elsewhere, and home says where */
	bool balanced; /* the same: nobody says a word of its network, so it has that preset */
	struct jail_volume *volumes; /* what they say, once it was planned */
	size_t n_volumes;
	char why[JAIL_WHY]; /* why there is no root inside, and what mends it; "": there is one */
};

#define STAY_PRESET "balanced" /* of one that is created without a word about its network */

/** stay_init() - whom commands run as in it. @name, @dir: borrowed */
void stay_init(struct stay *stay, const char *name, const char *dir, unsigned int block);

/**
 * stay_identify() - the ids of s->stay, in the place of jail_identity_choose(). Makes the directories of one that starts.
 * @single: as in sandbox_identify()
 * Return: 0 or negative errno with @e.
 */
int stay_identify(struct sandbox *s, bool single, struct err *e);

/** stay_plan() - after the rules of the plan: its users' files, its home, sudo. Return: 0 or negative errno with @e. */
int stay_plan(struct sandbox *s, struct err *e);

/**
 * stay_describe() - who would be in the sandbox @node, an object of the store. @ret: name and home, rooted, why
 * Return: 0 or negative errno with @e.
 */
int stay_describe(const struct json_node *node, struct stay *ret, struct err *e);

/**
 * stay_look() - the ids that the files of a sandbox may have, for who cleans up after it. @block: of the store
 * Return: 0 or negative errno with @e.
 */
int stay_look(unsigned int block, struct jail_identity *ret, struct err *e);

/** stay_forget() - remove what is kept of it: @name in the directory @dir, whatever ids its files have. Return: 0 or negative errno. */
int stay_forget(int dir, const char *name, const struct jail_identity *id);

/** set_ids_begin() - before it runs: note where set-id modes must be looked for. Return: 0 or negative errno with @e. */
int set_ids_begin(const struct sandbox *s, struct err *e);

/**
 * set_ids_end() - nothing of the sandbox whose directory is @dir is left: take away the set-id modes that it left on the host. Says so on stderr.
 * Return: 0, also when there is nothing to do; negative errno with @e: it will be tried again.
 */
int set_ids_end(const char *dir, const struct jail_identity *id, struct err *e);

/** stay_keeps() - whether @entry, NAME=VALUE of the caller's environment, is kept of it by `bailey create`: it says where something of the host is. */
bool stay_keeps(const char *entry);

#endif
