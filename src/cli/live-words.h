/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor of a sandbox that stays is started with (LIVE_FD_WORDS): written by who starts it, read by it. */
#ifndef BAILEY_CLI_LIVE_WORDS_H
#define BAILEY_CLI_LIVE_WORDS_H

#include "named.h"

/* Before the words of the command line. CHANGES: of the network, as JSON, or ""; SERVICES: as services_set() wants them, or ""; BLOCK: of ids, 0: none */
enum live_word {
	LIVE_WORD_CWD,
	LIVE_WORD_NAME,
	LIVE_WORD_ID,
	LIVE_WORD_BLOCK,
	LIVE_WORD_CHANGES,
	LIVE_WORD_SERVICES,
	LIVE_WORDS
};

/** live_words_write() - those of @box in a file of memory. Return: it, or negative errno. */
int live_words_write(const struct named_box *box);

/** live_words_services() - append what services_set() takes. */
void live_words_services(const struct json_node *list, const char *generation, struct buf *b);

/** live_words_read() - our own. @b: has their text; @ret: a vector of at least LIVE_WORDS, to be freed. Return: 0 or negative errno with @e. */
int live_words_read(struct buf *b, char ***ret, struct err *e);

#endif
