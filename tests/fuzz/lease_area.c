/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The area of locks on a device that somebody else wrote to.  The input is a list of
 *
 *	row, cell, what is made right (1 magic and sum, 2 disk, 4 host, 8 a held lock), how many bytes, bytes
 *
 * and one host joins, takes the lock, renews it, gives it back; whoever is in its way is dead or not.
 */
#include <errno.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/io_test.h"
#include "lib/lease_area.h"
#include "tests/fuzz/fuzz.h"

static const struct uuid disk = { "2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21" };
static const struct uuid hosts[] = {
	{ "aaaaaaaa-0000-4000-8000-000000000001" }, { "aaaaaaaa-0000-4000-8000-000000000002" },
};
static uint64_t clock_ns, draws;
static size_t records;

static uint64_t now(void *arg) { return clock_ns; }
static uint64_t draw(void *arg) { return ++draws; }
static void pass(void *arg, uint64_t ns) { clock_ns += ns; }
static int dead(void *arg, const struct lease *l) { return *(const uint8_t *)arg & 1; }

static void mend(uint8_t *record, uint8_t how)
{
	struct lease l = { .state = LEASE_HELD, .vdi = disk, .term = 30 };
	uint8_t right[LEASE_BYTES];
	be32 sum = { { 0 } };

	l.host = hosts[how >> 4 & 1];
	lease_encode(&l, right);
	if (how & 2)
		memcpy(record + 64, right + 64, 16);
	if (how & 4)
		memcpy(record + 80, right + 80, 16);
	if (how & 8)
		memcpy(record + 12, right + 12, 4);
	if (how & 1) {
		memcpy(record, right, 8);
		memcpy(record + 8, &sum, sizeof(sum));
		sum = be32_put(crc32_zlib(0, record, LEASE_BYTES));
		memcpy(record + 8, &sum, sizeof(sum));
	}
}

static void scribble(struct io *io, const uint8_t *data, size_t size)
{
	while (size > 4) {
		uint8_t record[LEASE_BYTES] = { 0 };
		size_t n = data[3] < size - 4 ? data[3] : size - 4;
		uint64_t at;

		memcpy(record, data + 4, n);
		mend(record, data[2]);
		at = (uint64_t)(data[0] % LEASE_ROWS) * LEASE_CELLS + data[1] % LEASE_CELLS;
		CHECK(!io_write(io, at * LEASE_CELL, record, sizeof(record)));
		data += 4 + n;
		size -= 4 + n;
	}
}

static void count(void *arg, const struct lease *l, int err)
{
	records++;
	CHECK(err || (memchr(l->owner, 0, sizeof(l->owner)) && memchr(l->verb, 0, sizeof(l->verb))));
}

/* What we hold nobody else has, and what we gave back nobody of us. */
static void use(struct lease_area *a, struct lease *held)
{
	struct lease was, is;

	if (lease_area_read(a, &disk, &was) || lease_area_swap(a, &was, held))
		return;
	CHECK(!lease_area_read(a, &disk, &is) && is.state == LEASE_HELD && uuid_equal(&is.host, &a->host));
	CHECK(is.generation > was.generation || !was.generation);
	if (lease_area_renew(a, held))
		return;
	was = *held;
	held->state = LEASE_FREE;
	if (!lease_area_swap(a, &was, held))
		CHECK(!lease_area_read(a, &disk, &is) && is.state != LEASE_HELD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct io *io = io_sparse(LEASE_AREA_BYTES, LEASE_AREA_BYTES, 0);
	struct lease me = { .state = LEASE_HELD, .vdi = disk, .host = hosts[0], .term = 30 };
	struct lease_area a = {
		.io = io, .host = hosts[0], .now = now, .random = draw, .wait = pass, .dead = dead, .arg = (void *)data,
	};

	if (!size) {
		io_close(io);
		return 0;
	}
	clock_ns = 1000000000;
	draws = records = 0;
	CHECK(!lease_area_format(io, data[0] & 2 ? &me : NULL));
	scribble(io, data + 1, size - 1);
	lease_area_check(io);
	lease_area_each(&a, count, NULL);
	CHECK(records <= LEASE_ROWS * LEASE_CELLS);
	if (!lease_area_join(&a, &me)) {
		CHECK(a.row > 0 || data[0] & 2);
		CHECK(a.row < LEASE_ROWS);
		use(&a, &me);
		lease_area_forget(&a, &disk);
	}
	io_close(io);
	return 0;
}
