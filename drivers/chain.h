/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image of a VDI with all images below it, as volumes of one SR. */
#ifndef DRIVERS_CHAIN_H
#define DRIVERS_CHAIN_H

#include <stdbool.h>

struct image;
struct sr;
struct vdi;

enum chain_flags {
	CHAIN_WRITE	= 1 << 0,	/* the VDI's own image; those below are never written */
	CHAIN_DIRECT	= 1 << 1,	/* bypass the page cache where the images allow it */
};

/*
 * Open it, level by level.  The parent of a level is the VDI that the layout
 * names, in the format that the layout knows it by; what the image itself says
 * must agree.  The descriptors belong to the image.
 */
int chain_open(struct sr *sr, const struct vdi *vdi, int flags, struct image **im);

#endif
