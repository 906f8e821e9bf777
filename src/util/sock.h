/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of unix sockets in a directory that is known by a descriptor. */
#ifndef BAILEY_UTIL_SOCK_H
#define BAILEY_UTIL_SOCK_H

#include <sys/socket.h>
#include <sys/un.h>

/** sock_address() - the socket @name in @dir, to connect to: by the descriptor, because a path may be longer than an address. Return: its length. */
socklen_t sock_address(int dir, const char *name, struct sockaddr_un *a);

/**
 * sock_own_address() - the same, to bind: the directory's own path, where that is short enough. It is the name that the kernel tells of the
 * socket: who starts in a large workspace on this file system must be able to say where it is, or searches all of it (jail/sockets.c).
 * Return: its length.
 */
socklen_t sock_own_address(int dir, const char *name, struct sockaddr_un *a);

#endif
