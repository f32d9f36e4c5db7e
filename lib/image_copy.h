/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The contents of an image, with all that is below it, written elsewhere.
 *
 *	struct image_sink s;
 *	struct image_copy c = { .from = im, .to = &s, .threads = 4 };
 *
 *	image_sink_raw(&s, io, true);
 *	err = image_copy(&c);
 *	if (!err)
 *		err = io_flush(io);
 *
 * One thread asks the tables where the data is, the others read, look for
 * zeroes and write, a few chunks each at a time:
 *
 *	tables ─▶ chunk ─▶ [ read, find zeroes, place, write ] × threads
 *
 * Only data is read.  What reads as zero is neither written nor given a place
 * when the sink says that its zeroes are there already.
 */
#ifndef LIB_IMAGE_COPY_H
#define LIB_IMAGE_COPY_H

#include "lib/image.h"

struct vhd_build;
struct vhd_create;

#define IMAGE_CHUNK	((size_t)2 << 20)	/* a VHD block */
#define IMAGE_GRAIN	((size_t)4 << 10)	/* zeroes are looked for in this */
#define IMAGE_HOLE	((size_t)64 << 10)	/* and left out if there are so many */
#define IMAGE_SMALL	((size_t)128 << 10)	/* parts below go by the page cache */
#define IMAGE_HEAD	((size_t)4 << 10)	/* room before the data: a bitmap */
#define IMAGE_THREADS	16u			/* at most */

/* Bytes of a chunk that are to be written. */
struct image_part {
	uint32_t at, len;
};

struct image_chunk {
	uint64_t at;			/* of the disk; a multiple of IMAGE_CHUNK */
	size_t len;			/* less than a chunk at the end of the disk alone */
	char *data;			/* a whole chunk, zeroes behind len; IMAGE_HEAD bytes before it */
	size_t n;
	struct image_part parts[IMAGE_CHUNK / IMAGE_HOLE / 2 + 1];
	uint64_t pos;			/* what place() leaves here for write() */
};

/* Where it goes. */
struct image_sink {
	/* In the order of the disk, one at a time, for chunks that are not all zero; may be NULL. */
	int (*place)(struct image_sink *s, struct image_chunk *c);
	/* In any order, several at once. */
	int (*write)(struct image_sink *s, struct image_chunk *c);
	/* A stretch that reads as zero; NULL: nothing is to be done for such. */
	int (*zero)(struct image_sink *s, uint64_t at, uint64_t len);
	bool whole;			/* zeroes are left out by whole chunks only */
	struct io *io;
	/*
	 * Optional: the same file by way of the page cache, for parts so small that
	 * the kernel had better gather them.  Its size is kept like that of io.
	 */
	struct io *small;
	struct vhd_build *vhd;
};

/* The disk byte for byte; is_zero: what is not written reads as zero already. */
void image_sink_raw(struct image_sink *s, struct io *io, bool is_zero);
/* Nowhere: what is read is forgotten. */
void image_sink_null(struct image_sink *s);
/*
 * A new dynamic VHD in an empty file or a volume.  Blocks lie in the order of
 * the disk, and there is no image until image_sink_vhd_finish().
 */
int image_sink_vhd(struct image_sink *s, struct io *io, const struct vhd_create *how);
int image_sink_vhd_finish(struct image_sink *s);
void image_sink_free(struct image_sink *s);

struct image_copy {
	struct image *from;
	struct image_sink *to;
	unsigned threads;		/* beside the caller's; 0: all by itself */
	/* Called now and then with the bytes copied; not 0 ends the copy with that error. */
	int (*tick)(void *arg, uint64_t done);
	void *arg;
	/* On failure: */
	bool is_read;			/* of the source, not the sink */
	uint64_t at;			/* of the disk, near there */
};

int image_copy(struct image_copy *c);

/*
 * How much data there is to copy, at most, and in how many chunks it lies: no
 * bitmap is read, so a VHD block in use counts as a whole.
 */
int image_estimate(struct image *im, uint64_t *bytes, uint64_t *chunks);

#endif
