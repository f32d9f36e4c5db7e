/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zstandard: two bytes say how long the answer has to be, the rest is the stream. */
#include <string.h>

#include "lib/qcow2/zstd.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *a, *b;
	size_t n;

	if (size < 2)
		return 0;
	n = (size_t)(data[0] | data[1] << 8) + 1;
	a = malloc(n);
	b = malloc(n / 2 + 1);
	CHECK(a && b);
	/* The same from the beginning, however much is asked for. */
	if (!zstd_decode(data + 2, size - 2, a, n)) {
		CHECK(!zstd_decode(data + 2, size - 2, b, n / 2));
		CHECK(!memcmp(a, b, n / 2));
	}
	free(a);
	free(b);
	return 0;
}
