/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhd_flush() in parts, so that others may use the image while the disk works.
 *
 *	lock;	vhd_batch_take(v, b);			what is changed now, copied
 *	unlock;	io_flush(v->io);			its data is on the disk
 *		vhd_batch_write(v, b);			bitmaps, then the BAT
 *		io_flush(v->io);			so are they
 *	lock;	vhd_batch_done(v, b, err);	unlock
 *
 * One batch at a time.  Between take and done the bitmaps it holds stay in
 * memory; changed once more, they are in the next batch.
 *
 * Once v->batched is set, nothing is published on the way: a function that
 * would have to, because no bitmap can be dropped, says -EAGAIN and has changed
 * nothing.  Write a batch and try again.
 */
#ifndef LIB_VHD_BATCH_H
#define LIB_VHD_BATCH_H

#include "lib/vhd/vhd.h"

/*
 * Each new block has its bitmap in memory until its entry is written too, so
 * no more sectors of the BAT are ever changed than bitmaps.
 */
#define VHD_BATCH_MAX (2 * VHD_BITMAPS)

struct vhd_batch {
	size_t n;
	struct {
		uint64_t at;
		uint8_t b[VHD_SECTOR];
	} s[VHD_BATCH_MAX];
};

int vhd_batch_take(struct vhd *v, struct vhd_batch *b);
int vhd_batch_write(struct vhd *v, const struct vhd_batch *b);
void vhd_batch_done(struct vhd *v, struct vhd_batch *b, int err);

/*
 * What a writer knew and had not published when it died, while the kernel that
 * has its data lives on: these sectors of the block are here, and its place is
 * that.  Before anything else is written; may be repeated.  -E_RANGE when it
 * cannot be so.
 */
struct vhd_note {
	uint32_t block, entry;
	uint16_t sector, n;
};
int vhd_redo(struct vhd *v, const struct vhd_note *note);

#endif
