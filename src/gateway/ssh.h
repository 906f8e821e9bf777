/* SPDX-License-Identifier: Apache-2.0 */
/* What an SSH server says that refuses at once (RFC 4253). Pure. */
#ifndef BAILEY_GATEWAY_SSH_H
#define BAILEY_GATEWAY_SSH_H

#include <stddef.h>

#define SSH_REFUSAL_TEXT 800u /* bytes of the text that are said */
#define SSH_REFUSAL 900u

/**
 * ssh_refusal() - an identification, and a disconnect message before any key exchange: clients print its text.
 * Control characters become blanks: the text can't make up other lines.
 * Return: bytes of @out that are used.
 */
size_t ssh_refusal(const char *text, unsigned char out[SSH_REFUSAL]);

#endif
