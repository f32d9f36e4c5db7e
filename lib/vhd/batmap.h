/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The batmap: libvhd's hint which blocks have all their bits set, and its spare fields. */
#ifndef LIB_VHD_BATMAP_H
#define LIB_VHD_BATMAP_H

#include "lib/vhd/vhd.h"

#define VHD_BATMAP_VERSION 0x00010002u

struct vhd_batmap_disk {
	char	cookie[8];	/* "tdbatmap" */
	be64	at;
	be32	sectors;
	be32	version;
	be32	sum;		/* of the map; the header has none */
	uint8_t	marker;		/* for the control stack */
	uint8_t	keyed;		/* 1: the key hash is there */
	uint8_t	nonce[32];
	uint8_t	key_hash[32];
	uint8_t	reserved[418];
};
static_assert(sizeof(struct vhd_batmap_disk) == 512, "a batmap header is one sector");

/* Sectors of the map for a table of max_bat entries. */
uint32_t vhd_batmap_sectors(uint32_t max_bat);
/* The bytes of it that libvhd knows: rounded down where up would be right. */
uint64_t vhd_batmap_covered(uint64_t size);
/* Where its header is when there is one. */
uint64_t vhd_batmap_place(const struct vhd_header *h);

/*
 * Read it, if the creator's images have one; damage is a state, not an error.
 * Fields that follow the cookie count even when the map's checksum is wrong.
 */
int vhd_batmap_load(struct vhd *v);
bool vhd_batmap_get(const struct vhd *v, uint32_t block);
void vhd_batmap_set(struct vhd *v, uint32_t block);
/* Of a block that is given up; on the disk before its entry is used again. */
void vhd_batmap_clear(struct vhd *v, uint32_t block);
/* Forget bits of blocks that are not in use: the next to take such a block is not full. */
void vhd_batmap_trim(struct vhd *v);
/* Write map and header; not flushed.  A torn one has a wrong sum and is ignored. */
int vhd_batmap_write(struct vhd *v);
void vhd_batmap_encode(const struct vhd *v, struct vhd_batmap_disk *d);

#endif
