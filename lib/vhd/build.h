/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new image with its data, written in one go: for imports and conversions.
 *
 *	err = vhd_build_start(&b, io, &how);		nothing opens as an image now
 *	err = vhd_build_place(b, block, is_full, &pos);
 *	err = io_write(io, pos, unit, VHD_UNIT);	in any order, in any thread
 *	err = vhd_build_finish(b);		now it is one
 *	vhd_build_free(b);
 *
 * A unit is what one block takes in the file: a page that ends with the bitmap,
 * then the data.  Its place is a multiple of 4096.  Only parts of a unit may be
 * written, the bitmap among them; in a volume what is not written is what the
 * volume held, so a bit may be set only for data that was written.
 *
 * Places are given out one after the other, so that blocks lie in the file as
 * they were asked for; each block may be asked for once.  The table stays in
 * memory until the end: whatever dies before leaves no image.
 */
#ifndef LIB_VHD_BUILD_H
#define LIB_VHD_BUILD_H

#include "lib/vhd/create.h"

#define VHD_UNIT_DATA	((size_t)4096)			/* where in a unit the data begins */
#define VHD_UNIT_BITS	(VHD_UNIT_DATA - 512)		/* and the bitmap */
#define VHD_UNIT	(VHD_UNIT_DATA + (size_t)VHD_BLOCK)

struct vhd_build;

/* As vhd_create(), of a dynamic or differencing image. */
int vhd_build_start(struct vhd_build **b, struct io *io, const struct vhd_create *how);
/* is_full: the bitmap will have all bits set.  -E_VHD_NO_ROOM when a volume is full. */
int vhd_build_place(struct vhd_build *b, uint32_t block, bool is_full, uint64_t *pos);
/* Flush the data, write the metadata, flush, write the footers. */
int vhd_build_finish(struct vhd_build *b);
void vhd_build_free(struct vhd_build *b);		/* NULL is allowed; writes nothing */

/*
 * The bits of a block's data, n bytes of it: set, but for each 64 KiB that are
 * zero, which an image without a parent need not hold.  Says how many sectors
 * are set: with 0 the block needs no place, with VHD_BLOCK_SECTORS it is full.
 */
uint32_t vhd_build_bits(const void *data, size_t n, uint8_t bits[512]);

#endif
