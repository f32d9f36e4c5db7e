/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/utf8.h"

#define REPLACEMENT 0xfffd

size_t utf8_decode(const char *s, size_t n, uint32_t *cp)
{
	/* The least that needs so many bytes: anything below is overlong. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *b = (const uint8_t *)s;
	size_t len;
	uint32_t c;

	if (!n)
		return 0;
	if (b[0] < 0x80) {
		*cp = b[0];
		return 1;
	}
	len = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
	if (b[0] < 0xc2 || b[0] > 0xf4 || n < len)
		return 0;
	c = b[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return len;
}

size_t utf8_encode(char out[4], uint32_t cp)
{
	size_t len = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	if (len == 1) {
		out[0] = (char)cp;
		return 1;
	}
	for (size_t i = len - 1; i; i--, cp >>= 6)
		out[i] = (char)(0x80 | (cp & 0x3f));
	out[0] = (char)(0xf0u << (4 - len) | cp);
	return len;
}

void utf8_put(struct buf *b, uint32_t cp)
{
	char s[4];

	buf_add(b, s, utf8_encode(s, cp));
}

size_t utf8_good(const char *s, size_t n)
{
	size_t at = 0, len;
	uint32_t cp;

	while ((len = utf8_decode(s + at, n - at, &cp)))
		at += len;
	return at;
}

void utf8_fix(struct buf *b, const char *s, size_t n)
{
	for (;;) {
		size_t good = utf8_good(s, n);

		buf_add(b, s, good);
		if (good == n)
			return;
		utf8_put(b, REPLACEMENT);
		s += good + 1;
		n -= good + 1;
	}
}

bool xml_char_ok(uint32_t cp)
{
	if (cp < 0x20)
		return cp == '\t' || cp == '\n' || cp == '\r';
	return cp < 0xd800 || (cp > 0xdfff && cp != 0xfffe && cp != 0xffff && cp <= 0x10ffff);
}

struct range { uint32_t from, to; };

/* The blocks of marks that combine with the letter before, and zero widths. */
static const struct range zero[] = {
	{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x5bf, 0x5bf },
	{ 0x5c1, 0x5c2 }, { 0x5c4, 0x5c5 }, { 0x610, 0x61a }, { 0x64b, 0x65f },
	{ 0x670, 0x670 }, { 0x6d6, 0x6dc }, { 0x6df, 0x6e4 }, { 0x93c, 0x93c },
	{ 0x94d, 0x94d }, { 0xe31, 0xe31 }, { 0xe34, 0xe3a }, { 0xe47, 0xe4e },
	{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
	{ 0x2060, 0x206f }, { 0x20d0, 0x20f0 }, { 0x302a, 0x302d }, { 0x3099, 0x309a },
	{ 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef },
};

/* East Asian Width W and F, and the emoji that terminals draw as such. */
static const struct range wide[] = {
	{ 0x1100, 0x115f }, { 0x231a, 0x231b }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf },
	{ 0xa960, 0xa97f }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },
	{ 0xff01, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff },
	{ 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
};

static bool is_in(const struct range *r, size_t n, uint32_t cp)
{
	for (size_t i = 0; i < n && cp >= r[i].from; i++)
		if (cp <= r[i].to)
			return true;
	return false;
}

unsigned utf8_width(uint32_t cp)
{
	if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
		return 0;
	if (cp < 0x300)
		return 1;
	if (is_in(zero, ARRAY_SIZE(zero), cp))
		return 0;
	return is_in(wide, ARRAY_SIZE(wide), cp) ? 2 : 1;
}

/* Walk until a character would pass the limit; says how far it came. */
static size_t walk(const char *s, size_t limit, size_t *columns)
{
	size_t n = strlen(s), at = 0;

	for (*columns = 0; at < n;) {
		uint32_t cp = REPLACEMENT;
		size_t len = utf8_decode(s + at, n - at, &cp);
		unsigned w = utf8_width(cp);

		if (w > limit - *columns)
			break;
		*columns += w;
		at += len ? len : 1;
	}
	return at;
}

size_t utf8_columns(const char *s)
{
	size_t columns;

	walk(s, SIZE_MAX, &columns);
	return columns;
}

size_t utf8_fit(const char *s, size_t columns)
{
	size_t used;

	return walk(s, columns, &used);
}

/* Turns the writing, or breaks the line, and cannot be seen. */
static bool is_trick(uint32_t cp)
{
	return cp == 0x61c || cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069);
}

void utf8_show(struct buf *b, const char *s)
{
	size_t n = strlen(s), len;

	for (; n; s += len, n -= len) {
		uint32_t cp;

		len = utf8_decode(s, n, &cp);
		if (!len || cp < 0x20 || cp == 0x7f) {
			buf_printf(b, "\\x%02x", (uint8_t)*s);
			len = 1;
		} else if (is_trick(cp) || (cp >= 0x80 && cp < 0xa0)) {
			utf8_put(b, REPLACEMENT);
		} else {
			buf_add(b, s, len);
		}
	}
}
