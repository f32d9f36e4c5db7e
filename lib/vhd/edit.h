/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small changes to an image that is open for writing; each is durable on return. */
#ifndef LIB_VHD_EDIT_H
#define LIB_VHD_EDIT_H

#include "lib/vhd/vhd.h"

/*
 * Write both footers as the open image has them.  The copy goes first: the
 * footer at the end counts, so writing it is the commit.
 */
int vhd_write_footers(struct vhd *v);

/* An inner node of a tree, not for users.  A full disk does not stop this. */
int vhd_set_hidden(struct vhd *v, bool hidden);
/* The control stack's spare byte; -EOPNOTSUPP for an image without a batmap. */
int vhd_set_marker(struct vhd *v, uint8_t marker);

/*
 * Name another parent (all zero: a raw one), by a path relative to the child.
 * Only the differencing image itself changes.  Written in this order: texts,
 * the first sector of the header (commit), the second, if other lengths of names
 * have changed that, too: until it is written the image is opened by the texts.
 * (A name of more than 224 units, which none in an SR is, can be torn for good.)
 * -ENAMETOOLONG when the space first given to a text is too small;
 * -E_IMAGE_LOOP when the id is the child's own.
 */
int vhd_reparent(struct vhd *v, const char *path, const uint8_t uuid[16], uint32_t time);

/*
 * A differencing image becomes one without a parent: what it does not hold reads
 * as zero.  The footers say so; then what the header says of a parent goes, which
 * counts for nothing in such an image.
 */
int vhd_stand_alone(struct vhd *v);

/* Forget all data: every block unused again, and a file cut to its metadata. */
int vhd_reset(struct vhd *v);

#endif
