/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

#include <stdint.h>
#include <string.h>

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2
};

static uint32_t rotate(uint32_t v, unsigned int n)
{
	return v >> n | v << (32 - n);
}

static void block(uint32_t h[8], const unsigned char *p)
{
	uint32_t w[64];
	uint32_t v0 = h[0], v1 = h[1], v2 = h[2], v3 = h[3], v4 = h[4], v5 = h[5], v6 = h[6],
		 v7 = h[7];
	size_t i;

	for (i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
	/* eight variables, which stay in registers: the log writes a line for each connection */
	for (i = 0; i < 64; i++) {
		uint32_t s1 = rotate(v4, 6) ^ rotate(v4, 11) ^ rotate(v4, 25);
		uint32_t s0 = rotate(v0, 2) ^ rotate(v0, 13) ^ rotate(v0, 22);
		uint32_t t1 = v7 + s1 + ((v4 & v5) ^ (~v4 & v6)) + k[i] + w[i];
		uint32_t t2 = s0 + ((v0 & v1) ^ (v0 & v2) ^ (v1 & v2));

		v7 = v6;
		v6 = v5;
		v5 = v4;
		v4 = v3 + t1;
		v3 = v2;
		v2 = v1;
		v1 = v0;
		v0 = t1 + t2;
	}
	h[0] += v0;
	h[1] += v1;
	h[2] += v2;
	h[3] += v3;
	h[4] += v4;
	h[5] += v5;
	h[6] += v6;
	h[7] += v7;
}

void sha256(const void *p, size_t n, unsigned char out[SHA256_SIZE])
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	const unsigned char *b = p;
	unsigned char last[128] = { 0 };
	size_t left = n, end, i;

	for (; left >= 64; left -= 64, b += 64)
		block(h, b);
	if (left > 0)
		memcpy(last, b, left);
	last[left] = 0x80;
	end = left < 56 ? 64 : 128;
	for (i = 0; i < 8; i++)
		last[end - 1 - i] = (unsigned char)((uint64_t)n * 8 >> (8 * i));
	block(h, last);
	if (end == 128)
		block(h, last + 64);
	for (i = 0; i < SHA256_SIZE; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_hex(const void *p, size_t n, char out[2 * SHA256_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[SHA256_SIZE];
	size_t i;

	sha256(p, n, sum);
	for (i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[sum[i] >> 4];
		out[2 * i + 1] = digits[sum[i] & 15];
	}
	out[(size_t)2 * SHA256_SIZE] = '\0';
}
