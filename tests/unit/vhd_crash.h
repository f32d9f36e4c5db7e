/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of deaths and power cuts share: small images of which a few sectors count. */
#ifndef TESTS_UNIT_VHD_CRASH_H
#define TESTS_UNIT_VHD_CRASH_H

#include "lib/io_test.h"
#include "lib/vhd/create.h"
#include "tests/unit/vhd_util.h"

#define CRASH_SIZE	(8 * MiB)
#define CRASH_ROOM	(64 * MiB)
#define POINTS		10u

/* Sectors in which what happened shows: in used and new blocks, at borders, at the end. */
extern const uint32_t crash_points[POINTS];

/* An image of CRASH_SIZE in a file, or in a volume full of old data. */
struct io *crash_image(enum vhd_type type, uint8_t id, uint8_t parent);
struct io *crash_volume(enum vhd_type type, uint8_t id, uint8_t parent);
/* One sector of a value, written. */
void crash_put(struct vhd *v, uint32_t sector, uint8_t value);
/* The value that a sector shows; -1 when its bytes differ among themselves. */
int crash_get(struct vhd *v, uint32_t sector);
/* Open, put values of those sectors whose index i has i % step == first, and finish. */
void crash_fill(struct io *io, uint32_t first, uint32_t step, uint8_t value);
/* What the next verb that opens an image does: revert, repair, and look for damage. */
struct vhd *crash_recover(struct io *io, struct io *journal);
/* Sweep the log of what was done and close it; there must be at least so many states. */
void crash_sweep(const char *what, struct io *log, io_sweep_fn *fn, void *arg, size_t least);

#endif
