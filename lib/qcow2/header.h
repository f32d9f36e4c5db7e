/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QCOW2 header as it lies on disk, and what an entry's bits mean. */
#ifndef LIB_QCOW2_HEADER_H
#define LIB_QCOW2_HEADER_H

#include <assert.h>

#include "lib/bytes.h"

struct qcow2_header_disk {
	char	magic[4];		/* "QFI\xfb" */
	be32	version;		/* 2 or 3 */
	be64	backing_at;		/* 0: none */
	be32	backing_len;
	be32	cluster_bits;
	be64	size;
	be32	crypt;
	be32	l1_size;		/* entries */
	be64	l1_at;
	be64	refcount_at;
	be32	refcount_clusters;
	be32	n_snapshots;
	be64	snapshots_at;
	/* Version 3: */
	be64	incompatible;
	be64	compatible;
	be64	autoclear;
	be32	refcount_order;
	be32	len;
	uint8_t	compression;		/* when len is above 104: 0 deflate, 1 zstd */
	uint8_t	zero[7];
};
static_assert(sizeof(struct qcow2_header_disk) == 112, "a QCOW2 header is 112 bytes");

#define QCOW2_V2_LEN		72u
#define QCOW2_V3_LEN		104u
#define QCOW2_BACKING_MAX	1023u
#define QCOW2_SNAPSHOTS_MAX	65536u
#define QCOW2_REFCOUNT_MAX	(8 * MiB)	/* bytes of the table of tables */

#define QCOW2_EXT_END		0u
#define QCOW2_EXT_FORMAT	0xe2792acau
#define QCOW2_EXT_XCPNG		0x76617465u	/* "vate": first byte is hidden or not */

#define QCOW2_OFFSET		0x00fffffffffffe00ull
#define QCOW2_L1_RESERVED	0x7f000000000001ffull
#define QCOW2_L2_RESERVED	0x3f000000000001feull
#define QCOW2_L2_ZERO		1ull
#define QCOW2_L2_PACKED		(1ull << 62)

#endif
