/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A layout keeps volumes on storage that a transport has made reachable:
 * files in a directory, logical volumes in a volume group, LUNs.
 *
 * A volume is named by the VDI's uuid and its format.  What a VDI is called
 * (name, description, type) is kept beside the volumes by the layout too.
 */
#ifndef DRIVERS_LAYOUT_H
#define DRIVERS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/uuid.h"

struct cbt_store;
struct format;
struct io;
struct keep_ops;
struct lease_ops;
struct sr;
struct sr_info;
struct vdi;
struct vdis;

/* What vdi_create wants. */
struct volume_spec {
	const struct format *format;
	uint64_t virtual_size;	/* already rounded by the format */
	bool thick;		/* give it all its space now */
	bool thin;		/* or as little as there can be, whatever the SR is like */
	/*
	 * The new volume is an empty child of this one, a hidden node of the same
	 * SR, which is not changed by that.  NULL = a disk of its own.
	 */
	const struct vdi *parent;
	/*
	 * A volume of the VDI's uuid and of this format is there and gives way,
	 * with all it holds, in the same committing write.
	 */
	bool replace;
	/*
	 * The new volume shares the blocks of this one, of the same SR and format,
	 * which nobody writes now.  NULL = it is empty.  -EOPNOTSUPP where the
	 * storage cannot.  Only for a layout that has can_share.
	 */
	const struct vdi *copy_of;
};

/*
 * A snapshot or a clone: one image becomes a small tree.
 *
 *	before:  [parent ◀─] LEAF
 *
 *	after:   [parent ◀─] base ◀─┬─ LEAF	keeps its uuid, its names and its parent's rank
 *				    └─ copy	unless it is a single snapshot
 *
 * The image itself, with its data, becomes base; both children are new and
 * empty.  Nothing is copied.  Which uuids, which names and whether it may be
 * done at all has been decided (sm/snapshot.c): the leaf is visible, no inner
 * node, and active nowhere, or held still by whom the layout calls; the chain
 * has room for one level more; there is no VDI of the new uuids; there is room
 * for what split_space() said.
 *
 * The layout decides the order of its writes.  Either nothing has happened or
 * all, in the eyes of the next verb: where that takes several writes the
 * layout keeps a journal beside the volumes, under upstream's name where it
 * has one, and open() with recover finishes or undoes what it says.
 */
struct volume_split {
	const struct vdi *leaf;		/* as find() gave it */
	const struct format *format;	/* of the children */
	/*
	 * uuid, name, description and type are given.  base also gets the leaf's
	 * format and parent, and is hidden; copy has snapshot_of set or not.
	 * What they have become is filled in, as by find().
	 */
	struct vdi *base;
	struct vdi *copy;		/* NULL = none */
	/* How the space of thick volumes is to be given out. */
	bool leaf_active;		/* the leaf will go on to be written */
	bool clone;			/* and so will the copy */
	/*
	 * A guest writes the leaf until this has been called: once, when all is
	 * prepared that can be.  Its head may be read before, its tables and data
	 * not.  NULL = it lies still already.
	 */
	int (*hold)(void *arg);
	/*
	 * After the commit, if it was held: the volumes are called so now, and it may
	 * be written again, through the new leaf.  What is left to do waits for nobody.
	 */
	void (*go)(void *arg, const struct vdi *leaf, const struct vdi *base);
	void *arg;
};

int volume_hold(struct volume_split *split);
void volume_go(struct volume_split *split, const struct vdi *leaf, const struct vdi *base);

/* A device-mapper device: lib/lvm2/dm.h says how names, uuids and tables look. */
struct volume_map {
	char name[128];
	char uuid[129];
	const char *group, *volume;	/* /dev/GROUP/VOLUME is a link to it; or NULL */
	const char *table;		/* lines "START LENGTH TARGET ARGUMENTS\n", sectors */
	int refuse;			/* it must not be made active here, and why: an error … */
	const char *why;		/* … in words */
};

/*
 * Journals of a collector, upstream's: a volume is being copied into its parent,
 * or has been, and its children are getting that for a parent.
 */
struct merge_journal {
	struct uuid vdi;
	bool relink;
};

struct layout {
	const char *name;
	bool can_share;		/* knows volume_spec.copy_of; whether the storage can is seen then */
	uint64_t unit;		/* volumes are multiples of it, bytes; 0 = as the format says */
	/*
	 * On staged storage.  create() refuses storage that already holds an SR
	 * (-E_SR_EXISTS) or anything else, and ends with one committing write.
	 */
	int (*create)(struct sr *sr);
	/* Would it refuse?  Looks, and says why, and writes nothing.  NULL = that is not known. */
	int (*may_create)(struct sr *sr);
	/* Remove the SR; refuses while VDIs are left (-E_SR_NOT_EMPTY). */
	int (*destroy)(struct sr *sr);
	/* Which SR lives on this staged storage?  -E_SR_MISSING when none. */
	int (*probe)(struct sr *sr, struct sr_info *found);
	/*
	 * On staged storage that probe() has found to be this SR's: may it be
	 * attached here, or does a mark on it forbid that?  NULL = it may.
	 */
	int (*usable)(struct sr *sr);
	/*
	 * Before open(), on an attached SR: locks that are files, and may have to be
	 * made.  Not a byte of it has been read.  NULL = there are none.
	 */
	int (*lock)(struct sr *sr, bool recover);
	/*
	 * Bind an attached SR and finish or undo what a dead process left half
	 * done.  Called under the SR lock when the verb changes something
	 * (recover), without it otherwise.
	 */
	int (*open)(struct sr *sr, bool recover);
	void (*close)(struct sr *sr);
	/* Before sr check --repair looks at it: parts of it that are here again count again.  NULL = none. */
	int (*take_back)(struct sr *sr);
	/*
	 * Before the transport lets go: take away what is still active of the
	 * SR, whoever activated it.  Works on a struct sr that is not open, since
	 * the storage may be gone.  -E_SR_IN_USE while any of it is open.
	 */
	int (*quiesce)(struct sr *sr);
	int (*rename)(struct sr *sr, const char *name, const char *description);

	/* size and used of the substrate. */
	int (*stat)(struct sr *sr, struct sr_info *info);
	/*
	 * Every VDI, hidden ones too; what cannot be read goes to the list's
	 * problems and does not stop the others.  Heads of images are read with
	 * many reads in flight, not one after the other.  parent is a uuid by the
	 * layout's naming rule, whether that volume exists or not; an image whose
	 * parent could not be one of the SR is a problem.  How trees hang together
	 * is worked out above (sm/tree.h).
	 */
	int (*list)(struct sr *sr, struct vdis *l);
	/* One VDI, by its own image alone; -E_VDI_MISSING, or what is wrong with it. */
	int (*find)(struct sr *sr, const struct uuid *uuid, struct vdi *vdi);
	/*
	 * The VDIs that name this one as their parent.  Reads heads as list() does,
	 * of images that can have a parent, and keeps nothing of the others.  *whole
	 * becomes false when one could not be read: it might be a child too.
	 */
	int (*children)(struct sr *sr, const struct uuid *of, struct uuid **v, size_t *n,
			bool *whole);

	/*
	 * Make a volume for vdi (uuid, name, description, type are given) and
	 * format it, committing with one write; on any failure nothing is left.
	 * Fills in what the VDI has become.
	 */
	int (*volume_create)(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec);
	/* Never asked for a volume that has children. */
	int (*volume_delete)(struct sr *sr, const struct vdi *vdi);
	/*
	 * Grow to the given virtual size; the image's own metadata included.  The
	 * journal of a format that needs one is the layout's to make and remove.
	 */
	int (*volume_resize)(struct sr *sr, struct vdi *vdi, uint64_t virtual_size);
	/*
	 * A volume that somebody else put there is a disk from now on: make what
	 * this layout keeps beside it, unless that is there.  NULL = nothing.
	 */
	int (*volume_introduce)(struct sr *sr, const struct vdi *vdi);
	/* Keep vdi's name, description and type; what is NULL stays as it is. */
	int (*volume_describe)(struct sr *sr, const struct vdi *vdi);
	/*
	 * Make a tree of a leaf: see struct volume_split.  NULL for layouts whose
	 * volumes cannot have parents; then there are no snapshots either.
	 */
	int (*volume_split)(struct sr *sr, struct volume_split *split);
	/*
	 * Bytes of the substrate that it will take, at most, on the way and after.
	 * Without a base: of a copy alone, by volume_create() with a parent.
	 */
	int (*split_space)(struct sr *sr, const struct volume_split *split, uint64_t *bytes);
	/*
	 * Let the child stand on another volume of the SR, which becomes hidden.
	 * The child first (commit), since a hidden volume without children is
	 * garbage to any collector.  May be repeated.  NULL: on nothing.
	 */
	int (*volume_compose)(struct sr *sr, const struct vdi *child, const struct vdi *parent);
	/* Make an inner node of a volume, or a leaf again; raw ones too. */
	int (*volume_hide)(struct sr *sr, const struct vdi *vdi, bool hidden);
	/*
	 * Merging (sm/gc_step.c); NULL as volume_split is.  The volume goes into its
	 * parent, both hidden, in this order:
	 *
	 *	merge_begin()	a journal: the copy has begun; room in the parent
	 *	  ...		the copy, with no lock held
	 *	merge_copied()	a journal in its place (commit): it is never copied again
	 *	  volume_compose()	for each child, which stands on the parent then
	 *	merge_end()	the parent takes no more room than it needs; no journal
	 *	  volume_delete()	of the volume
	 *
	 * Or it is a visible disk, the parent's only child; nothing is journaled while
	 * that is copied, since it may be written any time, for which the copy is lost:
	 *
	 *	merge_begin()
	 *	  ...
	 *	merge_leaf()	the parent takes the leaf's place, name and record
	 *			(commit), under upstream's journal where it takes several
	 *			writes; open() with recover finishes or undoes it.  Once it
	 *			has, and a guest that waits may write it, go() (or NULL)
	 *
	 * more: bytes by which the parent's image may grow.
	 */
	int (*merge_begin)(struct sr *sr, const struct vdi *vdi, struct vdi *parent, uint64_t more);
	int (*merge_copied)(struct sr *sr, const struct vdi *vdi);
	int (*merge_end)(struct sr *sr, const struct vdi *vdi, const struct vdi *parent);
	int (*merge_leaf)(struct sr *sr, const struct vdi *leaf, const struct vdi *parent,
			  void (*go)(void *arg), void *arg);
	/*
	 * Bytes that merge_leaf() gives the volume at last, beside what is free again by
	 * then; 0: what it holds.  NULL = volumes grow by themselves.
	 */
	uint64_t (*leaf_room)(struct sr *sr, const struct vdi *leaf);
	/* All journals of that kind, and removing those of one VDI, which may be gone. */
	int (*merge_journals)(struct sr *sr, struct merge_journal **v, size_t *n);
	int (*merge_forget)(struct sr *sr, const struct uuid *vdi);
	/*
	 * The bytes of a volume, for code that knows formats.  Owned by the caller
	 * and closed before the SR is.  Of an inner node it is read only.
	 */
	int (*volume_io)(struct sr *sr, const struct vdi *vdi, bool writable, struct io **io);
	/*
	 * How device-mapper shows the volume, for layouts whose volumes are parts
	 * of block devices; NULL for the others.
	 */
	int (*volume_map)(struct sr *sr, const struct vdi *vdi, struct volume_map *map);
	/* The same without a table, of the volume that a device of this uuid shows; -E_VDI_MISSING. */
	int (*volume_of_device)(struct sr *sr, const char *uuid, struct volume_map *map);
	/*
	 * A datapath is about to use the volume itself, or has stopped to: for
	 * layouts that tell others on this host.  May be repeated.  NULL = nobody
	 * wants to know.
	 */
	int (*volume_used)(struct sr *sr, const struct vdi *vdi, bool used);
	/*
	 * Before a datapath that makes blocks as they are written takes a volume
	 * that has a size of its own: room for all that may be.  May be repeated;
	 * -E_SR_NO_SPACE.  NULL = volumes grow by themselves.
	 */
	int (*volume_inflate)(struct sr *sr, const struct vdi *vdi);
	/*
	 * The same for one whose server asks for more before it is full, where the SR is
	 * to be used so; else as volume_inflate().  Room for what it holds, and some more,
	 * if there is any: how large it is then.  held: what its server has given to
	 * blocks, while it is in use; then -E_SR_NO_SPACE, and 0 says that there is more,
	 * or enough.  0: as the image says.  NULL = as volume_inflate().
	 */
	int (*volume_grow)(struct sr *sr, const struct vdi *vdi, uint64_t held, uint64_t *size);
	/*
	 * And once nobody writes it any more: take back what it does not need, where
	 * the SR is to be thin.  Nothing to do, or somebody who has it active, is no
	 * error.
	 */
	int (*volume_deflate)(struct sr *sr, const struct vdi *vdi);
	/* An open descriptor of the volume; owned by the caller. */
	int (*volume_open)(struct sr *sr, const struct vdi *vdi, bool writable, int *fd);
	/* What sr_check finds beyond list(); repair what can be when asked to. */
	int (*check)(struct sr *sr, bool repair, struct vdis *found);
	/* What check() may overwrite, kept before, and put back; NULL = nothing. */
	const struct keep_ops *backup;
	/* Locks that live with the storage (drivers/lease.h); NULL = it can keep none. */
	const struct lease_ops *leases;
	/* Logs of changed blocks (drivers/cbt.h); NULL = it keeps none. */
	const struct cbt_store *logs;
};

extern const struct layout layout_dir;
extern const struct layout layout_lvm;

#endif
