/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sm image …: images as files and volumes, without an SR.
 *
 *	image_open.c	which file, of which format, and where its parents are
 *	image_info.c	info, map, check: look, and write nothing
 *	image_file.c	a file that nobody sees until it is whole
 *	image_job.c	long work: progress, signals, deadlines
 *	image_convert.c	convert
 *	image_create.c	create, snapshot
 *	image_edit.c	an image that is about to be changed; resize
 *	image_repair.c, image_coalesce.c
 *
 * Whose words are believed: the person's about the operand (any path, -f), the
 * name's about the format, and only then the content.  What an image says
 * about its parent is a stranger's: one name, beside the image, no link.
 */
#ifndef SM_IMAGE_H
#define SM_IMAGE_H

#include "lib/image.h"
#include "lib/uuid.h"
#include "lib/vhd/create.h"
#include "lib/vhd/vhd.h"
#include "sm/core.h"
#include "sm/front/progress.h"

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

/* Answer with what the image of a place says now; the second opens it for that. */
int image_reply(struct run *r, struct image_place *p, struct image *im);
int image_reply_new(struct run *r, struct image_place *p);
/* What a table says that leads nowhere is damage, not trouble with reading. */
int image_judge(int err);
void image_problem(struct run *r, const char *object, const char *what, const char *severity,
		   const char *repair);

/* --- a file that nobody sees until it is whole ----------------------------- */

struct image_making {
	struct ctx *ctx;
	const struct image_place *p;
	int dir;
	struct io *io;			/* to be written by the caller; owned here */
	struct io *small;		/* the same by way of the page cache */
	const char *temp;		/* its name meanwhile; NULL: it has none */
};

/* replace: one of that name may be there, and is what it was until image_making_commit(). */
int image_making_open(struct image_making *n, const struct image_place *p, bool replace);
/* Flush it, and give it its name. */
int image_making_commit(struct image_making *n);
/* Close it; without a commit nothing is left. */
void image_making_close(struct image_making *n);
#define _image_making_close_ __attribute__((cleanup(image_making_close)))

/* --- new images ------------------------------------------------------------ */

/* Seconds since 2000 as VHDs have them; 0 for what does not fit. */
uint32_t image_vhd_time(int64_t unix_time);
/* What vhd_create() is told for a dynamic image in a place: its table has room to grow. */
struct vhd_create image_create_vhd(struct run *r, const struct image_place *p, uint64_t size);

/* --- an image that is about to be changed ---------------------------------- */

/* Open it alone, for us only, and undo a resize that was interrupted. */
int image_edit_open(struct run *r, struct image_place *p, struct io **io);
/* The names in the folder of a path are durable when this returns. */
int image_sync_folder(struct run *r, const char *path);
/* Then as a VHD; what a verb that died between its two footers left is put right. */
int image_edit_vhd(struct run *r, struct image_place *p, struct io *io, struct vhd **v);
/* Grow an open VHD, under a journal beside it if its table has no room. */
int image_grow_vhd(struct run *r, struct image_place *p, struct io *io, struct vhd *v,
		   uint64_t size);
/* Answer with what is wrong with it. */
int image_check_reply(struct run *r, struct image_place *p);

/* --- long work ------------------------------------------------------------- */

struct image_job {
	struct ctx *ctx;
	struct progress progress;
	int signals;			/* tells of SIGINT, SIGTERM and SIGHUP; or -1 */
	sigset_t old;
};

void image_job_start(struct run *r, struct image_job *j, const char *what, uint64_t total);
/* -EINTR when somebody wants us to stop, -E_DEADLINE when it is time to. */
int image_job_tick(void *job, uint64_t done);
void image_job_end(struct image_job *j);

/* --- handlers -------------------------------------------------------------- */

int do_image_info(struct run *r);
int do_image_map(struct run *r);
int do_image_check(struct run *r);
int do_image_convert(struct run *r);
int do_image_create(struct run *r);
int do_image_snapshot(struct run *r);
int do_image_resize(struct run *r);
int do_image_repair(struct run *r);
int do_image_coalesce(struct run *r);

#endif
