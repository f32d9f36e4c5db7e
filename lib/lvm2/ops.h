/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to a VG, all in memory: any number of them, then one commit
 * (lib/lvm2/commit.h).  An operation that fails has changed nothing.
 */
#ifndef LIB_LVM2_OPS_H
#define LIB_LVM2_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/lvm2/vg.h"

struct io;
struct lvm_dev;

/*
 * May we change this VG?  0, or which mark forbids it: -E_LVM_NEWER (and
 * vg->refuse_why), -E_LVM_DUPLICATE, -E_LVM_VG_TWICE, -E_LVM_EXPORTED,
 * -E_LVM_CLUSTERED, -E_LVM_LOCK_TYPE, -E_LVM_FOREIGN, -E_LVM_READ_ONLY, and,
 * unless the change is nothing but the removal of LVs, -E_LVM_PARTIAL, or
 * -E_LVM_RETURNED when all of it is here and some is marked as missing.
 */
int lvm_vg_may_change(const struct lvm_vg *vg, bool only_removal);
/*
 * PVs that are here again lose the mark, as with vgextend --restoremissing; says
 * how many.  -E_LVM_LV_TYPE where LVs hold copies of each other: what is on such
 * a PV may be old, and that is lvm2's to settle.  What is nobody's copy is as it
 * was, since nothing that lies there can be changed without it.
 */
int lvm_vg_restore_missing(struct lvm_vg *vg);

/* --- physical volumes -------------------------------------------------------- */

struct lvm_pv_spec {
	uint64_t device_size;		/* bytes */
	uint64_t metadata_size;		/* bytes; 0: what fits in front of the first MiB */
	uint32_t n_mdas;		/* 0, 1 or 2; the second at the end of the device */
	uint64_t align, align_offset;	/* of the data, bytes; 0: 1 MiB */
	uint64_t boot_size;		/* bytes kept free for boot code */
};

/*
 * Where everything goes on a new PV, as pvcreate decides it.  -E_LVM_PV_SIZE
 * when the device is smaller than 2 MiB, or than what was asked for.
 */
int lvm_pv_plan(const struct lvm_pv_spec *spec, const struct lvm_id *id, struct lvm_label *label);
/*
 * Make it so: areas first, the label last.  That nothing of value is there is
 * the caller's to know.
 */
int lvm_pv_create(struct io *io, const struct lvm_label *label);
/* The label alone; the PV must be in no VG. */
int lvm_pv_remove(struct io *io, const struct lvm_label *label);

/* --- volume groups ----------------------------------------------------------- */

/*
 * A VG without PVs.  Extents: a power of two from 1 KiB on, or a multiple of
 * 128 KiB, in bytes.
 */
int lvm_vg_new(struct arena *a, const char *name, const struct lvm_id *id, uint64_t extent_size,
	       const char *our_system_id, struct lvm_vg **vg);
/* The device was scanned, is a PV, and in no VG: otherwise -E_LVM_PV_USED. */
int lvm_vg_extend(struct lvm_vg *vg, struct lvm_dev *dev);
/* -E_LVM_PV_USED while anything is on it; -E_LVM_NO_MDA for the last PV with an area. */
int lvm_vg_reduce(struct lvm_vg *vg, struct lvm_pv *pv);
int lvm_vg_rename(struct lvm_vg *vg, const char *name);
/* -ENOTEMPTY while there are LVs. */
int lvm_vg_remove(struct lvm_vg *vg);
int lvm_vg_tag(struct lvm_vg *vg, const char *tag, bool add);
/*
 * The device has another size now; bytes.  Extents that go must be free.  An area
 * behind the data moves to the new end, if that is so far away that the two do
 * not overlap: else -E_LVM_PV_SIZE.  Only one moves in a commit: -E_BUSY for
 * another.
 */
int lvm_pv_resize(struct lvm_vg *vg, struct lvm_pv *pv, uint64_t bytes);
/* Would there be a place for its areas? */
bool lvm_pv_can_resize(const struct lvm_pv *pv, uint64_t bytes);

/* --- logical volumes ---------------------------------------------------------- */

struct lvm_lv_spec {
	const char *name;
	struct lvm_id id;
	uint64_t bytes;			/* rounded up to whole extents */
	const char *const *tags;
	uint32_t n_tags;
	bool read_only;
	const char *policy;		/* "contiguous", "cling"; NULL: the VG's */
	const char *host;		/* who makes it, and when */
	uint64_t now;
};

/* A linear LV.  -E_LVM_NO_SPACE, -E_LVM_LV_EXISTS, -E_LVM_NAME, -E_LVM_LIMIT, -E_LVM_LV_SIZE. */
int lvm_lv_create(struct lvm_vg *vg, const struct lvm_lv_spec *spec, struct lvm_lv **lv);
/* -E_LVM_LV_USED when others are made of it; -E_LVM_LV_TYPE unless linear or striped. */
int lvm_lv_remove(struct lvm_vg *vg, struct lvm_lv *lv);
/* Rounded up to extents; a striped LV shrinks by whole stripes and does not grow. */
int lvm_lv_resize(struct lvm_vg *vg, struct lvm_lv *lv, uint64_t bytes);
int lvm_lv_rename(struct lvm_vg *vg, struct lvm_lv *lv, const char *name);
int lvm_lv_set_writable(struct lvm_vg *vg, struct lvm_lv *lv, bool writable);
/* Adding one that is there and taking one that is not are both fine. */
int lvm_lv_tag(struct lvm_vg *vg, struct lvm_lv *lv, const char *tag, bool add);

/* May a user call an LV of this VG so? */
bool lvm_lv_name_ok(const struct lvm_vg *vg, const char *name);

#endif
