/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A format says what is inside a volume: raw bytes, a VHD.
 *
 * It knows bytes and no storage: where a parent lies, which VDI it is, when a
 * volume grows and which journal is where is for the layout.  An io is the
 * volume, a file that may grow or a part of a device that has its size.
 *
 * A slot returns 0 or an error after fail() with a clause about the image; the
 * layout puts the volume's name in front.  What is written is on the disk when
 * the slot returns.  No slot may be called for an image that a datapath has
 * active, but for load() and peek().
 *
 * raw fills in the first five slots; an empty one is "cannot", as anywhere.
 */
#ifndef DRIVERS_FORMAT_H
#define DRIVERS_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "lib/registry.h"

struct ctx;
struct format;
struct io;

/* An image to be made. */
struct image_new {
	uint64_t virtual_size;		/* rounded by the format */
	/*
	 * The virtual size that the image's tables should have room for, so that
	 * growing so far moves no data.  0 = the format's choice: for volumes
	 * that are files.  A volume of its own should prepare for the largest.
	 */
	uint64_t room_for;
	/*
	 * A child: empty, it shows what the parent shows.  The parent is only
	 * read.  The path is what the child writes down to find it again.
	 */
	struct io *parent;		/* NULL = no child */
	const struct format *parent_format;
	const char *parent_path;	/* relative: "./<uuid>.vhd" */
};

/* What an image says of itself. */
struct image_facts {
	uint64_t virtual_size;
	bool hidden;			/* an inner node of a tree */
	bool mend;			/* readable, and mend() has something to do */
	uint8_t id[16];			/* the image's own, not the VDI's; zero = it has none */
	bool has_parent;
	uint8_t parent_id[16];		/* its id; zero = the parent is raw */
	/*
	 * What it calls its parent: the last component, without any directory.
	 * A stranger's word: the layout takes it for the name of one of its own
	 * volumes or refuses it, and never follows it anywhere else.
	 */
	const char *parent_name;
};

/* How much of a volume an image takes. */
struct image_use {
	uint64_t end;			/* bytes that a volume must have to keep it as it is */
	bool empty;			/* no data of its own: a child shows just its parent */
	uint64_t data;			/* bytes that it holds, by its table */
	bool count;			/* asked for: sectors, where there are few blocks, of one that lies still */
	uint64_t counted;		/* then their bytes; else as data */
};

/* A child's data on its way into its parent. */
struct image_merge {
	struct io *child, *parent;	/* the parent's is writable */
	const struct format *parent_format;
	/*
	 * The child's is writable, and nobody writes it: it forgets what is merged, now
	 * and then and when tick() ends the work, so that this need not be done again.
	 */
	bool forgets;
	/*
	 * Or somebody may write it at any time: run fn with an io of the child that is
	 * writable while it lies still.  0 without that where it is not to forget anything
	 * now; an error when it does not lie still, or has been written: this copy is worth
	 * nothing.  NULL = as forgets says.
	 */
	int (*alone)(void *arg, int (*fn)(void *fn_arg, struct io *child), void *fn_arg);
	/*
	 * Or NULL.  Asked between the reading of a few MiB and their writing: has nobody begun
	 * to change the child in another way than by writing to its disk?  Not 0 ends the work.
	 */
	int (*still)(void *arg);
	/*
	 * Called after each few MiB with what has been merged and what there is, in
	 * bytes; not 0 ends the work there, with that result.  Other than -EINTR,
	 * -E_DEADLINE and -EAGAIN it says that nothing may be written any more.
	 */
	int (*tick)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

/* What peek() looks at, at most; a volume that is smaller gives what it has. */
#define FORMAT_HEAD	1536u		/* bytes from the start */
#define FORMAT_TAIL	512u		/* and from the end */

struct format {
	const char *name;	/* "raw", "vhd": also the extension in a directory */
	bool direct;		/* a volume's bytes are the disk's: loop and linear can serve it */

	/*
	 * The virtual size a request of this many bytes gets: rounded up to the
	 * format's unit; -E_VDI_SIZE when it is too small or too large.
	 */
	int (*round)(struct ctx *ctx, uint64_t size, uint64_t *rounded);
	/*
	 * Write a new image into an empty file, or over whatever a volume holds.
	 * A raw volume reads as zeroes already.
	 */
	int (*create)(struct ctx *ctx, struct io *io, const struct image_new *how);
	/* Read what the image says, by all that it has: its end, or the copy at its start. */
	int (*load)(struct ctx *ctx, struct io *io, struct image_facts *f);
	/*
	 * Grow to virtual_size, rounded.  journal is an empty file or a volume of
	 * at least journal() bytes and is needed only when journal() says so; on
	 * success it has been emptied and may go.  When the slot fails after it
	 * has begun, or the process dies, revert() is what to do.
	 */
	int (*resize)(struct ctx *ctx, struct io *io, uint64_t virtual_size, struct io *journal);

	/*
	 * The same as load(), from bytes that were read in a queue with those of
	 * other volumes: the first FORMAT_HEAD and the last FORMAT_TAIL of `size`,
	 * or fewer; an empty tail means that nobody has read it.  An error of any
	 * kind says that load() has to look; it leaves no sentence.  NULL = load()
	 * every time.
	 */
	int (*peek)(struct ctx *ctx, struct view head, struct view tail, uint64_t size,
		    struct image_facts *f);
	/*
	 * Bytes of an image of that virtual size: empty, or (full) with all its
	 * blocks in use.  room_for as in struct image_new.
	 */
	uint64_t (*space)(uint64_t virtual_size, uint64_t room_for, bool full);
	/* How many bytes of journal does this resize need?  0 = none. */
	int (*journal)(struct ctx *ctx, struct io *io, uint64_t virtual_size, uint64_t *bytes);
	/*
	 * Undo a resize that died, or finish it; may be repeated.  An image that
	 * needs nothing is left alone.  -E_VHD_JOURNAL when the journal is not this
	 * image's or damaged: nothing was changed.
	 */
	int (*revert)(struct ctx *ctx, struct io *io, struct io *journal);
	/* A copy becomes an image of its own: another id. */
	int (*renew)(struct ctx *ctx, struct io *io);
	int (*hide)(struct ctx *ctx, struct io *io, bool hidden);
	/*
	 * Name another parent, of which the child's data is then what differs.
	 * Only the child is written; nobody sees a mixture.  Without a parent (NULL)
	 * what the image does not hold reads as zero from now on.
	 */
	int (*reparent)(struct ctx *ctx, struct io *io, const char *path, struct io *parent,
			const struct format *parent_format);
	int (*use)(struct ctx *ctx, struct io *io, struct image_use *use);
	/*
	 * For volumes that have a size of their own: put what the image keeps at
	 * its end to the end of the first `size` bytes.  Before a volume shrinks,
	 * or after it has grown.  -E_VHD_NO_ROOM when that is below use()->end.
	 */
	int (*fit)(struct ctx *ctx, struct io *io, uint64_t size);
	/* Write again what a death has left undone or a stranger torn off; data is not touched. */
	int (*mend)(struct ctx *ctx, struct io *io);
	/*
	 * Write what the child holds into its parent, which must have its virtual
	 * size.  The child goes on to override what is being merged, so ending
	 * anywhere, by a death too, costs nothing but doing it again; what was done
	 * is in good order when the slot returns.
	 */
	int (*merge)(struct ctx *ctx, const struct image_merge *m);
	/* Bytes by which the parent's image will grow, at most. */
	int (*merge_space)(struct ctx *ctx, const struct image_merge *m, uint64_t *more);
	/* Would nothing of the parent be left, since the child has all of it itself?  By their tables. */
	int (*covers)(struct ctx *ctx, const struct image_merge *m, bool *covers);
};

DECLARE_REGISTRY(formats, struct format);

#endif
