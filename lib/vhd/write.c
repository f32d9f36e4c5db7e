/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing, in an order of which every prefix is a sound image.
 *
 * vhd_write():	the zeroed bitmap of a new block, and all data
 * vhd_publish(): flush; a batmap with stale bits, flush; then changed bitmaps
 *	and sectors of the BAT
 * vhd_finish(): flush; batmap; footer at the end of the data; flush; cut
 *
 * A BAT entry without its bitmap shows the parent, for the bitmap that is
 * there is the zeroed one; a bitmap without its entry is unreachable; and no
 * bit is set before its data is on the disk.
 *
 * The footer of a file sits where the next block goes.  So before the blocks
 * grow over it, a new one is written further out and flushed, with room for
 * several blocks before it: death at any point leaves a footer at the end.
 */
#include <errno.h>
#include <string.h>

#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/gaps.h"
#include "lib/vhd/write.h"

int vhd_write_footer(struct vhd *v, uint64_t at)
{
	struct vhd_footer_disk d;

	vhd_footer_encode(&v->footer, &d);
	return io_write(v->io, at, &d, sizeof(d));
}

uint64_t vhd_blocks_from(const struct vhd *v)
{
	const struct vhd_batmap *b = &v->batmap;
	uint64_t end = v->data_end;

	/* libvhd may end the batmap early; its whole declared place is left free. */
	if (b->state != BATMAP_NONE && end < b->at + b->declared)
		end = b->at + b->declared;
	return end;
}

static uint64_t block_end(uint64_t place)
{
	return place + VHD_SECTOR + VHD_BLOCK;
}

/* Twice as many as the last time, for a small image stays small; or as many as were announced. */
static uint32_t how_many(struct vhd *v)
{
	uint32_t n;

	v->ahead = v->ahead ? v->ahead * 2 : 1;
	if (v->ahead > VHD_AHEAD)
		v->ahead = VHD_AHEAD;
	n = v->expected > v->ahead ? v->expected : v->ahead;
	return n < v->n_blocks ? n : v->n_blocks;
}

/* Make room for a number of blocks before the footer of a file. */
static int go_ahead(struct vhd *v)
{
	uint64_t from = vhd_blocks_from(v), end = block_end(vhd_bat_place(from));
	uint64_t stale = v->footer_at < from ? v->footer_at : from, old = end;
	int err = 0;

	if (end > v->footer_at) {
		old = v->io->size;
		for (uint32_t n = how_many(v); n > 1; n--)
			end = block_end(vhd_bat_place(end));
		err = vhd_write_footer(v, end);
		if (err)
			return err;
		/* Of what others had written, too, and told only once: no want of room, whatever it says. */
		if (io_flush(v->io))
			return -EIO;
		v->footer_at = end;
	}
	/* What an earlier death left must not show, nor the old footer; beyond is a hole. */
	if (old > stale)
		err = io_zero(v->io, stale, old - stale);
	if (!err) {
		v->next_at = vhd_bat_place(from);
		v->ahead_end = end;
	}
	return err;
}

void vhd_expect(struct vhd *v, uint32_t blocks)
{
	v->expected = blocks;
}

/* What lay there is not seen: the bitmap is empty, and on the disk before the entry. */
static int take_gap(struct vhd *v, uint64_t *place)
{
	const struct vhd_batmap *b = &v->batmap;
	uint64_t from = b->state != BATMAP_NONE && v->meta_end < b->at + b->declared ?
		b->at + b->declared : v->meta_end;
	int err;

	if (!v->alone)
		return -EFBIG;
	if (!v->gaps.found)
		vhd_gaps_find(v, from, &v->gaps);
	if (!vhd_gaps_take(&v->gaps, place))
		return -EFBIG;
	err = io_zero(v->io, *place, VHD_SECTOR);
	if (err)
		vhd_gaps_back(&v->gaps);
	return err;
}

static int take_place(struct vhd *v, uint64_t *place)
{
	uint64_t at = vhd_bat_place(vhd_blocks_from(v));
	int err;

	if (vhd_is_beyond(block_end(at)))
		return IS_ENABLED(CONFIG_GC_RESUME) ? take_gap(v, place) : -EFBIG;
	if (v->fixed_size) {
		if (!range_ok(at, VHD_SECTOR + VHD_BLOCK, v->io->size - VHD_SECTOR))
			return -E_VHD_NO_ROOM;
		err = io_zero(v->io, at, VHD_SECTOR);
		if (err)
			return err;
	} else {
		if (v->next_at != at || block_end(at) > v->ahead_end) {
			err = go_ahead(v);
			if (err)
				return err;
		}
		v->next_at = vhd_bat_place(block_end(at));
	}
	*place = at;
	return 0;
}

static int allocate(struct vhd *v, uint32_t block)
{
	uint64_t place;
	int err = take_place(v, &place);

	if (err)
		return err;
	err = vhd_bits_new(v, block);
	/* Tried again after a flush, which finds an end where it was; but of gaps there are few. */
	if (IS_ENABLED(CONFIG_GC_RESUME) && err && place < v->data_end)
		vhd_gaps_back(&v->gaps);
	if (err)
		return err;
	vhd_bat_set(v, block, (uint32_t)(place / VHD_SECTOR));
	if (!IS_ENABLED(CONFIG_GC_RESUME) || v->data_end < block_end(place))
		v->data_end = block_end(place);
	v->grown = true;
	if (v->expected)
		v->expected--;
	return 0;
}

int vhd_write_begin(struct vhd *v, uint64_t at, uint64_t *len, uint64_t *pos)
{
	uint32_t block = (uint32_t)(at / VHD_BLOCK), in = (uint32_t)(at % VHD_BLOCK);
	int err = 0;

	if (!v->writable)
		return -EROFS;
	if (at % VHD_SECTOR || *len % VHD_SECTOR || !range_ok(at, *len, v->footer.size))
		return -EINVAL;
	*pos = at;
	if (v->footer.type == VHD_FIXED)
		return 0;
	if (*len > VHD_BLOCK - in)
		*len = VHD_BLOCK - in;
	if (vhd_entry(v, block) == VHD_UNUSED)
		err = allocate(v, block);
	*pos = vhd_entry(v, block) * VHD_SECTOR + VHD_SECTOR + in;
	return err;
}

int vhd_write_end(struct vhd *v, uint64_t at, uint64_t len)
{
	uint32_t block = (uint32_t)(at / VHD_BLOCK), in = (uint32_t)(at % VHD_BLOCK);
	struct vhd_bits *bits;
	int err;

	if (v->footer.type == VHD_FIXED || vhd_batmap_get(v, block))
		return 0;
	err = vhd_bits_get(v, block, &bits);
	if (!err && vhd_bit_set(bits->b, in / 512, (uint32_t)(len / 512)))
		bits->dirty = v->dirty = true;
	return err;
}

int vhd_write(struct vhd *v, uint64_t at, const void *buf, size_t len)
{
	const char *p = buf;

	if (!range_ok(at, len, v->footer.size))
		return -EINVAL;
	while (len) {
		uint64_t n = len, pos;
		int err = vhd_write_begin(v, at, &n, &pos);

		if (!err)
			err = io_write(v->io, pos, p, (size_t)n);
		if (!err)
			err = vhd_write_end(v, at, n);
		if (err)
			return err;
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_bitmaps(struct vhd *v)
{
	for (uint32_t i = 0; i < VHD_BITMAPS; i++) {
		struct vhd_bits *b = &v->bits[i];
		uint32_t block = v->bits_block[i];
		int err;

		if (!b->dirty)
			continue;
		err = io_write(v->io, vhd_entry(v, block) * VHD_SECTOR, b->b, 512);
		if (err)
			return err;
		b->dirty = false;
		if (vhd_bits_full(b->b))
			vhd_batmap_set(v, block);
	}
	return 0;
}

static int write_bat(struct vhd *v)
{
	size_t n = (size_t)(vhd_bat_len(v) / VHD_SECTOR);

	for (size_t i = 0; i < n; i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);
		int err;

		if (!(v->bat_dirty[i / 8] & bit))
			continue;
		err = io_write(v->io, v->header.table_at + i * VHD_SECTOR, &v->bat[i * 128], 512);
		if (err)
			return err;
		v->bat_dirty[i / 8] &= (uint8_t)~bit;
	}
	return 0;
}

/* A stale bit of the batmap would call the next bitmap of that block full. */
int vhd_settle_batmap(struct vhd *v)
{
	int err;

	if (!v->batmap.stale)
		return 0;
	err = vhd_batmap_write(v);
	if (!err)
		err = io_flush(v->io);
	if (!err)
		v->batmap.stale = false;
	return err;
}

int vhd_publish(struct vhd *v)
{
	int err;

	if (!v->dirty)
		return 0;
	err = io_flush(v->io);
	if (!err)
		err = vhd_settle_batmap(v);
	if (!err)
		err = write_bitmaps(v);
	if (!err)
		err = write_bat(v);		/* commit */
	if (!err)
		v->dirty = false;
	return err;
}

int vhd_flush(struct vhd *v)
{
	int err = vhd_publish(v);

	return err ? err : io_flush(v->io);
}

int vhd_place_footer(struct vhd *v)
{
	uint64_t at = vhd_blocks_from(v);
	int err;

	if (v->fixed_size || v->footer.type == VHD_FIXED || v->footer_at == at)
		return 0;
	err = vhd_write_footer(v, at);
	if (!err)
		err = io_flush(v->io);
	if (!err)
		err = io_resize(v->io, at + VHD_SECTOR);	/* commit: it is the last now */
	if (!err) {
		v->footer_at = at;
		v->ahead_end = v->next_at = 0;
	}
	return err;
}

int vhd_finish(struct vhd *v)
{
	int err = vhd_flush(v);

	if (!err && v->writable)
		err = vhd_batmap_write(v);
	if (!err && v->grown)
		err = vhd_place_footer(v);
	if (!err)
		err = io_flush(v->io);
	if (!err)
		v->grown = false;
	return err;
}
