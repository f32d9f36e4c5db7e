/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io_trial.h"
#include "tests/unit/t.h"
#include "tests/unit/vhd_util.h"

#define SIZE	((size_t)5000)
#define MOST	((size_t)9000)

/* Which old bytes somebody was told of. */
struct told {
	uint8_t told[SIZE];
	int err;
};

static int lost(void *arg, struct io *of, uint64_t at, uint64_t len)
{
	struct told *t = arg;

	OK(len && range_ok(at, len, of->size));
	memset(t->told + at, 1, (size_t)len);
	return t->err;
}

/* Any changes: it reads as one on which they are made, and what differs then was told of. */
TEST(io_trial_reads_as_the_change_would_and_tells_what_goes)
{
	struct rnd r = { 7 };

	for (int round = 0; round < 60; round++) {
		struct io *of = io_mem(SIZE, MOST), *real = io_mem(SIZE, MOST), *t;
		uint8_t old[MOST], now[MOST], buf[MOST];
		struct told told = { .err = 0 };
		struct arena a = { 0 };

		for (size_t i = 0; i < SIZE; i++)
			old[i] = (uint8_t)(i * 7 + i / 251 + 1);
		EQ(io_write(of, 0, old, SIZE), 0);
		EQ(io_write(real, 0, old, SIZE), 0);
		of->read_only = true;
		t = io_trial(&a, of, lost, &told);
		for (int step = 0; step < 30; step++) {
			uint64_t at = rnd_below(&r, MOST - 1), len = 1 + rnd_below(&r, 700);

			if (at + len > MOST)
				len = MOST - at;
			if (rnd_below(&r, 6)) {
				memset(buf, (int)rnd_below(&r, 256), (size_t)len);
				EQ(io_write(t, at, buf, (size_t)len), 0);
				EQ(io_write(real, at, buf, (size_t)len), 0);
			} else {
				EQ(io_resize(t, at), 0);
				EQ(io_resize(real, at), 0);
			}
			EQ(t->size, real->size);
			EQ(io_read(t, 0, buf, (size_t)t->size), 0);
			EQ(io_read(real, 0, now, (size_t)t->size), 0);
			MEM_EQ(buf, now, (size_t)t->size);
		}
		EQ(io_flush(t), 0);
		EQ(io_read(of, 0, now, SIZE), 0);
		MEM_EQ(now, old, SIZE);			/* nothing has happened */
		for (size_t i = 0; i < SIZE; i++)
			if (i >= real->size || buf[i] != old[i])
				OK(told.told[i]);
		io_close(t);
		io_close(of);
		io_close(real);
		arena_free(&a);
	}
}

TEST(io_trial_of_a_volume_does_not_grow_and_an_error_ends_it)
{
	struct io *mem = io_mem(SIZE, SIZE), *of, *t;
	struct told told = { .err = 0 };
	struct arena a = { 0 };

	EQ(io_window(&of, mem, 0, 4096), 0);
	t = io_trial(&a, of, lost, &told);
	EQ(io_resize(t, 1000), -EOPNOTSUPP);
	EQ(io_write(t, 4000, "too far", 97), -ENOSPC);
	EQ(io_read(t, 4000, told.told, 97), -E_SHORT);
	EQ(io_write(t, 4095, "x", 1), 0);
	OK(told.told[4095] && !told.told[4094]);
	told.err = -EIO;
	EQ(io_write(t, 0, "x", 1), -EIO);
	io_close(t);
	io_close(of);
	io_close(mem);
	arena_free(&a);
}
