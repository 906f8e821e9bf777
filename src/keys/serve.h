/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_KEYS_SERVE_H
#define BAILEY_KEYS_SERVE_H

/** keys_erase() - from here on what OpenSSL frees is erased, and keys lie in memory that is locked where the limit allows. Should be called first of all. */
void keys_erase(void);

/** keys_serve() - "bailey-keys serve": until the supervisor's end of the channel closes (keys.h). Return: exit status. */
int keys_serve(void);

#endif
