/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/text/size.h"
#include "tests/unit/t.h"

TEST(size_of_every_form)
{
	static const struct { const char *s; uint64_t n; } good[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "17B", 17 }, { "17 B", 17 }, { "5b", 5 },
		{ "1K", KiB }, { "1k", KiB }, { "1KiB", KiB }, { "1kib", KiB }, { "1 KiB", KiB },
		{ "512M", 512 * MiB }, { "10g", 10 * GiB }, { "2T", 2 * TiB }, { "3TiB", 3 * TiB },
		{ "1P", 1024 * TiB }, { "1.5G", 3 * GiB / 2 }, { "0.5K", 512 }, { "1.0", 1 },
		{ "1.000B", 1 }, { "0.25K", 256 }, { "0.0009765625K", 1 }, { "007M", 7 * MiB },
		{ "9223372036854775807", INT64_MAX }, { "8191P", 8191 * 1024 * TiB },
		{ "0.00000000000000088817841970012523233890533447265625P", 1 },
	};
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		n = ~good[i].n;
		if (!EQ(size_parse(good[i].s, &n), 0) || !EQ(n, good[i].n))
			printf("# in %s\n", good[i].s);
	}
}

TEST(size_errors_tell_why)
{
	static const struct { const char *s; int err; } bad[] = {
		{ "", E_SIZE }, { "K", E_SIZE }, { "x", E_SIZE }, { " 1", E_SIZE }, { "+1", E_SIZE },
		{ ".5G", E_SIZE }, { "1.", E_SIZE }, { "1.G", E_SIZE }, { "1..5G", E_SIZE },
		{ "1.5.5G", E_SIZE }, { "1KB", E_SIZE }, { "1Ki", E_SIZE }, { "1KiBs", E_SIZE },
		{ "1E", E_SIZE }, { "1X", E_SIZE }, { "1G ", E_SIZE }, { "1 G 5", E_SIZE },
		{ "0x10", E_SIZE }, { "1e6", E_SIZE }, { "1,5G", E_SIZE }, { "1\xffG", E_SIZE },
		{ "-", E_SIZE }, { "-x", E_SIZE }, { "--1", E_SIZE },
		{ "-1", E_SIZE_NEGATIVE }, { "-1G", E_SIZE_NEGATIVE }, { "-0", E_SIZE_NEGATIVE },
		{ "1.5", E_SIZE_FRACTION }, { "1.3K", E_SIZE_FRACTION }, { "0.1B", E_SIZE_FRACTION },
		{ "0.0000000000000000000000000000000000000000000000000000001P", E_SIZE_FRACTION },
		{ "9223372036854775808", E_SIZE_BIG }, { "8192P", E_SIZE_BIG },
		{ "18446744073709551616", E_SIZE_BIG }, { "18446744073709551615P", E_SIZE_BIG },
		{ "99999999999999999999999999999999999999", E_SIZE_BIG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t n = 7;

		if (!EQ(size_parse(bad[i].s, &n), -bad[i].err) || !EQ(n, 7))
			printf("# in %s\n", bad[i].s);
	}
}

TEST(size_for_people)
{
	static const struct { uint64_t n; const char *s; } of[] = {
		{ 0, "0 B" }, { 17, "17 B" }, { 1023, "1023 B" }, { 1024, "1 KiB" },
		{ 1025, "1.0 KiB" }, { 1536, "1.5 KiB" }, { 512 * MiB, "512 MiB" },
		{ 3328599655, "3.1 GiB" }, { 2 * GiB, "2 GiB" }, { 2 * GiB + 1, "2.0 GiB" },
		{ MiB - 1, "1.0 MiB" }, { GiB - 1, "1.0 GiB" }, { 1023 * MiB, "1023 MiB" },
		{ 1023 * KiB + 900, "1023.9 KiB" }, { 3 * TiB / 2, "1.5 TiB" },
		{ 1024 * TiB, "1 PiB" }, { INT64_MAX, "8.0 EiB" }, { UINT64_MAX, "16.0 EiB" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		STR_EQ(SIZE_STR(of[i].n), of[i].s);
}

TEST(size_exact_text_parses_back)
{
	uint64_t got;

	for (uint64_t n = 1; n < INT64_MAX / 3; n += n / 3 + 1) {
		uint64_t exact = n < KiB ? n : n & ~(uint64_t)0 << (63 - __builtin_clzll(n)) / 10 * 10;

		EQ(size_parse(SIZE_STR(exact), &got), exact < KiB * KiB * KiB * KiB * KiB * KiB ? 0 : -E_SIZE);
		if (exact < KiB * KiB * KiB * KiB * KiB * KiB)
			EQ(got, exact);
	}
}

TEST(size_durations)
{
	static const struct { uint64_t n; const char *s; } of[] = {
		{ 0, "0 s" }, { 42, "42 s" }, { 60, "1 min" }, { 125, "2 min 5 s" }, { 3600, "1 h" },
		{ 3659, "1 h" }, { 12000, "3 h 20 min" }, { 86399, "23 h 59 min" }, { 86400, "1 d" },
		{ 12 * 86400 + 4 * 3600 + 59, "12 d 4 h" }, { UINT64_MAX, "213503982334601 d 7 h" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		STR_EQ(DURATION_STR(of[i].n), of[i].s);
}
