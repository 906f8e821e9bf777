/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names inside a sandbox that stays: looked at, made, moved, removed, watched. Done by the copy of PID 1 that copies files, too (copy.h); what is found is said on 1, a JSON
 * object a line: `path` (absolute; as it was asked for, and below), `name`, `type` (file, directory, symlink, fifo, socket, char, block), `size`, `mode` (four octal digits), `uid`,
 * `gid`, `modified` (ns since 1970), `target` of a link; of fs_stat() `attributes`, too: those of the user whose values are text.
 * Bytes of names that are not UTF-8 are shown as U+FFFD.
 */
#ifndef BAILEY_INIT_FS_H
#define BAILEY_INIT_FS_H

#include "init.h"

/* Each: @argv: its words, the first of which is its name (init.h, INIT_FS_STAT …). Return: 0 or negative errno with @e. */
int fs_stat(char *const *argv, struct err *e);
int fs_list(char *const *argv, struct err *e);
int fs_make(char *const *argv, struct err *e);
int fs_move(char *const *argv, struct err *e);
int fs_remove(char *const *argv, struct err *e);

/** fs_watch() - say what changes until stdin has ended. First {"event":"start"}, then {"event", "path"}: create, write, remove, rename (away from that name), attributes, overflow. */
int fs_watch(char *const *argv, struct err *e);

/** fs_say() - one line on 1, which is freed. Return: 0 or negative errno with @e. */
int fs_say(struct buf *line, struct err *e);

/** fs_open() - the directory @path, whatever leads there. @out: LIMIT_PATH bytes: its absolute name. Return: fd or negative errno with @e. */
int fs_open(const char *path, char *out, struct err *e);

#endif
