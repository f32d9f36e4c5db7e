/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/bytes.h"
#include "lib/crc32.h"

/*
 * Tables for four bytes at a time: row k holds the remainders of a byte that
 * has k zero bytes behind it.  A remainder of a sum is the sum of remainders,
 * so a whole row follows from its eight single bits.
 */
#define BIT(i, b, v)	((i) >> (b) & 1 ? v : 0u)
#define ROW0(i)	(BIT(i, 0, 0x77073096) ^ BIT(i, 1, 0xee0e612c) ^ BIT(i, 2, 0x076dc419) ^ \
		 BIT(i, 3, 0x0edb8832) ^ BIT(i, 4, 0x1db71064) ^ BIT(i, 5, 0x3b6e20c8) ^ \
		 BIT(i, 6, 0x76dc4190) ^ BIT(i, 7, 0xedb88320))
#define ROW1(i)	(BIT(i, 0, 0x191b3141) ^ BIT(i, 1, 0x32366282) ^ BIT(i, 2, 0x646cc504) ^ \
		 BIT(i, 3, 0xc8d98a08) ^ BIT(i, 4, 0x4ac21251) ^ BIT(i, 5, 0x958424a2) ^ \
		 BIT(i, 6, 0xf0794f05) ^ BIT(i, 7, 0x3b83984b))
#define ROW2(i)	(BIT(i, 0, 0x01c26a37) ^ BIT(i, 1, 0x0384d46e) ^ BIT(i, 2, 0x0709a8dc) ^ \
		 BIT(i, 3, 0x0e1351b8) ^ BIT(i, 4, 0x1c26a370) ^ BIT(i, 5, 0x384d46e0) ^ \
		 BIT(i, 6, 0x709a8dc0) ^ BIT(i, 7, 0xe1351b80))
#define ROW3(i)	(BIT(i, 0, 0xb8bc6765) ^ BIT(i, 1, 0xaa09c88b) ^ BIT(i, 2, 0x8f629757) ^ \
		 BIT(i, 3, 0xc5b428ef) ^ BIT(i, 4, 0x5019579f) ^ BIT(i, 5, 0xa032af3e) ^ \
		 BIT(i, 6, 0x9b14583d) ^ BIT(i, 7, 0xed59b63b))

#define X4(row, i)	row(i), row((i) + 1), row((i) + 2), row((i) + 3)
#define X16(row, i)	X4(row, i), X4(row, (i) + 4), X4(row, (i) + 8), X4(row, (i) + 12)
#define X64(row, i)	X16(row, i), X16(row, (i) + 16), X16(row, (i) + 32), X16(row, (i) + 48)
#define X256(row)	X64(row, 0), X64(row, 64), X64(row, 128), X64(row, 192)

static const uint32_t table[4][256] = {
	{ X256(ROW0) }, { X256(ROW1) }, { X256(ROW2) }, { X256(ROW3) },
};

/* Below this a table is as fast as asking for something better. */
#define LARGE	((size_t)16 << 10)

/* As much of it as an engine takes; how much that was. */
static size_t by_engine(uint32_t *c, const uint8_t *p, size_t n)
{
	n -= n % 64;
	for_each_registered(crc32_engines, e)
		if ((*e)->usable()) {
			*c = (*e)->sum(*c, p, n);
			return n;
		}
	return 0;
}

uint32_t crc32_lvm2(uint32_t c, const void *buf, size_t n)
{
	const uint8_t *p = buf;
	size_t done = n < LARGE ? 0 : by_engine(&c, p, n);

	for (p += done, n -= done; n >= 4; n -= 4, p += 4) {
		c ^= le32_get((le32){ { p[0], p[1], p[2], p[3] } });
		c = table[3][c & 255] ^ table[2][c >> 8 & 255] ^
		    table[1][c >> 16 & 255] ^ table[0][c >> 24];
	}
	for (; n; n--, p++)
		c = table[0][(c ^ *p) & 255] ^ c >> 8;
	return c;
}

uint32_t crc32_zlib(uint32_t crc, const void *p, size_t n)
{
	return ~crc32_lvm2(~crc, p, n);
}
