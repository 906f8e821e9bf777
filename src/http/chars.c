/* SPDX-License-Identifier: Apache-2.0 */
#include "chars.h"

#define VISIBLE (CHAR_VALUE | CHAR_TARGET)
#define TOKEN (VISIBLE | CHAR_TOKEN)
#define NAME (TOKEN | CHAR_HOST)

/* Ranges do not overlap. What is not named may stand nowhere. */
const unsigned char http_chars[256] = {
	['\t'] = CHAR_VALUE,
	[' '] = CHAR_VALUE,
	['!'] = TOKEN,
	['"'] = VISIBLE,
	['#'] = CHAR_VALUE | CHAR_TOKEN,
	['$' ... '\''] = TOKEN,
	['(' ... ')'] = VISIBLE,
	['*' ... '+'] = TOKEN,
	[','] = VISIBLE,
	['-' ... '.'] = NAME,
	['/'] = VISIBLE,
	['0' ... '9'] = NAME | CHAR_DIGIT | CHAR_HEX,
	[':' ... '@'] = VISIBLE,
	['A' ... 'F'] = NAME | CHAR_HEX,
	['G' ... 'Z'] = NAME,
	['[' ... ']'] = VISIBLE,
	['^'] = TOKEN,
	['_'] = NAME,
	['`'] = TOKEN,
	['a' ... 'f'] = NAME | CHAR_HEX,
	['g' ... 'z'] = NAME,
	['{'] = VISIBLE,
	['|'] = TOKEN,
	['}'] = VISIBLE,
	['~'] = TOKEN,
	[0x80 ... 0xff] = CHAR_VALUE,
};
