/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the host, of the caller's alone, in which a socket waits until the sandbox has its mounts. Then its names are removed: what is mounted stays. */
#ifndef BAILEY_CLI_PRIVATE_DIR_H
#define BAILEY_CLI_PRIVATE_DIR_H

struct err;

#define PRIVATE_DIR_MAX 80 /* a socket's path has 108 bytes */

/**
 * private_dir_make() - make a directory, in $XDG_RUNTIME_DIR, root's in /run, else in /tmp.
 * @name: what its name has in front, at most 16 bytes
 * @ret: PRIVATE_DIR_MAX bytes: its path, resolved; "" after a failure
 * Return: 0 or negative errno with @e.
 */
int private_dir_make(const char *name, char *ret, struct err *e);

/** private_dir_socket() - listen at @dir/@name, not blocking; the command may connect. Return: the socket, or negative errno with @e. */
int private_dir_socket(const char *dir, const char *name, struct err *e);

/** private_dir_gone() - remove the @names in @dir (NULL behind the last), and it; @dir becomes "". Nothing when it is "" already. */
void private_dir_gone(char *dir, const char *const *names);

#endif
