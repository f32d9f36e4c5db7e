/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/num.h"
#include "tests/unit/t.h"

TEST(num_take_stops_at_what_is_no_digit)
{
	const char *s = "12:345", *big = "18446744073709551616", *none = "-1";
	uint64_t n = 7;

	OK(num_take(&s, &n));
	EQ(n, 12);
	EQ(*s, ':');
	s++;
	OK(num_take(&s, &n));
	EQ(n, 345);
	OK(!*s);
	OK(!num_take(&s, &n));
	OK(!num_take(&big, &n));
	OK(!num_take(&none, &n));
	EQ(n, 345);
}

static int order(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

TEST(num_sort_sorts)
{
	int v[257];

	for (size_t n = 0; n <= 257; n++) {
		unsigned int r = (unsigned int)n;
		bool ok = true;

		for (size_t i = 0; i < n; i++)
			v[i] = (int)((r = r * 1103515245 + 12345) >> 8) % 100;
		num_sort(v, n, sizeof(*v), order);
		for (size_t i = 1; i < n; i++)
			ok &= v[i - 1] <= v[i];
		OK(ok);
	}
}
