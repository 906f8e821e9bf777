/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh.h"

#include <stdint.h>
#include <string.h>

#include "util/util.h"

#define MSG_DISCONNECT 1u
#define HOST_NOT_ALLOWED_TO_CONNECT 1u
#define BLOCK 8u /* that a packet is a multiple of, while there is no cipher */

static size_t put32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
	return 4;
}

/* Whole UTF-8 sequences, as the RFC wants; what is none, or controls a terminal, is a blank. */
static size_t put_text(unsigned char *p, const char *text)
{
	size_t n = 0, len;

	for (; *text; text += len ? len : 1) {
		const unsigned char *s = (const unsigned char *)text;
		bool blank = *s < ' ' || *s == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);

		len = buf_utf8_len(s);
		if (n + (len ? len : 1) > SSH_REFUSAL_TEXT)
			break;
		if (len == 0 || blank) {
			p[n++] = ' ';
		} else {
			memcpy(p + n, s, len);
			n += len;
		}
	}
	return n;
}

size_t ssh_refusal(const char *text, unsigned char out[SSH_REFUSAL])
{
	static const char hello[] = "SSH-2.0-policy_refusal\r\n";
	unsigned char *packet = out + sizeof(hello) - 1, *p = packet + 5;
	size_t n, padding;

	memcpy(out, hello, sizeof(hello) - 1);
	*p++ = MSG_DISCONNECT;
	p += put32(p, HOST_NOT_ALLOWED_TO_CONNECT);
	n = put_text(p + 4, text);
	p += put32(p, (uint32_t)n) + n;
	p += put32(p, 0); /* no language */
	padding = BLOCK - (size_t)(p - packet) % BLOCK;
	if (padding < 4)
		padding += BLOCK;
	(void)put32(packet, (uint32_t)((size_t)(p - packet) - 4 + padding));
	packet[4] = (unsigned char)padding;
	memset(p, 0, padding);
	return (size_t)(p - out) + padding;
}
