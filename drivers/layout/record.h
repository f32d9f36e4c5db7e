/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small text records beside the volumes of a directory: <SR>/.sm/sr and
 * <SR>/.sm/vdi/<uuid>.
 *
 *	name=root disk
 *	description=two\012lines
 *
 * One key a line; bytes below 32, 127 and the backslash are written as a
 * backslash and three octal digits.  Unknown keys are kept by readers of later
 * versions and ignored by this one.
 */
#ifndef DRIVERS_LAYOUT_RECORD_H
#define DRIVERS_LAYOUT_RECORD_H

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/kv.h"

/* No record is larger, nor has it more keys: each is compared with all. */
#define RECORD_MOST	((size_t)64 << 10)
#define RECORD_KEYS	256

/* Lines that are no KEY=VALUE are skipped: one bad line must not cost the others. */
void record_decode(struct arena *a, struct view text, struct kvs *kvs);
/* -ENOENT when there is none. */
int record_read(struct arena *a, int dir, const char *name, struct kvs *kvs);
/* A new file with all its bytes on the disk, for the caller to rename. */
int record_write_new(int dir, const char *name, const struct kvs *kvs);

#endif
