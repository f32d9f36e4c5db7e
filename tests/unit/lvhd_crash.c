/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Power cuts at every write of every change to disks in LVs, and the states in
 * which upstream's own steps may have stopped.
 */
#include <string.h>

#include "lib/err.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/unit/lvhd_util.h"

struct found {
	int old, new;		/* how often what was before, or after the change, was found */
	bool raw, clone;
};

static bool no_journal_left(struct sr_view *s)
{
	struct lvhd_journal *j;
	size_t n;

	return EQ(lvhd_journals(&s->h, &j, &n), 0) && EQ(n, 0);
}

static struct lvm_lv *any(struct sr_view *s, const char *disk)
{
	struct uuid u = id(disk);
	enum lvhd_kind kind;

	return lvhd_find(&s->h, &u, &kind);
}

/* One disk as it was, or a hidden base with one or two children over it. */
static void look_at_tree(struct io *disk, struct found *f)
{
	struct sr_view s;

	view_open(&s, disk);
	OK(no_journal_left(&s));
	OK(any(&s, LEAF));
	OK(is_whole(&s, LEAF));
	OK(!is_hidden(&s, LEAF));
	if (!any(&s, BASE)) {
		f->old++;
		OK(!any(&s, CLONE));
		OK(any(&s, LEAF)->flags & LVM_LV_WRITE);
	} else {
		f->new++;
		OK(is_hidden(&s, BASE));
		OK(!(any(&s, BASE)->flags & LVM_LV_WRITE));
		OK(is_child_of(&s, LEAF, BASE));
		EQ(!!any(&s, CLONE), f->clone);
		if (f->clone) {
			OK(is_child_of(&s, CLONE, BASE));
			OK(!is_hidden(&s, CLONE));
			OK(is_whole(&s, CLONE));
		}
	}
	view_close(&s);
}

static void after_snapshot(struct io *disk, size_t n, void *arg)
{
	EQ(recover_all(disk), 0);
	look_at_tree(disk, arg);
}

static void snapshot(struct io *disk, bool clone, bool thick)
{
	struct lvhd_snapshot snap = {
		.leaf = id(LEAF), .base = id(BASE), .thick_leaf = thick,
	};
	struct sr_view s;
	bool more;

	if (clone)
		snap.clone = id(CLONE);
	view_open(&s, disk);
	EQ(lvhd_snapshot(&s.h, &snap), 0);
	view_commit(&s);
	EQ(lvhd_snapshot_end(&s.h, &snap, &more), 0);
	if (more)
		view_commit(&s);
	view_close(&s);
}

static void die_in_snapshot(bool raw, bool clone, bool thick)
{
	struct io *before = new_sr(raw), *disk = cow(before), *log = note(disk);
	struct found f = { .raw = raw, .clone = clone };

	snapshot(log, clone, thick);
	look_at_tree(disk, &(struct found){ .raw = raw, .clone = clone });
	cut_everywhere(clone ? "lvm vhd clone" : "lvm vhd snapshot", log, before, after_snapshot, &f);
	OK(f.old > 4 && f.new >= (raw ? 1 : 4));
	io_close(log);
	io_close(disk);
	io_close(before);
}

TEST(lvhd_snapshot_is_there_or_not_wherever_we_die)
{
	die_in_snapshot(false, false, true);
	die_in_snapshot(false, true, true);
	die_in_snapshot(false, true, false);
	die_in_snapshot(true, true, false);
}

/* What a snapshot of a snapshot shows, and that writing to one does not show in the others. */
TEST(lvhd_snapshots_of_snapshots)
{
	struct io *disk = new_sr(true);
	struct lvhd_snapshot snap = { .leaf = id(LEAF) };
	struct sr_view s;
	bool more;

	snapshot(disk, true, false);
	view_open(&s, disk);
	put_sector(&s, LEAF, 7, 99);
	OK(is_whole(&s, CLONE));
	EQ(sector_of(&s, LEAF, 7), 99);
	snap.base = id("00000000-0000-4000-8000-00000000000d");
	EQ(lvhd_snapshot(&s.h, &snap), 0);
	view_commit(&s);
	EQ(lvhd_snapshot_end(&s.h, &snap, &more), 0);
	OK(more);
	view_commit(&s);
	put_sector(&s, LEAF, 8, 98);
	EQ(sector_of(&s, LEAF, 7), 99);
	EQ(sector_of(&s, LEAF, 8), 98);
	EQ(sector_of(&s, LEAF, 0), 11);
	EQ(sector_of(&s, snap.base.s, 8), 0);
	OK(is_child_of(&s, snap.base.s, BASE));
	OK(is_child_of(&s, LEAF, snap.base.s));
	view_close(&s);
	io_close(disk);
}

/* --- sizes ----------------------------------------------------------------------- */

static void after_resize(struct io *disk, size_t n, void *arg)
{
	struct sr_view s;
	uint64_t bytes;

	EQ(recover_all(disk), 0);
	view_open(&s, disk);
	OK(is_whole(&s, LEAF));
	/* What the next verb that changes the disk does about its footers. */
	put_sector(&s, LEAF, 7, 12);
	OK(is_whole(&s, LEAF) && !is_hidden(&s, LEAF));
	bytes = lvm_lv_bytes(s.h.vg, lv_of(&s, "VHD-" LEAF));
	OK(bytes == 16 * MiB || bytes == *(uint64_t *)arg);
	view_close(&s);
}

TEST(lvhd_grows_and_shrinks_wherever_we_die)
{
	/* 12: less; 24: more; 28: more while somebody writes it. */
	for (uint64_t to = 12; to <= 28; to += to == 24 ? 4 : 12) {
		struct io *before = new_sr(false), *disk = cow(before), *log = note(disk);
		struct sr_view s;
		uint64_t bytes = to * MiB;

		view_open(&s, log);
		if (to == 28)
			EQ(lvhd_grow_used(&s.h, lv_of(&s, "VHD-" LEAF), bytes), 0);
		else if (to > 16)
			EQ(lvhd_grow(&s.h, lv_of(&s, "VHD-" LEAF), bytes), 0);
		else
			EQ(lvhd_shrink(&s.h, lv_of(&s, "VHD-" LEAF), 0), 0);
		view_commit(&s);
		view_close(&s);
		cut_everywhere(to > 16 ? "lvm vhd inflate" : "lvm vhd deflate", log, before, after_resize, &bytes);
		io_close(log);
		io_close(disk);
		io_close(before);
	}
}

/* --- what upstream left -------------------------------------------------------------- */

/* Its snapshot, step by step, each committed. */
static void upstream_clone(struct io *disk, int steps, bool garbage)
{
	struct lvhd_create c = { .lv_bytes = 16 * MiB };
	struct uuid leaf = id(LEAF);
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	struct lvm_lv *lv, *base;
	struct sr_view s;

	view_open(&s, disk);
	base = lv_of(&s, "VHD-" LEAF);
	for (int i = 0; i < steps; i++) {
		switch (i) {
		case 0:
			EQ(lvhd_journal_add(&s.h, LVHD_CLONE, &leaf, BASE "_" CLONE), 0);
			break;
		case 1:
			EQ(lvm_lv_rename(s.h.vg, base, "VHD-" BASE), 0);
			break;
		case 2:
			EQ(lvhd_shrink(&s.h, base, 0), 0);
			EQ(lvhd_open(&s.h, base, 0, &io, &v), 0);
			c.image = v;
			c.parent = base;
			break;
		case 3:
		case 4:
			c.uuid = id(i == 3 ? LEAF : CLONE);
			if (garbage && i == 4)
				EQ(lvhd_new_lv(&s.h, "VHD-" CLONE, 8 * MiB, NULL, &lv), 0);
			else
				EQ(lvhd_create(&s.h, &c, &lv), 0);
			break;
		case 5:
			EQ(lvhd_set_hidden(&s.h, base, true), 0);
			break;
		case 6:
			EQ(lvm_lv_set_writable(s.h.vg, base, false), 0);
			break;
		}
		view_commit(&s);
	}
	view_close(&s);
}

/* Recovery of each state ends as the matrix says, and may die anywhere itself. */
TEST(lvhd_finishes_or_undoes_upstreams_clone)
{
	for (int garbage = 0; garbage < 2; garbage++)
		for (int steps = 1; steps <= 7; steps++) {
			struct io *before = new_sr(false), *disk, *log;
			struct found f = { .clone = true }, here = { .clone = true };
			bool whole = steps >= 5 && !garbage;

			upstream_clone(before, steps, garbage);
			disk = cow(before);
			log = note(disk);
			EQ(recover_all(log), 0);
			look_at_tree(disk, &here);
			EQ(here.new, whole);
			if (!here.new) {
				struct sr_view s;

				view_open(&s, disk);
				EQ(lvm_lv_bytes(s.h.vg, lv_of(&s, "VHD-" LEAF)), 16 * MiB);
				view_close(&s);
			}
			cut_everywhere("lvm upstream's clone", log, before, after_snapshot, &f);
			OK(whole ? !f.old : !f.new);
			io_close(log);
			io_close(disk);
			io_close(before);
		}
}

TEST(lvhd_clone_of_nothing_is_left_for_a_person)
{
	struct uuid u = id("00000000-0000-4000-8000-0000000000ff");
	struct io *disk = new_sr(false);
	struct sr_view s;

	view_open(&s, disk);
	EQ(lvhd_journal_add(&s.h, LVHD_CLONE, &u, BASE "_"), 0);
	view_commit(&s);
	view_close(&s);
	EQ(recover_all(disk), -E_LVHD_JOURNAL);
	io_close(disk);
}

/* Upstream's inflation: journal, larger LV, its end zeroed, the footer there. */
TEST(lvhd_undoes_upstreams_inflation)
{
	for (int steps = 1; steps <= 4; steps++) {
		struct io *before = new_sr(false), *disk, *log;
		struct uuid leaf = id(LEAF);
		uint64_t bytes = 16 * MiB;
		struct sr_view s;
		struct lvm_lv *lv;

		view_open(&s, before);
		lv = lv_of(&s, "VHD-" LEAF);
		EQ(lvhd_journal_add(&s.h, LVHD_INFLATE, &leaf, "16777216"), 0);
		if (steps == 2 || steps == 3)
			EQ(lvm_lv_resize(s.h.vg, lv, 24 * MiB), 0);
		if (steps == 4)
			EQ(lvhd_grow(&s.h, lv, 24 * MiB), 0);
		if (steps == 2) {	/* the end of another image lies there */
			_io_close_ struct io *io = NULL, *old = NULL;
			struct vhd_create how = { .type = VHD_DYNAMIC, .size = 2 * MiB };

			EQ(lvm_lv_io(&io, s.h.vg, lv), 0);
			EQ(io_window(&old, io, 16 * MiB, 8 * MiB), 0);
			EQ(vhd_create(old, &how), 0);
		}
		view_commit(&s);
		view_close(&s);
		disk = cow(before);
		log = note(disk);
		EQ(recover_all(log), 0);
		after_resize(disk, 0, &bytes);
		bytes = 24 * MiB;
		cut_everywhere("lvm upstream's inflation", log, before, after_resize, &bytes);
		io_close(log);
		io_close(disk);
		io_close(before);
	}
}

/* Growing an image whose table is too small, with libvhd's undo journal. */
static void after_jresize(struct io *disk, size_t n, void *arg)
{
	struct sr_view s;

	EQ(recover_all(disk), 0);
	view_open(&s, disk);
	OK(no_journal_left(&s));
	OK(is_whole(&s, LEAF));
	put_sector(&s, LEAF, 7, 12);
	OK(is_whole(&s, LEAF));
	view_close(&s);
}

TEST(lvhd_reverts_a_resize)
{
	struct io *before = new_sr(false), *disk, *log;
	struct lvm_lv *lv, *journal;
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = VSIZE, .uuid = { 7 } };
	struct sr_view s;

	view_open(&s, before);
	lv = lv_of(&s, "VHD-" LEAF);
	EQ(lvm_lv_resize(s.h.vg, lv, 24 * MiB), 0);
	{
		_io_close_ struct io *io = NULL;

		EQ(lvm_lv_io(&io, s.h.vg, lv), 0);
		EQ(vhd_create(io, &how), 0);
	}
	view_commit(&s);
	put_sector(&s, LEAF, 0, 11);
	put_sector(&s, LEAF, 7, 12);
	put_sector(&s, LEAF, 4095, 13);
	put_sector(&s, LEAF, 3 * 4096 + 5, 14);
	EQ(lvhd_new_lv(&s.h, "jvhd_" LEAF, 8 * MiB, LVHD_TAG_RESIZE, &journal), 0);
	view_commit(&s);
	view_close(&s);

	disk = cow(before);
	log = note(disk);
	view_open(&s, log);
	{
		_io_close_ struct io *io = NULL, *j = NULL;
		_vhd_close_ struct vhd *v = NULL;

		EQ(lvhd_open(&s.h, lv_of(&s, "VHD-" LEAF), VHD_RDWR, &io, &v), 0);
		EQ(lvm_lv_io(&j, s.h.vg, lv_of(&s, "jvhd_" LEAF)), 0);
		OK(vhd_resize_journal(v, 3 * GiB));
		EQ(vhd_resize(v, 3 * GiB, j), 0);
	}
	view_close(&s);
	cut_everywhere("lvm vhd resize with journal", log, before, after_jresize, NULL);
	io_close(log);
	io_close(disk);
	io_close(before);
}

/* Upstream's merge of a leaf into its parent: journal, renames, deletion. */
static void upstream_leaf(struct io *disk, int steps)
{
	struct uuid leaf = id(LEAF);
	struct sr_view s;

	view_open(&s, disk);
	for (int i = 0; i < steps; i++) {
		struct lvm_lv *base = lv_of(&s, "VHD-" BASE), *child = lv_of(&s, "VHD-" LEAF);
		struct lvm_lv *old = lv_of(&s, "VHD-OLD_" LEAF);

		switch (i) {
		case 0:
			EQ(lvhd_journal_add(&s.h, LVHD_LEAF, &leaf, BASE), 0);
			break;
		case 1:
			EQ(lvm_lv_set_writable(s.h.vg, base, true), 0);
			EQ(lvhd_shrink(&s.h, child, 0), 0);
			EQ(lvhd_grow(&s.h, base, 16 * MiB), 0);
			EQ(lvhd_set_hidden(&s.h, base, false), 0);
			break;
		case 2:
			EQ(lvm_lv_rename(s.h.vg, child, "VHD-OLD_" LEAF), 0);
			break;
		case 3:
			EQ(lvm_lv_rename(s.h.vg, base, "VHD-" LEAF), 0);
			break;
		case 4:
			EQ(lvhd_set_hidden(&s.h, old, true), 0);
			break;
		case 5:
			EQ(lvm_lv_remove(s.h.vg, old), 0);
			break;
		}
		view_commit(&s);
	}
	view_close(&s);
}

static void after_leaf(struct io *disk, size_t n, void *arg)
{
	struct sr_view s;

	EQ(recover_all(disk), 0);
	view_open(&s, disk);
	OK(no_journal_left(&s));
	OK(is_whole(&s, LEAF) && !is_hidden(&s, LEAF));
	OK(!lv_of(&s, "VHD-OLD_" LEAF));
	if (*(int *)arg <= 6)
		EQ(lvm_lv_bytes(s.h.vg, lv_of(&s, "VHD-" LEAF)), 16 * MiB);
	if (*(int *)arg != 6) {
		OK(is_child_of(&s, LEAF, BASE) && is_hidden(&s, BASE));
		OK(!(lv_of(&s, "VHD-" BASE)->flags & LVM_LV_WRITE));
		EQ(lvm_lv_bytes(s.h.vg, lv_of(&s, "VHD-" BASE)), 12 * MiB);
	} else {
		OK(!lv_of(&s, "VHD-" BASE));
	}
	view_close(&s);
}

TEST(lvhd_finishes_or_undoes_upstreams_merge)
{
	for (int steps = 1; steps <= 6; steps++) {
		struct io *before = new_sr(false), *disk, *log;

		snapshot(before, false, true);
		upstream_leaf(before, steps);
		disk = cow(before);
		log = note(disk);
		EQ(recover_all(log), 0);
		after_leaf(disk, 0, &steps);
		cut_everywhere("lvm upstream's leaf merge", log, before, after_leaf, &steps);
		io_close(log);
		io_close(disk);
		io_close(before);
	}
}

/* The only room for the child's new end is where the parent's still is. */
TEST(lvhd_undoes_a_merge_in_a_full_vg)
{
	struct io *before = new_sr(false), *disk, *log;
	int steps = 7;
	struct sr_view s;
	struct lvm_lv *lv;

	snapshot(before, false, true);
	upstream_leaf(before, 4);
	view_open(&s, before);
	EQ(lvhd_grow(&s.h, lv_of(&s, "VHD-" LEAF), 20 * MiB), 0);
	EQ(lvhd_new_lv(&s.h, "filler", lvm_vg_free(s.h.vg) * LVHD_UNIT, NULL, &lv), 0);
	view_commit(&s);
	view_close(&s);
	disk = cow(before);
	log = note(disk);
	EQ(recover_all(log), 0);
	after_leaf(disk, 0, &steps);
	cut_everywhere("lvm upstream's leaf merge", log, before, after_leaf, &steps);
	io_close(log);
	io_close(disk);
	io_close(before);
}

TEST(lvhd_journals_of_a_collector_stay_while_their_disk_does)
{
	struct io *disk = new_sr(false);
	struct uuid leaf = id(LEAF), gone = id(CLONE);
	enum lvhd_result did;
	struct lvhd_journal *j;
	struct sr_view s;
	size_t n;

	view_open(&s, disk);
	EQ(lvhd_journal_add(&s.h, LVHD_RELINK, &leaf, "1"), 0);
	EQ(lvhd_journal_add(&s.h, LVHD_RELINK, &gone, "1"), 0);
	EQ(lvhd_journals(&s.h, &j, &n), 0);
	EQ(n, 2);
	EQ(lvhd_resolve(&s.h, &j[0], &did), 0);
	EQ(did, LVHD_LEFT);
	EQ(lvhd_resolve(&s.h, &j[1], &did), 0);
	EQ(did, LVHD_DROPPED);
	EQ(lvhd_journals(&s.h, &j, &n), 0);
	EQ(n, 1);
	view_close(&s);
	io_close(disk);
}

/* --- all sequences ------------------------------------------------------------------- */

/* Up to three verbs on a fresh SR, whichever and in any order; the last one dies anywhere. */
enum verb { SNAPSHOT, GROW, SHRINK, WRITE, VERBS };
#define IN_A_ROW 3

static void do_verb(struct io *disk, enum verb verb, int nth)
{
	char base[] = "00000000-0000-4000-8000-0000000000f0";
	struct lvhd_snapshot snap = { .leaf = id(LEAF), .thick_leaf = nth & 1 };
	struct lvm_lv *lv;
	struct sr_view s;
	bool more;

	view_open(&s, disk);
	lv = lv_of(&s, "VHD-" LEAF);
	switch (verb) {
	case SNAPSHOT:
		base[35] = (char)('0' + nth);
		snap.base = id(base);
		EQ(lvhd_snapshot(&s.h, &snap), 0);
		view_commit(&s);
		EQ(lvhd_snapshot_end(&s.h, &snap, &more), 0);
		break;
	case GROW:
		EQ(lvhd_grow(&s.h, lv, lvm_lv_bytes(s.h.vg, lv) + 4 * MiB), 0);
		break;
	case SHRINK:
		EQ(lvhd_shrink(&s.h, lv, 0), 0);
		break;
	default:
		put_sector(&s, LEAF, 7, 12);
		break;
	}
	view_commit(&s);
	view_close(&s);
}

static void after_verbs(struct io *disk, size_t n, void *arg)
{
	struct sr_view s;

	EQ(recover_all(disk), 0);
	view_open(&s, disk);
	OK(no_journal_left(&s));
	OK(is_whole(&s, LEAF) && !is_hidden(&s, LEAF));
	put_sector(&s, LEAF, 7, 12);
	OK(is_whole(&s, LEAF));
	view_close(&s);
}

/* Sequence number n: its length, and the verbs as digits. */
static int sequence(int n, enum verb *verb)
{
	int len = 1, of = VERBS;

	for (; n >= of; len++) {
		n -= of;
		of *= VERBS;
	}
	for (int i = 0; i < len; i++, n /= VERBS)
		verb[i] = (enum verb)(n % VERBS);
	return len;
}

TEST(lvhd_any_three_verbs_in_a_row_die_anywhere)
{
	enum verb verb[IN_A_ROW + 1];

	for (int n = 0, len; (len = sequence(n, verb)) <= IN_A_ROW; n++) {
		struct io *before = new_sr(false), *disk, *log;

		for (int i = 0; i < len - 1; i++)
			do_verb(before, verb[i], i);
		disk = cow(before);
		log = note(disk);
		do_verb(log, verb[len - 1], len - 1);
		cut_everywhere("lvm vhd any three in a row", log, before, after_verbs, NULL);
		io_close(log);
		io_close(disk);
		io_close(before);
	}
}
