/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_KEYS_SECRET_H
#define BAILEY_KEYS_SECRET_H

/** secret_verb() - `bailey-keys secret STATE WORD…`, what `bailey secret` starts; @argv: behind "secret". Return: exit status. */
int secret_verb(char **argv);

#endif
