/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_UTIL_FD_H
#define BAILEY_UTIL_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

struct buf;

/** fd_write_all() - write @n bytes, over EINTR and short writes. Return: 0 or negative errno. */
int fd_write_all(int fd, const void *p, size_t n);

/** fd_copy() - the bytes of @from, from where it is, to @to. Return: 0 or negative errno. */
int fd_copy(int from, int to);

/** fd_read_all() - append everything until end of file to @b, at most its cap. Return: 0, -EFBIG or negative errno. */
int fd_read_all(int fd, struct buf *b);

/** fd_write_file() - write @s to the existing file @dfd/@path in one write (for /proc). Return: 0 or negative errno. */
int fd_write_file(int dfd, const char *path, const char *s);

/** fd_is_terminal() - whether @fd is a terminal, or was one until it was hung up. */
bool fd_is_terminal(int fd);

/** fd_close_others() - close every descriptor above 2 but the @n of @keep (-1: none). Return: 0 or negative errno. */
int fd_close_others(const int *keep, size_t n);

/** fd_raise_limit() - have as many descriptors as the hard limit allows. Return: how many; RLIM_INFINITY, too, when that can't be known. */
rlim_t fd_raise_limit(void);

/** fd_send() - send one datagram with up to 8 fds over a connected AF_UNIX socket. @flags: MSG_DONTWAIT or 0. Return: 0 or negative errno. */
int fd_send(int sock, const void *p, size_t n, const int *fds, size_t n_fds, int flags);

/**
 * fd_recv() - receive one datagram with its fds (close-on-exec).
 * @fds: 8 places; unused ones become -1; the caller owns what it gets
 * @flags: MSG_DONTWAIT or 0
 * Return: bytes, 0 when the peer has closed, or negative errno; -EBADMSG when data or fds were cut (fds are closed then).
 */
ssize_t fd_recv(int sock, void *p, size_t n, int fds[8], int flags);

#endif
