/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block tables that are looked at and not kept.  That of a disk of 2040 GiB has 4 MiB: to get
 * memory for it takes longer than to read it.
 */
#ifndef LIB_VHD_SCAN_H
#define LIB_VHD_SCAN_H

#include "lib/vhd/vhd.h"

/* Have the entries in v->bat the order of the disk, as most that were written at once?  Then none is wrong. */
bool vhd_in_order(struct vhd *v);

/*
 * Of images opened with VHD_NO_TABLE, in *known: is the answer there?  If not, it takes the table as a whole.
 *
 * Blocks in use; data_end is right, too, once that is known.
 */
int vhd_scan_used(struct vhd *v, uint32_t *n, bool *known);
/* As vhd_covers(): known where every entry of the child is right, and the batmap says it of each block that counts. */
int vhd_scan_covers(struct vhd *child, struct vhd *parent, bool *covers, bool *known);

#endif
