/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A logical volume as a struct io, read and written through its PVs: without
 * device-mapper, whether or not the LV is active.
 *
 * Meant for what nobody else has open: a new LV, MGT, the header of an image.
 * The VG and its devices must outlive the io.  Only linear segments.
 */
#ifndef LIB_LVM2_LV_IO_H
#define LIB_LVM2_LV_IO_H

#include "lib/io.h"
#include "lib/lvm2/vg.h"

/* -E_LVM_LV_TYPE unless linear, -E_LVM_PARTIAL when a PV is not there. */
int lvm_lv_io(struct io **io, const struct lvm_vg *vg, const struct lvm_lv *lv);

/*
 * Where one byte of it lies: on which device, at which byte there, and for how
 * many bytes that holds.  Errors as above; -E_LVM_BAD past its end.
 */
int lvm_lv_where(const struct lvm_vg *vg, const struct lvm_lv *lv, uint64_t at,
		 struct io **io, uint64_t *where, uint64_t *run);

#endif
