/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LVM2's lock files: flock(2) on /run/lock/lvm/V_<vg> and P_global, so that we
 * and an lvm2 on the same host do not change one VG at once.
 *
 * An exclusive lock first takes <file>:aux, which keeps new readers out while
 * it waits.  Whoever lets go of a file removes it, so a lock counts only while
 * the path still leads to the file that was locked.
 */
#ifndef ARCH_FLOCK_H
#define ARCH_FLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Directories above the file are made (0700).  -ETIMEDOUT when somebody else
 * holds it until the deadline (monotonic clock, ns; 0 waits for ever).
 * -EPERM when others could take the file away from under its holder.
 */
int flock_take(int *fd, const char *path, bool shared, uint64_t deadline);
/* Release, remove the file if nobody else wants it, and set *fd to -1. */
void flock_drop(int *fd, const char *path);

#endif
