/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_CLI_PORT_CHANGE_H
#define BAILEY_CLI_PORT_CHANGE_H

#include "named.h"

/** port_list() - what @box, which must live, publishes. @ret: GATEWAY_PUBLISHED places. Return: 0 or negative errno with @e. */
int port_list(const struct named *n, const struct named_box *box, struct published *ret,
	      size_t *ret_n, struct err *e);

/**
 * port_change() - publish ports of @box, or no more; all of it or, when something of it can't be, nothing.
 * @box: is read again where others change it
 * @words: options "publish" and "unpublish"
 * @out: what has come, if it lives, is appended, as 'bailey port' prints it
 * Return: 0 or negative errno with @e, or an exit status whose reason was said.
 */
int port_change(struct named *n, struct named_box *box, const struct opt_list *words, bool as_json,
		struct buf *out, struct err *e);

#endif
