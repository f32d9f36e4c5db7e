/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VGs for programs; sm/front/vg_out.c has them for people. */
#ifndef LIB_LVM2_SHOW_H
#define LIB_LVM2_SHOW_H

#include <stdbool.h>

struct json;
struct lvm_dev;
struct lvm_seg;
struct lvm_set;

/*
 * The document of "sm vg show --json": schema, vgs, orphans, problems.  Sizes are
 * bytes, extents are counted, types are LVM2's names, with "linear" for a single
 * stripe; what a segment type has of its own follows under LVM2's names, sizes
 * again in bytes.
 */
void lvm_show_json(const struct lvm_set *set, struct json *j);

/* LVM2's name for it, "linear" for a single stripe. */
const char *lvm_seg_type(const struct lvm_seg *s);
/* A PV that no VG knows of. */
bool lvm_dev_is_orphan(const struct lvm_dev *d);

#endif
