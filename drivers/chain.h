/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image of a VDI with all images below it, as volumes of one SR. */
#ifndef DRIVERS_CHAIN_H
#define DRIVERS_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/image.h"

struct layout;
struct sr;
struct vdi;

enum chain_flags {
	CHAIN_WRITE	= 1 << 0,	/* the VDI's own image; those below are never written */
	CHAIN_DIRECT	= 1 << 1,	/* bypass the page cache where the images allow it */
	CHAIN_HURRY	= 1 << 2,	/* a guest waits: not for udev */
	CHAIN_GROWS	= 1 << 3,	/* whoever writes it asks for room when he needs it */
	CHAIN_BESIDE	= 1 << 4,	/* another datapath has the volume too, until the port moves */
};

/* Does the layout have what that takes? */
bool chain_can(const struct layout *l);

/*
 * Open it, level by level.  The parent of a level is the VDI that the layout
 * names, in the format that the layout knows it by; what the image itself says
 * must agree.  The descriptors belong to the image.
 */
int chain_open(struct sr *sr, const struct vdi *vdi, int flags, struct image **im);
/*
 * When nobody serves it any more, also if opening failed: volumes that were made
 * active for it are let go of, but for those on which other disks stand.  May be
 * repeated.
 */
int chain_release(struct sr *sr, const struct vdi *vdi);

/*
 * A disk that a verb opens for itself has no record of an attachment, by which
 * others would find volumes that a death left active.  So what chain_open() may
 * make active is noted before, in /run/sm/opened/<SR>/, in a file that the verb
 * has locked until it has let go of all; a note without a lock is from a death,
 * and the next verb that changes the SR on this host puts away what it tells of,
 * unless somebody has that open now.
 */
struct chain_note {
	int lock;		/* -1: nothing is noted */
	const char *path;
};
/* Nothing to do where volumes are not made active. */
int chain_note(struct sr *sr, const struct vdi *vdi, struct chain_note *note);
/* gone: chain_release() has succeeded. */
void chain_note_drop(struct chain_note *note, bool gone);
/* What notes of the dead tell of; what fails is logged, and tried again by the next. */
void chain_recover(struct sr *sr);

/*
 * Servers have closed them all: let go of the one volume that is about to
 * change, the VDI's own or one below.  Whoever opens the chain again takes it back.
 */
int chain_pause(struct sr *sr, const struct vdi *vdi);

/* Room for what will be written, in the volume itself; grows: as CHAIN_GROWS. */
int chain_room(struct sr *sr, const struct vdi *vdi, bool grows);

/* One level that is a logical volume (chain_lv.c); how: enum chain_flags. */
int chain_lv_open(struct sr *sr, const struct vdi *vdi, int how, int *fd);
int chain_lv_close(struct sr *sr, const struct vdi *vdi);

/*
 * The same images for another process: descriptors that a child inherits, and
 * what they hold.  Fds are -1 from n on.
 */
#define CHAIN_SENT	32u	/* levels at most that a server is told (drivers/control.h) */
struct chain {
	size_t n;
	bool writable;
	bool all;		/* the disk's images, the leaf first; else as of chain_new_top() */
	struct {
		int fd;
		enum image_format format;
	} level[IMAGE_DEPTH_MAX];
};

/*
 * For a server that waits while its image becomes another's parent: the disk's
 * new one, and the old one under its new name, for reading.
 */
int chain_new_top(struct sr *sr, const struct vdi *vdi, const struct vdi *base, bool writable,
		  struct chain *c);

/* And of a server that has closed them, as vdi->at says: all that the disk is now.  It bypasses the page cache. */
int chain_all(struct sr *sr, const struct vdi *vdi, struct chain *c);

/* Copies of the descriptors of an open image. */
int chain_keep(const struct image *im, bool writable, struct chain *c);
/* Open the image again from copies of them. */
int chain_again(const struct chain *c, struct image **im);
void chain_drop(struct chain *c);

#endif
