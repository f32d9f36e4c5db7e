/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * What a stranger sent is checked with utf8_good() where it enters.  What we
 * send is repaired with utf8_fix(); what a terminal shows goes through
 * utf8_show(), so that a name can neither move the cursor nor fake a line.
 */
#ifndef LIB_UTF8_H
#define LIB_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* The first character of n bytes: its length, or 0 when it is bad or n is 0. */
size_t utf8_decode(const char *s, size_t n, uint32_t *cp);
/* Its bytes in out; returns how many.  Not for surrogates or above U+10FFFF. */
size_t utf8_encode(char out[4], uint32_t cp);
void utf8_put(struct buf *b, uint32_t cp);

/* How many of the n bytes, from the start, are good: n when all are. */
size_t utf8_good(const char *s, size_t n);
/* Append s; each byte that belongs to no character becomes U+FFFD. */
void utf8_fix(struct buf *b, const char *s, size_t n);

/* Is this a Char of XML 1.0?  No control characters but tab, LF and CR. */
bool xml_char_ok(uint32_t cp);

/* Columns on a terminal: 0 (combining, control), 1, or 2 (East Asian wide). */
unsigned utf8_width(uint32_t cp);
/* Of a whole string; a bad byte counts as the one column of a U+FFFD. */
size_t utf8_columns(const char *s);
/* The bytes of s that fit in so many columns; a character is never cut. */
size_t utf8_fit(const char *s, size_t columns);

/*
 * Append s as a terminal may see it: control characters and bad bytes as \xNN,
 * and characters that turn the direction of writing or break the line, which
 * nobody sees, as U+FFFD.  The result is one line of valid UTF-8.
 */
void utf8_show(struct buf *b, const char *s);

#endif
