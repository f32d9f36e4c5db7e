/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies on a device: the marks by which file systems, partition tables and
 * others are known.  For refusing to overwrite them, and for nothing else: a
 * guest decides what its disk looks like.
 */
#ifndef LIB_BLKID_H
#define LIB_BLKID_H

#include <stdint.h>

struct io;

/*
 * The first mark that is found, in words ("an ext4 file system"), or NULL for a
 * disk without one.  An LVM2 label is none: that has its own reader.
 * Reads a few KiB; 0 or an I/O error.
 */
int blkid_find(struct io *io, const char **what);

#endif
