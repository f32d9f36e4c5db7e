/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to the disks of an LVHD SR.  Each works on a VG in memory and writes
 * nothing but what cannot be seen yet: contents of LVs that no metadata names,
 * and bytes of an image that nobody reads before the metadata changes.  Then
 * the caller commits the VG, once for the whole step.
 *
 *	err = lvhd_snapshot(&h, &s);
 *	... records of the new disks, then
 *	err = lvm_vg_commit(h.vg, &stamp);	the snapshot is there
 *	err = lvhd_snapshot_end(&h, &s);
 *	err = lvm_vg_commit(h.vg, &stamp);	and its journal is gone
 *
 * The VG lock and the SR lock are the caller's.  On failure the VG in memory is
 * of no use any more; the one on the disks is as it was.
 */
#ifndef LIB_LVHD_LVHD_H
#define LIB_LVHD_LVHD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/io.h"
#include "lib/lvhd/name.h"
#include "lib/lvm2/vg.h"
#include "lib/vhd/vhd.h"

enum lvhd_use {
	LVHD_IDLE,			/* it has no device */
	LVHD_READ,			/* it has one that cannot be written */
	LVHD_ACTIVE,			/* one that could, and is not open */
	LVHD_OPEN,
};

struct lvhd {
	struct lvm_vg *vg;
	struct arena *arena;
	const char *host;		/* who makes new LVs, and when: seconds since 1970 */
	uint64_t now;
	void (*random)(void *p, size_t n);
	/*
	 * Does this host use the LV?  Nothing is written into one that somebody
	 * may write: -E_VDI_IN_USE.  An enum lvhd_use, or an error; NULL: nobody does.
	 */
	int (*in_use)(void *arg, const struct lvm_lv *lv);
	void *arg;
	const struct lvm_lv *held;	/* active, but who wrote it has let go of it; or NULL */
	const char *why;		/* after a failure: the LV it is about, or NULL */
};

/* --- disks ------------------------------------------------------------------ */

/* The LV of a disk, whatever its format; NULL: none. */
struct lvm_lv *lvhd_find(const struct lvhd *h, const struct uuid *u, enum lvhd_kind *kind);

/* A new LV in extents that are free: its contents may be written before the commit. */
int lvhd_new_lv(struct lvhd *h, const char *name, uint64_t bytes, const char *tag,
		struct lvm_lv **lv);

/* A new image in a new LV. */
struct lvhd_create {
	struct uuid uuid;		/* of the disk */
	uint64_t virtual_size;		/* 0 with a parent: as large as that */
	uint64_t lv_bytes;
	const struct lvm_lv *parent;	/* or NULL */
	const char *name;		/* of the LV, if that is about to change; NULL: as the disk's is */
	const char *parent_name;	/* if that is about to change: what it will be called */
	struct vhd *image;		/* of the parent, open; NULL: a raw one */
};
int lvhd_create(struct lvhd *h, const struct lvhd_create *c, struct lvm_lv **lv);

/*
 * Open the image in an LV.  For writing, footers that a death has left unlike
 * each other are made alike first: the one at the end counts.
 */
int lvhd_open(struct lvhd *h, const struct lvm_lv *lv, int flags, struct io **io, struct vhd **v);

/*
 * Give an LV more room (nothing to do is success), or, with lvhd_shrink(), let
 * go of what its image does not need (bytes 0: all of that).  The footer is
 * written where the end will be, then the size changes in memory.
 */
int lvhd_grow(struct lvhd *h, struct lvm_lv *lv, uint64_t bytes);
int lvhd_shrink(struct lvhd *h, struct lvm_lv *lv, uint64_t bytes);
/*
 * Grow one that somebody writes, but nothing of what lies at its end.  He goes on with the
 * size that he knows: the footer that ends that is left where it is.
 */
int lvhd_grow_used(struct lvhd *h, struct lvm_lv *lv, uint64_t bytes);
/* The same for an image that is open for writing. */
int lvhd_shrink_open(struct lvhd *h, struct lvm_lv *lv, struct vhd *v, uint64_t bytes);
/* What an LV shrinks to at most: its image and a footer, in whole units. */
uint64_t lvhd_deflated_size(const struct lvhd *h, const struct lvm_lv *lv, const struct vhd *v);

/* An image's footers change at once, a raw disk's tag with the commit. */
int lvhd_set_hidden(struct lvhd *h, struct lvm_lv *lv, bool hidden);

/* --- snapshots (snapshot.c) --------------------------------------------------- */

/*
 * leaf becomes base, hidden and read-only, and a new leaf of the old name is
 * made over it, and a second one if clone is given.
 */
struct lvhd_snapshot {
	struct uuid leaf, base, clone;	/* clone "": a single new leaf */
	bool thick_leaf, thick_clone;	/* give it all its space now */
	uint64_t leaf_ahead;		/* else room for so many bytes of the leaf's data */
	/*
	 * Called once the new leaves are written, before anything of the old one is:
	 * afterwards nobody may use it.  Or NULL.
	 */
	int (*hold)(void *arg);
	void *hold_arg;
	bool shrink_later;		/* set by that: the base keeps its size until the end */
};
/* Bytes of free space it takes, and what letting go of the base's unused end gives. */
int lvhd_snapshot_space(struct lvhd *h, const struct lvhd_snapshot *s, uint64_t *need,
			uint64_t *gain);
int lvhd_snapshot(struct lvhd *h, struct lvhd_snapshot *s);
/* After the commit: hide the base, and let go of what it does not need; true in *more when there is something to commit again. */
int lvhd_snapshot_end(struct lvhd *h, const struct lvhd_snapshot *s, bool *more);

/* --- what somebody else left (recover.c) --------------------------------------- */

struct lvhd_journal;

enum lvhd_result {
	LVHD_LEFT,		/* nothing to do here; a collector will */
	LVHD_DROPPED,		/* the journal speaks of nothing any more */
	LVHD_UNDONE,
	LVHD_FINISHED,
};

/*
 * Deal with one journal: commit the VG afterwards, unless it was left.  May be
 * repeated after a death at any point, by us or by upstream.
 */
int lvhd_resolve(struct lvhd *h, const struct lvhd_journal *j, enum lvhd_result *did);

#endif
