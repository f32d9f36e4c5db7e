/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding the footer, and what an image says before it is opened as a whole. */
#ifndef LIB_VHD_OPEN_H
#define LIB_VHD_OPEN_H

#include "lib/vhd/vhd.h"

#define VHD_HEAD 1536		/* bytes: the footer's copy and the header behind it */

/*
 * The copy of the footer and the header from the first VHD_HEAD bytes of a file
 * or volume: all that a scan needs, in one read.  A fixed image has neither
 * there and is -E_VHD_MAGIC.
 */
int vhd_peek(struct vhd_footer *f, struct vhd_header *h, const void *head, size_t len);

/*
 * The header in those 1024 bytes, whose checksum is wrong, if a power cut has
 * kept the second sector of a change of parents from it: -E_VHD_HEADER_SUM if it
 * is anything else.
 */
int vhd_header_complete(const struct vhd *v, const void *buf, struct vhd_header *h);
/* Those of its sectors that differ from what is there, durable on return. */
int vhd_header_write(struct vhd *v, const struct vhd_header *h);

/* May this locator's text be read: is its place in the file, and sensible? */
bool vhd_locator_is_usable(const struct vhd *v, const struct vhd_locator *l);
/* Read header, batmap and BAT again after they were rewritten. */
int vhd_reload(struct vhd *v);
/* The end of the volume cannot be moved: a device, or a part of something. */
bool vhd_io_is_fixed(const struct io *io);

#endif
