/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images written in one go, plans of reading, and what a block server asks for. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io_test.h"
#include "lib/vhd/build.h"
#include "lib/vhd/check.h"
#include "lib/zero.h"
#include "tests/unit/vhd_util.h"

#define SIZE (9 * MiB)		/* the last block is half a one */

static void check(struct io *io)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };

	EQ(vhd_check(io, VHD_CHECK_BITMAPS, 0, &f), 0);
	for (size_t i = 0; i < f.n; i++)
		STR_EQ(f.v[i].what, "nothing");
	arena_free(&a);
}

/* 0: zeroes, 1: data throughout, 2: data, a hole of 128 KiB, data. */
static const uint8_t kinds[] = { 1, 0, 2, 1, 2 };

static void fill(uint8_t *p, uint32_t block)
{
	size_t n = (size_t)(block == 4 ? 1 * MiB : 2 * MiB);

	memset(p, kinds[block] ? (int)block + 1 : 0, n);
	if (kinds[block] == 2)
		memset(p + 256 * KiB, 0, 128 * KiB);
}

static int build(struct io *io, const struct vhd_create *how)
{
	uint8_t *unit = calloc(1, VHD_UNIT);
	struct vhd_build *b = NULL;
	int err = vhd_build_start(&b, io, how);

	for (uint32_t i = 0; !err && i < 5; i++) {
		uint32_t block = 4 - i;		/* from the end */
		size_t n = (size_t)(block == 4 ? 1 * MiB : 2 * MiB);
		uint32_t set;
		uint64_t pos;

		fill(unit + VHD_UNIT_DATA, block);
		set = vhd_build_bits(unit + VHD_UNIT_DATA, n, unit + VHD_UNIT_BITS);
		EQ(set, (long long)(n / 512 - (kinds[block] == 2 ? 256 : 0)) * !!kinds[block]);
		if (!set)
			continue;
		err = vhd_build_place(b, block, set == VHD_BLOCK_SECTORS, &pos);
		if (err)
			break;
		EQ(pos % 4096, 0);
		EQ(vhd_build_place(b, block, false, &pos), -EINVAL);
		EQ(io_write(io, pos, unit, VHD_UNIT), 0);
	}
	if (!err)
		err = vhd_build_finish(b);
	vhd_build_free(b);
	free(unit);
	return err;
}

static void compare(struct io *io)
{
	uint8_t *want = calloc(1, 2 * MiB), *got = calloc(1, 2 * MiB);
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	for (uint32_t i = 0; v && i < 5; i++) {
		size_t n = (size_t)(i == 4 ? 1 * MiB : 2 * MiB);

		fill(want, i);
		EQ(vhd_read_alone(v, i * 2 * MiB, got, n), 0);
		MEM_EQ(got, want, n);
		EQ(vhd_in_use(vhd_entry(v, i)), kinds[i] != 0);
	}
	if (v)
		OK(v->batmap.bits[0] == 0x90);		/* blocks 0 and 3 */
	vhd_close(v);
	free(want);
	free(got);
}

TEST(vhd_built_in_one_go_is_sound_and_holds_its_data)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = SIZE, .uuid = { 1 } };
	struct io *io = io_mem(77, 64 * MiB), *lv = io_mem(16 * MiB, 16 * MiB), *window = NULL;
	uint8_t junk[4096];

	EQ(build(io, &how), 0);
	check(io);
	compare(io);
	EQ(io->size, 4 * VHD_UNIT + 512);
	memset(junk, 0xee, sizeof(junk));
	for (uint64_t at = 0; at < lv->size; at += 4096)
		EQ(io_write(lv, at, junk, 4096), 0);
	EQ(io_window(&window, lv, 0, lv->size), 0);
	how.max_size = VHD_MSIZE;
	EQ(build(window, &how), 0);
	check(window);
	compare(window);
	io_close(window);
	EQ(io_window(&window, lv, 0, 9 * MiB), 0);
	EQ(build(window, &how), -E_VHD_NO_ROOM);
	how.type = VHD_FIXED;
	EQ(build(window, &how), -EINVAL);
	io_close(window);
	io_close(lv);
	io_close(io);
}

/* Nothing opens until the last write, in a file or over an old image in a volume. */
TEST(vhd_that_dies_while_built_is_no_image)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = SIZE, .uuid = { 1 } };
	struct io *base = io_mem(16 * MiB, 16 * MiB), *log, *window = NULL;
	struct vhd *v = NULL;

	EQ(io_window(&window, base, 0, base->size), 0);
	EQ(vhd_create(window, &how), 0);
	io_close(window);
	log = io_log(base);
	EQ(io_window(&window, log, 0, log->size), 0);
	how.uuid[0] = 2;
	EQ(build(window, &how), 0);
	for (size_t n = 0; n < io_log_len(log); n++)
		for (uint64_t seed = 0; seed < 3; seed++) {
			struct io *disk = io_log_lose(log, n, seed * 77);
			int err = vhd_open(&v, disk, VHD_HEADERS);

			if (!err)			/* the old one, or all of the new one */
				OK(v->footer.uuid[0] == 1 || n + 4 > io_log_len(log));
			else
				OK(err_kind(err) == -EUCLEAN);
			if (!err)
				vhd_close(v);
			io_close(disk);
		}
	io_close(window);
	io_close(log);
	io_close(base);
}

/* --- plans --------------------------------------------------------------- */

static int parent(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	*f = IMAGE_VHD;
	return io_window(io, arg, 0, ((struct io *)arg)->size);
}

static void put(struct vhd *v, uint64_t at, size_t n, uint8_t value)
{
	uint8_t *p = malloc(n);

	memset(p, value, n);
	EQ(vhd_write(v, at, p, n), 0);
	free(p);
}

static struct io *make(enum vhd_type type, uint8_t id)
{
	struct vhd_create how = {
		.type = type, .size = 8 * MiB, .uuid = { id }, .parent_uuid = { 1 },
		.parent_path = "./p.vhd",
	};
	struct io *io = io_mem(0, 64 * MiB);

	EQ(vhd_create(io, &how), 0);
	return io;
}

TEST(image_plan_covers_short_gaps_and_fetches_what_reading_does)
{
	struct io *p = make(VHD_DYNAMIC, 1), *c = make(VHD_DIFF, 2), *log;
	uint8_t *want = malloc(4 * MiB), *got = malloc(4 * MiB);
	struct image_piece pieces[64];
	struct image *im = NULL;
	struct vhd *v = NULL;
	uint64_t len = 1 * MiB;
	int n;

	EQ(vhd_open(&v, p, VHD_RDWR), 0);
	put(v, 0, 3 * MiB, 1);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	EQ(vhd_open(&v, c, VHD_RDWR), 0);
	for (uint64_t at = 0; at < 64 * KiB; at += 8 * KiB)
		put(v, at, 4096, 2);			/* every other page */
	put(v, 512 * KiB, 4096, 3);
	EQ(vhd_finish(v), 0);
	vhd_close(v);

	log = io_log(c);
	EQ(image_open(&im, log, IMAGE_VHD, 0, parent, p), 0);
	n = image_plan(im, 0, &len, 0, pieces, ARRAY_SIZE(pieces));
	EQ(len, 1 * MiB);
	EQ(n, 11);		/* the child's pages as one, 8 gaps, its last page, what follows */
	EQ(pieces[0].len, 60 * KiB);
	EQ(image_fetch(im, 0, got, pieces, (size_t)n), 0);
	for (size_t i = 0; i < 1 * MiB; i++)
		want[i] = i < 64 * KiB && i / 4096 % 2 == 0 ? 2 : i / 4096 == 128 ? 3 : 1;
	MEM_EQ(got, want, 1 * MiB);
	n = image_plan(im, 0, &len, 0, pieces, 3);
	EQ(n, 3);
	EQ(len, 20 * KiB);
	EQ(image_read(im, 0, got, 4 * MiB), 0);
	memset(want + 1 * MiB, 1, 2 * MiB);
	memset(want + 3 * MiB, 0, 1 * MiB);
	MEM_EQ(got, want, 4 * MiB);
	len = 8 * MiB + 1;
	EQ(image_plan(im, 0, &len, 0, pieces, 3), -E_SHORT);
	image_close(im);
	io_close(p);
	io_close(c);
	free(want);
	free(got);
}

TEST(image_plan_sees_the_holes_of_raw_files)
{
	struct io *io = io_mem(8 * MiB, 8 * MiB);
	struct image_piece pieces[8];
	struct image *im = NULL;
	uint64_t len = 8 * MiB;

	EQ(io_write(io, 4 * MiB, "data", 4), 0);
	EQ(image_open(&im, io, IMAGE_RAW, 0, NULL, NULL), 0);
	EQ(image_plan(im, 0, &len, IMAGE_PLAN_HOLES, pieces, 8), 3);
	OK(pieces[0].kind == IMAGE_ZERO && pieces[0].len == 4 * MiB);
	OK(pieces[1].kind == IMAGE_PLAIN && pieces[1].len == 4096 && pieces[1].pos == 4 * MiB);
	OK(pieces[2].kind == IMAGE_ZERO);
	len = 8 * MiB;
	EQ(image_plan(im, 0, &len, 0, pieces, 8), 1);
	image_close(im);
}

/* --- a block server ------------------------------------------------------ */

TEST(vhd_write_in_parts_shows_the_old_until_it_ends)
{
	struct io *io = make(VHD_DYNAMIC, 1);
	uint8_t b[4096], zero[4096] = { 0 };
	uint64_t len = 3 * MiB, pos;
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_write_begin(v, 4096, &len, &pos), 0);
	EQ(len, 2 * MiB - 4096);
	memset(b, 7, sizeof(b));
	EQ(io_write(io, pos, b, sizeof(b)), 0);
	EQ(vhd_publish(v), 0);
	EQ(vhd_read_alone(v, 4096, b, sizeof(b)), 0);
	MEM_EQ(b, zero, sizeof(b));
	EQ(vhd_write_end(v, 4096, 4096), 0);
	EQ(vhd_read_alone(v, 4096, b, sizeof(b)), 0);
	EQ(b[4095], 7);
	EQ(vhd_publish(v), 0);
	EQ(vhd_finish(v), 0);
	len = 512;
	EQ(vhd_write_begin(v, 8 * MiB, &len, &pos), -EINVAL);
	vhd_close(v);
	check(io);
	io_close(io);
}

TEST(vhd_discard_forgets_whole_blocks_of_a_base_for_good)
{
	struct io *io = make(VHD_DYNAMIC, 1), *diff = make(VHD_DIFF, 2);
	uint8_t b[512], *p = malloc(2 * MiB);
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	put(v, 0, 8 * MiB, 9);
	EQ(vhd_finish(v), 0);
	EQ(v->batmap.bits[0], 0xf0);
	EQ(vhd_discard(v, 512, 6 * MiB), 0);		/* of which 1 and 2 are whole */
	EQ(vhd_allocated(v), 2);
	put(v, 2 * MiB, 512, 3);			/* one of them anew, and partly */
	EQ(vhd_publish(v), 0);
	vhd_close(v);					/* without finishing: a death */
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_read_alone(v, 2 * MiB + 512, p, 1 * MiB), 0);
	OK(is_all_zero(p, 1 * MiB));
	EQ(vhd_read_alone(v, 6 * MiB, b, 512), 0);
	EQ(b[0], 9);
	EQ(vhd_discard(v, 6 * MiB, 2 * MiB), 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	check(io);

	EQ(vhd_open(&v, diff, VHD_RDWR), 0);
	put(v, 0, 2 * MiB, 9);
	EQ(vhd_discard(v, 0, 8 * MiB), 0);		/* the parent would show: nothing */
	EQ(vhd_allocated(v), 1);
	vhd_close(v);
	io_close(io);
	io_close(diff);
	free(p);
}

TEST(zeroes_are_told_from_data_wherever_it_is)
{
	uint8_t b[300] = { 0 };

	for (size_t n = 0; n <= 200; n++) {
		OK(is_all_zero(b + n % 9, n));
		for (size_t i = 0; i < n; i++) {
			b[i + n % 9] = 1;
			if (is_all_zero(b + n % 9, n))
				EQ(i, n);
			b[i + n % 9] = 0;
		}
	}
}
