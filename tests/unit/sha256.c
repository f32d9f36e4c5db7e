/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "lib/bytes.h"
#include "tests/unit/sha256.h"
#include "tests/unit/t.h"

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/*
 * Gigabytes go through here, and a third of a sanitizer's whole run was spent on
 * watching it: the sums of the standard's messages are what proves it.
 */
#ifdef __clang__
#define FAST __attribute__((no_sanitize("address", "undefined")))
#else
#define FAST __attribute__((no_sanitize("address", "undefined"), optimize("O2")))
#endif

static inline __attribute__((always_inline)) uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* One step, with the eight words where they stand: turning them costs more than adding. */
#define STEP(a, b, c, d, e, f, g, h, i) do {					\
	uint32_t t1 = (h) + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +		\
		      (((e) & (f)) ^ (~(e) & (g))) + k[i] + w[i];		\
	(d) += t1;								\
	(h) = t1 + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +			\
	      (((a) & (b)) ^ ((a) & (c)) ^ ((b) & (c)));			\
} while (0)

FAST static void mix(struct sha256 *s, const uint8_t *p)
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(v, s->h, sizeof(v));
	for (int i = 0; i < 64; i += 8) {
		STEP(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], i);
		STEP(v[7], v[0], v[1], v[2], v[3], v[4], v[5], v[6], i + 1);
		STEP(v[6], v[7], v[0], v[1], v[2], v[3], v[4], v[5], i + 2);
		STEP(v[5], v[6], v[7], v[0], v[1], v[2], v[3], v[4], i + 3);
		STEP(v[4], v[5], v[6], v[7], v[0], v[1], v[2], v[3], i + 4);
		STEP(v[3], v[4], v[5], v[6], v[7], v[0], v[1], v[2], i + 5);
		STEP(v[2], v[3], v[4], v[5], v[6], v[7], v[0], v[1], i + 6);
		STEP(v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[0], i + 7);
	}
	for (int i = 0; i < 8; i++)
		s->h[i] += v[i];
}

void sha256_start(struct sha256 *s)
{
	*s = (struct sha256){ .h = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	} };
}

void sha256_add(struct sha256 *s, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n) {
		size_t at = s->n % 64, step = 64 - at;

		if (!at && n >= 64) {
			mix(s, b);
			step = 64;
		} else {
			if (step > n)
				step = n;
			memcpy(s->block + at, b, step);
			if (at + step == 64)
				mix(s, s->block);
		}
		s->n += step;
		b += step;
		n -= step;
	}
}

void sha256_end(struct sha256 *s, uint8_t sum[32])
{
	static const uint8_t pad[64] = { 0x80 };
	be64 bits = be64_put(s->n * 8);

	sha256_add(s, pad, 1 + (119 - s->n % 64) % 64);
	sha256_add(s, &bits, sizeof(bits));
	for (int i = 0; i < 8; i++) {
		be32 h = be32_put(s->h[i]);

		memcpy(sum + 4 * i, &h, sizeof(h));
	}
}

void sha256_hex(const uint8_t sum[32], char hex[65])
{
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

TEST(sha256_knows_the_two_messages_of_the_standard)
{
	struct sha256 s;
	uint8_t sum[32];
	char hex[65];

	sha256_start(&s);
	sha256_add(&s, "abc", 3);
	sha256_end(&s, sum);
	sha256_hex(sum, hex);
	OK(!strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	sha256_start(&s);
	sha256_add(&s, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
	sha256_end(&s, sum);
	sha256_hex(sum, hex);
	OK(!strcmp(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
}
