/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places between blocks, which others have given up.
 *
 * Blocks are added at the end, so what was forgotten is not used again: whoever has the
 * table of a while ago in memory reads what he should.  But an entry names a sector by 32
 * bits, and where the end has come to 2 TiB only such a place is left.
 */
#ifndef LIB_VHD_GAPS_H
#define LIB_VHD_GAPS_H

#include "lib/vhd/vhd.h"

/* All of them, lowest first, that lie at or after that byte. */
void vhd_gaps_find(const struct vhd *v, uint64_t from, struct vhd_gaps *g);
/* The next one, of a bitmap; false: none is left. */
bool vhd_gaps_take(struct vhd_gaps *g, uint64_t *place);
/* The last one was not used after all. */
void vhd_gaps_back(struct vhd_gaps *g);
void vhd_gaps_free(struct vhd_gaps *g);

/* May no block lie there, since it could not be named? */
static inline bool vhd_is_beyond(uint64_t end)
{
	return end / VHD_SECTOR > VHD_BAD;
}

#endif
