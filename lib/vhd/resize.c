/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/grow.h"
#include "lib/vhd/resize.h"
#include "lib/vhd/write.h"

/* What lies behind the end of the disk in its last block would show when it grows. */
static int clear_rest(struct vhd *v)
{
	uint64_t within = v->footer.size % VHD_BLOCK;
	uint32_t entry = within ? vhd_entry(v, v->n_blocks - 1) : VHD_UNUSED;
	int err;

	if (!vhd_in_use(entry))
		return 0;
	err = io_zero(v->io, (entry + 1) * VHD_SECTOR + within, VHD_BLOCK - within);
	return err ? err : io_flush(v->io);
}

/*
 * In a stranger's file the last block may end with the disk, and the footer
 * follow at once.  It gets its whole place, and then the end of the block is
 * cleared, so a death between leaves that to be done.
 */
static int make_whole(struct vhd *v)
{
	uint64_t at = vhd_blocks_from(v);
	int err;

	if (v->footer_at < at) {
		if (v->fixed_size)
			return -E_VHD_NO_ROOM;
		err = vhd_write_footer(v, at);
		if (!err)
			err = io_flush(v->io);
		if (err)
			return err;
		v->footer_at = at;
	}
	return clear_rest(v);
}

/* The entries that the new size adds, read from the table and made unused. */
static int extend_table(struct vhd *v, uint32_t n_blocks)
{
	uint64_t old = vhd_bat_len(v), new = vhd_table_len(n_blocks);
	be32 *bat = must_alloc((size_t)new + 1);
	uint8_t *dirty = must_alloc((size_t)(new / 512 / 8 + 1));
	uint32_t first = v->n_blocks;
	int err;

	memcpy(bat, v->bat, (size_t)old);
	err = io_read(v->io, v->header.table_at + old, (char *)bat + old, (size_t)(new - old));
	if (err) {
		free(bat);
		free(dirty);
		return err;
	}
	free(v->bat);
	free(v->bat_dirty);
	v->bat = bat;
	v->bat_dirty = dirty;
	v->n_blocks = n_blocks;
	for (uint32_t i = first; i < n_blocks; i++)
		if (vhd_entry(v, i) != VHD_UNUSED)
			vhd_bat_set(v, i, VHD_UNUSED);
	return vhd_flush(v);
}

/* The bytes of the map that the new size adds are zero, so its sum stays. */
static int extend_batmap(struct vhd *v, uint64_t size)
{
	struct vhd_batmap *b = &v->batmap;
	uint64_t covered = vhd_batmap_covered(size);
	uint8_t *bits;
	int err;

	if (b->state == BATMAP_NONE || covered <= b->covered)
		return 0;
	bits = must_alloc((size_t)covered);
	memcpy(bits, b->bits, (size_t)b->covered);
	free(b->bits);
	b->bits = bits;
	b->covered = covered;
	b->dirty = true;
	err = vhd_batmap_write(v);
	return err ? err : io_flush(v->io);
}

static int resize_fast(struct vhd *v, uint64_t size, uint32_t n_blocks)
{
	struct vhd_footer old = v->footer;
	int err = vhd_flush(v);

	if (!err)
		err = extend_table(v, n_blocks);
	if (!err)
		err = extend_batmap(v, size);
	if (err)
		return err;
	v->footer.size = size;
	v->footer.geometry = vhd_geometry(size);
	err = vhd_write_footers(v);
	if (err)
		v->footer = old;
	return err;
}

/*
 * A fixed image has one footer, and it stands where the new space begins: put
 * the old one behind the new space, clear its old place, then change it there.
 */
static int resize_fixed(struct vhd *v, uint64_t size)
{
	uint64_t at = v->fixed_size ? v->io->size - VHD_SECTOR : size;
	int err = 0;

	if (size > at)
		return -E_VHD_NO_ROOM;
	if (at != v->footer_at) {
		err = vhd_write_footer(v, at);
		if (!err)
			err = io_flush(v->io);
	}
	if (!err)
		err = io_zero(v->io, v->footer.size, size - v->footer.size);
	if (!err)
		err = io_flush(v->io);
	if (err)
		return err;
	v->footer_at = v->data_end = at;
	v->footer.size = size;
	v->footer.geometry = vhd_geometry(size);
	v->n_blocks = (uint32_t)((size + VHD_BLOCK - 1) / VHD_BLOCK);
	return vhd_write_footers(v);				/* commit */
}

int vhd_resize(struct vhd *v, uint64_t size, struct io *journal)
{
	uint32_t n_blocks;
	int err;

	if (!v->writable)
		return -EROFS;
	if (size > VHD_SIZE_MAX || size % VHD_SECTOR)
		return -E_VDI_SIZE;
	if (size < v->footer.size)
		return -E_VHD_SHRINK;
	if (size == v->footer.size)
		return 0;
	n_blocks = (uint32_t)((size + VHD_BLOCK - 1) / VHD_BLOCK);
	if (v->footer.type == VHD_FIXED)
		return resize_fixed(v, size);
	err = make_whole(v);
	if (err)
		return err;
	if (n_blocks <= v->header.max_bat)
		return resize_fast(v, size, n_blocks);
	return journal ? vhd_grow_table(v, size, journal) : -E_VHD_TABLE_FULL;
}
