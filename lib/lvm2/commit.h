/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Put a changed VG on its devices, so that whatever happens on the way there is
 * the old VG or the new one.
 *
 *	prepare    the new text, beside the committed one, in every metadata area;
 *	           flush: nothing points to it yet
 *	[precommit slot 1 of every header; for those who want to see it coming]
 *	           here the kernel's tables are loaded and devices suspended
 *	finish     slot 0 of every header: the first one that arrives is the commit;
 *	           flush
 *	           resume
 *
 * An area that moves to another place (lvm_pv_resize()) gets its text with the
 * others, and comes first in finish: its header, flush, and then the label that
 * says where it is, flush.  Until that sector is written nothing points there;
 * once it is, the highest seqno is found there, so the label is the commit, and
 * nobody writes any more to where the area was and new extents may be.  The old
 * header is zeroed at the end.
 *
 * A commit that is not finished is reverted, or its program dies: either way the
 * next one overwrites the same place in the ring.
 *
 * The VG lock is the caller's business, from reading the VG until finish.
 */
#ifndef LIB_LVM2_COMMIT_H
#define LIB_LVM2_COMMIT_H

#include "lib/buf.h"
#include "lib/lvm2/mda.h"
#include "lib/lvm2/vg.h"

struct lvm_copy;
struct lvm_dev;

struct lvm_commit {
	struct lvm_vg *vg;
	struct buf text;
	struct lvm_target {
		struct lvm_dev *dev;
		struct lvm_copy *copy;
		struct lvm_mda *mda;		/* what its header says now */
		struct lvm_slot slot;		/* what it shall say */
		bool moved;			/* and does, since its label was written */
	} *target;
	uint32_t n_targets;
	bool announced;				/* slot 1 was written */
};

/*
 * Refused, before anything is written, for a VG we must not write to (see
 * lvm_vg_may_change()), when an area is full (-E_LVM_FULL), and when no good
 * area is left (-E_LVM_NO_MDA).  Areas whose header is damaged are passed over;
 * a damaged text is replaced.
 * On failure everything is as before and the commit needs no revert.
 */
int lvm_commit_prepare(struct lvm_commit *c, struct lvm_vg *vg, const struct lvm_stamp *stamp);
/* Would it be refused?  Nothing is written, and nothing is to be finished. */
int lvm_commit_try(struct lvm_vg *vg, const struct lvm_stamp *stamp);
int lvm_commit_precommit(struct lvm_commit *c);
/*
 * -E_LVM_HALF: the change is committed, but not every copy could be brought up
 * to date.  Any other error: it is not.
 */
int lvm_commit_finish(struct lvm_commit *c);
/* Only instead of finish.  0, or the error of taking an announcement back. */
int lvm_commit_revert(struct lvm_commit *c);

/* All at once, for changes that no active device has to follow. */
int lvm_vg_commit(struct lvm_vg *vg, const struct lvm_stamp *stamp);

#endif
