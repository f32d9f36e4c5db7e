/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks between processes of this host: one file each, locked as a whole.
 *
 *	_unlock_ int lock = -1;
 *
 *	err = lock_take(&lock, "/var/lock/sm/<uuid>/sr", false, ctx->deadline);
 *
 * They are fcntl record locks of the kind that belongs to the open file
 * (F_OFD_SETLK).  Those and the record locks of processes, which the Python
 * storage managers use on the same paths, exclude each other.  Unlike those
 * they exclude a second open in the same process too, survive the close of
 * another descriptor on the file, and are shared with children forked while
 * they are held: a child that lives longer closes its copy.
 *
 * A lock ends with its holder, however that dies.  Files are never unlinked
 * here; when somebody else did so, the lock is taken again on the new file.
 */
#ifndef ARCH_LOCK_H
#define ARCH_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A deadline long past: try once. */
#define LOCK_TRY ((uint64_t)1)

/*
 * Creates the file (0600: who can read it can keep a shared lock on it) and the
 * directories above it (0755) as needed.
 * -ETIMEDOUT when somebody else holds it until the deadline (monotonic clock,
 * ns; 0 waits for ever).  On failure *fd stays -1.
 */
int lock_take(int *fd, const char *path, bool shared, uint64_t deadline);
/* Release and set *fd to -1; nothing to do for -1. */
void lock_drop(int *fd);

/*
 * Who would keep us from an exclusive lock?  *pid is 0 when nobody does (also
 * when the file does not exist), and -1 for a holder whom the kernel does not
 * name: that is so for all locks of the kind taken here.
 */
int lock_holder(const char *path, pid_t *pid);

#define _unlock_ __attribute__((cleanup(lock_drop)))

#endif
