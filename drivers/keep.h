/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What sr check --repair is about to overwrite, kept in a folder of the host:
 *
 *	list	"kept 1 SR-UUID", then a line a piece: AT LENGTH SIZE NAME
 *	bytes	the pieces, one behind the other, in that order
 *	vg	on LVM: the metadata of the VG, as vgcfgbackup prints it
 *
 * NAME is what the layout calls it: a path in the SR's directory, or a volume.
 * Control characters, blanks and % in it are %XX.  AT and LENGTH say where the
 * piece was, and SIZE how long all of it was; "0 0 - NAME" was not there.
 *
 * The list is written last, and under another name first: a folder without one is
 * what a death left, or a full disk, and is nothing.  All is on the disk before
 * keep_commit() returns.
 */
#ifndef DRIVERS_KEEP_H
#define DRIVERS_KEEP_H

#include "lib/buf.h"
#include "lib/bytes.h"

struct ctx;
struct io;
struct sr;
struct uuid;
struct vdis;

/* Longer small files than that are none of ours; of them the beginning is kept. */
#define KEEP_FILE_MOST	(64 * MiB)

#define KEEP_HINT	"--backup with a path elsewhere, of a folder that will be made"

struct keep {
	struct ctx *ctx;
	const char *path;
	int dir;
	struct io *bytes;
	const char *name;	/* keep_lost(): whose bytes they are */
	struct buf list;
};

/* A new folder: -EEXIST when there is one. */
int keep_begin(struct keep *k, struct ctx *ctx, const char *path, const struct uuid *sr);
int keep_part(struct keep *k, const char *name, struct io *io, uint64_t at, uint64_t len);
/* All of it, or of more than most bytes the beginning. */
int keep_all(struct keep *k, const char *name, struct io *io, uint64_t most);
/* It is not there: who puts all back removes it. */
void keep_none(struct keep *k, const char *name);
/* A file of the folder by itself. */
int keep_file(struct keep *k, const char *file, const void *p, size_t n);
/* For io_trial(): arg is a keep with its name set. */
int keep_lost(void *arg, struct io *of, uint64_t at, uint64_t len);
int keep_commit(struct keep *k);
/* Without keep_commit() before, the folder goes. */
void keep_end(struct keep *k);

/* Write all back, into an opened SR where nobody is at work.  May be repeated. */
int keep_undo(struct sr *sr, const char *path);

/* What only a layout knows. */
struct keep_ops {
	/* All that its check() may overwrite, beside the images of the list and logs. */
	int (*keep)(struct sr *sr, struct keep *k, const struct vdis *l);
	/* Open what was kept under a name, at that size.  NULL: it goes, and io stays NULL. */
	int (*kept)(struct sr *sr, const char *name, const uint64_t *size, struct io **io);
	/*
	 * Before anything is written: is it as long as a repair may have left it?  One
	 * that has grown since holds what nobody kept: -E_VDI_LOAD.
	 */
	int (*fits)(struct sr *sr, const char *name, uint64_t size);
};
extern const struct keep_ops dir_backup, lvm_backup;

#endif
