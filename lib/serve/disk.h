/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtual disk in use by many at once: an image and the chain below it, read
 * and written by any number of threads.
 *
 *	disk_open(&d, image)		the image is the disk's from then on
 *	disk_read(d, at, buf, len)	any alignment, from any thread
 *	disk_write(d, at, buf, len)
 *	disk_flush(d)			what was written before survives a power cut
 *	disk_close(d)			when nobody uses it any more
 *
 * What is where is decided under one lock, for a moment; data moves outside of
 * it.  A flush covers every write that had returned when it was called; those
 * that come together share one.  Metadata is written by flushes alone, in the
 * order of lib/vhd/vhd.h: data, flush, bitmaps and BAT, flush.
 *
 *	guest writes ──▶ data to its place ──▶ bit set in memory ──▶ acknowledged
 *	guest flushes ─▶ fdatasync ─▶ bitmaps, BAT ─▶ fdatasync ───▶ acknowledged
 *
 * A write that covers a part of a unit (a sector, or 4 KiB with O_DIRECT on a
 * file) needs what is there, so it runs alone.
 *
 * Once a flush has failed, nobody knows what reached the disk: every later write
 * and flush fails too, with the same error.
 */
#ifndef LIB_SERVE_DISK_H
#define LIB_SERVE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/image.h"
#include "lib/vhd/batch.h"

struct disk;

/* The image was opened with IMAGE_RDWR if the disk is to be written. */
void disk_open(struct disk **d, struct image *im);
/* Write the rest (footers, batmap) and close the image.  0, or what was lost. */
int disk_close(struct disk *d);

/*
 * Acknowledged writes whose metadata only this process has in memory are lost
 * with it, although the client and the kernel live on.  So they are noted in
 * memory that outlives the process: shared, and zeroed before the first use.
 * What a dead one left there is carried out first.  Before the disk is used.
 */
#define DISK_NOTES 65536u
struct disk_notes {
	uint64_t from, to;		/* counted up for ever; [from, to) are valid */
	/*
	 * As long as it is set all reads find zeroes: the kernel, which looks for
	 * partitions when a device appears, finds none.  Not while a client may
	 * want its data.
	 */
	uint32_t veiled;
	struct vhd_note note[DISK_NOTES];
};
int disk_recover(struct disk *d, struct disk_notes *notes);

/*
 * Mark in these what is written from here on, before it is (cbt_mark(), lib/cbt);
 * they have room for a disk of any size.  NULL: nobody wants to know.  While
 * nobody is inside.
 */
void disk_track(struct disk *d, uint8_t *bits, uint8_t *touched);

/*
 * The image taken away from under a disk in use, and another given to it: what
 * is asked meanwhile waits.
 *
 *	running ──disk_pause()──▶ without an image ──disk_resume()──▶ running
 *				    disk_refuse()
 *
 * A pause waits until nobody is at work, for ms at most, writes the rest as
 * disk_close() does and closes the image.  So that it is short, and for what others
 * have written (disk_shared()), there is a disk_flush() before, while all goes on.
 * On failure the disk goes on: -ETIMEDOUT, or what could not be written.
 * With keep the image stays open, and whole: it is let go on, with another one on
 * top or as it is, or forgotten.
 */
int disk_pause(struct disk *d, unsigned int ms, bool keep);
void disk_go_on(struct disk *d);
void disk_forget(struct disk *d);
/*
 * What was the image is a parent from here on, and base is the same file, for
 * reading.  Both are the disk's from here on, also on failure; then nothing has
 * changed.
 */
struct disk_top {
	struct io *leaf, *base;
	enum image_format leaf_format, base_format;
};
int disk_push(struct disk *d, struct disk_top *top);
/*
 * With this image, which is the disk's from here on, also on failure; -E_RANGE
 * when it is smaller than the disk was.  First what a dead process noted is
 * carried out; NULL: nobody takes notes.
 */
int disk_resume(struct disk *d, struct image *im, struct disk_notes *notes);
/* Until it is resumed what is asked fails with this; 0: it waits again. */
void disk_refuse(struct disk *d, int err);
/*
 * Of a VHD in a volume that somebody makes larger while it is in use: the eventfd is
 * told when half of the room it has is used, and when there is none.  Then writes that
 * need some wait, the others do not.  Once he says that there is no more, or 50 seconds
 * after the first that had to wait, they fail with -E_VHD_NO_ROOM, which does no harm
 * to the image, and the eventfd is told again; until there is more.
 */
void disk_watch_room(struct disk *d, int fd);
/* Is a write possible that waits?  By and large: by the time it is asked. */
bool disk_may_wait(const struct disk *d);
/* Bytes of the volume that are in use; 0: there is room for all of the disk. */
uint64_t disk_held(struct disk *d);
/* The volume has so many bytes now, and there is a footer at its end. */
void disk_room(struct disk *d, uint64_t size);
void disk_no_room(struct disk *d);
/* Until what is asked may go in; true: that took a second or more. */
bool disk_wait(struct disk *d);
/* A disk that is paused from the beginning. */
void disk_prepare(struct disk **d, uint64_t size, bool writable);

uint64_t disk_size(const struct disk *d);
bool disk_is_writable(const struct disk *d);
/* Writes of this size and alignment do not wait for each other. */
uint32_t disk_unit(const struct disk *d);

int disk_read(struct disk *d, uint64_t at, void *buf, size_t len);
int disk_write(struct disk *d, uint64_t at, const void *buf, size_t len);
int disk_flush(struct disk *d);
/* Make it read as zeroes; with room, such that a write there finds its place later. */
int disk_zero(struct disk *d, uint64_t at, uint64_t len, bool room);
/* Is that, without room, done with no zero being written but at the edges? */
bool disk_zeroes_fast(const struct disk *d);
/* Nobody needs it any more: it reads as before, or as zeroes. */
int disk_trim(struct disk *d, uint64_t at, uint64_t len);

/*
 * For who lets others write the data of full blocks, past this disk: a block of a
 * VHD of which all is in the leaf, by what is on the disk, so it stays there for as long
 * as the image does.
 */
struct disk_block {
	uint32_t block;
	uint64_t at;			/* of its data in the leaf's file */
};
/* At most n, in order: how many.  Without v how many there may be, in next to no time. */
size_t disk_full_blocks(struct disk *d, struct disk_block *v, size_t n);
/* The leaf's descriptor, if it goes past the page cache; or -1.  Nobody takes the image away. */
int disk_direct_fd(const struct disk *d);
/*
 * From here on a flush is one, even of nothing that was written through this disk,
 * and no sector is written that a request does not name: the one beside it may be
 * another's just now.  Who pauses it has ended what others write before, and then
 * flushed.
 */
void disk_shared(struct disk *d);

/* A run of bytes that are all alike. */
struct disk_run {
	uint64_t len;
	bool hole, zero;
};
/* At most n runs from `at` on, within len bytes: how many, or an error. */
int disk_map(struct disk *d, uint64_t at, uint64_t len, struct disk_run *runs, int n);

#endif
