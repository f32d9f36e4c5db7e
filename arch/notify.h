/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* To be told when names go from a directory, instead of looking all the time. */
#ifndef ARCH_NOTIFY_H
#define ARCH_NOTIFY_H

#include <stdint.h>

/* A descriptor for notify_wait(), to be closed; -errno where the kernel cannot. */
int notify_gone(const char *dir);
/*
 * Until a name has gone since the last call, or until then (monotonic clock,
 * ns).  Nobody tells of what was removed before notify_gone().  fd -1: the time alone.
 */
void notify_wait(int fd, uint64_t until);

#endif
