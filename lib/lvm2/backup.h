/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A text as a file: what vgcfgbackup writes, vgcfgrestore takes, and people can edit. */
#ifndef LIB_LVM2_BACKUP_H
#define LIB_LVM2_BACKUP_H

#include "lib/bytes.h"

struct buf;
struct lvm_stamp;

/*
 * Print a text as it lies on a disk with its trailer in front, under the name of
 * who saves it, and with tabs.  Values stay as they are.  The errors of
 * lib/lvm2/text.h; then what is in b is worth nothing.
 */
int lvm_backup_print(struct buf *b, struct view text, const struct lvm_stamp *stamp);

#endif
