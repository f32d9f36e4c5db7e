/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What sr check --repair is about to overwrite, kept in a folder of the host:
 *
 *	list	"kept 1 SR-UUID", then a line a piece: AT LENGTH SIZE NAME
 *	bytes	the pieces, one behind the other, in that order
 *	vg	on LVM: the metadata of the VG, as vgcfgbackup prints it
 *	left	what the repair has left there, written when it has ended: the same first
 *		line, then for each name of the list TAIL LENGTH SIZE NAME
 *	left.bytes
 *		of each name its pieces again, as they were then, with zeroes for what was
 *		not there any more; then the TAIL bytes behind the end that it had before
 *
 * NAME is what the layout calls it: a path in the SR's directory, or a volume.
 * Control characters, blanks and % in it are %XX.  AT and LENGTH say where the
 * piece was, and SIZE how long all of it was; "0 0 - NAME" was not there.
 *
 * The list is written last, and under another name first: a folder without one is
 * what a death left, or a full disk, and is nothing.  All is on the disk before
 * keep_commit() returns.  With left it is the same: its bytes are there before it is.
 *
 * With both it is known what the repair has changed, and nothing else is put back;
 * and whether that is still as the repair left it, or partly put back already.
 */
#ifndef DRIVERS_KEEP_H
#define DRIVERS_KEEP_H

#include <stdbool.h>

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

/* A folder without a list goes: who made it has died.  Under the lock of the SR it is of. */
void keep_clear(const char *path);
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

/* After a repair that ended, well or not, and before anybody else may change the SR. */
int keep_left(struct sr *sr, const char *path);

/*
 * Write back what the repair has changed, into an opened SR where nobody is at work.
 * May be repeated.  Nothing is written when any of it was changed since: -E_VDI_LOAD.
 * With force all is, whatever it is now, as long as nothing has grown.
 */
int keep_undo(struct sr *sr, const char *path, bool force);

/* What only a layout knows. */
struct keep_ops {
	/* All that its check() may overwrite, beside the images of the list and logs. */
	int (*keep)(struct sr *sr, struct keep *k, const struct vdis *l);
	/* Open what has a name now, to be read: -ENOENT when there is nothing. */
	int (*peek)(struct sr *sr, const char *name, struct io **io);
	/* Open what was kept under a name, at that size.  NULL: it goes, and io stays NULL. */
	int (*kept)(struct sr *sr, const char *name, const uint64_t *size, struct io **io);
	/*
	 * Before anything is written: may that be put back at this size?  One that has
	 * grown since holds what nobody kept: -E_VDI_LOAD.  One that the repair removed
	 * comes back only where it does no harm; > 0: it stays away.
	 */
	int (*fits)(struct sr *sr, const char *name, uint64_t size, bool removed);
};
extern const struct keep_ops dir_backup, lvm_backup;

#endif
