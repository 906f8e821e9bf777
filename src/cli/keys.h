/* SPDX-License-Identifier: Apache-2.0 */
/* bailey-keys beside a run: started, told what to do, asked for the certificate and the variables that the sandbox gets (docs/adr/0021). */
#ifndef BAILEY_CLI_KEYS_H
#define BAILEY_CLI_KEYS_H

#include "cli.h"

/** keys_wanted() - whether something is inspected, or a secret is bound. */
bool keys_wanted(const struct sandbox *s);

/**
 * keys_begin() - start it and tell it what to do; it works while we plan. After the ids are known.
 * Return: 0 or negative errno with @e.
 */
int keys_begin(struct run *run, struct err *e);

/**
 * keys_answer() - wait for its answer: fills s->ca, s->stand_ins, and adds the hosts of secrets to what is inspected. Before sandbox_plan().
 * Return: 0 or negative errno with @e.
 */
int keys_answer(struct run *run, struct err *e);

/**
 * keys_supervise() - while the command runs: hear when it ends, and tell it when a secret that is bound has another value. Best effort: without it new values are
 * those of the next run.
 */
void keys_supervise(struct run *run);

/** keys_pairs() - while the command runs: other masks sign for AWS from now on. One that can't be told is ended. */
void keys_pairs(struct run *run, const struct sandbox_pairs *p);

/** keys_read_line() - one line of a process of bailey-keys, waited for at most some seconds. Return: 0 or negative errno with @e. */
int keys_read_line(int fd, struct buf *b, struct err *e);

/** keys_gateway() - the socket that the gateway talks to it by, or -1. Stays ours. */
int keys_gateway(const struct run *run);

/** keys_end() - end it. */
void keys_end(struct run *run);

/** keys_plan() - show the sandbox a bundle of certificates with s->ca. Return: 0 or negative errno with @e. */
int keys_plan(struct sandbox *s, struct err *e);

/** keys_bundle() - the bundle that programs are told of. Return: its path; NULL: nothing is inspected. */
const char *keys_bundle(const struct sandbox *s);

#endif
