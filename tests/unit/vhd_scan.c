/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables that are looked at and not kept say what those say that are, or that they do not know. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/bytes.h"
#include "lib/kconfig.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/coalesce.h"
#include "lib/vhd/create.h"
#include "lib/vhd/scan.h"
#include "tests/unit/vhd_util.h"

#define SPAN	(VHD_BLOCK_SPAN + 7)	/* sectors from one block to the next */

/* What becomes of a table: nothing, two blocks change places, or one entry is anything. */
enum fault { SOUND, SWAPPED, WILD, N_FAULTS };

/* One block of so many is not there, one of so many that are is not full; 0: none. */
static struct io *made(struct rnd *r, uint32_t blocks, uint64_t empty, uint64_t holes, enum fault fault)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = (blocks - 1) * VHD_BLOCK + MiB, .uuid = { 3 } };
	struct io *io = NULL;
	struct vhd *v = NULL;
	uint32_t n = 0, at, i;

	EQ(io_from_fd(&io, memfd_create("vhd", MFD_CLOEXEC), IO_RDWR), 0);
	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	at = (uint32_t)(vhd_bat_place(v->meta_end) / VHD_SECTOR);
	for (i = 0; i < blocks; i++) {
		if (empty && !rnd_below(r, empty))
			continue;
		vhd_bat_set(v, i, at + n++ * SPAN);
		if (!holes || rnd_below(r, holes))
			vhd_batmap_set(v, i);
	}
	v->data_end = (at + (uint64_t)n * SPAN) * VHD_SECTOR;
	v->grown = true;
	if (fault == SWAPPED) {
		uint32_t a = (uint32_t)rnd_below(r, blocks), b = (uint32_t)rnd_below(r, blocks), was = vhd_entry(v, a);

		vhd_bat_set(v, a, vhd_entry(v, b));
		vhd_bat_set(v, b, was);
	}
	if (fault == WILD)
		vhd_bat_set(v, (uint32_t)rnd_below(r, blocks), (uint32_t)rnd(r) >> rnd_below(r, 32));
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	return io;
}

static bool one(struct io *io)
{
	struct vhd *v = NULL, *all = NULL;
	bool known = false;
	uint32_t used;

	EQ(vhd_open(&all, io, 0), 0);
	EQ(vhd_open(&v, io, VHD_NO_TABLE), 0);
	OK(!v->bat);
	EQ(vhd_scan_used(v, &used, &known), 0);
	if (known) {
		EQ(all->n_bad, 0);
		EQ(used, vhd_allocated(all));
		EQ(v->data_end, all->data_end);
	}
	vhd_close(v);
	vhd_close(all);
	return known;
}

static bool two(struct io *child, struct io *parent, bool *covers)
{
	struct vhd *c = NULL, *p = NULL;
	bool known = false, says;

	EQ(vhd_open(&c, child, 0), 0);
	EQ(vhd_open(&p, parent, 0), 0);
	EQ(vhd_covers(c, p, covers), 0);
	vhd_close(c);
	vhd_close(p);
	EQ(vhd_open(&c, child, VHD_NO_TABLE), 0);
	EQ(vhd_open(&p, parent, VHD_NO_TABLE), 0);
	EQ(vhd_scan_covers(c, p, &says, &known), 0);
	if (known)
		EQ(says, *covers);
	vhd_close(c);
	vhd_close(p);
	return known;
}

TEST(vhd_tables_that_are_only_looked_at_say_the_same)
{
	struct rnd r = { .s = 11 };
	uint32_t answers[2] = { 0 }, knows[2] = { 0 };

	if (!IS_ENABLED(CONFIG_GC_SHARE))
		return;
	for (int i = 0; i < 300; i++) {
		uint32_t blocks = 1 + (uint32_t)rnd_below(&r, i % 50 ? 400 : 150000);
		enum fault fault = (enum fault)(i % N_FAULTS);
		struct io *child = made(&r, blocks, i % 4 < 2 ? 0 : 1 + rnd_below(&r, blocks), i % 2 ? 0 : blocks, fault);
		struct io *parent = made(&r, blocks, 1 + rnd_below(&r, 4), 2, i % 5 ? SOUND : WILD);
		bool covers = false, known = one(child);

		if (fault == SOUND)
			OK(known);
		knows[known]++;
		one(parent);
		if (two(child, parent, &covers))
			answers[covers]++;
		io_close(child);
		io_close(parent);
	}
	OK(knows[false] > 50);
	OK(knows[true] > 100);
	OK(answers[false] > 20);
	OK(answers[true] > 20);
}
