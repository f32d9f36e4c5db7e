/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One open VHD image, whose data may lie in a parent that it does not know.
 *
 *	struct vhd *v;
 *
 *	err = vhd_open(&v, io, VHD_RDWR);
 *	err = vhd_write(v, at, data, len);	in memory and on its way
 *	err = vhd_publish(v);			survives this process
 *	err = vhd_flush(v);			survives a power cut
 *	err = vhd_finish(v);			footers and batmap as a stranger expects them
 *	vhd_close(v);
 *
 * A file or volume holds, in this order: a copy of the footer, the header, the
 * block table (BAT), the batmap, parent locators, blocks, the footer.  A block
 * is a bitmap of one sector and 2 MiB of data; a clear bit means that the
 * sector is the parent's, or zero without one.  The BAT gives the sector of
 * each block's bitmap.  The batmap has a bit for each block whose bitmap is
 * all ones, and is a hint: too few bits are legal, too many are not.
 *
 * A volume (fixed_size: an io that cannot be resized) has its footer in its
 * last sector wherever the blocks end; a file ends with it.
 *
 * Images share nothing, and one image is used by one thread, except as said
 * below.  The BAT takes at most 4 MiB, everything else less than 400 KiB.
 *
 * Several threads: the functions of this header exclude each other by a lock
 * that the caller takes, but what moves data need not be under it.  A block that has
 * a place keeps it for as long as the image is open (only vhd_grow_table(),
 * vhd_reset() and vhd_discard() take it away), so with the io of a file or device
 *
 *	lock; vhd_lookup(v, at, &n, &pos); unlock; io_read(v->io, pos, ...)
 *	lock; vhd_write_begin(v, at, &n, &pos); unlock; io_write(v->io, pos, ...);
 *	lock; vhd_write_end(v, at, n); unlock
 *
 * may run in any number of threads; data never makes the file grow, since the
 * room was made by vhd_write_begin().  vhd_publish() covers every write whose
 * vhd_write_end() came before it; one such call may serve many writers.
 */
#ifndef LIB_VHD_VHD_H
#define LIB_VHD_VHD_H

#include "lib/io.h"
#include "lib/vhd/footer.h"
#include "lib/vhd/header.h"

#define VHD_UNUSED	0xffffffffu	/* BAT: the block is not here */
#define VHD_BAD		0xfffffffeu	/* in memory: the entry cannot be believed */
#define VHD_BITMAPS	128u		/* of 512 bytes, kept in memory */
#define VHD_AHEAD	16u		/* places prepared by one flush, at most */

struct vhd_batmap {
	enum { BATMAP_NONE, BATMAP_GOOD, BATMAP_BAD } state;
	uint8_t *bits;		/* one sector more than any block's bit needs; NULL: none */
	uint64_t header_at;
	uint64_t at;		/* of the map in the file */
	uint64_t declared;	/* bytes of the map as its header says */
	uint64_t covered;	/* bytes of it that libvhd reads, writes and sums */
	uint8_t marker;
	uint8_t keyed;		/* not 0: there is a key hash */
	uint8_t nonce[32], key_hash[32];
	bool dirty;
	bool stale;		/* the disk has bits of blocks that are not in use */
};

struct vhd_gaps {			/* gaps.h */
	uint32_t *v;
	size_t n, next;
	bool found;
};

struct vhd_bits {
	bool dirty;
	bool busy;		/* a batch is writing it (batch.h) */
	uint8_t b[512];
};

struct vhd {
	struct io *io;			/* borrowed */
	struct vhd_footer footer;
	struct vhd_header header;	/* of a dynamic or differencing image */
	uint64_t footer_at;		/* the primary's place; the file's size if there is none */
	bool degraded;			/* opened by the copy of the footer */
	bool differ;			/* the copy is damaged or says something else */
	bool torn;			/* the header's second sector is older than its first */
	bool short_footer;		/* 511 bytes, as old Virtual PC wrote it */
	bool fixed_size;		/* a volume: the footer stays at its end */
	bool writable;

	uint32_t n_blocks;		/* the virtual size in blocks, rounded up */
	be32 *bat;			/* whole sectors of the table as far as n_blocks needs */
	uint32_t n_bad;			/* entries that cannot be believed, or lead past the end */
	struct vhd_batmap batmap;
	uint64_t meta_end;		/* no block lies below */
	uint64_t data_end;		/* no block lies above */

	struct vhd_bits *bits;		/* VHD_BITMAPS of them */
	uint32_t bits_block[VHD_BITMAPS];	/* whose; VHD_UNUSED: nobody's */
	uint32_t hand;			/* where to look for a slot to reuse */
	uint8_t *bat_dirty;		/* a bit for each sector of bat */
	bool dirty;			/* something in bits or bat is not written */
	bool batched;			/* somebody else publishes (batch.h) */
	bool grown;			/* blocks were added since the footer was placed */
	uint32_t ahead;			/* how many places were prepared last */
	uint32_t expected;		/* new blocks that a bulk writer has announced */
	uint64_t next_at, ahead_end;	/* the next prepared place, and where they end */
	bool alone;			/* VHD_ALONE */
	struct vhd_gaps gaps;		/* once there is no place at the end */
};

enum vhd_flags {
	VHD_RDWR	= 1 << 0,
	VHD_HEADERS	= 1 << 1,	/* footer and header alone; no BAT, no data */
	VHD_NO_BATMAP	= 1 << 2,	/* a stranger's image: trust its bitmaps only */
	VHD_MENDING	= 1 << 3,	/* writable even if the footers need repair (repair.h) */
	VHD_ALONE	= 1 << 4,	/* nobody has its table in memory: what it has forgotten may be used again */
	VHD_NO_TABLE	= 1 << 5,	/* batmap, no BAT, no data: scan.h */
};

/*
 * Open what io holds; io stays the caller's and must outlive the image.
 *
 * For writing the image must be sound: -E_VHD_FOOTERS when a footer needs
 * repair, -E_VHD_ENTRY when the BAT does, -E_VHD_LOCATOR when a parent locator
 * lies where blocks would grow over it.  For reading these are tolerated,
 * and a block whose entry is bad answers -E_VHD_BLOCK.  A header of which half
 * was written is known for what it was to be, and opening for writing writes the rest.
 */
int vhd_open(struct vhd **v, struct io *io, int flags);
void vhd_close(struct vhd *v);		/* writes nothing; NULL is allowed */

static inline void cleanup_vhd(struct vhd **v)
{
	vhd_close(*v);
}
#define _vhd_close_ __attribute__((cleanup(cleanup_vhd)))

/*
 * Where are the bytes at `at`? The answer holds for *len of them, which goes in
 * as the number asked about and comes out at least 1.
 */
enum vhd_where {
	VHD_BELOW,		/* the parent's; zero in an image without one */
	VHD_HERE,		/* at *pos of the file */
};
int vhd_lookup(struct vhd *v, uint64_t at, uint64_t *len, uint64_t *pos);

/* Bytes of this image alone; what is the parent's reads as zero.  Any alignment. */
int vhd_read_alone(struct vhd *v, uint64_t at, void *buf, size_t len);

/*
 * Whole sectors.  The order of a new block is: its bitmap zeroed, data, flush,
 * bitmap and BAT entry; so whatever part of it arrives, a sector is old or new.
 * Data goes out at once; bitmaps and entries wait for vhd_publish().
 *
 * -E_VHD_NO_ROOM when a volume is full: nothing was changed, let it grow.
 */
int vhd_write(struct vhd *v, uint64_t at, const void *buf, size_t len);
int vhd_publish(struct vhd *v);
int vhd_flush(struct vhd *v);
int vhd_finish(struct vhd *v);

/*
 * The same in parts, for who writes the data himself: where does it go, for
 * *len bytes (in: as asked, out: as far as the block)?  And afterwards: it is
 * written.  Between the two the sectors read as before.
 */
int vhd_write_begin(struct vhd *v, uint64_t at, uint64_t *len, uint64_t *pos);
int vhd_write_end(struct vhd *v, uint64_t at, uint64_t len);
/* So many new blocks will be written soon: one flush prepares places for all in a file. */
void vhd_expect(struct vhd *v, uint32_t blocks);

/*
 * Forget what an image without a parent holds: whole blocks within the range
 * become unused and read as zero, the rest of it stays.  Durable on return.
 * Nobody may be reading or writing there.
 */
int vhd_discard(struct vhd *v, uint64_t at, uint64_t len);

/* Blocks in use, by the BAT. */
uint32_t vhd_allocated(const struct vhd *v);
/* What upstream calls the physical size: the end of the data and one footer. */
uint64_t vhd_physical_size(const struct vhd *v);

static inline uint32_t vhd_entry(const struct vhd *v, uint32_t block)
{
	return be32_get(v->bat[block]);
}

static inline bool vhd_in_use(uint32_t entry)
{
	return entry < VHD_BAD;
}

static inline bool vhd_has_parent(const struct vhd *v)
{
	return v->footer.type == VHD_DIFF;
}

#endif
