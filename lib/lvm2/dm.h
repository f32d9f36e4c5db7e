/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What device-mapper is told about an LV: names, uuids and tables, as LVM2
 * makes them, so that each finds what the other has activated.
 */
#ifndef LIB_LVM2_DM_H
#define LIB_LVM2_DM_H

#include <stddef.h>

struct arena;
struct buf;
struct lvm_lv;
struct lvm_pv;
struct lvm_vg;

#define LVM_DM_NAME	128	/* with its NUL: the kernel's limit */
#define LVM_DM_UUID	129

/*
 * "vg-lv" or "vg-lv-layer", every '-' within a name doubled.  layer may be NULL.
 * -ENAMETOOLONG when the kernel would not take it.
 */
int lvm_dm_name(char out[LVM_DM_NAME], const char *vg, const char *lv, const char *layer);
/* The reverse; *layer is "" when there is none.  -E_LVM_NAME for what is no such name. */
int lvm_dm_split(struct arena *a, const char *name, char **vg, char **lv, char **layer);
/* "LVM-" and both uuids without dashes; suffix ("real", "cow", ...) may be NULL. */
void lvm_dm_uuid(char out[LVM_DM_UUID], const struct lvm_vg *vg, const struct lvm_lv *lv,
		 const char *suffix);

/*
 * One table line per segment, "START LENGTH TARGET ARGUMENTS\n", in sectors.
 * of_pv gives a PV's device as "MAJOR:MINOR", or NULL when it is not there:
 * then -E_LVM_PARTIAL.  -E_LVM_LV_TYPE unless the LV is linear or striped.
 */
int lvm_dm_table(const struct lvm_vg *vg, const struct lvm_lv *lv,
		 const char *(*of_pv)(void *arg, const struct lvm_pv *pv), void *arg,
		 struct buf *b);

#endif
