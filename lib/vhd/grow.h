/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making the block table of an image larger; callers want lib/vhd/resize.h. */
#ifndef LIB_VHD_GROW_H
#define LIB_VHD_GROW_H

#include "lib/vhd/vhd.h"

/* Steps: journal, poison, move, rewrite, flush, empty the journal, flush, cure. */
int vhd_grow_table(struct vhd *v, uint64_t size, struct io *journal);

#endif
