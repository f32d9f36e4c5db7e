/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Death and power cuts at every write: the image opens, and holds the old or the new. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io_test.h"
#include "lib/vhd/check.h"
#include "lib/vhd/coalesce.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_util.h"

#define SIZE	(8 * MiB)
#define POINTS	ARRAY_SIZE(points)

/* Sectors in which what happened shows: in used and new blocks, at borders, at the end. */
static const uint32_t points[] = { 0, 1, 8, 100, 4095, 4096, 5000, 8191, 8192, 16383 };

typedef void after_fn(struct io *disk, size_t n, void *arg);

/* Every prefix of the log, and every power cut after it, a few times. */
static void sweep(struct io *log, after_fn *fn, void *arg)
{
	OK(io_log_len(log) > 2);
	for (size_t n = 0; n <= io_log_len(log); n++) {
		struct io *disk = io_log_replay(log, n);

		fn(disk, n, arg);
		io_close(disk);
		for (uint64_t seed = 0; seed < 4; seed++) {
			disk = io_log_lose(log, n, seed * 1000 + n * !!seed);
			fn(disk, n, arg);
			io_close(disk);
		}
	}
}

static void put(struct vhd *v, uint32_t sector, uint8_t value)
{
	uint8_t b[512];

	memset(b, value, sizeof(b));
	EQ(vhd_write(v, sector * 512ull, b, sizeof(b)), 0);
}

/* What the sector shows; -1 when its bytes differ among themselves. */
static int get(struct vhd *v, uint32_t sector)
{
	uint8_t b[512];

	if (!EQ(vhd_read_alone(v, sector * 512ull, b, sizeof(b)), 0))
		return -1;
	return memcmp(b, b + 1, 511) ? -1 : b[0];
}

static struct io *new_image(struct io *io, enum vhd_type type, uint8_t id, uint8_t parent)
{
	struct vhd_create how = {
		.type = type, .size = SIZE, .uuid = { id }, .parent_path = "./parent.vhd",
		.parent_uuid = { parent },
	};

	EQ(vhd_create(io, &how), 0);
	return io;
}

static struct io *new_file(enum vhd_type type, uint8_t id, uint8_t parent)
{
	return new_image(io_mem(0, 64 * MiB), type, id, parent);
}

/* What the next verb that opens an image does. */
static struct vhd *recover(struct io *io, struct io *journal)
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
	OK(f.worst < VHD_DAMAGE);
	arena_free(&a);
	return v;
}

/* --- writing ------------------------------------------------------------- */

struct writing {
	size_t flushed;		/* events after which the first half is there for good */
};

static void after_write(struct io *disk, size_t n, void *arg)
{
	const struct writing *w = arg;
	struct vhd *v = recover(disk, NULL);

	for (size_t i = 0; v && i < POINTS; i++) {
		int old = i % 3 ? 0 : 11, got = get(v, points[i]);

		if (i % 2 == 0 && n >= w->flushed)
			EQ(got, 22);
		else
			OK(got == old || got == 22);
	}
	vhd_close(v);
}

static void die_writing(struct io *base, bool volume)
{
	struct writing w;
	struct vhd *v = NULL;
	struct io *log = io_log(base), *on = log;

	if (volume)
		EQ(io_window(&on, log, 0, log->size), 0);
	EQ(vhd_open(&v, on, VHD_RDWR), 0);
	for (size_t i = 0; i < POINTS; i += 2)
		put(v, points[i], 22);
	EQ(vhd_flush(v), 0);
	w.flushed = io_log_len(log);
	for (size_t i = 1; i < POINTS; i += 2)
		put(v, points[i], 22);
	EQ(vhd_publish(v), 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	sweep(log, after_write, &w);
	if (volume)
		io_close(on);
	io_close(log);
}

static void prepare(struct io *io)
{
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	for (size_t i = 0; i < POINTS; i += 3)
		put(v, points[i], 11);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
}

TEST(vhd_file_that_dies_while_written_holds_old_or_new_sectors)
{
	struct io *base = new_file(VHD_DYNAMIC, 1, 0);

	prepare(base);
	die_writing(base, false);
	io_close(base);
}

TEST(vhd_volume_that_dies_while_written_holds_old_or_new_sectors)
{
	struct io *base = io_mem(12 * MiB, 12 * MiB), *volume = NULL;
	uint8_t junk[512];

	memset(junk, 0xee, sizeof(junk));	/* what another tenant left must never show */
	for (uint64_t at = 0; at < base->size; at += 512)
		EQ(io_write(base, at, junk, 512), 0);
	EQ(io_window(&volume, base, 0, base->size), 0);
	new_image(volume, VHD_DYNAMIC, 1, 0);
	prepare(volume);
	io_close(volume);
	die_writing(base, true);
	io_close(base);
}

/* --- creating ------------------------------------------------------------ */

static void after_create(struct io *disk, size_t n, void *arg)
{
	const size_t *len = arg;
	struct vhd *v = NULL;
	int err = vhd_open(&v, disk, 0);

	if (n == *len)
		EQ(v && v->degraded, false);
	if (err)
		OK(err_kind(err) == -EUCLEAN);
	for (size_t i = 0; v && i < POINTS; i++)
		EQ(get(v, points[i]), 0);
	vhd_close(v);
}

TEST(vhd_that_dies_while_created_is_no_image_or_an_empty_one)
{
	struct io *base = io_mem(0, 64 * MiB), *log = io_log(base);
	size_t len;

	new_image(log, VHD_DIFF, 1, 2);
	len = io_log_len(log);
	sweep(log, after_create, &len);
	io_close(log);
	io_close(base);
}

/* --- footers ------------------------------------------------------------- */

static void after_hide(struct io *disk, size_t n, void *arg)
{
	struct vhd *v = recover(disk, NULL);

	EQ(v ? get(v, 100) : -1, 7);
	vhd_close(v);
}

static void after_grow(struct io *disk, size_t n, void *arg)
{
	struct vhd *v = recover(disk, NULL);

	OK(v && (v->footer.size == SIZE || v->footer.size == 2 * SIZE));
	EQ(v ? get(v, 100) : -1, 7);
	if (v && v->footer.size > SIZE)
		EQ(get(v, SIZE / 512), 0);
	vhd_close(v);
}

static void die_changing(struct io *base, bool grow)
{
	struct vhd *v = NULL;
	struct io *log;

	EQ(vhd_open(&v, base, VHD_RDWR), 0);
	put(v, 100, 7);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	log = io_log(base);
	EQ(vhd_open(&v, log, VHD_RDWR), 0);
	EQ(grow ? vhd_resize(v, 2 * SIZE, NULL) : vhd_set_hidden(v, true), 0);
	vhd_close(v);
	sweep(log, grow ? after_grow : after_hide, NULL);
	io_close(log);
	io_close(base);
}

TEST(vhd_that_dies_while_hidden_is_as_before_or_hidden)
{
	die_changing(new_file(VHD_DYNAMIC, 1, 0), false);
}

TEST(vhd_that_dies_while_it_grows_has_the_old_or_the_new_size)
{
	struct vhd_create how = {
		.type = VHD_DYNAMIC, .size = SIZE, .max_size = 4 * SIZE, .uuid = { 1 },
	};
	struct io *io = io_mem(0, 64 * MiB);

	EQ(vhd_create(io, &how), 0);
	die_changing(io, true);
	die_changing(new_file(VHD_FIXED, 1, 0), true);
}

/* --- the journal --------------------------------------------------------- */

#define JOURNAL_AT	(16 * MiB)
#define TABLE_SIZE	(8000 * MiB)	/* its table takes the place of the first block */

static void after_journal(struct io *disk, size_t n, void *arg)
{
	struct io *image = NULL, *journal = NULL;
	struct vhd *v;

	EQ(io_window(&image, disk, 0, JOURNAL_AT), 0);
	EQ(io_window(&journal, disk, JOURNAL_AT, disk->size - JOURNAL_AT), 0);
	v = recover(image, journal);
	OK(v && (v->footer.size == SIZE || v->footer.size == TABLE_SIZE));
	for (size_t i = 0; v && i < POINTS; i++)
		EQ(get(v, points[i]), (int)i + 1);
	vhd_close(v);
	io_close(image);
	io_close(journal);
}

TEST(vhd_that_dies_while_its_table_grows_is_reverted_or_done)
{
	struct io *base = io_mem(JOURNAL_AT + 8 * MiB, JOURNAL_AT + 8 * MiB), *log;
	struct io *image = NULL, *journal = NULL;
	struct vhd *v = NULL;
	uint32_t first;

	EQ(io_window(&image, base, 0, JOURNAL_AT), 0);
	new_image(image, VHD_DIFF, 1, 2);
	EQ(vhd_open(&v, image, VHD_RDWR), 0);
	for (size_t i = 0; i < POINTS; i++)
		put(v, points[i], (uint8_t)(i + 1));
	first = vhd_entry(v, 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	io_close(image);

	log = io_log(base);
	EQ(io_window(&image, log, 0, JOURNAL_AT), 0);
	EQ(io_window(&journal, log, JOURNAL_AT, 8 * MiB), 0);
	EQ(vhd_open(&v, image, VHD_RDWR), 0);
	EQ(vhd_resize(v, TABLE_SIZE, NULL), -E_VHD_TABLE_FULL);
	OK(vhd_resize_journal(v, TABLE_SIZE) > 2 * MiB);
	OK(vhd_resize_journal(v, TABLE_SIZE) < 8 * MiB);
	EQ(vhd_resize(v, TABLE_SIZE, journal), 0);
	OK(vhd_entry(v, 0) != first);
	for (size_t i = 0; i < POINTS; i++)
		EQ(get(v, points[i]), (int)i + 1);
	vhd_close(v);
	sweep(log, after_journal, NULL);
	io_close(image);
	io_close(journal);
	io_close(log);
	io_close(base);
}

/* Its own journal must not take back what was done after it. */
TEST(vhd_journal_that_was_left_behind_does_no_harm)
{
	struct io *image = new_file(VHD_DYNAMIC, 1, 0), *journal = io_mem(0, 64 * MiB), *before;
	struct vhd *v = NULL;

	EQ(vhd_open(&v, image, VHD_RDWR), 0);
	put(v, 0, 1);
	EQ(vhd_resize(v, TABLE_SIZE, journal), 0);
	put(v, 0, 2);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	before = io_copy(image);
	EQ(vhd_revert(image, journal), 0);
	EQ(image->size, before->size);
	EQ(vhd_open(&v, image, VHD_RDWR), 0);
	EQ(get(v, 0), 2);
	vhd_close(v);
	io_close(before);
	io_close(image);
	io_close(journal);
}

TEST(vhd_journals_of_upstream_are_reverted)
{
	static const char *const names[] = {
		"jresize-crash-begin", "jresize-crash-data-moved", "jresize-crash-metadata-moved",
		"jresize-crash-end",
	};
	struct vec x;
	char hex[65], file[64];

	vec_load(&x, "vhd");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct io *image = vec_open("vhd", vec_get(&x, names[i], "file"));
		struct io *other = vec_open("vhd", "footer-ok.vhd");
		struct image *im = NULL;
		struct io *journal;

		snprintf(file, sizeof(file), "%s.journal", names[i]);
		journal = vec_open("vhd", file);
		if (!image || !journal || !other)
			break;
		EQ(vhd_revert(other, journal), -E_VHD_JOURNAL);
		EQ(vhd_revert(image, journal), 0);
		if (EQ(image_open(&im, image, IMAGE_VHD, IMAGE_RDWR, NULL, NULL), 0)) {
			EQ(hash_image(im, hex), 0);
			STR_EQ(hex, vec_get(&x, names[i], "reverted"));
			image_close(im);
		}
		io_close(other);
		io_close(journal);
	}
	vec_free(&x);
}

/* --- merging and linking ------------------------------------------------- */

struct family {
	struct io *child;
	struct rnd r;
};

static int find(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	*f = IMAGE_VHD;
	return io_window(io, arg, 0, ((struct io *)arg)->size);
}

/* Through the child nothing changes, wherever the merge has stopped; and it can be repeated. */
static void after_coalesce(struct io *disk, size_t n, void *arg)
{
	struct family *fam = arg;
	struct vhd *v = recover(disk, NULL);
	struct image *im = NULL;
	struct io *child = NULL;
	uint8_t b[512];

	vhd_close(v);
	EQ(io_window(&child, fam->child, 0, fam->child->size), 0);
	if (!EQ(image_open(&im, child, IMAGE_VHD, 0, find, disk), 0))
		return;
	for (size_t i = 0; i < POINTS; i++) {
		EQ(image_read(im, points[i] * 512ull, b, 512), 0);
		EQ(b[0], i % 2 ? 2 : i % 3 ? 0 : 1);
	}
	image_close(im);
}

TEST(vhd_chain_shows_the_same_wherever_a_merge_dies)
{
	struct io *parent = new_file(VHD_DYNAMIC, 1, 0), *log;
	struct family fam = { .child = new_file(VHD_DIFF, 2, 1) };
	struct vhd *c = NULL, *p = NULL;
	struct vhd_coalesce *co = NULL;

	EQ(vhd_open(&p, parent, VHD_RDWR), 0);
	EQ(vhd_open(&c, fam.child, VHD_RDWR), 0);
	for (size_t i = 0; i < POINTS; i += 3)
		put(p, points[i], 1);
	for (size_t i = 1; i < POINTS; i += 2)
		put(c, points[i], 2);
	EQ(vhd_finish(p), 0);
	EQ(vhd_finish(c), 0);
	vhd_close(p);

	log = io_log(parent);
	EQ(vhd_open(&p, log, VHD_RDWR), 0);
	EQ(vhd_coalesce_start(&co, c, p, NULL, 0), 0);
	EQ(co->total, 3);
	while (co->done < co->total && !vhd_coalesce_step(co))
		EQ(vhd_coalesce_checkpoint(co), 0);
	EQ(co->sectors, 5);
	EQ(vhd_coalesce_finish(co), 0);
	vhd_coalesce_free(co);
	for (size_t i = 0; i < POINTS; i++)
		EQ(get(p, points[i]), i % 2 ? 2 : i % 3 ? 0 : 1);
	vhd_close(p);
	vhd_close(c);
	sweep(log, after_coalesce, &fam);
	io_close(log);
	io_close(parent);
	io_close(fam.child);
}

static void after_reparent(struct io *disk, size_t n, void *arg)
{
	struct vhd *v = recover(disk, NULL);

	OK(v && (v->header.parent_uuid[0] == 1 || v->header.parent_uuid[0] == 3));
	EQ(v ? get(v, 100) : -1, 7);
	vhd_close(v);
}

TEST(vhd_that_dies_while_relinked_has_the_old_or_the_new_parent)
{
	static const uint8_t other[16] = { 3 };
	struct io *base = new_file(VHD_DIFF, 2, 1), *log;
	struct vhd *v = NULL;

	EQ(vhd_open(&v, base, VHD_RDWR), 0);
	put(v, 100, 7);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	log = io_log(base);
	EQ(vhd_open(&v, log, VHD_RDWR), 0);
	EQ(vhd_reparent(v, "./tneraP.vhd", other, 9), 0);
	vhd_close(v);
	sweep(log, after_reparent, NULL);
	io_close(log);
	io_close(base);
}

TEST(vhd_resize_refuses_what_it_cannot_do)
{
	struct io *io = new_file(VHD_DYNAMIC, 1, 0);
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_resize(v, SIZE, NULL), 0);
	EQ(vhd_resize(v, SIZE - 2 * MiB, NULL), -E_VHD_SHRINK);
	EQ(vhd_resize(v, SIZE + 1, NULL), -E_VDI_SIZE);
	EQ(vhd_resize(v, 2040 * GiB + 512, NULL), -E_VDI_SIZE);
	vhd_close(v);
	EQ(vhd_open(&v, io, 0), 0);
	EQ(vhd_resize(v, 2 * SIZE, NULL), -EROFS);
	vhd_close(v);
	io_close(io);
}
