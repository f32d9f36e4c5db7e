/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names, sizes and journals of disks in LVs. */
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"
#include "lib/vhd/create.h"
#include "tests/unit/lvhd_util.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/vhd_util.h"

TEST(lvhd_names)
{
	static const struct { const char *name; enum lvhd_kind kind; } t[] = {
		{ "MGT", LVHD_MGT }, { "LV-" LEAF, LVHD_RAW }, { "VHD-" LEAF, LVHD_VHD },
		{ "VHD-OLD_" LEAF, LVHD_OLD }, { "jvhd_" LEAF, LVHD_RESIZE }, { LEAF ".cbtlog", LVHD_CBT },
		{ "inflate_" LEAF "_8388608", LVHD_JOURNAL }, { "clone_" LEAF "_1", LVHD_JOURNAL },
		{ "leaf_" LEAF "_1", LVHD_JOURNAL }, { "zero_" LEAF "_0", LVHD_JOURNAL },
		{ "clone_" LEAF "_" BASE "_", LVHD_JOURNAL },
		{ "inflate_" LEAF "_", LVHD_OTHER }, { "inflate_" LEAF, LVHD_OTHER },
		{ "deflate_" LEAF "_1", LVHD_OTHER }, { "inflate_x_1", LVHD_OTHER },
		{ "VHD-x", LVHD_OTHER }, { "VHD-" LEAF "x", LVHD_OTHER }, { "LV-", LVHD_OTHER },
		{ "lv-" LEAF, LVHD_OTHER }, { "MGT2", LVHD_OTHER }, { "", LVHD_OTHER },
		{ LEAF ".cbtlo", LVHD_OTHER }, { "x" LEAF ".cbtlog", LVHD_OTHER }, { "_", LVHD_OTHER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct lvhd_name n;

		lvhd_name_parse(t[i].name, &n);
		if (!EQ(n.kind, t[i].kind))
			printf("# %s\n", t[i].name);
		STR_EQ(n.uuid.s, t[i].kind == LVHD_OTHER || t[i].kind == LVHD_MGT ? "" : LEAF);
	}
}

TEST(lvhd_parents_are_disks_of_the_same_vg)
{
#define DM(kind, disk) "VG_XenStorage--5e8a1f3c--0c0d--4b1e--9a77--000000000001-" kind "--" disk
#define DASHED "00000000--0000--4000--8000--00000000000b"
	struct arena a = { 0 };
	struct lvhd_name n;
	char *path;

	EQ(lvhd_parent_path(&a, VG, "VHD-" BASE, &path), 0);
	STR_EQ(path, "./" DM("VHD", DASHED));
	EQ(lvhd_parent_parse(&a, VG, path, &n), 0);
	EQ(n.kind, LVHD_VHD);
	STR_EQ(n.uuid.s, BASE);
	EQ(lvhd_parent_parse(&a, VG, "/dev/mapper/" DM("LV", DASHED), &n), 0);
	EQ(n.kind, LVHD_RAW);
	EQ(lvhd_parent_parse(&a, VG, DM("VHD", DASHED) "-real", &n), -E_VHD_PARENT_NAME);
	EQ(lvhd_parent_parse(&a, VG, "./other-VHD--" DASHED, &n), -E_VHD_PARENT_NAME);
	EQ(lvhd_parent_parse(&a, VG, DM("x", DASHED), &n), -E_VHD_PARENT_NAME);
	EQ(lvhd_parent_parse(&a, VG, "", &n), -E_VHD_PARENT_NAME);
	arena_free(&a);
}

TEST(lvhd_sizes_are_upstreams)
{
	static const struct { uint64_t virtual, full; } t[] = {
		{ 2 * MiB, 8 }, { 10 * MiB, 16 }, { 100 * MiB, 108 }, { GiB, 1032 }, { 10 * GiB, 10268 },
		{ 100 * GiB, 102608 }, { TiB, 1050632 }, { 2040 * GiB, 2093048 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		EQ(lvhd_size_full(t[i].virtual), t[i].full * MiB);
	EQ(lvhd_size_thin(), 8 * MiB);
	EQ(lvhd_size_lv(1), 4 * MiB);
	EQ(lvhd_size_lv(4 * MiB), 4 * MiB);
	OK(lvhd_size_full(UINT64_MAX - 5) > UINT64_MAX - 8 * MiB);
}

TEST(lvhd_sizes_of_what_grows)
{
	EQ(lvhd_size_ahead(0), 64 * MiB);
	EQ(lvhd_size_ahead(600 * MiB), 76 * MiB);	/* in whole units */
	EQ(lvhd_size_ahead(2040 * GiB), 4 * GiB);
}

TEST(lvhd_journal_values)
{
	struct arena a = { 0 };
	const char *v;
	char s[512];

	lvhd_journal_encode(BASE "_", s);
	OK(!memcmp(s, "37 " BASE "_ ", 3 + 37 + 1));
	OK(s[511] == ' ');
	EQ(lvhd_journal_decode(&a, s, &v), 0);
	STR_EQ(v, BASE "_");
	s[1] = '8';			/* one blank more */
	EQ(lvhd_journal_decode(&a, s, &v), 0);
	memset(s, 0, sizeof(s));
	EQ(lvhd_journal_decode(&a, s, &v), -E_LVHD_JOURNAL);
	memcpy(s, "99", 2);
	EQ(lvhd_journal_decode(&a, s, &v), -E_LVHD_JOURNAL);
	memcpy(s, "99 abc", 7);		/* shorter than it says */
	EQ(lvhd_journal_decode(&a, s, &v), -E_LVHD_JOURNAL);
	memset(s, '9', sizeof(s));
	EQ(lvhd_journal_decode(&a, s, &v), -E_LVHD_JOURNAL);
	memset(s, ' ', sizeof(s));
	memcpy(s, "0 ", 2);
	EQ(lvhd_journal_decode(&a, s, &v), -E_LVHD_JOURNAL);
	memcpy(s, "510 x", 5);
	EQ(lvhd_journal_decode(&a, s, &v), -E_LVHD_JOURNAL);
	arena_free(&a);
}

TEST(lvhd_journals_in_a_vg)
{
	struct io *disk = new_sr(false);
	struct lvhd_journal *j;
	struct uuid leaf = id(LEAF), base = id(BASE);
	struct lvm_lv *lv;
	struct sr_view s;
	size_t n;

	view_open(&s, disk);
	EQ(lvhd_journals(&s.h, &j, &n), 0);
	EQ(n, 0);
	EQ(lvhd_journal_add(&s.h, LVHD_LEAF, &leaf, BASE), 0);
	EQ(lvhd_journal_add(&s.h, LVHD_CLONE, &leaf, BASE "_" CLONE), 0);
	EQ(lvhd_journal_add(&s.h, LVHD_INFLATE, &leaf, "8388608"), 0);
	EQ(lvhd_journal_add(&s.h, LVHD_INFLATE, &leaf, "8388608"), -E_LVM_LV_EXISTS);
	EQ(lvhd_journal_add(&s.h, LVHD_COALESCE, &base, "1"), 0);
	/* As in 2012, with all in the name; and one that is none, for want of its tag. */
	EQ(lvhd_new_lv(&s.h, "clone_" BASE "_x", 4 * MiB, "journaler", &lv), 0);
	lv->name = "clone_" BASE "_" LEAF "_";	/* too long for device-mapper: we would not make it */
	EQ(lvhd_new_lv(&s.h, "zero_" BASE "_17", 4 * MiB, NULL, &lv), 0);
	OK(lv_of(&s, "leaf_" LEAF "_1"));
	OK(lv_of(&s, "clone_" LEAF "_1"));
	OK(lv_of(&s, "inflate_" LEAF "_8388608"));
	view_commit(&s);
	view_close(&s);

	view_open(&s, disk);
	EQ(lvhd_journals(&s.h, &j, &n), 0);
	EQ(n, 5);
	for (size_t i = 0; i < n; i++)
		EQ(j[i].err, 0);
	EQ(j[0].type, LVHD_INFLATE);
	EQ(j[0].bytes, 8 * MiB);
	EQ(j[1].type, LVHD_CLONE);
	STR_EQ(j[1].id.s, LEAF);
	STR_EQ(j[1].base.s, BASE);
	STR_EQ(j[1].clone.s, CLONE);
	STR_EQ(j[2].base.s, LEAF);
	STR_EQ(j[2].clone.s, "");
	EQ(j[3].type, LVHD_LEAF);
	STR_EQ(j[3].base.s, BASE);
	OK(lvhd_journal_of(&s.h, &leaf));
	EQ(lvhd_journal_drop(&s.h, LVHD_CLONE, &leaf), 0);
	OK(!lv_of(&s, "clone_" LEAF "_1"));
	OK(lv_of(&s, "leaf_" LEAF "_1"));
	view_close(&s);
	io_close(disk);
}

TEST(lvhd_grows_and_shrinks)
{
	struct io *disk = new_sr(false);
	struct sr_view s;
	struct lvm_lv *lv;

	view_open(&s, disk);
	lv = lv_of(&s, "VHD-" LEAF);
	EQ(lvm_lv_bytes(s.h.vg, lv), 16 * MiB);
	EQ(lvhd_shrink(&s.h, lv, 4 * MiB), -E_VHD_NO_ROOM);
	STR_EQ(s.h.why, "VHD-" LEAF);
	EQ(lvhd_shrink(&s.h, lv, 0), 0);
	EQ(lvm_lv_bytes(s.h.vg, lv), 12 * MiB);	/* two blocks */
	view_commit(&s);
	view_close(&s);

	view_open(&s, disk);
	lv = lv_of(&s, "VHD-" LEAF);
	OK(is_whole(&s, LEAF));
	EQ(lvhd_grow(&s.h, lv, 3 * MiB), 0);
	EQ(lvm_lv_bytes(s.h.vg, lv), 12 * MiB);
	EQ(lvhd_grow(&s.h, lv, 21 * MiB), 0);
	EQ(lvm_lv_bytes(s.h.vg, lv), 24 * MiB);
	view_commit(&s);
	OK(is_whole(&s, LEAF));
	OK(!is_hidden(&s, LEAF));
	EQ(lvhd_grow(&s.h, lv, GiB), -E_LVM_NO_SPACE);
	view_close(&s);
	io_close(disk);
}

/* One that can only be read may lie below a disk in use. */
static int only_read(void *arg, const struct lvm_lv *lv)
{
	return LVHD_READ;
}

static int busy(void *arg, const struct lvm_lv *lv)
{
	return strcmp(lv->name, arg) ? LVHD_IDLE : LVHD_ACTIVE;
}

TEST(lvhd_nothing_is_written_into_what_is_in_use)
{
	struct lvhd_snapshot snap = { .leaf = id(LEAF), .base = id(BASE) };
	struct io *disk = new_sr(false), *log = note(disk);
	struct sr_view s;

	view_open(&s, log);
	s.h.in_use = busy;
	s.h.arg = (char *)"VHD-" LEAF;
	EQ(lvhd_snapshot(&s.h, &snap), -E_VDI_IN_USE);
	EQ(lvhd_grow(&s.h, lv_of(&s, "VHD-" LEAF), 24 * MiB), -E_VDI_IN_USE);
	EQ(lvhd_shrink(&s.h, lv_of(&s, "VHD-" LEAF), 0), -E_VDI_IN_USE);
	EQ(lvhd_set_hidden(&s.h, lv_of(&s, "VHD-" LEAF), true), -E_VDI_IN_USE);
	s.h.held = lv_of(&s, "VHD-" LEAF);
	EQ(lvhd_set_hidden(&s.h, lv_of(&s, "VHD-" LEAF), true), 0);
	s.h.held = NULL;
	s.h.in_use = only_read;
	EQ(lvhd_set_hidden(&s.h, lv_of(&s, "VHD-" LEAF), false), 0);
	view_close(&s);
	io_close(log);
	io_close(disk);
}

TEST(lvhd_one_in_use_grows_behind_its_end)
{
	struct io *disk = new_sr(false), *io = NULL;
	uint8_t was[16 * 1024], now[sizeof(was)];
	struct sr_view s;
	struct lvm_lv *lv;

	view_open(&s, disk);
	lv = lv_of(&s, "VHD-" LEAF);
	EQ(lvm_lv_io(&io, s.h.vg, lv), 0);
	EQ(io_read(io, 16 * MiB - sizeof(was), was, sizeof(was)), 0);
	io_close(io);
	s.h.in_use = busy;
	s.h.arg = (char *)"VHD-" LEAF;
	EQ(lvhd_grow_used(&s.h, lv, 12 * MiB), 0);
	EQ(lvm_lv_bytes(s.h.vg, lv), 16 * MiB);
	EQ(lvhd_grow_used(&s.h, lv, 24 * MiB), 0);
	EQ(lvhd_grow_used(&s.h, lv, GiB), -E_LVM_NO_SPACE);
	view_close(&s);				/* a death before the commit */

	view_open(&s, disk);
	lv = lv_of(&s, "VHD-" LEAF);
	EQ(lvm_lv_bytes(s.h.vg, lv), 16 * MiB);
	OK(is_whole(&s, LEAF));
	EQ(lvhd_grow_used(&s.h, lv, 24 * MiB), 0);
	view_commit(&s);
	OK(is_whole(&s, LEAF));
	EQ(lvm_lv_io(&io, s.h.vg, lv_of(&s, "VHD-" LEAF)), 0);
	EQ(io->size, 24 * MiB);
	EQ(io_read(io, 16 * MiB - sizeof(now), now, sizeof(now)), 0);
	MEM_EQ(now, was, sizeof(now));		/* of its writer, who knows no other end */
	io_close(io);
	view_close(&s);
	io_close(disk);
}

TEST(lvhd_a_new_leaf_has_room_for_what_is_about_to_be_written)
{
	struct lvhd_snapshot snap = { .leaf = id(LEAF), .base = id(BASE), .leaf_ahead = 4 * MiB };
	struct io *disk = new_sr(false);
	uint64_t need, gain;
	struct sr_view s;

	view_open(&s, disk);
	EQ(lvhd_snapshot_space(&s.h, &snap, &need, &gain), 0);
	EQ(need, (8 + 4 + 8) * MiB);
	snap.leaf_ahead = GiB;			/* never more than all of it */
	EQ(lvhd_snapshot_space(&s.h, &snap, &need, &gain), 0);
	EQ(need, (16 + 8) * MiB);
	EQ(lvhd_snapshot(&s.h, &snap), 0);
	EQ(lvm_lv_bytes(s.h.vg, lv_of(&s, "VHD-" LEAF)), 16 * MiB);
	view_close(&s);
	io_close(disk);
}

TEST(lvhd_snapshot_takes_what_it_says)
{
	struct lvhd_snapshot snap = { .leaf = id(LEAF), .base = id(BASE), .thick_leaf = true };
	struct io *disk = new_sr(false);
	uint64_t need, gain, free_before;
	struct sr_view s;

	view_open(&s, disk);
	EQ(lvhd_snapshot_space(&s.h, &snap, &need, &gain), 0);
	EQ(need, (16 + 8) * MiB);
	EQ(gain, 4 * MiB);
	snap.clone = id(CLONE);
	EQ(lvhd_snapshot_space(&s.h, &snap, &need, &gain), 0);
	EQ(need, (16 + 8 + 8) * MiB);
	free_before = lvm_vg_free(s.h.vg) * LVHD_UNIT;
	EQ(lvhd_snapshot(&s.h, &snap), 0);
	EQ(free_before - lvm_vg_free(s.h.vg) * LVHD_UNIT, need - gain - 4 * MiB);
	snap.leaf = id(CLONE);		/* a third of the same name */
	EQ(lvhd_snapshot(&s.h, &snap), -E_VDI_EXISTS);
	view_close(&s);
	io_close(disk);
}

/* --- what the real tools made ------------------------------------------------------ */

TEST(lvhd_reads_a_vg_of_xenserver)
{
	struct lvm_scan_how how = { 0 };
	struct io *pv = vec_pv("13-xenserver", 0);
	struct lvm_dev dev = { .io = pv, .path = "pv" };
	struct arena a = { 0 };
	struct lvhd h = { .arena = &a };
	struct lvhd_journal *j;
	struct lvm_set set;
	enum lvhd_kind kind;
	struct uuid u;
	size_t n;

	lvm_scan(&a, &dev, 1, &how, &set);
	EQ(lvm_vg_get(&set, "VG_XenStorage-5a4f6c1e-27b0-4b5c-8e2b-90f3a1b2c3d4", &h.vg), 0);
	EQ(lvhd_journals(&h, &j, &n), 0);
	if (EQ(n, 1)) {
		EQ(j[0].type, LVHD_INFLATE);
		EQ(j[0].bytes, 12345678);
		EQ(j[0].err, 0);
	}
	u = id("0b1c2d3e-4f50-4617-8283-94a5b6c7d8e9");
	OK(lvhd_find(&h, &u, &kind));
	EQ(kind, LVHD_VHD);
	OK(lvhd_journal_of(&h, &u));
	u = id("77777777-8888-4999-aaaa-bbbbccccdddd");
	OK(lvhd_find(&h, &u, &kind));
	EQ(kind, LVHD_RAW);
	OK(!lvhd_journal_of(&h, &u));
	arena_free(&a);
	io_close(pv);
}

/* An LV that vhd-util and tapdisk wrote, as an LV of a VG. */
static void put_lv(struct sr_view *s, const char *name, const char *vector, struct lvm_lv **lv)
{
	_io_close_ struct io *from = vec_open("vhd", vector), *to = NULL;
	char *p = must_alloc(4 * MiB);

	EQ(lvhd_new_lv(&s->h, name, from->size, NULL, lv), 0);
	EQ(lvm_lv_bytes(s->h.vg, *lv), from->size);
	EQ(lvm_lv_io(&to, s->h.vg, *lv), 0);
	for (uint64_t at = 0; at < from->size; at += 4 * MiB) {
		EQ(io_read(from, at, p, 4 * MiB), 0);
		EQ(io_write(to, at, p, 4 * MiB), 0);
	}
	free(p);
}

/* By the hash that the real tools agreed on. */
static bool has_contents(struct sr_view *s, const char *disk, const char *vector)
{
	struct image *im = open_disk(s, disk);
	char hex[65] = "";
	struct vec v;
	bool same;

	vec_load(&v, "vhd");
	EQ(hash_image(im, hex), 0);
	same = STR_EQ(hex, vec_get(&v, vector, "sha256"));
	vec_free(&v);
	image_close(im);
	return same;
}

#define THEIR_BASE	"00000000-0000-4000-8000-000000000001"
#define THEIR_CHILD	"00000000-0000-4000-8000-000000000002"

TEST(lvhd_goes_on_with_images_of_vhd_util)
{
	struct lvhd_snapshot snap = { .leaf = id(THEIR_CHILD), .base = id(BASE) };
	struct io *disk = new_sr(false);
	struct lvm_lv *base, *child;
	uint64_t need, gain;
	struct sr_view s;
	bool more;

	view_open(&s, disk);
	put_lv(&s, "VHD-" THEIR_BASE, "lvhd-base.lv", &base);
	put_lv(&s, "VHD-" THEIR_CHILD, "lvhd-child.lv", &child);
	view_commit(&s);
	OK(is_child_of(&s, THEIR_CHILD, THEIR_BASE));
	EQ(lvhd_snapshot_space(&s.h, &snap, &need, &gain), 0);
	EQ(gain, 12 * MiB - lvhd_size_lv(lvm_lv_bytes(s.h.vg, child) - gain));
	/* Deflated as theirs was: to 12 MiB, which it has. */
	EQ(lvhd_shrink(&s.h, base, 0), 0);
	EQ(lvm_lv_bytes(s.h.vg, base), 12 * MiB);
	OK(has_contents(&s, THEIR_CHILD, "lvhd-child"));
	EQ(lvhd_snapshot(&s.h, &snap), 0);
	view_commit(&s);
	EQ(lvhd_snapshot_end(&s.h, &snap, &more), 0);
	view_commit(&s);
	view_close(&s);

	view_open(&s, disk);
	OK(is_child_of(&s, THEIR_CHILD, BASE) && is_child_of(&s, BASE, THEIR_BASE));
	OK(is_hidden(&s, BASE));
	OK(has_contents(&s, THEIR_CHILD, "lvhd-child"));
	OK(has_contents(&s, THEIR_BASE, "lvhd-base"));
	view_close(&s);
	io_close(disk);
}
