/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 on an open connection: one request after the other, each judged. */
#ifndef BAILEY_KEYS_H1_H
#define BAILEY_KEYS_H1_H

#include "engine.h"

/** h1_begin() - Return: 0 or -ENOMEM. */
int h1_begin(struct conn *c);

/** h1_step() - do what can be done now. Return: whether something moved. The connection may have ended. */
bool h1_step(struct conn *c);

/** h1_tick() - times. Return: whether an answer is awaited. The connection may have ended. */
bool h1_tick(struct conn *c);

/** h1_free() - takes NULL. Return: NULL. */
struct h1 *h1_free(struct h1 *h);

#endif
