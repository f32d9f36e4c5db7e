/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two logs of changed blocks from a stranger, the second behind the first. */
#include <string.h>

#include "lib/arena.h"
#include "lib/cbt/cbt.h"
#include "lib/io.h"
#include "tests/fuzz/fuzz.h"

static int load(struct arena *a, const uint8_t *data, size_t size, struct cbt *c)
{
	struct io *io = io_mem(size, CBT_LOG_MAX + 4096);
	int err = size ? io_write(io, 0, data, size) : 0;

	if (!err)
		err = cbt_read(io, a, c);
	if (!err) {
		uint8_t head[CBT_HEAD];
		struct cbt again;

		cbt_encode(c, head);
		CHECK(!cbt_decode(&again, head, sizeof(head)));
		CHECK(again.size == c->size && again.consistent == c->consistent);
		CHECK(uuid_equal(&again.parent, &c->parent) && uuid_equal(&again.child, &c->child));
		CHECK(!cbt_grow(io, &again, c->size + 8 * CBT_BLOCK) || !cbt_size_ok(c->size + 8 * CBT_BLOCK));
	}
	io_close(io);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct cbt one, two, sum = { 0 };
	size_t used;

	if (!load(&a, data, size, &one)) {
		CHECK(!cbt_add(&a, &sum, &one));
		CHECK(cbt_count(&sum) == cbt_count(&one));
		used = CBT_HEAD + one.n;
		if (!load(&a, data + used, size - used, &two) && !cbt_add(&a, &sum, &two)) {
			CHECK(sum.size == two.size && cbt_count(&sum) >= cbt_count(&two));
			CHECK(strlen(cbt_publish(&a, &sum)) == (sum.n + 2) / 3 * 4);
			cbt_mark_all(&sum);
			CHECK(cbt_count(&sum) == sum.size / CBT_BLOCK + !!(sum.size % CBT_BLOCK));
		}
	}
	arena_free(&a);
	return 0;
}
