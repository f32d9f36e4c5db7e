/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loop devices: a file as a block device.
 *
 *	n = loop_attach(file, &(struct loop_options){ .name = uuid }, NULL);
 *	...					/dev/loop<n> until
 *	err = loop_detach(n, NULL);
 */
#ifndef ARCH_LOOP_H
#define ARCH_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/fs.h"

struct arena;

#define LOOP_NAME_MAX	63

struct loop_options {
	bool read_only;
	bool direct_io;		/* bypass the page cache of the file, if that can be */
	uint32_t block_size;	/* 512 or 4096; 0 = the kernel's choice */
	uint64_t offset;	/* of the device's first byte in the file */
	uint64_t size_limit;	/* bytes; 0 = to the end of the file */
	const char *name;	/* a label that loop_info() returns, cut at 63; or NULL */
	/*
	 * Unless NULL: the kernel frees the device with its last user.  The first
	 * one is the descriptor of it that comes back here, to be closed once the
	 * device is in use.
	 */
	int *held;
};

struct loop_info_now {
	int n;			/* the device is /dev/loop<n> */
	struct fs_id file;
	char name[LOOP_NAME_MAX + 1];
	const char *path;	/* of the file, as sysfs shows it; NULL from loop_info() */
	uint64_t offset;
	uint64_t size_limit;
	bool read_only;
	bool direct_io;
	bool autoclear;		/* will be detached when its last user closes it */
};

/*
 * Bind an open regular file or block device to a free loop device, whose number
 * is returned.  The kernel may drop direct_io in silence (tmpfs); *direct, if
 * not NULL, says what became of it.  The descriptor may be closed afterwards.
 */
int loop_attach(int file, const struct loop_options *o, bool *direct);

/*
 * Free it again; 0 too when it is free already.  With file, only if the device
 * is still bound to that file, else it counts as freed: numbers are used again.
 *
 * -EBUSY, and nothing is changed, when it is mounted, under device-mapper or
 * opened exclusively.  A plain open cannot be seen beforehand: the kernel then
 * says yes and will free the device when that is closed.  We wait a second for
 * that (udev looks at every new device), then tell it to keep the device, and
 * this is -EBUSY too.
 */
int loop_detach(int n, const struct fs_id *file);

/* Stay bound after the last close, whatever was ordered.  -ENXIO: too late. */
int loop_keep(int n, const struct fs_id *file);

/* Take over the new size of the file. */
int loop_resize(int n);

/* -ENXIO when the device is free or does not exist. */
int loop_info(int n, struct loop_info_now *now);
/*
 * All that are bound to a file whose path ends so (NULL: to any), in the order
 * of their numbers.  Others are not even opened: asking a device about a file on
 * a server that is gone may wait for ever, and an open device is not freed.
 */
int loop_list(struct arena *a, const char *end, struct loop_info_now **v, size_t *count);
/* The first that is bound to this file: its number, or -ENOENT. */
int loop_find(const struct fs_id *file);

#endif
