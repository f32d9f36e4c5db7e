/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which extents are free, and which of them to take.
 *
 * Every PV has its gaps in order (struct lvm_pv).  They are found once, when
 * the VG is read: all uses sorted, so that two of the same extent meet.
 *
 * Placement follows what LVM2 does with policy "normal": an LV goes on right
 * behind its end if that is free, then on the PV it is on, then anywhere; of the
 * gaps that are large enough the smallest is taken, and only when there is none
 * the largest is filled and the rest placed again.  "contiguous" never splits,
 * "cling" stays on the PVs the LV has.
 */
#ifndef LIB_LVM2_ALLOC_H
#define LIB_LVM2_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

struct lvm_lv;
struct lvm_pv;
struct lvm_seg;
struct lvm_vg;

/*
 * Find the gaps of all PVs.  -E_LVM_BAD, and *why, when an extent is used twice
 * or lies beyond its PV.
 */
int lvm_gaps_build(struct lvm_vg *vg, const char **why);

/* May new data go there: allocatable, present, not exported? */
bool lvm_pv_is_usable(const struct lvm_pv *pv);
/* Extents that could be allocated, all PVs together. */
uint64_t lvm_vg_usable(const struct lvm_vg *vg);

/*
 * Place n more extents of a linear LV and take them: segments are appended, or
 * the last one grows.  -E_LVM_NO_SPACE when there are not enough, and then
 * nothing has changed.
 */
int lvm_alloc(struct lvm_vg *vg, struct lvm_lv *lv, uint32_t n);
/* Give back the extents an LV has from this one on; whole LV: from 0. */
void lvm_release(struct lvm_vg *vg, struct lvm_lv *lv, uint32_t from);
/* Take or give single runs; taken ones must be free. */
void lvm_gap_take(struct lvm_vg *vg, struct lvm_pv *pv, uint32_t start, uint32_t n);
void lvm_gap_give(struct lvm_vg *vg, struct lvm_pv *pv, uint32_t start, uint32_t n);

#endif
