/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VHD disks of the lvm layout: what its files share.  The steps themselves are
 * in lib/lvhd; here is when each is committed, and what happens to MGT.
 */
#ifndef DRIVERS_LAYOUT_LVHD_H
#define DRIVERS_LAYOUT_LVHD_H

#include "drivers/layout/lvm.h"
#include "lib/lvhd/lvhd.h"

struct cbt_store;
struct io;
struct merge_journal;
struct vdi;
struct vdis;
struct volume_spec;
struct volume_split;

/* What lib/lvhd needs to know, for the opened SR. */
void lvhd_bind(struct sr *sr, struct lvhd *h);
/* Say what went wrong there, and return the error. */
int lvhd_failed(struct sr *sr, const struct lvhd *h, int err);
/* Do disks of this SR get all their space at once? */
bool lvhd_is_thick(struct sr *sr);
/* And those that do not: do they get it as they fill, or when they are attached?  (lvhd_grow.c) */
bool lvhd_grows(struct sr *sr);
/* -E_VDI_IN_USE when device-mapper on this host has the LV. */
int lvhd_idle(struct sr *sr, const struct lvm_lv *lv);
/* -E_VDI_UNAVAILABLE while a journal speaks of the disk. */
int lvhd_settled(struct sr *sr, const struct uuid *u);

/* One disk, whose LV is known; every VHD of the VG. */
int lvhd_load(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi);
int lvhd_load_all(struct sr *sr, struct vdis *l);

/* Before anything of a disk is written: may the VG change, and has the disk no journal? */
int lvhd_begin(struct sr *sr, const struct uuid *u, struct lvhd *h);

/* Deal with what journals speak of; what cannot be is logged and stays. */
int lvhd_recover(struct sr *sr);
/* The same, with what lvhd_volume_compose() has marked. */
int lvhd_compose_recover(struct sr *sr);
/* Tell of those marks that are there still. */
void lvhd_compose_check(struct sr *sr, struct vdis *found);

/* What sr check finds, after list() has filled found. */
int lvhd_check(struct sr *sr, bool repair, struct vdis *found);

/* Slots of the layout. */
int lvhd_children(struct sr *sr, const struct uuid *of, struct uuid **v, size_t *n, bool *whole);
int lvhd_volume_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec);
int lvhd_volume_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size);
int lvhd_volume_inflate(struct sr *sr, const struct vdi *vdi);
int lvhd_volume_grow(struct sr *sr, const struct vdi *vdi, uint64_t held, uint64_t *size);
int lvhd_volume_deflate(struct sr *sr, const struct vdi *vdi);
int lvhd_volume_split(struct sr *sr, struct volume_split *split);
int lvhd_split_space(struct sr *sr, const struct volume_split *split, uint64_t *bytes);
int lvhd_volume_compose(struct sr *sr, const struct vdi *child, const struct vdi *parent);
int lvhd_volume_hide(struct sr *sr, const struct vdi *vdi, bool hidden);
int lvhd_merge_begin(struct sr *sr, const struct vdi *vdi, struct vdi *parent, uint64_t more);
int lvhd_merge_copied(struct sr *sr, const struct vdi *vdi);
int lvhd_merge_end(struct sr *sr, const struct vdi *vdi, const struct vdi *parent);
int lvhd_merge_leaf(struct sr *sr, const struct vdi *leaf, const struct vdi *parent,
		    void (*go)(void *arg), void *arg);
uint64_t lvhd_leaf_room(struct sr *sr, const struct vdi *leaf);
int lvhd_merge_journals(struct sr *sr, struct merge_journal **v, size_t *n);
int lvhd_merge_forget(struct sr *sr, const struct uuid *vdi);
int lvhd_volume_io(struct sr *sr, const struct vdi *vdi, bool writable, struct io **io);

/* lvhd_cbt.c: logs of changed blocks, each in an LV of one extent. */
extern const struct cbt_store lvhd_logs;
/*
 * In memory, as a part of the snapshot's commit: the disk's log becomes the
 * copy's, and a new one begins.  Afterwards cbt_link().
 */
int lvhd_cbt_rotate(struct sr *sr, struct lvhd *h, const struct uuid *disk, const struct uuid *copy);

#endif
