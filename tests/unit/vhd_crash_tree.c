/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Death and power cuts while tables grow, and in chains: merging, linking, and all in a row. */
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/vhd/coalesce.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/journal.h"
#include "lib/vhd/parent.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_crash.h"

/* --- the journal --------------------------------------------------------- */

#define TABLE_SIZE	(8000 * MiB)	/* its table takes the place of the first block */

static void is_old_or_new(struct io *image, struct io *journal)
{
	struct vhd *v = crash_recover(image, journal);

	OK(v && (v->footer.size == CRASH_SIZE || v->footer.size == TABLE_SIZE));
	for (uint32_t i = 0; v && i < POINTS; i++)
		EQ(crash_get(v, crash_points[i]), i % 3 ? 0 : 9);
	vhd_close(v);
}

static void after_journal(struct io **disk, size_t n, void *arg)
{
	is_old_or_new(disk[0], disk[1]);
}

static void die_growing(struct io *image)
{
	struct io *journal = io_sparse(0, CRASH_ROOM, 0), *log, *second;
	struct vhd *v = NULL;
	uint32_t first;

	crash_fill(image, 0, 3, 9);
	log = io_log(image);
	second = io_log_join(log, journal);
	EQ(vhd_open(&v, log, VHD_RDWR), 0);
	first = vhd_entry(v, 0);
	EQ(vhd_resize(v, TABLE_SIZE, NULL), -E_VHD_TABLE_FULL);
	OK(vhd_resize_journal(v, TABLE_SIZE) > 2 * MiB);
	OK(vhd_resize_journal(v, TABLE_SIZE) < 8 * MiB);
	EQ(vhd_resize(v, TABLE_SIZE, second), 0);
	OK(journal->size <= 8 * MiB);
	OK(vhd_entry(v, 0) != first);
	vhd_close(v);
	is_old_or_new(image, journal);
	crash_sweep("vhd grow with journal", log, after_journal, NULL, 100);
	io_close(second);
	io_close(journal);
	io_close(image);
}

TEST(vhd_that_dies_while_its_table_grows_is_reverted_or_done)
{
	die_growing(crash_image(VHD_DIFF, 1, 2));
	die_growing(crash_image(VHD_DYNAMIC, 1, 0));
	die_growing(crash_volume(VHD_DYNAMIC, 1, 0));
}

/* --- undoing ----------------------------------------------------------------- */

/* The state of a resize that has come as far as it gets before it is done. */
static void poison_late(struct io *image, struct io *journal)
{
	struct io *fault = NULL;
	struct vhd *v = NULL;
	size_t calls;

	crash_fill(image, 0, 3, 9);
	for (size_t at = 0; ; at = calls) {
		struct io *copy = io_sparse_copy(image), *undo = io_sparse(0, CRASH_ROOM, 0);
		int err;

		fault = io_fault(at ? image : copy, at, -EIO, false);
		EQ(vhd_open(&v, fault, VHD_RDWR), 0);
		err = vhd_resize(v, TABLE_SIZE, at ? journal : undo);
		EQ(err, at ? -EIO : 0);
		calls = io_fault_calls(fault) - 8;	/* before both footers are cured */
		vhd_close(v);
		io_close(fault);
		io_close(copy);
		io_close(undo);
		if (at)
			break;
	}
}

TEST(vhd_revert_that_dies_is_done_again)
{
	struct io *image = crash_image(VHD_DIFF, 1, 2), *journal = io_sparse(0, CRASH_ROOM, 0);
	struct io *log, *second;
	struct vhd *v = NULL;

	poison_late(image, journal);
	EQ(vhd_open(&v, image, 0), -E_VHD_POISON);
	log = io_log(image);
	second = io_log_join(log, journal);
	EQ(vhd_revert(log, second), 0);
	crash_sweep("vhd revert", log, after_journal, NULL, 30);
	io_close(second);
	io_close(journal);
	io_close(image);
}

/* Its own journal must not take back what was done after it. */
TEST(vhd_journal_that_was_left_behind_does_no_harm)
{
	struct io *image = crash_image(VHD_DYNAMIC, 1, 0), *journal = io_sparse(0, CRASH_ROOM, 0);
	struct io *before;
	struct vhd *v = NULL;

	EQ(vhd_open(&v, image, VHD_RDWR), 0);
	crash_put(v, 0, 1);
	EQ(vhd_resize(v, TABLE_SIZE, journal), 0);
	crash_put(v, 0, 2);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	before = io_sparse_copy(image);
	EQ(vhd_revert(image, journal), 0);
	EQ(image->size, before->size);
	EQ(vhd_open(&v, image, VHD_RDWR), 0);
	EQ(crash_get(v, 0), 2);
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

/* --- chains -------------------------------------------------------------- */

/* What is read through a chain of files, the leaf first. */
struct family {
	struct io *file[IO_LOG_FILES];
	bool raw;			/* the last one has no format */
	bool both;			/* both files of a pair change */
};

static int find(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	struct family *fam = arg;

	for (size_t i = 0; i < IO_LOG_FILES && fam->file[i]; i++) {
		struct vhd *v = NULL;
		bool is;

		if (want->raw && fam->raw && (i + 1 == IO_LOG_FILES || !fam->file[i + 1])) {
			*f = IMAGE_RAW;
			return io_window(io, fam->file[i], 0, fam->file[i]->size);
		}
		if (vhd_open(&v, fam->file[i], VHD_HEADERS))
			continue;
		is = !want->raw && !memcmp(v->footer.uuid, want->uuid, 16);
		vhd_close(v);
		*f = IMAGE_VHD;
		if (is)
			return io_window(io, fam->file[i], 0, fam->file[i]->size);
	}
	return -E_IMAGE_PARENT;
}

/* The values of all points through the chain; false when it does not open. */
static bool see(struct family *fam, size_t leaf, uint8_t seen[POINTS], uint64_t *size)
{
	struct image *im = NULL;
	struct io *io = NULL;
	uint8_t b[512];

	EQ(io_window(&io, fam->file[leaf], 0, fam->file[leaf]->size), 0);
	if (!EQ(image_open(&im, io, IMAGE_VHD, 0, find, fam), 0))
		return false;
	for (uint32_t i = 0; i < POINTS; i++) {
		EQ(image_read(im, crash_points[i] * 512ull, b, 512), 0);
		OK(!memcmp(b, b + 1, 511));
		seen[i] = b[0];
	}
	*size = im->size;
	image_close(im);
	return true;
}

/* Through the child nothing changes, wherever the merge has stopped. */
static void after_coalesce(struct io **disk, size_t n, void *arg)
{
	struct family *fam = arg, now = *fam;
	uint8_t seen[POINTS];
	uint64_t size;

	if (!fam->raw)
		vhd_close(crash_recover(disk[0], NULL));
	now.file[1] = disk[0];
	if (fam->both) {
		vhd_close(crash_recover(disk[1], NULL));
		now.file[0] = disk[1];
	}
	if (see(&now, 0, seen, &size))
		for (uint32_t i = 0; i < POINTS; i++)
			EQ(seen[i], i % 2 ? 2 : i % 3 ? 0 : 1);
}

/* The child lets go of what is merged. */
static void forget(struct vhd_coalesce *co, struct io *child)
{
	struct vhd *own = NULL;

	EQ(vhd_open(&own, child, VHD_RDWR), 0);
	EQ(vhd_coalesce_forget(co, own), 0);
	EQ(vhd_allocated(own), co->total - co->done);
	vhd_close(own);
}

static void die_merging(struct io *parent, bool raw, uint32_t at_most, bool forgets)
{
	struct family fam = { .file = { crash_image(VHD_DIFF, 2, raw ? 0 : 1), parent }, .raw = raw };
	struct vhd_coalesce *co = NULL;
	struct vhd *c = NULL, *p = NULL;
	struct io *log, *child = fam.file[0];

	fam.both = forgets;
	if (raw)
		for (uint32_t i = 0; i < POINTS; i += 3) {
			uint8_t b[512];

			memset(b, 1, sizeof(b));
			EQ(io_write(parent, crash_points[i] * 512ull, b, sizeof(b)), 0);
		}
	else
		crash_fill(parent, 0, 3, 1);
	crash_fill(fam.file[0], 1, 2, 2);
	log = io_log(parent);
	if (forgets)
		child = io_log_join(log, child);
	EQ(vhd_open(&c, child, 0), 0);
	if (!raw)
		EQ(vhd_open(&p, log, VHD_RDWR), 0);
	EQ(vhd_coalesce_start(&co, c, p, raw ? log : NULL, 0), 0);
	EQ(co->total, 3);
	co->at_most = at_most;
	while (co->done < co->total && !vhd_coalesce_step(co)) {
		EQ(vhd_coalesce_checkpoint(co), 0);
		if (forgets)
			forget(co, child);
	}
	EQ(co->sectors, 5);
	EQ(vhd_coalesce_finish(co), 0);
	vhd_coalesce_free(co);
	for (uint32_t i = 0; p && i < POINTS; i++)
		EQ(crash_get(p, crash_points[i]), i % 2 ? 2 : i % 3 ? 0 : 1);
	vhd_close(p);
	vhd_close(c);
	crash_sweep("vhd coalesce", log, after_coalesce, &fam, 12);
	if (forgets)
		io_close(child);
	io_close(parent);
	io_close(fam.file[0]);
}

TEST(vhd_chain_shows_the_same_wherever_a_merge_dies)
{
	die_merging(crash_image(VHD_DYNAMIC, 1, 0), false, 1, false);
	die_merging(crash_image(VHD_DYNAMIC, 1, 0), false, 1, true);
	die_merging(crash_image(VHD_DYNAMIC, 1, 0), false, 0, false);
	die_merging(crash_volume(VHD_DYNAMIC, 1, 0), false, 0, false);
	die_merging(crash_volume(VHD_DYNAMIC, 1, 0), false, 0, true);
	die_merging(crash_image(VHD_FIXED, 1, 0), false, 0, false);
	die_merging(io_sparse(CRASH_SIZE, CRASH_ROOM, 0), true, 1, false);
	die_merging(io_sparse(CRASH_SIZE, CRASH_ROOM, 0), true, 1, true);
}

/* --- linking ------------------------------------------------------------- */

struct linked {
	const char *old, *new;		/* paths; new is NULL: it stands alone then */
	size_t torn, whole;		/* states in which half of the header was there, and not */
};

/* To whom does not write it is the same as to whom repairs it. */
static void after_reparent(struct io **disk, size_t n, void *arg)
{
	struct linked *l = arg;
	struct vhd *v = NULL;
	struct arena a = { 0 };
	struct vhd_parent p;
	bool torn;

	if (!EQ(vhd_open(&v, disk[0], VHD_HEADERS), 0))
		return;
	torn = v->torn;
	l->torn += torn;
	l->whole += !torn;
	if (vhd_has_parent(v)) {
		bool new = v->header.parent_uuid[0] == 3;

		OK(new || v->header.parent_uuid[0] == 1);
		EQ(vhd_parent(v, &a, &p), 0);
		STR_EQ(p.paths[p.n - 1], vhd_basename(new ? l->new : l->old));
		if (new)		/* before it, the texts run ahead */
			for (size_t i = 0; i + 1 < p.n; i++)
				STR_EQ(p.paths[i], l->new);
	}
	vhd_close(v);
	arena_free(&a);
	v = crash_recover(disk[0], NULL);
	OK(v && !v->torn);
	EQ(crash_get(v, 100), 7);
	vhd_close(v);
	if (EQ(vhd_open(&v, disk[0], VHD_HEADERS), 0))
		OK(!v->torn);
	vhd_close(v);
}

static void die_relinking(struct io *base, const char *old, const char *path, bool tears)
{
	static const uint8_t first[16] = { 1 }, other[16] = { 3 };
	struct linked l = { .old = old, .new = path };
	struct vhd *v = NULL;
	struct io *log;

	crash_fill(base, 3, POINTS, 7);
	EQ(vhd_open(&v, base, VHD_RDWR), 0);
	EQ(vhd_reparent(v, old, first, 9), 0);
	vhd_close(v);
	log = io_log(base);
	EQ(vhd_open(&v, log, VHD_RDWR), 0);
	EQ(path ? vhd_reparent(v, path, other, 9) : vhd_stand_alone(v), 0);
	vhd_close(v);
	crash_sweep("vhd reparent", log, after_reparent, &l, 8);
	OK(l.whole);
	EQ(l.torn > 0, tears);
	io_close(base);
}

TEST(vhd_that_dies_while_relinked_has_the_old_or_the_new_parent)
{
	static const char vhd[] = "./VG_XenStorage--1-VHD--2", raw[] = "./VG_XenStorage--1-LV--2";

	die_relinking(crash_image(VHD_DIFF, 2, 1), "./parent.vhd", "./tneraP.vhd", false);
	die_relinking(crash_image(VHD_DIFF, 2, 1), "./parent.vhd", "../up/a-longer-name.vhd", true);
	die_relinking(crash_volume(VHD_DIFF, 2, 1), vhd, raw, true);
	die_relinking(crash_volume(VHD_DIFF, 2, 1), raw, vhd, true);
	die_relinking(crash_image(VHD_DIFF, 2, 1), "./parent.vhd", NULL, true);
}

/* Only what such a change can have left is completed. */
TEST(vhd_header_with_any_other_damage_is_refused)
{
	struct io *io = crash_image(VHD_DIFF, 2, 1);
	struct vhd *v = NULL;
	uint8_t is, was;

	for (uint64_t at = 512; at < 1536; at++) {
		EQ(io_read(io, at, &was, 1), 0);
		is = was ^ 1;
		EQ(io_write(io, at, &is, 1), 0);
		if (!vhd_open(&v, io, VHD_HEADERS)) {
			OK(v->torn && at >= 1024);
			EQ(v->header.parent_uuid[0], 1);
			EQ(be16_get(v->header.parent_name[0]), 'p');
		}
		vhd_close(v);
		v = NULL;
		EQ(io_write(io, at, &was, 1), 0);
	}
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	vhd_close(v);
	io_close(io);
}

/* --- all in a row -------------------------------------------------------------- */

/*
 * A base, a leaf on it, and a second leaf that becomes of the first by a
 * snapshot; written to, grown under a journal, and merged back: what is read
 * at any moment is what it was before the step at hand, or after it.
 */
enum { SNAPSHOT, WRITE, GROW, HIDE, MERGE, LINK, N_STEPS };
enum { LEAF, MID, BASE, JOURNAL };

struct row {
	size_t ends[N_STEPS];		/* events until the step was done */
	uint8_t shown[N_STEPS + 1][POINTS];
	uint64_t size[N_STEPS + 1];
};

static size_t step_at(const struct row *r, size_t n)
{
	size_t i = 0;

	while (i + 1 < N_STEPS && n > r->ends[i])
		i++;
	return i;
}

static void after_row(struct io **disk, size_t n, void *arg)
{
	const struct row *r = arg;
	size_t at = step_at(r, n), leaf = LEAF;
	struct family fam = { .file = { disk[LEAF], disk[MID], disk[BASE] } };
	uint8_t seen[POINTS];
	uint64_t size;
	struct vhd *v = NULL;

	if (at == SNAPSHOT && n < r->ends[SNAPSHOT]) {	/* nobody has heard of the new leaf */
		leaf = MID;
	} else {
		vhd_close(crash_recover(disk[LEAF], disk[JOURNAL]));
		EQ(vhd_open(&v, disk[LEAF], VHD_HEADERS), 0);
		vhd_close(v);
	}
	vhd_close(crash_recover(disk[MID], NULL));
	vhd_close(crash_recover(disk[BASE], NULL));
	if (!see(&fam, leaf, seen, &size))
		return;
	OK(size == r->size[at] || size == r->size[at + 1]);
	for (uint32_t i = 0; i < POINTS; i++)
		OK(seen[i] == r->shown[at][i] || seen[i] == r->shown[at + 1][i]);
}

static void note(struct row *r, size_t step, struct io *log, struct family *fam, size_t leaf)
{
	if (step)
		r->ends[step - 1] = io_log_len(log);
	see(fam, leaf, r->shown[step], &r->size[step]);
}

static void merge_mid(struct io *mid, struct io *base)
{
	struct vhd_coalesce *co = NULL;
	struct vhd *c = NULL, *p = NULL;

	EQ(vhd_open(&c, mid, 0), 0);
	EQ(vhd_open(&p, base, VHD_RDWR), 0);
	EQ(vhd_coalesce_start(&co, c, p, NULL, 0), 0);
	while (co->done < co->total && !vhd_coalesce_step(co))
		;
	EQ(vhd_coalesce_finish(co), 0);
	vhd_coalesce_free(co);
	vhd_close(c);
	vhd_close(p);
}

TEST(vhd_snapshot_write_grow_and_merge_die_anywhere_and_show_old_or_new)
{
	struct io *files[IO_LOG_FILES] = {
		io_sparse(0, CRASH_ROOM, 0), crash_image(VHD_DIFF, 2, 1),
		crash_image(VHD_DYNAMIC, 1, 0), io_sparse(0, CRASH_ROOM, 0),
	};
	struct vhd_create how = { .uuid = { 3 }, .parent_path = "./old.vhd" };
	struct io *log[IO_LOG_FILES];
	struct family fam = { .file = { NULL } };
	struct row r = { 0 };
	struct vhd *v = NULL;
	size_t states;

	crash_fill(files[BASE], 0, 3, 1);
	crash_fill(files[MID], 1, 2, 2);
	log[0] = io_log(files[0]);
	for (size_t i = 1; i < IO_LOG_FILES; i++)
		log[i] = io_log_join(log[0], files[i]);
	memcpy(fam.file, log, sizeof(log));
	note(&r, SNAPSHOT, log[0], &fam, MID);

	EQ(vhd_open(&v, log[MID], 0), 0);
	EQ(vhd_snapshot(log[LEAF], v, &how), 0);
	vhd_close(v);
	note(&r, WRITE, log[0], &fam, LEAF);

	crash_fill(log[LEAF], 0, 4, 3);
	note(&r, GROW, log[0], &fam, LEAF);

	EQ(vhd_open(&v, log[LEAF], VHD_RDWR), 0);
	EQ(vhd_resize(v, TABLE_SIZE, log[JOURNAL]), 0);
	vhd_close(v);
	note(&r, HIDE, log[0], &fam, LEAF);

	EQ(vhd_open(&v, log[MID], VHD_RDWR), 0);
	EQ(vhd_set_hidden(v, true), 0);
	vhd_close(v);
	note(&r, MERGE, log[0], &fam, LEAF);

	merge_mid(log[MID], log[BASE]);
	note(&r, LINK, log[0], &fam, LEAF);

	EQ(vhd_open(&v, log[LEAF], VHD_RDWR), 0);
	EQ(vhd_reparent(v, "./new.vhd", (uint8_t[16]){ 1 }, 9), 0);
	vhd_close(v);
	note(&r, N_STEPS, log[0], &fam, LEAF);
	EQ(r.shown[N_STEPS][0], 3);
	EQ(r.shown[N_STEPS][1], 2);
	EQ(r.shown[N_STEPS][6], 1);

	states = io_log_sweep(log[0], after_row, &r);
	OK(states > 300);
	t_cuts("vhd six verbs in a row", states);
	for (size_t i = IO_LOG_FILES; i--; ) {
		io_close(log[i]);
		io_close(files[i]);
	}
}

TEST(vhd_resize_refuses_what_it_cannot_do)
{
	struct io *io = crash_image(VHD_DYNAMIC, 1, 0);
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_resize(v, CRASH_SIZE, NULL), 0);
	EQ(vhd_resize(v, CRASH_SIZE - 2 * MiB, NULL), -E_VHD_SHRINK);
	EQ(vhd_resize(v, CRASH_SIZE + 1, NULL), -E_VDI_SIZE);
	EQ(vhd_resize(v, 2040 * GiB + 512, NULL), -E_VDI_SIZE);
	vhd_close(v);
	EQ(vhd_open(&v, io, 0), 0);
	EQ(vhd_resize(v, 2 * CRASH_SIZE, NULL), -EROFS);
	vhd_close(v);
	io_close(io);
}
