/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_GATEWAY_DIALER_CONFINE_H
#define BAILEY_GATEWAY_DIALER_CONFINE_H

struct err;

/** confine_dialer() - give up all that a dialer does not need. Mustn't be undone. Return: 0 or negative errno with @e. */
int confine_dialer(struct err *e);

#endif
