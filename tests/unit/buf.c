/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/buf.h"
#include "tests/unit/t.h"

TEST(buf_is_a_string_at_every_moment)
{
	_buf_free_ struct buf b = { 0 };

	OK(!strcmp(buf_str(&b), ""));
	buf_puts(&b, "");
	OK(!strcmp(b.p, ""));
	for (int i = 0; i < 1000; i++) {
		buf_putc(&b, (char)('a' + i % 26));
		EQ(b.n, i + 1);
		EQ(strlen(b.p), i + 1);
	}
	buf_reset(&b);
	EQ(b.n, 0);
	OK(!strcmp(b.p, ""));
	buf_printf(&b, "%d", 42);
	buf_printf(&b, "%s", "");
	buf_add(&b, NULL, 0);
	buf_add(&b, "\0x", 2);
	EQ(b.n, 4);
	OK(!memcmp(b.p, "42\0x", 5));
}

TEST(buf_printf_longer_than_its_room)
{
	_buf_free_ struct buf b = { 0 };

	for (int i = 0; i < 50; i++)
		buf_printf(&b, "%0*d", i * 10, i);
	EQ(b.n, 10 * (49 * 50 / 2) + 1);
	EQ(strlen(b.p), b.n);
}

TEST(buf_room_is_there_to_be_written)
{
	_buf_free_ struct buf b = { 0 };
	char *p = buf_room(&b, 100000);

	memset(p, 'x', 100000);
	b.n = 100000;
	buf_putc(&b, 'y');
	EQ(b.p[99999], 'x');
	EQ(b.p[100000], 'y');
	EQ(b.p[100001], '\0');
}

TEST(buf_free_twice_is_harmless)
{
	struct buf b = { 0 };

	buf_puts(&b, "x");
	buf_free(&b);
	buf_free(&b);
	buf_reset(&b);
	EQ(b.room, 0);
}
