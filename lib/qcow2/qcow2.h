/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QCOW2 image, read only: versions 2 and 3, extended L2 entries, deflate; and
 * zstd where it was configured.
 *
 * The virtual disk is cut into clusters of 512 bytes to 2 MiB.  The L1 table
 * is held in memory, L2 tables are read in pieces of 4 KiB.  Reference counts
 * and internal snapshots are not needed for reading and not looked at.
 * Memory: the L1 table, at most 32 MiB and for usual images 256 KiB a TiB; the
 * pieces; and two clusters once something compressed is read.
 */
#ifndef LIB_QCOW2_QCOW2_H
#define LIB_QCOW2_QCOW2_H

#include "lib/bytes.h"
#include "lib/io.h"

#define QCOW2_SIZE_MAX	(16 * TiB)
#define QCOW2_L1_MAX	(32 * MiB)	/* bytes */
#define QCOW2_SLICE	4096u
#define QCOW2_SLICES	16u

enum qcow2_incompatible {
	QCOW2_DIRTY		= 1 << 0,	/* reference counts are not reliable */
	QCOW2_CORRUPT		= 1 << 1,
	QCOW2_EXTERNAL		= 1 << 2,	/* data in another file: refused */
	QCOW2_COMPRESSION	= 1 << 3,	/* not deflate */
	QCOW2_EXTENDED_L2	= 1 << 4,
	QCOW2_KNOWN		= (1 << 5) - 1,
};

struct qcow2_slice {
	uint64_t at;		/* in the file; 0: empty */
	uint8_t b[QCOW2_SLICE];
};

struct qcow2 {
	struct io *io;			/* borrowed */
	uint32_t version;
	uint32_t cluster_bits;
	uint64_t size;
	uint64_t incompatible;
	uint32_t l1_size;		/* entries */
	uint64_t l1_at;
	uint32_t n_snapshots;
	bool zstd;
	bool hidden;			/* XCP-ng's private extension */
	char *backing;			/* as stored, or NULL; never opened here */
	char *backing_format;		/* likewise */
	be64 *l1;
	struct qcow2_slice *slices;
	uint32_t next_slice;
	uint8_t *packed;		/* the cluster unpacked last */
	uint64_t packed_entry;		/* by its L2 entry; 0: none */
};

/* io stays the caller's.  Every way in which a header can be wrong is an error. */
int qcow2_open(struct qcow2 **q, struct io *io);
void qcow2_close(struct qcow2 *q);	/* NULL is allowed */

enum qcow2_where {
	QCOW2_BELOW,		/* the backing file's, or zero without one */
	QCOW2_BELOW_HERE,	/* the same, though there is room for it at *pos */
	QCOW2_HERE,		/* at *pos of the file */
	QCOW2_ZERO,
	QCOW2_ZERO_HERE,	/* zero, though there is room for it at *pos */
	QCOW2_PACKED,		/* compressed; *pos is what qcow2_unpack() wants */
};

/* As vhd_lookup(); -E_QCOW2_TABLE when a table leads nowhere. */
int qcow2_lookup(struct qcow2 *q, uint64_t at, uint64_t *len, uint64_t *pos);
/* Bytes that qcow2_lookup() said are compressed; -E_QCOW2_ZSTD, -E_QCOW2_DEFLATE. */
int qcow2_read_packed(struct qcow2 *q, uint64_t at, void *buf, size_t len);

/*
 * The whole cluster, or those bytes of it that the disk has at `at`.  These
 * two only read the image, so several threads may be in them.
 */
int qcow2_unpack(const struct qcow2 *q, uint64_t pos, uint8_t *cluster);
int qcow2_unpack_part(const struct qcow2 *q, uint64_t pos, uint64_t at, void *buf, size_t len);

#endif
