/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_KEYS_SECRET_H
#define BAILEY_KEYS_SECRET_H

#include <stdbool.h>

/**
 * secret_verb() - `bailey-keys secret STATE WORD…`, what `bailey secret` starts.
 * @argv: behind "secret"
 * @later: "secret-later": the sandbox runs, and has a new one from its next start on, which is said
 * Return: exit status.
 */
int secret_verb(char **argv, bool later);

#endif
