/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A format says what is inside a volume: raw bytes, a VHD. */
#ifndef DRIVERS_FORMAT_H
#define DRIVERS_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/registry.h"

struct ctx;
struct io;
struct vdi;

struct format {
	const char *name;	/* "raw", "vhd": also the extension in a directory */
	/*
	 * The virtual size a request of this many bytes gets: rounded up to the
	 * format's unit; -E_VDI_SIZE when it is too small or too large.
	 */
	int (*round)(struct ctx *ctx, uint64_t size, uint64_t *rounded);
	/* Write an empty image of vdi->virtual_size; the volume reads as zeroes. */
	int (*create)(struct ctx *ctx, struct io *io, const struct vdi *vdi);
	/* Fill in vdi->virtual_size, parent, hidden from the image. */
	int (*load)(struct ctx *ctx, struct io *io, struct vdi *vdi);
	int (*resize)(struct ctx *ctx, struct io *io, uint64_t virtual_size);
	bool direct;		/* a volume's bytes are the disk's: loop and linear can serve it */
};

DECLARE_REGISTRY(formats, struct format);

#endif
