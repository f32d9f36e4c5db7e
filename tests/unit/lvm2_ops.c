/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes to volume groups, one by one and at random. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/lvm2/alloc.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/scan.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/t.h"

static const struct lvm_stamp stamp = { .program = "smbox", .cause = "test", .host = "here" };

static struct lvm_id id_of(uint64_t n)
{
	struct lvm_id id;
	uint8_t random[32];

	for (int i = 0; i < 32; i++)
		random[i] = (uint8_t)(vec_rand(&n) >> 8);
	lvm_id_make(&id, random);
	return id;
}

TEST(lvm_pv_areas_go_where_pvcreate_puts_them)
{
	static const struct {
		struct lvm_pv_spec s;
		uint64_t data, mda[2][2], boot[2];
	} t[] = {
		{ { .n_mdas = 1 }, 1048576, { { 4096, 1044480 } }, { 0 } },
		{ { .n_mdas = 1, .metadata_size = 100 << 10 }, 1048576, { { 4096, 1044480 } }, { 0 } },
		{ { .n_mdas = 1, .metadata_size = 8 << 20 }, 9437184, { { 4096, 9433088 } }, { 0 } },
		{ { .n_mdas = 1, .align = 4 << 20 }, 4194304, { { 4096, 4190208 } }, { 0 } },
		{ { .n_mdas = 1, .align = 64 << 10 }, 1048576, { { 4096, 1044480 } }, { 0 } },
		{ { .n_mdas = 1, .metadata_size = 128 << 10, .align = 128 << 10 },
		  262144, { { 4096, 258048 } }, { 0 } },
		{ { .n_mdas = 1, .align = 1 << 20, .align_offset = 3584 },
		  1052160, { { 4096, 1048064 } }, { 0 } },
		{ { .n_mdas = 0 }, 1048576, { { 0, 0 } }, { 0 } },
		{ { .n_mdas = 2 }, 1048576, { { 4096, 1044480 }, { 103809024, 1048576 } }, { 0 } },
		{ { .n_mdas = 2, .metadata_size = 3 << 20 },
		  4194304, { { 4096, 4190208 }, { 101711872, 3145728 } }, { 0 } },
		{ { .n_mdas = 1, .boot_size = 2 << 20 },
		  3145728, { { 4096, 1044480 } }, { 1048576, 2097152 } },
		/* As XenServer makes them. */
		{ { .n_mdas = 1, .metadata_size = 10 << 20 }, 22528 * 512, { { 4096, 11530240 } }, { 0 } },
	};
	const struct lvm_id id = id_of(1);

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct lvm_pv_spec s = t[i].s;
		struct lvm_label l = { 0 };

		s.device_size = 104857600;
		EQ(lvm_pv_plan(&s, &id, &l), 0);
		EQ(l.data[0].at, t[i].data);
		EQ(l.data[0].size, 0);
		EQ(l.n_mda, s.n_mdas);
		for (uint32_t k = 0; k < l.n_mda; k++) {
			EQ(l.mda[k].at, t[i].mda[k][0]);
			EQ(l.mda[k].size, t[i].mda[k][1]);
		}
		EQ(l.boot[0].at, t[i].boot[0]);
		EQ(l.boot[0].size, t[i].boot[1]);
	}
}

TEST(lvm_pv_that_cannot_be)
{
	const struct lvm_id id = id_of(1);
	struct lvm_label l;

	EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = 2 << 20, .n_mdas = 1 }, &id, &l), 0);
	EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = (2 << 20) - 1, .n_mdas = 1 }, &id, &l),
	   -E_LVM_PV_SIZE);
	EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = 8 << 20, .n_mdas = 1,
					      .metadata_size = 8 << 20 }, &id, &l), -E_LVM_PV_SIZE);
	EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = 8 << 20, .n_mdas = 1,
					      .metadata_size = UINT64_MAX }, &id, &l), -E_LVM_PV_SIZE);
	EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = 2 << 20, .n_mdas = 2 }, &id, &l), 0);
	EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = 8 << 20, .n_mdas = 3 }, &id, &l), -E_ARG);
	EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = 8 << 20, .align = 1000 }, &id, &l), -E_ARG);
}

/* The bytes pvcreate would have written: the label of a vector from its own facts. */
TEST(lvm_pv_create_writes_what_pvcreate_writes)
{
	static const struct lvm_pv_spec like[] = {
		{ .n_mdas = 1 }, { .n_mdas = 2 }, { .n_mdas = 0 }, { .n_mdas = 1, .boot_size = 2 << 20 },
	};

	for (int i = 0; i < 4; i++) {
		struct io *theirs = vec_pv("01-fresh-pv", i), *ours = io_mem(theirs->size, theirs->size);
		static uint8_t a[1 << 20], b[1 << 20];
		struct lvm_pv_spec s = like[i];
		struct lvm_label l, want;

		EQ(io_read(theirs, 0, a, sizeof(a)), 0);
		EQ(lvm_label_find(&want, a, sizeof(a)), 0);
		s.device_size = theirs->size;
		EQ(lvm_pv_plan(&s, &want.pv, &l), 0);
		EQ(lvm_pv_create(ours, &l), 0);
		for (uint64_t at = 0; at < theirs->size; at += sizeof(a)) {
			EQ(io_read(theirs, at, a, sizeof(a)), 0);
			EQ(io_read(ours, at, b, sizeof(b)), 0);
			if (!MEM_EQ(b, a, sizeof(a)))
				break;
		}
		EQ(lvm_pv_remove(ours, &l), 0);
		EQ(io_read(ours, 0, b, sizeof(b)), 0);
		EQ(lvm_label_find(&want, b, sizeof(b)), -E_LVM_NO_LABEL);
		io_close(theirs);
		io_close(ours);
	}
}

/* --- a VG to play with -------------------------------------------------------------- */

#define PVS 3

struct play {
	struct arena a;
	struct io *io[PVS];
	struct lvm_dev dev[PVS];
	struct lvm_set set;
	struct lvm_vg *vg;
};

static const char *const paths[PVS] = { "a", "b", "c" };

static void scan(struct play *p)
{
	for (int i = 0; i < PVS; i++)
		p->dev[i] = (struct lvm_dev){ .io = p->io[i], .path = paths[i] };
	lvm_scan(&p->a, p->dev, PVS, NULL, &p->set);
	p->vg = p->set.n_found ? p->set.found[0]->vg : NULL;
}

/* Extents of 1 MiB; the second PV is twice as large as the others. */
static struct play *play_new(uint64_t mib)
{
	struct play *p = must_alloc(sizeof(*p));
	struct lvm_id id = id_of(7);

	for (int i = 0; i < PVS; i++) {
		uint64_t size = (mib * (i == 1 ? 2 : 1) + 1) << 20;
		struct lvm_id pv = id_of((uint64_t)i + 10);
		struct lvm_label l;

		p->io[i] = io_mem(size, size);
		EQ(lvm_pv_plan(&(struct lvm_pv_spec){ .device_size = size, .n_mdas = 1 }, &pv, &l), 0);
		EQ(lvm_pv_create(p->io[i], &l), 0);
	}
	scan(p);
	EQ(lvm_vg_new(&p->a, "vg", &id, 1 << 20, NULL, &p->vg), 0);
	for (int i = 0; i < PVS; i++)
		EQ(lvm_vg_extend(p->vg, &p->dev[i]), 0);
	return p;
}

static void play_end(struct play *p)
{
	for (int i = 0; i < PVS; i++)
		io_close(p->io[i]);
	arena_free(&p->a);
	free(p);
}

static int add(struct play *p, const char *name, uint64_t n, uint64_t mib, struct lvm_lv **lv)
{
	const struct lvm_lv_spec spec = {
		.name = name, .id = id_of(n), .bytes = mib << 20, .host = "here", .now = 1795400000,
	};

	return lvm_lv_create(p->vg, &spec, lv);
}

TEST(lvm_lv_placement)
{
	struct play *p = play_new(10);
	struct lvm_lv *a, *b, *c, *d;

	/* Best fit: the smallest gap that is large enough, the first of equals. */
	EQ(add(p, "a", 1, 4, &a), 0);
	OK(a->seg[0].leg[0].pv == p->vg->pv[0]);
	EQ(add(p, "b", 2, 15, &b), 0);
	OK(b->seg[0].leg[0].pv == p->vg->pv[1]);
	EQ(add(p, "c", 3, 5, &c), 0);
	OK(c->seg[0].leg[0].pv == p->vg->pv[1]);
	EQ(c->seg[0].leg[0].extent, 15);
	/* Right behind the end, into the same segment. */
	EQ(lvm_lv_resize(p->vg, a, 6 << 20), 0);
	EQ(a->n_segs, 1);
	EQ(a->extents, 6);
	/* Not behind the end: the same PV has no room, so elsewhere in a second one. */
	EQ(lvm_lv_resize(p->vg, b, 18 << 20), 0);
	EQ(b->n_segs, 2);
	OK(b->seg[1].leg[0].pv == p->vg->pv[0]);
	EQ(b->seg[1].start, 15);
	/* In pieces when there is no other way: one extent left on a, ten on c. */
	EQ(add(p, "d", 4, 11, &d), 0);
	EQ(d->n_segs, 2);
	EQ(d->seg[0].count, 10);
	EQ(lvm_vg_free(p->vg), 0);
	EQ(add(p, "e", 5, 1, &d), -E_LVM_NO_SPACE);
	EQ(lvm_lv_resize(p->vg, a, 7 << 20), -E_LVM_NO_SPACE);
	EQ(lvm_lv_resize(p->vg, a, 3 << 20), 0);
	EQ(lvm_vg_free(p->vg), 3);
	EQ(lvm_lv_resize(p->vg, b, 15 << 20), 0);
	EQ(b->n_segs, 1);
	EQ(lvm_lv_remove(p->vg, a), 0);
	EQ(p->vg->pv[0]->n_gaps, 1);		/* what was given back has grown together */
	EQ(p->vg->pv[0]->gap[0].count, 9);
	play_end(p);
}

TEST(lvm_lv_placement_by_policy)
{
	struct play *p = play_new(10);
	struct lvm_lv_spec s = {
		.name = "x", .id = id_of(1), .bytes = 25 << 20, .host = "h", .policy = "contiguous",
	};
	struct lvm_lv *lv, *other;

	EQ(lvm_lv_create(p->vg, &s, &lv), -E_LVM_NO_SPACE);
	EQ(lvm_vg_free(p->vg), 40);
	s.bytes = 15 << 20;
	EQ(lvm_lv_create(p->vg, &s, &lv), 0);
	EQ(lvm_lv_resize(p->vg, lv, 20 << 20), 0);
	EQ(lvm_lv_resize(p->vg, lv, 21 << 20), -E_LVM_NO_SPACE);
	EQ(lvm_lv_resize(p->vg, lv, 15 << 20), 0);
	EQ(add(p, "in-between", 2, 1, &other), 0);
	OK(other->seg[0].leg[0].pv == p->vg->pv[1]);	/* five are left there: the best fit */
	EQ(lvm_lv_resize(p->vg, lv, 16 << 20), -E_LVM_NO_SPACE);

	s = (struct lvm_lv_spec){ .name = "y", .id = id_of(3), .bytes = 2 << 20, .host = "h", .policy = "cling" };
	EQ(lvm_lv_create(p->vg, &s, &lv), 0);
	EQ(lvm_lv_resize(p->vg, lv, 5 << 20), -E_LVM_NO_SPACE);
	EQ(lvm_lv_resize(p->vg, lv, 4 << 20), 0);
	play_end(p);
}

TEST(lvm_lv_names_tags_and_limits)
{
	static const char *const bad[] = {
		"", ".", "..", "-x", "a/b", "a b", "snapshot1", "pvmove0", "x_tmeta", "x_rimage_0", "\xc3\xa4",
	};
	struct play *p = play_new(10);
	struct lvm_lv *lv, *no;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EQ(add(p, bad[i], 1, 1, &no), -E_LVM_NAME);
	EQ(add(p, "a", 1, 1, &lv), 0);
	EQ(add(p, "a", 2, 1, &no), -E_LVM_LV_EXISTS);
	EQ(add(p, "b", 1, 1, &no), -E_LVM_LV_EXISTS);
	EQ(add(p, "b", 2, 0, &no), -E_LVM_LV_SIZE);
	EQ(add(p, "b", 2, UINT64_MAX >> 20, &no), -E_LVM_LV_SIZE);
	EQ(add(p, "b", 2, 1, &no), 0);
	EQ(lvm_lv_rename(p->vg, lv, "b"), -E_LVM_LV_EXISTS);
	EQ(lvm_lv_rename(p->vg, lv, "c"), 0);
	OK(!lvm_lv_find(p->vg, "a"));
	OK(lvm_lv_find(p->vg, "c") == lv);

	EQ(lvm_lv_tag(p->vg, lv, "not a tag", true), -E_LVM_TAG);
	EQ(lvm_lv_tag(p->vg, lv, "t1", true), 0);
	EQ(lvm_lv_tag(p->vg, lv, "t2", true), 0);
	EQ(lvm_lv_tag(p->vg, lv, "t1", true), 0);
	EQ(lv->tags.n, 2);
	EQ(lvm_lv_tag(p->vg, lv, "t1", false), 0);
	EQ(lvm_lv_tag(p->vg, lv, "t1", false), 0);
	EQ(lv->tags.n, 1);
	STR_EQ(lv->tags.v[0], "t2");

	p->vg->max_lv = 2;
	EQ(add(p, "d", 3, 1, &no), -E_LVM_LIMIT);
	p->vg->flags &= ~LVM_VG_WRITE;
	EQ(lvm_lv_tag(p->vg, lv, "t", true), -E_LVM_READ_ONLY);
	EQ(lvm_lv_remove(p->vg, lv), -E_LVM_READ_ONLY);
	play_end(p);
}

TEST(lvm_lv_as_lvm2_writes_one)
{
	struct play *p = play_new(10);
	_buf_free_ struct buf b = { 0 };
	struct lvm_lv *lv;

	EQ(add(p, "lv1", 1, 2, &lv), 0);
	EQ(lvm_lv_tag(p->vg, lv, "t", true), 0);
	lvm_lv_print(p->vg, lv, &b);
	memset(strstr(b.p, "id = \"") + 6, 'X', 38);
	STR_EQ(b.p,
	       "lv1 {\nid = \"XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\"\n"
	       "status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\ntags = [\"t\"]\n"
	       "creation_time = 1795400000\ncreation_host = \"here\"\nsegment_count = 1\n\n"
	       "segment1 {\nstart_extent = 0\nextent_count = 2\n\ntype = \"striped\"\nstripe_count = 1\n\n"
	       "stripes = [\n\"pv0\", 0\n]\n}\n}\n");
	/* In a VG with an owner nothing looks writable to those who do not know owners. */
	p->vg->system_id = p->vg->our_system_id = "host";
	EQ(lvm_lv_tag(p->vg, lv, "t", false), 0);
	buf_reset(&b);
	lvm_lv_print(p->vg, lv, &b);
	OK(strstr(b.p, "status = [\"READ\", \"VISIBLE\"]\nflags = [\"WRITE_LOCKED\"]\ncreation_time"));
	EQ(lvm_lv_set_writable(p->vg, lv, false), 0);
	buf_reset(&b);
	lvm_lv_print(p->vg, lv, &b);
	OK(strstr(b.p, "status = [\"READ\", \"VISIBLE\"]\nflags = []\n"));
	play_end(p);
}

TEST(lvm_pv_resize_and_reduce)
{
	struct play *p = play_new(10);
	struct lvm_pv *pv = p->vg->pv[0];
	struct lvm_lv *lv;

	EQ(add(p, "a", 1, 4, &lv), 0);
	OK(lv->seg[0].leg[0].pv == pv);
	EQ(lvm_pv_resize(p->vg, pv, 100 << 20), -E_LVM_PV_SIZE);	/* the device has not grown */
	EQ(lvm_pv_resize(p->vg, pv, 4 << 20), -E_LVM_PV_USED);
	EQ(lvm_pv_resize(p->vg, pv, 5 << 20), 0);
	EQ(pv->pe_count, 4);
	EQ(pv->n_free, 0);
	EQ(lvm_pv_resize(p->vg, pv, 11 << 20), 0);
	EQ(pv->n_free, 6);
	EQ(lvm_vg_reduce(p->vg, pv), -E_LVM_PV_USED);
	EQ(lvm_lv_remove(p->vg, lv), 0);
	EQ(lvm_vg_reduce(p->vg, pv), 0);
	EQ(p->vg->n_pvs, 2);
	EQ(lvm_vg_commit(p->vg, &stamp), 0);
	scan(p);
	EQ(p->vg->n_pvs, 2);
	EQ(p->dev[0].label.ext_flags, 0);
	EQ(lvm_vg_extend(p->vg, &p->dev[0]), 0);
	EQ(lvm_vg_commit(p->vg, &stamp), 0);
	EQ(lvm_vg_reduce(p->vg, p->vg->pv[0]), 0);
	EQ(lvm_vg_reduce(p->vg, p->vg->pv[0]), 0);
	EQ(lvm_vg_reduce(p->vg, p->vg->pv[0]), -E_LVM_NO_MDA);
	play_end(p);
}

TEST(lvm_vg_that_cannot_be)
{
	struct arena a = { 0 };
	struct lvm_id id = id_of(1);
	struct lvm_vg *vg;

	EQ(lvm_vg_new(&a, "bad name", &id, 4 << 20, NULL, &vg), -E_LVM_NAME);
	EQ(lvm_vg_new(&a, "vg", &id, 0, NULL, &vg), -E_ARG);
	EQ(lvm_vg_new(&a, "vg", &id, 512, NULL, &vg), -E_ARG);
	EQ(lvm_vg_new(&a, "vg", &id, 3 << 10, NULL, &vg), -E_ARG);
	EQ(lvm_vg_new(&a, "vg", &id, 1 << 10, NULL, &vg), 0);
	EQ(lvm_vg_new(&a, "vg", &id, 384 << 10, NULL, &vg), 0);
	EQ(lvm_vg_commit(vg, &stamp), -E_LVM_NO_MDA);
	arena_free(&a);
}

/* --- in VGs that lvm2 made ------------------------------------------------------------- */

static struct play *of_vector(const char *scenario)
{
	struct play *p = must_alloc(sizeof(*p));

	for (int i = 0; i < PVS; i++) {
		p->io[i] = vec_pv(scenario, i);
		if (!p->io[i])
			p->io[i] = io_mem(1 << 20, 1 << 20);
	}
	scan(p);
	OK(p->vg);
	return p;
}

/* After a change and its commit, all but the changed parts of the text is as it was. */
TEST(lvm_a_change_keeps_what_it_does_not_concern)
{
	struct play *p = of_vector("17-cache-writecache");
	_buf_free_ struct buf old = { 0 };
	struct lvm_lv *lv;
	const char *rest;
	struct view now;

	OK(vec_file("17-cache-writecache", "pv0.mda0.txt", &old));
	EQ(add(p, "new", 1, 1, &lv), 0);
	EQ(lvm_vg_commit(p->vg, &stamp), 0);
	scan(p);
	now = p->set.found[0]->best->text;
	/* Everything from the first LV to the last, with the new one cut out again. */
	rest = strstr(now.p, "\nnew {");
	if (OK(rest)) {
		const char *from = strstr(old.p, "\nmain1 {"), *mine = strstr(now.p, "\nmain1 {");
		const char *end = strstr(rest, "\n}\n}\n") + 5;

		MEM_EQ(mine, from, (size_t)(rest - mine));
		from += rest - mine;
		MEM_EQ(end, from, (size_t)(strstr(from, "# Generated") - from));
	}
	/* Visible ones come before parts. */
	OK(strstr(rest, "\nlvol0_pmspare {") || strstr(rest, "\ncp_cpool_cmeta {"));
	play_end(p);
}

TEST(lvm_parts_and_foreign_types_are_not_touched)
{
	static const struct { const char *scenario, *lv; int remove, tag; } t[] = {
		{ "06-thin", "pool", -E_LVM_LV_USED, 0 },
		{ "06-thin", "pool_tdata", -E_LVM_LV_USED, -E_LVM_LV_USED },
		{ "06-thin", "th3", -E_LVM_LV_TYPE, 0 },
		{ "06-thin", "ext", -E_LVM_LV_USED, 0 },
		{ "07-cow-snapshot", "org", -E_LVM_LV_USED, 0 },
		{ "07-cow-snapshot", "snap1", -E_LVM_LV_USED, -E_LVM_LV_USED },
		{ "07-cow-snapshot", "snapshot0", -E_LVM_LV_TYPE, 0 },
		{ "08-mirror-raid1", "r1", -E_LVM_LV_TYPE, 0 },
		{ "08-mirror-raid1", "r1_rimage_0", -E_LVM_LV_USED, -E_LVM_LV_USED },
		{ "08-mirror-raid1", "m2_mlog", -E_LVM_LV_USED, -E_LVM_LV_USED },
		{ "09-striped", "s2", 0, 0 },
		{ "17-cache-writecache", "main1", -E_LVM_LV_TYPE, 0 },
		{ "17-cache-writecache", "main3_wcorig", -E_LVM_LV_USED, -E_LVM_LV_USED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct play *p = of_vector(t[i].scenario);
		struct lvm_lv *lv = lvm_lv_find(p->vg, t[i].lv);

		if (OK(lv)) {
			EQ(lvm_lv_tag(p->vg, lv, "t", true), t[i].tag);
			EQ(lvm_lv_rename(p->vg, lv, "renamed"), t[i].remove);
			EQ(lvm_lv_resize(p->vg, lv, 4 << 20), t[i].remove);
			EQ(lvm_lv_remove(p->vg, lv), t[i].remove);
		}
		play_end(p);
	}
}

TEST(lvm_striped_lv_shrinks_by_rows)
{
	struct play *p = of_vector("09-striped");
	struct lvm_lv *lv = lvm_lv_find(p->vg, "s2");
	uint64_t free = lvm_vg_free(p->vg), extent = lvm_extent_bytes(p->vg);

	EQ(lv->extents, 6);
	EQ(lvm_lv_resize(p->vg, lv, 7 * extent), -E_LVM_LV_TYPE);
	EQ(lvm_lv_resize(p->vg, lv, 3 * extent), 0);
	EQ(lv->extents, 4);
	EQ(lv->n_segs, 1);
	EQ(lvm_vg_free(p->vg), free + 2);
	EQ(lvm_lv_resize(p->vg, lv, 1 * extent), 0);
	EQ(lv->extents, 2);
	EQ(lvm_vg_commit(p->vg, &stamp), 0);
	scan(p);
	lv = lvm_lv_find(p->vg, "s2");
	EQ(lv->extents, 2);
	EQ(lv->seg[0].n_legs, 2);
	EQ(lv->seg[0].stripe_size, 128);
	EQ(lvm_vg_free(p->vg), free + 4);
	play_end(p);
}

/* With a PV away only whole LVs may go, and the PV is marked. */
TEST(lvm_partial_vg_only_loses_lvs)
{
	struct play *p = of_vector("11a-partial");
	struct lvm_lv *lv;

	EQ(add(p, "new", 1, 1, &lv), -E_LVM_PARTIAL);
	EQ(lvm_lv_tag(p->vg, lvm_lv_find(p->vg, "on0"), "t", true), -E_LVM_PARTIAL);
	EQ(lvm_lv_remove(p->vg, lvm_lv_find(p->vg, "on1")), -E_LVM_PARTIAL);
	EQ(lvm_lv_remove(p->vg, lvm_lv_find(p->vg, "on0")), 0);
	EQ(lvm_vg_commit(p->vg, &stamp), 0);
	scan(p);
	OK(!lvm_lv_find(p->vg, "on0"));
	for (uint32_t i = 0; i < p->vg->n_pvs; i++) {
		struct lvm_pv *pv = p->vg->pv[i];

		EQ(!!(pv->flags & LVM_PV_MISSING), !pv->dev);
		if (!pv->dev)
			STR_EQ(pv->device, "[unknown]");
	}
	play_end(p);
}

/* --- at random -------------------------------------------------------------------------- */

/* What the text says must be what the model says, gaps and all. */
static void same_after_reading(struct play *p)
{
	_buf_free_ struct buf text = { 0 };
	struct arena a = { 0 };
	const char *why = "";
	struct lvm_vg *vg = NULL;
	struct lvm_lv *x, *y;

	lvm_vg_print(p->vg, &stamp, &text);
	if (!EQ(lvm_vg_decode(&a, (struct view){ text.p, text.n }, &vg, &why), 0)) {
		printf("# %s\n", why);
		return;
	}
	EQ(vg->n_lvs, p->vg->n_lvs);
	EQ(lvm_vg_free(vg), lvm_vg_free(p->vg));
	for (uint32_t i = 0; i < vg->n_pvs; i++) {
		EQ(vg->pv[i]->n_gaps, p->vg->pv[i]->n_gaps);
		if (vg->pv[i]->n_gaps == p->vg->pv[i]->n_gaps)
			MEM_EQ(p->vg->pv[i]->gap, vg->pv[i]->gap,
			       vg->pv[i]->n_gaps * sizeof(struct lvm_gap));
	}
	for (x = vg->first, y = p->vg->first; x && y; x = x->next, y = y->next) {
		STR_EQ(x->name, y->name);
		EQ(x->extents, y->extents);
		EQ(x->n_segs, y->n_segs);
		EQ(x->flags, y->flags);
		EQ(x->tags.n, y->tags.n);
	}
	arena_free(&a);
}

static void random_op(struct play *p, uint64_t *seed, uint64_t n)
{
	uint64_t r = vec_rand(seed);
	char name[16];
	struct lvm_lv *lv;
	int err = 0;

	snprintf(name, sizeof(name), "lv%d", (int)(r >> 8) % 40 & 63);
	lv = lvm_lv_find(p->vg, name);
	if (!lv) {
		err = add(p, name, n, 1 + (r >> 20) % 12, &lv);
		OK(!err || err == -E_LVM_NO_SPACE);
		return;
	}
	switch (r % 6) {
	case 0:
	case 1:
		err = lvm_lv_remove(p->vg, lv);
		break;
	case 2:
	case 3:
		err = lvm_lv_resize(p->vg, lv, (1 + (r >> 20) % 20) << 20);
		OK(!err || err == -E_LVM_NO_SPACE);
		return;
	case 4:
		err = lvm_lv_tag(p->vg, lv, r & 1024 ? "odd" : "even", r & 2048);
		break;
	case 5:
		err = lvm_lv_set_writable(p->vg, lv, r & 1024);
		break;
	}
	EQ(err, 0);
}

TEST(lvm_random_changes_keep_the_model_and_the_text_one)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct play *p = play_new(40);
		uint64_t state = seed;

		for (uint64_t n = 0; n < 400; n++) {
			random_op(p, &state, seed * 10000 + n);
			if (n % 20 == 19)
				same_after_reading(p);
			if (n % 100 == 99) {
				EQ(lvm_vg_commit(p->vg, &stamp), 0);
				scan(p);
			}
		}
		play_end(p);
	}
}
