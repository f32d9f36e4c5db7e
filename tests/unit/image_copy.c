/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/image_copy.h"
#include "lib/io_keep.h"
#include "lib/io_test.h"
#include "lib/vhd/create.h"
#include "lib/vhd/vhd.h"
#include "tests/unit/t.h"

#define SIZE	(9 * MiB + 1536)	/* four blocks and a half */

static uint8_t want[SIZE], got[SIZE];

/* Data here and there: whole blocks, single sectors, the last bytes. */
static void make_want(void)
{
	static const struct { size_t at, len; } data[] = {
		{ 0, 2 * MiB }, { 2 * MiB + 512, 512 }, { 3 * MiB, 300 * KiB }, { 6 * MiB - 4096, 8192 },
		{ SIZE - 700, 700 },
	};

	memset(want, 0, sizeof(want));
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		for (size_t k = 0; k < data[i].len; k++)
			want[data[i].at + k] = (uint8_t)(k * 7 + i + 1) | 1;
}

static struct image *source(void)
{
	struct io *io = io_mem(SIZE, SIZE);
	struct image *im = NULL;

	make_want();
	EQ(io_write(io, 0, want, SIZE), 0);
	EQ(image_open(&im, io, IMAGE_RAW, 0, NULL, NULL), 0);
	return im;
}

static int copy(struct image *im, struct image_sink *s, unsigned threads, struct image_copy *c)
{
	*c = (struct image_copy){ .from = im, .to = s, .threads = threads };
	return image_copy(c);
}

TEST(image_copy_raw_is_the_same_by_any_number_of_threads)
{
	static const unsigned threads[] = { 0, 1, 4, 99 };

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		struct image *im = source();
		struct io *to = io_mem(SIZE, SIZE);
		struct image_sink s;
		struct image_copy c;

		image_sink_raw(&s, to, true);
		EQ(copy(im, &s, threads[i], &c), 0);
		EQ(io_read(to, 0, got, SIZE), 0);
		MEM_EQ(got, want, SIZE);
		io_close(to);
		image_close(im);
	}
}

TEST(image_copy_clears_what_a_device_held)
{
	struct image *im = source();
	struct io *to = io_mem(SIZE + 4096, SIZE + 4096);
	struct image_sink s;
	struct image_copy c;

	memset(got, 'x', sizeof(got));
	EQ(io_write(to, 0, got, SIZE), 0);
	EQ(io_write(to, SIZE, "behind", 6), 0);
	image_sink_raw(&s, to, false);
	EQ(copy(im, &s, 4, &c), 0);
	EQ(io_read(to, 0, got, SIZE), 0);
	MEM_EQ(got, want, SIZE);
	EQ(io_read(to, SIZE, got, 6), 0);
	MEM_EQ(got, "behind", 6);
	io_close(to);
	image_close(im);
}

/* As a VHD, read back through its own reader; sparse within blocks too. */
TEST(image_copy_vhd_holds_the_same_and_is_sparse)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = SIZE, .uuid = { 1 } };
	struct image *im = source(), *back = NULL;
	struct io *to = io_mem(0, 32 * MiB), *flat;
	struct image_sink s;
	struct image_copy c;
	uint64_t len, pos;

	EQ(image_sink_vhd(&s, to, &how), 0);
	EQ(copy(im, &s, 4, &c), 0);
	EQ(image_sink_vhd_finish(&s), 0);
	image_sink_free(&s);
	image_close(im);
	EQ(image_open(&back, to, IMAGE_VHD, 0, NULL, NULL), 0);
	if (!back)
		return;
	EQ(back->size, SIZE);
	EQ(image_read(back, 0, got, SIZE), 0);
	MEM_EQ(got, want, SIZE);
	/* And from there, one chunk in the memory of the last. */
	flat = io_mem(SIZE, SIZE);
	image_sink_raw(&s, flat, true);
	EQ(copy(back, &s, 0, &c), 0);
	EQ(io_read(flat, 0, got, SIZE), 0);
	MEM_EQ(got, want, SIZE);
	io_close(flat);
	EQ(vhd_allocated(back->levels[0].vhd), 5);
	len = 1;
	EQ(vhd_lookup(back->levels[0].vhd, 5 * MiB, &len, &pos), VHD_BELOW);
	len = 1;
	EQ(vhd_lookup(back->levels[0].vhd, 6 * MiB, &len, &pos), VHD_HERE);
	image_close(back);
}

TEST(image_copy_says_which_side_failed_and_stops)
{
	struct image *im = source();
	struct io *to = io_mem(0, 3 * MiB);	/* a full disk */
	struct image_sink s;
	struct image_copy c;

	image_sink_raw(&s, to, true);
	EQ(copy(im, &s, 0, &c), -ENOSPC);
	OK(!c.is_read);
	EQ(c.at, 2 * MiB);
	EQ(copy(im, &s, 4, &c), -ENOSPC);
	OK(!c.is_read);
	io_close(to);
	im->levels[0].io->size = 1 * MiB;	/* the file was cut meanwhile */
	image_sink_null(&s);
	EQ(copy(im, &s, 4, &c), -E_SHORT);
	OK(c.is_read);
	image_close(im);
}

static int stop_at_once(void *arg, uint64_t done)
{
	++*(int *)arg;
	return -EINTR;
}

TEST(image_copy_ends_when_it_is_told_to)
{
	struct image *im = source();
	int calls = 0;
	struct image_sink s;
	struct image_copy c = {
		.from = im, .to = &s, .threads = 2, .tick = stop_at_once, .arg = &calls,
	};

	image_sink_null(&s);
	EQ(image_copy(&c), -EINTR);
	EQ(calls, 1);
	image_close(im);
}

TEST(image_copy_of_nothing_is_nothing)
{
	struct io *none = io_mem(0, 0), *to = io_mem(0, 0);
	struct image *im = NULL;
	struct image_sink s;
	struct image_copy c;
	uint64_t bytes, chunks;

	EQ(image_open(&im, none, IMAGE_RAW, 0, NULL, NULL), 0);
	image_sink_raw(&s, to, true);
	EQ(copy(im, &s, 4, &c), 0);
	EQ(image_estimate(im, &bytes, &chunks), 0);
	OK(!bytes && !chunks);
	image_close(im);
	im = source();
	EQ(image_estimate(im, &bytes, &chunks), 0);
	EQ(chunks, 5);
	OK(bytes >= 2 * MiB + 300 * KiB && bytes < 3 * MiB);
	image_close(im);
	io_close(to);
}

/* Put what was kept back where it stands; that is all that undoing takes. */
TEST(io_keep_has_the_old_bytes_at_their_old_places)
{
	struct io *of = io_mem(64 * KiB + 100, 1 * MiB), *side = io_mem(0, 1 * MiB), *k;
	uint8_t old[64 * KiB + 100], now[sizeof(old)], kept[sizeof(old)];

	for (size_t i = 0; i < sizeof(old); i++)
		old[i] = (uint8_t)(i * 31 + i / 4096 + 1);
	EQ(io_write(of, 0, old, sizeof(old)), 0);
	k = io_keep(of, side);
	EQ(k->size, sizeof(old));
	EQ(io_write(k, 5000, "new", 3), 0);
	EQ(io_write(k, 5002, "newer", 5), 0);
	EQ(io_write(k, 8190, "over the edge", 13), 0);
	EQ(io_zero(k, 20000, 10), 0);
	EQ(io_resize(k, 60 * KiB), 0);
	EQ(io_write(k, 60 * KiB, "longer again", 12), 0);
	EQ(io_read(k, 5000, now, 7), 0);
	MEM_EQ(now, "nenewer", 7);
	EQ(k->size, of->size);
	EQ(io_flush(k), 0);
	io_close(k);

	/* Block by block: what is not zero on the side goes back. */
	EQ(side->size, sizeof(old));
	EQ(io_resize(of, sizeof(old)), 0);
	EQ(io_read(side, 0, kept, sizeof(kept)), 0);
	for (size_t at = 0; at < sizeof(old); at += IO_KEPT) {
		size_t n = sizeof(old) - at < IO_KEPT ? sizeof(old) - at : IO_KEPT;

		if (!is_zero(kept + at, n))
			EQ(io_write(of, at, kept + at, n), 0);
	}
	EQ(io_read(of, 0, now, sizeof(now)), 0);
	MEM_EQ(now, old, sizeof(old));
	OK(is_zero(kept + 32 * KiB, 4096));
	io_close(of);
	io_close(side);
}
