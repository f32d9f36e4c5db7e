/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block devices: their sizes, what holds them, and their names in sysfs. */
#ifndef ARCH_BLK_H
#define ARCH_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;

struct blk_info {
	dev_t dev;
	uint64_t size;		/* bytes */
	uint32_t sector;	/* smallest unit it can address: 512 or 4096 */
	uint32_t physical;	/* smallest unit it writes without reading first */
	bool read_only;
	bool partition;		/* a part of a disk, not a whole one */
};

/* An open block device; -ENOTBLK for anything else. */
int blk_info(int fd, struct blk_info *b);

/*
 * Open a block device that nobody has mounted, put under device-mapper or
 * opened by this call, and keep it so until the descriptor is closed: -EBUSY
 * otherwise.  Who merely reads or writes it without O_EXCL is not seen.
 */
int blk_open_excl(const char *path, bool write);
/* Is it held in that sense?  1, 0 or -errno. */
int blk_is_held(const char *path);

/* "8:17", as the kernel writes it; what follows the number is not looked at. */
bool blk_parse_dev(const char *s, dev_t *dev);
/* "sdb1", "dm-3", "loop0": what sysfs calls the device, at most n - 1 characters. */
int blk_name(dev_t dev, char *name, size_t n);
/* The devices stacked on it (device-mapper, md), by those names; none is 0 of them. */
int blk_holders(dev_t dev, struct arena *a, const char ***names, size_t *n);

/* What was done with a device since it was made. */
struct blk_stat {
	uint64_t reads, writes;			/* requests */
	uint64_t read_bytes, written_bytes;
};
/* By the kernel's counters; -ENOENT for what is no block device (any more). */
int blk_stat(const char *path, struct blk_stat *s);

/*
 * The smallest unit of the disk on which an open file lies: what direct I/O to
 * it must be a multiple of.  -ENODEV where there is no such disk, or no single
 * one (tmpfs, NFS, btrfs).
 */
int blk_sector_below(int file, uint32_t *sector);

/* Write out and forget what the kernel has cached of the device itself. */
int blk_drop_cache(int fd);

/*
 * Let the kernel look for partitions anew, and forget those it knew; the device
 * is open for writing.  -EBUSY while one of them is held.
 */
int blk_reread_partitions(int fd);

/*
 * Take its partitions away from the kernel; what is on the disk stays.  None is none.
 * -EBUSY: somebody has one open, and all others are gone.
 */
int blk_forget_partitions(int fd);

/*
 * The node for a device, made if it is missing and nobody else makes it
 * (no devtmpfs).  A node of this path that is another device is -EEXIST.
 */
int blk_node(const char *path, mode_t type, dev_t dev);

#endif
