/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Merging a child's data into its parent, in steps.
 *
 *	struct vhd_coalesce *c;
 *
 *	err = vhd_coalesce_start(&c, child, parent, NULL, 0);
 *	while (!err && c->done < c->total)
 *		err = vhd_coalesce_step(c);
 *	if (!err)
 *		err = vhd_coalesce_finish(c);
 *	vhd_coalesce_free(c);
 *
 * The child is only read.  It goes on to override every sector that is being
 * merged, so a parent half done is never seen through it, and stopping at any
 * point, or dying, costs nothing but doing it again.  Whoever else reads the
 * parent would see it change: that nobody does is for the caller.  So is that no
 * block of the child moves, as some do when it grows: what would be read then is
 * not in it, and would be seen.  Who cannot say so before says it by still().
 *
 * Blocks are taken in the order in which they lie in the parent, new ones
 * last, several in one step, and only sectors that the child has.  While one
 * batch is written the next is being read, by a thread of its own: no other
 * call touches the child's io meanwhile, and none is under way between two
 * steps.  Where files can share blocks, what is long enough and lies on whole blocks of the
 * file system is not moved at all (io_share()).  Memory: 8 bytes a block, 20 MiB, of which data takes what it needs,
 * and 400 KiB that say where it belongs.
 */
#ifndef LIB_VHD_COALESCE_H
#define LIB_VHD_COALESCE_H

#include "lib/vhd/vhd.h"

struct vhd_coalesce {
	uint32_t done, total;		/* blocks */
	uint64_t sectors;		/* copied so far */
	uint32_t at_most;		/* blocks of one step; 0: as many as fit */
	int (*still)(void *arg);	/* or NULL: may what has just been read be written?  0, or what a step returns */
	void *arg;
	/* The rest is private. */
	struct vhd *child, *parent;
	struct io *raw;
	struct vhd_turn { uint32_t place, block; } *turns;
	struct vhd_batch *now, *next;	/* being written, being read */
	uint32_t planned, announced;	/* turns in a batch; turns whose bitmaps are on their way */
	uint32_t forgotten;		/* turns */
	enum { SHARE_NEVER, SHARE_MAYBE, SHARE_TRIES, SHARE_WORKS } share;
};

/*
 * Either parent, open for writing, or raw is given.  The parent must be at
 * least of the child's size (vhd_resize() first): -E_VHD_SIZE.  A step number
 * from an earlier attempt may be given as first, to go on from there.
 */
int vhd_coalesce_start(struct vhd_coalesce **c, struct vhd *child, struct vhd *parent,
		       struct io *raw, uint32_t first);
/* Merge one batch of blocks. */
int vhd_coalesce_step(struct vhd_coalesce *c);
/* What was merged so far is on the disk when this returns; done is then a place to go on from. */
int vhd_coalesce_checkpoint(struct vhd_coalesce *c);
/*
 * Let the child forget what is merged, after one of the two around this: it shows
 * the parent's there, which is the same.  Then who begins once more has so much
 * less to do.  own: the child, open for writing.  Who has its table in memory may go
 * on by that, for the data stays where it is.
 */
int vhd_coalesce_forget(struct vhd_coalesce *c, struct vhd *own);
/* The same as a checkpoint, and footers and batmap of the parent. */
int vhd_coalesce_finish(struct vhd_coalesce *c);
void vhd_coalesce_free(struct vhd_coalesce *c);

/*
 * Would a merge keep nothing of the parent?  So it is where the child has every sector of each
 * block that the parent has.  Of a few blocks the bitmaps are read where the batmap says nothing.
 */
int vhd_covers(struct vhd *child, const struct vhd *parent, bool *covers);

#endif
