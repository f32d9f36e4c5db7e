/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Death and power cuts at every write: the image opens, and holds the old or the new. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/vhd/check.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_crash.h"

const uint32_t crash_points[POINTS] = { 0, 1, 8, 100, 4095, 4096, 5000, 8191, 8192, 16383 };

static struct io *new_image(struct io *io, enum vhd_type type, uint8_t id, uint8_t parent)
{
	struct vhd_create how = {
		.type = type, .size = CRASH_SIZE, .uuid = { id }, .parent_path = "./parent.vhd",
		.parent_uuid = { parent },
	};

	EQ(vhd_create(io, &how), 0);
	return io;
}

struct io *crash_image(enum vhd_type type, uint8_t id, uint8_t parent)
{
	return new_image(io_sparse(0, CRASH_ROOM, 0), type, id, parent);
}

struct io *crash_volume(enum vhd_type type, uint8_t id, uint8_t parent)
{
	return new_image(io_sparse(12 * MiB, 12 * MiB, 0xee), type, id, parent);
}

void crash_put(struct vhd *v, uint32_t sector, uint8_t value)
{
	uint8_t b[512];

	memset(b, value, sizeof(b));
	EQ(vhd_write(v, sector * 512ull, b, sizeof(b)), 0);
}

int crash_get(struct vhd *v, uint32_t sector)
{
	uint8_t b[512];

	if (!v || !EQ(vhd_read_alone(v, sector * 512ull, b, sizeof(b)), 0))
		return -1;
	return memcmp(b, b + 1, 511) ? -1 : b[0];
}

void crash_fill(struct io *io, uint32_t first, uint32_t step, uint8_t value)
{
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	for (uint32_t i = first; i < POINTS; i += step)
		crash_put(v, crash_points[i], value);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
}

struct vhd *crash_recover(struct io *io, struct io *journal)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };
	struct vhd *v = NULL;
	int err = vhd_open(&v, io, VHD_RDWR);

	if (err == -E_VHD_POISON && journal) {
		EQ(vhd_revert(io, journal), 0);
		err = vhd_open(&v, io, VHD_RDWR);
	}
	if (err == -E_VHD_FOOTERS) {
		EQ(vhd_repair(io, NULL), 0);
		err = vhd_open(&v, io, VHD_RDWR);
	}
	EQ(err, 0);
	EQ(vhd_check(io, VHD_CHECK_BITMAPS, 0, &f), 0);
	for (size_t i = 0; i < f.n && f.worst == VHD_DAMAGE; i++)
		printf("# %s\n", f.v[i].what);
	OK(f.worst < VHD_DAMAGE);
	arena_free(&a);
	return v;
}

void crash_sweep(const char *what, struct io *log, io_sweep_fn *fn, void *arg, size_t least)
{
	size_t n = io_log_sweep(log, fn, arg);

	if (n < least)
		EQ(n, least);
	t_cuts(what, n);
	io_close(log);
}

/* --- writing ------------------------------------------------------------- */

struct writing {
	size_t flushed;		/* events after which the first half is there for good */
	int below;		/* what shines through where nothing was written */
};

/* There is always a footer at the end, so there is nothing to repair. */
static struct vhd *open_as_it_is(struct io *io)
{
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	vhd_close(v);
	return crash_recover(io, NULL);
}

/* Even points were flushed, odd ones published and finished; every third was there before. */
static void after_write(struct io **disk, size_t n, void *arg)
{
	const struct writing *w = arg;
	struct vhd *v = open_as_it_is(disk[0]);

	for (uint32_t i = 0; v && i < POINTS; i++) {
		int old = i % 3 ? 0 : 11, got = crash_get(v, crash_points[i]);

		if (i % 2 == 0 && n >= w->flushed)
			EQ(got, 22);
		else
			OK(got == old || got == 22);
		/* Its neighbours, which nobody wrote. */
		if (crash_points[i] > 200)
			EQ(crash_get(v, crash_points[i] - 7), 0);
	}
	vhd_close(v);
}

static void die_writing(struct io *base)
{
	struct writing w = { 0 };
	struct vhd *v = NULL;
	struct io *log;

	crash_fill(base, 0, 3, 11);
	log = io_log(base);
	EQ(vhd_open(&v, log, VHD_RDWR), 0);
	for (uint32_t i = 0; i < POINTS; i += 2)
		crash_put(v, crash_points[i], 22);
	EQ(vhd_flush(v), 0);
	w.flushed = io_log_len(log);
	for (uint32_t i = 1; i < POINTS; i += 2)
		crash_put(v, crash_points[i], 22);
	EQ(vhd_publish(v), 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	crash_sweep("vhd write", log, after_write, &w, 60);
	io_close(base);
}

TEST(vhd_file_that_dies_while_written_holds_old_or_new_sectors)
{
	die_writing(crash_image(VHD_DYNAMIC, 1, 0));
	die_writing(crash_image(VHD_DIFF, 1, 2));
}

/* What another tenant left must never show. */
TEST(vhd_volume_that_dies_while_written_holds_old_or_new_sectors)
{
	die_writing(crash_volume(VHD_DYNAMIC, 1, 0));
	die_writing(crash_volume(VHD_DIFF, 1, 2));
}

/* Whole blocks, so that the batmap gets bits, in one that an earlier death left with leftovers. */
static void after_full(struct io **disk, size_t n, void *arg)
{
	struct vhd *v = open_as_it_is(disk[0]);

	for (uint32_t i = 0; v && i < 4; i++)
		for (uint32_t k = 0; k < 4096; k += 273) {
			int got = crash_get(v, i * 4096 + k);

			OK(got == 0 || got == (int)i + 1);
		}
	vhd_close(v);
}

static void write_block(struct vhd *v, uint32_t i, uint8_t value)
{
	uint8_t *p = must_alloc((size_t)VHD_BLOCK);

	memset(p, value, (size_t)VHD_BLOCK);
	EQ(vhd_write(v, i * VHD_BLOCK, p, (size_t)VHD_BLOCK), 0);
	free(p);
}

static void die_filling(struct io *base)
{
	struct vhd *v = NULL;
	struct io *log;

	EQ(vhd_open(&v, base, VHD_RDWR), 0);
	write_block(v, 0, 0xdd);			/* never published */
	vhd_close(v);
	log = io_log(base);
	EQ(vhd_open(&v, log, VHD_RDWR), 0);
	write_block(v, 0, 1);
	write_block(v, 1, 2);
	EQ(vhd_finish(v), 0);
	write_block(v, 3, 4);				/* there is room for one more: it is cut off */
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	crash_sweep("vhd write", log, after_full, NULL, 50);
	io_close(base);
}

TEST(vhd_that_dies_while_blocks_are_filled_believes_no_batmap_too_early)
{
	die_filling(crash_image(VHD_DYNAMIC, 1, 0));
	die_filling(crash_volume(VHD_DYNAMIC, 1, 0));
}

/* --- creating ------------------------------------------------------------ */

struct creating {
	size_t len;
	bool was_one;		/* the volume held an image before */
};

static void after_create(struct io **disk, size_t n, void *arg)
{
	const struct creating *c = arg;
	struct vhd *v = NULL;
	int err = vhd_open(&v, disk[0], 0);

	if (n == c->len)
		OK(v && !v->degraded && !v->differ && v->footer.uuid[0] == 1);
	if (err)
		OK(err_kind(err) == -EUCLEAN);
	if (v && v->footer.uuid[0] != 1)
		OK(c->was_one);
	for (uint32_t i = 0; v && v->footer.uuid[0] == 1 && i < POINTS; i++)
		EQ(crash_get(v, crash_points[i]), 0);
	vhd_close(v);
}

TEST(vhd_that_dies_while_created_is_no_image_or_an_empty_one)
{
	static const enum vhd_type types[] = { VHD_DYNAMIC, VHD_DIFF, VHD_FIXED };

	for (size_t i = 0; i < 3; i++) {
		struct io *file = io_sparse(0, CRASH_ROOM, 0), *log = io_log(file);
		struct io *volume = crash_volume(VHD_DYNAMIC, 9, 0);
		struct creating c = { 0 };

		new_image(log, types[i], 1, 2);
		c.len = io_log_len(log);
		crash_sweep("vhd create", log, after_create, &c, 5);
		io_close(file);

		crash_fill(volume, 0, 1, 7);
		c.was_one = true;
		log = io_log(volume);
		new_image(log, types[i], 1, 2);
		c.len = io_log_len(log);
		crash_sweep("vhd create", log, after_create, &c, 5);
		io_close(volume);
	}
}

/* --- footers, and what else changes in place --------------------------------- */

typedef int change_fn(struct vhd *v);

static void after_change(struct io **disk, size_t n, void *arg)
{
	struct vhd *v = crash_recover(disk[0], NULL);

	EQ(crash_get(v, 100), 7);
	vhd_close(v);
}

static void after_grow(struct io **disk, size_t n, void *arg)
{
	struct vhd *v = crash_recover(disk[0], NULL);

	OK(v && (v->footer.size == CRASH_SIZE || v->footer.size == 2 * CRASH_SIZE));
	EQ(crash_get(v, 100), 7);
	if (v && v->footer.size > CRASH_SIZE)
		EQ(crash_get(v, CRASH_SIZE / 512), 0);
	vhd_close(v);
}

static void after_reset(struct io **disk, size_t n, void *arg)
{
	const size_t *len = arg;
	struct vhd *v = crash_recover(disk[0], NULL);

	for (uint32_t i = 0; v && i < POINTS; i++) {
		int got = crash_get(v, crash_points[i]);

		OK(got == 0 || (got == 7 && n < *len));
	}
	vhd_close(v);
}

static int hide(struct vhd *v)
{
	return vhd_set_hidden(v, true);
}

static int mark(struct vhd *v)
{
	return vhd_set_marker(v, 3);
}

static int grow(struct vhd *v)
{
	return vhd_resize(v, 2 * CRASH_SIZE, NULL);
}

/* The block that is given up is used again at once, with a bitmap of one bit. */
static int discard(struct vhd *v)
{
	int err;

	write_block(v, 0, 7);
	EQ(vhd_finish(v), 0);
	err = vhd_discard(v, 0, CRASH_SIZE);
	crash_put(v, 8, 0);
	return err ? err : vhd_publish(v);
}

static void after_discard(struct io **disk, size_t n, void *arg)
{
	struct vhd *v = crash_recover(disk[0], NULL);

	for (uint32_t i = 0; v && i < POINTS; i++) {
		int got = crash_get(v, crash_points[i]);

		OK(got == 0 || got == 7);
	}
	vhd_close(v);
}

static void die_changing(const char *what, struct io *base, change_fn *change, io_sweep_fn *after)
{
	struct vhd *v = NULL;
	struct io *log;
	size_t len;

	crash_fill(base, 0, 1, 7);
	log = io_log(base);
	EQ(vhd_open(&v, log, VHD_RDWR), 0);
	EQ(change(v), 0);
	vhd_close(v);
	len = io_log_len(log);
	crash_sweep(what, log, after, &len, 4);
	io_close(base);
}

TEST(vhd_that_dies_while_hidden_or_marked_is_as_before_or_that)
{
	die_changing("vhd hide", crash_image(VHD_DYNAMIC, 1, 0), hide, after_change);
	die_changing("vhd hide", crash_volume(VHD_DYNAMIC, 1, 0), hide, after_change);
	die_changing("vhd hide", crash_image(VHD_FIXED, 1, 0), hide, after_change);
	die_changing("vhd mark", crash_image(VHD_DYNAMIC, 1, 0), mark, after_change);
}

TEST(vhd_that_dies_while_it_grows_has_the_old_or_the_new_size)
{
	struct vhd_create how = {
		.type = VHD_DYNAMIC, .size = CRASH_SIZE, .max_size = 4 * CRASH_SIZE, .uuid = { 1 },
	};
	struct io *io = io_sparse(0, CRASH_ROOM, 0), *lv = io_sparse(24 * MiB, 24 * MiB, 0xee);

	EQ(vhd_create(io, &how), 0);
	die_changing("vhd grow", io, grow, after_grow);
	EQ(vhd_create(lv, &how), 0);
	die_changing("vhd grow", lv, grow, after_grow);
	die_changing("vhd grow", crash_image(VHD_FIXED, 1, 0), grow, after_grow);
}

TEST(vhd_that_dies_while_reset_or_discarded_has_lost_some_or_nothing)
{
	die_changing("vhd reset", crash_image(VHD_DIFF, 1, 2), vhd_reset, after_reset);
	die_changing("vhd reset", crash_volume(VHD_DIFF, 1, 2), vhd_reset, after_reset);
	die_changing("vhd discard", crash_image(VHD_DYNAMIC, 1, 0), discard, after_discard);
	die_changing("vhd discard", crash_volume(VHD_DYNAMIC, 1, 0), discard, after_discard);
}

/* --- mending --------------------------------------------------------------- */

/* Repair may die as well; done again it is done. */
static void after_repair(struct io **disk, size_t n, void *arg)
{
	struct vhd *v;

	EQ(vhd_repair(disk[0], NULL), 0);
	v = crash_recover(disk[0], NULL);
	for (uint32_t i = 0; v && i < POINTS; i++)
		EQ(crash_get(v, crash_points[i]), 7);
	vhd_close(v);
}

TEST(vhd_that_dies_while_mended_is_mended_again)
{
	static const struct { uint64_t at; bool end; } hits[] = {
		{ 64, true }, { 64, false }, { 2048 + 20, false },	/* footers, the batmap */
	};

	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		struct io *io = crash_image(VHD_DYNAMIC, 1, 0), *log;

		crash_fill(io, 0, 1, 7);
		EQ(io_write(io, hits[i].end ? io->size - 512 + hits[i].at : hits[i].at, "hit", 3), 0);
		log = io_log(io);
		EQ(vhd_repair(log, NULL), 0);
		crash_sweep("vhd repair", log, after_repair, NULL, 4);
		io_close(io);
	}
}
