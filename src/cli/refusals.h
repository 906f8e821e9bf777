/* SPDX-License-Identifier: Apache-2.0 */
/* What a network log has of refusals, for who reads no logs. */
#ifndef BAILEY_CLI_REFUSALS_H
#define BAILEY_CLI_REFUSALS_H

#include <stdint.h>

/**
 * refusals_say() - what was refused, once for each name and reason, and where all of it stands.
 * @own, @heads, @id: as audit_read()
 * @since: lines up to that number are old; 0: none is
 * @word: what 'bailey network log' takes for it
 */
void refusals_say(int own, int heads, const char *id, uint64_t since, const char *word,
		  void (*out)(const char *line));

#endif
