/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dynamic header: where the block table is, and who the parent is.
 *
 * 1024 bytes at the footer's header_at.  There is no copy.  The first of its
 * two sectors holds all but the tail of the parent's name and the locators, so
 * most changes are a write of one sector, and the others begin with that.
 */
#ifndef LIB_VHD_HEADER_H
#define LIB_VHD_HEADER_H

#include <assert.h>
#include <stdint.h>

#include "lib/bytes.h"

#define VHD_LOCATORS	8
#define VHD_BAT_MAX	((uint32_t)1 << 20)	/* entries: 2 TiB, a table of 4 MiB */
#define VHD_NAME_UNITS	256

struct vhd_locator_disk {
	be32	code;
	be32	space;		/* bytes, or sectors when below 512 */
	be32	len;
	be32	reserved;
	be64	at;
};
static_assert(sizeof(struct vhd_locator_disk) == 24, "a VHD parent locator is 24 bytes");

struct vhd_header_disk {
	char	cookie[8];	/* "cxsparse" */
	be64	data_at;	/* all ones */
	be64	table_at;
	be32	version;	/* 1.0 */
	be32	max_bat;	/* entries the table has room for */
	be32	block_size;
	be32	sum;
	uint8_t	parent_uuid[16];	/* all zero: the parent is a raw image */
	be32	parent_time;	/* its mtime when linked, seconds since 2000 */
	be32	reserved1;
	be16	parent_name[VHD_NAME_UNITS];
	struct vhd_locator_disk locators[VHD_LOCATORS];
	uint8_t	reserved2[256];
};
static_assert(sizeof(struct vhd_header_disk) == 1024, "a VHD header is two sectors");

enum vhd_code {
	VHD_CODE_NONE = 0,
	VHD_CODE_W2RU = 0x57327275,	/* relative path, UTF-16LE */
	VHD_CODE_W2KU = 0x57326b75,	/* path, UTF-16LE */
	VHD_CODE_MACX = 0x4d616358,	/* file URL, UTF-8 */
	VHD_CODE_WI2R = 0x57693272,	/* the deprecated ones: text we do not read */
	VHD_CODE_WI2K = 0x5769326b,
	VHD_CODE_MAC  = 0x4d616320,
};

struct vhd_locator {
	uint32_t code;
	uint32_t space;			/* bytes; 0 when the field is unusable */
	uint32_t len;
	uint64_t at;
	be32 space_field, reserved;	/* as they stand on disk, carried through */
};

struct vhd_header {
	uint64_t table_at;
	uint32_t max_bat;
	uint8_t parent_uuid[16];
	uint32_t parent_time;
	be16 parent_name[VHD_NAME_UNITS];
	struct vhd_locator locators[VHD_LOCATORS];
	be32 reserved1;			/* carried through */
	uint8_t reserved[256];		/* likewise */
};

/*
 * In the order tested: -E_SHORT, -E_VHD_HEADER_MAGIC, -E_VHD_HEADER_SUM,
 * -E_VHD_HEADER, -E_VHD_BLOCK_SIZE, -E_VHD_TABLE, -E_VHD_LOCATOR.  Whether the
 * offsets lie within the file is for the caller, who knows the file.
 */
int vhd_header_decode(struct vhd_header *h, const void *buf, size_t len);
void vhd_header_encode(const struct vhd_header *h, struct vhd_header_disk *d);

/* Bytes of the block table with its padding. */
static inline uint64_t vhd_table_len(uint32_t max_bat)
{
	return ((uint64_t)max_bat * 4 + 511) / 512 * 512;
}

#endif
