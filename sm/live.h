/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to a disk that is in use.
 *
 *	err = live_hold(r, &r->vdi);		nothing to do if it is not active
 *	...					change it, as one that is not
 *
 * The disk goes on once the verb is over and its locks are dropped, however it
 * ended: sm_run() sees to that, and a death does.  With live_go_all() it does so as soon
 * as it can, while the verb does the rest.
 */
#ifndef SM_LIVE_H
#define SM_LIVE_H

#include "sm/core.h"

/* A disk that waits. */
struct held {
	const struct datapath *d;
	struct vdi vdi;			/* as it was before */
	int fd;
	bool whole;			/* with its images, for live_go_on() */
	struct held *next;
};

/* May the disk be changed, as it is attached or not?  -E_VDI_IN_USE. */
int live_can(struct run *r, const struct vdi *vdi);
int live_hold(struct run *r, const struct vdi *vdi);
/*
 * All that stands on this volume is held: let go of the volume itself, where
 * servers have it active.  Who goes on takes it back.
 */
int live_release(struct run *r, const struct vdi *vdi);
/*
 * The same for a disk whose image becomes another's parent.  Once that is so,
 * live_go_on() says what its images are, and it goes on at once, while the verb
 * does the rest: the disk, and what its old image is called; base NULL: nothing
 * has changed.  If that cannot be, it goes on as others do.
 */
int live_hold_split(struct run *r, const struct vdi *vdi);
void live_go_on(struct run *r, const struct vdi *vdi, const struct vdi *base);
/*
 * A disk that nobody writes shows the same when its image is another's parent.  One whose
 * datapath cannot hold it may be moved to another, which live_take() does with r->vdi.
 */
int live_can_split(struct run *r, const struct vdi *vdi);
int live_take(struct run *r);
/* Whoever was moving r->vdi, which is active, may have died: what serves it not lets go of it. */
int live_settle(struct run *r);
/*
 * What all of them are now is on the storage, and nothing of that will be changed: they go
 * on at once, or if that cannot be, as others do.  The first that goes on but does not
 * show its new size.
 */
int live_go_all(struct run *r);
/* All go on.  The first error, or 0; ctx->why keeps what was said before. */
int live_go(struct run *r);

#endif
