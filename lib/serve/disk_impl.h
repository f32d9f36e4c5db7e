/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of a disk: between disk.c, disk_read.c and disk_write.c. */
#ifndef LIB_SERVE_DISK_IMPL_H
#define LIB_SERVE_DISK_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/image.h"
#include "lib/kconfig.h"
#include "lib/serve/disk.h"

#define WITH_ROOM	IS_ENABLED(CONFIG_LVM_THIN_GROW)
#define DISK_PAGE	4096u		/* what io_open() aligns direct transfers of files to */

struct disk {
	struct image *im;		/* NULL: there is none now */
	struct io *io;			/* of the leaf */
	struct vhd *vhd;		/* the leaf's format; NULL: plain bytes */
	uint64_t size;			/* these two stay while there is no image */
	bool writable;
	uint32_t unit;
	bool volume;			/* the leaf is a block device */
	bool direct;			/* past the page cache, whatever a write of the end does for a moment */
	bool holes;			/* the leaf is a file whose parts can be given back */

	/*
	 * lock guards the image's metadata and everything below.  It is held
	 * for reading a bitmap or making a block, never for data or a flush of
	 * data.
	 */
	pthread_mutex_t lock;
	pthread_cond_t turn;		/* who is inside, and who may go in, has changed */
	size_t inside;			/* requests at work */
	bool alone;			/* one waits for them, or is at work by itself */
	bool held;			/* nobody goes in; without an image nobody can */
	int refused;			/* what is asked fails with this, rather than wait */

	pthread_cond_t flushed;		/* a flush has ended */
	bool flushing;
	uint64_t flushes;		/* that have ended */
	bool dirty;			/* data was written since the last one began */
	bool shared;			/* maybe by others */
	int broken;			/* a flush failed with this */
	struct vhd_batch *batch;	/* of the flush at work */
	struct disk_notes *notes;	/* what is not yet published; or NULL */
	const uint32_t *veiled;		/* see there; or NULL */
	uint8_t *bits, *touched;	/* marks of what is written; or NULL */

	struct {			/* disk_room.c */
		int fd;			/* who makes it larger; -1: nobody */
		uint64_t low;		/* from here on he is asked to … */
		bool asked;		/* … as he was */
		bool is_short, none;	/* a write found none; and there is no more */
		int64_t until;		/* by then there has to be more; monotonic clock, seconds; 0 = nobody waits */
	} room;

	/*
	 * Taken after lock.  With O_DIRECT a sector of a file is written by
	 * reading and writing its page, and the bitmap of a new block may share
	 * one with what a flush is writing.
	 */
	pthread_mutex_t metadata_io;
};

/* Until others may go in; the lock is held. */
static inline int disk_turn(struct disk *d)
{
	while ((d->alone || d->held) && !d->refused)
		pthread_cond_wait(&d->turn, &d->lock);
	return d->refused;
}

/* A request comes in, and goes; wrote: it may have left data that a flush has to cover. */
int disk_enter(struct disk *d);
void disk_leave(struct disk *d, bool wrote);
/* Until a flush has ended that began after this call; the lock is held. */
int disk_flush_locked(struct disk *d);

/* Another image, or a larger one; a block was made, or none could be.  The lock is held. */
void disk_room_begin(struct disk *d);
void disk_room_look(struct disk *d, bool is_short);
/* After -E_VHD_NO_ROOM, by one who is not inside any more: shall he try again? */
bool disk_room_await(struct disk *d);

/* What to read, by the tables; when no bitmap can be dropped, a flush makes room. */
int disk_plan(struct disk *d, uint64_t at, uint64_t *len, struct image_piece *p, size_t room);
/* By who is inside. */
int disk_read_inside(struct disk *d, uint64_t at, void *buf, size_t len);

#endif
