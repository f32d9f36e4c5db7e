/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An io whose old bytes are kept before they are overwritten or cut off.
 *
 * They go to another file, at the same offsets, in whole blocks of IO_KEPT
 * bytes, and are on the disk before the change begins.  What was not touched
 * is a hole there, so the file is small, and copying its data back undoes all.
 */
#ifndef LIB_IO_KEEP_H
#define LIB_IO_KEEP_H

#include "lib/io.h"

#define IO_KEPT	4096u

/* Both are borrowed; side is empty, and may be resized. */
struct io *io_keep(struct io *of, struct io *side);

#endif
