/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <time.h>

#include "lib/err.h"
#include "lib/time.h"
#include "tests/unit/t.h"

TEST(time_in_both_forms)
{
	char s[TIME_TEXT_MAX];

	time_text(s, 0);
	OK(!strcmp(s, "1970-01-01T00:00:00Z"));
	time_xapi(s, 0);
	OK(!strcmp(s, "19700101T00:00:00Z"));
	time_text(s, 1795406400);
	OK(!strcmp(s, "2026-11-23T04:00:00Z"));
	time_text(s, 951782400);
	OK(!strcmp(s, "2000-02-29T00:00:00Z"));
	time_text(s, -1);
	OK(!strcmp(s, "1969-12-31T23:59:59Z"));
	time_text(s, INT64_MIN);
	OK(!strcmp(s, "0000-01-01T00:00:00Z"));
	time_text(s, INT64_MAX);
	OK(!strcmp(s, "9999-12-31T23:59:59Z"));
}

TEST(time_survives_a_round_trip_and_agrees_with_the_library)
{
	char s[TIME_TEXT_MAX], want[64];
	int64_t t = -62167219200, got;

	/* A step that meets every month, day and hour in time. */
	for (; t <= 253402300799; t += 86400 * 37 + 3671) {
		time_t lib = t;
		struct tm tm;

		time_text(s, t);
		EQ(time_parse(&got, s), 0);
		EQ(got, t);
		gmtime_r(&lib, &tm);
		snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		OK(!strcmp(s, want));
		time_xapi(s, t);
		EQ(time_parse(&got, s), 0);
		EQ(got, t);
	}
}

TEST(time_of_no_such_day_is_refused)
{
	static const char *const bad[] = {
		"", "2026", "2026-11-23", "2026-11-23T04:00:00ZZ", "2026-11-23 04:00:00Z",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
		"2026-1-01T00:00:00Z", "202-01-01T00:00:00Z", "-026-01-01T00:00:00Z",
		"20260101T000000Z", "2026-0101T00:00:00Z", "202601-01T00:00:00Z",
		"2026-01-01T00:00:00+01", "2026-01-01T00:00:0", " 2026-01-01T00:00:00Z",
	};
	int64_t t = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ(time_parse(&t, bad[i]), -E_TEXT);
	EQ(t, 42);
	EQ(time_parse(&t, "2024-02-29T23:59:59"), 0);
	EQ(time_parse(&t, "20000101T00:00:00"), 0);
	EQ(t, 946684800);
}

TEST(time_of_a_vhd_counts_from_2000)
{
	EQ(time_to_vhd(946684800), 0);
	EQ(time_to_vhd(946684801), 1);
	EQ(time_to_vhd(0), 0);
	EQ(time_to_vhd(INT64_MIN), 0);
	EQ(time_to_vhd(INT64_MAX), UINT32_MAX);
	EQ(time_from_vhd(UINT32_MAX), 946684800 + (int64_t)UINT32_MAX);
	EQ(time_to_vhd(time_from_vhd(UINT32_MAX)), UINT32_MAX);
}
