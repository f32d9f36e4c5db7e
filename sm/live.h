/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to a disk that is in use.
 *
 *	err = live_hold(r, &r->vdi);		nothing to do if it is not active
 *	...					change it, as one that is not
 *
 * The disk goes on once the verb is over and its locks are dropped, however it
 * ended: sm_run() sees to that, and a death does.
 */
#ifndef SM_LIVE_H
#define SM_LIVE_H

#include "sm/core.h"

/* A disk that waits. */
struct held {
	const struct datapath *d;
	struct vdi vdi;			/* as it was before */
	int fd;
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
/* All go on.  The first error, or 0; ctx->why keeps what was said before. */
int live_go(struct run *r);

#endif
