/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/text/size.h"

#define FRACTION_MAX 50		/* digits: more than 2^-50, a byte of a PiB, has */

static const char units[] = "BKMGTPE";

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "", "B", "K" or "KiB" and so on: the power of two it stands for, or -1. */
static int unit_shift(const char *s)
{
	const char *u;

	while (*s == ' ')
		s++;
	if (!*s || !strcasecmp(s, "B"))
		return 0;
	u = strchr("KMGTP", *s & ~32);
	if (!u || !*u || (s[1] && strcasecmp(s + 1, "iB")))
		return -1;
	return 10 * (int)(strchr(units, *u) - units);
}

/*
 * 0.DIGITS times 2^shift, digit by digit: what each doubling carries over the
 * point is the next bit, and nothing may be left behind it.
 */
static int fraction(const char *s, size_t n, int shift, uint64_t *bytes)
{
	uint8_t d[FRACTION_MAX];

	*bytes = 0;
	while (n && s[n - 1] == '0')
		n--;
	if (n > FRACTION_MAX)
		return -E_SIZE_FRACTION;
	for (size_t i = 0; i < n; i++)
		d[i] = (uint8_t)(s[i] - '0');
	for (; shift; shift--) {
		unsigned carry = 0;

		for (size_t i = n; i--;) {
			carry += d[i] * 2u;
			d[i] = (uint8_t)(carry % 10);
			carry /= 10;
		}
		*bytes = *bytes << 1 | carry;
	}
	return is_zero(d, n) ? 0 : -E_SIZE_FRACTION;
}

int size_parse(const char *s, uint64_t *bytes)
{
	bool negative = *s == '-', fits = true;
	uint64_t whole = 0, part;
	const char *point;
	size_t n = 0;
	int shift, err;

	s += negative;
	if (!is_digit(*s))
		return -E_SIZE;
	for (; is_digit(*s); s++)
		fits = fits && mul_ok(whole, 10, &whole) &&
		       add_ok(whole, (uint64_t)(*s - '0'), &whole);
	point = s;
	if (*s == '.') {
		while (is_digit(s[n + 1]))
			n++;
		s += 1 + n;
	}
	shift = unit_shift(s);
	if (shift < 0 || (*point == '.' && !n))
		return -E_SIZE;
	if (negative)
		return -E_SIZE_NEGATIVE;
	err = fraction(point + 1, n, shift, &part);
	if (err)
		return err;
	if (!fits || !mul_ok(whole, (uint64_t)1 << shift, &whole) ||
	    !add_ok(whole, part, &whole) || whole > INT64_MAX)
		return -E_SIZE_BIG;
	*bytes = whole;
	return 0;
}

char *size_text(char out[SIZE_TEXT], uint64_t bytes)
{
	unsigned u = 0, tenths;
	uint64_t whole, rest;

	while (u < sizeof(units) - 2 && bytes >> 10 * u >= 1024)
		u++;
	whole = bytes >> 10 * u;
	rest = bytes & (((uint64_t)1 << 10 * u) - 1);
	if (!rest) {
		snprintf(out, SIZE_TEXT, u ? "%u %ciB" : "%u %c", (unsigned)whole, units[u]);
		return out;
	}
	/* 60 bits times ten would not fit: ten bits are enough for one digit. */
	rest >>= 10 * (u - 1);
	tenths = (unsigned)(rest * 10 + 512) >> 10;
	whole += tenths / 10;
	if (whole == 1024 && u < sizeof(units) - 2) {
		whole = 1;
		u++;
	}
	snprintf(out, SIZE_TEXT, "%u.%u %ciB", (unsigned)whole, tenths % 10, units[u]);
	return out;
}

char *duration_text(char out[DURATION_TEXT], uint64_t seconds)
{
	static const struct { uint32_t seconds; const char *name; } in[] = {
		{ 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" },
	};
	size_t i = 0;
	uint64_t rest;

	while (i < ARRAY_SIZE(in) - 1 && seconds < in[i].seconds)
		i++;
	rest = seconds % in[i].seconds;
	if (i < ARRAY_SIZE(in) - 1)
		rest /= in[i + 1].seconds;
	if (rest)
		snprintf(out, DURATION_TEXT, "%" PRIu64 " %s %u %s", seconds / in[i].seconds,
			 in[i].name, (unsigned)rest, in[i + 1].name);
	else
		snprintf(out, DURATION_TEXT, "%" PRIu64 " %s", seconds / in[i].seconds, in[i].name);
	return out;
}
