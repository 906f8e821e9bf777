/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel notes about a file of an upper layer. Descriptors are O_PATH. */
#ifndef BAILEY_REVIEW_ORIGIN_H
#define BAILEY_REVIEW_ORIGIN_H

#include <stdbool.h>

/** origin_has() - whether the file was copied up: then it was there at the start. False for symlinks and hard links, which have no such note. */
bool origin_has(int upper);

/** origin_other() - whether @host is surely another file than the one that @upper was copied from. */
bool origin_other(int upper, int host);

/** origin_opaque() - whether nothing of the host's directory shows through. */
bool origin_opaque(int upper);

#endif
