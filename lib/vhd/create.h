/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New images, byte for byte as libvhd lays them out. */
#ifndef LIB_VHD_CREATE_H
#define LIB_VHD_CREATE_H

#include "lib/vhd/vhd.h"

#define VHD_MSIZE	(2 * TiB)	/* what volumes prepare their metadata for */

struct vhd_create {
	enum vhd_type type;
	uint64_t size;			/* bytes; see vhd_round_size() */
	uint64_t max_size;		/* the size the table has room for; 0: no more than size */
	uint32_t time;			/* seconds since 2000 (VHD_EPOCH) */
	uint8_t uuid[16];
	bool hidden;
	/* Differencing: */
	const char *parent_path;	/* relative, "./x.vhd" */
	uint8_t parent_uuid[16];	/* all zero for a raw parent */
	uint32_t parent_time;		/* its mtime, seconds since 2000 */
	uint8_t keyed, nonce[32], key_hash[32];	/* of the parent */
};

/* What a request is rounded to: at least 2 MiB, a multiple of it; -E_VDI_SIZE above 2040 GiB. */
int vhd_round_size(uint64_t *size);
/* Bytes an image of this size takes before its first block, as upstream reckons. */
uint64_t vhd_overhead_empty(uint64_t size);
/* Bytes its bitmaps take once all blocks are in use, likewise. */
uint64_t vhd_overhead_bitmap(uint64_t size);

/*
 * Write a new image: into an empty file, or over whatever a volume holds.  The
 * primary footer is the last write; a volume's first and last sector are
 * cleared before anything else, so nothing half made opens as an old image.
 */
int vhd_create(struct io *io, const struct vhd_create *how);
/* The same for a child of an open image, of the parent's size unless how->size is given. */
int vhd_snapshot(struct io *io, const struct vhd *parent, const struct vhd_create *how);

#endif
