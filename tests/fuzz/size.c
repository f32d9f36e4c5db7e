/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/text/size.h"
#include "tests/fuzz/fuzz.h"

/* What a person is shown lies within half a tenth of what is meant. */
static void shown(uint64_t n)
{
	const char *s = SIZE_STR(n);
	uint64_t back, off;

	CHECK(strlen(s) < SIZE_TEXT);
	CHECK(strlen(DURATION_STR(n)) < DURATION_TEXT);
	if (strchr(s, 'E') || size_parse(s, &back))
		return;
	off = back > n ? back - n : n - back;
	CHECK(strchr(s, '.') ? off <= n / 16 : !off);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	uint64_t n, again;
	int err;

	if (size >= sizeof(n)) {
		memcpy(&n, data, sizeof(n));
		shown(n);
	}
	err = size_parse(arena_strndup(&a, (const char *)data, size), &n);
	if (!err) {
		CHECK(n <= INT64_MAX);
		CHECK(!size_parse(arena_printf(&a, "%" PRIu64, n), &again) && n == again);
		shown(n);
	}
	arena_free(&a);
	return 0;
}
