/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks on a device that several hosts share, and that can do nothing for them
 * but read and write whole sectors.
 *
 *	row 0	cell 0: the head; cell R: the host that row R belongs to
 *	row R	its locks, each anywhere in the 16 cells from the disk's own on
 *
 * A cell is 4 KiB, with one record (lib/lease.h) in its first sector, so that
 * sectors of 512 bytes and of 4 KiB are both written whole.  Only its host
 * writes to a row, and on that host one process at a time (the SR's lock).
 *
 * Of all records of a disk in all rows, those that are merely wanted aside, the
 * one with the highest generation counts.  To follow it:
 *
 *  1. A record that says "wanted", of a generation above all that are there, is
 *     written to a free cell of our own row, and flushed.
 *  2. All rows are read again.  Unless what counted counts still, unchanged,
 *     and nobody else wants it, ours is wiped.
 *  3. Its state is written over it (commit), and our older records are wiped.
 *
 * Why two never both come to 3, however long any read or write takes: each
 * writes before it reads.  If A's reading of step 2 has not seen B's record of
 * step 1, that was complete only after A's reading had begun, which was after
 * A's own record was complete; so B's reading sees A's.  No clock is in this.
 *
 * Clocks are in the second half only: who has died at 1 or 2, or holds a lock
 * with a lease that he does not renew, must not be in the way for ever.  He is
 * dead once a host has seen his record unchanged for the term and the grace, by
 * the clock of that host which nobody sets.  He himself knows how long ago, by
 * his own, he began to write: past a term he does not go on, or wipes what he
 * wrote.  So the rates of two clocks may differ by the grace in one term, and
 * what they show does not matter.  A write that arrives later still is to a cell
 * of his own, and of a generation that does not count any more; a record seen
 * to have changed after all, in step 2, was not dead.
 *
 * A renewal is 1 and 2 as well: it writes the record that counts again, and
 * then reads.  Where somebody wants the lock it is not known who has it yet.
 *
 * Which row is a host's is the one thing two hosts could both write: a free row
 * is taken by writing our name, waiting, and looking whether it is still there.
 * It would need a write that takes longer than that wait, of a host's first
 * lock ever in an SR, and another one on the other host after it.
 *
 * When there is no free row, one gives way in which nothing is held or wanted
 * that counts: that of a host that has gone, once its locks have been broken, or
 * of one that has none now, which takes another when it needs it.  Its name is
 * written over, and after a term and the grace it must still be so; who has found
 * a row to be his longer ago than a term begins nothing in it.
 */
#ifndef LIB_LEASE_AREA_H
#define LIB_LEASE_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/lease.h"

struct io;

#define LEASE_CELL		4096u
#define LEASE_CELLS		128u		/* of a row */
#define LEASE_ROWS		32u
#define LEASE_WINDOW		16u		/* cells where a disk's record may be */
#define LEASE_AREA_BYTES	((uint64_t)LEASE_ROWS * LEASE_CELLS * LEASE_CELL)

struct lease_area {
	struct io *io;		/* LEASE_AREA_BYTES of it, around any cache */
	struct uuid host;	/* ours */
	/* What only the caller knows: a clock in ns, bytes nobody guesses, and who is dead. */
	uint64_t (*now)(void *arg);
	uint64_t (*random)(void *arg);
	void (*wait)(void *arg, uint64_t ns);
	int (*dead)(void *arg, const struct lease *l);	/* 1, 0, or an error */
	void *arg;
	uint32_t row;		/* ours, once it is known; else 0 */
};

/*
 * All free, but for the first row, which is this host's unless it is NULL; then
 * the head (commit).  Nobody may know of the place yet.
 */
int lease_area_format(struct io *io, const struct lease *first);
/*
 * -E_DAMAGED: there is no such area here.  The head is the same in all areas, so
 * one that cannot be read is missed as long as rows have names.
 */
int lease_area_check(struct io *io);
/*
 * Find our row, or take one: me says who we are.  -ENOSPC when all belong to
 * others who hold locks.  Without it an area can be read.
 */
int lease_area_join(struct lease_area *a, const struct lease *me);

/*
 * The record that counts; generation 0 for none.  -E_DAMAGED: one that cannot
 * be read may be of this disk; then it is held, by whoever.
 */
int lease_area_read(struct lease_area *a, const struct uuid *vdi, struct lease *now);
/*
 * now in the place of was: -EAGAIN when that does not count any more or
 * somebody else wants it; -ENOSPC when our row is full there.  A was without a
 * stamp, as read() leaves it, means that what is damaged is to be wiped.
 */
int lease_area_swap(struct lease_area *a, const struct lease *was, struct lease *now);
/* -E_NOT_LOCKED: it is not ours any more, or never was in our row; -EAGAIN: not clear yet. */
int lease_area_renew(struct lease_area *a, struct lease *held);
/* The disk is gone; we hold its lock. */
int lease_area_forget(struct lease_area *a, const struct uuid *vdi);
/*
 * Every record of every row; -E_DAMAGED with those that cannot be read.  They
 * have a made-up name, of a lock that is looked for where they are: to break it
 * wipes them.
 */
int lease_area_each(struct lease_area *a, void (*each)(void *arg, const struct lease *l, int err), void *arg);

#endif
