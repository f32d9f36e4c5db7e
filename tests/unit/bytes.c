/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/bytes.h"
#include "tests/unit/t.h"

TEST(bytes_lie_in_the_order_of_their_type)
{
	be64 b = be64_put(0x8182838485868788);
	le64 l = le64_put(0x8182838485868788);

	OK(!memcmp(&b, "\x81\x82\x83\x84\x85\x86\x87\x88", 8));
	OK(!memcmp(&l, "\x88\x87\x86\x85\x84\x83\x82\x81", 8));
	OK(be64_get(b) == 0x8182838485868788);
	OK(le64_get(l) == 0x8182838485868788);
	EQ(be32_get((be32){ { 0xff, 0xfe, 0xfd, 0xfc } }), 0xfffefdfc);
	EQ(le32_get((le32){ { 0xff, 0xfe, 0xfd, 0xfc } }), 0xfcfdfeff);
	EQ(be16_get((be16){ { 0xff, 0xfe } }), 0xfffe);
	EQ(le16_get((le16){ { 0xff, 0xfe } }), 0xfeff);
	EQ(be32_get(be32_put(0x80000001)), 0x80000001);
	EQ(le32_get(le32_put(0x80000001)), 0x80000001);
	EQ(be16_get(be16_put(0x8001)), 0x8001);
	EQ(le16_get(le16_put(0x8001)), 0x8001);
	EQ(_Alignof(be64), 1);
	EQ(sizeof(be64), 8);
}

TEST(bytes_arithmetic_says_when_it_is_wrong)
{
	uint64_t v;

	OK(add_ok(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
	OK(!add_ok(UINT64_MAX, 1, &v));
	OK(mul_ok(1ull << 32, (1ull << 32) - 1, &v));
	OK(!mul_ok(1ull << 32, 1ull << 32, &v));
	OK(round_up_ok(0, 4096, &v) && v == 0);
	OK(round_up_ok(1, 4096, &v) && v == 4096);
	OK(round_up_ok(4096, 4096, &v) && v == 4096);
	OK(round_up_ok(10, 7, &v) && v == 14);
	OK(round_up_ok(UINT64_MAX, 1, &v) && v == UINT64_MAX);
	OK(!round_up_ok(UINT64_MAX - 1, 4096, &v));
}

TEST(bytes_range_within_a_size)
{
	OK(range_ok(0, 0, 0));
	OK(range_ok(10, 0, 10));
	OK(range_ok(0, 10, 10));
	OK(!range_ok(0, 11, 10));
	OK(!range_ok(11, 0, 10));
	OK(!range_ok(UINT64_MAX, 2, 10));
	OK(!range_ok(2, UINT64_MAX, 10));
	OK(range_ok(UINT64_MAX, 0, UINT64_MAX));
}

TEST(bytes_that_are_zero)
{
	uint8_t b[64] = { 0 };

	OK(is_zero(NULL, 0));
	OK(is_zero(b, 1));
	OK(is_zero(b, sizeof(b)));
	for (size_t i = 0; i < sizeof(b); i++) {
		b[i] = 1;
		OK(!is_zero(b, sizeof(b)));
		OK(is_zero(b, i));
		OK(!is_zero(b + i, 1));
		b[i] = 0;
	}
}
