/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batch.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/write.h"

static void add(struct vhd_batch *b, uint64_t at, const void *p)
{
	b->s[b->n].at = at;
	memcpy(b->s[b->n].b, p, VHD_SECTOR);
	b->n++;
}

static void take_bitmaps(struct vhd *v, struct vhd_batch *b)
{
	for (uint32_t i = 0; i < VHD_BITMAPS; i++) {
		struct vhd_bits *bits = &v->bits[i];

		if (!bits->dirty)
			continue;
		add(b, vhd_entry(v, v->bits_block[i]) * VHD_SECTOR, bits->b);
		bits->dirty = false;
		bits->busy = true;
	}
}

static int take_bat(struct vhd *v, struct vhd_batch *b)
{
	size_t n = (v->n_blocks + 127) / 128;

	for (size_t i = 0; i < n; i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);

		if (!v->bat_dirty[i / 8]) {
			i |= 7;
			continue;
		}
		if (!(v->bat_dirty[i / 8] & bit))
			continue;
		if (b->n == VHD_BATCH_MAX)
			return -EBUSY;		/* cannot be: see the header */
		add(b, v->header.table_at + i * VHD_SECTOR, &v->bat[i * 128]);
		v->bat_dirty[i / 8] &= (uint8_t)~bit;
	}
	return 0;
}

int vhd_batch_take(struct vhd *v, struct vhd_batch *b)
{
	int err;

	b->n = 0;
	if (!v->dirty)
		return 0;
	err = vhd_settle_batmap(v);
	if (err)
		return err;
	take_bitmaps(v, b);
	err = take_bat(v, b);
	if (!err)
		v->dirty = false;
	return err;
}

int vhd_batch_write(struct vhd *v, const struct vhd_batch *b)
{
	int err = 0;

	for (size_t i = 0; i < b->n && !err; i++)
		err = io_write(v->io, b->s[i].at, b->s[i].b, VHD_SECTOR);	/* commit */
	return err;
}

/* What a failed batch held is to be written again. */
static void give_back(struct vhd *v, const struct vhd_batch *b)
{
	uint64_t len = vhd_table_len(v->n_blocks);

	for (size_t i = 0; i < b->n; i++) {
		uint64_t at = b->s[i].at - v->header.table_at;

		if (b->s[i].at >= v->header.table_at && at < len)
			v->bat_dirty[at / VHD_SECTOR / 8] |= (uint8_t)(1u << at / VHD_SECTOR % 8);
	}
	v->dirty = true;
}

void vhd_batch_done(struct vhd *v, struct vhd_batch *b, int err)
{
	for (uint32_t i = 0; i < VHD_BITMAPS; i++) {
		struct vhd_bits *bits = &v->bits[i];

		if (!bits->busy)
			continue;
		bits->busy = false;
		if (err)
			bits->dirty = true;
		else if (!bits->dirty && vhd_bits_full(bits->b))
			vhd_batmap_set(v, v->bits_block[i]);
	}
	if (err)
		give_back(v, b);
	b->n = 0;
}

/* The place of a block that the BAT does not have yet. */
static int redo_place(struct vhd *v, const struct vhd_note *note)
{
	uint64_t at = (uint64_t)note->entry * VHD_SECTOR, end = at + VHD_SECTOR + VHD_BLOCK;

	if (at < v->meta_end || end > v->footer_at)
		return -E_RANGE;
	vhd_bat_set(v, note->block, note->entry);
	if (v->data_end < end)
		v->data_end = end;
	v->grown = true;
	return 0;
}

int vhd_redo(struct vhd *v, const struct vhd_note *note)
{
	struct vhd_bits *bits;
	int err = 0;

	if (!v->writable || note->block >= v->n_blocks || !note->n ||
	    note->sector + note->n > VHD_BLOCK_SECTORS)
		return -E_RANGE;
	if (vhd_entry(v, note->block) == VHD_UNUSED)
		err = redo_place(v, note);
	else if (vhd_entry(v, note->block) != note->entry)
		err = -E_RANGE;
	if (!err)
		err = vhd_bits_get(v, note->block, &bits);
	if (!err && vhd_bit_set(bits->b, note->sector, note->n))
		bits->dirty = v->dirty = true;
	return err;
}
