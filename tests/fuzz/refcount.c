/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of LVs and the texts of use counts: what is a disk, a journal, a parent, a count. */
#include <string.h>

#include "lib/arena.h"
#include "lib/lvhd/name.h"
#include "lib/refcount.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	char *text = arena_strndup(&a, (const char *)data, size), out[REFCOUNT_TEXT];
	struct refcount c, again;
	struct lvhd_name name;
	char *path;
	int n;

	refcount_decode((struct view){ data, size }, &c);
	n = refcount_encode(&c, out);
	CHECK(n >= 0 && n < REFCOUNT_TEXT);
	if (n) {
		refcount_decode((struct view){ out, (size_t)n }, &again);
		CHECK(c.normal == again.normal && c.binary == again.binary);
	}
	lvhd_name_parse(text, &name);
	if (!lvhd_parent_parse(&a, "VG", text, &name)) {
		struct uuid u = name.uuid;

		CHECK(!lvhd_parent_path(&a, "VG", lvhd_name(&a, name.kind, &u), &path));
		CHECK(!lvhd_parent_parse(&a, "VG", path, &name) && uuid_equal(&u, &name.uuid));
	}
	arena_free(&a);
	return 0;
}
