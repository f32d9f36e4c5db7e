/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/bytes.h"
#include "lib/num.h"

bool num_take(const char **s, uint64_t *n)
{
	const char *p = *s;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (!mul_ok(v, 10, &v) || !add_ok(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (p == *s)
		return false;
	*s = p;
	*n = v;
	return true;
}

static void swap(char *a, char *b, size_t size)
{
	while (size--) {
		char c = *a;

		*a++ = *b;
		*b++ = c;
	}
}

/* Let the member at i sink in the heap of the first n. */
static void sink(char *v, size_t i, size_t n, size_t size,
		 int (*order)(const void *a, const void *b))
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && order(v + child * size, v + (child + 1) * size) < 0)
			child++;
		if (order(v + i * size, v + child * size) >= 0)
			return;
		swap(v + i * size, v + child * size, size);
	}
}

void num_sort(void *v, size_t n, size_t size, int (*order)(const void *a, const void *b))
{
	for (size_t i = n / 2; i-- > 0; )
		sink(v, i, n, size, order);
	while (n-- > 1) {
		swap(v, (char *)v + n * size, size);
		sink(v, 0, n, size, order);
	}
}
