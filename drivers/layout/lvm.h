/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the lvm layout share. */
#ifndef DRIVERS_LAYOUT_LVM_H
#define DRIVERS_LAYOUT_LVM_H

#include <stdbool.h>

#include "lib/lvm2/scan.h"
#include "lib/lvm2/vg.h"
#include "lib/mgt.h"

struct lease_ops;
struct sr;
struct vdi;
struct vdis;
struct sr_info;
struct volume_map;
struct volume_spec;

#define EXTENT		((uint64_t)4 << 20)
#define VG_PREFIX	"VG_XenStorage-"
#define MGT_NAME	"MGT"

/* sr->layout_data: the VG of an opened SR. */
struct lvm_sr {
	struct lvm_dev *dev;
	struct lvm_set set;
	struct lvm_vg *vg;
	int lock, global;		/* lvm2's lock files, of the VG and of this host */
	char *lock_path, *global_path;
	struct mgt_sr mgt;		/* the head of MGT */
	int mgt_state;			/* 0: read; -ENOENT: there is none; else why it cannot be */
	bool mgt_tried;
	bool verify;			/* read every copy of the metadata, also those that seem known */
};

struct lvm_sr *lvm_of(struct sr *sr);
struct lvm_sr *lvm_new(struct sr *sr);

/* lvm2's lock of the VG; and that of the host before it, where PVs or VGs come and go. */
int lvm_lock(struct sr *sr, struct lvm_sr *l, bool shared);
int lvm_lock_host(struct sr *sr, struct lvm_sr *l);
void lvm_unlock(struct lvm_sr *l);

/* Scan the transport's devices into the set. */
void lvm_read(struct sr *sr, struct lvm_sr *l);
/* The same, and look for this VG on all devices of the host when some of it is missing. */
int lvm_find(struct sr *sr, struct lvm_sr *l, const char *name);
/* A device of the VG: by a text on it, or because the VG names it. */
bool lvm_is_of(const struct lvm_sr *l, const struct lvm_dev *d, const char *name);
/* Once more the VG that is open: what was changed in memory and not committed is gone. */
int lvm_reload(struct sr *sr);
/* l->vg from the set, or why it cannot be had. */
int lvm_get(struct sr *sr, struct lvm_sr *l);

/* 0, or the mark that says that another host, or another device, may have the VG. */
int lvm_may_use(const struct lvm_vg *vg);
/* Say why a VG must not be touched: what lvm_vg_may_change() and lvm_may_use() return. */
int lvm_refused(struct sr *sr, const struct lvm_vg *vg, int err);
int lvm_usable(struct sr *sr);
/* PVs on devices that have grown get their new size. */
int lvm_grow(struct sr *sr);
/* One commit for everything changed in memory; cause goes into the text. */
int lvm_commit_now(struct sr *sr, const char *cause);
void lvm_fill_stamp(struct sr *sr, struct lvm_stamp *stamp, const char *cause);

/* "LV-<uuid>" and "VHD-<uuid>": which VDI, which format; NULL for any other LV. */
const char *lvm_volume_format(const char *lv, struct uuid *u);

/*
 * May the devices that dconf names be overwritten?  They, and partitions of
 * theirs, must be no PVs of a VG and no members of anything.  File systems and
 * partition tables go when sr->force is set.
 */
int lvm_may_take(struct sr *sr, const struct lvm_sr *l);
int lvm_create(struct sr *sr);
int lvm_may_create(struct sr *sr);
int lvm_destroy(struct sr *sr);
int lvm_probe(struct sr *sr, struct sr_info *found);

int mgt_read_head(struct sr *sr);
/* Names of all VDIs in the list, from one read of the volume. */
int mgt_fill(struct sr *sr, struct vdis *l);
int mgt_put(struct sr *sr, const struct vdi *vdi);
/* Several at once: all their records are there, or with a death some of them. */
int mgt_put_all(struct sr *sr, const struct vdi *const *v, size_t n);
/* Is there a record of this VDI?  False too when MGT cannot be read. */
bool mgt_has(struct sr *sr, const struct uuid *u);
int mgt_delete(struct sr *sr, const struct uuid *u);
int mgt_rename(struct sr *sr, const char *name, const char *description);
/* Remove the records of VDIs that have no volume: what a death left. */
int mgt_recover(struct sr *sr);
/* Its head again, and behind it the records that can be read. */
int mgt_mend(struct sr *sr);
/* A fresh MGT for a VG that is not committed yet. */
int mgt_format(struct sr *sr, struct lvm_vg *vg);

int lvm_stat(struct sr *sr, struct sr_info *info);
int lvm_take_back(struct sr *sr);
int lvm_sr_check(struct sr *sr, bool repair, struct vdis *found);

int lvm_volume_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec);
int lvm_volume_delete(struct sr *sr, const struct vdi *vdi);
int lvm_volume_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size);
/* An active volume that has changed its size, and is only read: the device gets it too. */
void lvm_device_follow(struct sr *sr, const struct vdi *vdi);
/* Of any active one.  While it is written a guest waits, so udev is not waited for. */
int lvm_device_reload(struct sr *sr, const struct vdi *vdi, bool read_only);
int lvm_volume_of_device(struct sr *sr, const char *uuid, struct volume_map *map);
int lvm_volume_map(struct sr *sr, const struct vdi *vdi, struct volume_map *map);
/* Count it where the Python storage managers do. */
int lvm_volume_used(struct sr *sr, const struct vdi *vdi, bool used);
void lvm_count_reset(struct sr *sr);
/* Deactivate every device of the VG that device-mapper still has. */
int lvm_quiesce(struct sr *sr);
/* What an LV's name and marks say of the disk in it. */
void lvm_vdi_fill(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi);
int lvm_vdi_find(struct sr *sr, const struct uuid *uuid, struct vdi *vdi);
int lvm_vdi_list(struct sr *sr, struct vdis *l);

/* lvm_lease.c */
extern const struct lease_ops lvm_leases;

#endif
