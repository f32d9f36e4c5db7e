/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sm image …: images as files and volumes, without an SR.
 *
 *	image_open.c	which file, of which format, and where its parents are
 *	image_info.c	info, map, check: look, and write nothing
 *
 * Whose words are believed: the person's about the operand (any path, -f), the
 * name's about the format, and only then the content.  What an image says
 * about its parent is a stranger's: one name, beside the image, no link.
 */
#ifndef SM_IMAGE_H
#define SM_IMAGE_H

#include "lib/image.h"
#include "lib/uuid.h"
#include "sm/core.h"

/* One file or volume of a chain. */
struct image_file {
	const char *path;		/* as a person may type it */
	enum image_format format;
};

/* An operand, and what was found below it. */
struct image_place {
	struct ctx *ctx;
	const char *path;		/* as given */
	const char *shown;		/* the folder in which parents are, as a person may type it */
	const char *dir, *name;		/* the same, without links; the name in it */
	const char *vg, *lv;		/* of a volume */
	bool device;
	bool exists;			/* always, but for what is about to be made */
	bool anywhere;			/* parents may be anywhere: the person said so */
	enum image_format format;
	struct image_file *files;	/* level by level, as far as they could be opened */
	size_t n;
};

/*
 * Find an operand: a regular file or a block device.  Its format is fmt, or
 * that of its name, or that of its content; nothing but the last is opened.
 */
int image_place(struct run *r, const char *path, const char *fmt, struct image_place *p);
/* The same for one that may be about to be made; then its format is fmt or the name's. */
int image_place_new(struct run *r, const char *path, const char *fmt, struct image_place *p);
/* Open the image alone: IO_RDONLY or IO_RDWR. */
int image_place_io(struct image_place *p, int flags, struct io **io);
/* Open it with its parents; enum image_flags. */
int image_place_open(struct image_place *p, int flags, struct image **im);

/* --- replies --------------------------------------------------------------- */

/* REPLY_IMAGE: the record of a contract, sm image info --json. */
struct image_report {
	const char *path;
	struct image_info info;		/* its strings live as long as the request */
	const char *parent_path;	/* found, or as stored; NULL: no parent */
	const char *parent_format;	/* NULL: it was not found */
	size_t levels;
};

/* REPLY_MAP */
struct image_map {
	const struct image_run *runs;
	size_t n;
	const struct image_file *files;	/* by depth */
	size_t n_files;
};

/* Answer with what the image of a place says now. */
int image_reply(struct run *r, struct image_place *p, struct image *im);

/* --- handlers -------------------------------------------------------------- */

int do_image_info(struct run *r);
int do_image_map(struct run *r);
int do_image_check(struct run *r);

#endif
