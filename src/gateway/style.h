/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_GATEWAY_STYLE_H
#define BAILEY_GATEWAY_STYLE_H

#include "conn.h"

/** style_reason() - append the reason of a refusal, as g->setup->style has it. @why: our own words */
void style_reason(struct gateway *g, const struct conn *c, const char *why, struct buf *b);

/** style_http() - append the answer 403 to a client of the HTTP proxy. */
void style_http(struct gateway *g, const struct conn *c, const char *why, struct buf *b);

#endif
