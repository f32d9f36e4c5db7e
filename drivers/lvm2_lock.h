/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The locks of lvm2, by which it and we keep out of each other's way: arch/flock.h, with what a person is told. */
#ifndef DRIVERS_LVM2_LOCK_H
#define DRIVERS_LVM2_LOCK_H

#include <stdbool.h>

struct ctx;

/* "V_vg" or "P_global".  *path, for flock_drop(), is in the arena.  -E_BUSY; -EPERM: the folder is somebody else's. */
int lvm2_lock(struct ctx *ctx, int *fd, char **path, const char *name, bool shared);

#endif
