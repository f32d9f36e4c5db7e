/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Growing an image, and undoing what died while it grew.
 *
 * While the block table has room, growing is a change of the footers.  When it
 * has not, the first blocks move to the end and the table grows over their
 * place, under an undo journal of upstream's form, so that either of us can
 * revert what the other has left: header, then entries of what will be
 * overwritten; the footers of the image are poisoned until all is done.
 */
#ifndef LIB_VHD_RESIZE_H
#define LIB_VHD_RESIZE_H

#include "lib/vhd/vhd.h"

/*
 * Grow to size bytes (a multiple of 2 MiB, see vhd_round_size()); nothing to do
 * is success, less is -E_VHD_SHRINK.  journal, an empty file or a volume, is
 * needed only when the table has no room: without one that is
 * -E_VHD_TABLE_FULL.  On success the journal has been emptied and may go.  On
 * failure once it has begun the image is poisoned: revert it.
 */
int vhd_resize(struct vhd *v, uint64_t size, struct io *journal);

/* Upper bound of the journal's size for that; 0 when none is needed. */
uint64_t vhd_resize_journal(const struct vhd *v, uint64_t size);

/*
 * Give a poisoned image back what the journal says, or, if the journal has been
 * emptied, finish: then all was done but the poison.  May be repeated after
 * dying at any point.  -E_VHD_JOURNAL when the journal is not this image's, or
 * damaged; nothing was changed then.  An image without poison is left alone.
 */
int vhd_revert(struct io *io, struct io *journal);

#endif
