/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/uuid.h"
#include "tests/unit/t.h"

static const char text[] = "6f0c2a4e-0123-4abc-89de-f00dfeed0001";

TEST(uuid_reads_one_form_and_no_other)
{
	static const char *const bad[] = {
		"", "6f0c2a4e", "6f0c2a4e01234abc89def00dfeed0001",
		"6f0c2a4e-0123-4abc-89de-f00dfeed000", "6f0c2a4e-0123-4abc-89de-f00dfeed00011",
		"6f0c2a4e-0123-4abc-89de-f00dfeed000g", "6f0c2a4e-01234-abc-89de-f00dfeed0001",
		" f0c2a4e-0123-4abc-89de-f00dfeed0001", "{6f0c2a4e-0123-4abc-89de-f00dfeed00}",
		"6f0c2a4e-0123-4abc-89de-f00dfeed000\n", "../../../../../../../../etc/passwd-a",
	};
	struct uuid u = { "untouched" };

	OK(uuid_is(text));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		OK(!uuid_is(bad[i]));
		EQ(uuid_parse(&u, bad[i]), -E_UUID);
	}
	OK(!strcmp(u.s, "untouched"));
	EQ(uuid_parse(&u, "6F0C2A4E-0123-4ABC-89DE-F00DFEED0001"), 0);
	OK(!strcmp(u.s, text));
	EQ(uuid_parse_n(&u, "6f0c2a4e-0123-4abc-89de-f00dfeed0001.vhd", 36), 0);
	EQ(uuid_parse_n(&u, text, 35), -E_UUID);
	EQ(uuid_parse_n(&u, "6f0c2a4e-0123-4abc-89de-f00dfeed0001.vhd", 37), -E_UUID);
}

TEST(uuid_bytes_stand_in_the_order_of_the_text)
{
	static const uint8_t want[16] = {
		0x6f, 0x0c, 0x2a, 0x4e, 0x01, 0x23, 0x4a, 0xbc,
		0x89, 0xde, 0xf0, 0x0d, 0xfe, 0xed, 0x00, 0x01,
	};
	struct uuid u = { "" }, back;
	uint8_t b[16];

	uuid_bytes(&u, b);
	OK(!memcmp(b, (uint8_t[16]){ 0 }, 16));
	EQ(uuid_parse(&u, text), 0);
	uuid_bytes(&u, b);
	OK(!memcmp(b, want, 16));
	uuid_from_bytes(&back, b);
	OK(!strcmp(back.s, text));
	OK(uuid_equal(&u, &back));
	back.s[35] = '2';
	OK(!uuid_equal(&u, &back));
}

TEST(uuid_from_random_is_version_4)
{
	uint8_t b[16];
	struct uuid u;

	memset(b, 0xff, sizeof(b));
	uuid_from_random(&u, b);
	OK(!strcmp(u.s, "ffffffff-ffff-4fff-bfff-ffffffffffff"));
	memset(b, 0, sizeof(b));
	uuid_from_random(&u, b);
	OK(!strcmp(u.s, "00000000-0000-4000-8000-000000000000"));
}

TEST(uuid_prefix_needs_eight_characters_of_a_uuid)
{
	OK(uuid_is_prefix("6f0c2a4e"));
	OK(uuid_is_prefix("6F0c2a4e-"));
	OK(uuid_is_prefix("6f0c2a4e-01"));
	OK(uuid_is_prefix(text));
	OK(!uuid_is_prefix("6f0c2a4"));
	OK(!uuid_is_prefix(""));
	OK(!uuid_is_prefix("6f0c2a4e0"));
	OK(!uuid_is_prefix("my-disks-name"));
	OK(!uuid_is_prefix("6f0c2a4e-0123-4abc-89de-f00dfeed00011"));
}
