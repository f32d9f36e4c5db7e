/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/vhd.h"

/* The blocks that lie whole in the range; the last one may end with the disk. */
static void whole_blocks(const struct vhd *v, uint64_t at, uint64_t len,
			 uint32_t *first, uint32_t *end)
{
	uint64_t stop = at + len;

	*first = (uint32_t)((at + VHD_BLOCK - 1) / VHD_BLOCK);
	*end = stop == v->footer.size ? v->n_blocks : (uint32_t)(stop / VHD_BLOCK);
}

/*
 * In this order: the batmap without their bits, the entries (publishing writes
 * both), flush, and only then the holes: a block that still has its entry
 * after a power cut still has its data.  A place that was given up is not
 * used again as long as the image is open.
 */
int vhd_discard(struct vhd *v, uint64_t at, uint64_t len)
{
	uint32_t first, end, *was;
	size_t n = 0;
	int err = 0;

	if (!v->writable)
		return -EROFS;
	if (!range_ok(at, len, v->footer.size))
		return -EINVAL;
	if (v->footer.type != VHD_DYNAMIC)
		return 0;
	whole_blocks(v, at, len, &first, &end);
	if (first >= end)
		return 0;
	was = must_alloc((end - first) * sizeof(*was));
	for (uint32_t i = first; i < end; i++) {
		if (vhd_entry(v, i) == VHD_UNUSED)
			continue;
		was[n++] = vhd_entry(v, i);
		vhd_bits_drop(v, i);
		vhd_batmap_clear(v, i);
		vhd_bat_set(v, i, VHD_UNUSED);
	}
	if (n)
		err = vhd_flush(v);
	for (size_t i = 0; i < n && !err; i++)
		if (!v->fixed_size)
			err = io_zero(v->io, was[i] * VHD_SECTOR + VHD_SECTOR, VHD_BLOCK);
	free(was);
	return err;
}
