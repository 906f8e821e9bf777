/* SPDX-License-Identifier: Apache-2.0 */
/* Where the watcher of a user and the user's runs find each other. */
#ifndef BAILEY_GUARD_WATCH_PLACE_H
#define BAILEY_GUARD_WATCH_PLACE_H

#include <sys/socket.h>
#include <sys/un.h>

/**
 * watch_place_address() - where the watcher of this mount namespace and root directory listens in @dir.
 * Return: its length, or negative errno.
 */
int watch_place_address(int dir, struct sockaddr_un *a);

/**
 * watch_place_take() - become the watcher there, and remove what watchers that have ended without a farewell left in @dir.
 * @ret_sock: listens, not inherited; @ret_lock: held as long as it is open
 * Return: 0; -EALREADY when there is one; negative errno.
 */
int watch_place_take(int dir, int *ret_sock, int *ret_lock);

/** watch_place_leave() - nobody finds it any more. */
void watch_place_leave(int dir);

#endif
