/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is on a device: signatures of file systems, partition tables and of
 * whatever else claims a whole device, so that it is not destroyed unseen, and
 * not found again once it was meant to be.
 *
 *	err = blkid_probe(io, &arena, &sign, &n);
 *	if (n)
 *		"%s holds %s", path, sign[0].what
 *	err = blkid_wipe(io, sign, n);
 *
 * A signature is a few bytes at a known place.  None of what they say is
 * believed: a device that merely looks like an ext4 file system is reported as
 * one.  Names are those of util-linux's blkid.
 */
#ifndef LIB_BLKID_H
#define LIB_BLKID_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct io;

enum blkid_use {
	BLKID_FS,
	BLKID_SWAP,
	BLKID_TABLE,			/* of partitions */
	BLKID_MEMBER,			/* a part of something: RAID, LVM, ZFS, VMFS */
	BLKID_CRYPT,
	BLKID_IMAGE,			/* of a virtual disk */
};

struct blkid_sign {
	enum blkid_use use;
	const char *name;		/* "ext4", "LVM2_member" */
	const char *what;		/* "an ext4 file system", "an LVM2 physical volume" */
	uint64_t at;			/* where the signature is, bytes */
	uint64_t wipe_at, wipe_len;	/* zero this, and it is gone */
};

/* More than these are not listed; a device that has been much in use has five. */
#define BLKID_MOST 64

/*
 * All that is found, what lies first on the device first.  Reads the first and
 * the last half MiB, and some sectors below 4 MiB.
 */
int blkid_probe(struct io *io, struct arena *a, struct blkid_sign **sign, size_t *n);

/*
 * The first of them in words ("an ext4 file system"), or NULL for a disk without
 * one.  An LVM2 label is none here: that has its own reader (lib/lvm2/label.h).
 */
int blkid_find(struct io *io, const char **what);

/* Zero them, and flush.  What may show after that (a backup) needs another probe. */
int blkid_wipe(struct io *io, const struct blkid_sign *sign, size_t n);

#endif
