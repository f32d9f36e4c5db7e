/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is on a device of 1 MiB: pieces of it, each behind three bytes that say
 * where and one that says how long, so that short inputs reach every place that
 * is looked at.  What is found can be wiped, and is gone then.
 */
#include <string.h>

#include "lib/arena.h"
#include "lib/blkid.h"
#include "lib/bytes.h"
#include "lib/io.h"
#include "tests/fuzz/fuzz.h"

#define ROOM ((uint64_t)MiB)

static void fill(struct io *io, const uint8_t *p, size_t size)
{
	while (size > 4) {
		uint64_t at = ((uint64_t)p[0] << 16 | (uint64_t)p[1] << 8 | p[2]) % ROOM;
		size_t n = p[3] < size - 4 ? p[3] : size - 4;

		n = n < ROOM - at ? n : (size_t)(ROOM - at);
		CHECK(!io_write(io, at, p + 4, n));
		p += 4 + n;
		size -= 4 + n;
	}
}

static void sound(const struct blkid_sign *v, size_t n)
{
	CHECK(n <= BLKID_MOST);
	for (size_t i = 0; i < n; i++) {
		CHECK(v[i].name[0] && v[i].what[0] && v[i].at < ROOM);
		CHECK(v[i].wipe_len && range_ok(v[i].wipe_at, v[i].wipe_len, ROOM));
		CHECK(!i || v[i - 1].at <= v[i].at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct io *io = io_mem(ROOM, ROOM);
	struct blkid_sign *v = NULL, *again = NULL;
	struct arena a = { 0 };
	const char *what;
	size_t n, left;

	fill(io, data, size);
	CHECK(!blkid_find(io, &what));
	CHECK(!blkid_probe(io, &a, &v, &n));
	sound(v, n);
	CHECK(!blkid_wipe(io, v, n));
	CHECK(!blkid_probe(io, &a, &again, &left));
	sound(again, left);
	for (size_t i = 0; i < left; i++)
		for (size_t k = 0; n < BLKID_MOST && k < n; k++)
			CHECK(again[i].at != v[k].at || strcmp(again[i].name, v[k].name));
	arena_free(&a);
	io_close(io);
	return 0;
}
