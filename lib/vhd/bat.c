/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/scan.h"

#define NOBODY 0xffffffffu

struct judge {
	struct vhd *v;
	uint32_t *owner;	/* for each stretch of a block's span, who starts in it */
	size_t n;
	vhd_entry_fn *fn;
	void *arg;
	uint8_t *bad;		/* a bit for each block */
};

uint64_t vhd_bat_len(const struct vhd *v)
{
	return vhd_table_len(v->n_blocks);
}

uint64_t vhd_bat_place(uint64_t end)
{
	uint64_t sector = end / VHD_SECTOR + !!(end % VHD_SECTOR);

	/* The bitmap is the last sector of a page, the data starts with the next. */
	return (sector | 7) * VHD_SECTOR;
}

void vhd_bat_set(struct vhd *v, uint32_t block, uint32_t entry)
{
	v->bat[block] = be32_put(entry);
	v->bat_dirty[block / 128 / 8] |= (uint8_t)(1u << block / 128 % 8);
	v->dirty = true;
}

static void blame(struct judge *j, uint32_t block, uint32_t entry, enum vhd_entry_fault fault)
{
	uint8_t bit = (uint8_t)(1u << block % 8);

	if (j->fn)
		j->fn(j->arg, block, entry, fault);
	if (j->bad[block / 8] & bit)
		return;
	j->v->n_bad++;
	if (fault != ENTRY_CUT)		/* a cut block is readable as far as it goes */
		j->bad[block / 8] |= bit;
}

static void judge_place(struct judge *j, uint32_t block, uint32_t entry)
{
	struct vhd *v = j->v;
	uint64_t at = (uint64_t)entry * VHD_SECTOR;

	if (at < v->meta_end)
		blame(j, block, entry, ENTRY_LOW);
	else if (!range_ok(at, VHD_SECTOR, v->footer_at))
		blame(j, block, entry, ENTRY_HIGH);
	else if (!range_ok(at, vhd_need_of(v, block), v->footer_at))
		blame(j, block, entry, ENTRY_CUT);
}

/*
 * Blocks have one size, so two that start in the same stretch of that size
 * overlap, and no block reaches further than into the next stretch.
 */
static void judge_overlap(struct judge *j, uint32_t block, uint32_t entry)
{
	size_t mine = entry / VHD_BLOCK_SPAN;

	for (size_t k = mine ? mine - 1 : 0; k <= mine + 1 && k < j->n; k++) {
		uint32_t other = j->owner[k], its;

		if (other == NOBODY)
			continue;
		its = vhd_entry(j->v, other);
		if ((its > entry ? its - entry : entry - its) >= VHD_BLOCK_SPAN)
			continue;
		blame(j, other, its, ENTRY_OVERLAP);
		blame(j, block, entry, ENTRY_OVERLAP);
	}
	if (j->owner[mine] == NOBODY)
		j->owner[mine] = block;
}

static void judge_all(struct vhd *v, vhd_entry_fn *fn, void *arg)
{
	struct judge j = { .v = v, .fn = fn, .arg = arg };

	if (IS_ENABLED(CONFIG_GC_SHARE) && vhd_in_order(v))
		return;
	j.n = (size_t)(v->footer_at / VHD_SECTOR / VHD_BLOCK_SPAN + 1);
	if (j.n > NOBODY / VHD_BLOCK_SPAN + 1)		/* what 32-bit entries can reach */
		j.n = NOBODY / VHD_BLOCK_SPAN + 1;
	j.owner = must_alloc(j.n * sizeof(*j.owner));
	memset(j.owner, 0xff, j.n * sizeof(*j.owner));
	j.bad = must_alloc(v->n_blocks / 8 + 1);

	for (uint32_t i = 0; i < v->n_blocks; i++) {
		uint32_t entry = vhd_entry(v, i);
		uint64_t end;

		if (entry == VHD_UNUSED)
			continue;
		judge_place(&j, i, entry);
		if (j.bad[i / 8] & 1u << i % 8)
			continue;
		judge_overlap(&j, i, entry);
		end = (uint64_t)entry * VHD_SECTOR + VHD_SECTOR + VHD_BLOCK;
		if (end > v->data_end)
			v->data_end = end;
	}
	for (uint32_t i = 0; i < v->n_blocks; i++)
		if (j.bad[i / 8] & 1u << i % 8)
			v->bat[i] = be32_put(VHD_BAD);
	free(j.owner);
	free(j.bad);
}

static int read_table(struct vhd *v)
{
	return io_read(v->io, v->header.table_at, v->bat, (size_t)vhd_bat_len(v));
}

int vhd_bat_load(struct vhd *v)
{
	size_t len = (size_t)vhd_bat_len(v);
	int err;

	v->bat = must_alloc(len + 1);
	err = read_table(v);
	if (err)
		return err;
	v->bat_dirty = must_alloc(len / 512 / 8 + 1);
	judge_all(v, NULL, NULL);
	return 0;
}

int vhd_bat_judge(struct vhd *v, vhd_entry_fn *fn, void *arg)
{
	int err = read_table(v);

	v->n_bad = 0;
	if (!err)
		judge_all(v, fn, arg);
	return err;
}
