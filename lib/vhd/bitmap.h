/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sector bitmaps: runs in them, and the few that are kept in memory. */
#ifndef LIB_VHD_BITMAP_H
#define LIB_VHD_BITMAP_H

#include "lib/vhd/vhd.h"

/* Bit i is sector i, the most significant of a byte first. */
static inline bool vhd_bit(const uint8_t *bits, uint32_t i)
{
	return bits[i / 8] & 0x80 >> i % 8;
}

/* How many of the n bits from `at` on are like the first. */
uint32_t vhd_bit_run(const uint8_t *bits, uint32_t at, uint32_t n);
/* Set n bits; says whether any was clear. */
bool vhd_bit_set(uint8_t *bits, uint32_t at, uint32_t n);
bool vhd_bits_full(const uint8_t *bits);

/*
 * The bitmap of a block that is in use, valid until the next call.  May have
 * to publish changed ones to make room.
 */
int vhd_bits_get(struct vhd *v, uint32_t block, struct vhd_bits **bits);
/* Have one for a block that was just given its place: all zero, and dirty. */
int vhd_bits_new(struct vhd *v, uint32_t block);
/* Forget it, written or not; VHD_UNUSED: all of them. */
void vhd_bits_drop(struct vhd *v, uint32_t block);

#endif
