/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel notes about a file of an upper layer, in attributes that the command can't set (fs/overlayfs). Descriptors are O_PATH. The note of an origin
 * is empty in an overlay that was mounted in a user namespace: it says that there was a file, not which.
 */
#ifndef BAILEY_REVIEW_ORIGIN_H
#define BAILEY_REVIEW_ORIGIN_H

#include <stdbool.h>

/** origin_has() - whether the file was copied up: then it was there at the start. False for symlinks and hard links, which have no such note. */
bool origin_has(int fd);

/** origin_opaque() - whether nothing of the host's directory shows through. */
bool origin_opaque(int fd);

#endif
