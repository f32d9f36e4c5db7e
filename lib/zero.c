/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/zero.h"

bool is_all_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t w[8];

	/* A line of the cache at a time; data mostly shows itself in the first. */
	for (; n >= sizeof(w); b += sizeof(w), n -= sizeof(w)) {
		memcpy(w, b, sizeof(w));
		if (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7])
			return false;
	}
	return is_zero(b, n);
}
