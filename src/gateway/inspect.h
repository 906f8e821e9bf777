/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that bailey-keys looks into (docs/adr/0021): it gets the server's side, and stands between it and the client. */
#ifndef BAILEY_GATEWAY_INSPECT_H
#define BAILEY_GATEWAY_INSPECT_H

#include "conn.h"

/** inspect_wanted() - whether @c is to be looked into. A port of the host, or one that the sandbox publishes, never is. */
bool inspect_wanted(const struct gateway *g, const struct conn *c);

/** inspect_plain() - the same of plain HTTP. */
bool inspect_plain(const struct gateway *g, const struct conn *c);

/** inspect_first_ms() - the time in which a client that is looked into must have said its whole first message, from when it may. Return: 0: the usual ones. */
uint64_t inspect_first_ms(const struct gateway *g, const struct conn *c);

/**
 * inspect_begin() - hand the server of @c over; what the client says goes to bailey-keys from now on. Nothing was sent to either side before.
 * @tls: what the client says first is a ClientHello; else plain HTTP
 * Return: whether it was; else @c was refused.
 */
bool inspect_begin(struct gateway *g, struct conn *c, bool tls);

/** inspect_dialled() - tell bailey-keys what became of @c, of VIA_FORWARD. @why: NULL: it is open, and gets its socket */
void inspect_dialled(struct gateway *g, struct conn *c, const char *why);

/** inspect_read() - take what bailey-keys says, until there is no more. */
void inspect_read(struct gateway *g);

/** inspect_end() - @c ends: take what was said about it until now. */
void inspect_end(struct gateway *g, struct conn *c);

#endif
