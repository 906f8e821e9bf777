/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told of a request that was refused. */
#ifndef BAILEY_CLI_REQUEST_TEXT_H
#define BAILEY_CLI_REQUEST_TEXT_H

#include "util/util.h"

/** request_text_of() - its method, and its path without what may be secret, shortened. @method, @target: or NULL. Return: of @a; NULL: no memory. */
const char *request_text_of(const char *method, const char *target, struct arena *a);

#endif
