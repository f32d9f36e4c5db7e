/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before a repair: what it will overwrite, kept (drivers/keep.h); and put back. */
#ifndef SM_KEEP_H
#define SM_KEEP_H

#include "sm/core.h"

#define WITH_BACKUP	IS_ENABLED(CONFIG_CHECK_BACKUP)

/*
 * l is what a check without repair has found.  After 0 all that the same with
 * repair will overwrite is on the disk of the host, and r->rp->backup says where;
 * after an error there is nothing, and nothing may be repaired.
 */
int keep_before(struct run *r, const struct vdis *l);
/* And when the repair has ended, well or not: what it has left there. */
void keep_after(struct run *r);
/* --undo: put back what such a backup holds.  No disk of the SR may be attached. */
int keep_put_back(struct run *r);

#endif
