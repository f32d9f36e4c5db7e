/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/crc32.h"
#include "tests/unit/t.h"

TEST(crc32_of_zlib_knows_the_standard_answers)
{
	uint8_t all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	EQ(crc32_zlib(0, "", 0), 0);
	EQ(crc32_zlib(0, "123456789", 9), 0xcbf43926);
	EQ(crc32_zlib(0, "The quick brown fox jumps over the lazy dog", 43), 0x414fa339);
	EQ(crc32_zlib(0, all, 256), 0x29058c73);
}

TEST(crc32_of_lvm2_gives_what_lvm2_writes)
{
	static const char vg[] = "vg0 {\nseqno = 1\n}\n";
	uint8_t zero[512] = { 0 };

	EQ(crc32_lvm2(CRC32_LVM2, "", 0), 0xf597a6cf);
	EQ(crc32_lvm2(CRC32_LVM2, zero, 1), 0x0b2e4887);
	EQ(crc32_lvm2(CRC32_LVM2, "a", 1), 0x319b1949);
	EQ(crc32_lvm2(CRC32_LVM2, "123456789", 9), 0x4991cf02);
	EQ(crc32_lvm2(CRC32_LVM2, zero, 508), 0x6702d122);
	EQ(crc32_lvm2(CRC32_LVM2, zero, 512), 0x6790aecb);
	EQ(crc32_lvm2(CRC32_LVM2, vg, 18), 0xe021ccce);
	EQ(crc32_lvm2(CRC32_LVM2, vg, 19), 0x7c3cce7b);
}

/* Byte by byte and bit by bit: the definition, slow and short. */
static uint32_t by_definition(uint32_t c, const uint8_t *p, size_t n)
{
	while (n--) {
		c ^= *p++;
		for (int i = 0; i < 8; i++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
	}
	return c;
}

TEST(crc32_in_pieces_at_any_alignment_is_the_same)
{
	uint8_t data[67];
	uint32_t want, got;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t from = 0; from < 8; from++) {
		for (size_t n = 0; n <= sizeof(data) - from; n++) {
			want = by_definition(CRC32_LVM2, data + from, n);
			EQ(crc32_lvm2(CRC32_LVM2, data + from, n), want);
			got = crc32_lvm2(CRC32_LVM2, data + from, n / 3);
			got = crc32_lvm2(got, data + from + n / 3, n - n / 3);
			EQ(got, want);
			got = crc32_zlib(0, data + from, n / 2);
			got = crc32_zlib(got, data + from + n / 2, n - n / 2);
			EQ(got, crc32_zlib(0, data + from, n));
		}
	}
}

TEST(crc32_of_much_is_the_same_by_whatever_engine_there_is)
{
	static uint8_t data[70000];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
	for (size_t from = 0; from < 20; from++)
		for (size_t less = 0; less < 70; less += 7) {
			size_t n = sizeof(data) - from - less;

			EQ(crc32_lvm2(x, data + from, n), by_definition(x, data + from, n));
		}
	for_each_registered(crc32_engines, e)
		for (size_t n = 64; (*e)->usable() && n <= 1024; n += 64)
			EQ((*e)->sum((uint32_t)n, data + n % 13, n),
			   by_definition((uint32_t)n, data + n % 13, n));
}
