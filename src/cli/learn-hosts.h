/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least network rules that let a run have what it asked for, of the lines of its log (gateway/audit.h). Pure: no name is looked up.
 *  1. learn_hosts_new(), learn_hosts_search()
 *  2. learn_hosts_line() for each line
 *  3. learn_hosts_policy(), learn_hosts_notes()
 */
#ifndef BAILEY_CLI_LEARN_HOSTS_H
#define BAILEY_CLI_LEARN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/util.h"

struct learn_hosts;

/** learn_hosts_new() - Return: owned, or NULL. */
struct learn_hosts *learn_hosts_new(void);

/** learn_hosts_free() - Return: NULL. */
struct learn_hosts *learn_hosts_free(struct learn_hosts *h);

/** learn_hosts_search() - the search domains of a resolv.conf(5), @len bytes: a name that is only another one with such a domain behind it is not learnt. */
void learn_hosts_search(struct learn_hosts *h, const char *text, size_t len);

/** learn_hosts_line() - one line of the log, @len bytes. */
void learn_hosts_line(struct learn_hosts *h, const char *text, size_t len);

/** learn_hosts_lost() - lines are missing, or were changed. */
void learn_hosts_lost(struct learn_hosts *h);

/** learn_hosts_policy() - append the key "network" of a policy file, sorted. Return: whether there was anything to say. */
bool learn_hosts_policy(struct learn_hosts *h, struct buf *out);

/** learn_hosts_notes() - after learn_hosts_policy(): append lines for a person: what was left out, and why. */
void learn_hosts_notes(const struct learn_hosts *h, struct buf *out);

#endif
