/* SPDX-License-Identifier: Apache-2.0 */
/* Prose for terminals. */
#ifndef BAILEY_UTIL_TEXT_H
#define BAILEY_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define TEXT_WIDTH 80

/**
 * text_wrap() - append @s, broken between words so that no line is wider than TEXT_WIDTH, and a newline.
 * @column: where the cursor stands
 * @indent: where the following lines begin
 * A newline in @s ends a paragraph.
 */
void text_wrap(struct buf *b, const char *s, size_t column, size_t indent);

/** text_title() - append @s and a newline; @bold: for a terminal. */
void text_title(struct buf *b, const char *s, bool bold);

/** text_shell() - append @s so that a shell reads it as one word, and a terminal obeys nothing in it. */
void text_shell(struct buf *b, const char *s);

#endif
