/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UUIDs as text: 36 characters, lower case, 8-4-4-4-12.
 *
 * Everything in the program that is called a uuid is this string; images keep
 * the 16 bytes in the order in which the text shows them.
 */
#ifndef LIB_UUID_H
#define LIB_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_LEN 36

struct uuid {
	char s[UUID_LEN + 1];	/* "" = none */
};

/* Is s a UUID in that form? Upper-case digits are accepted here and by parse. */
bool uuid_is(const char *s);
/* -E_UUID unless uuid_is(s); the result is lower case. */
int uuid_parse(struct uuid *u, const char *s);
/* The same for the first n characters of a longer text. */
int uuid_parse_n(struct uuid *u, const char *s, size_t n);
/* All zero when u is none. */
void uuid_bytes(const struct uuid *u, uint8_t b[16]);
void uuid_from_bytes(struct uuid *u, const uint8_t b[16]);
/* Sixteen random bytes become a version 4 UUID. */
void uuid_from_random(struct uuid *u, const uint8_t random[16]);
/* Is s a prefix that may stand for a UUID: at least 8 characters of one? */
bool uuid_is_prefix(const char *s);
bool uuid_equal(const struct uuid *a, const struct uuid *b);

#endif
