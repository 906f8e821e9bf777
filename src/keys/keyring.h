/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's keyring in the kernel: it ends with the user's last process, at the latest with the machine's. */
#ifndef BAILEY_KEYS_KEYRING_H
#define BAILEY_KEYS_KEYRING_H

#include <stddef.h>

/** keyring_get() - read @n bytes. Return: 0, -ENOKEY, or negative errno. */
int keyring_get(const char *name, void *ret, size_t n);

/** keyring_put() - keep @n bytes. Return: 0 or negative errno. */
int keyring_put(const char *name, const void *p, size_t n);

#endif
