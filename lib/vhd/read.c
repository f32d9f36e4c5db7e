/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/vhd.h"

/* Unused blocks in a row, so that a large empty disk is one answer. */
static uint64_t unused_from(const struct vhd *v, uint64_t at, uint64_t len)
{
	uint32_t i = (uint32_t)(at / VHD_BLOCK);
	uint64_t n = VHD_BLOCK - at % VHD_BLOCK;

	while (n < len && vhd_entry(v, ++i) == VHD_UNUSED)
		n += VHD_BLOCK;
	return n < len ? n : len;
}

/* One whole answer of a block in use, from its first sector asked about. */
static int lookup_block(struct vhd *v, uint64_t at, uint64_t *len, uint64_t *pos)
{
	uint32_t block = (uint32_t)(at / VHD_BLOCK), in = (uint32_t)(at % VHD_BLOCK);
	uint32_t sector = in / 512, n = VHD_BLOCK_SECTORS - sector;
	uint64_t data = vhd_entry(v, block) * VHD_SECTOR + VHD_SECTOR;
	bool here = vhd_batmap_get(v, block);
	struct vhd_bits *bits;
	int err;

	if (!here) {
		err = vhd_bits_get(v, block, &bits);
		if (err)
			return err;
		here = vhd_bit(bits->b, sector);
		n = vhd_bit_run(bits->b, sector, n);
	}
	if (*len > n * VHD_SECTOR - in % 512)
		*len = n * VHD_SECTOR - in % 512;
	if (!here)
		return VHD_BELOW;
	*pos = data + in;
	/* A file that was cut off ends within the block. */
	if (*pos >= v->footer_at && !v->writable)
		return -E_VHD_BLOCK;
	if (!v->writable && *len > v->footer_at - *pos)
		*len = v->footer_at - *pos;
	return VHD_HERE;
}

int vhd_lookup(struct vhd *v, uint64_t at, uint64_t *len, uint64_t *pos)
{
	uint32_t entry;

	if (!*len || !range_ok(at, *len, v->footer.size))
		return -E_RANGE;
	if (v->footer.type == VHD_FIXED) {
		*pos = at;
		return VHD_HERE;
	}
	entry = vhd_entry(v, (uint32_t)(at / VHD_BLOCK));
	if (entry == VHD_UNUSED) {
		*len = unused_from(v, at, *len);
		return VHD_BELOW;
	}
	if (entry == VHD_BAD)
		return -E_VHD_BLOCK;
	return lookup_block(v, at, len, pos);
}

int vhd_read_alone(struct vhd *v, uint64_t at, void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		uint64_t n = len, pos;
		int where = vhd_lookup(v, at, &n, &pos), err = 0;

		if (where < 0)
			return where;
		if (where == VHD_HERE)
			err = io_read(v->io, pos, p, (size_t)n);
		else
			memset(p, 0, (size_t)n);
		if (err)
			return err;
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

uint32_t vhd_allocated(const struct vhd *v)
{
	uint32_t n = 0;

	if (v->footer.type == VHD_FIXED)
		return v->n_blocks;
	for (uint32_t i = 0; i < v->n_blocks; i++)
		n += vhd_entry(v, i) != VHD_UNUSED;
	return n;
}

uint64_t vhd_physical_size(const struct vhd *v)
{
	if (v->footer.type == VHD_FIXED)
		return v->footer.size + 512;
	return v->data_end + 512;
}
