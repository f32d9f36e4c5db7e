/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the dir layout share.
 *
 *	dir.c		the directory: opening, names, records
 *	dir_sr.c	the SR's marker
 *	dir_vdi.c	what a file and its record say about a VDI
 *	dir_scan.c	many heads of images, with many reads in flight
 *	dir_volume.c	volumes made, grown, removed
 *	dir_split.c	snapshots and clones
 *	dir_compose.c	a disk that is to stand on another
 *	dir_merge.c	volumes merged into their parents
 *	dir_recover.c	what a death left
 *	dir_check.c	sr check
 *	dir_lease.c	locks, by lease_file.c
 *	dir_cbt.c	logs of changed blocks
 */
#ifndef DRIVERS_LAYOUT_DIR_H
#define DRIVERS_LAYOUT_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "drivers/dir.h"
#include "lib/kconfig.h"

struct cbt_store;
struct format;
struct image_facts;
struct io;
struct kvs;
struct lease_ops;
struct merge_journal;
struct sr;
struct sr_info;
struct uuid;
struct vdi;
struct vdis;
struct volume_spec;
struct volume_split;

#define SECTOR_SIZE	512

/* Without it all formats are just their bytes. */
#define WITH_TREES	IS_ENABLED(CONFIG_DIR_TREES)

/* --- dir.c --- */

/* A directory below the SR's; owned by the caller. */
int dir_sub(struct sr *sr, const char *name, int *fd);
/* .sm/tmp, made if it is missing. */
int dir_open_tmp(struct sr *sr, int *tmp);
/* Unlink; what is not ours to remove, or cannot be, is in nobody's way. */
int dir_clear_away(int dir, const char *name);

/* "<uuid>.raw": which VDI, which format?  Not a volume's name: NULL. */
const struct format *dir_volume_name(const struct sr *sr, const char *name, struct uuid *u);
void dir_set_volume(struct vdi *vdi, const char *format);
/*
 * Write a record to dir/name by way of .sm/tmp.  There it has the name of the
 * object: SRs being made in one directory do not hold the same lock.
 */
int dir_put_record(struct sr *sr, const struct uuid *of, int dir, const char *name,
		   const struct kvs *kvs, bool must_be_new);

/* --- dir_sr.c --- */

int dir_read_marker(struct sr *sr, int dir, struct kvs *marker);
int dir_create(struct sr *sr);
int dir_destroy(struct sr *sr);
int dir_probe(struct sr *sr, struct sr_info *found);
int dir_rename(struct sr *sr, const char *name, const char *description);

/* --- dir_vdi.c --- */

/* Fill in what the file's inode says, and its name; -E_VDI_LOAD when it is no image file. */
int dir_take_stat(struct sr *sr, const struct format *f, const struct stat *st, struct vdi *vdi);
/* And what the image says. */
void dir_take_facts(struct sr *sr, const struct image_facts *facts, struct vdi *vdi);
/* Judge its size, and take the record, which may be missing: records is .sm/vdi, or -1. */
int dir_take_record(struct sr *sr, int records, struct vdi *vdi);
int dir_find(struct sr *sr, const struct uuid *uuid, struct vdi *vdi);
/* Name, description, type, snapshot_of, hidden into the record; what is NULL or unset stays. */
int dir_describe(struct sr *sr, const struct vdi *vdi);
int dir_list(struct sr *sr, struct vdis *l);
/* A member of the list, or (err) what is wrong with it. */
int dir_add(struct sr *sr, struct vdis *l, const struct vdi *vdi, int err);

/* --- dir_scan.c: images whose heads say what they are --- */

struct dir_scan;
void dir_scan_add(struct sr *sr, struct dir_scan **scan, const struct format *f,
		  const struct uuid *u, uint64_t inode);
int dir_scan_list(struct sr *sr, struct dir_scan *scan, int records, struct vdis *l);
/*
 * The parent of an image whose word for it is no volume's name: an image of
 * the SR that has the right id, or -E_VDI_LOAD.
 */
int dir_find_parent(struct sr *sr, struct vdi *vdi);
/*
 * -E_VDI_LOAD when another VDI is the same file, by a hard link: what is written
 * to one, or marks it as hidden, changes both.
 */
int dir_must_be_one(struct sr *sr, const struct vdi *vdi);
int dir_children(struct sr *sr, const struct uuid *of, struct uuid **v, size_t *n, bool *whole);

/* --- dir_volume.c --- */

int dir_volume_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec);
int dir_volume_delete(struct sr *sr, const struct vdi *vdi);
int dir_volume_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size);
int dir_volume_open(struct sr *sr, const struct vdi *vdi, bool writable, int *fd);
int dir_volume_io(struct sr *sr, const struct vdi *vdi, bool writable, struct io **io);
/* The image itself, in .sm/tmp, with all its bytes on the disk. */
int dir_make_image(struct sr *sr, int tmp, const struct vdi *vdi, const struct volume_spec *spec,
		   const char *parent_name);
/* The undo journal of a resize, upstream's name for it, in a buffer of DIR_NAME. */
#define DIR_NAME	64
void dir_resize_journal(char *name, const struct uuid *u);
/* Give the image back what its journal says, and remove that. */
int dir_revert(struct sr *sr, const struct uuid *u);

/* --- dir_split.c --- */

int dir_volume_split(struct sr *sr, struct volume_split *s);
int dir_split_space(struct sr *sr, const struct volume_split *s, uint64_t *bytes);
int dir_volume_hide(struct sr *sr, const struct vdi *vdi, bool hidden);
/* Finish or undo what the journal of that name says. */
int dir_split_recover(struct sr *sr, const char *journal);
bool dir_is_split_journal(const char *name);

/* --- dir_compose.c --- */

int dir_volume_compose(struct sr *sr, const struct vdi *child, const struct vdi *parent);
/* Finish what the journal of that name says, or forget it. */
int dir_compose_recover(struct sr *sr, const char *journal);
bool dir_is_compose_journal(const char *name);
/* A journal of one uuid.  1, 0 when it is not whole or none of ours, or an error. */
int dir_read_journal(struct sr *sr, const char *name, struct uuid *value);

/* --- dir_merge.c --- */

int dir_merge_begin(struct sr *sr, const struct vdi *vdi, struct vdi *parent, uint64_t more);
int dir_merge_copied(struct sr *sr, const struct vdi *vdi);
int dir_merge_end(struct sr *sr, const struct vdi *vdi, const struct vdi *parent);
int dir_merge_leaf(struct sr *sr, const struct vdi *leaf, const struct vdi *parent,
		   void (*go)(void *arg), void *arg);
int dir_merge_journals(struct sr *sr, struct merge_journal **v, size_t *n);
int dir_merge_forget(struct sr *sr, const struct uuid *vdi);
/* Finish or undo what the journal of that name says of a leaf. */
int dir_leaf_recover(struct sr *sr, const char *journal);
bool dir_is_leaf_journal(const char *name);

/* --- dir_recover.c, dir_check.c --- */

int dir_recover(struct sr *sr);
/* The name of something that recovery would have taken away or finished, if it could. */
bool dir_is_leftover(struct sr *sr, const char *name);
int dir_check(struct sr *sr, bool repair, struct vdis *found);

/* --- dir_lease.c --- */

extern const struct lease_ops dir_leases;
/* The SR goes: so do all its locks but those that another host holds, or nobody knows who. */
int dir_leases_end(struct sr *sr);

/* --- dir_cbt.c --- */

#define WITH_LOGS	IS_ENABLED(CONFIG_DIR_CBT)
extern const struct cbt_store dir_logs;
/* Is there one, or can nobody say that there is none? */
bool dir_has_log(struct sr *sr, const struct uuid *u);

#endif
