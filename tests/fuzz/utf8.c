/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/utf8.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_buf_free_ struct buf fixed = { 0 }, shown = { 0 };
	struct arena a = { 0 };
	const char *bytes = (const char *)data;
	char *s = arena_strndup(&a, bytes, size);
	size_t good = utf8_good(bytes, size);

	utf8_fix(&fixed, bytes, size);
	CHECK(utf8_good(buf_str(&fixed), fixed.n) == fixed.n);
	CHECK(good < size || (fixed.n == size && (!size || !memcmp(fixed.p, bytes, size))));

	utf8_show(&shown, s);
	CHECK(utf8_good(buf_str(&shown), shown.n) == shown.n);
	for (size_t i = 0; i < shown.n; i++)
		CHECK((unsigned char)shown.p[i] >= 0x20 && shown.p[i] != 0x7f);

	good = utf8_fit(s, 10);
	CHECK(good <= strlen(s));
	s[good] = '\0';
	CHECK(utf8_columns(s) <= 10);
	arena_free(&a);
	return 0;
}
