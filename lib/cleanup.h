/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Things released on every way out of a scope.
 *
 *	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	...
 *	return take_fd(&fd);		hand it to the caller instead
 */
#ifndef LIB_CLEANUP_H
#define LIB_CLEANUP_H

#include <errno.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	int e = errno;

	if (*fd >= 0)
		close(*fd);
	errno = e;
}
#define _close_ __attribute__((cleanup(cleanup_close)))

static inline int take_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#endif
