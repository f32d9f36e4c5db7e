/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/utf8.h"
#include "tests/unit/t.h"

TEST(utf8_every_character_survives_a_round_trip)
{
	size_t bad = 0;

	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		uint32_t got = ~0u;
		char s[4];
		size_t n;

		if (cp >= 0xd800 && cp <= 0xdfff)
			continue;
		n = utf8_encode(s, cp);
		bad += utf8_decode(s, n, &got) != n || got != cp;
		for (size_t cut = 0; cut < n; cut++)
			bad += utf8_decode(s, cut, &got) != 0;
	}
	EQ(bad, 0);
}

TEST(utf8_bad_sequences_are_refused)
{
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
		"\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
		"\xc3(", "\xe2(\xa1", "\xe2\x82(", "\xf0(\x8c\xbc", "\xf0\x90\x8c(", "\xc3", "\xe2\x82",
	};
	uint32_t cp;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EQ(utf8_decode(bad[i], strlen(bad[i]), &cp), 0);
	EQ(utf8_good("abc\xc3\xbc\xff", 6), 5);
	EQ(utf8_good("", 0), 0);
}

TEST(utf8_fix_replaces_byte_by_byte)
{
	_buf_free_ struct buf b = { 0 };

	utf8_fix(&b, "a\xff\xc3\xbc\xe2\x82", 6);
	STR_EQ(buf_str(&b), "a\xef\xbf\xbd\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(utf8_characters_of_xml)
{
	OK(xml_char_ok('\t') && xml_char_ok('\n') && xml_char_ok('\r') && xml_char_ok(' '));
	OK(!xml_char_ok(0) && !xml_char_ok(1) && !xml_char_ok(0x1f) && !xml_char_ok(0xb));
	OK(xml_char_ok(0xd7ff) && !xml_char_ok(0xd800) && !xml_char_ok(0xdfff));
	OK(xml_char_ok(0xe000) && xml_char_ok(0xfffd) && !xml_char_ok(0xfffe));
	OK(!xml_char_ok(0xffff) && xml_char_ok(0x10000) && xml_char_ok(0x10ffff));
	OK(!xml_char_ok(0x110000));
}

TEST(utf8_columns_of_a_terminal)
{
	EQ(utf8_columns("disk"), 4);
	EQ(utf8_columns("D\xc3\xbcse"), 4);			/* ü */
	EQ(utf8_columns("Du\xcc\x88se"), 4);			/* u and a combining mark */
	EQ(utf8_columns("\xe7\xa3\x81\xe7\x9b\x98"), 4);	/* two ideographs */
	EQ(utf8_columns("\xf0\x9f\x98\x80"), 2);
	EQ(utf8_columns("\xe2\x80\x8b"), 0);			/* a space of no width */
	EQ(utf8_columns("a\xff" "b"), 3);
	EQ(utf8_fit("\xe7\xa3\x81\xe7\x9b\x98", 3), 3);
	EQ(utf8_fit("Du\xcc\x88se", 2), 4);
	EQ(utf8_fit("abc", 0), 0);
	EQ(utf8_fit("abc", 9), 3);
}

TEST(utf8_shown_to_a_terminal_is_harmless)
{
	_buf_free_ struct buf b = { 0 };

	utf8_show(&b, "a\x1b[2J\n\t\x7f\xff\xc3\xbc");
	STR_EQ(buf_str(&b), "a\\x1b[2J\\x0a\\x09\\x7f\\xff\xc3\xbc");
	buf_reset(&b);
	/* A C1 control, a right-to-left override, a line separator. */
	utf8_show(&b, "\xc2\x9b|\xe2\x80\xae|\xe2\x80\xa8");
	STR_EQ(buf_str(&b), "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd");
}
