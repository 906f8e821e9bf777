/* SPDX-License-Identifier: Apache-2.0 */
/* The networks of runs: found by their IDs, their logs read, their gateways spoken to (egress.h, gateway/control.h). */
#ifndef BAILEY_CLI_NETWORK_RUNS_H
#define BAILEY_CLI_NETWORK_RUNS_H

#include "egress.h"

struct network_runs {
	int dir, heads; /* -1: there are none */
};

/** network_runs_open() - Return: 0 (also when no run has had a network) or negative errno with @e. network_runs_done() in both cases. */
int network_runs_open(struct network_runs *n, struct err *e);
void network_runs_done(struct network_runs *n);

/**
 * network_runs_find() - the sandbox that stays of that name, or the run whose ID begins with @word; NULL: the newest of the current directory.
 * @id: EGRESS_ID + 1 bytes
 * Return: a descriptor of its directory, owned by the caller; or -ENOENT, -EEXIST (several) with @e.
 */
int network_runs_find(const struct network_runs *n, const char *word, char *id, struct err *e);

struct network_log_options {
	bool json, follow, denied, verify;
	unsigned long limit; /* the last lines; 0: all */
};

/** network_runs_log() - print the log of run @word. Return: 0; 1: it was tampered with (said on stderr); or negative errno with @e. */
int network_runs_log(const char *word, const struct network_log_options *o, struct err *e);

/** network_docker_log() - the same as Docker prints it, of all sandboxes that stay, or of @word. Return: 0; an exit status > 0, and the reason was said; or negative errno with @e. */
int network_docker_log(const char *word, const struct network_log_options *o, struct err *e);

/** network_runs_list() - print them; @word: only that run or sandbox, or NULL. Return: 0 or negative errno with @e. */
int network_runs_list(const char *word, bool json, struct err *e);

/**
 * network_runs_ask() - send one request to the gateway of run @word and wait for the answer.
 * @request: a JSON object without a newline
 * @ret: the answer, owned by @a
 * Return: 0; -ENOENT: no such run, or it lives no more; or another negative errno with @e, also when the gateway refuses.
 */
int network_runs_ask(const char *word, const char *request, struct arena *a,
		     const struct json_node **ret, struct err *e);

/** network_runs_tell() - have the gateway of run @word make one change. Return: as network_runs_ask(). */
int network_runs_tell(const char *word, const struct net_change *c, struct err *e);

#endif
