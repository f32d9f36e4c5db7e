/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VHD footer: one sector that says what the image is.
 *
 * The last sector of the file is the footer; dynamic and differencing images
 * keep a copy at offset 0.  A fixed image is its data and one footer.
 */
#ifndef LIB_VHD_FOOTER_H
#define LIB_VHD_FOOTER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

#define VHD_SECTOR		((uint64_t)512)
#define VHD_BLOCK		(2 * MiB)	/* the only block size supported */
#define VHD_BLOCK_SECTORS	((uint32_t)4096)
#define VHD_SIZE_MAX		(2040 * GiB)	/* what 32-bit sector numbers can reach */
#define VHD_EPOCH		946684800	/* 2000-01-01 00:00 UTC in Unix seconds */

enum vhd_type { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFF = 4 };

#define VHD_TAP			0x74617000u	/* creator "tap\0": libvhd's, and ours */
#define VHD_TAP_VERSION		0x00010003u

struct vhd_footer_disk {
	char	cookie[8];	/* "conectix"; "v_poison" while a journalled resize runs */
	be32	features;	/* bit 0 temporary, bit 1 always set */
	be32	version;	/* 1.0 */
	be64	header_at;	/* all ones in a fixed disk */
	be32	time;		/* seconds since 2000 */
	be32	creator;
	be32	creator_version;
	be32	os;
	be64	original_size;
	be64	size;
	be32	geometry;	/* cylinders << 16 | heads << 8 | sectors per track */
	be32	type;
	be32	sum;		/* ones' complement of the sum of all other bytes */
	uint8_t	uuid[16];
	uint8_t	saved;
	uint8_t	hidden;		/* Xen's: an inner node of a tree, not for users */
	uint8_t	reserved[426];
};
static_assert(sizeof(struct vhd_footer_disk) == 512, "a VHD footer is one sector");

struct vhd_footer {
	enum vhd_type type;
	uint64_t size;			/* what the guest sees */
	uint64_t original_size;
	uint64_t header_at;		/* 0 in a fixed disk */
	uint32_t time, creator, creator_version, os, features, geometry;
	uint8_t uuid[16];
	uint8_t saved;
	uint8_t hidden;			/* 0 or not; whatever else it is, is carried through */
	uint8_t reserved[426];		/* likewise */
};

/*
 * In the order tested: -E_SHORT, -E_VHD_MAGIC, -E_VHD_POISON, -E_VHD_SUM; a
 * footer that passed those is one, and what follows is what is wrong with it:
 * -E_VHD_VERSION, -E_VHD_TYPE, -E_VHD_SIZE, -E_VHD_HEADER_AT.
 */
int vhd_footer_decode(struct vhd_footer *f, const void *buf, size_t len);
void vhd_footer_encode(const struct vhd_footer *f, struct vhd_footer_disk *d);
/* Mark an encoded footer so that every reader refuses the image. */
void vhd_footer_poison(struct vhd_footer_disk *d);
/* Is it a poisoned footer? Then make it a good one again. */
bool vhd_footer_unpoison(struct vhd_footer_disk *d);

/* Ones' complement of the byte sum, as all VHD structures use it. */
uint32_t vhd_sum(const void *p, size_t n);
/* Cylinders, heads and sectors per track as libvhd rounds them. */
uint32_t vhd_geometry(uint64_t size);
/* libvhd and its kin: our bitmaps, batmap and sizes apply. */
static inline bool vhd_by_tap(const struct vhd_footer *f)
{
	return f->creator == VHD_TAP;
}

#endif
