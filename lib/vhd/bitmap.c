/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"

uint32_t vhd_bit_run(const uint8_t *bits, uint32_t at, uint32_t n)
{
	bool first = vhd_bit(bits, at);
	uint8_t all = first ? 0xff : 0;
	uint32_t i = at + 1, end = at + n;

	while (i < end) {
		if (i % 8 == 0 && end - i >= 8 && bits[i / 8] == all) {
			i += 8;
			continue;
		}
		if (vhd_bit(bits, i) != first)
			break;
		i++;
	}
	return i - at;
}

bool vhd_bit_set(uint8_t *bits, uint32_t at, uint32_t n)
{
	bool changed = false;

	while (n) {
		uint8_t mask = (uint8_t)(0x80 >> at % 8);
		uint32_t step = 1;

		if (at % 8 == 0 && n >= 8) {
			mask = 0xff;
			step = 8;
		}
		changed |= (bits[at / 8] & mask) != mask;
		bits[at / 8] |= mask;
		at += step;
		n -= step;
	}
	return changed;
}

bool vhd_bits_full(const uint8_t *bits)
{
	return vhd_bit(bits, 0) && vhd_bit_run(bits, 0, VHD_BLOCK_SECTORS) == VHD_BLOCK_SECTORS;
}

static struct vhd_bits *cached(const struct vhd *v, uint32_t block)
{
	for (uint32_t i = 0; i < VHD_BITMAPS; i++)
		if (v->bits_block[i] == block)
			return &v->bits[i];
	return NULL;
}

void vhd_bits_drop(struct vhd *v, uint32_t block)
{
	for (uint32_t i = 0; i < VHD_BITMAPS; i++) {
		if (v->bits_block[i] != block && block != VHD_UNUSED)
			continue;
		v->bits_block[i] = VHD_UNUSED;
		v->bits[i].dirty = false;
	}
}

/* A slot nobody needs: the next clean one, round and round. */
static int slot(struct vhd *v, uint32_t *i)
{
	int err;

	for (int round = 0; round < 2; round++) {
		for (uint32_t n = 0; n < VHD_BITMAPS; n++) {
			*i = v->hand++ % VHD_BITMAPS;
			if (!v->bits[*i].dirty && !v->bits[*i].busy) {
				v->bits_block[*i] = VHD_UNUSED;
				return 0;
			}
		}
		err = v->batched ? -EAGAIN : vhd_publish(v);
		if (err)
			return err;
	}
	return -EBUSY;		/* cannot be: publishing cleans all */
}

int vhd_bits_get(struct vhd *v, uint32_t block, struct vhd_bits **bits)
{
	uint32_t i;
	int err;

	*bits = cached(v, block);
	if (*bits)
		return 0;
	err = slot(v, &i);
	if (!err)
		err = io_read(v->io, vhd_entry(v, block) * VHD_SECTOR, v->bits[i].b, 512);
	if (err)
		return err;
	v->bits_block[i] = block;
	*bits = &v->bits[i];
	/* Who filled it may have died before he wrote the batmap. */
	if (v->writable && vhd_bits_full(v->bits[i].b))
		vhd_batmap_set(v, block);
	return 0;
}

int vhd_bits_new(struct vhd *v, uint32_t block)
{
	uint32_t i;
	int err = slot(v, &i);

	if (err)
		return err;
	memset(v->bits[i].b, 0, 512);
	v->bits_block[i] = block;
	v->bits[i].dirty = v->dirty = true;
	return 0;
}
