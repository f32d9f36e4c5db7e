/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VGs for programs and for people. */
#ifndef LIB_LVM2_SHOW_H
#define LIB_LVM2_SHOW_H

struct buf;
struct json;
struct lvm_set;

/*
 * The document of "sm vg show --json": schema, vgs, problems.  Sizes are bytes,
 * extents are counted, types are LVM2's names, with "linear" for a single
 * stripe; what a segment type has of its own follows under LVM2's names, sizes
 * again in bytes.
 */
void lvm_show_json(const struct lvm_set *set, struct json *j);
/* The same as text: a block for each VG, a line for each PV and LV. */
void lvm_show_text(const struct lvm_set *set, struct buf *b);

#endif
