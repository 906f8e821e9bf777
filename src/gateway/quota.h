/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets and rates of rules (net_quota): how many bytes a connection may move now. */
#ifndef BAILEY_GATEWAY_QUOTA_H
#define BAILEY_GATEWAY_QUOTA_H

#include "gw.h"

struct quotas;

/** quota_init() - Return: 0 or -ENOMEM. */
int quota_init(struct gateway *g);

/** quota_left() - bytes that may pass now under quota @i (-1: none): at most @max. Return: that many; 0: wait; -EDQUOT: the budget is used up. */
ssize_t quota_left(struct gateway *g, int i, size_t max);

/** quota_datagram() - whether a datagram of @n bytes passes under quota @i (-1: none) now; it is taken then. Return: 1; 0: it is lost; -EDQUOT: the budget does not hold it. */
int quota_datagram(struct gateway *g, int i, size_t n);

/** quota_why() - that the budget of quota @i is used up, and which option gave it. Return: in memory that holds it until the next call. */
const char *quota_why(const struct gateway *g, int i);

/** quota_take() - @n bytes have passed. */
void quota_take(struct gateway *g, int i, size_t n);

#endif
