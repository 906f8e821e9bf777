/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: a process in the sandbox's network that makes one socket there when it is asked to, and does nothing else. The gateway itself is
 * outside, and can't be in two networks.
 */
#ifndef BAILEY_GATEWAY_DOOR_H
#define BAILEY_GATEWAY_DOOR_H

#include "policy/policy.h"
#include "util/util.h"

/**
 * door_start() - fork a door into the namespaces; it ends when the other end of its socket is closed.
 * @userns, @netns: of the sandbox
 * @ret_sock: for door_socket(); owned by the caller
 * Return: 0 with its pid, to be reaped; or negative errno with @e.
 */
int door_start(int userns, int netns, int *ret_sock, pid_t *ret_pid, struct err *e);

/**
 * door_socket() - have a socket made, and wait for it (the door has nothing else to do).
 * @type: SOCK_STREAM, SOCK_DGRAM, or SOCK_RAW, which is not bound and sees UDP
 * @v6: its family
 * @at: the address to bind it to, or NULL
 * Return: the socket, non-blocking; or negative errno.
 */
int door_socket(int sock, int type, bool v6, const struct net_addr *at, uint16_t port);

#endif
