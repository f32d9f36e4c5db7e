/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changed block tracking: a log beside a disk (lib/cbt/cbt.h) and the chain
 * that it makes with those of its snapshots.
 *
 *	S1.cbtlog ──child──▶ S2.cbtlog ──child──▶ disk.cbtlog
 *	what was written    S1 .. S2             S2 .. now
 *	before S1   ◀parent──        ◀──parent──
 *
 * A log lives with the volumes and has the name <VDI>.cbtlog.  It says that it is
 * whole unless its disk is being written; who writes it keeps the bits in
 * memory and writes them back when he lets go of the disk (cbt_live).  One that
 * is not whole and that nobody writes lacks something, and is given up when its
 * disk is activated next.
 *
 * Changes of a chain can be repeated after a death at any point, and until then
 * what it answers is not less than the truth.  All are made under the SR's
 * lock, and each look at a log under upstream's lock <VDI>/cbtlog.
 */
#ifndef DRIVERS_CBT_H
#define DRIVERS_CBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/cbt/cbt.h"

struct io;
struct sr;
struct vdi;
struct vdis;

#define CBT_SUFFIX	".cbtlog"
#define CBT_TYPE	"cbt_metadata"	/* of a VDI that is nothing but its log */

/* Where the logs of a layout are. */
struct cbt_store {
	/* -ENOENT when there is none.  The caller closes it, before the SR is. */
	int (*open)(struct sr *sr, const struct uuid *u, bool writable, struct io **io);
	/* A new log without a bit set: all of it or nothing. */
	int (*make)(struct sr *sr, const struct uuid *u, const struct cbt *c);
	int (*rename)(struct sr *sr, const struct uuid *from, const struct uuid *to);
	/* Gone, or never there: 0. */
	int (*remove)(struct sr *sr, const struct uuid *u);
	/* Whose there are. */
	int (*list)(struct sr *sr, struct uuid **v, size_t *n);
	/* What a disk that is gone was called, where that is kept; NULL else. */
	void (*names)(struct sr *sr, struct vdi *vdi);
};

/* Does the SR's layout keep logs? */
bool cbt_can(const struct sr *sr);
/* The log's head, or with bits all of it, in the arena.  -ENOENT: none; else said why. */
int cbt_get(struct sr *sr, const struct uuid *u, bool bits, struct cbt *c);
bool cbt_has(struct sr *sr, const struct uuid *u);

/* --- the chain ------------------------------------------------------------------ */

/*
 * Let one end of a log lead to another; where it leads elsewhere than `was` (NULL:
 * anywhere) it stays.  A neighbour that has no log any more is no error.
 */
enum cbt_end { CBT_PARENT, CBT_CHILD };
int cbt_point(struct sr *sr, const struct uuid *u, enum cbt_end end, const struct uuid *was,
	      const struct uuid *to);
/* Begin a log for a disk that nobody writes, or end it. */
int cbt_enable(struct sr *sr, const struct vdi *vdi);
int cbt_disable(struct sr *sr, const struct uuid *u);
/*
 * The disk has been snapshotted: its log becomes the copy's, and a new one begins.
 * No log, no copy's log: nothing to do.  No room for the new one: the disk has none
 * from then on.
 */
int cbt_rotate(struct sr *sr, const struct uuid *disk, const struct uuid *copy);
/* The second half, for who has already made both under their new names. */
int cbt_link(struct sr *sr, const struct uuid *disk, const struct uuid *copy);
/* Before the disk grows. */
int cbt_resize(struct sr *sr, const struct uuid *u, uint64_t size);
/* Before it becomes something else altogether, of that size: all of it has changed. */
int cbt_replace(struct sr *sr, const struct uuid *u, uint64_t size);
/*
 * Before the disk is deleted: what its log says the next one says as well, and
 * the chain leads past it.  The log itself goes with cbt_disable() afterwards.
 */
int cbt_bypass(struct sr *sr, const struct uuid *u);
/*
 * What changed from one to the other: -E_CBT_NONE, -E_CBT_UNRELATED, -E_CBT_STALE.
 * saved: the log of `to` has all there is, though the disk is being written.
 */
int cbt_changed(struct sr *sr, const struct uuid *from, const struct uuid *to, bool saved, struct cbt *sum);

/* --- looking ---------------------------------------------------------------------- */

/* The log of a disk that is gone, as a VDI; -E_VDI_MISSING. */
int cbt_find(struct sr *sr, const struct uuid *u, struct vdi *vdi);
/* Mark the disks of a whole list that have one, and add those that are nothing else. */
int cbt_fill(struct sr *sr, struct vdis *l);
/*
 * What is wrong with logs and chains: into the list's problems, or mended.  The
 * list has the attachments filled in.
 */
int cbt_check(struct sr *sr, bool repair, struct vdis *l);

/* --- while a disk is written --------------------------------------------------------- */

/* In memory that outlives the process that serves the disk. */
struct cbt_live {
	bool on;			/* what is written is being marked */
	struct cbt log;			/* as it was when that began; bits is not used */
	uint8_t touched[CBT_CHUNKS];
	uint8_t bits[CBT_LOG_MAX];
};

/*
 * Activated for writing: the log, if there is one, is not whole any more.  One
 * that was not before, or is of a smaller disk, is removed and told of in the
 * log.  Goes on with what is in live when that is on already.
 */
int cbt_begin(struct sr *sr, const struct vdi *vdi, struct cbt_live *live);
/* Nobody writes any more: all there is into the log, which is whole then.  live is off. */
int cbt_end(struct sr *sr, const struct uuid *u, struct cbt_live *live);
/* What there is so far, for who reads the log; it does not count as whole. */
int cbt_save(struct sr *sr, const struct uuid *u, struct cbt_live *live);

#endif
