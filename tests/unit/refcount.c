/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/refcount.h"
#include "tests/unit/t.h"

TEST(refcount_round_trip)
{
	struct refcount c = { .normal = 3, .binary = true };
	char text[REFCOUNT_TEXT];
	int n = refcount_encode(&c, text);

	EQ(n, 4);
	MEM_EQ(text, "3 1\n", 4);
	c = (struct refcount){ 0 };
	refcount_decode((struct view){ text, 4 }, &c);
	EQ(c.normal, 3);
	OK(c.binary);
	c = (struct refcount){ 0 };
	EQ(refcount_encode(&c, text), 0);
}

TEST(refcount_of_garbage_is_nothing)
{
	static const char *const bad[] = {
		"", "\n", "1", "1 ", "x 1\n", "-1 1\n", "1 1 1\n", "99999999999 1\n",
		"1 1\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
	};
	struct refcount c;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		refcount_decode((struct view){ bad[i], strlen(bad[i]) }, &c);
		EQ(c.normal, 0);
		OK(!c.binary);
	}
	refcount_decode((struct view){ "0 1", 3 }, &c);
	OK(c.binary);
}
