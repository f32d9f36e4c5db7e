/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the writing operations share; callers want lib/vhd/vhd.h. */
#ifndef LIB_VHD_WRITE_H
#define LIB_VHD_WRITE_H

#include "lib/vhd/vhd.h"

/* Write the footer of v at an offset. */
int vhd_write_footer(struct vhd *v, uint64_t at);
/* Put the footer of a file right behind its data and cut the rest off. */
int vhd_place_footer(struct vhd *v);
/* Clear on the disk what the batmap must not say any more, before an entry is used again. */
int vhd_settle_batmap(struct vhd *v);
/* The first byte behind metadata and blocks. */
uint64_t vhd_blocks_from(const struct vhd *v);

#endif
