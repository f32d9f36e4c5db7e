/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk image of any format, with the images below it.
 *
 *	struct image *im;
 *
 *	err = image_open(&im, io, IMAGE_VHD, 0, find_parent, arg);
 *	err = image_read(im, at, buf, len);
 *	for (at = 0; at < im->size; at += run.length)
 *		err = image_map(im, at, 0, &run);
 *	image_close(im);
 *
 * Levels are numbered from the leaf: level 0 is the image itself.  Where a
 * parent is, and whether it may be read, is decided by the caller's function;
 * nothing here opens a file.
 */
#ifndef LIB_IMAGE_H
#define LIB_IMAGE_H

#include "lib/arena.h"
#include "lib/io.h"

struct vhd;
struct qcow2;

#define IMAGE_DEPTH_MAX 256	/* levels; more are taken for an attack */

enum image_format { IMAGE_RAW, IMAGE_VHD, IMAGE_QCOW2 };

const char *image_format_name(enum image_format f);	/* "raw", "vhd", "qcow2" */
int image_format_by_name(const char *name, enum image_format *f);

/*
 * The format by content: for a file that a person named, never for a disk that
 * a guest writes, for the guest would choose.
 */
int image_probe(struct io *io, enum image_format *f);

/* What a child says about its parent. */
struct image_parent {
	enum image_format child;
	bool raw;			/* it says that the parent has no format */
	const char *format;		/* a QCOW2 image's own words, or NULL */
	uint8_t uuid[16];		/* a VHD's, unless raw; checked here afterwards */
	size_t n;
	const char *const *paths;	/* as stored, best first, with slashes; UTF-8 */
};

/* Open the parent, or fail; the io is the chain's from then on. */
typedef int image_find_fn(void *arg, const struct image_parent *want,
			  struct io **io, enum image_format *format);

enum image_flags {
	IMAGE_RDWR	= 1 << 0,	/* level 0 will be written */
	IMAGE_HEADERS	= 1 << 1,	/* for image_info() alone: no tables, no data */
	IMAGE_NO_BATMAP	= 1 << 2,	/* a stranger's VHD: believe its bitmaps only */
};

struct image_level {
	enum image_format format;
	struct io *io;
	struct vhd *vhd;		/* what the format knows of it */
	struct qcow2 *qcow2;
	uint64_t size;			/* virtual */
};

struct image {
	struct arena arena;
	uint64_t size;			/* virtual, bytes */
	size_t n;
	struct image_level *levels;
	bool cut;			/* there is a parent, and nobody looked for it */
	struct image_parent parent;	/* of the last level, when cut */
};

/*
 * io is owned from here on, also on failure.  Without a function to find
 * parents the image is opened alone; reading what lies below is then
 * -E_IMAGE_PARENT.  A repeated image is -E_IMAGE_LOOP, a parent that is not
 * the one the child was made from -E_VHD_PARENT_UUID.
 */
int image_open(struct image **im, struct io *io, enum image_format f, int flags,
	       image_find_fn *find, void *arg);
/*
 * A new image upon one that is open, and that is what its parent is called: base,
 * the same file opened anew, for reading.  What is known of it stays known.  On
 * success the old image is a part of the new one; on failure it is as it was.
 * Both ios are owned from here on, in any case.
 */
int image_push(struct image **im, struct io *io, enum image_format f, int flags, struct image *old,
	       struct io *base, enum image_format base_format);
void image_close(struct image *im);	/* NULL is allowed; writes nothing */

/* Any alignment; -E_SHORT past the end. */
int image_read(struct image *im, uint64_t at, void *buf, size_t len);

/*
 * Reading in parts, for who wants several threads or requests in flight:
 *
 *	n = image_plan(im, at, &len, 0, pieces, ARRAY_SIZE(pieces));
 *	err = image_fetch(im, at, buf, pieces, n);
 *
 * A plan asks the tables, which one thread may do at a time; fetching moves
 * data, and any number of threads may do that, also while others plan.  The
 * pieces of one plan are fetched in their order, into one buffer: one that
 * covers a short gap is followed by those that fill it.
 */
enum image_piece_kind {
	IMAGE_ZERO,			/* reads as zeroes; no level has it */
	IMAGE_PLAIN,			/* at pos of the level's file */
	IMAGE_PACKED,			/* compressed */
};

struct image_piece {
	uint64_t at, len;		/* of the disk */
	uint64_t pos;
	uint32_t level;
	enum image_piece_kind kind;
};

enum image_plan_flags {
	IMAGE_PLAN_HOLES = 1 << 0,	/* holes of raw files are IMAGE_ZERO: asks the file system */
};

/*
 * How many pieces, at least 1, or an error.  *len is what to look at, and
 * comes back as what the pieces cover: less when there is no room for more.
 */
int image_plan(struct image *im, uint64_t at, uint64_t *len, int flags,
	       struct image_piece *pieces, size_t room);
/* Byte `at` of the disk goes to the beginning of buf. */
int image_fetch(const struct image *im, uint64_t at, void *buf,
		const struct image_piece *pieces, size_t n);

struct image_run {
	uint64_t start, length;
	uint32_t depth;			/* the level that answers */
	bool present;			/* a level rules it, not the end of the chain */
	bool zero;			/* reads as zeroes */
	bool data;
	bool has_offset;		/* data lies plainly in that level's file ... */
	uint64_t offset;		/* ... at this byte */
};

enum image_map_flags {
	/*
	 * As qemu-img shows it: a VHD block in use is data as a whole if no
	 * level lies below.  For people: what is not written there may be
	 * anything in the file, and reads as zero through image_read().
	 */
	IMAGE_MAP_BLOCKS = 1 << 0,
	/* For an estimate: every VHD block in use is data, no bitmap is read, and runs are not joined. */
	IMAGE_MAP_COARSE = 1 << 1,
};

/* The longest run that begins at `at` and is alike throughout. */
int image_map(struct image *im, uint64_t at, int flags, struct image_run *run);

/*
 * Where the whole disk lies, for who can point at it: neighbours merged, from
 * the first byte to the last, without gaps.  Holes of raw files are pointed at.
 */
struct image_span {
	uint64_t start, length;		/* of the disk */
	uint64_t offset;		/* in the file of that level */
	uint32_t level;			/* IMAGE_NOWHERE: it reads as zeroes */
};
#define IMAGE_NOWHERE UINT32_MAX

/*
 * In the arena, in time and memory of their number.  -E2BIG when there are more
 * than `most`, -EOPNOTSUPP when some of it cannot be pointed at.
 */
int image_spans(struct image *im, struct arena *a, size_t most, struct image_span **v, size_t *n);

struct image_info {
	enum image_format format;
	const char *type;		/* "fixed", "dynamic", "differencing", "raw", "qcow2" */
	uint64_t virtual_size, physical_size;
	bool has_uuid;
	uint8_t uuid[16];
	bool has_parent, parent_raw, parent_has_uuid;
	const char *parent_path;	/* as stored */
	uint8_t parent_uuid[16];
	bool hidden;
	uint64_t block_size;		/* 0: none */
	uint64_t allocated_blocks;	/* 0 when opened with IMAGE_HEADERS */
	const char *creator;		/* "tap 1.3"; "" when the format has none */
	size_t n_problems;
	struct {
		const char *what;
		bool damage;		/* else worth knowing, no more */
	} problems[8];			/* what an operator should know */
};

/* Of one level; strings live as long as the image. */
int image_info(struct image *im, size_t level, struct image_info *info);

#endif
