/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_UTIL_PTY_H
#define BAILEY_UTIL_PTY_H

/** pty_pair() - a new terminal, nobody's controlling one, both ends close-on-exec. Return: 0 or negative errno. */
int pty_pair(int *ret_slave, int *ret_master);

#endif
