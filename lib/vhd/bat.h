/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The block table in memory: loading, judging, placing. */
#ifndef LIB_VHD_BAT_H
#define LIB_VHD_BAT_H

#include "lib/vhd/vhd.h"

#define VHD_BLOCK_SPAN (VHD_BLOCK_SECTORS + 1)	/* sectors of a bitmap and its block */

/* Why an entry is wrong. */
enum vhd_entry_fault {
	ENTRY_FINE,
	ENTRY_LOW,		/* over the metadata */
	ENTRY_HIGH,		/* its bitmap is past the end, or over the footer */
	ENTRY_CUT,		/* part of its data is */
	ENTRY_OVERLAP,		/* shares sectors with another */
};
typedef void vhd_entry_fn(void *arg, uint32_t block, uint32_t entry, enum vhd_entry_fault fault);

/*
 * Read the entries that the virtual size needs.  Those that cannot be believed
 * become VHD_BAD in memory and are counted with the cut ones in n_bad.  Linear
 * in the table and the file.
 */
int vhd_bat_load(struct vhd *v);
/* Read them once more and tell fn of each that is wrong. */
int vhd_bat_judge(struct vhd *v, vhd_entry_fn *fn, void *arg);
void vhd_bat_set(struct vhd *v, uint32_t block, uint32_t entry);
/* Where the next block may start: the first byte whose block's data is 4 KiB aligned. */
uint64_t vhd_bat_place(uint64_t end);
/* Bytes of the BAT held in memory. */
uint64_t vhd_bat_len(const struct vhd *v);

/* What the virtual size needs of a block: the last one may be shorter. */
static inline uint64_t vhd_need_of(const struct vhd *v, uint32_t block)
{
	uint64_t rest = v->footer.size - (uint64_t)block * VHD_BLOCK;

	return VHD_SECTOR + (rest < VHD_BLOCK ? rest : VHD_BLOCK);
}

#endif
