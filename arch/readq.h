/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many small reads at once: heads of a thousand images in the time of some.
 *
 * The kernel's asynchronous I/O, which needs no thread.  It is asynchronous for
 * descriptors opened with O_DIRECT; others are read one after the other, so for
 * files in the page cache's care posix_fadvise(WILLNEED) on all of them comes first.
 */
#ifndef ARCH_READQ_H
#define ARCH_READQ_H

#include <stddef.h>
#include <stdint.h>

/* Alignment that any O_DIRECT descriptor is content with; for at, buf and len. */
#define READQ_ALIGN	4096u

struct readq_one {
	int fd;
	uint64_t at;
	void *buf;
	size_t len;
	/*
	 * Filled in: 0, -E_SHORT at the end of the file, or the kernel's error;
	 * -EINVAL when the descriptor wants another alignment.
	 */
	int err;
};

/* All of them, in whatever order; each has its own error. */
void readq(struct readq_one *v, size_t n);

#endif
