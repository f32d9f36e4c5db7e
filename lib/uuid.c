/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/uuid.h"

/* The value of a hexadecimal digit, or -1. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_dash_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

/* How many characters of s, at most n, are as in a UUID? */
static size_t matching(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < UUID_LEN; i++)
		if (is_dash_at(i) ? s[i] != '-' : digit(s[i]) < 0)
			break;
	return i;
}

bool uuid_is(const char *s)
{
	return matching(s, UUID_LEN) == UUID_LEN && !s[UUID_LEN];
}

int uuid_parse_n(struct uuid *u, const char *s, size_t n)
{
	if (n != UUID_LEN || matching(s, n) != UUID_LEN)
		return -E_UUID;
	for (size_t i = 0; i < UUID_LEN; i++)
		u->s[i] = s[i] >= 'A' && s[i] <= 'F' ? (char)(s[i] - 'A' + 'a') : s[i];
	u->s[UUID_LEN] = '\0';
	return 0;
}

int uuid_parse(struct uuid *u, const char *s)
{
	return uuid_parse_n(u, s, strnlen(s, UUID_LEN + 1));
}

void uuid_bytes(const struct uuid *u, uint8_t b[16])
{
	size_t n = 0;

	memset(b, 0, 16);
	if (!uuid_is(u->s))
		return;
	for (size_t i = 0; i < UUID_LEN; i++) {
		if (is_dash_at(i))
			continue;
		b[n / 2] = (uint8_t)(b[n / 2] << 4 | digit(u->s[i]));
		n++;
	}
}

void uuid_from_bytes(struct uuid *u, const uint8_t b[16])
{
	static const char hex[16] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < UUID_LEN; i++) {
		if (is_dash_at(i)) {
			u->s[i] = '-';
			continue;
		}
		u->s[i] = hex[n % 2 ? b[n / 2] & 15 : b[n / 2] >> 4];
		n++;
	}
	u->s[UUID_LEN] = '\0';
}

void uuid_from_random(struct uuid *u, const uint8_t random[16])
{
	uint8_t b[16];

	memcpy(b, random, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;	/* version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;	/* the variant of RFC 4122 */
	uuid_from_bytes(u, b);
}

bool uuid_is_prefix(const char *s)
{
	size_t n = strnlen(s, UUID_LEN + 1);

	return n >= 8 && n <= UUID_LEN && matching(s, n) == n;
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return !strcmp(a->s, b->s);
}
