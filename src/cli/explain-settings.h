/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_CLI_EXPLAIN_SETTINGS_H
#define BAILEY_CLI_EXPLAIN_SETTINGS_H

#include "cli.h"

/** explain_settings_json() - append policy files, patterns, notices and settings without effect, as members of the open object. */
void explain_settings_json(const struct sandbox *s, struct json *j);

/** explain_settings_text() - the same as sections of text; those that are empty are left out. */
void explain_settings_text(const struct sandbox *s, struct buf *b);

#endif
